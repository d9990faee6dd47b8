//! Whether learning from corrections helps: `cargo bench --bench learning`.
//!
//! Calls are made of the sentences in which an open engine misheard 120 hard terms (`tests/it/fixtures/heard.tsv`). One half
//! of them is heard without a list, corrected to what was said, and learned from. The other half is measured three times:
//! without a list, with a list that a person made, and with the learned list, which is as long.
//!
//! First with calls that are put together from these sentences, terms exchanged, and misheard as the engine did; then with
//! the sentences themselves, as the engine heard them with and without a list.

use std::collections::{BTreeMap, BTreeSet};

use callscribe::accuracy::resample::{self, Share};
use callscribe::accuracy::{Comparison, Edits, Place, Terms};
use callscribe::internals::{CommonWords, Correction, Edit, Sequence, SplitMix64, SpokenWord, correct, lessons};

const SEEDS: u64 = 5;

/// Calls of the corpus.
const CALLS: usize = 400;

/// Sentences of a call.
const SENTENCES: usize = 6;

/// Of a hundred terms that come out wrong, how many come out as another one of the list. Chosen so that the precision of a
/// list that a person made is near the 0.96 that independent tests of engines found.
const OTHER_TERM: u64 = 8;

/// A sentence as it was said and heard.
struct Sentence {
    field: String,
    terms: Vec<String>,
    said: String,
    heard: String,
    heard_with_list: String,
}

/// What the engine wrote where a term was said, by the field of the term and then by the term.
#[derive(Default)]
struct Engine {
    /// Of a hundred hard terms, how many come out right, without a list and with one that has them.
    right: [u64; 2],
    /// The wrong ones, without a list and with one.
    wrong: [BTreeMap<String, Vec<String>>; 2],
}

/// A call: what was said in it, and how one hearing of it came out.
struct Call {
    said: String,
    heard: String,
}

fn main() {
    let sentences = read();
    let all: BTreeSet<&str> = sentences.iter().flat_map(|sentence| sentence.terms.iter().map(String::as_str)).collect();
    println!("{} sentences, {} terms of {} fields", sentences.len(), all.len(), engines(&sentences).len());
    println!("\ncalls put together from them: {CALLS} calls of {SENTENCES} sentences, half of them to learn from");
    for seed in 1..=SEEDS {
        corpus(&sentences, &all, seed);
    }
    println!("\nthe sentences themselves, half of them to learn from");
    for seed in 1..=SEEDS {
        themselves(&sentences, &all, seed);
    }
}

fn read() -> Vec<Sentence> {
    let lines = include_str!("../it/fixtures/heard.tsv").lines().skip(1);
    let sentence = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [field, terms, said, heard, heard_with_list, ..] = columns[..] else { panic!("{line}: too few columns") };
        Sentence {
            field: field.to_owned(),
            terms: terms.split('|').map(str::to_owned).collect(),
            said: said.to_owned(),
            heard: heard.to_owned(),
            heard_with_list: heard_with_list.to_owned(),
        }
    };
    lines.map(sentence).collect()
}

/// Learns from the sentences how each field is misheard.
fn engines(sentences: &[Sentence]) -> BTreeMap<&str, Engine> {
    let mut engines: BTreeMap<&str, Engine> = BTreeMap::new();
    for sentence in sentences {
        let engine = engines.entry(&sentence.field).or_default();
        for term in &sentence.terms {
            for (at, heard) in [&sentence.heard, &sentence.heard_with_list].into_iter().enumerate() {
                if let Some(wrong) = misheard(&sentence.said, heard, term).filter(|wrong| !wrong.is_empty()) {
                    engine.wrong[at].entry(term.clone()).or_default().push(wrong);
                }
            }
        }
    }
    // Some terms always come out right. The rates are those of the others, each of which is in two sentences.
    for engine in engines.values_mut() {
        let hard = engine.wrong[0].len() as u64 * 2;
        engine.right = [0, 1].map(|at| {
            let wrong = engine.wrong[at].iter().filter(|(term, _)| engine.wrong[0].contains_key(*term));
            100 - wrong.map(|(_, wrong)| wrong.len() as u64).sum::<u64>() * 100 / hard
        });
    }
    engines
}

