//! What Twilio answers about a call and its recordings, for requests that want its own words.

use std::time::Duration;

use jiff::Timestamp;

use super::Error;
use crate::clients::twilio::{Call, Decryption, Recording};
use crate::clients::{self, Kind};
use crate::context::Shared;
use crate::model::call::{CallSid, CallState};
use crate::model::recording::RecordingSid;

/// How long what Twilio has said of a recording counts as what it says, in milliseconds.
const FRESH: i64 = 60_000;

/// Twilio lists the recording of an answered call within this time after its end, or never.
pub(super) const LISTED_WITHIN: Duration = Duration::from_secs(60);

/// Says why the audio of a recording is not available.
pub fn lack(sid: &str, status: &str, error_code: Option<i64>) -> String {
    match error_code {
        Some(code) => format!("recording {sid} is {status}: {} (Twilio code {code})", reason(code)),
        None => format!("recording {sid} is {status}"),
    }
}

pub async fn call(context: &Shared, call: &CallSid) -> Result<Call, Error> {
    Ok(context.twilio.call(call.as_str()).await?)
}

/// The same, or `None` if Twilio does not have it, or does not answer about it.
pub(super) async fn call_if_kept(context: &Shared, call: &CallSid) -> Result<Option<Call>, clients::Error> {
    match context.twilio.call(call.as_str()).await {
        Err(clients::Error { kind: Kind::NotFound(_) | Kind::Rejected(_), .. }) => Ok(None),
        found => found.map(Some),
    }
}

/// What Twilio says of a recording, or has just said before its audio was ordered.
pub(super) async fn recording(context: &Shared, sid: &RecordingSid) -> Result<Recording, clients::Error> {
    let described = context.described().remove(sid);
    match described.filter(|(at, _)| context.clock.now_ms() - at < FRESH) {
        Some((_, recording)) => Ok(recording),
        None => context.twilio.recording(sid.as_str()).await,
    }
}

/// Keeps what Twilio has just said of a recording for the job that fetches its audio.
pub(super) fn keep(context: &Shared, sid: &RecordingSid, recording: &Recording) {
    let (now, mut described) = (context.clock.now_ms(), context.described());
    described.retain(|_, (at, _)| now - *at < FRESH);
    described.insert(sid.clone(), (now, recording.clone()));
}

/// All recordings of a call, oldest first.
pub async fn recordings(context: &Shared, call: &CallSid) -> Result<Vec<Recording>, Error> {
    Ok(context.twilio.recordings_of_call(call.as_str()).await?)
}

/// What decrypts a recording, or `None` if it is not encrypted.
pub fn decryption(context: &Shared, recording: &Recording) -> Result<Option<Decryption>, Error> {
    let why = |why| Error::NotDecryptable { recording: recording.sid.clone(), why };
    context.twilio.decryption(recording).map_err(why)
}

/// The call that has dialed this leg, or `None` if it is none.
pub fn parent(call: &Call) -> Option<CallSid> {
    call.parent_call_sid.as_deref()?.parse().ok()
}

/// All recordings of a call, oldest first, with its SID. Those of a leg are the recordings of the call that has dialed it.
pub async fn recorded(context: &Shared, call: &CallSid) -> Result<(CallSid, Vec<Recording>), Error> {
    let all = recordings(context, call).await?;
    if all.is_empty()
        && let Some(parent) = parent(&self::call(context, call).await?)
    {
        let all = recordings(context, &parent).await?;
        return Ok((parent, all));
    }
    Ok((call.clone(), all))
}

/// The recordings of a call whose audio is available, oldest first. If there is none, [`Error::NoRecording`] says in what
/// state the call is.
pub async fn complete_recordings(context: &Shared, call: &CallSid) -> Result<Vec<Recording>, Error> {
    let (call, all) = recorded(context, call).await?;
    if all.iter().any(Recording::is_complete) {
        Ok(all.into_iter().filter(Recording::is_complete).collect())
    } else {
        Err(none_yet(context, &call, &all).await)
    }
}

/// The error for a call without a finished recording.
pub async fn none_yet(context: &Shared, call: &CallSid, recordings: &[Recording]) -> Error {
    match self::call(context, call).await {
        Err(error) => error,
        Ok(found) => Error::NoRecording {
            call: call.clone(),
            later: is_recording_awaited(&found, recordings, context.clock.now()),
            recording: match recordings.last() {
                None if found.is_up() => "it has no recording yet".to_owned(),
                None => "it has no recording".to_owned(),
                Some(last) => lack(&last.sid, &last.status, last.error_code),
            },
            state: found.status,
        },
    }
}

/// Whether a recording of this call may still become available.
pub fn is_recording_awaited(call: &Call, recordings: &[Recording], now: Timestamp) -> bool {
    let just_ended = || {
        call.ended().is_some_and(|ended| now.as_second() - ended.as_second() < LISTED_WITHIN.as_secs().cast_signed())
    };
    let unlisted = CallState::of_twilio(&call.status) == Some(CallState::Completed) && recordings.is_empty();
    call.is_up() || recordings.iter().any(Recording::is_coming) || (unlisted && just_ended())
}

/// Source: <https://support.twilio.com/hc/en-us/articles/360014251313>.
pub(super) fn reason(code: i64) -> &'static str {
    match code {
        16101 => "it was too short",
        16102 => "it was silent",
        16105 => "there was no valid public key to encrypt it with",
        16107 => "it was encrypted with another key",
        _ => "Twilio gives no reason",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_awaited_for_a_minute_after_the_end_of_an_answered_call() {
        let call = |status: &str| Call {
            sid: String::new(),
            status: status.to_owned(),
            to: None,
            from: None,
            direction: None,
            date_created: None,
            start_time: None,
            end_time: Some("Mon, 23 Nov 2026 01:50:00 +0000".to_owned()),
            duration: None,
            price: None,
            price_unit: None,
            parent_call_sid: None,
        };
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        assert!(is_recording_awaited(&call("completed"), &[], at("2026-11-23T01:50:59Z")));
        assert!(!is_recording_awaited(&call("completed"), &[], at("2026-11-23T01:51:00Z")));
        assert!(!is_recording_awaited(&call("busy"), &[], at("2026-11-23T01:50:01Z")));
    }
}
