//! `/calls`: the calls, newest first, and each with what became of it: as a page, or as JSON by `Accept`.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::{ApiError, LOOK_AGAIN};
use super::extract::{Id, Query, wants_page};
use super::pages::Notices;
use super::{page, recordings};
use crate::clients::twilio;
use crate::context::Shared;
use crate::model::call::{Call, CallName, CallSid, CallState, Deletion, Direction, Press};
use crate::model::recording::Recording;
use crate::model::transcript::{Transcript, TranscriptState};
use crate::pipeline::call::{self, Recorded};
use crate::pipeline::{self, retry as again};
use crate::store::{self, Conn, Cursor, Event, JobKind, JobState};

/// Calls on one page of the list.
const PAGE: i64 = 100;

/// A call in the list.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    id: Option<String>,
    sid: Option<String>,
    direction: &'static str,
    to: Option<String>,
    from: Option<String>,
    /// Twilio's word once Twilio has the call; before that `dialing`, `unknown` or `lost`.
    state: String,
    reason: Option<String>,
    code: Option<i64>,
    /// Whether it is being deleted.
    is_deleting: bool,
    created_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

/// How far a call has come on its way to a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Progress {
    /// It is being placed, rings, or is up.
    Calling,
    /// Its recording is being made, or is awaited.
    Recording,
    /// A transcript is being made.
    Transcribing,
    /// Every recording has its transcript.
    Done,
    /// It is over, and was not recorded.
    NotRecorded,
    /// It was not placed, or a transcript failed.
    Failed,
    /// It is being deleted.
    Deleting,
}

/// A call with all there is.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    call: Listed,
    progress: Progress,
    /// Whether `POST /calls/<sid>/retry` would begin something.
    can_retry: bool,
    /// Whether `POST /calls/<sid>/delete` would begin something.
    can_delete: bool,
    keyterms: Vec<String>,
    timeline: Vec<Step>,
    recordings: Vec<ShownRecording>,
    transcripts: Vec<ShownTranscript>,
}

/// A step forward of the call, of a recording, or of a transcript.
#[derive(Debug, Serialize)]
struct Step {
    at: Option<Timestamp>,
    kind: String,
    subject: String,
    state: String,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct ShownRecording {
    sid: String,
    state: String,
    duration_seconds: Option<i64>,
    channels: Option<i64>,
    source: Option<String>,
    error_code: Option<i64>,
    /// Why there is no audio.
    reason: Option<String>,
    /// Where Twilio has it.
    url: String,
    /// Where it can be heard without Twilio's credentials.
    audio: String,
}

#[derive(Debug, Serialize)]
struct ShownTranscript {
    /// AssemblyAI's, for `/transcript/<id>`.
    id: Option<String>,
    recording_sid: Option<String>,
    state: &'static str,
    /// Why it failed, or what it is waiting for.
    reason: Option<String>,
    text: Option<String>,
    created_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Page {
    calls: Vec<Listed>,
    /// The address of the next page, if there is one.
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "call.html", config = "src/web/pages/askama.toml")]
struct CallPage {
    notices: Notices,
    sentence: String,
    /// Whether who opened the address of a number was shown this call instead of a new one.
    was_there: bool,
    call: Shown,
    /// That of the button that dials once more.
    press: Press,
}

#[derive(Template)]
#[template(path = "calls.html", config = "src/web/pages/askama.toml")]
struct CallsPage {
    notices: Notices,
    page: Page,
}

/// What may follow the `?` of the list.
#[derive(Deserialize)]
pub(super) struct Options {
    /// Time and id of the last call of the page before, as `next` has them.
    after: Option<String>,
}

/// The calls, newest first.
pub(super) async fn list(
    State(context): State<Shared>,
    headers: HeaderMap,
    Query(Options { after }): Query<Options>,
) -> Result<Response, ApiError> {
    let after = after.as_deref().map(cursor).transpose()?;
    let mut calls = context.store.read().await?.calls(after.as_ref(), PAGE + 1).await?;
    let is_more = calls.len() > PAGE as usize;
    calls.truncate(PAGE as usize);
    let next = calls.last().filter(|_| is_more).map(|last| format!("/calls?after={}.{}", last.created_at, last.id));
    let page = Page { calls: calls.iter().map(|call| listed(call, None)).collect(), next };
    match wants_page(&headers) {
        true => Ok(super::page(CallsPage { notices: Notices::of(&context), page }.render())),
        false => Ok(Json(page).into_response()),
    }
}

/// What may follow the `?` of a call.
#[derive(Deserialize)]
pub(super) struct Arrival {
    /// `before` if nothing was dialled now.
    dialled: Option<String>,
}

/// A call's page begins with the tutorial's sentence, and follows the call until it has come to its end: a reload asks
/// this program how things stand, and dials nothing.
pub(super) async fn show(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(name): Id<CallName>,
    Query(Arrival { dialled }): Query<Arrival>,
) -> Result<Response, ApiError> {
    let shown = shown(&context, &headers, &name).await?;
    if !wants_page(&headers) {
        return Ok(Json(shown).into_response());
    }
    let is_following = shown.is_following();
    let sentence = shown.sentence();
    let was_there = dialled.as_deref() == Some("before");
    let (notices, press) = (Notices::of(&context), Press::random());
    let mut response = page(CallPage { notices, sentence, was_there, call: shown, press }.render());
    if is_following {
        let seconds = HeaderValue::from(LOOK_AGAIN.as_secs());
        response.headers_mut().insert(HeaderName::from_static("refresh"), seconds);
    }
    Ok(response)
}

/// Has tried again what failed of a call. Rings no phone.
pub(super) async fn retry(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(name): Id<CallName>,
) -> Result<Response, ApiError> {
    let call = context.store.read().await?.call(&name).await?.ok_or_else(|| unknown(&name))?;
    again::retry(&context, call.id.clone()).await?;
    if wants_page(&headers) {
        let location = format!("/calls/{}", call.sid.map_or(call.id.to_string(), |sid| sid.to_string()));
        return Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response());
    }
    Ok(Json(shown(&context, &headers, &name).await?).into_response())
}

