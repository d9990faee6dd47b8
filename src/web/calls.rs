//! `/calls`: the list of calls, newest first, and each call with everything known of it, as a page or as JSON by `Accept`.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::call_page::CallPage;
use super::error::{ApiError, LOOK_AGAIN};
use super::extract::{Id, Named, NoFields, NoParameters, Query, wants_page};
use super::filter::{Search, cursor};
use super::forms::Refused;
use super::list_page::{CallsPage, back};
use super::pages::Notices;
use super::response::see_other;
use super::view::{
    CallDetails, CallList, CallRow, CallView, EventView, LegView, RecordingView, SpeakerView, TranscriptView,
};
use super::{forms, reading, response, search};
use crate::clients::twilio::{self, Recording};
use crate::context::Shared;
use crate::model;
use crate::model::call::{Call, CallName, CallState, Deletion, FormNonce};
use crate::model::job::JobKind;
use crate::model::keyterms::Keyterms;
use crate::model::speakers::Speakers;
use crate::model::standing::{self, Facts, Progress, Unconnected, WaitsFor};
use crate::model::transcript::TranscriptState;
use crate::pipeline::lookup;
use crate::pipeline::{self, facts, retry as again};
use crate::store::{Conn, Voice};

/// Calls on one page of the list.
const PAGE: i64 = 50;

/// Lists calls, or hits if `q` searches transcripts.
pub(super) async fn list(
    State(context): State<Shared>,
    headers: HeaderMap,
    Query(search): Query<Search>,
) -> Result<Response, ApiError> {
    let list = if search.q.trim().is_empty() {
        calls(&context, &search).await
    } else {
        search::hits(&context, &headers, &search).await
    };
    let is_older = !search.after.is_empty();
    match list {
        Ok(list) if !wants_page(&headers) => Ok(Json(list).into_response()),
        Ok(page) => Ok(response::page(
            CallsPage { notices: Notices::of(&context), search, page, refused: None, is_older }.render(),
        )),
        Err(error @ ApiError::BadRequest(_)) if wants_page(&headers) => {
            let field = search.wrong_field();
            Ok(forms::again(error, move |problem| {
                let (notices, search, page) = (Notices::of(&context), search.clone(), CallList::default());
                let refused = Some(Refused { field, problem });
                response::page(CallsPage { notices, search, page, refused, is_older }.render())
            }))
        }
        Err(error) => Err(error),
    }
}

/// Returns the newest calls that match.
pub(super) async fn calls(context: &Shared, search: &Search) -> Result<CallList, ApiError> {
    let after = Some(search.after.as_str()).filter(|after| !after.is_empty()).map(cursor).transpose()?;
    let filter = search.filter()?;
    let mut conn = context.store.read().await?;
    // First, so that the page is notified of every change from here on.
    let since = conn.newest_change().await?;
    let mut calls = if search.is_any() {
        conn.calls(after.as_ref(), PAGE + 1).await?
    } else {
        conn.calls_matching(&filter, after.as_ref(), PAGE + 1).await?
    };
    let is_more = calls.len() > PAGE as usize;
    calls.truncate(PAGE as usize);
    let last = calls.last().filter(|_| is_more);
    let next = last.map(|last| search.next(&format!("{}.{}", last.created_at, last.id)));
    let mut summaries = conn.call_summaries(&calls).await?;
    let rows =
        calls.iter().map(|call| CallRow::of(call, summaries.remove(call.id.as_str()).unwrap_or_default())).collect();
    Ok(CallList { calls: Some(rows), hits: None, contacts: None, next, since })
}

/// The query of a call's page.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Arrival {
    /// `before` if no new call was placed.
    #[serde(rename = "dialled")]
    dialed: String,
    /// The search that found the call.
    q: String,
}

/// A call's page begins with the tutorial's sentence, and follows the call to its end. A reload dials nothing.
pub(super) async fn show(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(name): Id<CallName>,
    uri: Uri,
) -> Result<Response, ApiError> {
    if !wants_page(&headers) {
        Named::<NoParameters>::of_query(&uri)?.alone()?;
        return json(&context, &headers, &name).await;
    }
    let Arrival { dialed, q } = Named::of_query(&uri)?.named;
    let mut shown = shown(&context, &headers, &name).await?;
    if matches!(name, CallName::Sid(_)) && shown.call.sid.as_deref() != Some(name.as_str()) {
        // The name is that of a leg.
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let location = format!("/calls/{}{query}", shown.call.name());
        return Ok(see_other(&location));
    }
    let query = model::search::Query::parse(&q);
    let _turn = context.turn_to_show(shown.transcripts.iter().map(|transcript| transcript.json_bytes).sum()).await;
    for transcript in shown.transcripts.iter_mut().filter(|transcript| transcript.text.is_some()) {
        transcript.read_words(&mut context.store.read().await?, &query, &shown.naming).await?;
    }
    let sentence = shown.call.sentence();
    let (was_there, back) = (dialed == "before", back(&headers));
    let (notices, nonce, refresh) = (Notices::of(&context), FormNonce::random(), LOOK_AGAIN.as_secs());
    Ok(response::page(CallPage { notices, sentence, back, was_there, call: shown, nonce, refresh }.render()))
}

