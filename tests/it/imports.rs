//! Imports: the recordings that the Twilio account already has, what they cost, and how they come here.

use std::time::Duration;

use callscribe::sandbox::control::Fault;
use callscribe::sandbox::twilio::{ACCOUNT_SID, PHONE_NUMBER, SeededCall, SeededRecording};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::encrypted::ONE_PUBLIC;
use crate::support::stream::Stream;
use crate::support::{Answer, World, assert_happened, refuse};

const HTML: (&str, &str) = ("accept", "text/html");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const CALLER: &str = "+14155550123";
const BEGAN: &str = "2026-03-02T10:00:00Z";

/// How many recordings are on a page of the list that the job reads.
const PAGE: usize = 50;

fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

/// A call from [`CALLER`] that another program has answered, this many minutes after [`BEGAN`].
fn call_of_another(minutes: i64) -> SeededCall {
    let began = Some(at(BEGAN) + SignedDuration::from_mins(minutes));
    SeededCall { to: PHONE_NUMBER.to_owned(), from: CALLER.to_owned(), inbound: true, began, ..Default::default() }
}

/// Its recording of 5 seconds, which begins 7 seconds after the call.
fn recording_of(call_sid: &str, minutes: i64) -> SeededRecording {
    let made = Some(at(BEGAN) + SignedDuration::from_mins(minutes) + SignedDuration::from_secs(7));
    SeededRecording { call_sid: call_sid.to_owned(), made, ..Default::default() }
}

/// Such a call with a recording. Returns the SIDs of both.
fn recorded(world: &World, minutes: i64) -> (String, String) {
    let call = world.twilio.add_call(call_of_another(minutes));
    let recording = world.twilio.add_recording(recording_of(&call, minutes));
    (call, recording)
}

fn march() -> Value {
    json!({"since": "2026-03-01", "until": "2026-03-31"})
}

fn confirmed(wanted: &Value) -> Value {
    let mut confirmed = wanted.clone();
    confirmed["confirm"] = json!(true);
    confirmed
}

async fn look(world: &World, wanted: &Value) -> Value {
    let answer = world.post_json("/imports", wanted).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Confirms an import. Returns its address.
async fn begin(world: &World, wanted: &Value) -> String {
    let answer = world.post_json("/imports", &confirmed(wanted)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let location = answer.header("location").to_owned();
    assert_eq!(location, format!("/imports/{}", answer.json()["id"].as_str().expect("an id")));
    location
}

async fn import(world: &World, location: &str) -> Value {
    let answer = world.get(location).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn steer(world: &World, location: &str, deed: &str) -> Answer {
    world.post_json(&format!("{location}/{deed}"), &json!({})).await
}

/// `total`, `done`, `failed` and `skipped`.
fn counts(import: &Value) -> [i64; 4] {
    ["total", "done", "failed", "skipped"].map(|name| import[name].as_i64().unwrap_or_else(|| panic!("{import}")))
}

/// How many orders there were of each of these recordings.
async fn orders(world: &World, recordings: &[String]) -> Vec<i64> {
    let mut orders = Vec::new();
    for sid in recordings {
        orders
            .push(world.store.number(&format!("SELECT count(*) FROM transcripts WHERE recording_sid = '{sid}'")).await);
    }
    orders
}

#[tokio::test]
async fn what_an_import_would_bring_is_said_before_anything_is_ordered() {
    let world = World::with(&[("ASSEMBLYAI_PRICES", "assemblyai-stt-3-7=0.36"), ("TRANSCRIBE_PER_DAY", "0")]).await;
    recorded(&world, 0);
    let (call, long) = recorded(&world, 1);
    world.twilio.add_recording(SeededRecording { duration: Duration::from_secs(100), ..recording_of(&call, 2) });
    world.twilio.add_recording(SeededRecording { duration: Duration::ZERO, ..recording_of(&call, 3) });
    let absent = SeededRecording { status: "absent", error_code: Some(16101), ..recording_of(&call, 4) };
    world.twilio.add_recording(absent);
    // In another month.
    recorded(&world, 60 * 24 * 40);
    assert_eq!(world.post_json("/transcribe", &json!({"recording_sid": long})).await.status, 200);
    world.settle().await;
    let before = world.transcript_requests().len();

    let found = look(&world, &march()).await;
    let expected = json!([found["recordings"], found["seconds"], found["already"], found["skipped"]]);
    assert_eq!(expected, json!([2, 105, 1, 2]), "{found}");
    assert_eq!(found["cost_usd"], json!(0.0105));
    let because = json!([
        {"reason": "Twilio kept no audio: it was too short (Twilio code 16101)", "recordings": 1},
        {"reason": "it is 0 seconds long", "recordings": 1},
    ]);
    assert_eq!(found["skipped_because"], because);
    assert_eq!(
        (&found["since"], &found["until"]),
        (&json!("2026-03-01T00:00:00Z"), &json!("2026-03-31T23:59:59.999Z"))
    );
    let shorter = look(&world, &json!({"since": "2026-03-01", "max_seconds": 4})).await;
    assert_eq!((&shorter["recordings"], &shorter["skipped"]), (&json!(0), &json!(2)), "{shorter}");
    let longer = look(&world, &json!({"since": "2026-03-02T10:00:00Z", "min_seconds": 6})).await;
    assert_eq!((&longer["recordings"], &longer["already"]), (&json!(1), &json!(0)), "{longer}");
    let later = look(&world, &json!({"since": "2026-03-02T10:00:08Z"})).await;
    assert_eq!((&later["recordings"], &later["already"]), (&json!(2), &json!(1)), "{later}");
    let in_future = look(&world, &json!({"since": "2099-01-01"})).await;
    assert_eq!((&in_future["recordings"], &in_future["skipped"]), (&json!(0), &json!(0)), "{in_future}");
    let earlier = look(&world, &json!({"since": "2026-03-02", "until": "2026-03-02T10:00:06Z"})).await;
    assert_eq!((&earlier["recordings"], &earlier["already"]), (&json!(0), &json!(0)), "{earlier}");
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), before, "nothing is ordered");
    assert_eq!(world.store.number("SELECT count(*) FROM imports").await, 0);

    let world = World::with(&[("ASSEMBLYAI_PRICES", "universal-2=0.36")]).await;
    recorded(&world, 0);
    let found = look(&world, &march()).await;
    assert_eq!((&found["recordings"], &found["cost_usd"]), (&json!(1), &Value::Null), "the price is not known");
}

#[tokio::test]
async fn the_recordings_of_a_number_are_those_of_calls_to_it_and_from_it() {
    let world = World::new().await;
    let other = "+14155550177";
    let to = SeededCall { to: other.to_owned(), from: PHONE_NUMBER.to_owned(), inbound: false, ..call_of_another(0) };
    let to = world.twilio.add_call(to);
    world.twilio.add_recording(recording_of(&to, 0));
    // More calls than are on a page of Twilio's list.
    for _ in 0..1_000 {
        world.twilio.add_call(SeededCall { from: other.to_owned(), ..call_of_another(1) });
    }
    let from = world.twilio.add_call(SeededCall { from: other.to_owned(), ..call_of_another(0) });
    world.twilio.add_recording(recording_of(&from, 0));
    recorded(&world, 2);
    let of_number = |number: &str| json!({"since": "2026-03-01", "number": number});
    assert_eq!(look(&world, &march()).await["recordings"], 3);
    // As in the list: a whole number, or the last digits of one.
    for (written, number) in
        [(other, other), ("+1 (415) 555-0177", other), ("(415) 555-0177", "4155550177"), ("0177", "0177")]
    {
        let found = look(&world, &of_number(written)).await;
        assert_eq!((&found["recordings"], &found["number"]), (&json!(2), &json!(number)), "{written}");
    }
    assert_eq!(look(&world, &of_number("8177")).await["recordings"], 0);
    assert_eq!(look(&world, &of_number("+14155550188")).await["recordings"], 0);
    let location = begin(&world, &of_number("55 501 77")).await;
    world.settle().await;
    let done = import(&world, &location).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [2, 2, 0, 0]), "{done}");
}

