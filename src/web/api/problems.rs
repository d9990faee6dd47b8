//! Every kind of problem that `web::error` writes, with the statuses that it comes with and what it means.

/// The end of a problem's `type`, its statuses, and what it means. Statuses of a vendor's own refusal are those of the vendor.
pub(super) const PROBLEMS: &[(&str, &[u16], &str)] = &[
    ("already-undone", &[409], "The correction, or the replacement, is undone already."),
    ("audio-not-kept", &[404], "There is no audio of this recording."),
    ("bad-keyterms", &[400], "A key term is too long, or there are too many."),
    ("bad-request", &[400], "An id, a parameter or a field is wrong, unknown or missing; `detail` names it."),
    ("bad-webhook-secret", &[401], "It is not a webhook of AssemblyAI."),
    ("changed", &[409], "The words have changed since that version; `words` are those that stand there now."),
    ("database", &[503], "The database does not respond, or cannot be written."),
    ("deleted", &[410], "It was deleted."),
    ("forbidden", &[403], "Not a vendor's request, or a web page's request that its user did not mean."),
    ("import-state", &[409], "The import is in another state."),
    ("in-own-storage", &[409], "The recording is in the account's own storage, and there is no copy."),
    ("internal", &[500], "A bug; the log has the details under the request id."),
    ("locked", &[423], "Another request writes this upload."),
    ("method-not-allowed", &[405], "The URL does not support the method; `Allow` names those that it does."),
    ("no-recording", &[404], "The call has no recording, or none yet."),
    ("no-room", &[507], "The disk is full."),
    ("no-spelling", &[409], "The term has no spelling to accept or reject."),
    ("no-such-call", &[404], "There is no such call or upload."),
    ("no-such-contact", &[404], "There is no such contact."),
    ("no-such-correction", &[404], "There is no such correction."),
    ("no-such-delivery", &[404], "There is no such delivery."),
    ("no-such-import", &[404], "There is no such import."),
    ("no-such-path", &[404], "There is nothing at this URL."),
    ("no-such-receiver", &[404], "There is no such receiver."),
    ("no-such-replacement", &[404], "There is no such replacement."),
    ("no-such-term", &[404], "There is no such term."),
    ("no-such-token", &[404], "There is no such token."),
    ("no-such-transcript", &[404], "There is no such transcript."),
    ("no-such-trial", &[404], "There is no such trial."),
    ("no-such-upload", &[404], "There is no such upload, or no longer."),
    ("no-times", &[422], "AssemblyAI sent the transcript without the times of its words, so it has no captions."),
    (
        "not-allowed",
        &[403],
        "The number may not be called: its country or kind is not among those that the settings allow.",
    ),
    ("not-completed", &[409], "The transcript is not completed."),
    ("not-decryptable", &[409], "Twilio encrypted the recording, and its key is not among the settings."),
    ("not-deletable", &[409], "The call cannot be deleted now; `detail` says why."),
    ("not-our-recording", &[400], "The URL is at Twilio, and not that of a recording of this account."),
    ("not-permitted", &[403], "The named token lacks the right that the operation needs."),
    ("not-placed", &[502], "The call was not placed."),
    ("not-recorded", &[409], "The recording has no audio, or none yet."),
    ("nothing-to-retry", &[409], "Nothing has failed."),
    ("nothing-to-transcribe", &[409], "No recording is left to transcribe; `detail` says why."),
    ("old-http", &[505], "An export needs HTTP/1.1."),
    ("other-archive", &[409], "A copy is in another archive than that of the settings."),
    ("other-import", &[409], "Another import has this id."),
    ("other-matches", &[409], "Others match by now than those of `matches`; nothing was deleted."),
    ("other-offset", &[409], "The upload goes on at another offset."),
    ("other-plan", &[409], "The trial would order something else by now, which `now` has; nothing was ordered."),
    ("other-request", &[422], "Another request has this `Idempotency-Key`."),
    ("other-stretch", &[409], "Another stretch than this one must be typed."),
    ("other-trial", &[409], "Another trial has this id."),
    ("other-version", &[412], "Tus-Resumable is missing or names another version."),
    ("receiver-is-off", &[409], "The receiver is paused or disabled, or removed."),
    ("receiver-of-setting", &[409], "`WEBHOOKS` names the receiver, so it cannot be removed here."),
    ("same-receiver", &[409], "The receiver is there already."),
    ("same-term", &[409], "The term is there already."),
    ("same-token", &[409], "There is a token of this name."),
    ("several-recordings", &[409], "The call has several recordings: name one of them."),
    ("speculative", &[503], "A browser asks ahead; nothing was done."),
    ("spool", &[507], "Unfinished uploads cannot be stored."),
    ("stopping", &[503], "callscribe is stopping."),
    ("term-of-setting", &[409], "A setting has the term, so it cannot be changed or deleted here."),
    ("token-needed", &[401], "Requests from another computer need a token."),
    ("too-large", &[413], "The body, or the file, is too large."),
    ("too-many-calls", &[429], "A limit of `DIAL_PER_MINUTE`, `DIAL_PER_HOUR` or `DIAL_PER_DAY` is reached."),
    ("too-many-exports", &[503], "Two exports run already."),
    ("too-many-guesses", &[429], "Too many wrong tokens came from there."),
    ("too-many-pages", &[503], "64 connections for events are open already."),
    ("too-many-receivers", &[409], "There are as many receivers as there can be."),
    ("too-many-tokens", &[409], "There are as many tokens as there can be."),
    ("too-many-uploads", &[503], "Too many uploads are unfinished."),
    ("too-slow", &[408], "The body did not arrive in time."),
    ("transcript-failed", &[422], "AssemblyAI could not make the transcript; `detail` has its words."),
    ("trial-runs", &[409], "The trial still runs."),
    ("unchecked", &[503], "It is not known whether strangers look local, so being on this computer is not enough now."),
    ("under-way", &[503], "The same was asked for before and is not finished yet."),
    ("unknown-token", &[401], "The token is unknown, or was revoked."),
    ("unsettled", &[503], "It is not known yet whether Twilio has accepted the call."),
    ("unsupported-media-type", &[415], "`Content-Type` is missing, or none that the route takes."),
    ("used-link", &[403], "The log-in link was used before, or is not the latest one."),
    (
        "vendor-ambiguous",
        &[502, 504],
        "It is not known whether a vendor has carried the request out; callscribe finds out.",
    ),
    ("vendor-bad-answer", &[502], "A vendor's answer cannot be read."),
    ("vendor-credentials", &[502], "A vendor refuses the credentials of the settings."),
    ("vendor-not-found", &[404], "The vendor does not have it."),
    ("vendor-rate-limited", &[429], "A vendor asks to wait; nothing was done."),
    (
        "vendor-rejected",
        &[400, 403, 416, 422, 502],
        "A vendor refuses the request, with its own 4xx status; `code` is its own.",
    ),
    ("vendor-timeout", &[504], "A vendor did not answer in time."),
    ("vendor-unavailable", &[502], "A vendor has a problem of its own."),
    ("vendor-unreachable", &[502], "There was no connection to a vendor; nothing was done."),
    ("wrong-token", &[403], "That is not the operator token."),
];

