//! The form with which browsers without scripts correct a transcript. It comes back with what was typed in it if somebody
//! else has changed the same words, if it is refused, and if its browser had to log in first.

use std::ops::Range;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::{Id, Query, read_form};
use super::forms::{self, Refused};
use super::pages::Notices;
use super::reading::{Paragraph, paragraphs};
use super::response::{page, see_other};
use super::transcript::speakers;
use crate::accuracy::marks::UNKNOWN;
use crate::context::Shared;
use crate::model::correction::Edit;
use crate::model::search;
use crate::model::transcript::{Transcript, TranscriptId};
use crate::model::word::{SpokenWord, join};
use crate::pipeline;
use crate::pipeline::corrections::{self, Labeled, Now, Wanted};

/// What a form corrects.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wish {
    /// A version, and positions in it, such as `0:3-9 12-14`.
    #[param(example = "0:3-9 12-14")]
    at: String,
}

/// What was typed in a form.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Typed {
    version: i64,
    from: usize,
    to: usize,
    text: String,
}

#[derive(Template)]
#[template(path = "correct.html", config = "src/web/pages/askama.toml")]
struct CorrectPage {
    notices: Notices,
    id: String,
    stretches: Vec<Stretch>,
    refused: Option<Refused>,
    is_kept: bool,
}

/// Neighboring words for a form.
#[derive(Clone)]
struct Stretch {
    /// The version that has the words at these positions.
    version: i64,
    from: usize,
    to: usize,
    text: String,
    /// What stands there now, if somebody else has changed it meanwhile.
    now: Option<String>,
}

/// Shows a form for each stretch, with what is said there now, if somebody has corrected it since that version.
pub(super) async fn form(
    State(context): State<Shared>,
    Id(id): Id<TranscriptId>,
    Query(Wish { at }): Query<Wish>,
) -> Result<Response, ApiError> {
    let bad = || ApiError::BadRequest("at: expected a version and positions, such as 0:3-9".to_owned());
    let (version, runs) = at.split_once(':').ok_or_else(bad)?;
    let version: i64 = version.parse().map_err(|_| bad())?;
    let mut stretches = Vec::new();
    for run in runs.split(' ') {
        let run = run.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        let (from, to) = run.ok_or_else(bad)?;
        let Now { version, from, to, words, .. } = corrections::now(&context, &id, version, from, to).await?;
        stretches.push(Stretch { version, from, to, text: join(&words), now: None });
    }
    let (notices, id) = (Notices::of(&context), id.to_string());
    Ok(page(CorrectPage { notices, id, stretches, refused: None, is_kept: false }.render()))
}

/// Corrects what was typed in a form: only the words that differ, so that nobody who has corrected others is in the way.
pub(super) async fn correct(
    context: &Shared,
    id: &TranscriptId,
    typed: Typed,
    by: String,
) -> Result<Response, ApiError> {
    let Typed { version, from, to, .. } = typed;
    let older = corrections::words_at(context, id, version).await?;
    let edit = match older.get(from..to) {
        Some(older) => narrowed(older, &typed),
        None => Edit { from, to, text: Some(typed.text.clone()), ..Edit::default() },
    };
    let edits = vec![Labeled { edit, ..Labeled::default() }];
    match corrections::edit(context, id, Wanted { version, edits, by, key: None }).await {
        Ok(_) => to_paragraph(context, id, version, from..to).await,
        Err(error @ pipeline::Error::Changed(_)) => {
            let stretch = as_it_is_now(context, id, typed).await?;
            Ok(refused(context, id, stretch, error.into()))
        }
        Err(error @ pipeline::Error::Edit(_)) => {
            let stretch = Stretch { version, from, to, text: typed.text, now: None };
            Ok(refused(context, id, stretch, error.into()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Shows a form that was sent before its browser was logged in.
pub(super) async fn show_again(context: &Shared, id: &TranscriptId, form: &[u8]) -> Result<Response, ApiError> {
    let Ok(typed) = read_form::<Typed>(form) else { return Ok(to_transcript(id)) };
    let stretch = as_it_is_now(context, id, typed).await?;
    let (notices, id, stretches) = (Notices::of(context), id.to_string(), vec![stretch]);
    Ok(page(CorrectPage { notices, id, stretches, refused: None, is_kept: true }.render()))
}

/// Returns the words in the newest version to which a form belongs.
async fn as_it_is_now(context: &Shared, id: &TranscriptId, typed: Typed) -> Result<Stretch, ApiError> {
    let Typed { version, from, to, text } = typed;
    let Now { version, from, to, words, is_changed } = corrections::now(context, id, version, from, to).await?;
    let now = is_changed.then(|| join(&words));
    Ok(Stretch { version, from, to, text, now })
}

/// Shows a form again with what was typed, and why.
fn refused(context: &Shared, id: &TranscriptId, stretch: Stretch, error: ApiError) -> Response {
    let (context, id) = (Shared::clone(context), id.to_string());
    forms::again(error, move |problem| {
        let (notices, id, stretches) = (Notices::of(&context), id.clone(), vec![stretch.clone()]);
        let refused = Some(Refused { field: "text", problem });
        page(CorrectPage { notices, id, stretches, refused, is_kept: false }.render())
    })
}

/// Returns the edit without the words at both ends that stay.
fn narrowed(older: &[SpokenWord], Typed { from, text, .. }: &Typed) -> Edit {
    let mut rest = text.trim_matches(' ');
    let (mut first, mut last) = (0, older.len());
    while let Some(after) =
        older[first..last].first().and_then(|word| rest.strip_prefix(&*word.text)?.strip_prefix(' '))
    {
        (rest, first) = (after.trim_start_matches(' '), first + 1);
    }
    while let Some(before) =
        older[first..last].last().and_then(|word| rest.strip_suffix(&*word.text)?.strip_suffix(' '))
    {
        (rest, last) = (before.trim_end_matches(' '), last - 1);
    }
    Edit { from: from + first, to: from + last, text: Some(rest.to_owned()), ..Edit::default() }
}

/// Leads to the paragraph with what stands in place of these words of a version now.
async fn to_paragraph(
    context: &Shared,
    id: &TranscriptId,
    version: i64,
    words: Range<usize>,
) -> Result<Response, ApiError> {
    let Now { from, .. } = corrections::now(context, id, version, words.start, words.end).await?;
    let speakers = speakers(context, id).await?;
    let mut conn = context.store.read().await?;
    let Some(Transcript { id: order, .. }) = conn.order_by_transcript_id(id).await? else {
        return Ok(to_transcript(id));
    };
    let words = conn.words_of(&order).await?;
    drop(conn);
    // A long transcript takes a moment.
    let part = tokio::task::spawn_blocking(move || {
        let paragraphs = paragraphs(words, &search::Query::default(), &speakers, UNKNOWN);
        paragraphs.iter().max_by_key(|paragraph| paragraph.reaches(from)).map(Paragraph::part)
    });
    let part = part.await.map_err(|_| ApiError::Internal)?.unwrap_or_default();
    Ok(see_other(&format!("/transcript/{id}?format=html#{order}.{part}")))
}

fn to_transcript(id: &TranscriptId) -> Response {
    see_other(&format!("/transcript/{id}?format=html"))
}
