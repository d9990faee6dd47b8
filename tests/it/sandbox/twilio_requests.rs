//! What a request asks for beside the plain call: filters of lists, TwiML in the request, changes of a live call.

use axum::http::{Method, StatusCode};
use callscribe::sandbox::twilio::{Outcome, PHONE_NUMBER, SeededCall, SeededRecording, Stage, Twilio};
use serde_json::Value;

use super::twilio::{EVERY_EVENT, Program, RECORDED, call, fetch, request, start, with_query};

/// Returns the SIDs in a list with these filters.
async fn listed(twilio: &Twilio, path: &str, filters: &[(&str, &str)]) -> Vec<String> {
    let list = fetch(twilio, &with_query(path, filters)).await;
    let entries =
        ["calls", "recordings"].iter().find_map(|name| list[*name].as_array()).unwrap_or_else(|| panic!("{list}"));
    entries.iter().map(|entry| entry["sid"].as_str().expect("a SID").to_owned()).collect()
}

/// Returns the code and the message of a refused request to change a call.
async fn refused(twilio: &Twilio, path: &str, form: &[(&str, &str)]) -> (u64, String) {
    let answer = request(twilio, Method::POST, path, form).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let error: Value = answer.json().await.unwrap();
    (error["code"].as_u64().unwrap(), error["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn filters_by_time_leave_only_what_is_old_or_new_enough() {
    let twilio = start().await;
    let sid = twilio.add_call(SeededCall::default());
    let queued = twilio.add_call(SeededCall { status: "queued", duration: None, ..SeededCall::default() });
    let of_call = SeededRecording { call_sid: sid.clone(), ..SeededRecording::default() };
    let recording = twilio.add_recording(of_call);
    let of_recordings = format!("/Calls/{sid}/Recordings.json");
    for (path, name, expected) in [
        ("/Calls.json", "StartTime", &sid),
        ("/Calls.json", "EndTime", &sid),
        ("/Recordings.json", "DateCreated", &recording),
        (&of_recordings, "DateCreated", &recording),
    ] {
        let (until, from) = (format!("{name}<"), format!("{name}>"));
        let (past, future) = ("2000-01-01", "2100-01-01T00:00:00Z");
        assert_eq!(
            listed(&twilio, path, &[(&until, future), (&from, past)]).await,
            [expected.as_str()],
            "{path} {name}"
        );
        for filter in [(until.as_str(), past), (&from, future), (name, past), (name, future)] {
            assert!(listed(&twilio, path, &[filter]).await.is_empty(), "{path} {filter:?}");
        }
        let wrong = fetch(&twilio, &with_query(path, &[(&until, "yesterday")])).await;
        assert_eq!((&wrong["status"], &wrong["code"]), (&400.into(), &20001.into()));
    }
    // A filter stays on the following pages.
    let first = fetch(&twilio, &with_query("/Calls.json", &[("StartTime<", "2100-01-01"), ("PageSize", "1")])).await;
    assert_eq!((&first["calls"][0]["sid"], &first["next_page_uri"]), (&sid.as_str().into(), &Value::Null));
    assert_eq!(listed(&twilio, "/Calls.json", &[("Status", "queued")]).await, [queued]);
}

#[tokio::test]
async fn no_call_has_a_parent_and_no_recording_is_of_a_conference() {
    let twilio = start().await;
    let sid = twilio.add_call(SeededCall::default());
    twilio.add_recording(SeededRecording::default());
    assert!(listed(&twilio, "/Calls.json", &[("ParentCallSid", &sid)]).await.is_empty());
    assert!(listed(&twilio, "/Recordings.json", &[("ConferenceSid", &sid.replace("CA", "CF"))]).await.is_empty());
    assert_eq!(listed(&twilio, "/Recordings.json", &[("IncludeSoftDeleted", "false"), ("CallSid", "")]).await.len(), 1);
    let deleted = [("IncludeSoftDeleted", "true")];
    let deleted = fetch(&twilio, &with_query("/Recordings.json", &deleted)).await;
    assert_eq!(deleted["message"], "The sandbox does not keep deleted recordings");
}

#[tokio::test]
async fn an_unanswered_call_has_started_and_a_queued_one_has_not() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    twilio.set_next_outcome(Outcome::Busy);
    let busy = call(&twilio, &program, &[]).await;
    twilio.settled().await;
    twilio.hold(Stage::Ringing);
    call(&twilio, &program, &[]).await;
    assert_eq!(listed(&twilio, "/Calls.json", &[("StartTime>", "2000-01-01")]).await, [busy]);
}

#[tokio::test]
async fn a_call_can_bring_its_twiml_along() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    let place = async |twiml: &str| {
        let form = [("To", "+14155551234"), ("From", PHONE_NUMBER), ("Twiml", twiml)];
        let created: Value = request(&twilio, Method::POST, "/Calls.json", &form).await.json().await.unwrap();
        twilio.settled().await;
        created["sid"].as_str().expect("a SID").to_owned()
    };
    let done = format!("{}/record/done/", program.url);
    let sid = place(&format!("<Response><Say>Ahoy!</Say><Record action=\"{done}\"/></Response>")).await;
    assert_eq!(program.received_at("/record/done/").len(), 1);
    assert_eq!((twilio.recordings_of(&sid).len(), twilio.call_status(&sid).as_deref()), (1, Some("completed")));
    // Nothing says what a relative URL would be relative to.
    let lost = place("<Response><Redirect>/record/</Redirect></Response>").await;
    assert_eq!((program.received().len(), twilio.call_status(&lost).as_deref()), (1, Some("completed")));

    let form = [("To", "+14155551234"), ("From", PHONE_NUMBER), ("Twiml", &"a".repeat(4_001))];
    assert_eq!(refused(&twilio, "/Calls.json", &form).await.0, 20001);
    // Beside a URL it is ignored.
    call(&twilio, &program, &[("Twiml", "<Response/>")]).await;
    twilio.settled().await;
    assert_eq!(program.received_at("/record/").len(), 1);
}