#[tokio::test]
async fn an_import_transcribes_each_recording_once_under_its_own_date() {
    let world = World::with(&[("TRANSCRIBE_PER_DAY", "0")]).await;
    let (calls, recordings): (Vec<_>, Vec<_>) = (0..3).map(|minutes| recorded(&world, minutes)).unzip();
    let (own, _) = world.recorded_call().await;
    world.settle().await;
    let mut wanted = march();
    let found = look(&world, &wanted).await;
    assert_eq!((&found["recordings"], &found["already"]), (&json!(3), &json!(0)), "{found}");
    wanted["id"] = found["id"].clone();
    let confirmed = confirmed(&wanted);
    let (first, second) =
        tokio::join!(world.post_json("/imports", &confirmed), world.post_json("/imports", &confirmed));
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201), "{}", second.text());
    let location = first.header("location").to_owned();
    assert_eq!(
        (second.header("location"), &*location),
        (&*location, &*format!("/imports/{}", found["id"].as_str().unwrap()))
    );
    assert_eq!(first.json()["state"], "listing");
    world.settle().await;
    let done = import(&world, &location).await;
    assert_eq!((&done["state"], counts(&done), &done["left_seconds"]), (&json!("done"), [3, 3, 0, 0], &json!(0)));
    assert_eq!((&done["seconds"], &done["left_out"]), (&json!(15), &json!([])));
    assert_eq!(orders(&world, &recordings).await, [1, 1, 1]);

    for (minutes, (call, recording)) in calls.iter().zip(&recordings).enumerate() {
        let shown = world.call(call).await;
        let began = at(BEGAN) + SignedDuration::from_mins(i64::try_from(minutes).expect("few"));
        assert_eq!(shown["created_at"], json!(began.to_string()), "{shown}");
        assert_eq!(shown["ended_at"], json!((began + SignedDuration::from_secs(8)).to_string()));
        let (from, state) = (&shown["from"], &shown["state"]);
        assert_eq!((from, &shown["direction"], state), (&json!(CALLER), &json!("inbound"), &json!("completed")));
        assert_eq!((&shown["progress"], &shown["recordings"][0]["sid"]), (&json!("done"), &json!(recording)));
        assert!(shown["transcripts"][0]["text"].as_str().is_some_and(|text| !text.is_empty()));
    }
    let listed = world.get("/calls").await.json();
    let listed: Vec<_> = listed["calls"].as_array().expect("calls").iter().map(|call| call["sid"].clone()).collect();
    assert_eq!(json!(listed), json!([own, calls[2], calls[1], calls[0]]), "by their dates");
    let imported = format!("SELECT count(*) FROM calls WHERE import = '{}'", done["id"].as_str().expect("an id"));
    assert_eq!(world.store.number(&imported).await, 3);

    // The same again is the same import; another one finds nothing new.
    assert_eq!(world.post_json("/imports", &confirmed).await.status, 201);
    let mut other = confirmed.clone();
    other["until"] = json!("2026-03-30");
    world.post_json("/imports", &other).await.problem(409, "other-import");
    let keyed = async |key: &str| {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        let wanted = self::confirmed(&march()).to_string();
        world.send(Method::POST, "/imports", &headers, &wanted).await.header("location").to_owned()
    };
    let (one, same, other) = (keyed("a").await, keyed("a").await, keyed("b").await);
    assert!(one == same && one != other, "{one} {same} {other}");
    world.settle().await;
    for location in [one, other] {
        let again = import(&world, &location).await;
        assert_eq!((&again["state"], counts(&again)), (&json!("done"), [3, 0, 0, 3]), "{again}");
        assert_eq!(again["left_out"], json!([]), "what has a transcript is not listed");
    }
    assert_eq!(orders(&world, &recordings).await, [1, 1, 1]);
    assert_eq!(world.get("/imports").await.json()["imports"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn calls_that_an_import_brought_here_are_marked_and_found_by_it() {
    let world = World::new().await;
    let (own, own_recording) = world.recorded_call().await;
    let (calls, _): (Vec<_>, Vec<_>) = (0..3).map(|minutes| recorded(&world, minutes)).unzip();
    let first = begin(&world, &json!({"since": "2026-03-02T10:00:30Z", "until": "2026-03-31"})).await;
    world.settle().await;
    let second = begin(&world, &json!({"since": "2026-03-01"})).await;
    world.settle().await;
    assert_eq!(orders(&world, &[own_recording]).await, [1]);
    let id = |location: &str| location.trim_start_matches("/imports/").to_owned();
    let found = async |query: &str| {
        let listed = world.get(&format!("/items?{query}")).await.json();
        let items = listed["items"].as_array().expect("a list");
        items.iter().map(|item| item["sid"].as_str().expect("a SID").to_owned()).collect::<Vec<_>>()
    };
    let (of_first, of_second) = (format!("import={}", id(&first)), format!("import={}", id(&second)));
    assert_eq!(found(&of_first).await, [&*calls[2], &*calls[1]]);
    assert_eq!(found(&of_second).await, [&*calls[0]]);
    for (more, expected) in [
        ("sort=oldest", &[&*calls[1], &*calls[2]][..]),
        ("number=0123&limit=1", &[&*calls[2]]),
        ("direction=outbound", &[]),
        ("since=2026-03-02T10:01:30Z", &[&*calls[2]]),
        ("q=forty", &[&*calls[2], &*calls[1]]),
    ] {
        assert_eq!(found(&format!("{of_first}&{more}")).await, expected, "{more}");
    }
    let every = found("").await;
    assert!(every.contains(&own) && every.len() == 4, "{every:?}");
    assert_eq!(world.call(&calls[0]).await["import"], json!(id(&second)));
    assert_eq!(world.call(&own).await.get("import"), None);

    let page = async |path: &str| world.get_with(path, &[HTML]).await.text();
    let list = page(&format!("/items?{of_first}")).await;
    assert_eq!(list.matches("class=\"sort\">Imported<").count(), 2, "{list}");
    assert!(list.contains(&format!("<a href=\"{first}\">The import</a>")), "{list}");
    let form = format!("<input type=\"hidden\" name=\"import\" value=\"{}\">", id(&first));
    assert!(list.contains(&form), "another search stays within the import: {list}");
    assert!(page(&format!("/calls/{}", calls[1])).await.contains(&format!("<a href=\"{first}\">")));
    assert!(!page(&format!("/calls/{own}")).await.contains("/imports/"));
    assert!(page(&first).await.contains(&format!("href=\"/items?{of_first}\"")));
    let list = world.get_with(&format!("/items?{of_second}"), &[("accept", "text/html")]).await.text();
    assert!(list.contains("<span class=\"sort\">Imported<span class=\"unseen\">:</span></span>"), "{list}");
    let detail = world.get("/items?import=1").await.problem(400, "bad-request");
    assert!(detail.contains("import: ") && detail.contains("32 hex digits"), "{detail}");
    assert_eq!(found(&format!("import={}", "0".repeat(32))).await, Vec::<String>::new());
}

#[tokio::test]
async fn few_orders_of_an_import_are_open_at_a_time_and_new_calls_do_not_wait() {
    let world = World::new().await;
    let (_, recordings): (Vec<_>, Vec<_>) = (0..40).map(|minutes| recorded(&world, minutes)).unzip();
    world.assemblyai.hold();
    let location = begin(&world, &march()).await;
    world.settle().await;
    assert_happened(world.transcript_requests().len(), 16);
    let running = import(&world, &location).await;
    assert_eq!((&running["state"], counts(&running)), (&json!("running"), [40, 0, 0, 0]), "{running}");
    let (_, new) = world.recorded_call().await;
    world.settle().await;
    assert_eq!(orders(&world, &[new]).await, [1]);
    assert_happened(world.transcript_requests().len(), 17);
    // Those that AssemblyAI has make room for others, up to a limit.
    for _ in 0..6 {
        world.after(Duration::from_secs(5)).await;
    }
    assert_happened(world.transcript_requests().len(), 33);
    world.assemblyai.release();
    world.settle().await;
    let done = import(&world, &location).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [40, 40, 0, 0]), "{done}");
    assert_eq!(orders(&world, &recordings).await, [1; 40]);
}

