//! Names for numbers.

use serde_json::json;

use super::operation::{Group, Operation, delete, get, post, put};
use crate::web::contacts::{ContactList, ContactView, Place, Sent};
use crate::web::delete_many::ReceiptView;

pub(super) fn group() -> Group {
    let stored = |operation: Operation| {
        let example = json!({ "name": "Ada Lovelace", "keyterms": ["Analytical Engine"], "notes": "" });
        operation
            .body::<Sent>(example)
            .json::<ContactView>(200, "The contact as it is stored.")
            .json::<ContactView>(201, "It is new.")
            .refused(&["bad-keyterms"])
    };
    let gone = |operation: Operation| operation.nothing(204, "It is gone.").page().refused(&["no-such-contact"]);
    let operations = vec![
        get("/contacts", "list_contacts", "Lists the contacts")
            .query::<Place>()
            .json::<ContactList>(200, "A page of the list, by name. `next` is the address of the next one.")
            .page(),
        post("/contacts", "add_contact", "Names a number")
            .says("What is empty leaves what is stored of the contact.")
            .body::<Sent>(json!({ "number": "+14155551234", "name": "Ada Lovelace" }))
            .json::<ContactView>(200, "The contact as it is stored.")
            .json::<ContactView>(201, "It is new.")
            .page()
            .refused(&["bad-keyterms"]),
        get("/contacts/{number}", "get_contact", "Returns a contact")
            .json::<ContactView>(200, "The contact.")
            .page()
            .refused(&["no-such-contact"]),
        stored(put("/contacts/{number}", "put_contact", "Stores a contact in place of what is stored")),
        stored(post(
            "/contacts/{number}",
            "change_contact",
            "Changes what the body has of a contact, and leaves the rest",
        ))
        .page(),
        gone(delete("/contacts/{number}", "delete_contact", "Deletes a contact, not its calls")),
        gone(post(
            "/contacts/{number}/delete",
            "delete_contact_by_form",
            "The same as `DELETE /contacts/{number}`, for forms",
        )),
        get(
            "/contacts/{number}/delete-calls",
            "plan_deletion_of_calls",
            "Says what the deletion of all calls with a number would delete",
        )
        .json::<ReceiptView>(200, "What would be deleted where.")
        .page(),
        post("/contacts/{number}/delete-calls", "delete_calls", "Deletes all calls with a number")
            .says("It goes on in the background.")
            .json::<ReceiptView>(202, "What is being deleted where, and what is left.")
            .page(),
    ];
    Group { name: "Contacts", says: "Names for numbers, with the key terms of their calls.", operations }
}
