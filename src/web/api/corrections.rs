//! Corrections of transcripts, in one and in many.

use serde_json::json;

use super::operation::{Group, get, post};
use super::transcripts::of_transcript;
use crate::web::alike::AlikeView;
use crate::web::correct_page;
use crate::web::corrections::{CorrectedView, CorrectionList, EditBody, Place};
use crate::web::replace::{Options, PlaceList, ProgressView, ReplacedView, Wanted};

pub(super) fn group() -> Group {
    let operations = vec![
        of_transcript(get("/transcript/{id}/corrections", "list_corrections", "Lists the corrections of a transcript"))
            .query::<Place>()
            .json::<CorrectionList>(200, "All of them, the oldest first.")
            .page(),
        of_transcript(post("/transcript/{id}/corrections", "correct_transcript", "Corrects words of a transcript"))
            .says(
                "Positions count words from 0, and `to` is not among them. Without `text`, words are deleted; with `from` equal to \
                 `to`, words are inserted. A list is one step. An older `version` is merged if the words have not changed since.",
            )
            .once_by_key()
            .body_or_list::<EditBody>(json!({ "version": 0, "from": 12, "to": 14, "text": "metoprolol succinate" }))
            .json::<CorrectedView>(200, "What it has made.")
            .page()
            .refused(&["changed"]),
        of_transcript(post("/transcript/{id}/corrections/{correction}/undo", "undo_correction", "Undoes a correction, or a part of it"))
            .json::<CorrectedView>(200, "That is a correction, too.")
            .page()
            .refused(&["already-undone", "changed", "no-such-correction"]),
        of_transcript(get("/transcript/{id}/corrections/{correction}/alike", "find_alike", "Finds where else the same was heard"))
            .json::<AlikeView>(200, "How many there are, and the addresses at which they are corrected.")
            .nothing(204, "There are none.")
            .refused(&["no-such-correction"]),
        of_transcript(get("/transcript/{id}/correct", "show_correct", "A page with a form for a correction"))
            .query::<correct_page::Wish>()
            .page(),
        get("/replace", "find_places", "Finds where a text is said")
            .query::<Options>()
            .json::<PlaceList>(200, "The places, up to a thousand.")
            .page()
            .refused(&["deleted", "no-such-transcript", "not-completed"]),
        post("/replace", "replace", "Finds a text and replaces it, in one transcript or in many")
            .says("`transcript` or `filter` is needed; `{}` as a filter stands for all calls. Without `apply`, nothing changes.")
            .once_by_key()
            .body::<Wanted>(json!({ "find": "etcetera d", "with": "etcd", "filter": { "since": "2026-11-01" }, "apply": true }))
            .json::<PlaceList>(200, "The places; with `apply` in one transcript, those that were replaced.")
            .json::<ReplacedView>(200, "")
            .json::<ProgressView>(202, "It goes on in the background; `Location` tells how far it is.")
            .page()
            .refused(&["changed", "deleted", "no-such-transcript", "not-completed"]),
        get("/replace/{id}", "get_replacement", "Says how far a replacement is")
            .json::<ProgressView>(200, "How far it is.")
            .page()
            .refused(&["no-such-replacement"]),
        post("/replace/{id}/undo", "undo_replacement", "Undoes a replacement")
            .json::<ProgressView>(202, "It goes on in the background; `Location` tells how far it is.")
            .page()
            .refused(&["already-undone", "no-such-replacement"]),
    ];
    Group { name: "Corrections", says: "What AssemblyAI heard stays; corrections are kept beside it.", operations }
}