#[tokio::test]
async fn the_audio_of_a_new_call_does_not_wait_for_that_of_an_import() {
    let world = World::new().await;
    for minutes in 0..8 {
        let (_, recording) = recorded(&world, minutes);
        world.twilio.control.fail_next(Method::GET, &format!("/Recordings/{recording}.wav"), Fault::Late);
    }
    begin(&world, &march()).await;
    let working = world.another_app_with(&[], true).await;
    let waiting = || world.twilio.control.requests_to(Method::GET, ".wav").len();
    world.twilio.control.until(|| (waiting() >= 3).then_some(())).await;
    // Not of March.
    let (_, new) = recorded(&world, 60 * 24 * 60);
    assert_eq!(
        world.twilio.send_recording_callback(&new, &format!("{}/hooks/twilio/recording", world.base)).await,
        Some(204)
    );
    let ordered = || world.assemblyai.control.requests_to(Method::POST, "/v2/transcript").len();
    world.assemblyai.control.until(|| (ordered() > 0).then_some(())).await;
    assert_happened(waiting(), 4);
    world.twilio.control.answer_late_requests();
    working.stop().await;
}

#[tokio::test]
async fn an_import_tells_its_speed_and_how_long_the_rest_takes() {
    let world = World::new().await;
    for minutes in 0..24 {
        recorded(&world, minutes);
    }
    world.assemblyai.hold();
    let location = begin(&world, &march()).await;
    world.settle().await;
    let begun = import(&world, &location).await;
    assert_eq!((&begun["per_minute"], &begun["left_seconds"]), (&Value::Null, &Value::Null));
    // Sixteen end, and the other eight are ordered.
    world.clock.advance(Duration::from_secs(60));
    world.assemblyai.release();
    world.assemblyai.settled().await;
    world.assemblyai.hold();
    world.settle().await;
    let running = import(&world, &location).await;
    assert_eq!(counts(&running), [24, 16, 0, 0], "{running}");
    assert_eq!((&running["per_minute"], &running["left_seconds"]), (&json!(16.0), &json!(30)));
    // What is long ago does not count.
    world.clock.advance(Duration::from_secs(10 * 60));
    let stuck = import(&world, &location).await;
    assert_eq!((&stuck["per_minute"], &stuck["left_seconds"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_paused_import_orders_nothing_until_it_is_resumed_and_a_canceled_one_never() {
    let world = World::new().await;
    for minutes in 0..40 {
        recorded(&world, minutes);
    }
    world.assemblyai.hold();
    let location = begin(&world, &march()).await;
    world.settle().await;
    let paused = steer(&world, &location, "pause").await;
    assert_eq!((paused.status.as_u16(), &paused.json()["state"]), (200, &json!("paused")), "{}", paused.text());
    world.assemblyai.release();
    world.after(Duration::from_secs(120)).await;
    let paused = import(&world, &location).await;
    assert_eq!((&paused["state"], counts(&paused)), (&json!("paused"), [40, 16, 0, 0]), "what was ordered is made");
    assert_eq!(steer(&world, &location, "pause").await.status, 200, "it is so already");

    world.assemblyai.hold();
    for _ in 0..2 {
        assert_eq!(steer(&world, &location, "resume").await.json()["state"], "running");
    }
    world.settle().await;
    let canceled = steer(&world, &location, "cancel").await;
    assert_eq!(canceled.json()["state"], "canceled");
    world.assemblyai.release();
    world.after(Duration::from_secs(120)).await;
    let canceled = import(&world, &location).await;
    assert_eq!((&canceled["state"], counts(&canceled)), (&json!("canceled"), [40, 32, 0, 0]), "{canceled}");
    assert_eq!(steer(&world, &location, "cancel").await.status, 200);
    for deed in ["pause", "resume"] {
        let detail = steer(&world, &location, deed).await.problem(409, "import-state");
        assert!(detail.contains("canceled"), "{detail}");
    }
    assert_happened(world.transcript_requests().len(), 32);

    // One that is paused before its list is read.
    let location = begin(&world, &march()).await;
    assert_eq!(steer(&world, &location, "pause").await.json()["state"], "paused");
    world.settle().await;
    assert_eq!(counts(&import(&world, &location).await), [0, 0, 0, 0]);
    assert_eq!(steer(&world, &location, "resume").await.json()["state"], "listing");
    world.settle().await;
    let done = import(&world, &location).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [40, 8, 0, 32]), "{done}");
    steer(&world, &format!("/imports/{}", "0".repeat(32)), "pause").await.problem(404, "no-such-import");
}

#[tokio::test]
async fn what_cannot_be_transcribed_is_left_out_and_the_import_goes_on() {
    let world = World::new().await;
    let (call, _) = recorded(&world, 0);
    let with = |minutes, change: fn(SeededRecording) -> SeededRecording| {
        world.twilio.add_recording(change(recording_of(&call, minutes)))
    };
    let silent = with(1, |one| SeededRecording { duration: Duration::ZERO, ..one });
    let absent = with(2, |one| SeededRecording { status: "absent", error_code: Some(16101), ..one });
    let unfinished = with(3, |one| SeededRecording { status: "processing", ..one });
    let gone = with(4, |one| one);
    let refused = with(5, |one| one);
    let live = world.twilio.add_call(SeededCall { status: "in-progress", ..call_of_another(7) });
    let live = world.twilio.add_recording(recording_of(&live, 7));
    let (_, broken) = recorded(&world, 60 * 24 * 40);
    world.twilio.encrypt_recordings("CR5a9db0c05a9db0c05a9db0c05a9db0c0", ONE_PUBLIC);
    let encrypted = with(6, |one| one);
    let found = look(&world, &march()).await;
    assert_eq!((&found["recordings"], &found["skipped"]), (&json!(4), &json!(4)), "{found}");
    world.twilio.control.fail_next(Method::GET, &format!("/Recordings/{gone}.json"), refuse(404));
    world.twilio.control.fail_next(Method::GET, &format!("/Recordings/{refused}.json"), refuse(400));
    let location = begin(&world, &march()).await;
    world.settle().await;
    let done = import(&world, &location).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [8, 1, 1, 6]), "{done}");
    let why = |sid: &str| {
        let left_out = done["left_out"].as_array().expect("a list");
        let found = left_out.iter().find(|one| one["recording"] == sid).unwrap_or_else(|| panic!("{sid}: {done}"));
        (found["state"].as_str().expect("a state"), found["reason"].as_str().expect("a reason").to_owned())
    };
    assert_eq!(why(&silent), ("skipped", "it is 0 seconds long".to_owned()));
    assert_eq!(why(&absent), ("skipped", "Twilio kept no audio: it was too short (Twilio code 16101)".to_owned()));
    assert_eq!(why(&unfinished), ("skipped", "it is not finished".to_owned()));
    assert_eq!(why(&gone), ("skipped", "it is deleted at Twilio".to_owned()));
    assert_eq!(why(&refused).0, "failed");
    assert_eq!(why(&live), ("skipped", "its call is not over".to_owned()));
    assert_eq!(world.store.number("SELECT count(*) FROM jobs WHERE kind = 'call'").await, 0);
    let (state, reason) = why(&encrypted);
    assert!(state == "skipped" && reason.contains("encrypted"), "{reason}");

    // A transcript that AssemblyAI cannot make. It is not paid twice.
    world.assemblyai.fail_next_transcript("this is no speech");
    let later = json!({"since": "2026-04-01"});
    for (expected, state) in [([1, 0, 1, 0], "failed"), ([1, 0, 0, 1], "skipped")] {
        let location = begin(&world, &later).await;
        world.settle().await;
        let done = import(&world, &location).await;
        assert_eq!((&done["state"], counts(&done)), (&json!("done"), expected), "{done}");
        assert_eq!(done["left_out"][0]["state"], state);
    }
    assert_eq!(orders(&world, &[broken]).await, [1]);
}

