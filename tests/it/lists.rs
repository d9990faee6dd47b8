//! The vendors' lists, in which the program looks for a call or transcript whose id it never received: how many pages it
//! reads, and that it follows no address in them to another host.

use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::{Json, Router};
use callscribe::internals::{AssemblyAi, Credentials, Deadlines, Kind, TranscriptStatus, Twilio};
use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::twilio::{ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER, SeededCall};
use callscribe::sandbox::{assemblyai, twilio};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{client, listen, refuse};

const TO: &str = "+14155551234";

/// A fake vendor.
struct Vendor {
    url: String,
    /// Path and query of each request.
    requests: Arc<Mutex<Vec<String>>>,
}

type Answer = Arc<dyn Fn(&str) -> Value + Send + Sync>;

impl Vendor {
    /// Starts a vendor that answers each path and query with `answer`.
    async fn start(answer: impl Fn(&str) -> Value + Send + Sync + 'static) -> Self {
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let state: (Answer, _) = (Arc::new(answer), Arc::clone(&requests));
        let reply = |State((answer, requests)): State<(Answer, Arc<Mutex<Vec<String>>>)>, request: Request| async move {
            let target = request.uri().to_string();
            requests.lock().expect("an unpoisoned lock").push(target.clone());
            Json(answer(&target))
        };
        let listener = listen().await;
        let url = format!("http://{}", listener.local_addr().expect("a bound listener"));
        let router = Router::new().fallback(reply).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("an unpoisoned lock").clone()
    }
}

fn twilio_at(url: &str) -> Twilio {
    let credentials = Credentials { user: ACCOUNT_SID.to_owned(), password: AUTH_TOKEN.into() };
    Twilio::new(url.parse().expect("an address"), ACCOUNT_SID.to_owned(), credentials, Deadlines::default())
}

fn assemblyai_at(url: &str) -> AssemblyAi {
    AssemblyAi::new(url.parse().expect("an address"), assemblyai::API_KEY.into(), Deadlines::default())
}

fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

#[tokio::test]
async fn calls_between_two_numbers_are_listed_newest_first_over_all_pages() {
    let sandbox = twilio::Twilio::start(listen().await, Pace::instant());
    let mut calls = Vec::new();
    for _ in 0..60 {
        calls.push(sandbox.add_call(SeededCall::default()));
        sandbox.add_call(SeededCall { to: "+14155550000".to_owned(), ..Default::default() });
    }
    calls.reverse();
    let since = Timestamp::UNIX_EPOCH;
    let found = twilio_at(sandbox.url()).calls_between(TO, PHONE_NUMBER, |_| since).await.expect("calls");
    assert_eq!(found.iter().map(|call| &call.sid).collect::<Vec<_>>(), calls.iter().collect::<Vec<_>>());
    assert!(found.iter().all(|call| call.to.as_deref() == Some(TO) && call.created().is_some()));
    assert_eq!(sandbox.control.requests().len(), 2);
    let of_another = twilio_at(sandbox.url()).calls_between(TO, "+14155559999", |_| since).await.expect("calls");
    assert_eq!(of_another.len(), 0);
}

