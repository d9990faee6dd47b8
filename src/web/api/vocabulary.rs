//! The vocabulary, how right transcripts are, and what they cost.

use serde_json::json;

use super::operation::{Group, Operation, delete, get, patch, post};
use crate::web::vocabulary::{AddedTerms, Place, Sent, TermList, TermView};
use crate::web::{accuracy, cost};

pub(super) fn group() -> Group {
    let changed = |operation: Operation| {
        operation
            .body::<Sent>(json!({ "state": "active" }))
            .json::<TermView>(200, "The term as it is now.")
            .page()
            .refused(&["bad-keyterms", "no-spelling", "no-such-term", "same-term", "term-of-setting"])
    };
    let gone = |operation: Operation| {
        operation.nothing(204, "It is gone.").page().refused(&["no-such-term", "term-of-setting"])
    };
    let operations = vec![
        get("/vocabulary", "list_terms", "Lists the terms that transcripts must get right")
            .query::<Place>()
            .json::<TermList>(200, "A page of the list. `next` is the address of the next one.")
            .page(),
        post("/vocabulary", "add_terms", "Adds a term, or a list of them")
            .says("`term` or `terms`. Without `scope`, a term is for all calls.")
            .body::<Sent>(json!({ "term": "tacrolimus", "scope": { "all": true } }))
            .json::<TermView>(200, "It was there already. With `terms`, a list of them.")
            .json::<AddedTerms>(200, "")
            .json::<TermView>(201, "It is new. With `terms`, a list of them.")
            .json::<AddedTerms>(201, "")
            .page()
            .refused(&["bad-keyterms", "same-term"]),
        changed(patch(
            "/vocabulary/{id}",
            "change_term",
            "Changes the state, the text, the scope or the spelling of a term",
        )),
        changed(post("/vocabulary/{id}", "change_term_by_form", "The same as `PATCH /vocabulary/{id}`, for forms")),
        gone(delete("/vocabulary/{id}", "delete_term", "Deletes a term")),
        gone(post(
            "/vocabulary/{id}/delete",
            "delete_term_by_form",
            "The same as `DELETE /vocabulary/{id}`, for forms",
        )),
        get("/accuracy", "get_accuracy", "Says how right the transcripts are that somebody has corrected or checked")
            .query::<accuracy::Asked>()
            .json::<accuracy::AccuracyView>(
                200,
                "Word error rates and key terms, by group. All groups: there are as many as their values.",
            )
            .page(),
        get("/cost", "get_cost", "Says what calls and transcripts cost")
            .query::<cost::Asked>()
            .json::<cost::CostView>(
                200,
                "By month, and of one month by model and contact. The costliest contacts, up to a bound.",
            )
            .page(),
    ];
    Group {
        name: "Vocabulary, accuracy and cost",
        says: "What transcripts must get right, and how they do.",
        operations,
    }
}