#[tokio::test]
async fn recordings_of_conferences_and_in_own_storage_are_imported_too() {
    let world = World::new().await;
    let (call, stored) = recorded(&world, 1);
    let (_, of_conference) = recorded(&world, 0);
    let conference = format!("CF{}", "5".repeat(32));
    let elsewhere = "https://bucket.s3.amazonaws.com/audio";
    let json = |sid: &str, minutes: i64| {
        let made = at(BEGAN) + SignedDuration::from_mins(minutes);
        json!({"sid": sid, "status": "completed", "duration": "5", "channels": 1, "date_created": made.to_string()})
    };
    let mut in_storage = json(&stored, 1);
    in_storage["call_sid"] = json!(call);
    in_storage["media_url"] = json!(elsewhere);
    let mut in_conference = json(&of_conference, 0);
    in_conference["conference_sid"] = json!(conference);
    let list = json!({"recordings": [in_storage, in_conference], "next_page_uri": null}).to_string();
    for _ in 0..10 {
        let answer = |path: &str, body: &str| {
            world.twilio.control.fail_next(Method::GET, path, Fault::wrong_body(body.to_owned()));
        };
        answer("/Recordings.json", &list);
        answer(&format!("/Recordings/{stored}.json"), &in_storage.to_string());
        answer(&format!("/Recordings/{of_conference}.json"), &in_conference.to_string());
    }
    let location = begin(&world, &march()).await;
    world.settle().await;
    let done = import(&world, &location).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [2, 1, 1, 0]), "{done}");
    // The sandbox's AssemblyAI can read nothing there.
    let failed = &done["left_out"][0];
    assert_eq!(failed["recording"], json!(stored));
    assert!(failed["reason"].as_str().is_some_and(|reason| reason.contains("without credentials")), "{failed}");
    let given = world.transcript_requests().iter().filter(|order| order["audio_url"] == elsewhere).count();
    assert!(given > 0, "AssemblyAI gets the address");
    let shown = world.call(&"5".repeat(32)).await;
    assert_eq!((&shown["created_at"], &shown["progress"]), (&json!(BEGAN), &json!("done")), "{shown}");
    assert_eq!(shown["recordings"][0]["sid"], json!(of_conference));
}

