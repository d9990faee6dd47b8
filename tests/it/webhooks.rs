//! Webhooks to the operator's own programs, after the Standard Webhooks specification.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use callscribe::internals::Deadlines;
use futures_util::{StreamExt, stream};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{World, assert_happened, serve, steps_repeat};
use crate::vendor_clients::test_python;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const PRIVATE: (&str, &str) = ("WEBHOOKS_TO_PRIVATE_ADDRESSES", "true");
const PAGE: [(&str, &str); 1] = [("accept", "text/html")];

/// A webhook that arrived.
#[derive(Debug, Clone)]
struct Arrived {
    id: String,
    timestamp: i64,
    signatures: Vec<String>,
    body: String,
}

impl Arrived {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    fn event(&self) -> String {
        self.json()["type"].as_str().expect("a type").to_owned()
    }

    /// Which of these secrets have signed it.
    fn signed_by<'s>(&self, secrets: &[&'s str]) -> Vec<&'s str> {
        let signed = |secret: &&&str| {
            let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a prefix")).expect("base64");
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
            mac.update(format!("{}.{}.{}", self.id, self.timestamp, self.body).as_bytes());
            self.signatures.contains(&format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
        };
        secrets.iter().filter(signed).copied().collect()
    }
}

/// What a receiver does with a webhook.
#[derive(Debug, Clone)]
enum Reply {
    Status(u16),
    Says(u16, &'static str),
    RetryAfter(u64),
    RedirectTo(String),
    Hang,
    /// With this status and a body that never ends.
    NeverEnds(u16),
}

/// A program that receives webhooks. It answers 204 unless something else is planned.
#[derive(Debug, Clone, Default)]
struct Receiver {
    url: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    planned: Arc<Mutex<VecDeque<Reply>>>,
}

impl Receiver {
    async fn start() -> Self {
        let receiver = Self::default();
        let url = serve(Router::new().fallback(receive).with_state(receiver.clone())).await;
        Self { url: format!("{url}/hook?a=b"), ..receiver }
    }

    fn plan(&self, replies: impl IntoIterator<Item = Reply>) {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).extend(replies);
    }

    /// What has arrived, each webhook once.
    fn webhooks(&self) -> Vec<Arrived> {
        let mut all: Vec<Arrived> = Vec::new();
        for arrived in self.attempts() {
            if all.iter().all(|known| known.id != arrived.id) {
                all.push(arrived);
            }
        }
        all
    }

