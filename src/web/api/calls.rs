//! Calls: dialing, and what is known of them.

use serde_json::json;

use super::operation::{Group, get, post};
use crate::web::delete::DeletingView;
use crate::web::dial::{Confirmed, Options, Wanted};
use crate::web::filter::Search;
use crate::web::speakers::SpeakerList;
use crate::web::view::{CallDetails, CallList};

/// Why a call may not be placed.
const NOT_DIALED: &[&str] =
    &["bad-keyterms", "not-allowed", "not-placed", "too-many-calls", "unsettled", "vendor-ambiguous"];

pub(super) fn group() -> Group {
    let names = json!({
        "schema": {
            "type": "object",
            "properties": {
                "swap": { "type": "boolean", "description": "Whether to swap the two sides." },
                "swapped": { "type": "boolean", "description": "Whether they were swapped where you saw them: then the same \
                    request sent twice swaps once." },
            },
            "additionalProperties": { "type": "string" },
            "description": "Names by channel or by AssemblyAI's letter. An empty one takes a name away.",
        },
        "example": { "1": "Dana", "2": "Mr Lee" },
    });
    let operations = vec![
        get("/dial/{number}", "dial", "Calls a number, and records what is said")
            .says("A browser that asks for the same number again soon is shown the call that there is. `HEAD` is refused.")
            .query::<Options>()
            .once_by_key()
            .text("One line: `dialing +14155551234. call SID is: CA…`.")
            .page()
            .nothing(303, "To a browser: the address of the call's page, in `Location`.")
            .refused(NOT_DIALED)
            .asks_vendor(),
        get("/calls", "list_calls", "Lists calls, without uploads")
            .says("With `q`, finds what was said: `hits` in place of `calls`. `/items` lists the same with uploads.")
            .query::<Search>()
            .json::<CallList>(200, "A page of the list. `next` is the address of the next one.")
            .page(),
        post("/calls", "place_call", "Calls a number, and records what is said")
            .once_by_key()
            .body::<Wanted>(json!({ "to": "+14155551234", "keyterms": ["Ahoy Street"], "tag": "spring" }))
            .form::<Confirmed>(json!({ "number": "+14155551234" }))
            .json::<CallDetails>(201, "The call. Its address is in `Location`.")
            .json::<CallDetails>(200, "The same was asked for before: that call. To a form, a line as `/dial` answers.")
            .text("")
            .page()
            .refused(NOT_DIALED)
            .asks_vendor(),
        get("/calls/{call}", "get_call", "Returns a call")
            .says("The SID of a leg leads to its call. What callscribe does not know, it asks Twilio for.")
            .json::<CallDetails>(200, "Everything known of it.")
            .page()
            .refused(&["deleted", "no-such-call"])
            .asks_vendor(),
        post("/calls/{call}/retry", "retry_call", "Tries again what has failed. Rings no phone")
            .once_by_key()
            .json::<CallDetails>(200, "The call as it is now.")
            .page()
            .refused(&["deleted", "no-such-call", "nothing-to-retry"]),
        post("/calls/{call}/speakers", "name_speakers", "Names the speakers of a call, or swaps its sides")
            .body_of("application/json", names)
            .json::<SpeakerList>(200, "All speakers as they are called now.")
            .page()
            .refused(&["deleted", "no-such-call"]),
        get("/calls/{call}/delete", "ask_to_delete_call", "A page that says what is deleted where")
            .page()
            .refused(&["deleted", "no-such-call", "not-deletable"]),
        post("/calls/{call}/delete", "delete_call", "Deletes a call, here, at both vendors and in the archive")
            .says("It goes on in the background. The call's address answers 410 once it is gone.")
            .json::<DeletingView>(202, "It is being deleted.")
            .page()
            .refused(&["deleted", "in-own-storage", "no-such-call", "not-deletable", "other-archive"])
            .asks_vendor(),
    ];
    Group { name: "Calls", says: "Dialing, and the calls of the Twilio account.", operations }
}