/// Retries what failed. Rings no phone.
pub(super) async fn retry(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(name): Id<CallName>,
    _: Query<NoParameters>,
    NoFields: NoFields,
) -> Result<Response, ApiError> {
    let call = context.store.read().await?.call(&name).await?.ok_or_else(|| unknown(&name))?;
    again::retry(&context, call.id.clone()).await?;
    if wants_page(&headers) {
        let location = format!("/calls/{}", CallView::of(&call).name());
        return Ok(see_other(&location));
    }
    json(&context, &headers, &name).await
}

/// A call as JSON. Its texts name the speakers of a dialog, as in `/transcript/<id>?format=text`.
async fn json(context: &Shared, headers: &HeaderMap, name: &CallName) -> Result<Response, ApiError> {
    let mut shown = shown(context, headers, name).await?;
    let is_dialog = shown.speakers.len() > 1;
    for transcript in shown.transcripts.iter_mut().filter(|transcript| is_dialog && transcript.text.is_some()) {
        let _turn = context.turn_to_show(transcript.json_bytes).await;
        let words = context.store.read().await?.words_of(&transcript.order).await?;
        if let Some(dialog) = reading::dialog(&words, &shown.naming) {
            transcript.text = Some(dialog);
        }
    }
    Ok(Json(shown).into_response())
}

/// Returns a call from the store, or from Twilio if the store does not know it. For a leg, returns the call that has dialed
/// it.
async fn shown(context: &Shared, headers: &HeaderMap, name: &CallName) -> Result<CallDetails, ApiError> {
    let mut conn = context.store.read().await?;
    let since = conn.newest_change().await?;
    if let Some(call) = conn.call(name).await? {
        return stored(context, headers, conn, since, call).await;
    }
    let CallName::Sid(sid) = name else { return Err(unknown(name)) };
    if let Some(call) = conn.call_of_leg(sid).await? {
        return stored(context, headers, conn, since, call).await;
    }
    drop(conn);
    let found = lookup::call(context, sid).await?;
    let Some(parent) = lookup::parent(&found) else { return shown_by_twilio(context, headers, since, found).await };
    let mut conn = context.store.read().await?;
    if let Some(call) = conn.call(&CallName::Sid(parent.clone())).await? {
        return stored(context, headers, conn, since, call).await;
    }
    drop(conn);
    shown_by_twilio(context, headers, since, lookup::call(context, &parent).await?).await
}

