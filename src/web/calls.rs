//! `/calls`: the calls, newest first, and each with what became of it: as a page, or as JSON by `Accept`.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::{ApiError, LOOK_AGAIN};
use super::extract::{Id, Query, wants_page};
use super::pages::Notices;
use super::reading::{self, Paragraph, doubt};
use super::search::{Search, ShownHit, shown_hit};
use super::steps::{self, Step};
use super::{page, recordings};
use crate::clients::twilio;
use crate::context::Shared;
use crate::model::call::{Call, CallName, CallSid, CallState, Deletion, Direction, Press};
use crate::model::recording::{Recording, RecordingState};
use crate::model::search;
use crate::model::transcript::{Transcript, TranscriptState};
use crate::pipeline::call::{self, Recorded};
use crate::pipeline::{self, retry as again};
use crate::store::{self, Conn, Cursor, Digest, Event, JobKind, JobState};

/// Calls on one page of the list.
const PAGE: i64 = 50;

/// Hits on one page: each has a text to be looked through.
const HITS: i64 = 25;

/// A call in the list.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    pub(super) id: Option<String>,
    pub(super) sid: Option<String>,
    pub(super) direction: &'static str,
    pub(super) to: Option<String>,
    pub(super) from: Option<String>,
    /// Twilio's word once Twilio has the call; before that `dialing`, `unknown` or `lost`.
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) code: Option<i64>,
    /// Whether it is being deleted.
    pub(super) is_deleting: bool,
    pub(super) created_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
}

/// A call in the list, and how far it has come.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    #[serde(flatten)]
    pub(super) call: Listed,
    pub(super) progress: Progress,
    /// The length of its recordings together.
    pub(super) duration_seconds: Option<i64>,
    /// How its transcript begins.
    pub(super) words: Option<String>,
}

/// How far a call has come on its way to a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Progress {
    /// It is being placed, rings, or is up and not recorded yet.
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
    timeline: Vec<Noted>,
    recordings: Vec<ShownRecording>,
    transcripts: Vec<ShownTranscript>,
    /// The newest row of the history when this was read.
    #[serde(skip)]
    since: i64,
}

/// A step forward of the call, of a recording, or of a transcript.
#[derive(Debug, Serialize)]
pub(super) struct Noted {
    pub(super) at: Option<Timestamp>,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
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
pub(super) struct ShownTranscript {
    /// AssemblyAI's, for `/transcript/<id>`.
    pub(super) id: Option<String>,
    pub(super) recording_sid: Option<String>,
    pub(super) state: &'static str,
    /// Why it failed, or what it is waiting for.
    pub(super) reason: Option<String>,
    pub(super) text: Option<String>,
    pub(super) created_at: Option<Timestamp>,
    /// Ours.
    #[serde(skip)]
    pub(super) own_id: String,
    /// Whether no later order for the same has taken its place.
    #[serde(skip)]
    pub(super) is_current: bool,
    /// For a page: the key terms it was ordered with.
    #[serde(skip)]
    pub(super) keyterms: Vec<String>,
    /// For a page: its words.
    #[serde(skip)]
    pub(super) paragraphs: Vec<Paragraph>,
}

/// A part of the list.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<Vec<Line>>,
    /// In place of the calls, if something that was said is looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hits: Option<Vec<ShownHit>>,
    /// The address of the next page, if there is one.
    pub(super) next: Option<String>,
    /// The newest row of the history when this was read.
    #[serde(skip)]
    pub(super) since: i64,
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
    /// After so many seconds a browser without scripts looks again.
    refresh: u64,
}

#[derive(Template)]
#[template(path = "calls.html", config = "src/web/pages/askama.toml")]
struct CallsPage {
    notices: Notices,
    search: Search,
    page: Page,
    /// Whether newer calls are on another page.
    is_older: bool,
}

/// The calls, newest first; or what was said in them, if something is looked for.
pub(super) async fn list(
    State(context): State<Shared>,
    headers: HeaderMap,
    Query(search): Query<Search>,
) -> Result<Response, ApiError> {
    let page = match search.q.trim().is_empty() {
        true => calls(&context, &search).await?,
        false => hits(&context, &headers, &search).await?,
    };
    match wants_page(&headers) {
        true => {
            let (notices, is_older) = (Notices::of(&context), !search.after.is_empty());
            Ok(super::page(CallsPage { notices, search, page, is_older }.render()))
        }
        false => Ok(Json(page).into_response()),
    }
}