/// What was heard where a term was said, or `None` if it was heard right.
fn misheard(said: &str, heard: &str, term: &str) -> Option<String> {
    let words: Vec<&str> = heard.split_whitespace().collect();
    let comparison = Comparison::new(Terms::NORMALIZATION, said.split_whitespace(), words.iter().copied());
    let places = Terms::new([term]).places(&comparison);
    let place = places.iter().find_map(|place| match place {
        Place::Said { reference, is_heard, .. } => Some((reference.clone(), *is_heard)),
        Place::False { .. } => None,
    });
    let (reference, is_heard) = place.unwrap_or_else(|| panic!("{term} is not said in: {said}"));
    if is_heard {
        return None;
    }
    let tokens = &comparison.hypothesis[comparison.heard_for(reference)];
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let range = tokens.first().zip(tokens.last()).map_or(0..0, |(first, last)| first.word..last.word + 1);
    Some(words[range].iter().map(|word| bare(word)).collect::<Vec<_>>().join(" "))
}

/// Measures on calls that are put together from the sentences.
fn corpus(sentences: &[Sentence], all: &BTreeSet<&str>, seed: u64) {
    let engines = engines(sentences);
    let random = &mut SplitMix64::new(seed);
    let scripts: Vec<Vec<(&str, String, Vec<&str>)>> = (0..CALLS).map(|_| script(sentences, random)).collect();
    let (first, second) = scripts.split_at(CALLS / 2);
    let none = BTreeSet::new();
    let hear_all = |scripts: &[Vec<(&str, String, Vec<&str>)>], list: &BTreeSet<&str>| -> Vec<Call> {
        // The same calls are heard, whatever the list.
        let random = &mut SplitMix64::new(seed.wrapping_mul(977));
        scripts.iter().map(|script| hear(script, &engines, list, random)).collect()
    };
    let learned = learn(&hear_all(first, &none));
    let learned: BTreeSet<&str> = learned.iter().map(String::as_str).collect();
    let made = by_hand(all, learned.len(), random);
    let calls = [&none, &made, &learned].map(|list| hear_all(second, list));
    report(seed, &learned, all, &calls);
}

/// A call of one field: sentences with their terms.
fn script<'s>(sentences: &'s [Sentence], random: &mut SplitMix64) -> Vec<(&'s str, String, Vec<&'s str>)> {
    let field = sentences[below(random, sentences.len())].field.as_str();
    let of_field: Vec<&Sentence> = sentences.iter().filter(|sentence| sentence.field == field).collect();
    let terms: Vec<&str> = of_field.iter().flat_map(|sentence| sentence.terms.iter().map(String::as_str)).collect();
    let sentence = |_| {
        let form = of_field[below(random, of_field.len())];
        let (mut said, mut chosen) = (form.said.clone(), Vec::new());
        for term in &form.terms {
            // Some terms are said more often than others, as in life.
            let other = terms[below(random, terms.len()).min(below(random, terms.len()))];
            said = said.replacen(term.as_str(), other, 1);
            chosen.push(other);
        }
        (field, said, chosen)
    };
    (0..SENTENCES).map(sentence).collect()
}

