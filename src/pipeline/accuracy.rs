//! How right the transcripts are that somebody has corrected or checked, in groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::Error;
use crate::accuracy::marks::{Confidences, Marks, UNKNOWN};
use crate::accuracy::resample::{Interval, Memo, Share, missing};
use crate::accuracy::{Edits, Normalization, TermCounts, Terms};
use crate::context::Shared;
use crate::model::blind::LONGEST;
use crate::model::measure::{Dimension, Reference};
use crate::model::transcript::TranscriptId;
use crate::store::{Measure, Said};

/// How words are normalized before they are compared.
pub const NORMALIZATION: Normalization = Terms::NORMALIZATION;

/// Terms that a report lists.
const TERMS: i64 = 50;

/// Places that what was heard instead of a term is read from.
const PLACES: usize = 20;

#[derive(Debug)]
pub struct Report {
    pub groups: Vec<Group>,
    pub terms: Vec<TermReport>,
    pub blind: Blind,
}

/// How firm the figures of blind checks are.
#[derive(Debug)]
pub struct Blind {
    /// How many calls have a stretch that somebody typed. A transcript without a call counts as one.
    pub calls: usize,
    /// How much was typed, in milliseconds.
    pub typed_ms: i64,
    /// How much more would make the word error rate of all of them firm.
    pub missing_ms: i64,
    /// A random transcript that nobody has corrected or checked.
    pub next: Option<TranscriptId>,
}

/// Figures of the transcripts that have the same values.
#[derive(Debug)]
pub struct Group {
    /// The value of each dimension that was asked for; `None` where it is not known.
    pub by: Vec<(Dimension, Option<String>)>,
    pub reference: Reference,
    /// Calls, or transcripts of other audio.
    pub calls: usize,
    pub edits: Edits,
    /// Where the word error rate is likely to be.
    pub interval: Option<Interval>,
    pub terms: TermCounts,
    /// What the marks of unsure words catch that pages show.
    pub marks: Marks,
    /// Whether the marks have one threshold.
    pub has_one_threshold: bool,
}

/// A term, and what was heard instead.
#[derive(Debug)]
pub struct TermReport {
    pub said: Said,
    /// The newest first.
    pub misheard_as: Vec<String>,
}

/// Reports on all calls, or on those of a range of time, in milliseconds since 1970.
pub async fn report(context: &Shared, by: Vec<Dimension>, range: Option<(i64, i64)>) -> Result<Report, Error> {
    let mut conn = context.store.read().await?;
    let (since, before) = range.unwrap_or((i64::MIN, i64::MAX));
    let measures = conn.measures(since, before).await?;
    let confidences = conn.all_confidences().await?;
    let mut terms = Vec::new();
    for said in conn.said_terms(range, TERMS).await? {
        let mut misheard_as = Vec::new();
        if said.counts.corrected > 0 {
            for example in conn.examples_of(&said.id, PLACES).await? {
                if !misheard_as.contains(&example.misheard.heard) {
                    misheard_as.push(example.misheard.heard);
                }
            }
        }
        terms.push(TermReport { said, misheard_as });
    }
    let next = conn.unchecked_transcript(&Uuid::new_v4().to_string()).await?;
    drop(conn);
    let shared = Arc::clone(context);
    // Of thousands of calls, this takes a while the first time.
    let grouped = tokio::task::spawn_blocking(move || {
        let blind = Blind { next, ..Blind::of(&measures, &shared.intervals) };
        (groups(&measures, &by, &confidences, &shared.intervals), blind)
    });
    let (groups, blind) = grouped.await.map_err(|_| Error::Panicked)?;
    Ok(Report { groups, terms, blind })
}

impl Blind {
    fn of(measures: &[Measure], intervals: &Memo) -> Self {
        let (mut calls, mut typed) = (BTreeMap::<&str, Share>::new(), BTreeMap::<&str, i64>::new());
        for measure in measures.iter().filter(|measure| measure.reference == Reference::Blind) {
            calls.entry(call_of(measure)).or_default().add(&measure.edits);
            // Both channels of a stretch take the same time.
            let ms = typed.entry(&measure.transcript).or_default();
            *ms = measure.typed_ms.max(*ms);
        }
        let (number, typed_ms) = (calls.len(), typed.into_values().sum::<i64>());
        let missing = missing(number, intervals.interval(calls.into_values().collect()));
        // As much of each further call as of these.
        let each = if number == 0 { LONGEST } else { typed_ms / number as i64 };
        Self { calls: number, typed_ms, missing_ms: missing as i64 * each, next: None }
    }
}

/// What is added up of a group.
#[derive(Debug, Default)]
struct Sums<'m> {
    edits: Edits,
    terms: TermCounts,
    calls: BTreeMap<&'m str, Share>,
    confidences: BTreeMap<&'m str, Confidences>,
}

fn groups(
    measures: &[Measure],
    by: &[Dimension],
    confidences: &BTreeMap<String, Confidences>,
    intervals: &Memo,
) -> Vec<Group> {
    let mut groups: BTreeMap<(Vec<Option<String>>, Reference), Sums<'_>> = BTreeMap::new();
    for measure in measures {
        let values = by.iter().map(|dimension| value(measure, *dimension)).collect();
        let sums = groups.entry((values, measure.reference)).or_default();
        sums.edits += measure.edits;
        sums.terms += measure.terms;
        sums.calls.entry(call_of(measure)).or_default().add(&measure.edits);
        *sums.confidences.entry(&measure.model).or_default() += measure.confidences;
    }
    let group = |((values, reference), sums): ((Vec<Option<String>>, Reference), Sums<'_>)| {
        let threshold = |model: &str| confidences.get(model).map_or(UNKNOWN, Confidences::threshold);
        let mut marks = sums.confidences.iter().map(|(model, words)| words.at(threshold(model)));
        let first = marks.next().unwrap_or(Confidences::default().at(UNKNOWN));
        let (marks, has_one_threshold) = marks.fold((first, true), |(sum, is_one), marks| {
            let is_one = is_one && sum.threshold == marks.threshold;
            let (caught, marked) = (sum.caught + marks.caught, sum.marked + marks.marked);
            (Marks { caught, marked, wrong: sum.wrong + marks.wrong, ..sum }, is_one)
        });
        Group {
            by: by.iter().copied().zip(values).collect(),
            reference,
            calls: sums.calls.len(),
            edits: sums.edits,
            interval: intervals.interval(sums.calls.into_values().collect()),
            terms: sums.terms,
            marks,
            has_one_threshold,
        }
    };
    groups.into_iter().map(group).collect()
}

/// Returns the id of a measure's call, or of its transcript if that has none.
fn call_of(measure: &Measure) -> &str {
    if measure.call.is_empty() { &measure.transcript } else { &measure.call }
}

fn value(measure: &Measure, dimension: Dimension) -> Option<String> {
    let text = match dimension {
        Dimension::Model => measure.model.clone(),
        Dimension::List => measure.list.clone(),
        Dimension::Side => measure.side.map_or("", |side| side.as_str()).to_owned(),
        Dimension::Month => month(measure.at),
        Dimension::Contact => measure.contact.clone(),
        Dimension::Language => measure.language.clone(),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// Returns a month in UTC, such as 2026-11.
fn month(at: i64) -> String {
    let at = Timestamp::from_millisecond(at).unwrap_or_default().to_zoned(TimeZone::UTC);
    format!("{:04}-{:02}", at.year(), at.month())
}
