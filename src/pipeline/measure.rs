//! How right a transcript is that somebody has corrected or checked: what was heard, against what stands there now.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::accuracy::marks::Confidences;
use crate::accuracy::{Comparison, Edits, TermCounts, Terms};
use crate::model::call::Call;
use crate::model::checked::Checked;
use crate::model::measure::Reference;
use crate::model::speakers::{Names, Speakers};
use crate::model::transcript::Transcript;
use crate::model::word::SpokenWord;
use crate::store::Measure;

/// Bytes of the checksum that tells lists of key terms apart.
const CHECKSUM: usize = 3;

/// The figures of a channel, or of all.
#[derive(Debug)]
pub(super) struct Figures {
    channel: String,
    reference: Reference,
    edits: Edits,
    terms: TermCounts,
    confidences: Confidences,
}

/// Compares what was heard with what somebody says was said: with the words that are checked by ear if there are any, or else
/// with all of them if some are corrected.
pub(super) fn figures(
    heard: &[SpokenWord],
    said: &[SpokenWord],
    checked: &Checked,
    is_corrected: bool,
    terms: &Terms,
) -> Vec<Figures> {
    let reference = match (checked.stretches().is_empty(), is_corrected) {
        (false, _) => Reference::Checked,
        (true, true) => Reference::Corrected,
        (true, false) => return Vec::new(),
    };
    let counts = |word: &&SpokenWord| reference == Reference::Corrected || checked.covers(word);
    let [heard, said] = [heard, said].map(|words| words.iter().filter(counts).collect::<Vec<_>>());
    let channels: BTreeSet<&str> = heard.iter().chain(&said).map(|word| channel_of(word)).collect();
    let of_channel = |channel: &str| {
        let [heard, said] = [&heard, &said]
            .map(|words| words.iter().copied().filter(|word| channel_of(word) == channel).collect::<Vec<_>>());
        figures_of(channel, reference, &heard, &said, terms)
    };
    channels.into_iter().map(of_channel).collect()
}

fn figures_of(
    channel: &str,
    reference: Reference,
    heard: &[&SpokenWord],
    said: &[&SpokenWord],
    terms: &Terms,
) -> Figures {
    let texts = |words: &[&SpokenWord]| words.iter().map(|word| word.text.clone()).collect::<Vec<_>>();
    let [said, hypothesis] = [texts(said), texts(heard)];
    let [said, hypothesis] = [&said, &hypothesis].map(|texts| texts.iter().map(String::as_str));
    let comparison = Comparison::new(Terms::NORMALIZATION, said, hypothesis);
    // Of scripts without spaces, each character counts as a word.
    let edits = if comparison.is_unspaced() { comparison.character_edits() } else { comparison.edits() };
    let wrong: HashSet<usize> = comparison.wrong().collect();
    let mut confidences = Confidences::default();
    for (index, word) in heard.iter().enumerate() {
        if let Some(confidence) = word.confidence {
            confidences.add(confidence, wrong.contains(&index));
        }
    }
    let terms = terms.count(&terms.places(&comparison)).into_iter().sum();
    Figures { channel: channel.to_owned(), reference, edits, terms, confidences }
}

fn channel_of(word: &SpokenWord) -> &str {
    word.channel.as_deref().unwrap_or_default()
}

/// Returns figures of a transcript as they are stored.
pub(super) fn measures(transcript: &Transcript, call: Option<&Call>, figures: &[Figures]) -> Vec<Measure> {
    let sides = call.map_or_else(Speakers::default, |call| Speakers::of(call, Names::default(), None));
    let parameters: serde_json::Value = serde_json::from_str(&transcript.parameters).unwrap_or_default();
    let (code, is_detected) = (parameters["language_code"].as_str(), parameters["language_detection"] == true);
    let measure = |of: &Figures| Measure {
        transcript: transcript.id.to_string(),
        channel: of.channel.clone(),
        reference: of.reference,
        is_whole: transcript.checked_at.is_some(),
        call: call.map(|call| call.id.to_string()).unwrap_or_default(),
        at: call.map_or(transcript.created_at, |call| call.created_at),
        model: transcript.speech_model_used.clone().unwrap_or_default(),
        list: list_of(transcript),
        side: sides.role(Some(&of.channel)),
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
