//! The list of calls and uploads, and what is done with all that match a filter.

use serde_json::json;

use super::operation::{Group, delete, get, post};
use crate::web::delete::DeletingView;
use crate::web::delete_many::ReceiptView;
use crate::web::deletions::{Counts, DeletionsView};
use crate::web::export::Options;
use crate::web::filing::{FiledView, FilingBody};
use crate::web::filter::Search;
use crate::web::items::{ItemDetails, ItemList};
use crate::web::live;
use crate::web::tags::{Place, TagList};

const SEEN: &str = "What GET has answered as `matches`. If others match by then, nothing is deleted.";

pub(super) fn group() -> Group {
    let seen = json!({
        "schema": {
            "type": "object", "additionalProperties": false,
            "properties": { "matches": { "type": "string", "description": SEEN } },
        },
        "example": {},
    });
    let operations = vec![
        get("/items", "list_items", "Lists calls and uploads")
            .says("Newest first, unless `sort` says otherwise. With `q`, what was said, with a `snippet`.")
            .query::<Search>()
            .json::<ItemList>(200, "A page of the list. `next` is the `cursor` of the next one.")
            .page(),
        get("/items/{call}", "get_item", "Returns a call or an upload")
            .json::<ItemDetails>(200, "Everything known of it.")
            .page()
            .refused(&["deleted", "no-such-call"])
            .asks_vendor(),
        post("/items/{call}", "file_item", "Changes the title of an upload, or the tag of a call or an upload")
            .body::<FilingBody>(json!({ "title": "Rounds", "tag": "spring" }))
            .json::<FiledView>(200, "Both as they are stored.")
            .page()
            .refused(&["deleted", "no-such-call"]),
        delete("/items/{call}", "delete_item", "Deletes a call or an upload, here, at both vendors and in the archive")
            .says("It goes on in the background. The address of the item answers 410 once it is gone.")
            .json::<DeletingView>(202, "It is being deleted.")
            .page()
            .refused(&["deleted", "in-own-storage", "no-such-call", "not-deletable", "other-archive"])
            .asks_vendor(),
        get("/items/{call}/delete", "ask_to_delete_item", "A page that says what is deleted where")
            .page()
            .refused(&["deleted", "no-such-call", "not-deletable"]),
        post("/items/{call}/delete", "delete_item_by_form", "The same as `DELETE /items/{call}`, for forms")
            .json::<DeletingView>(202, "It is being deleted.")
            .page()
            .refused(&["deleted", "in-own-storage", "no-such-call", "not-deletable", "other-archive"])
            .asks_vendor(),
        get("/items/delete", "plan_deletion", "Says what a filter would delete, and deletes nothing")
            .says("At least one filter is needed. `q`, `sort`, `limit` and `cursor` are refused.")
            .query_but::<Search>(&["cursor", "limit", "q", "sort"])
            .json::<ReceiptView>(200, "What would be deleted where. `matches` is what a deletion may send back.")
            .page(),
        post("/items/delete", "delete_items", "Deletes all calls and uploads that match a filter")
            .says("At least one filter is needed. It goes on in the background.")
            .query_but::<Search>(&["cursor", "limit", "q", "sort"])
            .body_of("application/json", seen)
            .body_is_optional()
            .json::<ReceiptView>(202, "What is being deleted where, and what is left.")
            .page()
            .refused(&["other-matches"]),
        get("/items/deletions", "get_deletions", "Says how many deletions are not finished")
            .says("The parameters are for the page: the counts of the deletion that it follows.")
            .query::<Counts>()
            .json::<DeletionsView>(200, "Those of all requests.")
            .page(),
        get("/tags", "list_tags", "Lists the tags that calls and uploads have")
            .query::<Place>()
            .json::<TagList>(200, "In alphabetical order."),
        get("/export", "export", "Exports all calls and uploads that match a filter")
            .says("It is streamed. `limit` and `cursor` are refused, and `sort` is `newest` or `oldest`.")
            .query_but::<Search>(&["cursor", "limit"])
            .query::<Options>()
            .file(200, "application/zip", "The file.")
            .file(200, "application/jsonl", "")
            .file(200, "text/csv", "")
            .refused(&["old-http", "too-many-exports"]),
        get("/events", "follow_events", "Tells what changes, as server-sent events")
            .says(
                "The data are `{\"changed\":[…],\"all\":false}` with the ids of calls, orders, trials and imports. An event named \
                 `alive` comes after two seconds without another. `Last-Event-ID` replays what was missed.",
            )
            .query::<live::Options>()
            .file(200, "text/event-stream", "The events.")
            .refused(&["too-many-pages"]),
    ];
    Group { name: "Calls and uploads", says: "Everything that was recorded, in one list.", operations }
}
