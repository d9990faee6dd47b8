//! A door in front of the program that notes what comes in by it and how that is answered. It changes nothing: who
//! comes by it is as near, or as far, as who does not.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use reqwest::header::HeaderMap;
use tokio::sync::watch;

use super::{client, listen};

/// What is awaited comes in seconds. After this it does not come, and the test says what came instead.
pub(crate) const GIVEN_UP: Duration = Duration::from_secs(100);

/// The door.
pub(crate) struct Front {
    /// `localhost` and its port.
    pub(crate) host: String,
    noted: Arc<watch::Sender<Vec<Passed>>>,
}

/// A request, and its answer.
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    /// Method, path and query.
    pub(crate) request: String,
    pub(crate) headers: HeaderMap,
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Front {
    /// In front of the program at this address.
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
                // Events come for as long as they are listened to.
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

    /// What has been answered so far.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.noted.borrow().clone()
    }

    /// Waits until what has been answered is enough.
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
    /// Whether the browser goes there, and does not ask for a part of a page.
    pub(crate) fn is_navigation(&self) -> bool {
        self.headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate")
    }

    /// Whether the browser asks ahead of its user.
    pub(crate) fn is_speculative(&self) -> bool {
        self.headers.contains_key("sec-purpose")
    }
}