#[tokio::test]
async fn a_recording_that_got_a_transcript_or_was_deleted_meanwhile_is_skipped() {
    let world = World::new().await;
    let (calls, recordings): (Vec<_>, Vec<_>) = (0..18).map(|minutes| recorded(&world, minutes)).unzip();
    world.assemblyai.hold();
    let location = begin(&world, &march()).await;
    world.settle().await;
    // The newest are ordered first. Of the others, somebody asks for one in another way, and deletes the call of the other.
    assert_eq!(orders(&world, &recordings[..2]).await, [0, 0]);
    let asked = json!({"recording_sid": recordings[1], "speaker_labels": true});
    assert_eq!(world.post_json("/transcribe", &asked).await.status, 200);
    let (deleted, _) = world.recorded_call().await;
    world.assemblyai.release();
    world.assemblyai.settled().await;
    world.settle().await;
    let done = import(&world, &location).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [18, 17, 0, 1]), "{done}");
    assert_eq!(orders(&world, &recordings).await, [1; 18]);
    assert_eq!(world.call(&calls[1]).await["created_at"], json!("2026-03-02T10:01:00Z"));

    assert_eq!(world.post_form(&format!("/calls/{deleted}/delete"), "").await.status, 202);
    world.settle().await;
    // Twilio still lists a recording of it.
    let kept = world.twilio.add_recording(recording_of(&deleted, 60 * 24));
    let location = begin(&world, &json!({"since": "2026-03-03", "until": "2026-03-03"})).await;
    world.settle().await;
    let done = import(&world, &location).await;
    assert_eq!((counts(&done), &done["left_out"][0]["reason"]), ([1, 0, 0, 1], &json!("its call is deleted here")));
    assert_eq!(orders(&world, &[kept]).await, [0]);
}

#[tokio::test]
async fn recordings_that_are_made_after_the_confirmation_are_not_part_of_an_import() {
    let world = World::new().await;
    recorded(&world, 0);
    let location = begin(&world, &json!({"since": "2026-03-01"})).await;
    let call = world.twilio.add_call(SeededCall { began: None, ..call_of_another(0) });
    let made = Some(world.clock.now() + SignedDuration::from_secs(2));
    let new = world.twilio.add_recording(SeededRecording { made, ..recording_of(&call, 0) });
    world.settle().await;
    let done = import(&world, &location).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [1, 1, 0, 0]), "{done}");
    assert_eq!(orders(&world, &[new]).await, [0]);
}

#[tokio::test]
async fn a_long_list_is_read_page_by_page_and_goes_on_where_it_was_left() {
    let world = World::new().await;
    for minutes in 0..120 {
        world.twilio.add_recording(SeededRecording { duration: Duration::ZERO, ..recording_of("CA1", minutes) });
    }
    let list = format!("/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings.json");
    let read = || world.twilio.control.requests_to(Method::GET, &list).len();
    // Twilio fails, and the job is tried again.
    for _ in 0..4 {
        world.twilio.control.fail_next(
            Method::GET,
            "/Recordings.json",
            Fault::Refuse { status: 503, retry_after: Some(0) },
        );
    }
    let location = begin(&world, &march()).await;
    world.settle().await;
    assert_eq!((counts(&import(&world, &location).await), read()), ([0; 4], 4));
    world.after(Duration::from_secs(3)).await;
    let done = import(&world, &location).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [120, 0, 0, 120]), "{done}");
    assert_happened(read(), 4 + 3);

    // One that has stored its first page begins with the second.
    let second = world.twilio.control.requests_to(Method::GET, &list)[5].target.clone();
    assert!(second.contains("PageToken"), "{second}");
    for (next, expected) in [(second, 120 - PAGE), ("/2010-04-01/Recordings.json?PageToken=x".to_owned(), 120)] {
        let location = begin(&world, &march()).await;
        let stored = format!("UPDATE imports SET pages = 1, next_page = '{next}' WHERE state = 'listing'");
        world.store.execute(&stored).await.expect("a page");
        world.settle().await;
        world.after(Duration::from_secs(3)).await;
        let done = import(&world, &location).await;
        assert_eq!((&done["state"], &done["total"]), (&json!("done"), &json!(expected)), "{next}: {done}");
    }
}

