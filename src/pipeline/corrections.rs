//! Corrects transcripts, and undoes corrections.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::error::{Changed, Error};
use super::learn;
use super::task::{Panicked, run_to_end};
use crate::clients;
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::correction::{
    BadEdit, Conflict, Correction, Difference, Edit, Made, Sequence, Span, Transcribed, Voice, carried, compared,
    correct, made, replaced, step_of,
};
use crate::model::replace::Replacing;
use crate::model::speakers::{is_label, label};
use crate::model::transcript::{Transcript, TranscriptId, TranscriptState};
use crate::model::word::{SpokenWord, join};
use crate::store::Conn;

/// Maximum number of edits in one step.
pub const MOST_EDITS: usize = 10_000;

/// Number of words of a change that are looked at to find out what could be corrected alike.
const LONGEST_ALIKE: usize = 10;

/// What an operator wants of a transcript, as one step.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The version that the positions are of.
    pub version: i64,
    pub edits: Vec<Labeled>,
    /// Who asks, for people.
    pub by: String,
    /// The same request sent twice has the same key, and is carried out once.
    pub key: Option<String>,
}

/// An edit with the labels of speakers that it names.
#[derive(Debug, Clone, Default)]
pub struct Labeled {
    pub edit: Edit,
    pub speaker: Option<String>,
    pub of: Option<String>,
}

/// A transcript as a step leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrected {
    pub version: i64,
    /// The id of the correction. `None` if nothing changed.
    pub correction: Option<String>,
}

/// A transcript with all that is known of its words.
pub struct Text {
    pub transcript: Transcript,
    pub heard: Vec<SpokenWord>,
    pub corrections: Vec<Correction>,
}

impl Text {
    /// Reads a completed transcript.
    pub async fn read(conn: &mut Conn, id: &TranscriptId) -> Result<Self, Error> {
        let transcript = completed(conn, id).await?;
        let heard = conn.heard_words_of(&transcript.id).await?;
        let corrections = conn.corrections_of(&transcript.id).await?;
        // A correction may have come between the two reads.
        let transcript = Transcript { version: corrections.len() as i64, ..transcript };
        Ok(Self { transcript, heard, corrections })
    }

    fn sequence(&self, version: usize) -> Result<Sequence, Error> {
        let mut sequence = Sequence::of_heard(self.heard.len());
        let fits = self.corrections[..version].iter().try_for_each(|correction| sequence.apply(correction));
        fits.map(|()| sequence).ok_or(Error::Store(crate::store::Error::Unreadable("corrections.spans")))
    }

    /// The words of the current version, with their places.
    pub fn transcribed(&self) -> Result<Transcribed, Error> {
        Ok(self.sequence(self.corrections.len())?.transcribed())
    }

    fn known(&self, version: i64) -> Result<usize, Error> {
        let version = usize::try_from(version).ok().filter(|version| *version <= self.corrections.len());
        version.ok_or(Error::NoSuchVersion { newest: self.corrections.len() })
    }

    /// Finds what changes by these edits of a version.
    fn spans(&self, version: i64, edits: &[Labeled]) -> Result<Vec<Span>, Error> {
        let current = self.transcribed()?;
        let version = self.known(version)?;
        let older = if version == self.corrections.len() { None } else { Some(self.sequence(version)?.transcribed()) };
        let mut moved = Vec::new();
        for labeled in edits {
            let Edit { from, to, .. } = labeled.edit;
            let mut edit = Edit {
                voice: self.voice(labeled.speaker.as_deref())?,
                of: self.voice(labeled.of.as_deref())?,
                ..labeled.edit.clone()
            };
            if let Some(older) = older.as_ref().filter(|_| from <= to) {
                if to > older.len() {
                    return Err(BadEdit::OutOfRange(older.len()).into());
                }
                edit.from = current.find(older, from, to).map_err(|conflict| self.changed(&current, &conflict))?;
                edit.to = edit.from + (to - from);
            }
            moved.push(edit);
        }
        moved.sort_by_key(|edit| (edit.from, edit.to));
        if moved.windows(2).any(|pair| pair[1].from < pair[0].to || pair[0] == pair[1]) {
            return Err(BadEdit::Overlapping.into());
        }
        Ok(moved.iter().map(|edit| correct(&current, &self.heard, edit)).collect::<Result<_, _>>()?)
    }