/// Returns a call that was read from the store. `since` is the newest row of the history before that.
async fn stored(
    context: &Shared,
    headers: &HeaderMap,
    mut conn: Conn,
    since: i64,
    call: Call,
) -> Result<CallDetails, ApiError> {
    if call.deletion == Some(Deletion::Done) {
        return Err(pipeline::Error::Deleted.into());
    }
    let facts = facts::of(&mut conn, call).await?;
    let (progress, call) = (facts.progress(), &facts.call);
    let unconnected = Unconnected::of(call, &facts.summary());
    let history = conn.history(&call.id).await?;
    let mut shown = CallDetails {
        progress,
        unconnected,
        legs: Vec::new(),
        can_retry: facts.may_retry().is_ok(),
        can_delete: facts.may_delete().is_ok(),
        keyterms: Vec::new(),
        keyterms_of_contact: Keyterms::default(),
        steps: standing::steps(call.state, progress, &history),
        waits_for: facts.waits_for(),
        timeline: Vec::new(),
        recordings: Vec::new(),
        transcripts: Vec::new(),
        speakers: Vec::new(),
        naming: Speakers::default(),
        since,
        call: CallView::of(call).with_reason(unconnected),
    };
    let legs = LegView::of(&facts, &history);
    shown.timeline = history.into_iter().map(|event| EventView::of(call, event)).collect();
    if call.deletion.is_some() {
        // From the first moment on, nothing that was said is shown, only what delays the deletion.
        shown.call.reason = conn.job_state(JobKind::Deletion, call.id.as_str()).await?.and_then(|job| job.reason);
        return Ok(shown);
    }
    for transcript in &facts.transcripts {
        let job = conn.job_state(JobKind::Transcript, transcript.id.as_str()).await?;
        let mut view = TranscriptView::of(&facts, transcript, job);
        if transcript.submission.is_none() {
            // The key terms of the call are sent with every order.
            let of_call = call.keyterms.as_slice().iter().filter(|term| !view.keyterms.contains(term));
            view.keyterms.extend(of_call.cloned().collect::<Vec<_>>());
        }
        let mut before = shown.transcripts.iter().rev();
        view.before = before
            .find(|before| {
                before.recording_sid == view.recording_sid && before.known_state == TranscriptState::Completed
            })
            .and_then(|before| before.id.clone())
            .filter(|_| transcript.state == TranscriptState::Completed);
        shown.transcripts.push(view);
    }
    (shown.speakers, shown.naming) = speakers(&mut conn, &facts).await?;
    let contact = conn.contact_of(call).await?;
    shown.keyterms_of_contact = contact.map(|contact| contact.keyterms_of_calls()).unwrap_or_default();
    drop(conn);
    shown.legs = legs;
    shown.keyterms = call.keyterms.as_slice().to_vec();
    shown.recordings = facts.recordings.iter().map(|one| RecordingView::of(context, headers, one)).collect();
    Ok(shown)
}

/// Returns a call that only Twilio knows.
async fn shown_by_twilio(
    context: &Shared,
    headers: &HeaderMap,
    since: i64,
    found: twilio::Call,
) -> Result<CallDetails, ApiError> {
    let recordings = match found.sid.parse() {
        Ok(sid) => lookup::recordings(context, &sid).await?,
        Err(_) => Vec::new(),
    };
    let is_awaited = lookup::is_recording_awaited(&found, &recordings, context.clock.now());
    let progress = if is_awaited && found.is_up() && !recordings.iter().any(Recording::is_coming) {
        Progress::Calling
    } else if is_awaited {
        Progress::Recording
    } else if recordings.iter().any(Recording::is_complete) {
        Progress::Done
    } else {
        Progress::NotRecorded
    };
    // A state that is new at Twilio says nothing here; the progress follows from the recordings.
    let state = CallState::of_twilio(&found.status).unwrap_or(CallState::InProgress);
    Ok(CallDetails {
        progress,
        unconnected: None,
        legs: Vec::new(),
        can_retry: false,
        can_delete: false,
        since,
        steps: standing::steps(state, progress, &[]),
        waits_for: WaitsFor::of_call(state, progress),
        keyterms: Vec::new(),
        keyterms_of_contact: Keyterms::default(),
        timeline: Vec::new(),
        recordings: recordings.iter().map(|recorded| RecordingView::of_twilio(context, headers, recorded)).collect(),
        transcripts: Vec::new(),
        speakers: Vec::new(),
        naming: Speakers::default(),
        call: CallView::of_twilio(found),
    })
}

/// Returns who speaks in a call that is stored.
pub(super) async fn speakers_of(context: &Shared, name: &CallName) -> Result<Vec<SpeakerView>, ApiError> {
    let mut conn = context.store.read().await?;
    let call = conn.call(name).await?.ok_or_else(|| unknown(name))?;
    let facts = facts::without_words(&mut conn, call).await?;
    Ok(speakers(&mut conn, &facts).await?.0)
}

/// Returns who speaks in a call, and what they are called. Before a transcript tells, both sides speak in a recording with
/// two channels.
async fn speakers(conn: &mut Conn, facts: &Facts) -> Result<(Vec<SpeakerView>, Speakers), ApiError> {
    let naming = pipeline::speakers::of(conn, &facts.call).await?;
    let mut voices = conn.voices_of(&facts.call.id).await?;
    let has_sides = facts.recordings.iter().any(|recording| recording.channels == Some(2))
        && !facts.transcripts.iter().any(|transcript| transcript.channels_differ == Some(false));
    if voices.is_empty() && has_sides {
        voices = ["1", "2"].map(|channel| Voice { channel: Some(channel.to_owned()), speaker: None }).into();
    }
    Ok((voices.iter().filter_map(|voice| SpeakerView::of(&naming, voice)).collect(), naming))
}

fn unknown(name: &CallName) -> ApiError {
    pipeline::Error::NoSuchCall(name.as_str().to_owned()).into()
}
