//! `/replace`: finds a text and replaces it, in one transcript or in many.

use std::collections::HashMap;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::extract::{Fields, Id, NoFields, NoParameters, Query, read_body, wants_page};
use super::filter::FilterBody;
use super::pages::Notices;
use super::reading::{called, length};
use super::response::{page, see_other};
use super::transcript::speakers;
use super::who::{Who, by, own_key};
use crate::context::Shared;
use crate::export;
use crate::model::recording::RecordingSid;
use crate::model::replace::{BadReplacing, Place, Replacing};
use crate::model::speakers::Speakers;
use crate::model::transcript::TranscriptId;
use crate::pipeline::corrections::Corrected;
use crate::pipeline::replace::{self, Found, MOST_PLACES};
use crate::store::{Asked, Replacement};

/// Maximum size of a body in bytes.
const LARGEST: usize = 2 << 20;

/// Seconds until the page of a replacement that still runs is loaded again.
const LOOK_AGAIN: u64 = 2;

/// What a client asks for. A form has the fields of the filter beside the others.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ReplaceBody)]
pub(super) struct Wanted {
    find: String,
    with: String,
    /// Whether case matters.
    case: bool,
    /// By default.
    whole_words: Option<bool>,
    transcript: Option<String>,
    filter: Option<FilterBody>,
    apply: bool,
    /// The ids of places that are left out.
    except: Vec<String>,
}

/// The query of the page.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Options {
    /// The text that is looked for.
    find: String,
    /// What would take its place.
    with: String,
    /// Case matters if it is there, unless it is `false`.
    case: Option<String>,
    /// Only whole words are found, unless it is `false`.
    whole_words: Option<String>,
    /// The id of a transcript, if only that one is meant.
    transcript: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct PlaceView {
    id: String,
    transcript: String,
    from: usize,
    to: usize,
    /// Who says it, if speakers are told apart.
    speaker: Option<String>,
    /// The words that the same speaker says around it, with those that change.
    context: String,
    /// What would stand there.
    after: String,
    at_ms: i64,
    /// The address of the recording, from that moment on.
    audio: Option<String>,
}

/// Places where a text is said.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlaceList {
    places: Vec<PlaceView>,
    /// Whether there are more.
    more: bool,
}

/// What was replaced in one transcript.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplacedView {
    places: Vec<PlaceView>,
    /// That of the transcript now.
    version: i64,
    /// The id of the correction; `None` if there was nothing to change.
    correction: Option<String>,
}

/// How far a replacement in many transcripts is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Replacement)]
pub(super) struct ProgressView {
    id: String,
    /// `running`, `done` or `failed`.
    state: &'static str,
    undoes: Option<String>,
    at: Option<Timestamp>,
    by: String,
    /// Transcripts that may have such a place, and how many of them were looked at.
    total: i64,
    looked_at: i64,
    /// Transcripts that were corrected, and the places in them.
    transcripts: i64,
    places: i64,
    reason: Option<String>,
}

#[derive(Template)]
#[template(path = "replace.html", config = "src/web/pages/askama.toml")]
struct ReplacePage {
    notices: Notices,
    wanted: Options,
    /// `None` before something is looked for.
    places: Option<Vec<PlaceView>>,
    is_more: bool,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "replacement.html", config = "src/web/pages/askama.toml")]
struct ReplacementPage {
    notices: Notices,
    progress: ProgressView,
    refresh: Option<u64>,
}

