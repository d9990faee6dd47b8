//! `/transcript/<id>/blind-check`: offers a stretch of a transcript without its text, takes what somebody typed from the audio
//! alone, and shows where the transcript differs. A page, and the same as JSON.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::extract::{Fields, Id, NoParameters, Query, of_object, read_body, wants_page};
use super::forms::{self, Refused};
use super::pages::Notices;
use super::reading::length;
use super::response::{page, see_other};
use super::who::{Who, by};
use crate::accuracy::Edits;
use crate::context::Shared;
use crate::model::blind::{BlindCheck, Window};
use crate::model::transcript::TranscriptId;
use crate::model::word::join;
use crate::pipeline::blind_checks::{self, Side, Standing, Typed};

/// Maximum size of a body in bytes.
const LARGEST: usize = 64 << 10;

/// The query.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wish {
    /// The number of a stretch that was typed before.
    #[param(value_type = Option<i64>, minimum = 1)]
    stretch: Option<String>,
}

/// What a client typed.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedBody {
    /// The stretch, in milliseconds from the start of the audio.
    start: i64,
    end: i64,
    /// Where all is one channel.
    text: Option<String>,
    /// By channel, where they are typed apart.
    #[serde(default)]
    texts: BTreeMap<String, String>,
    /// Where nothing was typed, nobody speaks.
    #[serde(default)]
    nobody_speaks: bool,
}

/// A stretch as JSON.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct BlindCheckView {
    transcript: String,
    /// Its number; `None` if nothing is left to type.
    stretch: Option<i64>,
    /// In milliseconds from the start of the audio.
    start: Option<i64>,
    end: Option<i64>,
    /// The address of the audio of just that stretch. `None` if Twilio does not have it.
    audio: Option<String>,
    sides: Vec<SideView>,
    /// What is known of it once it was typed.
    result: Option<ResultView>,
    /// The stretches that were typed.
    typed: Vec<TypedView>,
}

/// What is typed into one field.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct SideView {
    /// `None` where all are one.
    channel: Option<String>,
    /// What the speaker is called.
    name: Option<String>,
    /// What was typed, once it was.
    text: Option<String>,
    /// What AssemblyAI heard, likewise.
    heard: Option<String>,
    #[serde(skip)]
    parts: Vec<PartView>,
}

/// A part of the text of the page: words that are the same, and then words that differ.
#[derive(Debug, Clone)]
struct PartView {
    same: String,
    difference: Option<DifferenceView>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = BlindDifference)]
struct DifferenceView {
    channel: Option<String>,
    typed: String,
    heard: String,
    /// When it is said, in milliseconds from the start of the audio.
    at_ms: i64,
    /// The address of the audio from that moment on.
    audio: Option<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = BlindResult)]
struct ResultView {
    #[serde(flatten)]
    typed: TypedView,
    /// Of the reference.
    words: u64,
    substitutions: u64,
    deletions: u64,
    insertions: u64,
    /// `None`, because undefined, if nothing was said.
    wer: Option<f64>,
    differences: Vec<DifferenceView>,
}

/// When a stretch was typed, and what it is as a reference.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct TypedView {
    stretch: i64,
    start: i64,
    end: i64,
    /// How often it was typed.
    versions: i64,
    /// `blind`, or `checked` if it was typed again.
    #[schema(value_type = crate::model::measure::Reference, inline)]
    reference: &'static str,
    at: Option<Timestamp>,
    by: String,
}

#[derive(Template)]
#[template(path = "blind_check.html", config = "src/web/pages/askama.toml")]
struct BlindCheckPage {
    notices: Notices,
    view: BlindCheckView,
    nobody_speaks: bool,
    refused: Option<Refused>,
    /// Whether the form was sent before its browser was logged in.
    is_kept: bool,
}

/// Shows the stretch that is offered next, or one that was typed.
pub(super) async fn show(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<TranscriptId>,
    Query(Wish { stretch }): Query<Wish>,
) -> Result<Response, ApiError> {
    let standing = blind_checks::read(&context, &id).await?;
    let check = match stretch {
        Some(number) => Some(check_of(&standing, number.parse().unwrap_or_default())?),
        None => None,
    };
    let view = BlindCheckView::of(&id, &standing, check);
    if !wants_page(&headers) {
        return Ok(Json(view).into_response());
    }
    Ok(page(BlindCheckPage::of(&context, view).render()))
}