#[tokio::test]
async fn an_outage_that_lasts_pauses_the_import_and_says_why() {
    let world = World::new().await;
    recorded(&world, 0);
    let location = begin(&world, &march()).await;
    let refused = || Fault::Refuse { status: 503, retry_after: Some(0) };
    for _ in 0..8 * 4 {
        world.twilio.control.fail_next(Method::GET, "/Recordings.json", refused());
    }
    for _ in 0..8 {
        world.after(Duration::from_secs(40 * 60)).await;
    }
    let paused = import(&world, &location).await;
    assert_eq!(paused["state"], "paused", "{paused}");
    assert!(paused["reason"].as_str().is_some_and(|reason| reason.contains("503")), "{paused}");
    let page = world.get_with(&location, &[HTML]).await.text();
    assert!(page.contains("because this went wrong") && page.contains("Resume"), "{page}");
    let resumed = steer(&world, &location, "resume").await.json();
    assert_eq!((&resumed["state"], &resumed["reason"]), (&json!("listing"), &Value::Null));
    world.settle().await;
    assert_eq!(counts(&import(&world, &location).await), [1, 1, 0, 0]);
}

#[tokio::test]
async fn an_import_that_makes_no_sense_is_refused_and_orders_nothing() {
    let world = World::new().await;
    recorded(&world, 0);
    for (wanted, expected) in [
        (json!({}), "since: expected the day"),
        (json!({"since": "soon"}), "since: expected a date"),
        (json!({"since": "2026-03-02", "until": "x"}), "until: expected a date"),
        (json!({"since": "2026-03-02", "until": "2026-03-01"}), "until: expected a time after since"),
        (json!({"since": "2026-03-01", "channels": 3}), "channels: expected 1 or 2"),
        (json!({"since": "2026-03-01", "number": 1}), "expected a string"),
        (json!({"since": "2026-03-01", "min_seconds": -1}), "min_seconds: expected"),
        (json!({"since": "2026-03-01", "min_seconds": "long"}), "expected i64"),
        (json!({"since": "2026-03-01", "min_seconds": 5, "max_seconds": 4}), "max_seconds: expected"),
        (json!({"since": "2026-03-01", "from": "2026"}), "unknown field `from`"),
        (json!({"since": "2026-03-01", "id": "x"}), "the id of an import"),
    ] {
        for wanted in [wanted.clone(), confirmed(&wanted)] {
            let detail = world.post_json("/imports", &wanted).await.problem(400, "bad-request");
            assert!(detail.contains(expected), "{wanted}: {detail}");
        }
    }
    assert!(world.get("/imports/x").await.problem(400, "bad-request").contains("the id of an import"));
    world.get(&format!("/imports/{}", "0".repeat(32))).await.problem(404, "no-such-import");
    for _ in 0..4 {
        world.twilio.control.fail_next(
            Method::GET,
            "/Recordings.json",
            Fault::Refuse { status: 503, retry_after: Some(0) },
        );
    }
    assert_eq!(world.post_json("/imports", &march()).await.status, 502);
    world.settle().await;
    assert_eq!(world.transcript_requests().len(), 0);
    assert_eq!(world.store.number("SELECT count(*) FROM imports").await, 0);
}

