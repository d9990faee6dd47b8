//! `<Gather>`: what the person on the phone presses, and what Twilio fetches then.

use callscribe::sandbox::twilio::Outcome;

use super::twilio::{Program, call, fetch, start};

type Documents = &'static [(&'static str, &'static str)];

const ASKS: Documents = &[
    (
        "/record/",
        "<Response><Gather numDigits=\"1\" timeout=\"8\" finishOnKey=\"\" action=\"key/?b=1\" actionOnEmptyResult=\"true\">\
         <Say>Press any key.</Say></Gather><Redirect>/never</Redirect></Response>",
    ),
    ("/record/key/", "<Response><Pause length=\"2\"/><Redirect method=\"GET\">/last</Redirect></Response>"),
    ("/last", "<Response><Hangup/></Response>"),
];

#[tokio::test]
async fn a_pressed_key_goes_to_the_action() {
    let (twilio, program) = (start().await, Program::start(ASKS).await);
    let sid = call(&twilio, &program, &[]).await;
    twilio.settled().await;
    let pressed = &program.received_at("/record/key/")[0];
    assert_eq!((pressed["Digits"].as_str(), pressed["b"].as_str(), &pressed["CallSid"]), ("1", "1", &sid));
    assert_eq!(pressed["CallStatus"], "in-progress");
    assert_eq!((program.received_at("/last").len(), program.received_at("/never").len()), (1, 0));
    // Less than a second of prompt and two of silence.
    assert_eq!(fetch(&twilio, &format!("/Calls/{sid}.json")).await["duration"], "3");
}

#[tokio::test]
async fn a_voicemail_box_presses_no_key() {
    let (twilio, program) = (start().await, Program::start(ASKS).await);
    for outcome in [Outcome::Voicemail, Outcome::Silent] {
        twilio.set_next_outcome(outcome);
        let sid = call(&twilio, &program, &[]).await;
        twilio.settled().await;
        let asked = program.received_at("/record/key/").pop().expect("the action is asked for without a key too");
        assert_eq!((asked["Digits"].as_str(), &asked["CallSid"]), ("", &sid));
        // The prompt, eight seconds of waiting, and the pause.
        assert_eq!(fetch(&twilio, &format!("/Calls/{sid}.json")).await["duration"], "11");
    }
}

#[tokio::test]
async fn without_a_key_the_next_verb_follows() {
    let documents: Documents = &[
        ("/record/", "<Response><Gather action=\"/key\"/><Redirect>/next</Redirect></Response>"),
        ("/key", "<Response/>"),
        ("/next", "<Response/>"),
    ];
    let (twilio, program) = (start().await, Program::start(documents).await);
    twilio.set_next_outcome(Outcome::Voicemail);
    call(&twilio, &program, &[]).await;
    twilio.settled().await;
    assert_eq!((program.received_at("/key").len(), program.received_at("/next").len()), (0, 1));
    call(&twilio, &program, &[]).await;
    twilio.settled().await;
    assert_eq!((program.received_at("/key").len(), program.received_at("/next").len()), (1, 1));
    // The key that finishes is no digit.
    assert_eq!(program.received_at("/key")[0]["Digits"], "1");
}

#[tokio::test]
async fn a_gather_without_an_action_fetches_its_own_document_again() {
    let documents: Documents = &[("/record/", "<Response><Gather numDigits=\"2\"/></Response>")];
    let (twilio, program) = (start().await, Program::start(documents).await);
    let sid = call(&twilio, &program, &[]).await;
    twilio.settled().await;
    let fetched = program.received_at("/record/");
    assert_eq!((fetched.len(), fetched[0].get("Digits")), (10, None));
    assert!(fetched[1..].iter().all(|request| request["Digits"] == "11" && request["a"] == "1"));
    assert_eq!(twilio.call_status(&sid).as_deref(), Some("completed"));
}

#[tokio::test]
async fn what_a_gather_cannot_do_here_ends_the_call() {
    let documents: Documents =
        &[("/record/", "<Response><Gather input=\"speech\" action=\"/key\"/><Redirect>/next</Redirect></Response>")];
    let (twilio, program) = (start().await, Program::start(documents).await);
    let sid = call(&twilio, &program, &[]).await;
    twilio.settled().await;
    assert_eq!(twilio.call_status(&sid).as_deref(), Some("completed"));
    assert_eq!(program.received().iter().filter(|(path, _)| path != "/hook").count(), 1);
}
