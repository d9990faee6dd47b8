//! How tests steer an emulated vendor: what goes wrong next, what it was asked, and waiting for something to be true.
//!
//! Knows nothing of either vendor. In `--sandbox` mode nobody schedules a fault, and the log of requests is bounded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::watch;

/// The newest requests that are remembered.
const REMEMBERED: usize = 1_000;

/// Something that goes wrong, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; the answer has this status and the vendor's own kind of error body.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// Nothing is done and nothing is answered, ever.
    Hang,
    /// It is done, but nothing is answered, ever.
    HangAfter,
    /// It is done, and answered once [`Control::answer_late`] is called.
    Late,
    /// It is done, but the connection is closed before an answer.
    DropAfter,
    /// It is done; the answer breaks off in the middle of its body.
    CutBody,
    /// It is done; the answer has the right status and this text as its body.
    WrongBody(&'static str),
}

/// A request that the vendor received.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// Path and query, as received.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body if it was small and known in length; empty for uploads.
    pub body: Bytes,
}

/// How a request with [`Fault::Late`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateEnd {
    /// The client waited and was answered.
    Answered,
    /// The client went away before.
    Abandoned,
}

/// The switchboard of one emulated vendor. Clones share it.
#[derive(Clone)]
pub struct Control {
    inner: Arc<Inner>,
}

struct Inner {
    faults: Mutex<Vec<Planned>>,
    seen: Mutex<VecDeque<Seen>>,
    changes: watch::Sender<u64>,
    late_is_over: Mutex<bool>,
    late_ends: Mutex<Vec<LateEnd>>,
    error_body: fn(StatusCode) -> serde_json::Value,
    streamed_path: &'static str,
}

struct Planned {
    method: Method,
    path_contains: String,
    fault: Fault,
}

impl Control {
    /// `error_body` writes the vendor's own error for a status. Bodies sent to `streamed_path` are passed on unread.
    pub(super) fn new(error_body: fn(StatusCode) -> serde_json::Value, streamed_path: &'static str) -> Self {
        let inner = Inner {
            faults: Mutex::default(),
            seen: Mutex::default(),
            changes: watch::Sender::new(0),
            late_is_over: Mutex::default(),
            late_ends: Mutex::default(),
            error_body,
            streamed_path,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Plans a fault for the next request of this method whose path contains this text. Several plans for the same
    /// requests happen one after the other, in the order they were made.
    pub fn fail_next(&self, method: Method, path_contains: &str, fault: Fault) {
        let path_contains = path_contains.to_owned();
        lock(&self.inner.faults).push(Planned { method, path_contains, fault });
    }

    /// Answers every request with [`Fault::Late`], those that wait and those to come.
    pub fn answer_late(&self) {
        *lock(&self.inner.late_is_over) = true;
        self.changed();
    }

    /// How the requests with [`Fault::Late`] ended so far.
    pub fn late_ends(&self) -> Vec<LateEnd> {
        lock(&self.inner.late_ends).clone()
    }

    /// What the vendor was asked, oldest first (the newest 1,000).
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.inner.seen).iter().cloned().collect()
    }

    /// What the vendor was asked by this method at paths that contain this text, oldest first.
    pub fn seen_at(&self, method: Method, path_contains: &str) -> Vec<Seen> {
        let matches = |seen: &Seen| seen.method == method && path(&seen.target).contains(path_contains);
        self.seen().into_iter().filter(matches).collect()
    }

    /// Waits until `fact` returns something. It is asked again whenever anything changes at this vendor.
    pub async fn until<T>(&self, mut fact: impl FnMut() -> Option<T>) -> T {
        let mut changes = self.inner.changes.subscribe();
        loop {
            changes.borrow_and_update();
            if let Some(value) = fact() {
                return value;
            }
            changes.changed().await.expect("the sender lives as long as self");
        }
    }

    /// To be called after every change of the vendor's state.
    pub(super) fn changed(&self) {
        self.inner.changes.send_modify(|count| *count += 1);
    }

    fn take_fault(&self, method: &Method, path: &str) -> Option<Fault> {
        let mut faults = lock(&self.inner.faults);
        let due = faults.iter().position(|plan| plan.method == *method && path.contains(&plan.path_contains))?;
        Some(faults.remove(due).fault)
    }

    fn remember(&self, seen: Seen) {
        let mut log = lock(&self.inner.seen);
        if log.len() == REMEMBERED {
            log.pop_front();
        }
        log.push_back(seen);
        drop(log);
        self.changed();
    }
}

/// Remembers each request and lets the planned faults happen. The outermost layer of an emulated vendor.
pub(super) async fn steer(State(control): State<Control>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let (kept, body) = if parts.uri.path() == control.inner.streamed_path {
        (Bytes::new(), body)
    } else {
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
        (bytes.clone(), Body::from(bytes))
    };
    let target = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let method = parts.method.clone();
    let fault = control.take_fault(&method, path(&target));
    control.remember(Seen { method, target, headers: parts.headers.clone(), body: kept });

    let request = Request::from_parts(parts, body);
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

fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// A test that panicked while holding the lock has already failed; the others go on.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;

    use super::*;
    use crate::sandbox::outgoing;

    /// How long a client waits for the answer that never comes.
    const PATIENCE: Duration = Duration::from_millis(100);

    async fn ask(fault: Fault) -> (Control, reqwest::Result<reqwest::Response>) {
        let control = Control::new(|status| serde_json::json!({ "status": status.as_u16() }), "");
        let router = Router::new().route("/thing", get(|| async { "a body of some length" }));
        let router = router.layer(from_fn_with_state(control.clone(), steer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/thing?a=b", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
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
        assert_eq!(control.seen_at(Method::GET, "/thing")[0].target, "/thing?a=b");
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
        assert_eq!(control.seen().len(), 1);
    }

    #[tokio::test]
    async fn a_cut_body_breaks_off_after_a_good_head() {
        let mut answer = ask(Fault::CutBody).await.1.unwrap();
        assert_eq!((answer.status().as_u16(), answer.content_length()), (200, Some(21)));
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "a body of ");
        let error = answer.chunk().await.unwrap_err();
        assert!(!error.is_timeout(), "{error:?}");
    }

    #[tokio::test]
    async fn a_wrong_body_comes_with_the_right_status() {
        let answer = ask(Fault::WrongBody("<html>")).await.1.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.text().await.unwrap(), "<html>");
    }
}