/// A call as it is stored; one of our account that this program has nothing of, as Twilio has it.
async fn shown(context: &Shared, headers: &HeaderMap, name: &CallName) -> Result<Shown, ApiError> {
    let mut conn = context.store.read().await?;
    let Some(call) = conn.call(name).await? else {
        drop(conn);
        return match name {
            CallName::Sid(sid) => shown_by_twilio(context, headers, sid).await,
            CallName::Id(_) => Err(unknown(name)),
        };
    };
    match call.deletion {
        Some(Deletion::Done) => return Err(pipeline::Error::Deleted.into()),
        Some(Deletion::Wanted) => return Ok(shown_deleting(&mut conn, &call).await?),
        None => {}
    }
    let timeline = conn.history(&call.id).await?;
    let recordings = conn.recordings_of(&call.id).await?;
    let transcripts = conn.transcripts_of(&call.id).await?;
    let following = conn.job_state(JobKind::Call, call.id.as_str()).await?;
    let mut shown_transcripts = Vec::new();
    for transcript in &transcripts {
        let job = conn.job_state(JobKind::Transcript, &transcript.id).await?;
        shown_transcripts.push(shown_transcript(transcript, job));
    }
    drop(conn);

    let is_followed = following.as_ref().is_some_and(|job| job.state == "open");
    let is_given_up = following.as_ref().is_some_and(|job| job.state == "failed");
    let has_failed =
        transcripts.iter().any(|transcript| transcript.is_current && transcript.state == TranscriptState::Failed);
    Ok(Shown {
        progress: match is_given_up {
            true => Progress::Failed,
            false => progress(&call, is_followed, &recordings, &transcripts),
        },
        can_retry: has_failed || (call.sid.is_some() && is_given_up),
        can_delete: !is_followed && transcripts.iter().all(|transcript| transcript.state.is_final()),
        keyterms: call.keyterms.as_slice().to_vec(),
        timeline: timeline.into_iter().map(step).collect(),
        recordings: recordings.iter().map(|recording| shown_recording(context, headers, recording)).collect(),
        transcripts: shown_transcripts,
        call: listed(&call, None),
    })
}