/// Answers with where the transcript differs from what was typed. A form leads to the page that shows it.
pub(super) async fn store(
    State(context): State<Shared>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    Id(id): Id<TranscriptId>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let body = TypedBody::read(Fields::read(&headers, &read_body(body, LARGEST).await?)?)?;
    let standing = blind_checks::read(&context, &id).await?;
    let stored = async {
        let (window, texts) = (Window { from: body.start, to: body.end }, body.texts_of(&standing.channels)?);
        let by = by(&context, &who, &headers);
        Ok::<_, ApiError>(blind_checks::store(&context, &id, Typed { window, texts, by }).await?)
    };
    let stretch = match stored.await {
        Ok(check) => check.stretch,
        Err(error) if wants_page(&headers) => return Ok(refused(&context, error, &id, &standing, &body)),
        Err(error) => return Err(error),
    };
    if wants_page(&headers) {
        return Ok(see_other(&format!("/transcript/{id}/blind-check?stretch={stretch}")));
    }
    let standing = blind_checks::read(&context, &id).await?;
    let view = BlindCheckView::of(&id, &standing, Some(check_of(&standing, stretch)?));
    Ok(Json(view).into_response())
}

/// Shows a form that was sent before its browser was logged in.
pub(super) async fn show_again(context: &Shared, id: &TranscriptId, form: &[u8]) -> Result<Response, ApiError> {
    let body = TypedBody::read(Fields::of_form(form))?;
    let standing = blind_checks::read(context, id).await?;
    let view = BlindCheckView::typed(id, &standing, &body);
    let shown =
        BlindCheckPage { is_kept: true, nobody_speaks: body.nobody_speaks, ..BlindCheckPage::of(context, view) };
    Ok(page(shown.render()))
}

/// Shows a form again with what was typed, and why.
fn refused(context: &Shared, error: ApiError, id: &TranscriptId, standing: &Standing, body: &TypedBody) -> Response {
    let (context, view) = (Shared::clone(context), BlindCheckView::typed(id, standing, body));
    let nobody_speaks = body.nobody_speaks;
    forms::again(error, move |problem| {
        let refused = Some(Refused { field: "text", problem });
        page(BlindCheckPage { refused, nobody_speaks, ..BlindCheckPage::of(&context, view.clone()) }.render())
    })
}

fn check_of(standing: &Standing, stretch: i64) -> Result<&BlindCheck, ApiError> {
    let found = standing.checks.iter().find(|check| check.stretch == stretch);
    found.ok_or_else(|| {
        let typed = standing.checks.len();
        ApiError::BadRequest(format!("stretch: expected that of a stretch that was typed; there are {typed} of them"))
    })
}

impl TypedBody {
    fn read(fields: Fields) -> Result<Self, ApiError> {
        let is_form = matches!(fields, Fields::Form(_));
        let fields = fields.into_object()?;
        let fields = if is_form { of_form(fields) } else { fields };
        of_object(fields)
    }

    /// Returns what was typed of each channel.
    fn texts_of(&self, channels: &[String]) -> Result<BTreeMap<String, String>, ApiError> {
        let bad = |why: String| Err(ApiError::BadRequest(why));
        let mut texts = BTreeMap::new();
        match channels {
            [only] if self.texts.is_empty() => _ = texts.insert(only.clone(), self.text.clone().unwrap_or_default()),
            _ if self.text.is_some() => {
                return bad(format!("texts: expected one for each of the channels {}", channels.join(", ")));
            }
            _ => {
                let unknown = self.texts.keys().find(|channel| !channels.contains(channel));
                if let Some(unknown) = unknown {
                    return bad(format!("texts: {unknown:?} is no channel of this transcript"));
                }
                let text = |channel: &String| self.texts.get(channel).cloned().unwrap_or_default();
                texts.extend(channels.iter().map(|channel| (channel.clone(), text(channel))));
            }
        }
        let is_silent = |text: &&String| !text.contains(char::is_alphanumeric);
        if !self.nobody_speaks && texts.values().any(|text| is_silent(&text)) {
            return bad("text: expected what is said; where nobody speaks, say so with nobody_speaks".to_owned());
        }
        Ok(texts)
    }
}

/// Returns the fields of a form as those of JSON: `text.1` is the text of a channel.
fn of_form(form: Map<String, Value>) -> Map<String, Value> {
    let (mut fields, mut texts) = (Map::new(), Map::new());
    for (name, value) in form {
        let text = value.as_str().unwrap_or_default();
        match (name.as_str(), name.strip_prefix("text.")) {
            (_, Some(channel)) => _ = texts.insert(channel.to_owned(), value),
            ("start" | "end", _) => {
                let number = text.trim().parse::<i64>().map_or_else(|_| value.clone(), Value::from);
                fields.insert(name, number);
            }
            ("nobody_speaks", _) => _ = fields.insert(name, Value::Bool(!matches!(text, "" | "false" | "0"))),
            _ => _ = fields.insert(name, value),
        }
    }
    if !texts.is_empty() {
        fields.insert("texts".to_owned(), Value::Object(texts));
    }
    fields
}

impl BlindCheckPage {
    fn of(context: &Shared, view: BlindCheckView) -> Self {
        Self { notices: Notices::of(context), view, nobody_speaks: false, refused: None, is_kept: false }
    }
}

