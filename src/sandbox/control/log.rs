//! What an emulated vendor was asked: the newest requests in full, all of them as numbers.

use std::collections::{HashMap, VecDeque};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method};

use super::path;

/// The newest requests that are remembered in full.
const REMEMBERED: usize = 1_000;
/// The routes that are told apart: many more than either vendor has, so that only nonsense goes uncounted.
const MOST_ROUTES: usize = 1_000;
/// No name in a path is as long as the shortest id.
const SHORTEST_ID: usize = 32;

/// A request that the vendor received.
#[derive(Debug, Clone)]
pub struct LoggedRequest {
    /// The method.
    pub method: Method,
    /// Path and query, as received.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body if it was small and known in length; empty for uploads.
    pub body: Bytes,
}

/// All that is known of the past.
#[derive(Debug, Default)]
pub(super) struct Log {
    newest: VecDeque<LoggedRequest>,
    counts: HashMap<(Method, String), u64>,
}

impl Log {
    pub(super) fn add(&mut self, mut seen: LoggedRequest) {
        // As they come, they are parts of what was read from the connection, and would keep all of that: an upload's
        // headers a piece of its audio.
        seen.body = Bytes::copy_from_slice(&seen.body);
        for value in seen.headers.values_mut() {
            *value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value is one");
        }
        let route = (seen.method.clone(), route(path(&seen.target)));
        if self.counts.len() < MOST_ROUTES || self.counts.contains_key(&route) {
            *self.counts.entry(route).or_default() += 1;
        }
        if self.newest.len() == REMEMBERED {
            self.newest.pop_front();
        }
        self.newest.push_back(seen);
    }

    pub(super) fn seen(&self, matches: impl Fn(&LoggedRequest) -> bool) -> Vec<LoggedRequest> {
        self.newest.iter().filter(|seen| matches(seen)).cloned().collect()
    }

    pub(super) fn request_count(&self, asked: &Method, end: &str) -> u64 {
        let counts = self.counts.iter().filter(|((method, route), _)| method == asked && route.ends_with(end));
        counts.map(|(_, count)| count).sum()
    }
}

/// The path with `{id}` in the place of each id; what stands behind a dot stays.
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

    fn seen(method: Method, target: &str) -> LoggedRequest {
        LoggedRequest { method, target: target.to_owned(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    #[test]
    fn requests_are_counted_by_their_route_also_when_they_are_forgotten() {
        let account = "/2010-04-01/Accounts/AC5a9db0c05a9db0c05a9db0c05a9db0c0";
        let mut log = Log::default();
        for _ in 0..2_000 {
            log.add(seen(Method::GET, &format!("{account}/Recordings/{}.wav?RequestedChannels=2", sid("RE"))));
        }
        log.add(seen(Method::GET, &format!("{account}/Recordings/{}", sid("RE"))));
        log.add(seen(Method::POST, &format!("{account}/Calls.json")));
        log.add(seen(Method::GET, &format!("{account}/Calls.json?To=%2B1")));
        log.add(seen(Method::GET, &format!("{account}/Calls/{}/Recordings.json", sid("CA"))));
        log.add(seen(Method::DELETE, &format!("/v2/transcript/{}", uuid::Uuid::new_v4())));
        assert_eq!(log.seen(|_| true).len(), 1_000);
        for (method, route, count) in [
            (Method::GET, "/Recordings/{id}.wav", 2_000),
            (Method::GET, "/Recordings/{id}", 1),
            (Method::POST, "/Calls.json", 1),
            (Method::GET, "/Calls.json", 1),
            (Method::GET, "/2010-04-01/Accounts/{id}/Calls/{id}/Recordings.json", 1),
            (Method::DELETE, "/v2/transcript/{id}", 1),
            (Method::DELETE, "/v2/transcript", 0),
        ] {
            assert_eq!(log.request_count(&method, route), count, "{method} {route}");
        }
    }

    #[test]
    fn nonsense_does_not_grow_without_bounds() {
        let mut log = Log::default();
        log.add(seen(Method::GET, "/v2/transcript"));
        for number in 0..5_000 {
            log.add(seen(Method::GET, &format!("/{number}")));
        }
        log.add(seen(Method::GET, "/v2/transcript"));
        assert_eq!((log.counts.len(), log.request_count(&Method::GET, "/v2/transcript")), (MOST_ROUTES, 2));
    }

    fn sid(kind: &str) -> String {
        format!("{kind}{}", uuid::Uuid::new_v4().simple())
    }
}
