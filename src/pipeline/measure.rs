//! How right a transcript is that somebody has corrected or checked: what was heard, against what stands there now.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::accuracy::marks::Confidences;
use crate::accuracy::{Comparison, Edits, TermCounts, Terms};
use crate::model::blind::BlindCheck;
use crate::model::call::Call;
use crate::model::checked::Checked;
use crate::model::measure::Reference;
use crate::model::speakers::{Names, Speakers};
use crate::model::transcript::Transcript;
use crate::model::word::SpokenWord;
use crate::store::Measure;

/// Bytes of the checksum that tells lists of key terms apart.
const CHECKSUM: usize = 3;

/// What is known of a transcript.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) heard: Vec<SpokenWord>,
    /// The words that stand there now.
    pub(super) said: Vec<SpokenWord>,
    pub(super) is_corrected: bool,
    /// The stretches that somebody listened to.
    pub(super) listened: Checked,
    pub(super) blind: Vec<BlindCheck>,
}

/// The figures of a channel, or of all, against one kind of reference.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) edits: Edits,
    /// Of characters, in any script.
    pub(super) characters: Edits,
    pub(super) terms: TermCounts,
    confidences: Confidences,
    /// In milliseconds.
    typed: i64,
}

/// The figures by channel and kind of reference.
pub(super) type ByReference = BTreeMap<(String, Reference), Figures>;

/// Compares what was heard with what somebody says was said: with the words that are checked by ear if there are any, or else
/// with all of them if some are corrected; and with what somebody typed from the audio alone.
pub(super) fn figures(of: &Evidence, terms: &Terms) -> ByReference {
    let mut figures = of_text(of, terms);
    for check in &of.blind {
        let reference = check.reference();
        let is_checked = of.listened.stretches().iter().any(|stretch| check.window.overlaps(stretch.window()));
        // No word counts twice.
        if reference == Reference::Checked && is_checked {
            continue;
        }
        for (channel, text) in &check.texts {
            let heard = of.heard.iter().filter(|word| check.window.has(word) && channel_of(word) == channel);
            let mut new = figures_of(&heard.collect::<Vec<_>>(), text.split_whitespace(), terms);
            new.typed = if reference == Reference::Blind { check.window.length() } else { 0 };
            figures.entry((channel.clone(), reference)).or_default().add(&new);
        }
    }
    figures
}

/// Compares what was heard with the words that stand there now.
fn of_text(Evidence { heard, said, is_corrected, listened, .. }: &Evidence, terms: &Terms) -> ByReference {
    let reference = match (listened.stretches().is_empty(), is_corrected) {
        (false, _) => Reference::Checked,
        (true, true) => Reference::Corrected,
        (true, false) => return ByReference::new(),
    };
    let counts = |word: &&SpokenWord| reference == Reference::Corrected || listened.covers(word);
    let [heard, said] = [heard, said].map(|words| words.iter().filter(counts).collect::<Vec<_>>());
    let channels: BTreeSet<&str> = heard.iter().chain(&said).map(|word| channel_of(word)).collect();
    let of_channel = |channel: &str| {
        let [heard, said] = [&heard, &said]
            .map(|words| words.iter().copied().filter(|word| channel_of(word) == channel).collect::<Vec<_>>());
        let figures = figures_of(&heard, said.iter().map(|word| &*word.text), terms);
        ((channel.to_owned(), reference), figures)
    };
    channels.into_iter().map(of_channel).collect()
}

fn figures_of<'t>(heard: &[&'t SpokenWord], said: impl Iterator<Item = &'t str>, terms: &Terms) -> Figures {
    let comparison = Comparison::new(Terms::NORMALIZATION, said, heard.iter().map(|word| &*word.text));
    // Of scripts without spaces, each character counts as a word.
    let characters = comparison.character_edits();
    let edits = if comparison.is_unspaced() { characters } else { comparison.edits() };
    let wrong: HashSet<usize> = comparison.wrong().collect();
    let mut confidences = Confidences::default();
    for (index, word) in heard.iter().enumerate() {
        if let Some(confidence) = word.confidence {
            confidences.add(confidence, wrong.contains(&index));
        }
    }
    let terms = terms.count(&terms.places(&comparison)).into_iter().sum();
    Figures { edits, characters, terms, confidences, typed: 0 }
}

impl Figures {
    pub(super) fn add(&mut self, other: &Self) {
        self.edits += other.edits;
        self.characters += other.characters;
        self.terms += other.terms;
        self.confidences += other.confidences;
        self.typed += other.typed;
    }
}

pub(super) fn channel_of(word: &SpokenWord) -> &str {
    word.channel.as_deref().unwrap_or_default()
}

/// Returns figures of a transcript as they are stored. `is_whole` is whether somebody listened to all of it.
pub(super) fn measures(
    transcript: &Transcript,
    call: Option<&Call>,
    is_whole: bool,
    figures: &ByReference,
) -> Vec<Measure> {
    let sides = call.map_or_else(Speakers::default, |call| Speakers::of(call, Names::default(), None));
    let parameters: serde_json::Value = serde_json::from_str(&transcript.parameters).unwrap_or_default();
    let (code, is_detected) = (parameters["language_code"].as_str(), parameters["language_detection"] == true);
    let measure = |((channel, reference), of): (&(String, Reference), &Figures)| Measure {
        transcript: transcript.id.to_string(),
        channel: channel.clone(),
        reference: *reference,
        is_whole: is_whole && *reference == Reference::Checked,
        call: call.map(|call| call.id.to_string()).unwrap_or_default(),
        at: call.map_or(transcript.created_at, |call| call.created_at),
        typed_ms: of.typed,
        model: transcript.speech_model_used.clone().unwrap_or_default(),
        list: list_of(transcript),
        side: sides.role(Some(channel)),
        contact: call.and_then(Call::party).map(|party| party.to_string()).unwrap_or_default(),
        // Without either, AssemblyAI takes English.
        language: code.map_or_else(|| if is_detected { "" } else { "en" }.to_owned(), str::to_owned),
        edits: of.edits,
        terms: of.terms,
        confidences: of.confidences,
    };
    figures.iter().map(measure).collect()
}

/// Returns what tells the key terms apart that an order has sent: how many, and a checksum. Empty if it is not known.
fn list_of(transcript: &Transcript) -> String {
    let Some(submission) = &transcript.submission else { return String::new() };
    if submission.keyterms.is_empty() {
        return "none".to_owned();
    }
    let mut terms = submission.keyterms.clone();
    terms.sort_unstable();
    let checksum = Sha256::digest(terms.join("\n"));
    let mut list = format!("{} {} ", terms.len(), if terms.len() == 1 { "term" } else { "terms" });
    for byte in &checksum[..CHECKSUM] {
        // Writing to a string never fails.
        _ = write!(list, "{byte:02x}");
    }
    list
}
