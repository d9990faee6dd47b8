//! `/transcript/<id>/corrections`: corrects a transcript, undoes corrections and lists them, as JSON or as a page. Browsers
//! without scripts correct with a form (`correct_page`).

use std::cmp::Reverse;
use std::collections::HashMap;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::extract::{Fields, Id, NoFields, NoParameters, Query, is_form, read_body, read_form, wants_page};
use super::filter::bad_after;
use super::pages::Notices;
use super::paging;
use super::reading::length;
use super::response::{page, see_other};
use super::who::{Who, by, own_key};
use super::{alike, correct_page};
use crate::context::Shared;
use crate::model::correction::{Correction, Edit, Made, Span, WordId, made};
use crate::model::replace::Replacing;
use crate::model::transcript::TranscriptId;
use crate::model::word::join;
use crate::pipeline::corrections::{self, Corrected, Labeled, MOST_EDITS, Text, Wanted};

/// Maximum size of a body in bytes.
const LARGEST: usize = 2 << 20;

/// Time, in milliseconds, within which another change of the same words is a step on the way to the right ones.
const SITTING: i64 = 10 * 60_000;

/// What a client wants of a stretch of words.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EditBody {
    version: i64,
    from: usize,
    to: usize,
    text: Option<String>,
    speaker: Option<String>,
    /// Only the words of this speaker get the other one.
    of: Option<String>,
    /// Whether a paragraph begins at `from`.
    #[serde(rename = "break")]
    begins: Option<bool>,
}

/// What a correction has made.
#[derive(Serialize, ToSchema)]
pub(super) struct CorrectedView {
    /// That of the transcript now.
    version: i64,
    /// The id of the correction; `None` if there was nothing to change.
    correction: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct CorrectionList {
    corrections: Vec<CorrectionView>,
    /// The `cursor` of the next page, if there is one.
    next: Option<String>,
}

/// The query of the list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Place {
    /// How many are on a page. Without it, the answer has all.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200)]
    limit: String,
    /// The `next` of the page before.
    #[serde(alias = "after", deserialize_with = "paging::cursor")]
    cursor: String,
}

/// What was changed, word by word.
#[derive(Template)]
#[template(path = "corrections.html", config = "src/web/pages/askama.toml")]
struct CorrectionsPage {
    notices: Notices,
    id: String,
    lines: Vec<Line>,
}

/// A correction, or several steps in which somebody came to the right words.
struct Line {
    /// The newest first.
    steps: Vec<CorrectionView>,
}

#[derive(Serialize, ToSchema)]
struct CorrectionView {
    id: String,
    version: i64,
    at: Option<Timestamp>,
    by: String,
    from: usize,
    to: usize,
    before: String,
    after: String,
    /// The correction that undid all of it.
    undone_by: Option<String>,
    /// The change that it undoes.
    undoes: Option<String>,
    changes: Vec<ChangeView>,
    /// The id of the correction and the number of its stretches, if there are several and this is the last of them.
    #[serde(skip)]
    whole: Option<(String, usize)>,
    /// Whether it is one of several stretches.
    #[serde(skip)]
    is_part: bool,
}

/// Neighboring words that others took the place of.
#[derive(Serialize, ToSchema)]
struct ChangeView {
    id: String,
    from: usize,
    to: usize,
    before: String,
    after: String,
    /// AssemblyAI's confidence in each of the words before.
    confidence: Vec<Option<f64>>,
    undone_by: Option<String>,
    /// The address at which the same is corrected elsewhere.
    #[serde(skip)]
    alike: Option<String>,
    /// When it is said, in milliseconds from the start of the audio, and the address of the recording from that moment on.
    #[serde(skip)]
    at_ms: i64,
    #[serde(skip)]
    audio: Option<String>,
    /// The words that it has hidden and shown.
    #[serde(skip)]
    hidden: Vec<WordId>,
    #[serde(skip)]
    shown: Vec<WordId>,
}

