//! The requests that an emulated vendor received: the newest in full, all of them as counts.

use std::collections::{HashMap, VecDeque};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method};

/// Maximum number of requests kept in full.
const MAX_KEPT: usize = 1_000;
/// Maximum number of routes counted apart: far more than either vendor has, so that only unknown paths go uncounted.
const MAX_ROUTES: usize = 1_000;
/// Length of the shortest id. No fixed name in a path is as long.
const SHORTEST_ID: usize = 32;

/// A request that the vendor received.
#[derive(Debug, Clone)]
pub struct LoggedRequest {
    pub method: Method,
    /// Path and query, as received.
    pub target: String,
    pub headers: HeaderMap,
    /// Empty for uploads.
    pub body: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct RequestLog {
    newest: VecDeque<LoggedRequest>,
    counts: HashMap<(Method, String), u64>,
}

impl RequestLog {
    pub(super) fn add(&mut self, mut request: LoggedRequest) {
        // Body and headers share the buffer that was read from the connection. Without copies the log would keep that
        // whole buffer alive, with a piece of audio in it for an upload.
        request.body = Bytes::copy_from_slice(&request.body);
        for value in request.headers.values_mut() {
            *value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value is one");
        }
        let route = (request.method.clone(), route(path(&request.target)));
        if self.counts.len() < MAX_ROUTES || self.counts.contains_key(&route) {
            *self.counts.entry(route).or_default() += 1;
        }
        if self.newest.len() == MAX_KEPT {
            self.newest.pop_front();
        }
        self.newest.push_back(request);
    }

    pub(super) fn find(&self, matches: impl Fn(&LoggedRequest) -> bool) -> Vec<LoggedRequest> {
        self.newest.iter().filter(|request| matches(request)).cloned().collect()
    }

    pub(super) fn count(&self, method: &Method, route_end: &str) -> u64 {
        let counts = self.counts.iter().filter(|((one, route), _)| one == method && route.ends_with(route_end));
        counts.map(|(_, count)| count).sum()
    }
}

pub(super) fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// Replaces each id in a path with `{id}`; a file extension stays.
fn route(path: &str) -> String {
    let name = |segment: &str| match segment.split_once('.') {
        Some((stem, extension)) if stem.len() >= SHORTEST_ID => format!("{{id}}.{extension}"),
        None if segment.len() >= SHORTEST_ID => "{id}".to_owned(),
        _ => segment.to_owned(),
    };
    path.split('/').map(name).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, target: &str) -> LoggedRequest {
        LoggedRequest { method, target: target.to_owned(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    #[test]
    fn requests_are_counted_by_route_also_after_they_left_the_log() {
        let account = "/2010-04-01/Accounts/AC5a9db0c05a9db0c05a9db0c05a9db0c0";
        let mut log = RequestLog::default();
        for _ in 0..2_000 {
            log.add(request(Method::GET, &format!("{account}/Recordings/{}.wav?RequestedChannels=2", sid("RE"))));
        }
        log.add(request(Method::GET, &format!("{account}/Recordings/{}", sid("RE"))));
        log.add(request(Method::POST, &format!("{account}/Calls.json")));
        log.add(request(Method::GET, &format!("{account}/Calls.json?To=%2B1")));
        log.add(request(Method::GET, &format!("{account}/Calls/{}/Recordings.json", sid("CA"))));
        log.add(request(Method::DELETE, &format!("/v2/transcript/{}", uuid::Uuid::new_v4())));
        assert_eq!(log.find(|_| true).len(), 1_000);
        for (method, route, count) in [
            (Method::GET, "/Recordings/{id}.wav", 2_000),
            (Method::GET, "/Recordings/{id}", 1),
            (Method::POST, "/Calls.json", 1),
            (Method::GET, "/Calls.json", 1),
            (Method::GET, "/2010-04-01/Accounts/{id}/Calls/{id}/Recordings.json", 1),
            (Method::DELETE, "/v2/transcript/{id}", 1),
            (Method::DELETE, "/v2/transcript", 0),
        ] {
            assert_eq!(log.count(&method, route), count, "{method} {route}");
        }
    }

    #[test]
    fn unknown_paths_do_not_grow_the_counts_without_bounds() {
        let mut log = RequestLog::default();
        log.add(request(Method::GET, "/v2/transcript"));
        for number in 0..5_000 {
            log.add(request(Method::GET, &format!("/{number}")));
        }
        log.add(request(Method::GET, "/v2/transcript"));
        assert_eq!((log.counts.len(), log.count(&Method::GET, "/v2/transcript")), (MAX_ROUTES, 2));
    }

    fn sid(kind: &str) -> String {
        format!("{kind}{}", uuid::Uuid::new_v4().simple())
    }
}
