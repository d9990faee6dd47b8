//! The outermost layers: what every response has in common. Names the request, logs it, writes problems as JSON or as a
//! page, adds the security headers, and compresses pages.

use std::any::Any;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use super::access::TurnedAway;
use super::error::{ApiError, Problem};
use super::forms::FormAgain;
use super::who::Who;
use super::{extract, gzip, pages};
use crate::context::Shared;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers of every response that does not set them itself. Pages load nothing from elsewhere and cannot be framed; caches
/// keep nothing but assets.
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

/// Prefixes of routes whose handlers log each request themselves. Their success is not logged a second time.
const LOGGED_BY_HANDLER: [&str; 2] = ["/record/", "/hooks/"];

pub(super) async fn finish(State(context): State<Shared>, request: Request, next: Next) -> Response {
    let id = new_request_id();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let wants_page = extract::wants_page(request.headers());
    let accepts_gzip = gzip::is_accepted(request.headers());
    let span = tracing::info_span!("request", %id);
    let started = Instant::now();

    let mut response = next.run(request).instrument(span.clone()).await;
    let problem = response.extensions_mut().remove::<Problem>();
    let form = response.extensions_mut().remove::<FormAgain>();
    let problem = problem.map(|problem| Problem { request_id: id.clone(), ..problem });
    // Only the operator's routes leave this behind: the manual is the operator's alone.
    let is_operator = response.extensions_mut().remove::<Who>().is_some();
    if let Some(problem) = &problem {
        let written = match form {
            Some(form) => form.write(problem.clone()),
            None if wants_page => pages::problem(&context, problem, &path, is_operator),
            None => problem_json(problem),
        };
        let (parts, body) = written.into_parts();
        response.headers_mut().extend(parts.headers);
        *response.body_mut() = body;
    }
    let took = started.elapsed();
    let is_turned_away = response.extensions_mut().remove::<TurnedAway>().is_some();
    let counted = route.as_ref().filter(|_| !is_turned_away).map_or("(none)", MatchedPath::as_str);
    context.metrics.responses.note(known(&method), trimmed(counted), response.status().as_u16(), took);
    let line = Line {
        method: &method,
        route: route.as_ref().map_or("(none)", MatchedPath::as_str),
        status: response.status(),
        problem: problem.as_ref(),
        took,
    };
    span.in_scope(|| if is_operator { line.write() } else { line.write_for_stranger(&context) });
    set_headers(&mut response, id);
    if gzip::is_compressible(&mut response) && accepts_gzip { gzip::compressed(response).await } else { response }
}

/// The method, as far as it is one of HTTP's own: a stranger may invent any.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| method == known).unwrap_or("other")
}

/// The route without the slash at its end.
fn trimmed(route: &str) -> String {
    route.strip_suffix('/').filter(|route| !route.is_empty()).unwrap_or(route).to_owned()
}

/// Returns an id that no other request of this or another instance has. It is a hash with a random key, so that strangers
/// cannot tell how many requests there are. Random ids would cost a system call each.
fn new_request_id() -> String {
    static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let [one, two] = KEYS.each_ref().map(|key| key.hash_one(number));
    format!("{one:016x}{two:016x}")
}

fn problem_json(problem: &Problem) -> Response {
    let body = serde_json::to_string(problem).unwrap_or_default() + "\n";
    ([(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}

/// What the log says of a request. It names the route instead of the path, which may hold a phone number.
struct Line<'r> {
    method: &'r Method,
    route: &'r str,
    status: StatusCode,
    problem: Option<&'r Problem>,
    took: Duration,
}

impl Line<'_> {
    fn write(&self) {
        let Self { method, route, problem, .. } = self;
        let (kind, code) = (problem.map(|problem| &problem.kind), problem.and_then(|problem| problem.code));
        // JSON logs write a u128 as text.
        let (status, ms) = (self.status.as_u16(), self.took.as_millis() as u64);
        if self.is_logged_by_handler() {
            tracing::debug!(%method, route, status, ms, "responded");
        } else {
            tracing::info!(%method, route, status, kind, code, ms, "responded");
        }
    }

    /// Writes the line of a request that may be a stranger's. The same response on the same route is then counted for a
    /// minute.
    fn write_for_stranger(&self, context: &Shared) {
        if self.is_logged_by_handler() {
            return self.write();
        }
        let Self { route, problem, .. } = self;
        let (status, kind) = (self.status.as_u16(), problem.map(|problem| &problem.kind));
        let what = format!("{route} {status} {}", kind.map_or("", String::as_str));
        match context.repeats.count(what, context.clock.now_ms()) {
            None => {}
            Some(1) => self.write(),
            Some(times) => tracing::info!(route, status, kind, times, "responded, counted since the last such line"),
        }
    }

    fn is_logged_by_handler(&self) -> bool {
        self.problem.is_none() && LOGGED_BY_HANDLER.iter().any(|prefix| self.route.starts_with(prefix))
    }
}

fn set_headers(response: &mut Response, id: String) {
    let status = response.status();
    let headers = response.headers_mut();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        // axum adds it to refusals of the access layer, where it would tell a stranger which routes exist.
        headers.remove(header::ALLOW);
    }
    headers.reserve(SECURITY_HEADERS.len() + 1);
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
}

/// Turns a panic of a handler into a response. It affects no other request.
pub(super) fn catch_panics() -> CatchPanicLayer<fn(Box<dyn Any + Send>) -> Response> {
    CatchPanicLayer::custom(panicked)
}

/// Logs the panic's message under the request's id; the client does not see it.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!("panicked: {}", message.unwrap_or("without a message"));
    ApiError::Internal.into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_is_an_internal_error() {
        async fn broken() {
            panic!("the words");
        }
        let routes = TowerToHyperService::new(Router::new().route("/", get(broken)).layer(catch_panics()));
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
            assert_eq!(problem.detail, "something went wrong; the log has the details under this request id");
        }
    }
}
