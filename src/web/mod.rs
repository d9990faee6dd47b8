//! HTTP in. Every route stands in the one list below, then the layers in order. Of what the vendors say, only their
//! callbacks are read here.

mod access;
mod calls;
mod delete;
mod dial;
mod error;
mod extract;
mod gzip;
mod help;
mod home;
mod hooks;
mod live;
mod login;
mod pages;
pub(crate) mod probe;
mod reading;
mod record;
mod recording_url;
mod recordings;
mod search;
mod steps;
mod transcribe;
mod transcript;
mod upload;

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use uuid::Uuid;

use crate::context::Shared;
use error::{ApiError, Problem};
use extract::FromTwilio;
use record::Greeter;

/// Names a request in its answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every answer carries. Pages load nothing from elsewhere and cannot be framed; nothing is kept by caches, but for
/// what a page looks like.
const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// How the routes begin whose requests have a line of their own in the log, which says what they brought: that they went well
/// is not worth another one.
const TOLD_OTHERWISE: [&str; 2] = ["/record/", "/hooks/"];

/// Every route, with and without its trailing slash.
pub fn router(context: Shared) -> Router {
    let greeter = Arc::new(Greeter::new(&context));
    let greet = move |State(context), told: FromTwilio<_>| record::greet(context, Arc::clone(&greeter), told);
    let vendors = Routes::new()
        .at("/record", get(greet.clone()).post(greet))
        .at("/record/done", get(record::done).post(record::done))
        .at("/hooks/twilio/call", post(hooks::call_progress))
        .at("/hooks/twilio/recording", post(hooks::recording_progress))
        .at("/hooks/assemblyai", post(hooks::transcript_ready))
        .at("/healthz", get(|| async { "ok\n" }))
        .at("/readyz", get(ready))
        .at("/_probe/{nonce}", get(probe::arrive))
        .router;
    let door = Routes::new()
        // Once used, the link in the address is worth nothing: HEAD must not use it.
        .at("/login", get(login::show).head(login::not_head).post(login::log_in))
        .at("/assets/{file}", get(pages::asset))
        .router
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(context.clone(), access::door));
    let operator = Routes::new()
        .at("/", get(home::show))
        .at("/dial/{number}", get(dial::dial).head(dial::not_get).fallback(dial::not_get))
        .at("/events", get(live::events).layer(Extension(live::Seats::default())))
        .at("/calls", get(calls::list).post(dial::confirmed))
        .at("/calls/{call}", get(calls::show))
        .at("/calls/{call}/retry", post(calls::retry))
        .at("/calls/{call}/delete", get(delete::ask).post(delete::delete))
        .at("/get-recording-url/{sid}", get(recording_url::list))
        .at("/recordings/{file}", get(recordings::listen))
        .at("/transcribe", get(transcribe::form).post(transcribe::transcribe))
        .at("/transcript/{id}", get(transcript::transcript))
        .at("/help", get(help::index))
        .at("/help/{file}", get(help::file))
        .at("/logout", post(login::log_out))
        .router
        .fallback(|| async { ApiError::NoSuchPath })
        // Before the layer, so that it is the operator alone who hears of methods.
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(context.clone(), access::operator_only));
    vendors
        .method_not_allowed_fallback(method_not_allowed)
        .merge(door)
        .merge(operator)
        // As one layer, the first of them outside: for each layer of its own, axum would put every request into a box.
        .layer((middleware::from_fn_with_state(context.clone(), finish), unbroken()))
        .with_state(context)
}

/// Names a request: no other of this instance, nor of another one, has the same.
fn new_request_id() -> String {
    static INSTANCE: LazyLock<u64> = LazyLock::new(|| Uuid::new_v4().as_u64_pair().1);
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    format!("{:016x}{:016x}", *INSTANCE, REQUESTS.fetch_add(1, Ordering::Relaxed))
}

/// Whether work can be taken in: the database answers.
async fn ready(State(context): State<Shared>) -> Result<&'static str, ApiError> {
    context.store.check().await?;
    Ok("ok\n")
}

async fn method_not_allowed() -> ApiError {
    ApiError::MethodNotAllowed(None)
}

/// Collects routes, each under its path with and without the trailing slash.
struct Routes {
    router: Router<Shared>,
}

impl Routes {
    fn new() -> Self {
        Self { router: Router::new() }
    }

