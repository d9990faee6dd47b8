//! `/calls/<sid>` and `/items/<id>`: a call with everything known of it, as a page or as JSON by `Accept`.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call_page::CallPage;
use super::error::{ApiError, LOOK_AGAIN};
use super::extract::{Id, Named, NoFields, NoParameters, Query, wants_page};
use super::items::{self, List};
use super::list_page::back;
use super::pages::Notices;
use super::response::see_other;
use super::view::{CallDetails, CallView, EventView, LegView, RecordingView, SpeakerView, TranscriptView};
use super::who::Asker;
use super::{reading, response};
use crate::clients::archive::Archive;
use crate::clients::json::{SMALL, most_bytes};
use crate::clients::twilio::{self, Recording};
use crate::context::Shared;
use crate::model;
use crate::model::call::{Call, CallName, CallState, Deletion, Direction, FormNonce};
use crate::model::job::JobKind;
use crate::model::keyterms::Keyterms;
use crate::model::price::Price;
use crate::model::speakers::Speakers;
use crate::model::standing::{self, Facts, Progress, Unconnected, WaitsFor};
use crate::model::transcript::{Transcript, TranscriptState};
use crate::pipeline::lookup;
use crate::pipeline::{self, facts, retry as again};
use crate::store::{Conn, Voice};

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
        let is_item = uri.path().starts_with(List::Items.path());
        let call = as_json(&context, &headers, &name).await?;
        return Ok(Json(if is_item { items::as_item(call) } else { call }).into_response());
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
    let with = phone_for_another(&context, &shown.call);
    Ok(response::page(CallPage { notices, sentence, back, was_there, call: shown, with, nonce, refresh }.render()))
}

/// Returns the operator's phone at which another call to the same number is talked: the same as before, or the first one if
/// somebody is called back. `None` if the call leaves a message.
fn phone_for_another(context: &Shared, call: &CallView) -> Option<String> {
    match call.direction {
        Direction::Inbound => context.call.operator_phones.first().map(ToString::to_string),
        _ => call.operator.clone(),
    }
}

/// Retries what failed. Rings no phone.
pub(super) async fn retry(
    State(context): State<Shared>,
    headers: HeaderMap,
    Asker(asked): Asker,
    Id(name): Id<CallName>,
    _: Query<NoParameters>,
    NoFields: NoFields,
) -> Result<Response, ApiError> {
    let call = context.store.read().await?.call(&name).await?.ok_or_else(|| unknown(&name))?;
    again::retry(&context, call.id.clone(), asked).await?;
    if wants_page(&headers) {
        let location = format!("/calls/{}", CallView::of(&call).name());
        return Ok(see_other(&location));
    }
    Ok(Json(as_json(&context, &headers, &name).await?).into_response())
}

/// A call as JSON. Its texts name the speakers of a dialog, as in `/transcript/<id>?format=text`.
pub(super) async fn as_json(context: &Shared, headers: &HeaderMap, name: &CallName) -> Result<Value, ApiError> {
    let mut shown = shown(context, headers, name).await?;
    let is_dialog = shown.speakers.len() > 1;
    for transcript in shown.transcripts.iter_mut().filter(|transcript| is_dialog && transcript.text.is_some()) {
        let _turn = context.turn_to_show(transcript.json_bytes).await;
        let words = context.store.read().await?.words_of(&transcript.order).await?;
        if let Some(dialog) = reading::dialog(&words, &shown.naming) {
            transcript.text = Some(dialog);
        }
    }
    Ok(json!(shown))
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
    let mut facts = facts::of(&mut conn, call).await?;
    // Large ones are not read here, and many readers may wait for their turn with the page.
    let sizes: Vec<usize> = facts.transcripts.iter_mut().map(forget_large).collect();
    let (progress, call) = (facts.progress(), &facts.call);
    let summary = facts.summary();
    let unconnected = Unconnected::of(call, &summary);
    let missed = facts.transcripts.iter().rfind(|one| facts.may_retry_transcript(one) && one.reason.is_some());
    let failure = missed.and_then(|missed| missed.reason.clone());
    let history = conn.history(&call.id).await?;
    let mut shown = CallDetails {
        progress,
        unconnected,
        legs: Vec::new(),
        cost_usd: Price::with(facts.transcripts_cost(), call.price.as_ref()),
        transcripts_cost: facts.transcripts_cost(),
        over_budget: summary.over_budget,
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
        call: CallView::of(call).explained(progress, unconnected, summary.over_budget, failure),
    };
    let legs = LegView::of(&facts, &history);
    shown.timeline = history.into_iter().map(|event| EventView::of(call, event)).collect();
    if call.deletion.is_some() {
        // From the first moment on, nothing that was said is shown, only what delays the deletion.
        shown.call.reason = conn.job_state(JobKind::Deletion, call.id.as_str()).await?.and_then(|job| job.reason);
        return Ok(shown);
    }
    // What a trial has made is on its own page.
    for (transcript, json_bytes) in facts.transcripts.iter().zip(sizes).filter(|(one, _)| one.trial.is_none()) {
        let job = conn.job_state(JobKind::Transcript, transcript.id.as_str()).await?;
        let mut view = TranscriptView { json_bytes, ..TranscriptView::of(&facts, transcript, job) };
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
    let copies = conn.archived_of(&call.id).await?;
    let archive = context.archive.as_ref().map(Archive::name);
    for recording in &facts.recordings {
        let mut view = RecordingView::of(context, headers, recording);
        view.add_archived(archive, &copies, conn.job_state(JobKind::Archive, recording.sid.as_str()).await?);
        shown.recordings.push(view);
    }
    drop(conn);
    shown.legs = legs;
    shown.keyterms = call.keyterms.as_slice().to_vec();
    Ok(shown)
}

/// Drops the JSON of a transcript if it is large. Returns how many bytes it has at most.
fn forget_large(transcript: &mut Transcript) -> usize {
    let bytes = transcript.json.as_deref().map_or(0, most_bytes);
    transcript.json.take_if(|_| bytes > SMALL);
    bytes
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
        cost_usd: None,
        transcripts_cost: None,
        over_budget: None,
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