fn line(call: &Call, digest: Digest) -> Line {
    let progress = match digest.job.as_deref() {
        _ if call.deletion.is_some() => Progress::Deleting,
        Some("failed") => Progress::Failed,
        job => progress(call, job == Some("open"), &digest),
    };
    let words = digest.words.filter(|_| call.deletion.is_none());
    Line { progress, duration_seconds: digest.seconds, words, call: listed(call) }
}

/// The newest calls, or those that are looked for.
pub(super) async fn calls(context: &Shared, search: &Search) -> Result<Page, ApiError> {
    let after = Some(search.after.as_str()).filter(|after| !after.is_empty()).map(cursor).transpose()?;
    let filter = search.filter()?;
    let mut conn = context.store.read().await?;
    // First, so that whatever changes from here on is told to who asks since then.
    let since = conn.newest_change().await?;
    let mut calls = match search.is_any() {
        true => conn.calls(after.as_ref(), PAGE + 1).await?,
        false => conn.calls_like(&filter, after.as_ref(), PAGE + 1).await?,
    };
    let is_more = calls.len() > PAGE as usize;
    calls.truncate(PAGE as usize);
    let last = calls.last().filter(|_| is_more);
    let next = last.map(|last| search.next(&format!("{}.{}", last.created_at, last.id)));
    let mut digests = conn.digests(&calls).await?;
    let lines = calls.iter().map(|call| line(call, digests.remove(call.id.as_str()).unwrap_or_default())).collect();
    Ok(Page { calls: Some(lines), hits: None, next, since })
}