/// A form, and the places that would change. Changes nothing.
pub(super) async fn ask(
    State(context): State<Shared>,
    headers: HeaderMap,
    Query(options): Query<Options>,
) -> Result<Response, ApiError> {
    let wanted = Wanted {
        find: options.find.clone(),
        with: options.with.clone(),
        case: options.is_case(),
        whole_words: Some(options.is_whole()),
        transcript: Some(options.transcript.clone()).filter(|id| !id.is_empty()),
        filter: Some(FilterBody::default()),
        ..Wanted::default()
    };
    let looked = if options.find.trim().is_empty() { None } else { Some(places(&context, &wanted).await) };
    let (places, problem) = match looked {
        Some(Ok(found)) => (Some(found), None),
        Some(Err(error @ ApiError::BadRequest(_))) if wants_page(&headers) => (None, Some(error.to_string())),
        Some(Err(error)) => return Err(error),
        None => (None, None),
    };
    if !wants_page(&headers) {
        let (places, more) = places.unwrap_or_default();
        return Ok(Json(PlaceList { places, more }).into_response());
    }
    let (places, is_more) = places.map_or((None, false), |(places, is_more)| (Some(places), is_more));
    Ok(page(ReplacePage { notices: Notices::of(&context), wanted: options, places, is_more, problem }.render()))
}

/// Lists the places, or replaces. In many transcripts, it begins to.
pub(super) async fn replace(
    State(context): State<Shared>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let wanted: Wanted = Fields::read(&headers, &read_body(body, LARGEST).await?)?.parsed(Wanted::of_form)?;
    if wanted.transcript.is_none() && wanted.filter.is_none() {
        let why = "expected transcript, the id of one, or filter; {} as a filter stands for all calls";
        return Err(ApiError::BadRequest(why.to_owned()));
    }
    if !wanted.apply {
        let (places, more) = places(&context, &wanted).await?;
        return Ok(Json(PlaceList { places, more }).into_response());
    }
    let (by, key) = (by(&context, &who, &headers), own_key(&who, &headers)?);
    let replacing = wanted.replacing()?;
    let Some(id) = wanted.transcript()? else {
        let begun = replace::begin(&context, wanted.asked(replacing)?, by, key).await?;
        return Ok(accepted(&headers, begun));
    };
    let (mut places, _) = places(&context, &wanted).await?;
    let except = wanted.except.clone();
    places.retain(|place| !except.contains(&place.id));
    let Corrected { version, correction } = replace::replace_in(&context, &id, replacing, except, by, key).await?;
    if wants_page(&headers) {
        // Where it is shown, and can be undone.
        let location = match correction {
            Some(_) => format!("/transcript/{id}/corrections"),
            None => format!("/transcript/{id}?format=html"),
        };
        return Ok(see_other(&location));
    }
    Ok(Json(ReplacedView { places, version, correction }).into_response())
}

/// Tells how far a replacement is.
pub(super) async fn progress(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<String>,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    let progress = ProgressView::of(replace::get(&context, &id).await?);
    if !wants_page(&headers) {
        return Ok(Json(progress).into_response());
    }
    let refresh = (progress.state == RUNNING).then_some(LOOK_AGAIN);
    Ok(page(ReplacementPage { notices: Notices::of(&context), progress, refresh }.render()))
}

/// Begins to undo a replacement.
pub(super) async fn undo(
    State(context): State<Shared>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    Id(id): Id<String>,
    _: Query<NoParameters>,
    _: NoFields,
) -> Result<Response, ApiError> {
    let begun = replace::undo(&context, &id, by(&context, &who, &headers)).await?;
    Ok(accepted(&headers, begun))
}

/// The state of a replacement that has not ended.
const RUNNING: &str = "running";

fn accepted(headers: &HeaderMap, begun: Replacement) -> Response {
    let location = [(header::LOCATION, format!("/replace/{}", begun.id))];
    if wants_page(headers) {
        return (StatusCode::SEE_OTHER, location).into_response();
    }
    (StatusCode::ACCEPTED, location, Json(ProgressView::of(begun))).into_response()
}

