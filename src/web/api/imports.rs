//! Imports of recordings that the Twilio account already has.

use serde_json::json;

use super::operation::{Group, Operation, get, post};
use crate::web::import_view::{ImportView, LookView};
use crate::web::imports::{ImportList, Place, Sent};

pub(super) fn group() -> Group {
    let steered = |operation: Operation| {
        let operation = operation.json::<ImportView>(200, "The import as it is now.").page();
        operation.refused(&["import-state", "no-such-import"])
    };
    let operations = vec![
        get("/imports", "list_imports", "Lists the imports")
            .query::<Place>()
            .json::<ImportList>(200, "The newest first.")
            .page(),
        post("/imports", "import", "Says what an import would bring and cost; with `confirm`, begins it")
            .once_by_key()
            .body::<Sent>(json!({ "since": "2026-01-01", "min_seconds": 10, "confirm": false }))
            .json::<LookView>(200, "What it would bring. Nothing was ordered.")
            .json::<ImportView>(201, "It was begun. Its address is in `Location`.")
            .page()
            .refused(&["other-import"])
            .asks_vendor(),
        get("/imports/{id}", "get_import", "Says how far an import is")
            .json::<ImportView>(200, "How far it is.")
            .page()
            .refused(&["no-such-import"]),
        steered(post("/imports/{id}/pause", "pause_import", "Lets an import wait")),
        steered(post("/imports/{id}/resume", "resume_import", "Lets an import go on")),
        steered(post("/imports/{id}/cancel", "cancel_import", "Ends an import: nothing more is ordered")),
        steered(
            post("/imports/{id}/retry", "retry_import", "Orders once more what has failed in an import").once_by_key(),
        )
        .refused(&["nothing-to-retry"]),
    ];
    Group { name: "Imports", says: "Brings the recordings here that the Twilio account already has.", operations }
}
