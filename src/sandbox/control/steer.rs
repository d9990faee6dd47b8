//! The layer in front of an emulated vendor: it remembers each request and lets happen what was planned for it.

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{Control, Fault, LateEnd, LoggedRequest, lock, path};
use crate::sandbox::pace::wait;

/// Remembers each request and lets its fault happen. The outermost layer of an emulated vendor.
pub(in crate::sandbox) async fn steer(State(control): State<Control>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let (kept, body) = if parts.uri.path() == control.inner.streamed_path {
        (Bytes::new(), body)
    } else {
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
        (bytes.clone(), Body::from(bytes))
    };
    let target = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let method = parts.method.clone();
    let fault = lock(&control.inner.faults).take(&method, path(&target));
    lock(&control.inner.log).add(LoggedRequest { method, target, headers: parts.headers.clone(), body: kept });
    control.changed();

    let latency = *lock(&control.inner.latency);
    let answer = answer(control, Request::from_parts(parts, body), next, fault).await;
    wait(latency).await;
    answer
}

async fn answer(control: Control, request: Request, next: Next, fault: Option<Fault>) -> Response {
    match fault {
        None => next.run(request).await,
        Some(Fault::Refuse { status, retry_after }) => {
            // A body that is left unread may reset the connection before the client has seen the refusal.
            request.into_body().into_data_stream().for_each(|_| std::future::ready(())).await;
            control.refuse(status, retry_after)
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::HangAfter) => {
            next.run(request).await;
            std::future::pending().await
        }
        Some(Fault::Late) => {
            let mut waiting = Waiting { control: control.clone(), end: LateEnd::Abandoned };
            let response = next.run(request).await;
            control.until(|| lock(&control.inner.late_is_over).then_some(())).await;
            waiting.end = LateEnd::Answered;
            response
        }
        Some(Fault::DropAfter) => {
            next.run(request).await;
            // Unwinding ends this connection's task and nothing else: the socket closes without a status line. This
            // form of panic calls no hook, so nothing is printed.
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

/// Notes how a late request ended, also when it is dropped because its client went away.
struct Waiting {
    control: Control,
    end: LateEnd,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&self.control.inner.late_ends).push(self.end);
        self.control.changed();
    }
}

impl Control {
    /// The vendor's own kind of refusal.
    fn refuse(&self, status: u16, retry_after: Option<u32>) -> Response {
        let status = StatusCode::from_u16(status).expect("tests plan real statuses");
        let body = (self.inner.error_body)(status).to_string();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The head of the answer promises the whole body; the connection breaks after half of it.
fn cut(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let promised = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length: u64 = promised.or_else(|| body.size_hint().exact()).unwrap_or(0).max(1);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let mut left = usize::try_from(length / 2).unwrap_or(usize::MAX);
    let half = body.into_data_stream().map_ok(move |mut bytes| {
        bytes.truncate(left);
        left -= bytes.len();
        bytes
    });
    let half = half.try_take_while(|bytes| std::future::ready(Ok(!bytes.is_empty())));
    let broken = stream::once(async {
        // Lets hyper write out what it has before the error makes it throw that away.
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

    /// How long a client waits for the answer that never comes.
    const PATIENCE: Duration = Duration::from_millis(100);

    /// What the vendor says when nothing is wrong.
    const BODY: &str = "a body of some length";

    /// A vendor that knows one address.
    async fn vendor() -> (Control, String) {
        let control = Control::new(|status| serde_json::json!({ "status": status.as_u16() }), "");
        let router = Router::new().route("/thing", get(|| async { BODY }));
        let router = router.layer(from_fn_with_state(control.clone(), steer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/thing?a=b", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (control, url)
    }

    async fn ask(fault: Fault) -> (Control, reqwest::Result<reqwest::Response>) {
        let (control, url) = vendor().await;
        let hangs = matches!(fault, Fault::Hang | Fault::HangAfter);
        control.fail_next(Method::GET, "/thing", fault);
        let request = outgoing::client().get(url);
        let answer = if hangs { request.timeout(PATIENCE) } else { request }.send().await;
        (control, answer)
    }

    #[tokio::test]
    async fn a_refused_request_gets_the_vendors_kind_of_error() {
        let (control, answer) = ask(Fault::Refuse { status: 429, retry_after: Some(7) }).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &HeaderValue::from(7)));
        assert_eq!(answer.text().await.unwrap(), r#"{"status":429}"#);
        assert_eq!(control.requests_to(Method::GET, "/thing")[0].target, "/thing?a=b");
    }

    #[tokio::test]
    async fn a_hanging_request_is_never_answered() {
        for fault in [Fault::Hang, Fault::HangAfter] {
            assert!(ask(fault).await.1.unwrap_err().is_timeout());
        }
    }

    #[tokio::test]
    async fn a_dropped_connection_brings_no_answer_at_all() {
        let (control, answer) = ask(Fault::DropAfter).await;
        let error = answer.unwrap_err();
        assert!(error.is_request() && !error.is_timeout(), "{error:?}");
        assert_eq!(control.requests().len(), 1);
    }

    #[tokio::test]
    async fn a_cut_body_breaks_off_after_a_good_head() {
        let mut answer = ask(Fault::CutBody).await.1.unwrap();
        assert_eq!((answer.status().as_u16(), answer.content_length()), (200, Some(BODY.len() as u64)));
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "a body of ");
        let error = answer.chunk().await.unwrap_err();
        assert!(!error.is_timeout(), "{error:?}");
    }

    #[tokio::test]
    async fn a_wrong_body_comes_with_the_right_status() {
        let answer = ask(Fault::wrong_body("<html>")).await.1.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.text().await.unwrap(), "<html>");
    }

    /// Whether this request brings what it should.
    async fn is_right(request: reqwest::RequestBuilder) -> bool {
        match request.send().await {
            Ok(answer) if answer.status() == 200 => answer.text().await.is_ok_and(|body| body == BODY),
            _ => false,
        }
    }

    #[tokio::test]
    async fn a_disturbed_vendor_fails_until_it_is_left_alone() {
        let (control, url) = vendor().await;
        let http = outgoing::client();
        control.fail_at_random(RandomFaults { seed: 1, per_mille: 1_000, hangs: false });
        for _ in 0..50 {
            assert!(!is_right(http.get(&url)).await);
        }
        assert_eq!(control.random_fault_count(), 50);
        control.stop_random_faults();
        assert!(is_right(http.get(&url)).await);
        assert_eq!(control.request_count(Method::GET, "/thing"), 51);
    }

    #[tokio::test]
    async fn an_answer_is_as_late_as_was_asked_for() {
        let (control, url) = vendor().await;
        control.set_latency(Duration::from_secs(3_600));
        let answer = outgoing::client().get(&url).timeout(PATIENCE).send().await;
        assert!(answer.unwrap_err().is_timeout());
        control.set_latency(Duration::from_millis(1));
        assert!(is_right(outgoing::client().get(&url)).await);
    }
}