    fn at(self, path: &str, methods: MethodRouter<Shared>) -> Self {
        let router = self.router.route(path, methods.clone());
        let router = if path == "/" { router } else { router.route(&format!("{path}/"), methods) };
        Self { router }
    }
}

/// The outermost layer: names the request, writes its line in the log, turns problems into JSON or a page, puts the
/// security headers on, and has pages compressed. The log has the route, not the address, which holds a phone number.
async fn finish(State(context): State<Shared>, request: Request, next: Next) -> Response {
    let id = new_request_id();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("(none)", MatchedPath::as_str);
    let wants_page = extract::wants_page(request.headers());
    let takes_gzip = gzip::is_taken(request.headers());
    let span = tracing::info_span!("request", %id);
    let started = Instant::now();

    let mut response = next.run(request).instrument(span.clone()).await;
    let problem =
        response.extensions_mut().remove::<Problem>().map(|problem| Problem { request_id: id.clone(), ..problem });
    // Only the operator's routes leave this behind: the manual is the operator's alone.
    let is_operator = response.extensions_mut().remove::<access::Who>().is_some();
    if let Some(problem) = &problem {
        let rendered = if wants_page {
            pages::problem(&context, problem, uri.path(), is_operator)
        } else {
            write_problem(problem)
        };
        let (parts, body) = rendered.into_parts();
        response.headers_mut().extend(parts.headers);
        *response.body_mut() = body;
    }
    let (kind, code) =
        (problem.as_ref().map(|problem| &problem.kind), problem.as_ref().and_then(|problem| problem.code));
    // JSON logs write a u128 as text.
    let (status, ms) = (response.status().as_u16(), started.elapsed().as_millis() as u64);
    span.in_scope(|| match problem.is_none() && TOLD_OTHERWISE.iter().any(|begin| route.starts_with(begin)) {
        true => tracing::debug!(%method, route, status, ms, "answered"),
        false => tracing::info!(%method, route, status, kind, code, ms, "answered"),
    });

    let headers = response.headers_mut();
    if matches!(status, 401 | 403) {
        // axum adds it to what the access layer refused, which would tell a stranger what there is.
        headers.remove(header::ALLOW);
    }
    headers.reserve(SECURITY_HEADERS.len() + 1);
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    match gzip::is_for(&mut response) && takes_gzip {
        true => gzip::compressed(response).await,
        false => response,
    }
}

fn write_problem(problem: &Problem) -> Response {
    let body = serde_json::to_string(problem).unwrap_or_default() + "\n";
    ([(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}

/// A handler that panics is one answer, and nothing else.
fn unbroken() -> CatchPanicLayer<fn(Box<dyn Any + Send>) -> Response> {
    CatchPanicLayer::custom(panicked)
}

/// A bug: its words go to the log, under the request's id.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!("panicked: {}", words.unwrap_or("without words"));
    ApiError::Internal.into_response()
}

/// A page that a template wrote.
fn page(rendered: askama::Result<String>) -> Response {
    match rendered {
        // Its forms must be told from those of other sites, also where browsers send no fetch metadata: over plain HTTP
        // from another computer. Without any referrer they would say that their origin is null.
        Ok(html) => ([(header::REFERRER_POLICY, "same-origin")], Html(html)).into_response(),
        Err(error) => {
            tracing::error!("a page could not be written: {error}");
            ApiError::Internal.into_response()
        }
    }
}

/// Plain text that ends its last line, so that a shell's prompt starts on a new one.
fn text(text: &str) -> Response {
    let line_end = if text.ends_with('\n') { "" } else { "\n" };
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}{line_end}")).into_response()
}

/// JSON, as it came.
fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_is_an_internal_error() {
        async fn broken() {
            panic!("the words");
        }
        let routes = TowerToHyperService::new(Router::new().route("/", get(broken)).layer(unbroken()));
        let response = routes.call(Request::new(Body::empty())).await.expect("an answer");
        assert_eq!(response.status(), 500);
        assert!(response.extensions().get::<Problem>().is_some());
    }

    #[test]
    fn a_panic_is_a_problem_without_its_words() {
        for panic in [Box::new("the words") as Box<dyn Any + Send>, Box::new("the words".to_owned()), Box::new(7)] {
            let response = panicked(panic);
            assert_eq!(response.status(), 500);
            let problem = response.extensions().get::<Problem>().expect("a problem");
            assert_eq!(problem.detail, "something went wrong here; the log says what, under this request id");
        }
    }
}
