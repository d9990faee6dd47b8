//! Trials: the same recordings once more, with another model, list or prompt.

use serde_json::json;

use super::operation::{Group, Operation, get, post};
use crate::web::trial_result::TrialView;
use crate::web::trial_view::PlanView;
use crate::web::trials::{ChoiceBody, Options, Place, Sent, TrialList};

pub(super) fn group() -> Group {
    let changed = |operation: Operation, status| {
        operation.json::<TrialView>(status, "The trial as it is now.").page().refused(&["no-such-trial"])
    };
    let operations = vec![
        get("/trials", "list_trials", "Lists the trials")
            .says("All other parameters are for the page: which calls its form begins with.")
            .query::<Options>()
            .json::<TrialList>(200, "The newest first.")
            .page(),
        post("/trials", "try_out", "Says what a trial would do and cost; with `confirm`, begins it")
            .says("One of `calls`, `filter` and `term`; `{}` as a filter stands for all calls. And what is different.")
            .once_by_key()
            .body::<Sent>(
                json!({ "filter": { "since": "2026-11-01" }, "speech_models": ["universal-2"], "confirm": false }),
            )
            .json::<PlanView>(200, "What it would do. Nothing was ordered.")
            .json::<TrialView>(201, "It was begun. Its address is in `Location`.")
            .page()
            .refused(&[
                "bad-keyterms",
                "deleted",
                "no-such-call",
                "no-such-term",
                "nothing-to-transcribe",
                "other-plan",
                "other-trial",
            ]),
        get("/trials/{id}", "get_trial", "Says how far a trial is, and what it has shown")
            .query::<Place>()
            .json::<TrialView>(200, "With a page of its recordings; `next` is the address of the next one.")
            .page()
            .refused(&["no-such-trial"]),
        changed(post("/trials/{id}/stop", "stop_trial", "Stops a trial: nothing more is ordered"), 200),
        changed(post("/trials/{id}/retry", "retry_trial", "Tries again what has failed in a trial").once_by_key(), 202)
            .refused(&["nothing-to-retry"]),
        changed(
            post("/trials/{id}/choose", "choose_arm", "Makes the transcripts of an arm the current ones")
                .body::<ChoiceBody>(json!({ "arm": 0 })),
            202,
        )
        .refused(&["trial-runs"]),
        changed(post("/trials/{id}/choose/undo", "undo_choice", "Makes those current that there were before"), 202)
            .refused(&["trial-runs"]),
    ];
    Group { name: "Trials", says: "The same recordings transcribed once more, to compare or to replace.", operations }
}
