//! What a trial has shown: how right each arm is beside what there was before, on the same calls, and every word that differs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::Error;
use super::measure::channel_of;
use super::trial::Texts;
use crate::accuracy::resample::{Interval, Share, difference};
use crate::accuracy::{Edits, TermCounts};
use crate::context::Shared;
use crate::model::correction::{Difference, compared};
use crate::model::measure::Reference;
use crate::model::trial::TrialId;
use crate::model::word::{SpokenWord, join};
use crate::store::{TrialFigure, TrialOrder, TrialRecording};

/// Places of a recording that are listed.
const MOST_PLACES: usize = 200;

/// What there was before and an arm have of each call.
type Calls<'f> = BTreeMap<&'f str, (Sums, Sums)>;

/// How right an arm is, measured against one kind of reference.
#[derive(Debug)]
pub struct ArmReport {
    pub arm: usize,
    pub reference: Reference,
    /// The calls that both have figures of.
    pub calls: usize,
    /// What there was before, and the arm.
    pub before: Sums,
    pub after: Sums,
    /// By how much the rates of the arm are greater.
    pub word_errors: Change,
    pub character_errors: Change,
    pub recall: Change,
}

/// Figures that are added up over calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    pub edits: Edits,
    /// Wrong characters of all.
    pub characters: Share,
    pub terms: TermCounts,
}

/// By how much a rate has grown.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// `None` if one of the rates is undefined.
    pub value: Option<f64>,
    /// Where it is likely to be. `None` for one call, which says nothing of others.
    pub interval: Option<Interval>,
}

/// A recording of a trial.
#[derive(Debug)]
pub struct RecordingReport {
    pub of: TrialRecording,
    pub orders: Vec<TrialOrder>,
    pub places: Vec<Place>,
    /// Whether there are more places.
    pub is_more: bool,
}

/// Words that some transcript has otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// In milliseconds from the start of the audio.
    pub at_ms: i64,
    pub said: String,
    /// What each transcript has, with the position of its arm; `None` is what there was before.
    pub heard: Vec<(Option<usize>, String)>,
}

impl Sums {
    fn of(figure: &TrialFigure) -> Self {
        Self { edits: figure.edits, characters: figure.characters, terms: figure.terms }
    }

    fn add(&mut self, other: Self) {
        self.edits += other.edits;
        self.characters.part += other.characters.part;
        self.characters.whole += other.characters.whole;
        self.terms += other.terms;
    }

    fn word_errors(self) -> Share {
        Share { part: self.edits.errors(), whole: self.edits.words() }
    }

    fn recall(self) -> Share {
        Share { part: self.terms.heard, whole: self.terms.said }
    }
}

impl Change {
    fn of(calls: &[(Sums, Sums)], rate: impl Fn(Sums) -> Share) -> Self {
        let pairs: Vec<(Share, Share)> = calls.iter().map(|(before, after)| (rate(*before), rate(*after))).collect();
        let sum = |shares: &mut dyn Iterator<Item = Share>| {
            let sum = shares.fold((0, 0), |(part, whole), share| (part + share.part, whole + share.whole));
            Share { part: sum.0, whole: sum.1 }.rate()
        };
        let before = sum(&mut pairs.iter().map(|(before, _)| *before));
        let after = sum(&mut pairs.iter().map(|(_, after)| *after));
        Self { value: after.zip(before).map(|(after, before)| after - before), interval: difference(&pairs) }
    }

    /// Whether the calls show that there is a difference.
    pub fn is_shown(&self) -> bool {
        self.interval.is_some_and(|interval| interval.excludes_zero())
    }
}

/// Returns how right each arm is.
pub async fn arms(context: &Shared, trial: &TrialId) -> Result<Vec<ArmReport>, Error> {
    let figures = context.store.read().await?.trial_figures(trial).await?;
    // Of hundreds of calls, drawing takes a while.
    let reported = tokio::task::spawn_blocking(move || reports(&figures));
    reported.await.map_err(|_| Error::Panicked)
}

fn reports(figures: &[TrialFigure]) -> Vec<ArmReport> {
    let of = |figure: &'_ TrialFigure| (figure.recording.clone(), figure.reference);
    let before: BTreeMap<(String, Reference), &TrialFigure> =
        figures.iter().filter(|figure| figure.arm.is_none()).map(|figure| (of(figure), figure)).collect();
    let mut groups: BTreeMap<(usize, Reference), Calls<'_>> = BTreeMap::new();
    for figure in figures {
        let (Some(arm), Some(before)) = (figure.arm, before.get(&of(figure))) else { continue };
        let call = groups.entry((arm, figure.reference)).or_default().entry(&figure.call).or_default();
        call.0.add(Sums::of(before));
        call.1.add(Sums::of(figure));
    }
    let report = |((arm, reference), calls): ((usize, Reference), Calls<'_>)| {
        let calls: Vec<(Sums, Sums)> = calls.into_values().collect();
        let (mut before, mut after) = (Sums::default(), Sums::default());
        for (one, other) in &calls {
            before.add(*one);
            after.add(*other);
        }
        ArmReport {
            arm,
            reference,
            calls: calls.len(),
            before,
            after,
            word_errors: Change::of(&calls, Sums::word_errors),
            character_errors: Change::of(&calls, |sums| sums.characters),
            recall: Change::of(&calls, Sums::recall),
        }
    };
    groups.into_iter().map(report).collect()
}