async fn places(context: &Shared, wanted: &Wanted) -> Result<(Vec<PlaceView>, bool), ApiError> {
    let replacing = wanted.replacing()?;
    let (found, more) = match wanted.transcript()? {
        Some(id) => (replace::places_in(context, &id, &replacing).await?, false),
        None => replace::places(context, &wanted.asked(replacing)?, MOST_PLACES).await?,
    };
    let (mut naming, mut views) = (HashMap::new(), Vec::new());
    for one in found {
        let is_told = one.place.speaker.is_some() || one.place.channel.is_some();
        if is_told && !naming.contains_key(&one.transcript) {
            naming.insert(one.transcript.clone(), speakers(context, &one.transcript).await?);
        }
        let speaker = naming.get(&one.transcript).and_then(|speakers| who(speakers, &one.place));
        views.push(PlaceView::of(one, speaker));
    }
    Ok((views, more))
}

/// Returns what the speaker at a place is called.
fn who(speakers: &Speakers, Place { speaker, channel, .. }: &Place) -> Option<String> {
    let (speaker, channel) = (speaker.as_deref(), channel.as_deref());
    called(speakers, &export::Word { text: "", start: 0, end: 0, speaker, channel })
}

impl Wanted {
    /// A checkbox that is not ticked is not sent, so a form says `whole_words` to ask for them.
    fn of_form(pairs: Vec<(String, String)>) -> Map<String, Value> {
        let (mut fields, mut filter, mut except) = (Map::new(), Map::new(), Vec::new());
        fields.insert("whole_words".to_owned(), Value::Bool(false));
        for (name, text) in pairs {
            match &*name {
                "case" | "whole_words" | "apply" => {
                    fields.insert(name, Value::Bool(text != "false"));
                }
                "q" | "state" | "number" | "checked" | "since" | "until" => {
                    filter.insert(name, Value::String(text));
                }
                "except" => except.push(Value::String(text)),
                "transcript" if text.is_empty() => {}
                _ => {
                    fields.insert(name, Value::String(text));
                }
            }
        }
        fields.insert("filter".to_owned(), Value::Object(filter));
        fields.insert("except".to_owned(), Value::Array(except));
        fields
    }

    fn replacing(&self) -> Result<Replacing, ApiError> {
        let bad = |bad: BadReplacing| ApiError::BadRequest(bad.to_string());
        Replacing::new(&self.find, &self.with, self.case, self.whole_words.unwrap_or(true)).map_err(bad)
    }

    fn transcript(&self) -> Result<Option<TranscriptId>, ApiError> {
        Ok(self.transcript.as_deref().map(str::parse).transpose()?)
    }

    fn asked(&self, replacing: Replacing) -> Result<Asked, ApiError> {
        let body = self.filter.clone().unwrap_or_default();
        let filter = body.filter()?;
        Ok(Asked::new(replacing, self.except.clone(), body.q, &filter))
    }
}

impl Options {
    fn is_case(&self) -> bool {
        self.case.as_deref().is_some_and(|case| case != "false")
    }

    fn is_whole(&self) -> bool {
        self.whole_words.as_deref().is_none_or(|whole| whole != "false")
    }
}

impl PlaceView {
    fn of(Found { id, transcript, recording, place }: Found, speaker: Option<String>) -> Self {
        let Place { from, to, text: after, context, at: at_ms, .. } = place;
        let at = |sid: RecordingSid| format!("/recordings/{sid}.wav#t={}.{:03}", at_ms / 1_000, at_ms % 1_000);
        let (transcript, audio) = (transcript.to_string(), recording.map(at));
        Self { id, transcript, from, to, speaker, context, after, at_ms, audio }
    }

    fn clock(&self) -> String {
        length(&(self.at_ms / 1_000))
    }
}

impl ProgressView {
    fn of(replacement: Replacement) -> Self {
        let Replacement {
            id, undoes, made_at, made_by, total, looked_at, transcripts, places, is_done, reason, ..
        } = replacement;
        let state = match (is_done, &reason) {
            (false, _) => RUNNING,
            (true, None) => "done",
            (true, Some(_)) => "failed",
        };
        let at = Timestamp::from_millisecond(made_at).ok();
        Self { id, state, undoes, at, by: made_by, total, looked_at, transcripts, places, reason }
    }
}