#[tokio::test]
async fn older_calls_and_legs_of_other_calls_are_left_out_and_no_page_after_them_is_read() {
    let call = |sid, date| json!({ "sid": sid, "status": "queued", "date_created": date });
    let mut leg = call("CA6", json!("Mon, 23 Nov 2026 01:50:10 +0000"));
    leg["parent_call_sid"] = json!("CA3");
    let vendor = Vendor::start(move |target| match target.rsplit_once("Page=").map(|(_, page)| page) {
        None => json!({
            "calls": [
                call("CA1", json!("Mon, 23 Nov 2026 01:50:20 +0000")),
                call("CA2", json!(null)),
                call("CA3", json!("Mon, 23 Nov 2026 01:50:10 +0000")),
                leg,
            ],
            "next_page_uri": "/2010-04-01/Calls.json?Page=1",
        }),
        Some("1") => json!({ "calls": [], "next_page_uri": "/2010-04-01/Calls.json?Page=2" }),
        Some("2") => json!({
            "calls": [
                call("CA4", json!("Mon, 23 Nov 2026 01:50:05 +0000")),
                call("CA5", json!("Mon, 23 Nov 2026 01:50:04 +0000")),
            ],
            "next_page_uri": "/2010-04-01/Calls.json?Page=3",
        }),
        _ => panic!("the program requested an older page"),
    })
    .await;
    // Twilio's dates have no fraction, so CA4 may have been created after `since`.
    let since = at("2026-11-23T01:50:05.9Z");
    let found = twilio_at(&vendor.url).calls_between("+14155551234", "+15005550006", |_| since).await.expect("calls");
    assert_eq!(found.iter().map(|call| &*call.sid).collect::<Vec<_>>(), ["CA1", "CA3", "CA4"]);
    assert_eq!(found[0].created(), Some(at("2026-11-23T01:50:20Z")));
    let first =
        format!("/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json?To=%2B14155551234&From=%2B15005550006&PageSize=50");
    assert_eq!(vendor.requests(), [&first, "/2010-04-01/Calls.json?Page=1", "/2010-04-01/Calls.json?Page=2"]);
}

#[tokio::test]
async fn a_page_that_ends_without_a_date_is_the_last() {
    for date in [json!(null), json!("soon")] {
        let vendor = Vendor::start(move |_| {
            let call = json!({ "sid": "CA1", "status": "queued", "date_created": date });
            json!({ "calls": [call], "next_page_uri": "/2010-04-01/Calls.json?Page=1" })
        });
        let vendor = vendor.await;
        let found = twilio_at(&vendor.url).calls_between(TO, PHONE_NUMBER, |_| Timestamp::UNIX_EPOCH).await;
        assert_eq!(found.expect("calls").len(), 0);
        assert_eq!(vendor.requests().len(), 1);
    }
}