/// Returns some recordings of a trial with the words that differ: those after this one, and whether there are more.
pub async fn recordings(
    context: &Shared,
    trial: &TrialId,
    after: Option<&str>,
    most: usize,
) -> Result<(Vec<RecordingReport>, bool), Error> {
    let mut conn = context.store.read().await?;
    let mut listed = conn.trial_recordings(trial, after, most as i64 + 1).await?;
    let is_more = listed.len() > most;
    listed.truncate(most);
    let mut reports = Vec::new();
    for of in listed {
        let orders = conn.trial_orders(trial, &of.recording).await?;
        // From the first moment of a deletion on, nothing that was said is shown.
        let (mut places, mut has_more_places) = (Vec::new(), false);
        if !of.is_deleted {
            let texts = Texts::read(&mut conn, trial, &of).await?;
            places = tokio::task::spawn_blocking(move || differing(&texts)).await.map_err(|_| Error::Panicked)?;
            has_more_places = places.len() > MOST_PLACES;
            places.truncate(MOST_PLACES);
        }
        reports.push(RecordingReport { of, orders, places, is_more: has_more_places });
    }
    Ok((reports, is_more))
}

/// Finds where a transcript has other words than were said, in the stretches that somebody listened to if there are any. Without
/// corrections, that is where an arm has others than there
/// were before.
fn differing(texts: &Texts) -> Vec<Place> {
    let is_all = texts.listened.stretches().is_empty();
    let count = |words: &[SpokenWord]| -> Vec<SpokenWord> {
        words.iter().filter(|word| is_all || texts.listened.covers(word)).cloned().collect()
    };
    let said = count(&texts.said);
    let heard: Vec<(Option<usize>, Vec<SpokenWord>)> =
        texts.heard.iter().map(|(arm, words)| (*arm, count(words))).collect();
    let all: Vec<&[SpokenWord]> = heard.iter().map(|(_, words)| words.as_slice()).chain([said.as_slice()]).collect();
    let mut channels: BTreeSet<Option<String>> = BTreeSet::new();
    for words in &all {
        channels.extend(words.iter().map(|word| Some(channel_of(word).to_owned())));
    }
    let tells_apart = |words: &&[SpokenWord]| words.iter().any(|word| !channel_of(word).is_empty());
    if !all.iter().all(tells_apart) {
        channels = BTreeSet::from([None]);
    }
    let mut places = Vec::new();
    for channel in channels {
        let of_channel = |words: &[SpokenWord]| -> Vec<SpokenWord> {
            let is_of_it = |word: &&SpokenWord| channel.as_deref().is_none_or(|channel| channel_of(word) == channel);
            words.iter().filter(is_of_it).cloned().collect()
        };
        let heard: Vec<(Option<usize>, Vec<SpokenWord>)> =
            heard.iter().map(|(arm, words)| (*arm, of_channel(words))).collect();
        places.extend(places_of(&of_channel(&said), &heard));
    }
    places.sort_by_key(|place| place.at_ms);
    places
}

fn places_of(said: &[SpokenWord], heard: &[(Option<usize>, Vec<SpokenWord>)]) -> Vec<Place> {
    let differences: Vec<Vec<Difference>> = heard.iter().map(|(_, words)| compared(said, words).0).collect();
    let mut ranges: Vec<Range<usize>> = differences.iter().flatten().map(|one| one.words.clone()).collect();
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    let place = |range: Range<usize>| {
        let mut begins = said[range.clone()].first().map(|word| word.start);
        let mut texts = Vec::new();
        for ((arm, words), differences) in heard.iter().zip(&differences) {
            let (mut text, mut at): (Vec<SpokenWord>, usize) = (Vec::new(), range.start);
            let inside = |one: &&Difference| one.words.start >= range.start && one.words.end <= range.end;
            for Difference { words: replaced, other } in differences.iter().filter(inside) {
                text.extend_from_slice(&said[at..replaced.start]);
                text.extend_from_slice(&words[other.clone()]);
                at = replaced.end;
            }
            text.extend_from_slice(&said[at..range.end]);
            begins = begins.or(text.first().map(|word| word.start));
            texts.push((*arm, join(&text)));
        }
        Place { at_ms: begins.unwrap_or_default(), said: join(&said[range]), heard: texts }
    };
    merged.into_iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<SpokenWord> {
        let word = |(at, text): (i64, &str)| SpokenWord {
            text: text.to_owned(),
            start: at * 500,
            end: at * 500 + 400,
            confidence: None,
            speaker: None,
            channel: None,
            begins: None,
        };
        (0..).zip(text.split_whitespace()).map(word).collect()
    }

    #[test]
    fn each_place_has_what_every_transcript_has_there() {
        let heard = [
            (None, words("take sparing the lactone twice a day")),
            (Some(0), words("take spironolactone twice a day now")),
            (Some(1), words("take spironolactone thrice a day")),
        ];
        let found = places_of(&words("Take spironolactone twice a day."), &heard);
        let place = |at_ms, said: &str, heard: [&str; 3]| Place {
            at_ms,
            said: said.to_owned(),
            heard: [None, Some(0), Some(1)].into_iter().zip(heard.map(str::to_owned)).collect(),
        };
        let expected = [
            place(
                500,
                "spironolactone twice",
                ["sparing the lactone twice", "spironolactone twice", "spironolactone thrice"],
            ),
            place(2_500, "", ["", "now", ""]),
        ];
        assert_eq!(found, expected);
    }
}