/// What the operator's routes may answer whatever is asked of them.
pub(super) const OF_OPERATOR: &[&str] = &[
    "bad-request",
    "database",
    "forbidden",
    "internal",
    "not-permitted",
    "speculative",
    "stopping",
    "token-needed",
    "too-many-guesses",
    "unchecked",
    "unknown-token",
];

/// What a body may be refused for.
pub(super) const OF_BODY: &[&str] = &["too-large", "too-slow", "unsupported-media-type"];

/// What a request may end in that has to ask a vendor.
pub(super) const OF_VENDOR: &[&str] = &[
    "vendor-bad-answer",
    "vendor-credentials",
    "vendor-not-found",
    "vendor-rate-limited",
    "vendor-rejected",
    "vendor-timeout",
    "vendor-unavailable",
    "vendor-unreachable",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The kinds of problems in the source of `web::error`: the texts that follow a status.
    fn in_source() -> BTreeSet<&'static str> {
        let source = include_str!("../error.rs");
        let after_status = source.split("StatusCode::").skip(1).filter_map(|rest| rest.split_once(','));
        let texts = after_status.filter_map(|(status, rest)| {
            let is_status = status.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'_'));
            rest.trim_start().strip_prefix('"').filter(|_| is_status)?.split_once('"')
        });
        let named = source.split("slug: \"").skip(1).filter_map(|rest| rest.split_once('"'));
        let is_slug = |text: &&str| !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'-'));
        texts.chain(named).map(|(slug, _)| slug).filter(is_slug).chain(["vendor-rejected"]).collect()
    }

    #[test]
    fn every_problem_is_described_once_in_order() {
        let described: Vec<&str> = PROBLEMS.iter().map(|(slug, ..)| *slug).collect();
        assert!(described.is_sorted());
        assert_eq!(described.into_iter().collect::<BTreeSet<_>>(), in_source(), "left: described, right: in error.rs");
    }

    #[test]
    fn what_many_operations_answer_is_described() {
        for slug in [OF_OPERATOR, OF_BODY, OF_VENDOR].concat() {
            assert!(PROBLEMS.iter().any(|(described, ..)| *described == slug), "{slug}");
        }
    }
}
