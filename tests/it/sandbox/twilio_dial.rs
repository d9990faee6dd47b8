//! `<Dial>`: two calls that become one conversation.

use axum::http::Method;
use callscribe::sandbox::speech;
use callscribe::sandbox::twilio::{Outcome, PHONE_NUMBER, Stage, Twilio};
use serde_json::Value;

use super::twilio::{Program, call, fetch, request, start};

type Documents = &'static [(&'static str, &'static str)];

const OTHER: &str = "+14155559876";

const CONNECTS: Documents = &[
    (
        "/record/",
        "<Response><Dial action=\"/done?d=1\" callerId=\"+15005550006\" record=\"record-from-answer-dual\" trim=\"do-not-trim\" \
         recordingStatusCallback=\"/recording\" recordingStatusCallbackEvent=\"in-progress completed\" timeout=\"25\">\
         <Number url=\"/whisper\" statusCallback=\"/leg\" statusCallbackEvent=\"initiated ringing answered completed\">\
         +14155559876</Number></Dial><Redirect>/never</Redirect></Response>",
    ),
    ("/whisper", "<Response><Say>This call is recorded.</Say></Response>"),
    ("/done", "<Response><Hangup/></Response>"),
];

/// Rings two phones, whose whisper asks for a key.
const SCREENS: Documents = &[
    (
        "/record/",
        "<Response><Dial action=\"/done\"><Number url=\"/whisper\">+14155559876</Number>\
         <Number url=\"/whisper\">+14155559877</Number></Dial></Response>",
    ),
    (
        "/whisper",
        "<Response><Gather numDigits=\"1\" action=\"/take\"><Say>Press any key.</Say></Gather><Hangup/></Response>",
    ),
    ("/take", "<Response/>"),
    ("/done", "<Response/>"),
];

/// Returns the children of a call as Twilio lists them, newest first.
async fn children(twilio: &Twilio, parent: &str) -> Vec<Value> {
    let list = fetch(twilio, &format!("/Calls.json?ParentCallSid={parent}")).await;
    list["calls"].as_array().expect("a list").clone()
}

/// Places a call and sets what happens to the next one, which its `<Dial>` makes.
async fn call_that_dials(twilio: &Twilio, program: &Program, outcome: Outcome) -> String {
    twilio.hold(Stage::Ringing);
    let sid = call(twilio, program, &[]).await;
    twilio.set_next_outcome(outcome);
    twilio.release(Stage::Ringing);
    sid
}

/// Waits until this many children have reported this status; returns their SIDs.
async fn reported(twilio: &Twilio, program: &Program, status: &str, count: usize) -> Vec<String> {
    let find = || {
        let reports = program.received_at("/leg").into_iter().filter(|report| report["CallStatus"] == status);
        let sids: Vec<String> = reports.map(|report| report["CallSid"].clone()).collect();
        (sids.len() == count).then_some(sids)
    };
    twilio.control.until(find).await
}

#[tokio::test]
async fn two_calls_are_connected_and_recorded_on_two_channels() {
    let (twilio, program) = (start().await, Program::start(CONNECTS).await);
    let sid = call(&twilio, &program, &[]).await;
    twilio.settled().await;

    let children = children(&twilio, &sid).await;
    let [child] = &children[..] else { panic!("{children:?}") };
    assert_eq!((&child["direction"], &child["status"]), (&"outbound-dial".into(), &"completed".into()));
    assert_eq!((child["parent_call_sid"].as_str(), child["to"].as_str()), (Some(sid.as_str()), Some(OTHER)));
    assert_eq!(child["from"], PHONE_NUMBER);
    let parent = fetch(&twilio, &format!("/Calls/{sid}.json")).await;
    assert_eq!((&parent["parent_call_sid"], &parent["direction"]), (&Value::Null, &"outbound-api".into()));

    let whisper = &program.received_at("/whisper")[0];
    assert_eq!((whisper["CallSid"].as_str(), &whisper["ParentCallSid"]), (child["sid"].as_str().unwrap(), &sid));
    assert_eq!((whisper["Direction"].as_str(), whisper["CallStatus"].as_str()), ("outbound-dial", "in-progress"));

    let recording = twilio.recordings_of(&sid).pop().expect("a recording of the parent");
    assert!(twilio.recordings_of(child["sid"].as_str().unwrap()).is_empty());
    let resource = fetch(&twilio, &format!("/Recordings/{recording}.json")).await;
    assert_eq!((&resource["source"], &resource["channels"]), (&"DialVerb".into(), &2.into()));
    let audio = request(&twilio, Method::GET, &format!("/Recordings/{recording}.wav?RequestedChannels=2"), &[]).await;
    assert_eq!(audio.bytes().await.unwrap(), speech::stereo());
    // The reports of a recording overtake each other.
    let reports = program.received_at("/recording");
    let of_status = |status: &str| reports.iter().filter(|report| report["RecordingStatus"] == status).count();
    assert_eq!((of_status("in-progress"), of_status("completed"), reports.len()), (1, 1, 2));
    for report in &reports {
        assert_eq!((&report["CallSid"], &report["RecordingSid"]), (&sid, &recording));
        assert_eq!((report["RecordingChannels"].as_str(), report["RecordingSource"].as_str()), ("2", "DialVerb"));
    }

    let done = &program.received_at("/done")[0];
    assert_eq!((&done["CallSid"], done["d"].as_str(), done["CallStatus"].as_str()), (&sid, "1", "in-progress"));
    assert_eq!(
        (done["DialCallSid"].as_str(), done["DialCallStatus"].as_str()),
        (child["sid"].as_str().unwrap(), "completed")
    );
    assert_eq!((done["DialBridged"].as_str(), &done["RecordingUrl"]), ("true", &reports[0]["RecordingUrl"]));
    assert_eq!(Some(done["DialCallDuration"].as_str()), child["duration"].as_str());
    assert!(program.received_at("/never").is_empty());
}