/// A call that is being deleted: what was said in it is shown no more.
async fn shown_deleting(conn: &mut Conn, call: &Call) -> Result<Shown, store::Error> {
    let job = conn.job_state(JobKind::Deletion, call.id.as_str()).await?;
    let can_retry = job.as_ref().is_some_and(|job| job.state == "failed");
    Ok(Shown {
        progress: Progress::Deleting,
        can_retry,
        can_delete: false,
        keyterms: Vec::new(),
        timeline: conn.history(&call.id).await?.into_iter().map(step).collect(),
        recordings: Vec::new(),
        transcripts: Vec::new(),
        call: listed(call, job.and_then(|job| job.reason)),
    })
}

async fn shown_by_twilio(context: &Shared, headers: &HeaderMap, sid: &CallSid) -> Result<Shown, ApiError> {
    let found = call::look(context, sid).await?;
    let recordings = call::recordings(context, sid).await?;
    let is_awaited = call::is_recording_awaited(&found, &recordings, context.clock.now());
    let recorded = |recorded: &Recorded| ShownRecording {
        audio: recordings::address(context, headers, &recorded.sid),
        sid: recorded.sid.clone(),
        state: recorded.status.clone(),
        duration_seconds: recorded.duration_seconds.and_then(|seconds| seconds.try_into().ok()),
        channels: recorded.channels.map(i64::from),
        source: recorded.source.clone(),
        error_code: recorded.error_code,
        reason: (!recorded.is_complete()).then(|| recorded.lack()),
        url: recorded.url.clone(),
    };
    Ok(Shown {
        progress: match is_awaited {
            true if found.is_up() => Progress::Calling,
            true => Progress::Recording,
            false if recordings.iter().any(Recorded::is_complete) => Progress::Done,
            false => Progress::NotRecorded,
        },
        can_retry: false,
        can_delete: false,
        keyterms: Vec::new(),
        timeline: Vec::new(),
        recordings: recordings.iter().map(recorded).collect(),
        transcripts: Vec::new(),
        call: listed_by_twilio(found),
    })
}

fn unknown(name: &CallName) -> ApiError {
    pipeline::Error::NoSuchCall(name.as_str().to_owned()).into()
}

/// `waits_for` is what keeps a deletion from its end.
pub(super) fn listed(call: &Call, waits_for: Option<String>) -> Listed {
    Listed {
        id: Some(call.id.to_string()),
        sid: call.sid.as_ref().map(CallSid::to_string),
        direction: call.direction.as_str(),
        to: call.to.clone(),
        from: call.from.clone(),
        state: call.state.as_str().to_owned(),
        reason: waits_for.or_else(|| call.reason.clone()),
        code: call.code,
        is_deleting: call.deletion.is_some(),
        created_at: Timestamp::from_millisecond(call.created_at).ok(),
        ended_at: call.ended_at.and_then(|at| Timestamp::from_millisecond(at).ok()),
    }
}

fn listed_by_twilio(call: twilio::Call) -> Listed {
    Listed {
        id: None,
        ended_at: call.ended(),
        created_at: call.created(),
        sid: Some(call.sid),
        direction: Direction::of_twilio(call.direction.as_deref().unwrap_or_default()).as_str(),
        to: call.to,
        from: call.from,
        state: call.status,
        reason: None,
        code: None,
        is_deleting: false,
    }
}

fn progress(call: &Call, is_followed: bool, recordings: &[Recording], transcripts: &[Transcript]) -> Progress {
    let states = || transcripts.iter().filter(|transcript| transcript.is_current).map(|transcript| transcript.state);
    if call.state.holds_number() {
        Progress::Calling
    } else if recordings.iter().any(|recording| recording.state.is_coming()) {
        Progress::Recording
    } else if states().any(|state| !state.is_final()) {
        Progress::Transcribing
    } else if states().any(|state| state == TranscriptState::Failed) {
        Progress::Failed
    } else if !transcripts.is_empty() {
        Progress::Done
    } else if call.state == CallState::Completed && is_followed {
        Progress::Recording
    } else if matches!(call.state, CallState::Completed) {
        Progress::NotRecorded
    } else {
        Progress::Failed
    }
}

fn step(event: Event) -> Step {
    let Event { kind, subject, state, reason, at, .. } = event;
    Step { at: Timestamp::from_millisecond(at).ok(), kind, subject, state, reason }
}

