//! The middleware in front of an emulated vendor: it logs each request and injects its fault.

use axum::Json;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::faults::Fault;
use super::handle::{Control, LateEnd};
use super::request_log::{LoggedRequest, path};
use crate::sandbox::pace::wait;

/// Logs each request and injects its fault.
pub(in crate::sandbox) async fn intercept(State(control): State<Control>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let (kept, body) = if parts.uri.path() == control.inner.streamed_path {
        (Bytes::new(), body)
    } else {
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
        (bytes.clone(), Body::from(bytes))
    };
    let target = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let method = parts.method.clone();
    let fault = control.state().faults.take(&method, path(&target));
    control.state().log.add(LoggedRequest { method, target, headers: parts.headers.clone(), body: kept });
    control.changed();

    let latency = control.state().latency;
    let response = respond(control, Request::from_parts(parts, body), next, fault).await;
    wait(latency).await;
    response
}

async fn respond(control: Control, request: Request, next: Next, fault: Option<Fault>) -> Response {
    match fault {
        None => next.run(request).await,
        Some(Fault::Refuse { status, retry_after }) => {
            read_to_its_end(request).await;
            control.refuse(status, retry_after)
        }
        Some(Fault::Proxy { status, is_carried_out }) => {
            if is_carried_out {
                next.run(request).await;
            } else {
                read_to_its_end(request).await;
            }
            let status = StatusCode::from_u16(status).expect("tests plan real statuses");
            (status, Html("<title>An error of the proxy</title>")).into_response()
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::HangAfter) => {
            next.run(request).await;
            std::future::pending().await
        }
        Some(Fault::Late) => {
            let mut waiting = Waiting { control: control.clone(), end: LateEnd::Abandoned };
            let response = next.run(request).await;
            control.until(|| control.state().answers_late_requests.then_some(())).await;
            waiting.end = LateEnd::Answered;
            response
        }
        Some(Fault::DropAfter) => {
            next.run(request).await;
            // Unwinding ends the task of this connection alone: the socket closes without a status line.
            // `resume_unwind` does not call the panic hook, so nothing is printed.
            std::panic::resume_unwind(Box::new("dropped by the sandbox"))
        }
        Some(Fault::CutBody) => cut(next.run(request).await),
        Some(Fault::WrongBody(text)) => {
            let (mut parts, _) = next.run(request).await.into_parts();
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(text))
        }
    }
}

/// With a body left unread, the connection may be reset before the client has read the response.
async fn read_to_its_end(request: Request) {
    request.into_body().into_data_stream().for_each(|_| std::future::ready(())).await;
}

/// Records how a late request ended, also when hyper drops it because the client disconnected.
struct Waiting {
    control: Control,
    end: LateEnd,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.control.state().late_ends.push(self.end);
        self.control.changed();
    }
}

