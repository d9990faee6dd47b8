//! What the vendors call.

use serde_json::{Value, json};

use super::operation::{Caller, FORM, Group, Operation, get, post};

pub(super) fn group() -> Group {
    let mut operations = Vec::new();
    for (path, by_get, name, summary) in [
        ("/record", "greet_by_get", "greet", "Greets, and records a message"),
        ("/record/done", "record_done_by_get", "record_done", "Hangs up after a message"),
        ("/record/greeting", "whisper_by_get", "whisper", "Asks the operator's phone for a key"),
        ("/record/conversation", "begin_conversation_by_get", "begin_conversation", "Begins a conversation"),
        (
            "/record/conversation/key",
            "conversation_key_by_get",
            "conversation_key",
            "A key was pressed on the operator's phone",
        ),
        (
            "/record/conversation/connect",
            "connect_conversation_by_get",
            "connect_conversation",
            "Connects the two phones of a conversation",
        ),
        ("/record/conversation/done", "conversation_done_by_get", "conversation_done", "Ends a conversation"),
        ("/record/take", "offer_call_by_get", "offer_call", "Offers a forwarded call to a phone of the operator's"),
        ("/record/take/key", "take_call_by_get", "take_call", "A key was pressed there"),
        ("/record/take/done", "forwarding_done_by_get", "forwarding_done", "A forwarded call was taken, or was not"),
    ] {
        operations.push(twiml(get(path, by_get, summary)));
        operations.push(twiml(post(path, name, summary).body_of(FORM, callback())));
    }
    for (path, name, summary) in [
        ("/hooks/twilio/call", "report_call", "Twilio reports the state of a call"),
        ("/hooks/twilio/leg", "report_leg", "Twilio reports the state of a leg"),
        ("/hooks/twilio/recording", "report_recording", "Twilio reports the state of a recording"),
    ] {
        let operation = post(path, name, summary).of(Caller::Twilio).body_of(FORM, callback());
        operations.push(operation.nothing(204, "It is committed."));
    }
    let ready = json!({
        "schema": {
            "type": "object",
            "properties": { "transcript_id": { "type": ["string", "null"] }, "status": { "type": "string" } },
        },
        "example": { "transcript_id": "9ea68fd3-f953-42c1-9742-976c447fb463", "status": "completed" },
    });
    operations.push(
        post("/hooks/assemblyai", "report_transcript", "AssemblyAI reports that a transcript is finished")
            .of(Caller::AssemblyAi)
            .body_of("application/json", ready)
            .nothing(204, "It will be fetched."),
    );
    Group {
        name: "For the vendors",
        says: "What Twilio and AssemblyAI call. Each proves where it comes from, and takes whatever the vendors send.",
        operations,
    }
}

fn callback() -> Value {
    json!({ "schema": { "type": "object", "additionalProperties": { "type": "string" } } })
}

fn twiml(operation: Operation) -> Operation {
    operation.of(Caller::Twilio).answers(200, "TwiML.", "text/xml", json!({ "type": "string" }))
}