/// Answers with the new version. A form leads back to the page.
pub(super) async fn correct(
    State(context): State<Shared>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    Id(id): Id<TranscriptId>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let (body, by) = (read_body(body, LARGEST).await?, by(&context, &who, &headers));
    let is_form_of_page = wants_page(&headers) && is_form(&headers);
    if let Some(typed) = is_form_of_page.then(|| read_form(&body).ok()).flatten() {
        return correct_page::correct(&context, &id, typed, by).await;
    }
    let edits = read(&headers, &body)?;
    let version = edits.first().map(|edit| edit.version);
    let version = version.ok_or_else(|| ApiError::BadRequest("expected a correction, or a list of them".to_owned()))?;
    if edits.iter().any(|edit| edit.version != version) {
        let why = "version: expected the same one in each correction of a list";
        return Err(ApiError::BadRequest(why.to_owned()));
    }
    if edits.len() > MOST_EDITS {
        return Err(ApiError::BadRequest(format!("expected at most {MOST_EDITS} corrections in a list")));
    }
    let edits = edits.into_iter().map(EditBody::labeled).collect();
    let key = own_key(&who, &headers)?;
    let wanted = Wanted { version, edits, by, key };
    let corrected = corrections::edit(&context, &id, wanted).await?;
    Ok(answer(&headers, &id, corrected))
}

/// Undoes a correction. That is a correction, too.
pub(super) async fn undo(
    State(context): State<Shared>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    Path((id, correction)): Path<(String, String)>,
    _: Query<NoParameters>,
    _: NoFields,
) -> Result<Response, ApiError> {
    let id: TranscriptId = id.parse()?;
    let corrected = corrections::undo(&context, &id, correction, by(&context, &who, &headers)).await?;
    Ok(answer(&headers, &id, corrected))
}

/// Lists the corrections of a transcript, oldest first. The page has the newest first.
pub(super) async fn list(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<TranscriptId>,
    Query(Place { limit, cursor }): Query<Place>,
) -> Result<Response, ApiError> {
    let limit = paging::limit(&limit, i64::MAX)?;
    // Corrections are only ever added at the end.
    let skipped: usize = if cursor.is_empty() { 0 } else { cursor.parse().map_err(|_| bad_after())? };
    let text = Text::read(&mut context.store.read().await?, &id).await?;
    let mut corrections = views(&text)?;
    if !wants_page(&headers) {
        corrections.drain(..skipped.min(corrections.len()));
        let is_more = paging::cut(&mut corrections, limit);
        let next = is_more.then(|| (skipped + corrections.len()).to_string());
        return Ok(Json(CorrectionList { corrections, next }).into_response());
    }
    let (notices, id) = (Notices::of(&context), id.to_string());
    Ok(page(CorrectionsPage { notices, id, lines: lines(corrections) }.render()))
}

fn answer(headers: &HeaderMap, id: &TranscriptId, Corrected { version, correction }: Corrected) -> Response {
    if wants_page(headers) {
        let location = format!("/transcript/{id}?format=html");
        return see_other(&location);
    }
    Json(CorrectedView { version, correction }).into_response()
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<Vec<EditBody>, ApiError> {
    let bad = |error: serde_json::Error| ApiError::BadRequest(error.to_string());
    if body.trim_ascii_start().starts_with(b"[") {
        return serde_json::from_slice(body).map_err(bad);
    }
    let mut fields = match Fields::read(headers, body)? {
        Fields::Json(fields) => fields,
        form @ Fields::Form(_) => {
            let mut fields = form.into_object()?;
            for name in ["version", "from", "to"] {
                if let Some(number) = fields.get(name).and_then(Value::as_str).and_then(|text| text.parse::<i64>().ok())
                {
                    fields.insert(name.to_owned(), number.into());
                }
            }
            fields
        }
    };
    fields.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(fields)).map(|edit| vec![edit]).map_err(bad)
}

impl EditBody {
    fn labeled(self) -> Labeled {
        let Self { from, to, text, speaker, of, begins, .. } = self;
        Labeled { edit: Edit { from, to, text, begins, ..Edit::default() }, speaker, of }
    }
}

