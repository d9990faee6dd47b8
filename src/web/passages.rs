//! A transcript in parts of a bounded length, for agents: who says what when, and which words that are.

use serde::Serialize;

use super::error::ApiError;
use super::reading::{Paragraph, length};
use super::said::Said;
use super::transcript::speakers;
use crate::clients::assemblyai::TranscriptStatus;
use crate::context::Shared;
use crate::model::transcript::TranscriptId;
use crate::model::word::join;
use crate::pipeline::transcription;

/// Words in one answer.
const MOST: usize = 1_500;

/// Words in one passage. A speech without a full stop may be long.
const LONGEST: usize = 200;

/// A part of a transcript.
#[derive(Debug, Serialize)]
pub(super) struct Passages {
    id: String,
    state: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    version: i64,
    passages: Vec<Passage>,
    /// The number of the passage with which the next part begins.
    next: Option<String>,
}

/// What one speaker says.
#[derive(Debug, Serialize)]
pub(super) struct Passage {
    /// Its start for people. `None` if AssemblyAI sent no times.
    at: Option<String>,
    start_ms: Option<i64>,
    end_ms: Option<i64>,
    speaker: Option<String>,
    text: String,
    /// The positions of its words: of each run the first, and the one after the last.
    positions: Vec<[usize; 2]>,
    #[serde(skip)]
    words: usize,
}

/// Reads what is said in a stretch of time, in milliseconds, from the passage with this number on.
pub(super) async fn read(
    context: &Shared,
    id: &TranscriptId,
    stretch: (Option<i64>, Option<i64>),
    first: usize,
) -> Result<Passages, ApiError> {
    let reply = transcription::transcript(context, id, std::time::Duration::ZERO).await?;
    let status = reply.transcript.status;
    if status != TranscriptStatus::Completed {
        let (id, reason) = (id.to_string(), reply.transcript.error);
        return Ok(Passages { id, state: status.as_str(), reason, version: 0, passages: Vec::new(), next: None });
    }
    let speakers = speakers(context, id).await?;
    let said = Said::of(context, id, reply, false).await?;
    let version = said.version();
    let (paragraphs, text) = said.for_reading(context, speakers).await?;
    let mut all: Vec<Passage> = if paragraphs.is_empty() {
        Passage::without_times(&text)
    } else {
        paragraphs.iter().flat_map(Passage::of).collect()
    };
    let (from, to) = (stretch.0.unwrap_or(i64::MIN), stretch.1.unwrap_or(i64::MAX));
    let mut words = 0;
    let numbered = all.drain(..).enumerate().skip(first).filter(|(_, passage)| {
        passage.end_ms.is_none_or(|end| end >= from) && passage.start_ms.is_none_or(|start| start <= to)
    });
    let (mut passages, mut next) = (Vec::new(), None);
    for (number, passage) in numbered {
        words += passage.words;
        if words > MOST && !passages.is_empty() {
            next = Some(number.to_string());
            break;
        }
        passages.push(passage);
    }
    Ok(Passages { id: id.to_string(), state: status.as_str(), reason: None, version, passages, next })
}

impl Passages {
    /// The same for reading.
    pub(super) fn text(&self) -> String {
        let line = |passage: &Passage| {
            let at = passage.at.as_ref().map(|at| format!("[{at}] ")).unwrap_or_default();
            let speaker = passage.speaker.as_ref().map(|speaker| format!("{speaker}: ")).unwrap_or_default();
            format!("{at}{speaker}{}\n", passage.text)
        };
        let said: String = self.passages.iter().map(line).collect();
        match (&self.next, &self.reason, said.is_empty()) {
            (Some(next), ..) => format!("{said}(goes on: cursor {next})"),
            (None, Some(reason), _) => format!("the transcript failed: {reason}"),
            (None, None, true) => format!("nothing is said here; the transcript is {}", self.state),
            (None, None, false) => said,
        }
    }
}

impl Passage {
    fn of(paragraph: &Paragraph) -> Vec<Self> {
        let words = paragraph.words.chunks(LONGEST).zip(paragraph.positions.chunks(LONGEST));
        let passage = |(words, positions): (&[crate::model::word::SpokenWord], &[usize])| {
            let runs = positions.chunk_by(|one, next| *next == one + 1);
            let start = words.first().map(|word| word.start);
            Self {
                at: start.map(|ms| length(&(ms / 1_000))),
                start_ms: start,
                end_ms: words.iter().map(|word| word.end).max(),
                speaker: paragraph.speaker.clone(),
                text: join(words),
                positions: runs.filter_map(|run| Some([*run.first()?, run.last()? + 1])).collect(),
                words: words.len(),
            }
        };
        words.map(passage).collect()
    }

    /// A text whose words have no times.
    fn without_times(text: &str) -> Vec<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let passage = |words: &[&str]| Self {
            at: None,
            start_ms: None,
            end_ms: None,
            speaker: None,
            text: words.join(" "),
            positions: Vec::new(),
            words: words.len(),
        };
        words.chunks(LONGEST).map(passage).collect()
    }
}