#[tokio::test]
async fn a_child_reports_its_own_events() {
    let (twilio, program) = (start().await, Program::start(CONNECTS).await);
    let sid = call(&twilio, &program, &[]).await;
    twilio.settled().await;
    let reports = program.received_at("/leg");
    let statuses: Vec<&str> = reports.iter().map(|report| report["CallStatus"].as_str()).collect();
    assert_eq!(statuses, ["initiated", "ringing", "in-progress", "completed"]);
    let recording = twilio.recordings_of(&sid).remove(0);
    for (number, report) in reports.iter().enumerate() {
        assert_eq!((&report["SequenceNumber"], &report["ParentCallSid"]), (&number.to_string(), &sid));
        assert_eq!(
            (&report["CallSid"], report["CallbackSource"].as_str()),
            (&reports[0]["CallSid"], "call-progress-events")
        );
        assert_ne!(report["CallSid"], sid);
        assert_eq!(report.get("RecordingSid"), (number == 3).then_some(&recording));
    }
    assert_eq!(reports[3]["RecordingDuration"], "5");
    // The whisper and the conversation.
    assert_eq!(reports[3]["CallDuration"], "6");
    let own = program.received_at("/hook");
    assert!(own.iter().all(|report| report["CallSid"] == sid && !report.contains_key("RecordingSid")));
}

#[tokio::test]
async fn a_call_that_nobody_takes_goes_to_the_action_unconnected() {
    for (outcome, status) in [(Outcome::Busy, "busy"), (Outcome::NoAnswer, "no-answer"), (Outcome::Failed, "failed")] {
        let (twilio, program) = (start().await, Program::start(CONNECTS).await);
        let sid = call_that_dials(&twilio, &program, outcome).await;
        twilio.settled().await;
        let done = &program.received_at("/done")[0];
        assert_eq!((done["DialCallStatus"].as_str(), done["DialBridged"].as_str()), (status, "false"));
        assert_eq!((done.get("RecordingUrl"), twilio.recordings_of(&sid).len()), (None, 0));
        assert_eq!(program.received_at("/leg")[2]["CallStatus"], status);
        assert!(program.received_at("/whisper").is_empty());
        assert_eq!(twilio.call_status(&sid).as_deref(), Some("completed"));
    }
}

#[tokio::test]
async fn a_recording_from_ringing_on_is_there_also_of_a_call_that_nobody_takes() {
    let documents: Documents = &[
        (
            "/record/",
            "<Response><Dial record=\"record-from-ringing\">+14155559876</Dial><Redirect>/next</Redirect></Response>",
        ),
        ("/next", "<Response/>"),
    ];
    let (twilio, program) = (start().await, Program::start(documents).await);
    let sid = call_that_dials(&twilio, &program, Outcome::NoAnswer).await;
    twilio.settled().await;
    // Without an action the next verb follows.
    assert_eq!(program.received_at("/next").len(), 1);
    let recording = fetch(&twilio, &format!("/Recordings/{}.json", twilio.recordings_of(&sid)[0])).await;
    assert_eq!((&recording["channels"], &recording["status"]), (&1.into(), &"completed".into()));
}

