//! The words of a transcript as JSON, with their positions and paragraphs.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::reading::{Paragraph, paragraphs};
use crate::accuracy::marks::UNKNOWN;
use crate::model::checked::{Checked, OPEN_END, Stretch};
use crate::model::search::Query;
use crate::model::speakers::Speakers;
use crate::model::word::SpokenWord;

#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct WordView {
    pub(super) text: String,
    start_ms: i64,
    end_ms: i64,
    confidence: Option<f64>,
    speaker: Option<String>,
    channel: Option<String>,
    corrected: bool,
}

/// Words that are spoken one after the other by one speaker. Two people who talk at once take turns in it.
#[derive(Debug, Serialize, ToSchema)]
struct ParagraphView {
    /// The position of its first word, and that after its last.
    from: usize,
    to: usize,
    /// What the speaker is called.
    speaker: Option<String>,
}

/// A stretch of a transcript that was checked by ear.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PartView {
    from_ms: i64,
    to_ms: i64,
    at: Option<Timestamp>,
    by: String,
}

/// A version of a transcript.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WordsView {
    pub(super) id: String,
    pub(super) version: i64,
    /// Whether all of it is checked by ear.
    checked: bool,
    checked_parts: Vec<PartView>,
    words: Vec<WordView>,
    paragraphs: Vec<ParagraphView>,
}

impl WordView {
    pub(super) fn of(word: SpokenWord) -> Self {
        let corrected = word.is_corrected();
        let SpokenWord { text, start, end, confidence, speaker, channel, .. } = word;
        Self { text, start_ms: start, end_ms: end, confidence, speaker, channel, corrected }
    }
}

impl PartView {
    /// The checked stretches of a transcript with these words, by time.
    pub(super) fn all(checked: &Checked, words: &[SpokenWord]) -> Vec<Self> {
        let end = words.iter().map(|word| word.end).max().unwrap_or_default();
        let of = |part: &Stretch| Self {
            from_ms: part.from,
            to_ms: if part.to == OPEN_END { end.max(part.from) } else { part.to },
            at: Timestamp::from_millisecond(part.at).ok(),
            by: part.by.clone(),
        };
        checked.stretches().iter().map(of).collect()
    }
}

impl WordsView {
    pub(super) fn of(
        id: String,
        version: i64,
        (is_checked, checked): (bool, &Checked),
        words: Vec<SpokenWord>,
        speakers: &Speakers,
    ) -> Self {
        let checked_parts = PartView::all(checked, &words);
        let paragraphs = runs(words.len(), paragraphs(words.clone(), &Query::default(), speakers, UNKNOWN));
        let words = words.into_iter().map(WordView::of).collect();
        Self { id, version, checked: is_checked, checked_parts, words, paragraphs }
    }
}

/// Splits paragraphs where the words of another are between theirs, and orders them by position. A word without visible
/// characters belongs to the paragraph before.
fn runs(count: usize, paragraphs: Vec<Paragraph>) -> Vec<ParagraphView> {
    let mut paragraph_of = vec![None; count];
    for (index, paragraph) in paragraphs.iter().enumerate() {
        for position in &paragraph.positions {
            paragraph_of[*position] = Some(index);
        }
    }
    let mut runs: Vec<(usize, ParagraphView)> = Vec::new();
    for (position, index) in paragraph_of.into_iter().enumerate() {
        let Some(index) = index.or(runs.last().map(|(index, _)| *index)) else { continue };
        match runs.last_mut().filter(|(last, _)| *last == index) {
            Some((_, run)) => run.to = position + 1,
            None => {
                let speaker = paragraphs[index].speaker.clone();
                runs.push((index, ParagraphView { from: position, to: position + 1, speaker }));
            }
        }
    }
    runs.into_iter().map(|(_, run)| run).collect()
}
