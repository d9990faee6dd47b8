//! Access without a token: only for requests from this computer, for one of its names, and without a proxy.

#![no_main]

mod program;

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::HOST;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::{Corpus, fuzz_target};
use program::Program;

static PROGRAM: LazyLock<Program> = LazyLock::new(Program::start);

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    is_from_elsewhere: bool,
    /// The host of an absolute request target.
    target: Option<&'a str>,
    /// A second `Host`.
    second: Option<&'a [u8]>,
    header: Option<(&'a str, &'a [u8])>,
    host: &'a [u8],
}

fuzz_target!(|input: Input| -> Corpus {
    match send(&input) {
        Some(status) => {
            if status == StatusCode::NOT_FOUND {
                assert!(may_enter(&input), "a stranger gets access");
            } else {
                // Other headers may mark a request that a foreign page or a browser sends on its own.
                assert_eq!(status, StatusCode::FORBIDDEN);
                assert!(!may_enter(&input) || input.header.is_some(), "the operator is refused");
            }
            Corpus::Keep
        }
        None => Corpus::Reject,
    }
});

/// Returns the status, or `None` if the input is not a valid HTTP request.
fn send(input: &Input) -> Option<StatusCode> {
    let target = input.target.map(|authority| format!("http://{authority}/nowhere"));
    let mut request = Request::get(target.as_deref().unwrap_or("/nowhere")).body(Body::empty()).ok()?;
    let headers = request.headers_mut();
    for host in [Some(input.host), input.second].into_iter().flatten() {
        headers.append(HOST, HeaderValue::from_bytes(host).ok()?);
    }
    if let Some((name, value)) = input.header {
        headers.append(name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    let peer: IpAddr = if input.is_from_elsewhere { [192, 0, 2, 1].into() } else { [127, 0, 0, 1].into() };
    Some(PROGRAM.handle(request, SocketAddr::new(peer, 50_000)))
}

/// The access rule, implemented a second time.
fn may_enter(input: &Input) -> bool {
    let host = input.host.to_ascii_lowercase();
    let is_local = ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| match host.strip_prefix(name.as_bytes()) {
        Some([]) => true,
        Some([b':', port @ ..]) => (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit),
        _ => false,
    });
    let is_target = input.target.is_none_or(|target| target.as_bytes().eq_ignore_ascii_case(input.host));
    let is_proxied = input.header.is_some_and(|(name, _)| {
        let name = name.to_ascii_lowercase();
        ["forwarded", "via", "x-real-ip", "host"].contains(&name.as_str())
            || ["x-forwarded-", "cf-", "ngrok-"].iter().any(|prefix| name.starts_with(prefix))
    });
    is_local && is_target && !is_proxied && !input.is_from_elsewhere && input.second.is_none()
}