/// Submits a transcript of this address to the sandbox. Returns the transcript id.
async fn submit(sandbox: &assemblyai::AssemblyAi, audio_url: &str) -> String {
    let request =
        client().post(format!("{}/v2/transcript", sandbox.url())).header("authorization", assemblyai::API_KEY);
    let body = json!({ "audio_url": audio_url }).to_string();
    let answer = request.header("content-type", "application/json").body(body).send().await.expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    answer["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn transcripts_are_listed_newest_first_over_all_pages_and_a_failed_page_is_retried() {
    let sandbox = assemblyai::AssemblyAi::start(listen().await, Pace::instant());
    let mut ids = Vec::new();
    for number in 0..201 {
        ids.push(submit(&sandbox, &format!("https://example.com/{number}")).await);
    }
    ids.reverse();
    let before = sandbox.control.requests().len();
    sandbox.control.fail_next(Method::GET, "/v2/transcript", refuse(503));
    let client = assemblyai_at(sandbox.url());
    let found = client.transcripts_since(|_| Timestamp::UNIX_EPOCH).await.expect("transcripts");
    assert_eq!(found.iter().map(|listed| &listed.id).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    assert_eq!(found[200].audio_url.as_deref(), Some("https://example.com/0"));
    assert!(found[200].created_at().is_some_and(|created| created > at("2026-01-01T00:00:00Z")));
    assert_eq!(sandbox.control.requests().len() - before, 3);
    let tomorrow = found[0].created_at().expect("a date") + jiff::SignedDuration::from_hours(24);
    assert_eq!(client.transcripts_since(|_| tomorrow).await.expect("transcripts").len(), 0);
}

#[tokio::test]
async fn older_transcripts_are_requested_by_id_whatever_address_assemblyai_names() {
    let elsewhere = Vendor::start(|_| json!({})).await;
    let prev_url = format!("{}/v2/transcript?limit=200&before_id=x", elsewhere.url);
    let listed = |id: &str, created: &str| json!({ "id": id, "status": "new", "created": created, "audio_url": null });
    let vendor = Vendor::start(move |target| {
        let transcripts = match target.rsplit_once("before_id=").map(|(_, id)| id) {
            None => json!([listed("e", "2026-11-23T01:50:20.5"), listed("d&", "soon")]),
            Some("d%26") => json!([
                listed("c", "2026-11-23T01:50:05"),
                listed("b", "2026-11-23T01:50:04.999999"),
                { "id": "a", "status": "completed" },
            ]),
            _ => panic!("the program requested an older page"),
        };
        json!({ "page_details": { "prev_url": prev_url, "new": 1 }, "transcripts": transcripts })
    })
    .await;
    let found =
        assemblyai_at(&vendor.url).transcripts_since(|_| at("2026-11-23T01:50:05Z")).await.expect("transcripts");
    // A transcript with an unreadable or missing date is listed.
    assert_eq!(found.iter().map(|listed| &*listed.id).collect::<Vec<_>>(), ["e", "d&", "c", "a"]);
    assert_eq!((found[0].status, &found[3].audio_url), (TranscriptStatus::Processing, &None));
    assert_eq!(vendor.requests(), ["/v2/transcript?limit=200", "/v2/transcript?limit=200&before_id=d%26"]);
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn an_endless_list_of_transcripts_is_given_up_after_25_pages() {
    let vendor = Vendor::start(|target| {
        let page = target.rsplit_once("before_id=").map_or(0, |(_, id)| id.parse::<u32>().expect("a number"));
        let listed = json!({ "id": (page + 1).to_string(), "status": "queued", "created": "2026-11-23T01:50:20" });
        json!({ "page_details": { "prev_url": "/older" }, "transcripts": [listed] })
    })
    .await;
    let error = assemblyai_at(&vendor.url)
        .transcripts_since(|_| Timestamp::UNIX_EPOCH)
        .await
        .expect_err("a list that is given up");
    assert!(matches!(error.kind, Kind::BadBody { .. }), "{error}");
    assert_eq!(vendor.requests().len(), 25);
}

#[tokio::test]
async fn a_broken_list_of_transcripts_is_an_error() {
    let same = json!({ "page_details": { "prev_url": "/" }, "transcripts": [{ "id": "a", "status": "queued" }] });
    let empty = json!({ "page_details": { "prev_url": "/" }, "transcripts": [] });
    for (answer, place, requests) in [
        (same, "page_details.prev_url", 2),
        // Without a last id, older transcripts cannot be requested.
        (empty, "page_details.prev_url", 1),
        (json!({}), "the top level", 1),
        (json!({ "page_details": {}, "transcripts": [{ "id": 7 }] }), "transcripts[0].id", 1),
    ] {
        let vendor = Vendor::start(move |_| answer.clone()).await;
        let error =
            assemblyai_at(&vendor.url).transcripts_since(|_| Timestamp::UNIX_EPOCH).await.expect_err("a broken list");
        assert_eq!(error.kind, Kind::BadBody { path: place.to_owned() });
        assert_eq!(vendor.requests().len(), requests);
    }
}

#[tokio::test]
async fn an_endless_list_of_twilio_is_given_up_after_20_pages() {
    let vendor = Vendor::start(|target| {
        let page = target.rsplit_once("Page=").map_or(0, |(_, page)| page.parse::<u32>().unwrap_or(0)) + 1;
        let next = format!("/2010-04-01/Accounts/{ACCOUNT_SID}/Some.json?Page={page}");
        let call = json!({ "sid": "CA1", "status": "queued", "date_created": "Mon, 23 Nov 2026 01:50:20 +0000" });
        json!({ "calls": [call], "recordings": [call], "next_page_uri": next })
    })
    .await;
    let twilio = twilio_at(&vendor.url);
    let calls = twilio.calls_between(TO, PHONE_NUMBER, |_| Timestamp::UNIX_EPOCH).await.expect_err("a list given up");
    assert_eq!((calls.kind, vendor.requests().len()), (Kind::BadBody { path: "next_page_uri".to_owned() }, 20));
    let recordings = twilio.recordings_of_call("CA1").await.expect_err("a list given up");
    assert_eq!((recordings.kind, vendor.requests().len()), (Kind::BadBody { path: "next_page_uri".to_owned() }, 40));
}

#[tokio::test]
async fn a_list_that_leads_back_to_a_page_before_is_given_up_there() {
    let vendor = Vendor::start(|target| {
        let next = if target.ends_with("Page=1") { 2 } else { 1 };
        let listed = json!({ "id": format!("{next}"), "status": "queued", "created": "2026-11-23T01:50:20" });
        let listed = match target.rsplit_once("before_id=") {
            Some((_, "1")) => json!({ "id": "2", "status": "queued" }),
            Some(_) => json!({ "id": "1", "status": "queued" }),
            None => listed,
        };
        json!({
            "recordings": [],
            "next_page_uri": format!("/2010-04-01/Recordings.json?Page={next}"),
            "page_details": { "prev_url": "/older" },
            "transcripts": [listed],
        })
    })
    .await;
    let error = twilio_at(&vendor.url).recordings_of_call("CA1").await.expect_err("a list given up");
    assert_eq!((error.kind, vendor.requests().len()), (Kind::BadBody { path: "next_page_uri".to_owned() }, 3));
    let error =
        assemblyai_at(&vendor.url).transcripts_since(|_| Timestamp::UNIX_EPOCH).await.expect_err("a list given up");
    let place = "page_details.prev_url".to_owned();
    assert_eq!((error.kind, vendor.requests().len()), (Kind::BadBody { path: place }, 3 + 3));
}

#[tokio::test]
async fn a_page_has_no_more_entries_than_the_vendor_documents() {
    for (twilios, assemblyais, is_fine) in [(1_000, 200, true), (1_001, 201, false)] {
        let vendor = Vendor::start(move |_| {
            let listed = |entries| vec![json!({ "sid": "RE1", "id": "1", "status": "completed" }); entries];
            json!({ "recordings": listed(twilios), "transcripts": listed(assemblyais), "page_details": {} })
        })
        .await;
        let recordings = twilio_at(&vendor.url).recordings_of_call("CA1").await;
        let transcripts = assemblyai_at(&vendor.url).transcripts_since(|_| Timestamp::UNIX_EPOCH).await;
        if is_fine {
            assert_eq!((recordings.expect("a list").len(), transcripts.expect("a list").len()), (1_000, 200));
        } else {
            for (error, place) in [
                (recordings.expect_err("a list that is too long"), "recordings"),
                (transcripts.expect_err("a list that is too long"), "transcripts"),
            ] {
                assert!(matches!(&error.kind, Kind::BadBody { path } if path.starts_with(place)), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_list_of_long_pages_is_given_up_after_16_mib() {
    let long = "x".repeat(1 << 20);
    let vendor = Vendor::start(move |target| {
        let page = target.rsplit_once("Page=").map_or(0, |(_, page)| page.parse::<u32>().unwrap_or(0)) + 1;
        let before = target.rsplit_once("before_id=").map_or(0, |(_, id)| id.parse::<u32>().expect("a number")) + 1;
        json!({
            "recordings": [{ "sid": &long, "status": "completed" }],
            "next_page_uri": format!("/2010-04-01/Recordings.json?Page={page}"),
            "page_details": { "prev_url": "/older" },
            "transcripts": [{ "id": before.to_string(), "audio_url": &long, "status": "queued" }],
        })
    })
    .await;
    let recordings = twilio_at(&vendor.url).recordings_of_call("CA1").await.expect_err("a list given up");
    assert!(matches!(recordings.kind, Kind::BadBody { .. }), "{recordings}");
    assert_eq!(vendor.requests().len(), 8, "each page has both lists");
    let transcripts = assemblyai_at(&vendor.url).transcripts_since(|_| Timestamp::UNIX_EPOCH).await;
    let error = transcripts.expect_err("a list given up");
    assert!(matches!(error.kind, Kind::BadBody { .. }), "{error}");
    assert_eq!(vendor.requests().len(), 8 + 8);
}
