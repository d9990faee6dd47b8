//! A proxy in front of the program that records requests and responses. It changes nothing: the program sees a client
//! that comes through it as just as near, or as far, as one that does not.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use reqwest::header::HeaderMap;
use tokio::sync::watch;

use super::{client, listen};

/// Maximum wait for something that takes seconds. After that the test fails and prints what arrived instead.
pub(crate) const GIVEN_UP: Duration = Duration::from_secs(100);

/// The proxy.
pub(crate) struct Front {
    /// `localhost` and its port.
    pub(crate) host: String,
    noted: Arc<watch::Sender<Vec<Passed>>>,
}

/// A request and its response.
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    /// Method, path and query.
    pub(crate) request: String,
    pub(crate) headers: HeaderMap,
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Front {
    /// Starts it in front of the program at this address.
    pub(crate) async fn of(program: &str) -> Self {
        let listener = listen().await;
        let host = format!("localhost:{}", listener.local_addr().expect("a bound listener").port());
        let noted: Arc<watch::Sender<Vec<Passed>>> = Arc::default();
        let (program, notes, http) = (program.to_owned(), Arc::clone(&noted), client());
        let pass_on = move |request: Request| {
            let (program, notes, http) = (program.clone(), Arc::clone(&notes), http.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.expect("a small body");
                let target = parts.uri.to_string();
                let headers = parts.headers.clone();
                let passed = http.request(parts.method.clone(), format!("{program}{target}")).headers(parts.headers);
                let answer = passed.body(body).send().await.expect("an answer");
                let mut response = Response::builder().status(answer.status());
                *response.headers_mut().expect("a status") = answer.headers().clone();
                let (status, request) = (answer.status().as_u16(), format!("{} {target}", parts.method));
                let note = |body| notes.send_modify(|notes| notes.push(Passed { request, headers, status, body }));
                // A stream of events ends only when the client closes it.
                let body = if target.starts_with("/events") {
                    note(String::new());
                    Body::from_stream(answer.bytes_stream())
                } else {
                    let body = answer.bytes().await.expect("a body");
                    note(String::from_utf8_lossy(&body).into_owned());
                    Body::from(body)
                };
                response.body(body).expect("a response")
            }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(pass_on)).await });
        Self { host, noted }
    }

    /// The requests that have been answered so far.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.noted.borrow().clone()
    }

    /// Waits until the answered requests are enough.
    pub(crate) async fn until(&self, is_enough: impl Fn(&[Passed]) -> bool) {
        let mut changes = self.noted.subscribe();
        let enough = changes.wait_for(|passed| is_enough(passed));
        if tokio::time::timeout(GIVEN_UP, enough).await.is_err() {
            let passed: Vec<_> = self.passed().into_iter().map(|passed| (passed.request, passed.status)).collect();
            panic!("what is waited for did not come; what came is {passed:#?}");
        }
    }
}

impl Passed {
    /// Whether the browser navigates there, and does not load a part of a page.
    pub(crate) fn is_navigation(&self) -> bool {
        self.headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate")
    }

    /// Whether the browser prefetches: its user has not asked for the page.
    pub(crate) fn is_speculative(&self) -> bool {
        self.headers.contains_key("sec-purpose")
    }
}