fn shown_recording(context: &Shared, headers: &HeaderMap, recording: &Recording) -> ShownRecording {
    let Recording { sid, state, duration_seconds, channels, source, error_code, .. } = recording;
    let reason = (state.rank() >= crate::model::recording::RecordingState::Completed.rank()
        && *state != crate::model::recording::RecordingState::Completed)
        .then(|| call::lack(sid.as_str(), state.as_str(), *error_code));
    ShownRecording {
        url: context.twilio.media_url(sid.as_str()),
        audio: recordings::address(context, headers, sid.as_str()),
        sid: sid.to_string(),
        state: state.as_str().to_owned(),
        duration_seconds: *duration_seconds,
        channels: *channels,
        source: source.clone(),
        error_code: *error_code,
        reason,
    }
}

fn shown_transcript(transcript: &Transcript, job: Option<JobState>) -> ShownTranscript {
    let waits_for = job.filter(|job| job.state == "open").and_then(|job| job.reason);
    ShownTranscript {
        id: transcript.transcript_id.as_ref().map(|id| id.to_string()),
        recording_sid: transcript.recording.as_ref().map(|sid| sid.to_string()),
        state: transcript.state.as_str(),
        reason: transcript.reason.clone().or(waits_for),
        text: transcript.text.clone(),
        created_at: Timestamp::from_millisecond(transcript.created_at).ok(),
    }
}

/// `<milliseconds>.<id>`.
fn cursor(text: &str) -> Result<Cursor, ApiError> {
    let read = || {
        let (at, id) = text.split_once('.')?;
        Some(Cursor { created_at: at.parse().ok()?, id: id.parse().ok()? })
    };
    read().ok_or_else(|| ApiError::BadRequest("after: expected what next says".to_owned()))
}

impl Shown {
    /// Whether something is still to come by itself.
    fn is_following(&self) -> bool {
        match self.progress {
            Progress::Calling | Progress::Recording | Progress::Transcribing => true,
            Progress::Deleting => !self.can_retry,
            Progress::Done | Progress::NotRecorded | Progress::Failed => false,
        }
    }

    /// The tutorial's words, for a call that was dialled.
    fn sentence(&self) -> String {
        let who = |number: &Option<String>| number.clone().unwrap_or_else(|| "somebody".to_owned());
        match (self.call.direction, &self.call.sid) {
            ("outbound", Some(sid)) => super::dial::sentence(&who(&self.call.to), sid),
            ("outbound", None) => format!("dialing {}. Twilio has given no call SID", who(&self.call.to)),
            (_, sid) => format!("call from {}. call SID is: {}", who(&self.call.from), sid.as_deref().unwrap_or("–")),
        }
    }

    /// The number that may be dialled once more: of a call from here that is over.
    fn again(&self) -> Option<&str> {
        let is_ours = self.call.id.is_some() && self.call.direction == Direction::Outbound.as_str();
        let is_kept = self.progress != Progress::Deleting;
        self.call.to.as_deref().filter(|_| is_ours && is_kept && self.call.ended_at.is_some())
    }

    /// What is said of it on its page.
    fn words(&self) -> &'static str {
        match self.progress {
            Progress::Calling => "This page follows it.",
            Progress::Recording => "The recording is on its way; this page shows it as soon as it is there.",
            Progress::Transcribing => "The recording is being transcribed; this page shows the text when it is there.",
            Progress::Done | Progress::Failed => "",
            Progress::Deleting if self.can_retry => "It was to be deleted, and not all of it could be.",
            Progress::Deleting => "It is being deleted here, at Twilio and at AssemblyAI.",
            Progress::NotRecorded => "There is no recording.",
        }
    }

    /// The transcripts of a recording.
    fn transcripts_of<'s>(&'s self, recording: &'s ShownRecording) -> impl Iterator<Item = &'s ShownTranscript> {
        self.transcripts.iter().filter(|transcript| transcript.recording_sid.as_deref() == Some(&recording.sid))
    }
}

impl Listed {
    /// What the call's page is named by.
    fn name(&self) -> &str {
        self.sid.as_deref().or(self.id.as_deref()).unwrap_or_default()
    }

    /// Who is at the other end.
    pub(super) fn party(&self) -> &str {
        let party = if self.direction == "outbound" { &self.to } else { &self.from };
        party.as_deref().unwrap_or("somebody")
    }
}