/// Returns one hearing of a call with this list.
fn hear(
    script: &[(&str, String, Vec<&str>)],
    engines: &BTreeMap<&str, Engine>,
    list: &BTreeSet<&str>,
    random: &mut SplitMix64,
) -> Call {
    let (mut said, mut heard) = (Vec::new(), Vec::new());
    for (field, sentence, terms) in script {
        let engine = &engines[field];
        let mut text = sentence.clone();
        for term in terms {
            // As many numbers are drawn for every list.
            let (draw, other, which) = (random.below(100), random.below(100), random.below(1 << 32));
            let is_listed = usize::from(list.contains(term));
            let variants = [is_listed, 0].into_iter().find_map(|at| engine.wrong[at].get(*term));
            let Some(variants) = variants.filter(|_| draw >= engine.right[is_listed]) else { continue };
            let mut wrong = variants[which as usize % variants.len()].as_str();
            let mut listed = list.iter().filter(|listed| *listed != term && engine.wrong[0].contains_key(**listed));
            if other < OTHER_TERM
                && !list.is_empty()
                && let Some(listed) = listed.clone().nth(which as usize % listed.by_ref().count().max(1))
            {
                wrong = listed;
            }
            text = text.replacen(term, wrong, 1);
        }
        said.push(sentence.clone());
        heard.push(text);
    }
    Call { said: said.join(" "), heard: heard.join(" ") }
}

/// Measures on the sentences as the engine heard them: a term of the list comes out as with a list, another one as without.
fn themselves(sentences: &[Sentence], all: &BTreeSet<&str>, seed: u64) {
    let random = &mut SplitMix64::new(seed);
    let mut order: Vec<&Sentence> = sentences.iter().collect();
    random.shuffle(&mut order);
    let (first, second) = order.split_at(order.len() / 2);
    let heard = |sentence: &&Sentence| Call { said: sentence.said.clone(), heard: sentence.heard.clone() };
    let learned = learn(&first.iter().map(heard).collect::<Vec<_>>());
    let learned: BTreeSet<&str> = learned.iter().map(String::as_str).collect();
    let made = by_hand(all, learned.len(), random);
    let with = |list: &BTreeSet<&str>| {
        let call = |sentence: &&Sentence| {
            let listed = sentence.terms.iter().filter(|term| list.contains(term.as_str())).count();
            let heard = if listed == sentence.terms.len() { &sentence.heard_with_list } else { &sentence.heard };
            let mut heard = heard.clone();
            // Of two terms, one is in the list: what the engine wrote for it with a list stands in the place.
            for term in sentence.terms.iter().filter(|term| listed == 1 && list.contains(term.as_str())) {
                let (without, with) = (
                    misheard(&sentence.said, &sentence.heard, term),
                    misheard(&sentence.said, &sentence.heard_with_list, term),
                );
                if let Some(without) = without.filter(|without| !without.is_empty()) {
                    heard = heard.replacen(&without, with.as_deref().unwrap_or(term), 1);
                }
            }
            Call { said: sentence.said.clone(), heard }
        };
        second.iter().map(call).collect::<Vec<_>>()
    };
    let calls = [with(&BTreeSet::new()), with(&made), with(&learned)];
    report(seed, &learned, all, &calls);
}

/// Corrects each call to what was said in it, and returns what that teaches.
fn learn(calls: &[Call]) -> BTreeSet<String> {
    let common = common_words(calls);
    let mut learned = BTreeSet::new();
    for call in calls {
        let word = |(at, text): (i64, &str)| {
            let (start, end) = (at * 400, at * 400 + 300);
            let (speaker, channel, begins) = (None, None, None);
            SpokenWord { text: text.to_owned(), start, end, confidence: Some(0.5), speaker, channel, begins }
        };
        let heard: Vec<SpokenWord> = (0..).zip(call.heard.split_whitespace()).map(word).collect();
        let edit = Edit { from: 0, to: heard.len(), text: Some(call.said.clone()), ..Edit::default() };
        let span = correct(&Sequence::of_heard(heard.len()).transcribed(), &heard, &edit).expect("a correction");
        let mut sequence = Sequence::of_heard(heard.len());
        let (id, version, at, by, replacement) = ("1".to_owned(), 1, 0, String::new(), None);
        sequence.apply(&Correction { id, version, at, by, replacement, spans: vec![span] }).expect("it fits");
        learned
            .extend(lessons(&heard, &sequence.corrected(), &common).into_iter().map(|lesson| lesson.term.to_string()));
    }
    // As the vocabulary does, which has each term once, in any case.
    let mut once: BTreeMap<String, String> = BTreeMap::new();
    for term in learned {
        once.entry(term.to_lowercase()).or_insert(term);
    }
    once.into_values().collect()
}