async fn hits(context: &Shared, headers: &HeaderMap, search: &Search) -> Result<Page, ApiError> {
    let after = match search.after.as_str() {
        "" => None,
        after => Some(after.parse().map_err(|_| bad_after())?),
    };
    let (query, filter) = (search::Query::parse(&search.q), search.filter()?);
    let mut conn = context.store.read().await?;
    let since = conn.newest_change().await?;
    let mut hits = conn.hits(&query, &filter, after, HITS + 1).await?;
    drop(conn);
    let is_more = hits.len() > HITS as usize;
    hits.truncate(HITS as usize);
    let next = hits.last().filter(|_| is_more).map(|last| search.next(&last.place.to_string()));
    let address = |sid: &str| recordings::address(context, headers, sid);
    let hits = hits.into_iter().map(|hit| shown_hit(hit, address)).collect();
    Ok(Page { calls: None, hits: Some(hits), next, since })
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
    let mut shown = shown(&context, &headers, &name).await?;
    if !wants_page(&headers) {
        return Ok(Json(shown).into_response());
    }
    for transcript in shown.transcripts.iter_mut().filter(|transcript| transcript.text.is_some()) {
        let words = context.store.read().await?.words_of(&transcript.own_id).await?;
        transcript.paragraphs = reading::paragraphs(words);
    }
    let sentence = shown.sentence();
    let was_there = dialled.as_deref() == Some("before");
    let (notices, press, refresh) = (Notices::of(&context), Press::random(), LOOK_AGAIN.as_secs());
    Ok(page(CallPage { notices, sentence, was_there, call: shown, press, refresh }.render()))
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
    let since = conn.newest_change().await?;
    let Some(call) = conn.call(name).await? else {
        drop(conn);
        return match name {
            CallName::Sid(sid) => Ok(Shown { since, ..shown_by_twilio(context, headers, sid).await? }),
            CallName::Id(_) => Err(unknown(name)),
        };
    };
    match call.deletion {
        Some(Deletion::Done) => return Err(pipeline::Error::Deleted.into()),
        Some(Deletion::Wanted) => return Ok(Shown { since, ..shown_deleting(&mut conn, &call).await? }),
        None => {}
    }
    let timeline = conn.history(&call.id).await?;
    let recordings = conn.recordings_of(&call.id).await?;
    let transcripts = conn.transcripts_of(&call.id).await?;
    let following = conn.job_state(JobKind::Call, call.id.as_str()).await?;
    let mut shown_transcripts = Vec::new();
    for transcript in &transcripts {
        let job = conn.job_state(JobKind::Transcript, &transcript.id).await?;
        let mut shown = shown_transcript(transcript, job);
        // Those of the call are sent along with every order.
        let of_call = call.keyterms.as_slice().iter().filter(|term| !shown.keyterms.contains(term));
        shown.keyterms.extend(of_call.cloned().collect::<Vec<_>>());
        shown_transcripts.push(shown);
    }
    drop(conn);

    let is_followed = following.as_ref().is_some_and(|job| job.state == "open");
    let is_given_up = following.as_ref().is_some_and(|job| job.state == "failed");
    let digest = digest(&recordings, &transcripts);
    Ok(Shown {
        since,
        progress: match is_given_up {
            true => Progress::Failed,
            false => progress(&call, is_followed, &digest),
        },
        can_retry: digest.has_failed || (call.sid.is_some() && is_given_up),
        can_delete: !is_followed && transcripts.iter().all(|transcript| transcript.state.is_final()),
        keyterms: call.keyterms.as_slice().to_vec(),
        timeline: timeline.into_iter().map(noted).collect(),
        recordings: recordings.iter().map(|recording| shown_recording(context, headers, recording)).collect(),
        transcripts: shown_transcripts,
        call: listed(&call),
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
        timeline: conn.history(&call.id).await?.into_iter().map(noted).collect(),
        recordings: Vec::new(),
        transcripts: Vec::new(),
        since: 0,
        // What keeps it from its end.
        call: Listed { reason: job.and_then(|job| job.reason), ..listed(call) },
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
            true if found.is_up() && !recordings.iter().any(Recorded::is_coming) => Progress::Calling,
            true => Progress::Recording,
            false if recordings.iter().any(Recorded::is_complete) => Progress::Done,
            false => Progress::NotRecorded,
        },
        can_retry: false,
        can_delete: false,
        since: 0,
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

pub(super) fn listed(call: &Call) -> Listed {
    Listed {
        id: Some(call.id.to_string()),
        sid: call.sid.as_ref().map(CallSid::to_string),
        direction: call.direction.as_str(),
        to: call.to.clone(),
        from: call.from.clone(),
        state: call.state.as_str().to_owned(),
        reason: call.reason.clone(),
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

/// Of all there is of a call.
fn digest(recordings: &[Recording], transcripts: &[Transcript]) -> Digest {
    let states = || transcripts.iter().filter(|transcript| transcript.is_current).map(|transcript| transcript.state);
    Digest {
        is_recording_coming: recordings.iter().any(|recording| recording.state.is_coming()),
        has_transcripts: !transcripts.is_empty(),
        has_unfinished: states().any(|state| !state.is_final()),
        has_failed: states().any(|state| state == TranscriptState::Failed),
        ..Digest::default()
    }
}

fn progress(call: &Call, is_followed: bool, digest: &Digest) -> Progress {
    if digest.is_recording_coming {
        Progress::Recording
    } else if call.state.holds_number() {
        Progress::Calling
    } else if digest.has_unfinished {
        Progress::Transcribing
    } else if digest.has_failed {
        Progress::Failed
    } else if digest.has_transcripts {
        Progress::Done
    } else if call.state == CallState::Completed && is_followed {
        Progress::Recording
    } else if matches!(call.state, CallState::Completed) {
        Progress::NotRecorded
    } else {
        Progress::Failed
    }
}

fn noted(event: Event) -> Noted {
    let Event { kind, subject, state, reason, at, .. } = event;
    Noted { at: Timestamp::from_millisecond(at).ok(), kind, subject, state, reason }
}

fn shown_recording(context: &Shared, headers: &HeaderMap, recording: &Recording) -> ShownRecording {
    let Recording { sid, state, duration_seconds, channels, source, error_code, .. } = recording;
    let reason = (state.rank() >= RecordingState::Completed.rank() && *state != RecordingState::Completed)
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
        own_id: transcript.id.clone(),
        is_current: transcript.is_current,
        keyterms: ordered_keyterms(transcript),
        paragraphs: Vec::new(),
        created_at: Timestamp::from_millisecond(transcript.created_at).ok(),
    }
}

/// The key terms that a transcript was ordered with.
pub(super) fn ordered_keyterms(transcript: &Transcript) -> Vec<String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Parameters {
        keyterms_prompt: Vec<String>,
    }
    serde_json::from_str::<Parameters>(&transcript.parameters).unwrap_or_default().keyterms_prompt
}

/// `<milliseconds>.<id>`.
fn cursor(text: &str) -> Result<Cursor, ApiError> {
    let read = || {
        let (at, id) = text.split_once('.')?;
        Some(Cursor { created_at: at.parse().ok()?, id: id.parse().ok()? })
    };
    read().ok_or_else(bad_after)
}

fn bad_after() -> ApiError {
    ApiError::BadRequest("after: expected what next says".to_owned())
}

impl Page {
    /// The calls of a list that has calls.
    pub(super) fn lines(&self) -> &[Line] {
        self.calls.as_deref().unwrap_or_default()
    }
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

    /// Whether nothing but another call would mend it.
    fn is_to_be_dialled_anew(&self) -> bool {
        self.progress == Progress::Failed && !self.can_retry && self.again().is_some()
    }

    fn steps(&self) -> Vec<Step> {
        steps::steps(self.call.direction, &self.call.state, self.progress, &self.timeline)
    }

    fn headline(&self) -> &'static str {
        steps::headline(&self.call.state, self.progress)
    }

    fn waits_for(&self) -> &'static str {
        if self.progress == Progress::Deleting && self.can_retry {
            return "Not all of it could be deleted.";
        }
        let unfinished =
            self.transcripts.iter().filter(|it| it.is_current && !["completed", "failed"].contains(&it.state));
        steps::waits_for(&self.call.state, self.progress, unfinished.map(|transcript| transcript.state).next_back())
    }

    /// What its page is told of: the call and its transcripts.
    fn about(&self) -> String {
        let transcripts = self.transcripts.iter().map(|transcript| transcript.own_id.as_str());
        self.call.id.as_deref().into_iter().chain(transcripts).collect::<Vec<_>>().join(" ")
    }

    /// Whether it is said that there is none. Of a call that is being deleted nothing is.
    fn has_no_recording(&self) -> bool {
        self.recordings.is_empty() && self.progress != Progress::Deleting
    }

    /// The transcripts of a recording.
    fn transcripts_of<'s>(&'s self, recording: &'s ShownRecording) -> impl Iterator<Item = &'s ShownTranscript> {
        self.transcripts.iter().filter(|transcript| transcript.recording_sid.as_deref() == Some(&recording.sid))
    }
}