    fn attempts(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn events(&self) -> Vec<String> {
        self.webhooks().iter().map(Arrived::event).collect()
    }

    /// Notes what has arrived. Returns what is planned for it.
    fn reply(&self, arrived: Arrived) -> Option<Reply> {
        let mut all = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        // Where every step is aborted once, the first answer of each webhook is lost.
        let is_lost = steps_repeat() && all.iter().all(|known| known.id != arrived.id);
        all.push(arrived);
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        if is_lost { planned.front().cloned() } else { planned.pop_front() }
    }

    /// As `WEBHOOKS` names it.
    fn setting(&self) -> String {
        format!("{}={SECRET}", self.url)
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers[name].to_str().expect("a printable header").to_owned();
    assert_eq!(header("content-type"), "application/json");
    let arrived = Arrived {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp").parse().expect("seconds"),
        signatures: header("webhook-signature").split(' ').map(str::to_owned).collect(),
        body: String::from_utf8(body.to_vec()).expect("UTF-8"),
    };
    let reply = receiver.reply(arrived);
    let status = |status: u16| StatusCode::from_u16(status).expect("a status");
    match reply.unwrap_or(Reply::Status(204)) {
        Reply::Status(code) => status(code).into_response(),
        Reply::Says(code, text) => (status(code), text).into_response(),
        Reply::RetryAfter(seconds) => (status(503), [(header::RETRY_AFTER, seconds.to_string())]).into_response(),
        Reply::RedirectTo(url) => (status(302), [(header::LOCATION, url)]).into_response(),
        Reply::Hang => std::future::pending().await,
        Reply::NeverEnds(code) => {
            let body = stream::once(async { Ok::<_, Infallible>("…") }).chain(stream::pending());
            (status(code), Body::from_stream(body)).into_response()
        }
    }
}

impl World {
    /// A world whose setting names these receivers.
    async fn notifying(receivers: &[&Receiver]) -> Self {
        let listed: Vec<String> = receivers.iter().map(|receiver| receiver.setting()).collect();
        Self::with(&[("WEBHOOKS", &listed.join(",")), PRIVATE]).await
    }

    /// Adds a receiver. Returns its id and its secret.
    async fn receiver_added(&self, url: &str) -> (String, String) {
        let answer = self.post_json("/webhooks", &json!({"url": url})).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let text = |name: &str| answer.json()[name].as_str().expect("a text").to_owned();
        (text("id"), text("secret"))
    }

    async fn receivers(&self) -> Value {
        self.get("/webhooks").await.json()["receivers"].take()
    }

    /// The deliveries that match, oldest first.
    async fn deliveries(&self, query: &str) -> Vec<Value> {
        let mut listed = self.get(&format!("/webhooks/deliveries{query}")).await.json();
        let mut all = listed["deliveries"].as_array_mut().expect("a list").split_off(0);
        all.reverse();
        all
    }

    /// A call whose transcript is there. Returns the call's SID and the transcript's id.
    async fn transcribed_call(&self) -> (String, String) {
        let (call, _) = self.recorded_call().await;
        self.settle().await;
        let transcript = self.call(&call).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
        (call, transcript)
    }
}

/// The events of a call that somebody was recorded in.
const OF_A_CALL: [&str; 3] = ["call.completed", "recording.completed", "transcript.completed"];

fn sorted(mut events: Vec<String>) -> Vec<String> {
    events.sort();
    events
}

#[tokio::test]
async fn a_receiver_gets_what_happens_to_a_call_in_order_and_signed() {
    let receiver = Receiver::start().await;
    let world = World::notifying(&[&receiver]).await;
    let (call, transcript) = world.transcribed_call().await;
    let id = world.call(&call).await["id"].clone();
    let correction = json!({"version": 0, "from": 0, "to": 0, "text": "Corrected"});
    world.post_json(&format!("/transcript/{transcript}/corrections"), &correction).await;
    for checked in [true, false] {
        world.post_json(&format!("/transcript/{transcript}/checked"), &json!({"checked": checked})).await;
    }
    world.settle().await;
    world.post_form(&format!("/calls/{call}/delete"), "").await;
    world.settle().await;

    let webhooks = receiver.webhooks();
    let events = receiver.events();
    assert_eq!(sorted(events[..3].to_vec()), OF_A_CALL, "{events:?}");
    let others = ["transcript.corrected", "transcript.checked", "transcript.checked", "call.deleted"];
    assert_eq!(events[3..], others, "{events:?}");
    assert_eq!(events[2], "transcript.completed");
    for webhook in &webhooks {
        assert_eq!(webhook.signed_by(&[SECRET, OTHER_SECRET]), [SECRET], "{webhook:?}");
        assert_eq!(webhook.signatures.len(), 1);
        let body = webhook.json();
        assert_eq!((&body["data"]["call"], &body["data"]["call_sid"]), (&id, &json!(call)), "{body}");
        assert_eq!(body["data"]["kind"], "message");
        for secret in ["14155551234", "Corrected", "Ahoy", world.twilio.url()] {
            assert!(!webhook.body.contains(secret), "{secret}: {body}");
        }
    }
    let of = |event: &str| webhooks[events.iter().position(|one| one == event).expect("the event")].json();
    let completed = &of("transcript.completed")["data"];
    let url = format!("{}/transcript/{transcript}", world.base);
    assert_eq!((&completed["transcript"], &completed["url"]), (&json!(transcript), &json!(url)));
    assert_eq!((&completed["state"], &completed["version"]), (&json!("completed"), &json!(0)));
    assert_eq!(of("transcript.corrected")["data"]["version"], 1);
    let checked: Vec<Value> = webhooks[4..6].iter().map(|webhook| webhook.json()["data"]["checked"].take()).collect();
    assert_eq!(checked, [true, false]);
    assert_eq!(of("call.completed")["data"]["url"], format!("{}/calls/{call}", world.base));
    assert_eq!(of("call.deleted")["data"].get("url"), None);
    let timestamp = of("call.completed")["timestamp"].as_str().expect("a time").parse::<jiff::Timestamp>();
    assert!((world.clock.now().as_second() - timestamp.expect("RFC 3339").as_second()).abs() < 60);
}

#[tokio::test]
async fn a_transcript_that_fails_is_announced_with_its_reason_until_the_call_is_deleted() {
    let receiver = Receiver::start().await;
    let world = World::notifying(&[&receiver]).await;
    world.assemblyai.fail_next_transcript("this is no speech");
    receiver.plan([Reply::Status(204), Reply::Status(204), Reply::Says(500, "an echo of speech")]);
    let (call, _) = world.transcribed_call().await;
    let last = receiver.webhooks().pop().expect("a webhook").json();
    assert_eq!((&last["type"], &last["data"]["state"]), (&json!("transcript.failed"), &json!("failed")));
    assert_eq!(last["data"]["reason"], "AssemblyAI: this is no speech");
    let waiting = world.deliveries("?state=waiting").await;
    assert_eq!((waiting.len(), &waiting[0]["answer"]), (1, &json!("an echo of speech")));
    world.post_form(&format!("/calls/{call}/delete"), "").await;
    world.settle().await;
    assert_eq!(world.deliveries("?state=waiting").await[0]["answer"], Value::Null);
    world.after(Duration::from_secs(10)).await;
    let attempts = receiver.attempts();
    let failed = attempts.iter().rfind(|one| one.event() == "transcript.failed").expect("it is sent again");
    assert_eq!(failed.json()["data"].get("reason"), None);
    let deleted = attempts.last().expect("a webhook");
    assert_eq!(deleted.event(), "call.deleted");
}

#[tokio::test]
async fn what_happens_to_an_upload_is_announced_with_its_kind() {
    let receiver = Receiver::start().await;
    let world = World::notifying(&[&receiver]).await;
    let asked = world.post_json("/transcribe", &json!({"audio_url": "https://example.com/a.mp3"})).await;
    assert_eq!(asked.status, 200, "{}", asked.text());
    world.settle().await;
    let webhooks = receiver.webhooks();
    // Nobody serves this URL.
    assert_eq!(receiver.events(), ["transcript.failed"]);
    assert_eq!(webhooks[0].json()["data"]["kind"], "upload");
}

#[tokio::test]
async fn what_fails_is_sent_again_later_with_the_same_id_and_body_and_what_follows_it_waits() {
    let receiver = Receiver::start().await;
    let world = World::notifying(&[&receiver]).await;
    receiver.plan([Reply::Status(500)]);
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let first = receiver.attempts();
    assert_happened(first.len(), 1);
    let waiting = world.deliveries("?state=waiting").await;
    assert_eq!((waiting.len(), &waiting[0]["status"], &waiting[0]["attempts"]), (3, &json!(500), &json!(1)));
    assert_eq!(waiting[0]["call_sid"], call);

    // Another call does not wait.
    let (other, _) = world.recorded_call().await;
    world.settle().await;
    let of = |call: &str| -> Vec<Arrived> {
        receiver.attempts().into_iter().filter(|one| one.json()["data"]["call_sid"] == *call).collect()
    };
    assert!(of(&other).len() >= 3, "{:?}", of(&other));

    receiver.plan([Reply::Status(500)]);
    let before = of(&call).len();
    world.after(Duration::from_secs(3)).await;
    assert_eq!(of(&call).len(), before);
    world.after(Duration::from_secs(4)).await;
    world.after(Duration::from_secs(2 * 60)).await;
    assert!(of(&call).len() > before);
    world.after(Duration::from_secs(5 * 60)).await;
    let attempts = of(&call);
    let head: Vec<&Arrived> = attempts.iter().filter(|one| one.id == first[0].id).collect();
    assert_happened(head.len(), 3);
    assert!(head.iter().all(|one| one.body == first[0].body && one.signed_by(&[SECRET]).len() == 1));
    assert!(head.windows(2).all(|pair| pair[0].timestamp <= pair[1].timestamp));
    let mut order: Vec<String> = attempts.iter().map(Arrived::event).collect();
    order.dedup();
    let last = order.iter().rposition(|event| *event == head[0].event()).expect("the first");
    assert_eq!(order.len() - last, 3, "{order:?}");
    assert_eq!(world.deliveries("?state=waiting").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_delivery_is_tried_ten_times_over_three_days_and_then_fails_and_can_be_sent_again() {
    let receiver = Receiver::start().await;
    let world = World::notifying(&[&receiver]).await;
    receiver.plan(std::iter::repeat_n(Reply::Status(503), 10));
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let began = world.clock.now();
    let head = receiver.attempts()[0].id.clone();
    let is_over = async || world.deliveries("?state=failed").await.len() == 1;
    for _ in 0..300 {
        if is_over().await {
            break;
        }
        world.after(Duration::from_secs(30 * 60)).await;
    }
    let took = world.clock.now().duration_since(began).as_hours();
    assert!((55..110).contains(&took), "{took} hours");
    assert_happened(receiver.attempts().iter().filter(|one| one.id == head).count(), 10);
    // What follows it is not lost.
    assert_eq!(world.deliveries("?state=delivered").await.len(), 2);
    let failed = &world.deliveries("?state=failed").await[0];
    assert_eq!((&failed["id"], &failed["attempts"], &failed["call_sid"]), (&json!(head), &json!(10), &json!(call)));

    let answer = world.post_json(&format!("/webhooks/deliveries/{head}/resend"), &json!({})).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["state"]), (200, &json!("waiting")), "{}", answer.text());
    world.settle().await;
    let last = receiver.attempts().pop().expect("a webhook");
    assert_eq!((&last.id, last.signed_by(&[SECRET]).len()), (&head, 1));
    assert_eq!(world.deliveries("?state=delivered").await.len(), 3);
    world.post_json("/webhooks/deliveries/msg_0/resend", &json!({})).await.problem(404, "no-such-delivery");
}

#[tokio::test]
async fn a_receiver_says_when_it_wants_the_next_attempt_within_a_day() {
    let receiver = Receiver::start().await;
    let world = World::notifying(&[&receiver]).await;
    receiver.plan([Reply::RetryAfter(3_600), Reply::RetryAfter(1_000_000)]);
    world.recorded_call().await;
    world.settle().await;
    world.after(Duration::from_secs(59 * 60)).await;
    assert_happened(receiver.attempts().len(), 1);
    world.after(Duration::from_secs(60)).await;
    assert!(receiver.attempts().len() >= 2);
    world.after(Duration::from_secs(24 * 60 * 60 + 1)).await;
    assert_eq!(world.deliveries("?state=delivered").await.len(), 3);
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_no_other() {
    let (hanging, other) = (Receiver::start().await, Receiver::start().await);
    let listed = format!("{},{}", hanging.setting(), other.setting());
    let deadlines = Deadlines { webhook: Duration::from_millis(200), ..Deadlines::default() };
    let world = World::with_deadlines(&[("WEBHOOKS", &listed), PRIVATE], deadlines).await;
    hanging.plan(std::iter::repeat_n(Reply::Hang, 100));
    world.transcribed_call().await;
    assert_eq!(sorted(other.events()), OF_A_CALL);
    let hung = world.deliveries("?state=waiting").await;
    assert_eq!((hung.len(), &hung[0]["status"]), (3, &Value::Null));
    assert_eq!(hung[0]["answer"], "did not answer within 0 seconds");
    assert!(world.receivers().await[0]["answer"].as_str().expect("an answer").starts_with("did not answer"));
}

#[tokio::test]
async fn a_status_is_an_answer_even_if_its_body_never_ends() {
    let receiver = Receiver::start().await;
    let deadlines = Deadlines { webhook: Duration::from_millis(200), ..Deadlines::default() };
    let world = World::with_deadlines(&[("WEBHOOKS", &receiver.setting()), PRIVATE], deadlines).await;
    receiver.plan([Reply::NeverEnds(200), Reply::NeverEnds(200), Reply::NeverEnds(200)]);
    world.transcribed_call().await;
    let delivered = world.deliveries("?state=delivered").await;
    assert_eq!((delivered.len(), &delivered[0]["status"]), (3, &json!(200)));
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let world = World::notifying(&[&receiver]).await;
    receiver.plan([Reply::RedirectTo(elsewhere.url.clone())]);
    world.recorded_call().await;
    world.settle().await;
    assert_eq!(elsewhere.attempts().len(), 0);
    assert_eq!(world.deliveries("?state=waiting").await[0]["status"], 302);
}

#[tokio::test]
async fn a_receiver_that_answers_410_is_disabled_until_somebody_enables_it() {
    let receiver = Receiver::start().await;
    let world = World::notifying(&[&receiver]).await;
    receiver.plan([Reply::Status(410)]);
    world.assemblyai.hold();
    world.recorded_call().await;
    world.settle().await;
    let listed = world.receivers().await;
    assert_eq!((&listed[0]["state"], &listed[0]["reason"]), (&json!("disabled"), &json!("it answered 410 Gone")));
    assert!(world.page("/webhooks").await.contains("disabled: it answered 410 Gone"));
    let failed = world.deliveries("?state=failed").await;
    assert_eq!(failed.len(), 2, "{failed:?}");
    let id = failed[0]["id"].as_str().expect("an id");
    world.post_json(&format!("/webhooks/deliveries/{id}/resend"), &json!({})).await.problem(409, "receiver-is-off");

    world.assemblyai.release();
    world.after(Duration::from_secs(24 * 60 * 60)).await;
    assert_eq!(world.deliveries("").await.len(), 2, "nothing is kept for it");
    assert_happened(receiver.attempts().len(), 1);

    let enabled = world.post_json("/webhooks/1", &json!({"state": "enabled"})).await.json();
    assert_eq!((&enabled["state"], &enabled["reason"]), (&json!("enabled"), &Value::Null));
    world.transcribed_call().await;
    assert_eq!(world.deliveries("?state=delivered").await.len(), 3);
}

#[tokio::test]
async fn what_happens_while_a_receiver_is_paused_is_sent_afterwards() {
    let receiver = Receiver::start().await;
    let world = World::notifying(&[&receiver]).await;
    world.post_json("/webhooks/1", &json!({"state": "paused"})).await;
    world.transcribed_call().await;
    world.after(Duration::from_secs(60)).await;
    assert_eq!(receiver.attempts().len(), 0);
    assert_eq!(world.receivers().await[0]["waiting"], 3);
    world.post_json("/webhooks/1", &json!({"state": "enabled"})).await;
    world.settle().await;
    assert_eq!(sorted(receiver.events()), OF_A_CALL);
    world.post_json("/webhooks/1", &json!({"state": "removed"})).await.problem(400, "bad-request");
    world.post_json("/webhooks/9", &json!({"state": "paused"})).await.problem(404, "no-such-receiver");
    world.post_json("/webhooks/one", &json!({"state": "paused"})).await.problem(400, "bad-request");
}

#[tokio::test]
async fn a_receiver_is_added_with_a_secret_that_is_told_once_and_removed() {
    let receiver = Receiver::start().await;
    let world = World::with(&[PRIVATE]).await;
    let (id, secret) = world.receiver_added(&receiver.url).await;
    assert!(secret.starts_with("whsec_"));
    world.post_json("/webhooks", &json!({"url": receiver.url})).await.problem(409, "same-receiver");
    world.transcribed_call().await;
    assert!(receiver.webhooks().iter().all(|webhook| webhook.signed_by(&[&secret]).len() == 1));
    for path in ["/webhooks", "/webhooks/1", "/webhooks/deliveries"] {
        let said = world.get(path).await.text() + &world.get_with(path, &PAGE).await.text();
        assert!(!said.contains(&secret[6..]), "{path}");
    }
    let arrived = receiver.attempts().len();
    receiver.plan([Reply::Status(500)]);
    world.recorded_call().await;
    world.settle().await;
    let removed = world.send(Method::DELETE, &format!("/webhooks/{id}"), &[], "").await;
    assert_eq!(removed.status, 204, "{}", removed.text());
    assert_eq!(world.receivers().await, json!([]));
    world.recorded_call().await;
    world.after(Duration::from_secs(24 * 60 * 60)).await;
    assert_happened(receiver.attempts().len() - arrived, 1);
    let failed = world.deliveries("?state=failed").await;
    assert_eq!((failed.len(), &failed[0]["answer"]), (3, &json!("the receiver was removed")));
    assert_eq!(world.store.number("SELECT count(*) FROM receivers WHERE secret <> ''").await, 0);
    // The same URL gets another secret.
    let (again, other) = world.receiver_added(&receiver.url).await;
    assert!(again != id && other != secret);
}

#[tokio::test]
async fn for_a_day_after_a_new_secret_those_before_it_sign_too() {
    let receiver = Receiver::start().await;
    let world = World::with(&[PRIVATE]).await;
    let (id, old) = world.receiver_added(&receiver.url).await;
    let lost = world.post_json(&format!("/webhooks/{id}/rotate"), &json!({})).await.json();
    let rotated = world.post_json(&format!("/webhooks/{id}/rotate"), &json!({})).await.json();
    let [lost, new] = [&lost, &rotated].map(|answer| answer["secret"].as_str().expect("a secret"));
    assert!(new != old && new != lost && rotated["old_secret_until"].is_string());
    world.transcribed_call().await;
    let first = receiver.webhooks();
    let all = [new, lost, &old];
    assert!(first.iter().all(|webhook| webhook.signed_by(&all) == all && webhook.signatures.len() == 3));
    world.after(Duration::from_secs(24 * 60 * 60)).await;
    world.transcribed_call().await;
    let later = receiver.webhooks().split_off(first.len());
    assert!(later.iter().all(|webhook| webhook.signed_by(&[new, &old]) == [new] && webhook.signatures.len() == 1));
    assert_eq!(later.len(), 3);
}

#[tokio::test]
async fn the_setting_adds_rotates_and_pauses_receivers() {
    let (one, other) = (Receiver::start().await, Receiver::start().await);
    let world = World::notifying(&[&one, &other]).await;
    for path in ["/webhooks/1/rotate", "/webhooks/1/delete"] {
        world.post_json(path, &json!({})).await.problem(409, "receiver-of-setting");
    }
    let rotated = format!("{}={OTHER_SECRET}", one.url);
    let restarted = world.another_app_with(&[("WEBHOOKS", &rotated), PRIVATE], false).await;
    world.transcribed_call().await;
    let both = [OTHER_SECRET, SECRET];
    assert!(one.webhooks().iter().all(|webhook| webhook.signed_by(&both) == both), "{:?}", one.webhooks());
    assert_eq!(other.attempts().len(), 0);
    let listed = world.receivers().await;
    assert_eq!((&listed[1]["state"], &listed[1]["source"]), (&json!("paused"), &json!("page")));
    assert_eq!(listed[1]["reason"], "WEBHOOKS does not name it any more");
    restarted.stop().await;
    // Back in the setting, it is enabled again, and gets what has happened meanwhile, too.
    let listed = format!("{rotated},{}", other.setting());
    let restarted = world.another_app_with(&[("WEBHOOKS", &listed), PRIVATE], false).await;
    world.transcribed_call().await;
    let both_calls = OF_A_CALL.iter().flat_map(|event| [*event; 2]).collect::<Vec<_>>();
    assert_eq!(sorted(other.events()), both_calls);
    restarted.stop().await;
}

#[tokio::test]
async fn private_addresses_are_refused_where_no_setting_allows_them() {
    let receiver = Receiver::start().await;
    let allowed = World::notifying(&[&receiver]).await;
    // Another program at the same store does not allow it.
    let (app, base) = allowed.another_app_with_url(&[("WEBHOOKS_TO_PRIVATE_ADDRESSES", "false")]).await;
    let enabled = "UPDATE receivers SET state = 'enabled', source = 'page'";
    allowed.store.execute(enabled).await.expect("it is stored");
    allowed.recorded_call().await;
    allowed.twilio.settled().await;
    while app.run_due_jobs().await > 0 {}
    assert_eq!(receiver.attempts().len(), 0);
    let waiting = allowed.deliveries("?state=waiting").await;
    let answer = waiting[0]["answer"].as_str().expect("an answer");
    assert!(answer.starts_with("could not be reached: "), "{answer}");
    for (url, why) in [
        ("https://127.0.0.1/", "url: its address is private, and WEBHOOKS_TO_PRIVATE_ADDRESSES does not allow that"),
        ("https://localhost/", "url: its address is private, and WEBHOOKS_TO_PRIVATE_ADDRESSES does not allow that"),
        ("http://example.com/", "url: expected an https URL: others can read plain http"),
        ("https://user@example.com/", "url: expected a URL without a user name, a password or a fragment"),
        ("example.com", "url: expected an https URL"),
    ] {
        let body = json!({"url": url}).to_string();
        let request = allowed.http.post(format!("{base}/webhooks")).header("content-type", "application/json");
        let answer = crate::support::Answer::of(request.body(body).send().await.expect("an answer")).await;
        assert_eq!(answer.problem(400, "bad-request"), why, "{url}");
    }
    app.stop().await;
}

#[tokio::test]
async fn what_one_instance_has_committed_another_sends_after_its_end() {
    let receiver = Receiver::start().await;
    let world = World::notifying(&[&receiver]).await;
    world.recorded_call().await;
    assert!(world.store.number("SELECT count(*) FROM deliveries").await >= 2);
    assert_eq!(receiver.attempts().len(), 0);
    let other = world.another_app_with(&[("WEBHOOKS", &receiver.setting()), PRIVATE], false).await;
    while other.run_due_jobs().await > 0 {
        world.assemblyai.settled().await;
        // AssemblyAI's webhook reaches the first instance, whose end we play.
        world.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(sorted(receiver.events()), OF_A_CALL);
    other.stop().await;
}

#[tokio::test]
async fn two_instances_send_each_delivery_once() {
    let receiver = Receiver::start().await;
    let world = World::notifying(&[&receiver]).await;
    for _ in 0..5 {
        world.recorded_call().await;
    }
    let other = world.another_app_with(&[("WEBHOOKS", &receiver.setting()), PRIVATE], false).await;
    while futures_util::future::join(world.app.run_due_jobs(), other.run_due_jobs()).await != (0, 0) {
        world.assemblyai.settled().await;
    }
    assert_eq!(receiver.webhooks().len(), 15);
    assert_happened(receiver.attempts().len(), 15);
    let mut last: HashMap<String, Vec<String>> = HashMap::new();
    for webhook in receiver.webhooks() {
        last.entry(webhook.json()["data"]["call"].to_string()).or_default().push(webhook.event());
    }
    assert!(last.values().all(|events| events.last().is_some_and(|event| event == "transcript.completed")), "{last:?}");
    other.stop().await;
}

#[tokio::test]
async fn a_claim_whose_program_has_died_is_sent_again_with_the_same_id_when_its_lease_runs_out() {
    let receiver = Receiver::start().await;
    let world = World::notifying(&[&receiver]).await;
    world.transcribed_call().await;
    let first = receiver.webhooks();
    // As if the program had died before it stored the answers.
    let lease = world.clock.now_ms() + 30_000;
    let claimed = format!("UPDATE deliveries SET state = 'waiting', attempts = 0, due_at = {lease}");
    world.store.execute(&claimed).await.expect("it is stored");
    world.after(Duration::from_secs(29)).await;
    assert_eq!(receiver.webhooks().len(), 3);
    let before = receiver.attempts().len();
    world.after(Duration::from_secs(1)).await;
    let again = receiver.attempts().split_off(before);
    let ids = |all: &[Arrived]| all.iter().map(|one| one.id.clone()).collect::<BTreeSet<_>>();
    assert_eq!(ids(&again), ids(&first));
}

#[tokio::test]
async fn deliveries_are_listed_newest_first_a_page_at_a_time_and_kept_for_a_month() {
    let (one, other) = (Receiver::start().await, Receiver::start().await);
    let world = World::notifying(&[&one, &other]).await;
    other.plan(std::iter::repeat_n(Reply::Says(500, "not\ntoday"), 100));
    world.transcribed_call().await;
    world.transcribed_call().await;
    let all = world.deliveries("").await;
    assert_eq!(all.len(), 12);
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.get(&format!("/webhooks/deliveries?limit=5{cursor}")).await.json();
        paged.extend(page["deliveries"].as_array().expect("a list").iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    paged.reverse();
    assert_eq!(paged, all);
    assert_eq!(world.deliveries("?receiver=2&state=waiting").await.len(), 6);
    assert_eq!(world.deliveries("?receiver=1&state=delivered").await.len(), 6);
    assert_eq!(world.deliveries("?receiver=2").await[0]["answer"], "not today");
    for query in ["?state=sent", "?receiver=x", "?cursor=x", "?limit=201", "?other=1"] {
        world.get(&format!("/webhooks/deliveries{query}")).await.problem(400, "bad-request");
    }
    let page = world.page("/webhooks/deliveries?receiver=2").await;
    assert!(page.contains("Answer: 500") && page.contains("not today"), "{page}");

    world.after(Duration::from_secs(29 * 24 * 60 * 60)).await;
    assert_eq!(world.deliveries("?receiver=1").await.len(), 6);
    world.after(Duration::from_secs(2 * 24 * 60 * 60)).await;
    assert_eq!(world.deliveries("?receiver=1").await.len(), 0);
}

#[tokio::test]
async fn the_page_adds_a_receiver_shows_its_secret_and_refuses_a_bad_url() {
    let world = World::with(&[PRIVATE]).await;
    let headers = [PAGE[0], ("content-type", "application/x-www-form-urlencoded")];
    let post = |path: &'static str, form: &'static str| world.send(Method::POST, path, &headers, form);
    let added = post("/webhooks", "url=http%3A%2F%2F127.0.0.1%3A9%2Fhook").await;
    assert_eq!(added.status, 200);
    assert!(added.text().contains("<code>whsec_"), "{}", added.text());
    assert_eq!(added.header("cache-control"), "no-store");
    let refused = post("/webhooks", "url=ftp%3A%2F%2Fexample.com").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("value=\"ftp://example.com\"") && refused.text().contains("expected an https URL"));
    let rotated = post("/webhooks/1/rotate", "").await;
    assert!(rotated.text().contains("<code>whsec_") && rotated.text().contains("signs, too, until"));
    for (form, button) in [("state=paused", "Enable"), ("state=enabled", "Pause")] {
        assert_eq!(post("/webhooks/1", form).await.header("location"), "/webhooks#receiver-1");
        assert!(world.page("/webhooks").await.contains(&format!(">{button}</button>")));
    }
    assert_eq!(post("/webhooks/1/delete", "").await.header("location"), "/webhooks");
    assert!(!world.page("/webhooks").await.contains("Receivers"));
    assert!(world.page("/").await.contains("href=\"/webhooks\""));
}

#[tokio::test]
async fn a_trial_is_announced_to_nobody() {
    let receiver = Receiver::start().await;
    let world = World::notifying(&[&receiver]).await;
    let (call, transcript) = world.transcribed_call().await;
    world.post_json(&format!("/transcript/{transcript}/checked"), &json!({"checked": true})).await;
    let trial = json!({"calls": [call], "speech_models": ["universal-2"], "confirm": true});
    let begun = world.post_json("/trials", &trial).await;
    assert_eq!(begun.status, 201, "{}", begun.text());
    world.settle().await;
    let completed = receiver.events().iter().filter(|event| *event == "transcript.completed").count();
    assert_eq!(completed, 1);
}

/// The receiver of the manual, as a program.
struct ManualReceiver {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
}

impl ManualReceiver {
    /// Starts it, if there is a Python to run it.
    fn start(secret: &str) -> Option<Self> {
        let manual = include_str!("../../src/manual/webhooks.md");
        let code = manual.split_once("```python\n").and_then(|(_, rest)| rest.split_once("```")).expect("a program").0;
        let mut command = Command::new(test_python()?);
        command.args(["-c", code]).env_clear().envs([("NO_PROXY", "*"), ("PYTHONUTF8", "1"), ("PORT", "0")]);
        command.envs([("SECRET", secret), ("OPERATOR_TOKEN", "a-token-for-the-receiver")]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = child.stdout.take().map(BufReader::new);
        Some(Self { child, lines })
    }

    /// Waits for the next line that it prints.
    async fn line(&mut self) -> String {
        let mut lines = self.lines.take().expect("its output");
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            lines.read_line(&mut line).expect("a line");
            (lines, line)
        });
        let (lines, line) = read.await.expect("a thread that does not panic");
        self.lines = Some(lines);
        line.trim_end().to_owned()
    }

    /// Its URL, which it prints first.
    async fn url(&mut self) -> String {
        let line = self.line().await;
        format!("http://127.0.0.1:{}/", line.rsplit(' ').next().expect("a port"))
    }
}

impl Drop for ManualReceiver {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_receiver_of_the_manual_gets_a_transcript_and_refuses_what_others_have_signed() {
    let (Some(mut receiver), Some(mut other)) = (ManualReceiver::start(SECRET), ManualReceiver::start(OTHER_SECRET))
    else {
        return;
    };
    let listed = format!("{}={SECRET},{}={SECRET}", receiver.url().await, other.url().await);
    let settings = [("WEBHOOKS", &*listed), PRIVATE, ("OPERATOR_TOKEN", "a-token-for-the-receiver")];
    let world = World::with(&settings).await;
    let (_, transcript) = world.transcribed_call().await;
    let text = world.get(&format!("/transcript/{transcript}?format=text")).await.text();
    assert_eq!(receiver.line().await, text.lines().next().expect("a line"));
    assert_eq!(world.deliveries("?receiver=1&state=delivered").await.len(), 3);
    let refused = world.deliveries("?receiver=2").await;
    assert!(refused.iter().all(|one| one["state"] == "waiting"), "{refused:?}");
    assert_eq!(refused[0]["status"], 400);
}
