//! What is said in a transcript, in the formats of `/transcript/<id>`.

use super::error::ApiError;
use super::reading::{Paragraph, called, heard as spoken, paragraphs};
use super::words::WordsView;
use crate::accuracy::marks::UNKNOWN;
use crate::clients::assemblyai::{Reply, Word};
use crate::context::Shared;
use crate::export;
use crate::model::checked::Checked;
use crate::model::search::Query;
use crate::model::speakers::Speakers;
use crate::model::transcript::{Transcript, TranscriptId};
use crate::model::word::SpokenWord;
use crate::pipeline::spoken_word;

/// What is said in a completed transcript: AssemblyAI's words, unless somebody has corrected them.
pub(super) struct Said {
    reply: Reply,
    corrected: Option<Corrected>,
}

/// A transcript with its corrections.
struct Corrected {
    version: i64,
    text: String,
    words: Vec<SpokenWord>,
}

impl Said {
    pub(super) async fn of(
        context: &Shared,
        id: &TranscriptId,
        reply: Reply,
        is_original: bool,
    ) -> Result<Self, ApiError> {
        let mut conn = context.store.read().await?;
        let stored = conn.transcript_by_transcript_id(id).await?.filter(|stored| stored.version > 0 && !is_original);
        let corrected = match stored {
            Some(Transcript { id, version, text, .. }) => {
                let words = conn.words_of(&id).await?;
                Some(Corrected { version, text: text.unwrap_or_default(), words })
            }
            None => None,
        };
        Ok(Self { reply, corrected })
    }

    pub(super) fn text(&self) -> String {
        let heard = || self.reply.transcript.text.clone().unwrap_or_default();
        self.corrected.as_ref().map_or_else(heard, |corrected| corrected.text.clone())
    }

    fn with_words<T>(&self, write: impl FnOnce(&[export::Word]) -> T) -> T {
        if let Some(corrected) = &self.corrected {
            return write(&corrected.words.iter().map(spoken).collect::<Vec<_>>());
        }
        let mut words = Vec::new();
        self.reply.each_word(|word| words.push(word));
        write(&words.iter().map(heard).collect::<Vec<_>>())
    }

    /// Whether two voices or more are told apart. Looks without keeping AssemblyAI's words in memory.
    fn has_voices(&self) -> bool {
        let (mut first, mut found) = (None, false);
        let mut see = |speaker: Option<String>, channel: Option<String>| {
            if !found && (speaker.is_some() || channel.is_some()) {
                let voice = (speaker, channel);
                found = *first.get_or_insert_with(|| voice.clone()) != voice;
            }
        };
        match &self.corrected {
            Some(Corrected { words, .. }) => {
                words.iter().for_each(|word| see(word.speaker.clone(), word.channel.clone()));
            }
            None => self.reply.each_word(|word| see(word.speaker, word.channel)),
        }
        found
    }

    /// Writes the captions, without names if there are no `speakers`. A text whose words AssemblyAI has not timed has none: a
    /// file without captions would hide what was said.
    pub(super) async fn captions(
        self,
        context: &Shared,
        speakers: Option<Speakers>,
        write: fn(&[export::Word], export::Naming) -> String,
    ) -> Result<String, ApiError> {
        let is_said = !self.text().trim().is_empty();
        let id = self.reply.transcript.id.clone();
        let empty = write(&[], &|_| None);
        let naming = move |word: &export::Word<'_>| called(speakers.as_ref()?, word);
        let captions = self.read(context, move |said| said.with_words(|words| write(words, &naming))).await?;
        if is_said && captions == empty { Err(ApiError::NoTimes(id)) } else { Ok(captions) }
    }

    /// Writes who said what, if two speakers or more are told apart.
    pub(super) async fn dialog(self, context: &Shared, speakers: Speakers) -> Result<Option<String>, ApiError> {
        let write = move |said: Self| {
            let is_dialog = said.has_voices();
            is_dialog.then(|| said.with_words(|words| export::text(words, &|word| called(&speakers, word)))).flatten()
        };
        self.read(context, write).await
    }

    /// Returns who says what when, without names if there are no `speakers`. A text whose words AssemblyAI has not timed is one
    /// paragraph.
    pub(super) async fn paragraphs(
        self,
        context: &Shared,
        speakers: Option<Speakers>,
    ) -> Result<Vec<export::Paragraph>, ApiError> {
        self.read(context, move |said| {
            let text = said.text();
            let (is_named, speakers) = (speakers.is_some(), speakers.unwrap_or_default());
            exported(said.into_words(), &text, &speakers, is_named)
        })
        .await
    }

    /// How often it was corrected.
    pub(super) fn version(&self) -> i64 {
        self.corrected.as_ref().map_or(0, |corrected| corrected.version)
    }

    /// Returns its paragraphs, and the text, which also one without timed words has.
    pub(super) async fn for_reading(
        self,
        context: &Shared,
        speakers: Speakers,
    ) -> Result<(Vec<Paragraph>, String), ApiError> {
        self.read(context, move |said| {
            let text = said.text();
            (paragraphs(said.into_words(), &Query::default(), &speakers, UNKNOWN), text)
        })
        .await
    }

    fn into_words(self) -> Vec<SpokenWord> {
        if let Some(corrected) = self.corrected {
            return corrected.words;
        }
        let mut words = Vec::new();
        self.reply.each_word(|word| words.extend(spoken_word(word)));
        words
    }

    /// Returns the words with their positions, and what is checked of them.
    pub(super) async fn words(
        self,
        context: &Shared,
        id: &TranscriptId,
        speakers: Speakers,
    ) -> Result<WordsView, ApiError> {
        let mut conn = context.store.read().await?;
        let checked = match conn.order_by_transcript_id(id).await? {
            Some(stored) => (stored.checked_at.is_some(), Checked::of(&conn.checks_of(&stored.id).await?)),
            None => (false, Checked::default()),
        };
        drop(conn);
        let write = move |said: Self| {
            let (id, checked) = (said.reply.transcript.id.clone(), (checked.0, &checked.1));
            let version = said.version();
            WordsView::of(id, version, checked, said.into_words(), &speakers)
        };
        self.read(context, write).await
    }

    /// Reads a transcript. A large one takes a second, during which other tasks have the thread.
    async fn read<T: Send + 'static>(
        self,
        context: &Shared,
        write: impl FnOnce(Self) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let _turn = context.turn_to_read(&self.reply.json).await;
        if !self.reply.json.is_large() {
            return Ok(write(self));
        }
        tokio::task::spawn_blocking(move || write(self)).await.map_err(|panic| {
            tracing::error!("reading a transcript panicked: {panic}");
            ApiError::Internal
        })
    }
}

/// Returns the words in paragraphs for a file, or the text as one if there are none.
pub(super) fn exported(
    words: Vec<SpokenWord>,
    text: &str,
    speakers: &Speakers,
    is_named: bool,
) -> Vec<export::Paragraph> {
    let read = paragraphs(words, &Query::default(), speakers, UNKNOWN);
    if read.is_empty() && !text.trim().is_empty() {
        return vec![export::Paragraph::new(None, None, text)];
    }
    read.iter().map(|paragraph| paragraph.exported(is_named)).collect()
}

fn heard(word: &Word) -> export::Word<'_> {
    let Word { text, start, end, speaker, channel, .. } = word;
    export::Word { text, start: *start, end: *end, speaker: speaker.as_deref(), channel: channel.as_deref() }
}
