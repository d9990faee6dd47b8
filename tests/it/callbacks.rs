//! Callbacks may be lost, doubled, or come in any order: a call of each kind ends the same.

use callscribe::sandbox::control::Callbacks;
use serde_json::{Value, json};

use crate::conversations::{CALLEE, CALLER, PHONE, let_end, with_callbacks};
use crate::pipeline::assert_transcribed;
use crate::support::assert_happened;

/// What a call is for, and who calls.
#[derive(Debug, Clone, Copy)]
enum Call {
    Message,
    Inbound,
    Conversation,
    Forwarded,
}

use Call::{Conversation, Forwarded, Inbound, Message};

impl Call {
    /// What is left of it, without ids and times.
    fn expected(self) -> Value {
        let (operator, callee, caller) = (("operator", PHONE), ("party", CALLEE), ("party", CALLER));
        let (direction, kind, channels, source, legs) = match self {
            Message => ("outbound", "message", 1, "RecordVerb", vec![callee]),
            Inbound => ("inbound", "message", 1, "RecordVerb", vec![caller]),
            Conversation => ("outbound", "conversation", 2, "DialVerb", vec![operator, callee]),
            Forwarded => ("inbound", "conversation", 2, "DialVerb", vec![caller, operator]),
        };
        let leg = |(role, number)| json!({ "role": role, "number": number, "state": "completed", "reason": null });
        json!({
            "direction": direction,
            "kind": kind,
            "state": "completed",
            "progress": "done",
            "reason": null,
            "legs": legs.into_iter().map(leg).collect::<Vec<_>>(),
            "recordings": [{ "state": "completed", "channels": channels, "source": source, "reason": null }],
            "transcripts": [{ "state": "completed", "reason": null }],
        })
    }
}

/// Returns these members of an object.
fn members(object: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| (name.to_string(), object[name].clone())).collect()
}

/// What [`Call::expected`] has of a call.
fn left(call: &Value) -> Value {
    let mut left = members(call, &["direction", "kind", "state", "progress", "reason"]);
    for (list, names) in [
        ("legs", &["role", "number", "state", "reason"][..]),
        ("recordings", &["state", "channels", "source", "reason"]),
        ("transcripts", &["state", "reason"]),
    ] {
        left[list] = call[list].as_array().expect("a list").iter().map(|one| members(one, names)).collect();
    }
    left
}

#[tokio::test]
async fn a_call_of_each_kind_ends_the_same_however_its_callbacks_come() {
    for kind in [Message, Inbound, Conversation, Forwarded] {
        for callbacks in [Callbacks::Deliver, Callbacks::Drop, Callbacks::Twice, Callbacks::Shuffled] {
            let inbound = if matches!(kind, Forwarded) { "forward" } else { "record" };
            let world = with_callbacks(callbacks, &[("OPERATOR_PHONES", PHONE), ("INBOUND", inbound)]).await;
            let sid = match kind {
                Message => world.dial("14155551234").await,
                Conversation => world.dial("14155551234?with=me").await,
                Inbound | Forwarded => world.twilio.inbound_call(&format!("{}/record/", world.base), CALLER),
            };
            let_end(&world).await;
            let call = world.call(&sid).await;
            assert_eq!(left(&call), kind.expected(), "{kind:?}, {callbacks:?}: {call:#}");
            let is_timed = |leg: &Value| leg["answered_at"].is_string() && leg["ended_at"].is_string();
            assert!(call["legs"].as_array().is_some_and(|legs| legs.iter().all(is_timed)), "{callbacks:?}: {call:#}");
            assert_transcribed(&world, &sid).await;
            assert_happened(world.transcript_requests().len(), 1);
            let is_dialed = matches!(kind, Message | Conversation);
            assert_eq!(world.calls_placed(), usize::from(is_dialed), "{kind:?}, {callbacks:?}: calls at Twilio");
            let calls = world.get("/calls").await.json();
            assert_eq!(calls["calls"].as_array().map(Vec::len), Some(1), "{kind:?}, {callbacks:?}: a leg is no call");
        }
    }
}