    /// Finds what changes if a correction, or a part of it, is undone.
    pub(super) fn undone(&self, id: &str) -> Result<Vec<Span>, Error> {
        let made = made(self.heard.len(), &self.corrections);
        let is_meant = |one: &&Made<'_>| {
            one.id == id || step_of(&one.id) == id || one.id.strip_prefix(id).is_some_and(|rest| rest.starts_with('.'))
        };
        let meant: Vec<&Made<'_>> = made.iter().filter(is_meant).collect();
        if meant.is_empty() {
            return Err(Error::NoSuchCorrection(id.to_owned()));
        }
        let current = self.transcribed()?;
        let in_effect = meant.into_iter().filter(|one| one.undone_by.is_none());
        let changes: Vec<_> = in_effect.map(|one| (one.id.clone(), one.change, one.after.clone())).collect();
        if changes.is_empty() {
            return Err(Error::AlreadyUndone(id.to_owned()));
        }
        current.undo(changes).map_err(|conflict| self.changed(&current, &conflict))
    }

    /// Finds what changes if a correction is undone wherever its words are still there.
    pub(super) fn undone_where_unchanged(&self, id: &str) -> Result<Vec<Span>, Error> {
        let made = made(self.heard.len(), &self.corrections);
        let in_effect = made.iter().filter(|one| step_of(&one.id) == id && one.undone_by.is_none());
        let current = self.transcribed()?;
        let spans = in_effect.filter_map(|one| current.undo([(one.id.clone(), one.change, one.after.clone())]).ok());
        Ok(spans.flatten().collect())
    }

    /// Returns what corrects other places like those that a correction has changed.
    pub(super) fn alike(&self, correction: &str) -> Result<Option<Replacing>, Error> {
        let made = made(self.heard.len(), &self.corrections);
        let mut of_it = made.iter().filter(|one| step_of(&one.id) == correction).peekable();
        if of_it.peek().is_none() {
            return Err(Error::NoSuchCorrection(correction.to_owned()));
        }
        let current = self.transcribed()?;
        Ok(of_it.find_map(|one| self.alike_of(&current, one)))
    }

    /// Returns what corrects other places like the one that a change has made, as it is now.
    pub fn alike_of(&self, current: &Transcribed, made: &Made<'_>) -> Option<Replacing> {
        // What is longer is hardly heard elsewhere.
        let words = made.after.iter().take(LONGEST_ALIKE);
        let mut replaced = words.filter_map(|word| replaced(current, &self.heard, *word));
        replaced.find_map(|(heard, now)| Replacing::alike(&heard, &now))
    }

    fn changed(&self, current: &Transcribed, conflict: &Conflict) -> Error {
        let Conflict { from, to } = *conflict;
        let words = (from..to).filter_map(|at| current.word(at, &self.heard)).cloned().collect();
        Error::Changed(Box::new(Changed { version: self.corrections.len() as i64, from, to, words }))
    }

    /// Returns the voice that a label names: one of the transcript's, or a new one.
    fn voice(&self, named: Option<&str>) -> Result<Option<Voice>, Error> {
        let Some(named) = named else { return Ok(None) };
        let typed = self.corrections.iter().flat_map(Correction::changes).flat_map(|(_, change)| &change.after);
        let is_it = |word: &&SpokenWord| label(word.speaker.as_deref(), word.channel.as_deref()) == Some(named);
        if let Some(SpokenWord { speaker, channel, .. }) = self.heard.iter().chain(typed).find(is_it) {
            return Ok(Some(Voice { speaker: speaker.clone(), channel: channel.clone() }));
        }
        if !is_label(named) {
            return Err(Error::NoSuchSpeaker(named.to_owned()));
        }
        let channel = named.trim_end_matches(|char: char| char.is_ascii_uppercase());
        let channel = Some(channel).filter(|channel| !channel.is_empty()).map(str::to_owned);
        Ok(Some(Voice { speaker: Some(named.to_owned()), channel }))
    }

    /// Returns the text after a correction.
    fn text_after(&self, correction: &Correction) -> Result<String, Error> {
        let mut sequence = self.sequence(self.corrections.len())?;
        let fits = sequence.apply(correction);
        fits.ok_or(Error::Store(crate::store::Error::Unreadable("corrections.spans")))?;
        Ok(join(&sequence.words(self.heard.clone())))
    }
}

/// What a transcript that somebody made current got from the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// Corrections that it got, because the same was heard there.
    pub carried_over: usize,
    /// Corrections of words that were heard differently. They stay with the other transcript.
    pub left: usize,
}

/// Makes a transcript the current one of its recording: the one that search and lists show. The corrections of the one
/// before it are carried over where the same was heard.
pub async fn choose(context: &Shared, id: &TranscriptId, by: String) -> Result<Chosen, Error> {
    let (shared, id) = (Arc::clone(context), id.clone());
    let step = Step { id: new_id(), by, replacement: None };
    run_to_end(context, async move { choose_to_end(&shared, &id, step).await }).await
}