#[tokio::test]
async fn the_person_who_presses_the_key_is_connected_and_a_voicemail_box_is_not() {
    let (twilio, program) = (start().await, Program::start(SCREENS).await);
    let sid = call_that_dials(&twilio, &program, Outcome::Voicemail).await;
    twilio.settled().await;
    let children = children(&twilio, &sid).await;
    let [takes, voicemail] = &children[..] else { panic!("{children:?}") };
    assert_eq!((takes["to"].as_str(), voicemail["to"].as_str()), (Some("+14155559877"), Some(OTHER)));
    let taken = program.received_at("/take");
    assert_eq!((taken.len(), Some(taken[0]["CallSid"].as_str())), (1, takes["sid"].as_str()));
    let done = &program.received_at("/done")[0];
    assert_eq!((Some(done["DialCallSid"].as_str()), done["DialBridged"].as_str()), (takes["sid"].as_str(), "true"));
    assert!(voicemail["end_time"].is_string());
}

#[tokio::test]
async fn a_child_that_is_hung_up_in_its_whisper_was_never_connected() {
    const DIALS: (&str, &str) = (
        "/record/",
        "<Response><Dial action=\"/done\"><Number url=\"/whisper\">+14155559876</Number></Dial></Response>",
    );
    const DONE: (&str, &str) = ("/done", "<Response/>");
    let hangs_up: Documents = &[DIALS, ("/whisper", "<Response><Say>No.</Say><Hangup/></Response>"), DONE];
    // A whisper must not record, either.
    let records: Documents = &[DIALS, ("/whisper", "<Response><Record/></Response>"), DONE];
    for documents in [hangs_up, records] {
        let (twilio, program) = (start().await, Program::start(documents).await);
        let sid = call(&twilio, &program, &[]).await;
        twilio.settled().await;
        let done = &program.received_at("/done")[0];
        assert_eq!((done["DialCallStatus"].as_str(), done["DialBridged"].as_str()), ("completed", "false"));
        assert_eq!(children(&twilio, &sid).await[0]["status"], "completed");
    }
}

#[tokio::test]
async fn a_parent_that_is_hung_up_takes_its_children_along() {
    let (twilio, program) = (start().await, Program::start(CONNECTS).await);
    twilio.hold(Stage::Completed);
    let sid = call(&twilio, &program, &[]).await;
    twilio.control.until(|| (twilio.recordings_of(&sid).len() == 1).then_some(())).await;
    let path = format!("/Calls/{sid}.json");
    assert_eq!(request(&twilio, Method::POST, &path, &[("Status", "completed")]).await.status(), 200);
    twilio.settled().await;
    assert_eq!(children(&twilio, &sid).await[0]["status"], "completed");
    assert_eq!(twilio.recording_status(&twilio.recordings_of(&sid)[0]).as_deref(), Some("completed"));
    assert_eq!((program.received_at("/done").len(), program.received_at("/recording").len()), (0, 2));
    assert_eq!(program.received_at("/leg")[3]["RecordingDuration"], "5");
    twilio.release(Stage::Completed);

    twilio.set_next_outcome(Outcome::HangsUp);
    let sid = call(&twilio, &program, &[]).await;
    twilio.settled().await;
    assert_eq!(children(&twilio, &sid).await[0]["status"], "completed");
    assert!(program.received_at("/done").is_empty());
}

#[tokio::test]
async fn children_that_still_ring_are_canceled_with_their_parent() {
    let documents: Documents = &[(
        "/record/",
        "<Response><Dial action=\"/done\"><Number statusCallback=\"/leg\" statusCallbackEvent=\"ringing\">+14155559876</Number>\
         <Number statusCallback=\"/leg\" statusCallbackEvent=\"ringing\">+14155559877</Number></Dial></Response>",
    )];
    let (twilio, program) = (start().await, Program::start(documents).await);
    twilio.hold(Stage::InProgress);
    let sid = twilio.inbound_call(&format!("{}/record/", program.url), "+14155551234");
    let legs = reported(&twilio, &program, "ringing", 2).await;
    assert_eq!(fetch(&twilio, &format!("/Calls/{}.json", legs[0])).await["from"], "+14155551234");
    request(&twilio, Method::POST, &format!("/Calls/{sid}.json"), &[("Status", "completed")]).await;
    twilio.settled().await;
    for leg in legs {
        assert_eq!(twilio.call_status(&leg).as_deref(), Some("canceled"));
    }
    assert!(program.received_at("/done").is_empty());
}

