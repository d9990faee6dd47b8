//! The operator's own programs, which are notified of calls and transcripts.

use serde_json::json;

use super::operation::{Group, Operation, delete, get, post};
use crate::web::deliveries::{DeliveryList, Search};
use crate::web::webhook_view::{DeliveryView, ReceiverView};
use crate::web::webhooks::{Change, ReceiverList, SecretView, Sent};

pub(super) fn group() -> Group {
    let gone = |operation: Operation| {
        operation.nothing(204, "It is removed.").page().refused(&["no-such-receiver", "receiver-of-setting"])
    };
    let operations = vec![
        get("/webhooks", "list_receivers", "Lists the receivers")
            .json::<ReceiverList>(200, "All of them: there are a hundred at most.")
            .page(),
        post("/webhooks", "add_receiver", "Adds a receiver")
            .body::<Sent>(json!({ "url": "https://example.com/callscribe" }))
            .json::<SecretView>(201, "The receiver with its secret, which no other answer has.")
            .page()
            .refused(&["same-receiver", "too-many-receivers"]),
        get("/webhooks/{id}", "get_receiver", "Returns a receiver")
            .json::<ReceiverView>(200, "The receiver.")
            .nothing(303, "To a browser: the address of the page that shows it, in `Location`.")
            .refused(&["no-such-receiver"]),
        post("/webhooks/{id}", "change_receiver", "Pauses a receiver, or enables it")
            .body::<Change>(json!({ "state": "paused" }))
            .json::<ReceiverView>(200, "The receiver as it is now.")
            .page()
            .refused(&["no-such-receiver"]),
        gone(delete("/webhooks/{id}", "remove_receiver", "Removes a receiver")),
        gone(post(
            "/webhooks/{id}/delete",
            "remove_receiver_by_form",
            "The same as `DELETE /webhooks/{id}`, for forms",
        )),
        post("/webhooks/{id}/rotate", "rotate_secret", "Gives a receiver a new secret")
            .says("For a day, the one before also signs.")
            .json::<SecretView>(200, "The receiver with its new secret, which no other answer has.")
            .refused(&["no-such-receiver", "receiver-of-setting"]),
        get("/webhooks/deliveries", "list_deliveries", "Lists what was sent, and what was answered")
            .query::<Search>()
            .json::<DeliveryList>(200, "A page of the list, the newest first. `next` is the `cursor` of the next one.")
            .page(),
        post("/webhooks/deliveries/{id}/resend", "resend_delivery", "Sends a delivery again")
            .json::<DeliveryView>(200, "The delivery, which waits now.")
            .page()
            .refused(&["no-such-delivery", "receiver-is-off"]),
    ];
    Group {
        name: "Webhooks",
        says: "Your own programs that are notified, after the Standard Webhooks specification.",
        operations,
    }
}