impl BlindCheckView {
    /// The stretch that is offered next, or one that was typed.
    fn of(id: &TranscriptId, standing: &Standing, check: Option<&BlindCheck>) -> Self {
        let window = check.map_or_else(|| standing.next(), |check| Some(check.window));
        let mut view = Self::offered(id, standing, window);
        let Some(check) = check else { return view };
        view.stretch = Some(check.stretch);
        let sides = standing.sides(check);
        let audio = standing.recording.as_ref().map(|sid| format!("/recordings/{sid}.wav"));
        view.sides = sides.iter().map(|side| SideView::of(standing, side, audio.as_deref())).collect();
        let edits: Edits = sides.iter().map(|side| side.edits).sum();
        let differences = view.sides.iter().flat_map(|side| &side.parts).filter_map(|part| part.difference.clone());
        view.result = Some(ResultView {
            typed: TypedView::of(check),
            words: edits.words(),
            substitutions: edits.substitutions,
            deletions: edits.deletions,
            insertions: edits.insertions,
            wer: edits.rate(),
            differences: differences.collect(),
        });
        view
    }

    /// A stretch without its text.
    fn offered(id: &TranscriptId, standing: &Standing, window: Option<Window>) -> Self {
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1_000, ms % 1_000);
        let audio = standing
            .recording
            .as_ref()
            .zip(window)
            .map(|(sid, Window { from, to })| format!("/recordings/{sid}.wav#t={},{}", seconds(from), seconds(to)));
        let side = |channel: &String| SideView::empty(standing, channel);
        Self {
            transcript: id.to_string(),
            stretch: window.map(|_| standing.checks.len() as i64 + 1),
            start: window.map(|window| window.from),
            end: window.map(|window| window.to),
            audio,
            sides: standing.channels.iter().map(side).collect(),
            result: None,
            typed: standing.checks.iter().map(TypedView::of).collect(),
        }
    }

    /// The stretch that a form is about, with what was typed in it.
    fn typed(id: &TranscriptId, standing: &Standing, body: &TypedBody) -> Self {
        let window = Window { from: body.start, to: body.end };
        let known = standing.checks.iter().any(|check| check.window == window) || standing.next() == Some(window);
        // What was typed of another stretch is shown with the one that is offered now, so that it is not lost.
        let mut view = Self::offered(id, standing, if known { Some(window) } else { standing.next() });
        for side in &mut view.sides {
            let typed = side.channel.as_ref().and_then(|channel| body.texts.get(channel)).or(body.text.as_ref());
            side.text = typed.cloned();
        }
        view
    }

    fn length(&self) -> String {
        length(&((self.end.unwrap_or_default() - self.start.unwrap_or_default()) / 1_000))
    }

    /// When it begins and ends, for people.
    fn clocks(&self) -> String {
        let clock = |ms: Option<i64>| length(&(ms.unwrap_or_default() / 1_000));
        format!("{} to {}", clock(self.start), clock(self.end))
    }
}

impl SideView {
    fn empty(standing: &Standing, channel: &str) -> Self {
        let name = standing.speakers.name(None, Some(channel).filter(|channel| !channel.is_empty()));
        let channel = Some(channel.to_owned()).filter(|channel| !channel.is_empty());
        Self { channel, name, text: None, heard: None, parts: Vec::new() }
    }

    fn of(standing: &Standing, side: &Side, audio: Option<&str>) -> Self {
        let empty = Self::empty(standing, &side.channel);
        let (mut parts, mut done) = (Vec::new(), 0);
        for difference in &side.differences {
            let at = difference.at_ms;
            let view = DifferenceView {
                channel: empty.channel.clone(),
                typed: side.typed[difference.typed.clone()].join(" "),
                heard: join(&side.heard[difference.heard.clone()]),
                at_ms: at,
                audio: audio.map(|audio| format!("{audio}#t={}.{:03}", at / 1_000, at % 1_000)),
            };
            let same = side.typed.get(done..difference.typed.start).unwrap_or_default().join(" ");
            parts.push(PartView { same, difference: Some(view) });
            done = difference.typed.end;
        }
        parts.push(PartView { same: side.typed.get(done..).unwrap_or_default().join(" "), difference: None });
        Self { text: Some(side.typed.join(" ")), heard: Some(join(&side.heard)), parts, ..empty }
    }

    /// The name of its field in a form.
    fn field(&self) -> String {
        self.channel.as_ref().map_or_else(|| "text".to_owned(), |channel| format!("text.{channel}"))
    }

    fn label(&self) -> String {
        match (&self.name, &self.channel) {
            (Some(name), _) => format!("What {name} says"),
            (None, Some(channel)) => format!("What is said on channel {channel}"),
            (None, None) => "What is said".to_owned(),
        }
    }
}

impl DifferenceView {
    fn clock(&self) -> String {
        length(&(self.at_ms / 1_000))
    }
}

impl TypedView {
    fn of(check: &BlindCheck) -> Self {
        Self {
            stretch: check.stretch,
            start: check.window.from,
            end: check.window.to,
            versions: check.version,
            reference: check.reference().as_str(),
            at: Timestamp::from_millisecond(check.at).ok(),
            by: check.by.clone(),
        }
    }
}
