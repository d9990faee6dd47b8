//! `/transcript/<id>/compare/<other>`: two transcripts of a recording, word by word; and which of them is the current one.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::extract::{Id, NoFields, NoParameters, Query, wants_page};
use super::pages::Notices;
use super::response::{page, see_other};
use super::who::{Who, by};
use crate::context::Shared;
use crate::model::transcript::TranscriptId;
use crate::model::word::{SpokenWord, join};
use crate::pipeline::corrections::{self, Chosen, Comparison};

/// Words of a transcript, and what the other one has in their place.
#[derive(Debug, Serialize, ToSchema)]
struct DifferenceView {
    /// Positions; `to` is not among them.
    from: usize,
    to: usize,
    text: String,
    other_from: usize,
    other_to: usize,
    other_text: String,
    /// When it is said, in milliseconds from the start of the audio.
    at_ms: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ComparisonView {
    id: String,
    other: String,
    /// Which of them search and lists show, if it is one of the two.
    current: Option<String>,
    words: usize,
    other_words: usize,
    /// The number of words that are the same, apart from case and punctuation.
    same: usize,
    differences: Vec<DifferenceView>,
}

/// What became of the corrections of the transcript that was current before.
#[derive(Serialize, ToSchema)]
pub(super) struct ChosenView {
    /// `true`.
    current: bool,
    /// How many were carried over.
    carried_over: usize,
    /// How many could not be.
    left: usize,
}

/// A stretch of the text of the page.
struct Stretch {
    same: String,
    /// After it.
    text: String,
    other: String,
}

#[derive(Template)]
#[template(path = "compare.html", config = "src/web/pages/askama.toml")]
struct ComparePage {
    notices: Notices,
    comparison: ComparisonView,
    stretches: Vec<Stretch>,
}

impl ComparePage {
    fn sides(&self) -> [(&'static str, String); 2] {
        [("first", self.comparison.id.clone()), ("second", self.comparison.other.clone())]
    }
}

pub(super) async fn compare(
    State(context): State<Shared>,
    headers: HeaderMap,
    Path((id, other)): Path<(String, String)>,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    let (id, other): (TranscriptId, TranscriptId) = (id.parse()?, other.parse()?);
    let compared = corrections::compare(&context, &id, &other).await?;
    if !wants_page(&headers) {
        return Ok(Json(ComparisonView::of(&id, &other, &compared)).into_response());
    }
    let (comparison, stretches) = (ComparisonView::of(&id, &other, &compared), stretches(&compared));
    Ok(page(ComparePage { notices: Notices::of(&context), comparison, stretches }.render()))
}

/// Makes a transcript the current one of its recording.
pub(super) async fn choose(
    State(context): State<Shared>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    Id(id): Id<TranscriptId>,
    _: Query<NoParameters>,
    _: NoFields,
) -> Result<Response, ApiError> {
    let Chosen { carried_over, left } = corrections::choose(&context, &id, by(&context, &who, &headers)).await?;
    if wants_page(&headers) {
        let location = format!("/transcript/{id}?format=html");
        return Ok(see_other(&location));
    }
    Ok(Json(ChosenView { current: true, carried_over, left }).into_response())
}

impl ComparisonView {
    fn of(id: &TranscriptId, other: &TranscriptId, compared: &Comparison) -> Self {
        let Comparison { words, other: other_words, differences, same, current } = compared;
        let start = |words: &[SpokenWord], at: usize| words.get(at).or(words.last()).map_or(0, |word| word.start);
        let differences = differences.iter().map(|difference| {
            let (here, there) = (difference.words.clone(), difference.other.clone());
            DifferenceView {
                from: here.start,
                to: here.end,
                text: join(&words[here.clone()]),
                other_from: there.start,
                other_to: there.end,
                other_text: join(&other_words[there.clone()]),
                at_ms: if here.is_empty() { start(other_words, there.start) } else { start(words, here.start) },
            }
        });
        Self {
            id: id.to_string(),
            other: other.to_string(),
            current: current.as_ref().filter(|current| [id, other].contains(current)).map(ToString::to_string),
            words: words.len(),
            other_words: other_words.len(),
            same: *same,
            differences: differences.collect(),
        }
    }
}

fn stretches(Comparison { words, other, differences, .. }: &Comparison) -> Vec<Stretch> {
    let (mut stretches, mut done) = (Vec::new(), 0);
    for difference in differences {
        stretches.push(Stretch {
            same: join(&words[done..difference.words.start]),
            text: join(&words[difference.words.clone()]),
            other: join(&other[difference.other.clone()]),
        });
        done = difference.words.end;
    }
    stretches.push(Stretch { same: join(&words[done..]), text: String::new(), other: String::new() });
    stretches
}
