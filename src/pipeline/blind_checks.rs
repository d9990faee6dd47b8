//! Blind checks: a stretch of a transcript is offered without its text, and somebody types what is said there.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::corrections::completed;
use super::error::Error;
use super::learn;
use super::speakers;
use super::task::run_to_end;
use crate::accuracy::{Comparison, Edits, Terms, Token};
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::blind::{BlindCheck, Window, channels, next};
use crate::model::correction::typed_words;
use crate::model::recording::{Recording, RecordingSid, RecordingState};
use crate::model::speakers::Speakers;
use crate::model::transcript::{Transcript, TranscriptId};
use crate::model::word::SpokenWord;
use crate::store::Conn;

/// A completed transcript and its blind checks.
#[derive(Debug)]
pub struct Standing {
    pub transcript: Transcript,
    /// `None` if Twilio does not have the audio.
    pub recording: Option<RecordingSid>,
    pub speakers: Speakers,
    /// The channels that are typed apart, or an empty text where all are one.
    pub channels: Vec<String>,
    /// Each stretch as it was typed last.
    pub checks: Vec<BlindCheck>,
    heard: Vec<SpokenWord>,
    /// The length of the audio, in milliseconds.
    length: i64,
}

/// What somebody typed.
#[derive(Debug, Clone)]
pub struct Typed {
    pub window: Window,
    /// By channel.
    pub texts: BTreeMap<String, String>,
    /// Who it was, for people.
    pub by: String,
}

/// What was typed of a channel, and what was heard there.
#[derive(Debug)]
pub struct Side {
    pub channel: String,
    pub typed: Vec<String>,
    pub heard: Vec<SpokenWord>,
    pub edits: Edits,
    /// In the order of the words.
    pub differences: Vec<Difference>,
}

/// Typed words, and those that were heard in their place.
#[derive(Debug)]
pub struct Difference {
    pub typed: Range<usize>,
    pub heard: Range<usize>,
    /// In milliseconds from the start of the audio.
    pub at_ms: i64,
}

/// Returns the blind checks of a transcript, and the stretch that is offered next.
pub async fn read(context: &Shared, id: &TranscriptId) -> Result<Standing, Error> {
    let mut conn = context.store.read().await?;
    let transcript = completed(&mut conn, id).await?;
    Standing::read(&mut conn, transcript).await
}

/// Stores what somebody typed. What is typed of the same stretch later takes its place. The same text is not stored twice.
pub async fn store(context: &Shared, id: &TranscriptId, typed: Typed) -> Result<BlindCheck, Error> {
    let (shared, id) = (Arc::clone(context), id.clone());
    run_to_end(context, async move { store_to_end(&shared, &id, typed).await }).await
}

async fn store_to_end(context: &Shared, id: &TranscriptId, new: Typed) -> Result<BlindCheck, Error> {
    for text in new.texts.values() {
        typed_words(text)?;
    }
    let (standing, new) = (&read(context, id).await?, &new);
    let transcript = &standing.transcript;
    let stored = context.store.write(Commit::BlindCheck, id.as_str(), |mut tx| async move {
        let at = context.clock.now_ms();
        if !tx.lock_transcript(transcript, at).await? {
            return Ok((tx, Err(Error::Deleted)));
        }
        let Typed { window, texts, by } = new.clone();
        let checks = tx.blind_checks_of(&transcript.id).await?;
        let (stretch, version) = match checks.iter().find(|check| check.window == window) {
            Some(known) if known.texts == texts => return Ok((tx, Ok(known.clone()))),
            Some(known) => (known.stretch, known.version + 1),
            None if standing.next_after(&checks) == Some(window) => (checks.len() as i64 + 1, 1),
            None => return Ok((tx, Err(Error::OtherStretch(id.to_string())))),
        };
        let check = BlindCheck { stretch, version, window, texts, at, by };
        tx.add_blind_check(transcript, &check).await?;
        learn::open(&mut tx, &transcript.id, at).await?;
        Ok((tx, Ok(check)))
    });
    stored.await?
}

impl Standing {
    async fn read(conn: &mut Conn, transcript: Transcript) -> Result<Self, Error> {
        let recording = match transcript.playable() {
            Some(sid) => conn.recording(sid).await?,
            None => None,
        };
        let speakers = match &transcript.call {
            Some(call) => match conn.call(&call.clone().into()).await? {
                Some(call) => speakers::of(conn, &call).await?,
                None => Speakers::default(),
            },
            None => Speakers::default(),
        };
        let heard = conn.heard_words_of(&transcript.id).await?;
        let checks = conn.blind_checks_of(&transcript.id).await?;
        let channels = channels(&heard, recording.as_ref().is_some_and(|recording| recording.channels == Some(2)));
        let is_there = |recording: &Recording| recording.state == RecordingState::Completed;
        let seconds = recording.as_ref().and_then(|recording| recording.duration_seconds);
        let length =
            heard.iter().map(|word| word.end).max().unwrap_or_default().max(seconds.unwrap_or_default() * 1_000);
        let recording = recording.filter(is_there).map(|recording| recording.sid);
        Ok(Self { transcript, recording, speakers, channels, checks, heard, length })
    }

    /// Returns the stretch that is offered next: one that nobody has typed yet. `None` if all are typed.
    pub fn next(&self) -> Option<Window> {
        self.next_after(&self.checks)
    }

    fn next_after(&self, checks: &[BlindCheck]) -> Option<Window> {
        let windows: Vec<Window> = checks.iter().map(|check| check.window).collect();
        next(&self.transcript.id, &self.heard, self.length, &windows)
    }

    /// Returns what was typed and heard in a stretch, by channel.
    pub fn sides(&self, check: &BlindCheck) -> Vec<Side> {
        let side = |(channel, text): (&String, &String)| {
            let is_here =
                |word: &&SpokenWord| check.window.has(word) && word.channel.as_deref().unwrap_or_default() == channel;
            let heard: Vec<SpokenWord> = self.heard.iter().filter(is_here).cloned().collect();
            Side::of(channel.clone(), text, heard, check.window.from)
        };
        check.texts.iter().map(side).collect()
    }
}

impl Side {
    fn of(channel: String, text: &str, heard: Vec<SpokenWord>, from: i64) -> Self {
        let typed: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let texts = heard.iter().map(|word| &*word.text);
        let comparison = Comparison::new(Terms::NORMALIZATION, typed.iter().map(String::as_str), texts);
        let difference = |(reference, hypothesis): (Range<usize>, Range<usize>)| {
            let typed = words(&comparison.reference, reference, typed.len());
            let heard_words = words(&comparison.hypothesis, hypothesis, heard.len());
            // Of what was not heard, the word before tells when it was said.
            let before = heard_words.start.checked_sub(1).map_or(from, |before| heard[before].end);
            let at_ms = if heard_words.is_empty() { before } else { heard[heard_words.start].start };
            Difference { typed, heard: heard_words, at_ms }
        };
        let differences = comparison.differences().into_iter().map(difference).collect();
        let edits = if comparison.is_unspaced() { comparison.character_edits() } else { comparison.edits() };
        Self { channel, typed, heard, edits, differences }
    }
}

/// Returns the words that these tokens come from; where there are no tokens, the place between the words.
fn words(tokens: &[Token], range: Range<usize>, end: usize) -> Range<usize> {
    let word = |token: usize| tokens.get(token).map_or(end, |token| token.word);
    if range.is_empty() { word(range.start)..word(range.start) } else { word(range.start)..word(range.end - 1) + 1 }
}