/// Chooses, and carries corrections over as this step.
pub(super) async fn choose_to_end(context: &Shared, id: &TranscriptId, step: Step) -> Result<Chosen, Error> {
    let mut conn = context.store.read().await?;
    let text = Text::read(&mut conn, id).await?;
    let mut chosen = Chosen { carried_over: 0, left: 0 };
    let current = conn.current_beside(&text.transcript).await?.filter(|current| current != id);
    if let Some(current) = current {
        let from = Text::read(&mut conn, &current).await?;
        drop(conn);
        let corrected = from.sequence(from.corrections.len())?.corrected();
        let edits = move |text: &Text| -> Result<(Vec<Edit>, usize), Error> {
            let words = text.sequence(text.corrections.len())?.words(text.heard.clone());
            Ok(carried(&from.heard, &corrected, &words))
        };
        let (carried_over, left) = edits(&text)?;
        chosen = Chosen { carried_over: carried_over.len(), left };
        let find = move |text: &Text| {
            let current = text.transcribed()?;
            let (edits, _) = edits(text)?;
            edits.iter().map(|edit| Ok(correct(&current, &text.heard, edit)?)).collect()
        };
        take(context, id, step, find).await?;
    }
    let transcript = &text.transcript;
    let is_there = context
        .store
        .write(Commit::Choose, id.as_str(), |mut tx| async move {
            let is_there = tx.choose_transcript(transcript, context.clock.now_ms()).await?;
            Ok((tx, is_there))
        })
        .await?;
    context.events.changed(transcript.call.as_ref().map_or(transcript.id.as_str(), |call| call.as_str()));
    if is_there { Ok(chosen) } else { Err(Error::Deleted) }
}

/// Two transcripts of a recording, word by word.
#[derive(Debug)]
pub struct Comparison {
    pub words: Vec<SpokenWord>,
    pub other: Vec<SpokenWord>,
    /// In the order of the words.
    pub differences: Vec<Difference>,
    /// The number of words that are the same.
    pub same: usize,
    /// The id of the current transcript of the recording.
    pub current: Option<TranscriptId>,
}

/// Compares two transcripts of a recording, with their corrections.
pub async fn compare(context: &Shared, id: &TranscriptId, other: &TranscriptId) -> Result<Comparison, Error> {
    let mut conn = context.store.read().await?;
    let (one, other) = (Text::read(&mut conn, id).await?, Text::read(&mut conn, other).await?);
    let of = |text: &Text| match &text.transcript.recording {
        Some(recording) => recording.to_string(),
        None => text.transcript.audio.clone(),
    };
    if of(&one) != of(&other) {
        return Err(Error::OtherRecording);
    }
    let current = conn.current_beside(&one.transcript).await?;
    drop(conn);
    let compared = tokio::task::spawn_blocking(move || {
        let words = |text: Text| Ok::<_, Error>(text.sequence(text.corrections.len())?.words(text.heard));
        let (words, other) = (words(one)?, words(other)?);
        let (differences, same) = compared(&words, &other);
        Ok(Comparison { words, other, differences, same, current })
    });
    compared.await.map_err(|_| Panicked)?
}

/// A step that is about to be taken.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// The id of the correction. Only one step is taken with the same id.
    pub(super) id: String,
    pub(super) by: String,
    /// The replacement that it is part of.
    pub(super) replacement: Option<String>,
}

impl Step {
    /// With the same key, it has the same id in a transcript.
    pub(super) fn with_key(transcript: &TranscriptId, key: &str, by: String) -> Self {
        Self { id: id_of(&format!("{transcript} {key}")), by, replacement: None }
    }
}

/// Returns a completed transcript without its JSON and text. Fails if it is not there, or not completed, or to be deleted.
pub(super) async fn completed(conn: &mut Conn, id: &TranscriptId) -> Result<Transcript, Error> {
    let found = conn.order_by_transcript_id(id).await?;
    let transcript = found.ok_or_else(|| Error::NoSuchTranscript(id.to_string()))?;
    if let Some(call) = &transcript.call
        && conn.is_deletion_wanted(call).await?
    {
        return Err(Error::Deleted);
    }
    if transcript.state != TranscriptState::Completed {
        return Err(Error::NotCompleted { id: id.to_string(), state: transcript.state.as_str() });
    }
    Ok(transcript)
}

/// Returns the words of a version.
pub async fn words_at(context: &Shared, id: &TranscriptId, version: i64) -> Result<Vec<SpokenWord>, Error> {
    let text = Text::read(&mut context.store.read().await?, id).await?;
    Ok(text.sequence(text.known(version)?)?.words(text.heard))
}