#[tokio::test]
async fn a_child_can_be_hung_up_by_a_request_but_not_redirected() {
    let (twilio, program) = (start().await, Program::start(CONNECTS).await);
    twilio.hold(Stage::Completed);
    let sid = call(&twilio, &program, &[]).await;
    let child = reported(&twilio, &program, "in-progress", 1).await.remove(0);
    twilio.control.until(|| (twilio.recordings_of(&sid).len() == 1).then_some(())).await;
    let path = format!("/Calls/{child}.json");
    let redirected = request(&twilio, Method::POST, &path, &[("Twiml", "<Response/>")]).await;
    assert_eq!(redirected.status(), 400);
    assert!(redirected.text().await.unwrap().contains("The sandbox does not redirect"));
    request(&twilio, Method::POST, &path, &[("Status", "completed")]).await;
    twilio.release(Stage::Completed);
    twilio.settled().await;
    let done = &program.received_at("/done")[0];
    assert_eq!((&done["DialCallSid"], done["DialBridged"].as_str()), (&child, "true"));
}

#[tokio::test]
async fn a_parent_that_is_redirected_leaves_its_child() {
    let (twilio, program) = (start().await, Program::start(CONNECTS).await);
    twilio.hold(Stage::Completed);
    let sid = call(&twilio, &program, &[]).await;
    let child = reported(&twilio, &program, "in-progress", 1).await.remove(0);
    request(&twilio, Method::POST, &format!("/Calls/{sid}.json"), &[("Twiml", "<Response><Say>Bye.</Say></Response>")])
        .await;
    twilio.control.until(|| (twilio.call_status(&child).as_deref() == Some("completed")).then_some(())).await;
    assert_eq!(twilio.call_status(&sid).as_deref(), Some("in-progress"));
    twilio.release(Stage::Completed);
    twilio.settled().await;
    assert!(program.received_at("/done").is_empty());
}

#[tokio::test]
async fn only_numbers_of_the_account_or_the_call_can_be_shown() {
    let documents: Documents = &[
        ("/other", "<Response><Dial action=\"/done\" callerId=\"+14155550000\">+14155559876</Dial></Response>"),
        ("/caller", "<Response><Dial action=\"/done\" callerId=\"+14155551234\">+14155559876</Dial></Response>"),
        ("/impossible", "<Response><Dial action=\"/done\">14155559876</Dial></Response>"),
        ("/done", "<Response/>"),
    ];
    let (twilio, program) = (start().await, Program::start(documents).await);
    let inbound = |path: &str| twilio.inbound_call(&format!("{}{path}", program.url), "+14155551234");
    let refused = inbound("/other");
    twilio.settled().await;
    assert_eq!((children(&twilio, &refused).await.len(), program.received_at("/done").len()), (0, 0));
    let shown = inbound("/caller");
    twilio.settled().await;
    assert_eq!(children(&twilio, &shown).await[0]["from"], "+14155551234");
    inbound("/impossible");
    twilio.settled().await;
    let statuses: Vec<String> =
        program.received_at("/done").iter().map(|done| done["DialCallStatus"].clone()).collect();
    assert_eq!(statuses, ["completed", "failed"]);
}

#[tokio::test]
async fn a_caller_can_hear_ringing_until_somebody_takes_the_call() {
    let documents: Documents = &[(
        "/record/",
        "<Response><Dial answerOnBridge=\"true\"><Number statusCallback=\"/leg\" statusCallbackEvent=\"ringing\">\
             +14155559876</Number></Dial></Response>",
    )];
    let (twilio, program) = (start().await, Program::start(documents).await);
    twilio.hold(Stage::InProgress);
    let taken = twilio.inbound_call(&format!("{}/record/", program.url), "+14155551234");
    reported(&twilio, &program, "ringing", 1).await;
    assert_eq!(twilio.call_status(&taken).as_deref(), Some("ringing"));
    twilio.release(Stage::InProgress);
    twilio.settled().await;
    assert_eq!(twilio.call_status(&taken).as_deref(), Some("completed"));

    let lost = twilio.inbound_call(&format!("{}/record/", program.url), "+14155551234");
    twilio.set_next_outcome(Outcome::Busy);
    twilio.settled().await;
    assert_eq!(twilio.call_status(&lost).as_deref(), Some("no-answer"));
}
