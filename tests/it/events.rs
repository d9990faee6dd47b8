//! `/events`: open pages are told what changed, on whichever program on the store that was, and miss nothing.

use serde_json::json;

use crate::support::stream::Stream;
use crate::support::{World, listen};

/// Pages that are told at once.
const STREAMS: usize = 64;

impl World {
    /// Opens a stream.
    async fn stream(&self, query: &str, headers: &[(&str, &str)]) -> Stream {
        match Stream::open(&self.http, &self.base, query, headers).await {
            Ok(stream) => stream,
            Err(answer) => panic!("no stream: {}", answer.text()),
        }
    }

    /// Dials, and gives our id of the call.
    async fn dial_for_id(&self, number: &str) -> String {
        let sid = self.dial(number).await;
        self.call(&sid).await["id"].as_str().expect("an id").to_owned()
    }
}

#[tokio::test]
async fn a_change_is_told_as_it_happens() {
    let world = World::new().await;
    let mut stream = world.stream("", &[]).await;
    let call = world.dial_for_id("14155551234").await;
    stream.until_changed(&call).await;
    world.settle().await;
    stream.until_changed(&call).await;
}

#[tokio::test]
async fn who_comes_back_is_told_what_changed_meanwhile() {
    let world = World::new().await;
    let mut stream = world.stream("", &[]).await;
    let first = world.dial_for_id("14155551234").await;
    let known = stream.until_changed(&first).await;
    drop(stream);
    let missed = world.dial_for_id("14155551235").await;
    // As a browser comes back by itself, and as a page opens its stream again.
    for (query, headers) in [("", vec![("last-event-id", &*known)]), (&*format!("?since={known}"), vec![])] {
        let mut stream = world.stream(query, &headers).await;
        let told = stream.next().await.expect("an event");
        assert!(told.data["changed"].as_array().expect("ids").iter().any(|id| *id == missed), "{told:?}");
        assert_eq!(told.data["all"], false);
    }
    // What the browser says holds, not what stood in the page when it was written.
    let told = world.stream("?since=999999999", &[("last-event-id", &known)]).await.next().await.expect("an event");
    assert_eq!(told.data["all"], false);
}

#[tokio::test]
async fn a_page_is_told_what_changed_since_it_was_written() {
    let world = World::new().await;
    let page = world.get_with("/", &[("accept", "text/html")]).await.text();
    let since = page.split_once("data-since=\"").and_then(|(_, rest)| rest.split_once('"')).expect("a number").0;
    let call = world.dial_for_id("14155551234").await;
    world.stream(&format!("?since={since}"), &[]).await.until_changed(&call).await;
}

#[tokio::test]
async fn who_names_a_row_that_is_not_of_this_history_is_told_that_anything_may_have_changed() {
    let world = World::new().await;
    world.dial("14155551234").await;
    for known in ["999999999", "-1", "x", "99999999999999999999999"] {
        let mut stream = world.stream("", &[("last-event-id", known)]).await;
        let told = stream.next().await.expect("an event");
        assert_eq!(told.data["all"], true, "{known}");
        assert!(told.id.parse::<i64>().expect("a number") < 1_000, "{known}: {}", told.id);
    }
}

#[tokio::test]
async fn who_missed_more_than_is_told_one_by_one_is_told_that_anything_may_have_changed() {
    let world = World::new().await;
    let rows: Vec<String> = (0..1_001).map(|n| format!("('call{n}', 'call', 'call{n}', 'dialing', 0, 1, 0)")).collect();
    let insert =
        format!("INSERT INTO history (call_id, kind, subject, state, rank, round, at) VALUES {}", rows.join(", "));
    world.store.execute(&insert).await.expect("rows");
    let told = world.stream("?since=0", &[]).await.next().await.expect("an event");
    assert_eq!((told.data, &*told.id), (json!({ "changed": [], "all": true }), "1001"));
    let told = world.stream("?since=1", &[]).await.next().await.expect("an event");
    // PostgreSQL may show rows late, so one is looked back for.
    assert_eq!(told.data["all"], world.store.is_postgres());
}

#[tokio::test]
async fn what_another_program_on_the_store_does_is_told() {
    let world = World::new().await;
    let listener = listen().await.into_std().expect("a listener");
    let base = format!("http://{}", listener.local_addr().expect("a bound listener"));
    let other = world.another_app_at(listener, &[], false).await;
    let Ok(mut stream) = Stream::open(&world.http, &base, "", &[]).await else { panic!("no stream") };
    let call = world.dial_for_id("14155551234").await;
    stream.until_changed(&call).await;
    other.stop().await;
    while stream.next().await.is_some() {}
}

#[tokio::test]
async fn a_stop_ends_streams_and_does_not_wait_for_their_pages() {
    let world = World::new().await;
    let listener = listen().await.into_std().expect("a listener");
    let base = format!("http://{}", listener.local_addr().expect("a bound listener"));
    let other = world.another_app_at(listener, &[], false).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let Ok(stream) = Stream::open(&world.http, &base, "", &[]).await else { panic!("no stream") };
        streams.push(stream);
    }
    other.stop().await;
    for stream in &mut streams {
        // What is cut off when the time for a stop is over fails here.
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn strangers_are_told_nothing() {
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
async fn so_many_pages_are_told_at_once_and_one_that_is_closed_makes_room() {
    let world = World::new().await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(world.stream("", &[]).await);
    }
    let Err(answer) = Stream::open(&world.http, &world.base, "", &[]).await else { panic!("one more") };
    answer.problem(503, "too-many-pages");
    assert_eq!(answer.header("retry-after"), "3");
    assert_eq!(world.get("/calls").await.status, 200, "everything else is answered");
    streams.pop();
    // The program hears of the closed connection when it does.
    while let Err(answer) = Stream::open(&world.http, &world.base, "", &[]).await {
        answer.problem(503, "too-many-pages");
    }
}
