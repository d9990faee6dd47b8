//! How a call stands, and its recordings, as Twilio says when it is asked.

use std::time::Duration;

use jiff::Timestamp;

use super::Error;
use crate::clients::twilio::{Call, Recording};
use crate::context::Shared;
use crate::model::call::CallSid;

/// The recording of a call that was answered is listed this long after its end, if ever.
pub(super) const LISTED_WITHIN: Duration = Duration::from_secs(60);

/// A recording as people see it.
#[derive(Debug, Clone)]
pub struct FetchedRecording {
    /// `RE…`.
    pub sid: String,
    /// Twilio's word, such as `completed`.
    pub status: String,
    /// Whole seconds, once it is known.
    pub duration_seconds: Option<u64>,
    /// 1 or 2.
    pub channels: Option<u32>,
    /// What made it, such as `RecordVerb`.
    pub source: Option<String>,
    /// Where the audio is: at Twilio, for its credentials, unless the account stores it elsewhere.
    pub url: String,
    /// Why there is no audio.
    pub error_code: Option<i64>,
    /// Whether `url` is storage of the account's own, which Twilio has no audio of.
    pub is_elsewhere: bool,
}

impl FetchedRecording {
    /// Whether its audio can be fetched.
    pub fn is_complete(&self) -> bool {
        self.status == "completed"
    }

    /// Whether its audio may come.
    pub fn is_coming(&self) -> bool {
        matches!(self.status.as_str(), "in-progress" | "paused" | "stopped" | "processing")
    }

    /// A sentence on a recording whose audio cannot be fetched.
    pub fn lack(&self) -> String {
        lack(&self.sid, &self.status, self.error_code)
    }
}

/// A sentence on a recording whose audio cannot be fetched.
pub fn lack(sid: &str, status: &str, error_code: Option<i64>) -> String {
    match error_code {
        Some(code) => format!("recording {sid} is {status}: {} (Twilio code {code})", reason(code)),
        None => format!("recording {sid} is {status}"),
    }
}

/// How a call stands, in Twilio's words.
///
/// # Errors
/// As Twilio refuses, or fails to answer.
pub async fn look(context: &Shared, call: &CallSid) -> Result<Call, Error> {
    Ok(context.twilio.call(call.as_str()).await?)
}

/// All recordings of a call, oldest first.
///
/// # Errors
/// As Twilio refuses, or fails to answer.
pub async fn recordings(context: &Shared, call: &CallSid) -> Result<Vec<FetchedRecording>, Error> {
    let recordings = context.twilio.recordings_of_call(call.as_str()).await?;
    Ok(recordings.into_iter().map(|recording| recorded(context, recording)).collect())
}

/// The recordings of a call whose audio can be fetched, oldest first; at least one.
///
/// # Errors
/// [`Error::NoRecording`] says in what state the call is.
pub async fn complete_recordings(context: &Shared, call: &CallSid) -> Result<Vec<FetchedRecording>, Error> {
    let all = recordings(context, call).await?;
    match all.iter().any(FetchedRecording::is_complete) {
        true => Ok(all.into_iter().filter(FetchedRecording::is_complete).collect()),
        false => Err(none_yet(context, call, &all).await),
    }
}

/// What to say of a call without a finished recording.
pub async fn none_yet(context: &Shared, call: &CallSid, recordings: &[FetchedRecording]) -> Error {
    match look(context, call).await {
        Err(error) => error,
        Ok(found) => Error::NoRecording {
            call: call.clone(),
            later: is_recording_awaited(&found, recordings, context.clock.now()),
            recording: match recordings.last() {
                None if found.is_up() => "it has no recording yet".to_owned(),
                None => "it has no recording".to_owned(),
                Some(last) => last.lack(),
            },
            state: found.status,
        },
    }
}

/// Whether audio of this call may still come.
pub fn is_recording_awaited(call: &Call, recordings: &[FetchedRecording], now: Timestamp) -> bool {
    let just_ended = || call.ended().is_some_and(|ended| now.as_second() - ended.as_second() < 60);
    let unlisted = call.status == "completed" && recordings.is_empty();
    call.is_up() || recordings.iter().any(FetchedRecording::is_coming) || (unlisted && just_ended())
}

/// A recording in our words.
pub fn recorded(context: &Shared, recording: Recording) -> FetchedRecording {
    // An account may store its recordings elsewhere; Twilio's own addresses are built here, for the API in use.
    let elsewhere = recording.media_url.filter(|url| !url.contains("/2010-04-01/Accounts/"));
    FetchedRecording {
        is_elsewhere: elsewhere.is_some(),
        url: elsewhere.unwrap_or_else(|| context.twilio.media_url(&recording.sid)),
        duration_seconds: recording.duration.and_then(|seconds| seconds.parse().ok()),
        sid: recording.sid,
        status: recording.status,
        channels: recording.channels,
        source: recording.source,
        error_code: recording.error_code,
    }
}

/// Source: <https://support.twilio.com/hc/en-us/articles/360014251313>.
fn reason(code: i64) -> &'static str {
    match code {
        16101 => "it was too short",
        16102 => "it was silent",
        16105 => "there was no valid public key to encrypt it with",
        16107 => "it was encrypted with another key",
        _ => "Twilio gives a code only",
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
            end_time: Some("Mon, 23 Nov 2026 01:50:00 +0000".to_owned()),
        };
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        assert!(is_recording_awaited(&call("completed"), &[], at("2026-11-23T01:50:59Z")));
        assert!(!is_recording_awaited(&call("completed"), &[], at("2026-11-23T01:51:00Z")));
        assert!(!is_recording_awaited(&call("busy"), &[], at("2026-11-23T01:50:01Z")));
    }
}