#[tokio::test]
async fn a_form_leads_to_the_cost_then_to_the_import_and_its_page_follows() {
    let world = World::with(&[("ASSEMBLYAI_PRICES", "assemblyai-stt-3-7=36")]).await;
    for minutes in 0..9 {
        recorded(&world, minutes);
    }
    assert!(world.get_with("/transcribe", &[HTML]).await.text().contains(r#"href="/imports""#));
    let form = world.get_with("/imports", &[HTML]).await.text();
    for field in ["since", "until", "number", "min_seconds", "max_seconds", "channels"] {
        assert!(form.contains(&format!(r#"name="{field}""#)), "{field}: {form}");
    }
    let post = async |form: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded"), HTML];
        world.send(Method::POST, "/imports", &headers, form).await
    };
    let wrong = post("since=2026-03-02&until=2026-03-01&number=&min_seconds=&max_seconds=7").await;
    let page = wrong.text();
    assert_eq!(wrong.status, 400);
    for part in [r#"value="2026-03-02""#, r#"value="7""#, "until: expected a time after since", "aria-invalid"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let cost = post("since=2026-03-01&until=&number=&min_seconds=&max_seconds=").await;
    assert_eq!(cost.status, 200);
    let page = cost.text();
    for part in ["9 recordings with 0:45 of audio", "Cost: <b>about $0.45</b>", "Import for $0.45"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let hidden = page.split(r#"<input type="hidden" name=""#).skip(1).map(|rest| {
        let (name, rest) = rest.split_once(r#"" value=""#).expect("a value");
        (name.to_owned(), rest.split_once('"').expect("its end").0.to_owned())
    });
    let hidden: Vec<(String, String)> = hidden.collect();
    let until = &hidden.iter().find(|(name, _)| name == "until").expect("a time").1;
    assert!(at(until) <= world.clock.now(), "what is made after the look is not part of it");
    let fields = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&hidden).finish();
    world.assemblyai.hold();
    let begun = post(&fields).await;
    assert_eq!(begun.status, 303, "{}", begun.text());
    let location = begun.header("location").to_owned();
    // Pressed twice, it is one.
    assert_eq!(post(&fields).await.header("location"), location);
    assert_eq!(world.store.number("SELECT count(*) FROM imports").await, 1);

    let page = world.get_with(&location, &[HTML]).await.text();
    let id = location.trim_start_matches("/imports/");
    let of_page = |name: &str| {
        let (_, rest) = page.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{name}: {page}"));
        rest.split_once('"').expect("its end").0.to_owned()
    };
    assert!(page.contains("Reading Twilio") && of_page("data-about") == id, "{page}");
    let query = format!("?since={}", of_page("data-since"));
    // Also the page of another instance.
    let (app, other) = world.another_app_with_url(&[]).await;
    let Ok(mut stream) = Stream::open(&world.http, &other, &query, &[]).await else { panic!("a stream") };
    world.settle().await;
    stream.until_changed(id).await;
    let shown = async || world.get_with(&location, &[HTML]).await.text();
    let page = shown().await;
    assert!(page.contains("0 of 9 recordings") && page.contains("Pause") && !page.contains("Resume"), "{page}");
    let press = async |deed: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded"), HTML];
        let pressed = world.send(Method::POST, &format!("{location}/{deed}"), &headers, "").await;
        assert_eq!((pressed.status.as_u16(), pressed.header("location")), (303, &*location), "{deed}");
    };
    press("pause").await;
    stream.until_changed(id).await;
    let page = shown().await;
    assert!(page.contains("Paused") && page.contains("Resume") && page.contains("Cancel"), "{page}");
    press("resume").await;
    world.assemblyai.release();
    world.settle().await;
    let page = shown().await;
    assert!(page.contains("Done") && page.contains("9 of 9 recordings") && !page.contains("Cancel"), "{page}");
    assert!(world.get_with("/imports", &[HTML]).await.text().contains(&format!("{location}\">")));
    app.stop().await;
}

#[tokio::test]
async fn one_channel_or_two_can_be_chosen_and_both_voices_stay_apart() {
    let world = World::new().await;
    recorded(&world, 0);
    let call = world.twilio.add_call(call_of_another(1));
    world.twilio.add_recording(SeededRecording { channels: 2, source: "DialVerb", ..recording_of(&call, 1) });
    let of = |channels: i64| json!({"since": "2026-03-01", "channels": channels});
    assert_eq!(look(&world, &march()).await["recordings"], 2);
    assert_eq!(look(&world, &of(1)).await["recordings"], 1);
    let location = begin(&world, &of(2)).await;
    world.settle().await;
    let done = import(&world, &location).await;
    assert_eq!((counts(&done), &done["channels"]), ([1, 1, 0, 0], &json!(2)), "{done}");
    assert_eq!(world.call(&call).await["recordings"][0]["channels"], json!(2));
    let order = world.transcript_requests().pop().expect("an order");
    assert_eq!(order["multichannel"], json!(true), "{order}");
    begin(&world, &of(1)).await;
    world.settle().await;
    let conversations = world.get("/items?kind=conversation").await.json()["items"].take();
    assert_eq!((&conversations[0]["sid"], &conversations[1]), (&json!(call), &Value::Null), "{conversations}");
    let page = world.get_with(&location, &[HTML]).await.text();
    assert!(page.contains(", with two channels."), "{page}");
}

#[tokio::test]
async fn what_failed_in_an_import_leads_to_its_call_and_is_ordered_once_more() {
    let world = World::with(&[("ASSEMBLYAI_PRICES", "assemblyai-stt-3-7=36")]).await;
    let (calls, recordings): (Vec<_>, Vec<_>) = (0..4).map(|minutes| recorded(&world, minutes)).unzip();
    for _ in 0..2 {
        world.assemblyai.fail_next_transcript("this is no speech");
    }
    let location = begin(&world, &march()).await;
    world.settle().await;
    let done = import(&world, &location).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [4, 2, 2, 0]), "{done}");
    assert_eq!((&done["cost_usd"], &done["cost_so_far_usd"]), (&json!(0.2), &json!(0.1)));
    let failed = &done["left_out"][0];
    let expected = [CALLER, "failed", "AssemblyAI: this is no speech"].map(|text| json!(text));
    assert_eq!([&failed["number"], &failed["state"], &failed["reason"]], [&expected[0], &expected[1], &expected[2]]);
    let sid = failed["call"].as_str().expect("a call").to_owned();
    assert!(calls.contains(&sid) && failed["duration_seconds"] == 5, "{failed}");
    let shown = async || world.get_with(&location, &[HTML]).await.text();
    let page = shown().await;
    let link = format!("<a href=\"/calls/{sid}\">{CALLER}</a>");
    for part in [
        &link,
        "failed: AssemblyAI: this is no speech",
        "Retry 2 that failed, for about $0.10",
        "Its transcripts cost about $0.10",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<progress"), "it is over: {page}");

    // Pressed twice, it is done once; one of them fails again.
    world.assemblyai.hold();
    world.assemblyai.fail_next_transcript("this is still no speech");
    for _ in 0..2 {
        assert_eq!(steer(&world, &location, "retry").await.json()["state"], "running");
    }
    world.settle().await;
    let page = shown().await;
    assert!(
        page.contains("<progress max=\"4\" value=\"2\"") && page.contains("2 of 4 recordings transcribed."),
        "{page}"
    );
    assert!(page.contains("Cost: about $0.10 so far, about $0.20 in all"), "{page}");
    world.assemblyai.release();
    world.settle().await;
    let again = import(&world, &location).await;
    assert_eq!((&again["state"], counts(&again)), (&json!("done"), [4, 3, 1, 0]), "{again}");
    let pressed = world.send(Method::POST, &format!("{location}/retry"), &[HTML, FORM], "").await;
    assert_eq!((pressed.status.as_u16(), pressed.header("location")), (303, &*location));
    world.settle().await;
    assert_eq!(counts(&import(&world, &location).await), [4, 4, 0, 0]);
    assert_eq!(orders(&world, &recordings).await, [1; 4], "a retry is a new attempt at the same order");
    assert_happened(world.transcript_requests().len(), 4 + 2 + 1);
    steer(&world, &location, "retry").await.problem(409, "nothing-to-retry");
}

#[tokio::test]
async fn what_failed_is_not_ordered_once_more_if_there_is_another_transcript_or_the_call_is_deleted() {
    let world = World::new().await;
    let (calls, recordings): (Vec<_>, Vec<_>) = (0..3).map(|minutes| recorded(&world, minutes)).unzip();
    for _ in 0..3 {
        world.assemblyai.fail_next_transcript("this is no speech");
    }
    let location = begin(&world, &march()).await;
    world.settle().await;
    assert_eq!(counts(&import(&world, &location).await), [3, 0, 3, 0]);
    // Somebody else retries one, deletes the call of another, and gets another transcript of the third.
    assert_eq!(world.post_form(&format!("/calls/{}/retry", calls[0]), "").await.status, 200);
    assert_eq!(world.post_form(&format!("/calls/{}/delete", calls[1]), "").await.status, 202);
    let asked = json!({"recording_sid": recordings[2], "speaker_labels": true});
    assert_eq!(world.post_json("/transcribe", &asked).await.status, 200);
    world.settle().await;
    let done = import(&world, &location).await;
    assert_eq!(counts(&done), [3, 1, 2, 0], "{done}");
    let deleted = done["left_out"].as_array().expect("a list").iter().find(|one| one["recording"] == recordings[1]);
    let deleted = deleted.expect("the recording");
    assert_eq!([&deleted["call"], &deleted["number"], &deleted["reason"]], [&Value::Null; 3], "{deleted}");
    let before = world.transcript_requests().len();
    steer(&world, &location, "retry").await;
    world.settle().await;
    let done = import(&world, &location).await;
    assert_eq!((&done["state"], counts(&done), &done["already"]), (&json!("done"), [3, 1, 0, 2], &json!(1)), "{done}");
    assert_eq!(done["left_out"][0]["reason"], "its call is deleted here");
    assert_eq!(world.transcript_requests().len(), before);

    steer(&world, &location, "cancel").await.problem(409, "import-state");
    let paused = begin(&world, &json!({"since": "2026-04-01"})).await;
    steer(&world, &paused, "pause").await;
    assert!(steer(&world, &paused, "retry").await.problem(409, "import-state").contains("cannot be retried"));
    steer(&world, &format!("/imports/{}", "0".repeat(32)), "retry").await.problem(404, "no-such-import");
}

#[tokio::test]
async fn what_is_left_out_is_told_by_its_date_number_length_and_why() {
    let world = World::new().await;
    let (_, kept) = recorded(&world, 0);
    let (dialed, other) = (world.dial("14155550188").await, world.dial("14155550166").await);
    world.settle().await;
    let silent = SeededCall { from: "+14155550188".to_owned(), ..call_of_another(1) };
    let silent = world.twilio.add_call(silent);
    let silent = world.twilio.add_recording(SeededRecording { duration: Duration::ZERO, ..recording_of(&silent, 1) });
    let to = SeededCall {
        to: "+14155550199".to_owned(),
        from: PHONE_NUMBER.to_owned(),
        inbound: false,
        ..call_of_another(2)
    };
    let to = world.twilio.add_call(to);
    world.twilio.encrypt_recordings("CR5a9db0c05a9db0c05a9db0c05a9db0c0", ONE_PUBLIC);
    let encrypted = world.twilio.add_recording(recording_of(&to, 2));
    assert_eq!(world.post_json("/transcribe", &json!({"recording_sid": kept})).await.status, 200);
    world.settle().await;
    let location = begin(&world, &march()).await;
    world.settle().await;
    let done = import(&world, &location).await;
    assert_eq!((counts(&done), &done["already"]), ([3, 0, 0, 3], &json!(1)), "{done}");
    let told = |at: usize| {
        let one = &done["left_out"][at];
        ["recording", "at", "duration_seconds", "number", "call"].map(|name| one[name].clone())
    };
    let minute = |minutes: i64| {
        json!((at(BEGAN) + SignedDuration::from_mins(minutes) + SignedDuration::from_secs(7)).to_string())
    };
    assert_eq!(told(0), [json!(encrypted), minute(2), json!(5), json!("+14155550199"), Value::Null]);
    assert_eq!(told(1), [json!(silent), minute(1), json!(0), json!("+14155550188"), Value::Null]);
    assert_eq!(done["skipped_because"].as_array().map(Vec::len), Some(2), "{done}");
    let page = world.get_with(&location, &[HTML]).await.text();
    for part in ["+14155550188, <time", "left out: it is 0 seconds long", "1 more has a transcript here already"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(page.contains("0 of 0 recordings transcribed."), "{page}");

    // A number goes with the first call that has it.
    let numbers = "SELECT count(number) FROM import_recordings";
    for (call, left) in [(other, 2), (dialed, 1)] {
        assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
        world.settle().await;
        assert_eq!(world.store.number(numbers).await, left, "{call}");
    }
}

#[tokio::test]
async fn a_list_that_takes_too_long_to_count_says_how_far_it_was_read() {
    let world = World::new().await;
    for minutes in 0..1_001 {
        world.twilio.add_recording(SeededRecording { duration: Duration::ZERO, ..recording_of("CA1", minutes) });
    }
    world.twilio.control.fail_next(Method::GET, "/Recordings.json", Fault::Late);
    let wanted = march();
    let looking = world.post_json("/imports", &wanted);
    let meanwhile = async {
        let list = format!("/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings.json");
        while world.twilio.control.requests_to(Method::GET, &list).is_empty() {
            tokio::task::yield_now().await;
        }
        world.clock.advance(Duration::from_secs(31));
        world.twilio.control.answer_late_requests();
    };
    let (answer, ()) = tokio::join!(looking, meanwhile);
    let detail = answer.problem(400, "bad-request");
    assert!(detail.contains("1000 were read, back to 2026-03-02T10:01:07Z"), "{detail}");
    assert!(detail.contains("choose a later first day"), "{detail}");
    assert_eq!(look(&world, &wanted).await["skipped"], 1_001);
}

#[tokio::test]
async fn an_import_waits_for_a_vendor_that_has_too_many_requests() {
    let world = World::new().await;
    let (_, recordings): (Vec<_>, Vec<_>) = (0..2).map(|minutes| recorded(&world, minutes)).unzip();
    let busy = |path: &str| {
        for _ in 0..2 {
            let fault = Fault::Refuse { status: 429, retry_after: Some(0) };
            world.twilio.control.fail_next(Method::GET, path, fault);
        }
    };
    busy("/Recordings.json");
    assert_eq!(look(&world, &march()).await["recordings"], 2);
    for path in ["/Recordings.json", "/Recordings/RE", "/Calls/CA"] {
        busy(path);
    }
    let refusal = Fault::Refuse { status: 429, retry_after: Some(1) };
    world.assemblyai.control.fail_next(Method::POST, "/v2/transcript", refusal);
    let location = begin(&world, &march()).await;
    world.settle().await;
    for _ in 0..3 {
        world.after(Duration::from_secs(60)).await;
    }
    let done = import(&world, &location).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [2, 2, 0, 0]), "{done}");
    assert_eq!(orders(&world, &recordings).await, [1, 1]);
}