const REDIRECTED: &[(&str, &str)] = &[
    ("/record/", "<Response><Say>Ahoy!</Say><Record action=\"/record/done/\"/><Redirect>/never</Redirect></Response>"),
    ("/elsewhere", "<Response><Say>One moment.</Say></Response>"),
];

#[tokio::test]
async fn a_live_call_continues_with_the_document_it_is_redirected_to() {
    for elsewhere in ["Url", "Twiml"] {
        let (twilio, program) = (start().await, Program::start(REDIRECTED).await);
        twilio.hold(Stage::RecordingProcessing);
        let hook = format!("{}/whole", program.url);
        let whole = [("Record", "true"), ("RecordingStatusCallback", hook.as_str())];
        let sid = call(&twilio, &program, &[EVERY_EVENT.as_slice(), &whole].concat()).await;
        let of_verb = || twilio.recordings_of(&sid).into_iter().nth(1);
        let of_verb = twilio.control.until(of_verb).await;

        let path = format!("/Calls/{sid}.json");
        let url = format!("{}/elsewhere?a=b", program.url);
        let value =
            if elsewhere == "Url" { url.clone() } else { format!("<Response><Redirect>{url}</Redirect></Response>") };
        let hook = format!("{}/later", program.url);
        let form = [(elsewhere, value.as_str()), ("StatusCallback", hook.as_str())];
        let redirected = request(&twilio, Method::POST, &path, &form).await;
        assert_eq!(redirected.json::<Value>().await.unwrap()["status"], "in-progress");
        twilio.settled().await;

        assert_eq!(program.received_at("/elsewhere")[0]["a"], "b", "{elsewhere}");
        assert!(program.received_at("/record/done/").is_empty() && program.received_at("/never").is_empty());
        assert_eq!(twilio.recording_status(&of_verb).as_deref(), Some("completed"));
        assert_eq!(program.received_at("/whole").len(), 1, "the recording of the whole call ends with the call");
        let ends: Vec<String> = program.received_at("/later").iter().map(|end| end["CallStatus"].clone()).collect();
        assert_eq!((ends, twilio.call_status(&sid).as_deref()), (vec!["completed".to_owned()], Some("completed")));
        assert_eq!(refused(&twilio, &path, &[(elsewhere, &value)]).await.0, 21220);
    }
}

#[tokio::test]
async fn a_call_that_waits_for_its_end_can_still_be_redirected() {
    let (twilio, program) = (start().await, Program::start(REDIRECTED).await);
    twilio.hold(Stage::Completed);
    let sid = call(&twilio, &program, &[]).await;
    twilio.control.until(|| (program.received_at("/record/done/").len() == 1).then_some(())).await;
    let url = format!("{}/elsewhere", program.url);
    request(&twilio, Method::POST, &format!("/Calls/{sid}.json"), &[("Url", &url)]).await;
    twilio.release(Stage::Completed);
    twilio.settled().await;
    assert_eq!(program.received_at("/elsewhere").len(), 1);
}

#[tokio::test]
async fn a_change_that_cannot_be_made_is_refused_and_changes_nothing() {
    let (twilio, program) = (start().await, Program::start(RECORDED).await);
    twilio.hold(Stage::Ringing);
    let sid = call(&twilio, &program, &[]).await;
    let path = format!("/Calls/{sid}.json");
    let url = ("Url", "https://example.com/");
    for (form, code) in [
        (&[url][..], 21220),
        (&[("Twiml", "<Response/>")], 21220),
        (&[url, ("Twiml", "<Response/>")], 20001),
        (&[url, ("Status", "completed")], 20001),
        (&[("Status", "busy")], 20001),
        (&[("Url", "/record/")], 21205),
        (&[("TimeLimit", "5")], 20001),
        (&[("Status", "completed"), ("FallbackUrl", "https://example.com/")], 20001),
    ] {
        assert_eq!(refused(&twilio, &path, form).await.0, code, "{form:?}");
    }
    assert_eq!(twilio.call_status(&sid).as_deref(), Some("queued"));
    let options = [("To", "+14155551234"), ("From", PHONE_NUMBER), url];
    for (name, value) in [("Trim", "trim-silence"), ("RecordingTrack", "inbound"), ("MachineDetection", "Enable")] {
        let form = [options.as_slice(), &[(name, value)]].concat();
        let (_, message) = refused(&twilio, "/Calls.json", &form).await;
        assert!(message.starts_with("The sandbox does not support "), "{message}");
    }
    assert_eq!(listed(&twilio, "/Calls.json", &[]).await, [sid]);
}