impl ShownTranscript {
    /// Whether a word of it is marked.
    pub(super) fn has_doubts(&self) -> bool {
        self.paragraphs.iter().flat_map(|paragraph| &paragraph.words).any(|word| doubt(word).is_some())
    }
}

impl Line {
    /// How its transcript begins, or why it has none.
    pub(super) fn gist(&self) -> &str {
        let why = match self.progress {
            Progress::Failed => steps::waits_for(&self.call.state, self.progress, None),
            _ => "",
        };
        self.words.as_deref().or(self.call.reason.as_deref()).unwrap_or(why)
    }

    /// Where it is, in a word or two.
    pub(super) fn headline(&self) -> &'static str {
        steps::headline(&self.call.state, self.progress)
    }
}

impl Progress {
    /// Its name in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Calling | Self::Recording | Self::Transcribing | Self::Deleting => "now",
            Self::Done => "past",
            Self::NotRecorded => "never",
            Self::Failed => "failed",
        }
    }
}

impl Listed {
    /// What the call's page is named by.
    pub(super) fn name(&self) -> &str {
        self.sid.as_deref().or(self.id.as_deref()).unwrap_or_default()
    }

    /// Who called whom.
    pub(super) fn parties(&self) -> String {
        let who = |number: &Option<String>| number.clone().unwrap_or_else(|| "somebody".to_owned());
        format!("{} → {}", who(&self.from), who(&self.to))
    }

    /// Who is at the other end.
    pub(super) fn party(&self) -> &str {
        let party = if self.direction == "outbound" { &self.to } else { &self.from };
        party.as_deref().unwrap_or("somebody")
    }
}