/// The common words of English and of these calls, as the vocabulary counts them.
fn common_words(calls: &[Call]) -> CommonWords {
    let mut words: BTreeMap<String, [i64; 2]> = BTreeMap::new();
    for Call { said, heard } in calls {
        let said = Comparison::new(Terms::NORMALIZATION, said.split_whitespace(), heard.split_whitespace());
        let hits: BTreeSet<usize> =
            said.steps.iter().filter(|step| step.is_hit()).filter_map(|step| step.reference()).collect();
        let corrected = (0..said.reference.len()).filter(|at| !hits.contains(at));
        for (which, at) in hits.iter().map(|at| (0, *at)).chain(corrected.map(|at| (1, at))) {
            words.entry(said.reference[at].text.clone()).or_default()[which] += 1;
        }
    }
    let mut common = CommonWords::of("en");
    for (word, [heard, corrected]) in words {
        common.add_own(&word, heard, corrected);
    }
    common
}

/// A list that somebody makes who knows the terms, but not how often each is said.
fn by_hand<'t>(all: &BTreeSet<&'t str>, length: usize, random: &mut SplitMix64) -> BTreeSet<&'t str> {
    let mut terms: Vec<&str> = all.iter().copied().collect();
    random.shuffle(&mut terms);
    terms.into_iter().take(length).collect()
}

fn report(seed: u64, learned: &BTreeSet<&str>, all: &BTreeSet<&str>, calls: &[Vec<Call>; 3]) {
    let lower: BTreeSet<String> = all.iter().map(|term| term.to_lowercase()).collect();
    let are_terms = learned.iter().filter(|term| lower.contains(&term.to_lowercase())).count();
    println!("seed {seed}: {} terms learned, {are_terms} of them among the {}", learned.len(), all.len());
    let mut recalls = Vec::new();
    for (name, calls) in ["without a list", "made by hand", "learned"].into_iter().zip(calls) {
        // All terms count, and so do learned ones that are none.
        let sought = Terms::new(all.iter().chain(learned));
        let (mut recall, mut precision, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for Call { said, heard } in calls {
            let comparison = Comparison::new(Terms::NORMALIZATION, said.split_whitespace(), heard.split_whitespace());
            let places = sought.places(&comparison);
            let counts: callscribe::accuracy::TermCounts = sought.count(&places).into_iter().sum();
            recall.push(Share { part: counts.heard, whole: counts.said });
            precision.push(Share { part: counts.heard, whole: counts.heard + counts.wrongly_heard });
            let edits: Edits = comparison.edits();
            errors.push(Share { part: edits.errors(), whole: edits.words() });
        }
        println!("  {name:<15} recall {}  precision {}  WER {}", figure(&recall), figure(&precision), figure(&errors));
        recalls.push((recall, errors));
    }
    for (name, which) in [("recall", 0), ("WER", 1)] {
        let of = |at: usize| if which == 0 { &recalls[at].0 } else { &recalls[at].1 };
        let pairs: Vec<(Share, Share)> = of(1).iter().copied().zip(of(2).iter().copied()).collect();
        if let Some(difference) = resample::difference(&pairs) {
            let verdict = if difference.excludes_zero() { "" } else { ": no difference shown" };
            println!("  {name}, learned minus by hand: {:+.3} to {:+.3}{verdict}", difference.low, difference.high);
        }
    }
}

/// A rate over all calls, with its interval.
fn figure(calls: &[Share]) -> String {
    let sum =
        Share { part: calls.iter().map(|call| call.part).sum(), whole: calls.iter().map(|call| call.whole).sum() };
    let interval = resample::interval(calls);
    let interval = interval.map_or(String::new(), |interval| format!(" ({:.3} to {:.3})", interval.low, interval.high));
    sum.rate().map_or("undefined".to_owned(), |rate| format!("{rate:.3}{interval}"))
}

fn below(random: &mut SplitMix64, end: usize) -> usize {
    random.below(end as u64) as usize
}
