//! `/events`: each stream reports every change, whichever instance on the store made it, and misses none.

use serde_json::json;

use crate::support::World;
use crate::support::stream::Stream;

/// Maximum number of open streams.
const STREAMS: usize = 64;

impl World {
    async fn stream(&self, query: &str, headers: &[(&str, &str)]) -> Stream {
        self.stream_at(&self.base, query, headers).await
    }

    /// Opens a stream of another instance.
    async fn stream_at(&self, base: &str, query: &str, headers: &[(&str, &str)]) -> Stream {
        match Stream::open(&self.http, base, query, headers).await {
            Ok(stream) => stream,
            Err(answer) => panic!("no stream: {}", answer.text()),
        }
    }

    /// Dials and returns the call id.
    async fn dial_for_id(&self, number: &str) -> String {
        let sid = self.dial(number).await;
        self.call(&sid).await["id"].as_str().expect("an id").to_owned()
    }
}

#[tokio::test]
async fn a_change_is_reported_as_it_happens() {
    let world = World::new().await;
    let mut stream = world.stream("", &[]).await;
    let call = world.dial_for_id("14155551234").await;
    stream.until_changed(&call).await;
    world.settle().await;
    stream.until_changed(&call).await;
}

#[tokio::test]
async fn a_reopened_stream_reports_what_changed_meanwhile() {
    let world = World::new().await;
    let mut stream = world.stream("", &[]).await;
    let first = world.dial_for_id("14155551234").await;
    let known = stream.until_changed(&first).await;
    drop(stream);
    let missed = world.dial_for_id("14155551235").await;
    // A browser reconnects with `Last-Event-ID`; a page reopens its stream with `since`.
    for (query, headers) in [("", vec![("last-event-id", &*known)]), (&*format!("?since={known}"), vec![])] {
        let mut stream = world.stream(query, &headers).await;
        let event = stream.next().await.expect("an event");
        assert!(event.data["changed"].as_array().expect("ids").iter().any(|id| *id == missed), "{event:?}");
        assert_eq!(event.data["all"], false);
    }
    // `Last-Event-ID` is newer than the page's `since` and overrides it.
    let event = world.stream("?since=999999999", &[("last-event-id", &known)]).await.next().await.expect("an event");
    assert_eq!(event.data["all"], false);
}

#[tokio::test]
async fn a_pages_stream_reports_what_changed_since_the_page_was_rendered() {
    let world = World::new().await;
    let page = world.get_with("/", &[("accept", "text/html")]).await.text();
    let since = page.split_once("data-since=\"").and_then(|(_, rest)| rest.split_once('"')).expect("a number").0;
    let call = world.dial_for_id("14155551234").await;
    world.stream(&format!("?since={since}"), &[]).await.until_changed(&call).await;
}

#[tokio::test]
async fn a_position_that_is_not_in_the_history_means_that_anything_may_have_changed() {
    let world = World::new().await;
    world.dial("14155551234").await;
    for known in ["999999999", "-1", "x", "99999999999999999999999"] {
        let mut stream = world.stream("", &[("last-event-id", known)]).await;
        let event = stream.next().await.expect("an event");
        assert_eq!(event.data["all"], true, "{known}");
        assert!(event.id.parse::<i64>().expect("a number") < 1_000, "{known}: {}", event.id);
    }
}

#[tokio::test]
async fn more_than_a_thousand_missed_changes_mean_that_anything_may_have_changed() {
    let world = World::new().await;
    let rows: Vec<String> = (0..1_001).map(|n| format!("('call{n}', 'call', 'call{n}', 'dialing', 0, 1, 0)")).collect();
    let insert =
        format!("INSERT INTO history (call_id, kind, subject, state, rank, round, at) VALUES {}", rows.join(", "));
    world.store.execute(&insert).await.expect("rows");
    let event = world.stream("?since=0", &[]).await.next().await.expect("an event");
    assert_eq!((event.data, &*event.id), (json!({ "changed": [], "all": true }), "1001"));
    let event = world.stream("?since=1", &[]).await.next().await.expect("an event");
    // On PostgreSQL, rows can become visible late, so the program starts one row earlier.
    assert_eq!(event.data["all"], world.store.is_postgres());
}

#[tokio::test]
async fn changes_by_another_instance_are_reported() {
    let world = World::new().await;
    let (other, base) = world.another_app_with_url(&[]).await;
    let mut stream = world.stream_at(&base, "", &[]).await;
    let call = world.dial_for_id("14155551234").await;
    stream.until_changed(&call).await;
    other.stop().await;
    while stream.next().await.is_some() {}
}

#[tokio::test]
async fn a_stop_ends_streams_and_does_not_wait_for_their_pages() {
    let world = World::new().await;
    let (other, base) = world.another_app_with_url(&[]).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(world.stream_at(&base, "", &[]).await);
    }
    other.stop().await;
    for stream in &mut streams {
        // `next` panics if the stop timed out and cut the stream off.
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn strangers_get_no_stream() {
    let world = World::new().await;
    for headers in
        [vec![("host", "evil.example")], vec![("sec-fetch-site", "cross-site")], vec![("x-forwarded-for", "1")]]
    {
        let Err(answer) = Stream::open(&world.http, &world.base, "?since=0", &headers).await else {
            panic!("a stream for {headers:?}")
        };
        answer.problem(403, "forbidden");
    }
}

#[tokio::test]
async fn the_number_of_streams_is_limited_and_a_closed_one_makes_room() {
    let world = World::new().await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(world.stream("", &[]).await);
    }
    let Err(answer) = Stream::open(&world.http, &world.base, "", &[]).await else { panic!("a stream over the limit") };
    answer.problem(503, "too-many-pages");
    assert_eq!(answer.header("retry-after"), "3");
    assert_eq!(world.get("/calls").await.status, 200, "the limit affects other routes");
    streams.pop();
    // The program notices the closed connection after an unknown delay.
    while let Err(answer) = Stream::open(&world.http, &world.base, "", &[]).await {
        answer.problem(503, "too-many-pages");
    }
}