/// What stands now where words of a version were.
#[derive(Debug)]
pub struct Now {
    pub version: i64,
    /// Positions in this version. `to` is not among them.
    pub from: usize,
    pub to: usize,
    pub words: Vec<SpokenWord>,
    pub is_changed: bool,
}

/// Finds words of a version in the newest one.
pub async fn now(context: &Shared, id: &TranscriptId, version: i64, from: usize, to: usize) -> Result<Now, Error> {
    let text = Text::read(&mut context.store.read().await?, id).await?;
    let older = text.sequence(text.known(version)?)?.transcribed();
    let current = text.transcribed()?;
    if from > to || to > older.len() {
        return Err(BadEdit::OutOfRange(older.len()).into());
    }
    let (from, to, is_changed) = match current.find(&older, from, to) {
        Ok(begin) => (begin, begin + (to - from), false),
        Err(Conflict { from, to }) => (from, to, true),
    };
    let words = (from..to).filter_map(|at| current.word(at, &text.heard)).cloned().collect();
    Ok(Now { version: text.transcript.version, from, to, words, is_changed })
}

/// Corrects a transcript.
pub async fn edit(context: &Shared, id: &TranscriptId, wanted: Wanted) -> Result<Corrected, Error> {
    let Wanted { version, edits, by, key } = wanted;
    let step = match key {
        Some(key) => Step::with_key(id, &key, by),
        None => Step { id: new_id(), by, replacement: None },
    };
    to_end(context, id, step, move |text| text.spans(version, &edits)).await
}

/// Undoes a correction, or a part of it.
pub async fn undo(context: &Shared, id: &TranscriptId, correction: String, by: String) -> Result<Corrected, Error> {
    let step = Step { id: new_id(), by, replacement: None };
    to_end(context, id, step, move |text| text.undone(&correction)).await
}

/// The id that always follows from a key.
pub(super) fn id_of(key: &str) -> String {
    clients::hex(&Sha256::digest(key))[..32].to_owned()
}

pub(super) fn new_id() -> String {
    Uuid::new_v4().simple().to_string()
}

async fn to_end(
    context: &Shared,
    id: &TranscriptId,
    step: Step,
    find: impl Fn(&Text) -> Result<Vec<Span>, Error> + Send + Sync + 'static,
) -> Result<Corrected, Error> {
    let (shared, id) = (Arc::clone(context), id.clone());
    run_to_end(context, async move { take(&shared, &id, step, find).await }).await
}

/// Takes a step. It changes what `find` returns for the newest version.
pub(super) async fn take(
    context: &Shared,
    id: &TranscriptId,
    step: Step,
    find: impl Fn(&Text) -> Result<Vec<Span>, Error> + Send + Sync + 'static,
) -> Result<Corrected, Error> {
    let find = Arc::new(find);
    loop {
        let mut conn = context.store.read().await?;
        let text = Text::read(&mut conn, id).await?;
        if let Some(version) = conn.version_of_correction(&text.transcript.id, &step.id).await? {
            return Ok(Corrected { version, correction: Some(step.id) });
        }
        drop(conn);
        let (Step { id, by, replacement }, at, find) = (step.clone(), context.clock.now_ms(), Arc::clone(&find));
        // Of a long transcript, this takes a while, during which other tasks have the thread.
        let found = tokio::task::spawn_blocking(move || {
            let mut spans = find(&text)?;
            spans.retain(|span| !span.changes.is_empty());
            let correction = Correction { id, version: text.transcript.version + 1, at, by, replacement, spans };
            let after = text.text_after(&correction)?;
            Ok::<_, Error>((text.transcript, correction, after))
        });
        let (transcript, correction, after) = &found.await.map_err(|_| Panicked)??;
        if correction.spans.is_empty() {
            return Ok(Corrected { version: transcript.version, correction: None });
        }
        let is_stored = context
            .store
            .write(Commit::Correct, &step.id, |mut tx| async move {
                let is_stored = tx.add_correction(transcript, correction, after).await?
                    // The outcome of an earlier try may have been unknown.
                    || tx.version_of_correction(&transcript.id, &correction.id).await? == Some(correction.version);
                if is_stored {
                    learn::open(&mut tx, &transcript.id, correction.at).await?;
                }
                Ok((tx, is_stored))
            })
            .await?;
        // Otherwise somebody else was first, and this is another step after theirs.
        if is_stored {
            context.events.changed(transcript.call.as_ref().map_or(transcript.id.as_str(), |call| call.as_str()));
            return Ok(Corrected { version: correction.version, correction: Some(step.id) });
        }
    }
}