impl Control {
    fn refuse(&self, status: u16, retry_after: Option<u32>) -> Response {
        let status = StatusCode::from_u16(status).expect("tests plan real statuses");
        let mut response = (status, Json((self.inner.error_body)(status))).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Breaks the connection after half of the body. The response headers announce all of it.
fn cut(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length: u64 = announced.or_else(|| body.size_hint().exact()).unwrap_or(0).max(1);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let mut left = usize::try_from(length / 2).unwrap_or(usize::MAX);
    let half = body.into_data_stream().map_ok(move |mut bytes| {
        bytes.truncate(left);
        left -= bytes.len();
        bytes
    });
    let half = half.try_take_while(|bytes| std::future::ready(Ok(!bytes.is_empty())));
    let broken = stream::once(async {
        // Lets hyper send what it has buffered; the error would make it discard that.
        tokio::task::yield_now().await;
        Err(axum::Error::new("cut by the sandbox"))
    });
    Response::from_parts(parts, Body::from_stream(half.chain(broken)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use axum::http::Method;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;

    use super::*;
    use crate::sandbox::control::RandomFaults;
    use crate::sandbox::outgoing;

    /// Timeout of a client whose response never comes.
    const TIMEOUT: Duration = Duration::from_millis(100);

    const BODY: &str = "a body of some length";

    /// Starts a vendor with a single route.
    async fn vendor() -> (Control, String) {
        let control = Control::new(|status| serde_json::json!({ "status": status.as_u16() }), "");
        let router = Router::new().route("/thing", get(|| async { BODY }));
        let router = router.layer(from_fn_with_state(control.clone(), intercept));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/thing?a=b", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (control, url)
    }

    async fn request_with(fault: Fault) -> (Control, reqwest::Result<reqwest::Response>) {
        let (control, url) = vendor().await;
        let hangs = matches!(fault, Fault::Hang | Fault::HangAfter);
        control.fail_next(Method::GET, "/thing", fault);
        let request = outgoing::client().get(url);
        let response = if hangs { request.timeout(TIMEOUT) } else { request }.send().await;
        (control, response)
    }

    #[tokio::test]
    async fn a_refused_request_gets_the_vendors_form_of_error() {
        let (control, response) = request_with(Fault::Refuse { status: 429, retry_after: Some(7) }).await;
        let response = response.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &HeaderValue::from(7)));
        assert_eq!(response.text().await.unwrap(), r#"{"status":429}"#);
        assert_eq!(control.requests_to(Method::GET, "/thing")[0].target, "/thing?a=b");
    }

    #[tokio::test]
    async fn a_hanging_request_gets_no_response() {
        for fault in [Fault::Hang, Fault::HangAfter] {
            assert!(request_with(fault).await.1.unwrap_err().is_timeout());
        }
    }

    #[tokio::test]
    async fn a_dropped_connection_brings_no_response() {
        let (control, response) = request_with(Fault::DropAfter).await;
        let error = response.unwrap_err();
        assert!(error.is_request() && !error.is_timeout(), "{error:?}");
        assert_eq!(control.requests().len(), 1);
    }

    #[tokio::test]
    async fn a_cut_body_breaks_off_after_good_headers() {
        let mut response = request_with(Fault::CutBody).await.1.unwrap();
        assert_eq!((response.status().as_u16(), response.content_length()), (200, Some(BODY.len() as u64)));
        assert_eq!(response.chunk().await.unwrap().unwrap(), "a body of ");
        let error = response.chunk().await.unwrap_err();
        assert!(!error.is_timeout(), "{error:?}");
    }

    #[tokio::test]
    async fn a_wrong_body_comes_with_the_right_status() {
        let response = request_with(Fault::wrong_body("<html>")).await.1.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.text().await.unwrap(), "<html>");
    }

    /// Returns whether this request gets the right response.
    async fn succeeds(request: reqwest::RequestBuilder) -> bool {
        match request.send().await {
            Ok(response) if response.status() == 200 => response.text().await.is_ok_and(|body| body == BODY),
            _ => false,
        }
    }

    #[tokio::test]
    async fn random_faults_end_when_they_are_stopped() {
        let (control, url) = vendor().await;
        let http = outgoing::client();
        control.fail_at_random(RandomFaults { seed: 1, per_mille: 1_000, hangs: false });
        for _ in 0..50 {
            assert!(!succeeds(http.get(&url)).await);
        }
        assert_eq!(control.random_fault_count(), 50);
        control.stop_random_faults();
        assert!(succeeds(http.get(&url)).await);
        assert_eq!(control.request_count(Method::GET, "/thing"), 51);
    }

    #[tokio::test]
    async fn a_response_is_as_late_as_the_latency_says() {
        let (control, url) = vendor().await;
        control.set_latency(Duration::from_secs(3_600));
        let response = outgoing::client().get(&url).timeout(TIMEOUT).send().await;
        assert!(response.unwrap_err().is_timeout());
        control.set_latency(Duration::from_millis(1));
        assert!(succeeds(outgoing::client().get(&url)).await);
    }
}