fn views(text: &Text) -> Result<Vec<CorrectionView>, ApiError> {
    let current = text.transcribed()?;
    let recording = text.transcript.playable().map(ToString::to_string);
    let of = |one: &Made<'_>| ChangeView::of(one, text.alike_of(&current, one), recording.as_deref());
    let mut made = made(text.heard.len(), &text.corrections).into_iter();
    let mut views = Vec::new();
    for correction in &text.corrections {
        for (index, span) in correction.spans.iter().enumerate() {
            let changes = made.by_ref().take(span.changes.len()).map(|one| of(&one)).collect();
            views.push(CorrectionView::of(correction, index, span, changes));
        }
    }
    Ok(views)
}

/// Puts each correction in a line with those that it goes on from. The newest line comes first.
fn lines(corrections: Vec<CorrectionView>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    // By the words that its last step has shown.
    let mut line_of: HashMap<Vec<WordId>, usize> = HashMap::new();
    for correction in corrections {
        let begun = correction.step().and_then(|step| line_of.get(&step.hidden).copied());
        let begun = begun.filter(|at| lines[*at].steps[0].is_followed_by(&correction));
        if let Some(step) = correction.step().filter(|step| !step.shown.is_empty()) {
            line_of.insert(step.shown.clone(), begun.unwrap_or(lines.len()));
        }
        match begun {
            Some(at) => lines[at].steps.insert(0, correction),
            None => lines.push(Line { steps: vec![correction] }),
        }
    }
    lines.reverse();
    lines.sort_by_key(|line| Reverse(line.steps[0].version));
    lines
}

impl Line {
    fn newest(&self) -> &CorrectionView {
        &self.steps[0]
    }

    /// What stood there before the first step, and after the last one, if there are several.
    fn ends(&self) -> Option<(&String, &ChangeView)> {
        let [newest, .., oldest] = &*self.steps else { return None };
        Some((&oldest.before, newest.changes.first()?))
    }
}

impl CorrectionView {
    /// The only change of a correction that stands.
    fn step(&self) -> Option<&ChangeView> {
        let is_step = !self.is_part && self.undoes.is_none() && self.undone_by.is_none() && self.before != self.after;
        self.changes.first().filter(|_| is_step && self.changes.len() == 1)
    }

    fn is_followed_by(&self, next: &Self) -> bool {
        let [one, other] = [self.at, next.at].map(|at| at.map_or(0, Timestamp::as_millisecond));
        self.by == next.by && other - one <= SITTING
    }

    fn of(correction: &Correction, index: usize, span: &Span, changes: Vec<ChangeView>) -> Self {
        let first = changes.first().and_then(|change| change.undone_by.clone());
        let spans = correction.spans.len();
        Self {
            whole: (spans > 1 && index + 1 == spans).then(|| (correction.id.clone(), spans)),
            is_part: spans > 1,
            id: correction.span_id(index),
            version: correction.version,
            at: Timestamp::from_millisecond(correction.at).ok(),
            by: correction.by.clone(),
            from: span.from,
            to: span.to,
            before: span.before.clone(),
            after: span.after.clone(),
            undone_by: first.filter(|_| changes.iter().all(|change| change.undone_by.is_some())),
            undoes: span.changes.first().and_then(|change| change.undoes()).map(str::to_owned),
            changes,
        }
    }
}

impl ChangeView {
    fn of(made: &Made<'_>, alike: Option<Replacing>, recording: Option<&str>) -> Self {
        let first = made.change.before.first().or(made.change.after.first());
        let at_ms = first.map_or(0, |word| word.start);
        let at = |sid| format!("/recordings/{sid}.wav#t={}.{:03}", at_ms / 1_000, at_ms % 1_000);
        Self {
            audio: recording.map(at),
            at_ms,
            hidden: made.change.hidden().to_vec(),
            shown: made.after.clone(),
            id: made.id.clone(),
            from: made.change.from,
            to: made.change.to,
            before: join(&made.change.before),
            after: join(&made.change.after),
            confidence: made.change.before.iter().map(|word| word.confidence).collect(),
            undone_by: made.undone_by.clone(),
            alike: alike.map(|alike| alike::address(&alike, None)),
        }
    }
    fn clock(&self) -> String {
        length(&(self.at_ms / 1_000))
    }
}
