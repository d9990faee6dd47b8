//! How right a transcript is: the measure, against the packages that others measure with, and how sure it is.
//!
//! The comparisons with Python run only where one with these packages is available: see `vendor_clients`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use callscribe::accuracy::marks::Confidences;
use callscribe::accuracy::resample::{self, Share};
use callscribe::accuracy::{Comparison, Edits, Normalization, Place, TermCounts, Terms, Token, attribute};
use callscribe::splitmix::SplitMix64;
use serde_json::{Value, json};

use crate::vendor_clients::test_python;

/// 120 sentences with two hard terms each, and what an open speech engine heard, without and with the terms.
const HEARD: &str = include_str!("fixtures/heard.tsv");

/// Words in several scripts, with what normalizations treat each in their own way. Some are the same to one of them.
const WORDS: &str = "the The THE of and I'm don't dont co-pay copay 42 forty-two ΟΔΟΣ οδός Straße STRASSE İstanbul é \
    e\u{301} ﬁve ™ ℡ №5 €5 5% हिन्दी ภาษาไทย 你好，世界。 ありがとう 안녕하세요 مَرْحَبًا Привет привет, — – … \"yes\" 'tis a_b \
    x^2 ½ ① Ⅷ ªº ŀl ǅ ﷺ soft\u{ad}hyphen 👩\u{200d}🚀 [noise] <unk> (laughs) (( )) () a()b ( ) [ ] < > ΑΣ[x]Β ΑΣ'Α ABC";

const SPACES: [&str; 8] = [" ", " ", " ", " ", "  ", " \n", "\u{a0}\u{3000}", "\t\u{1c}"];

/// Returns what a function of `accuracy.py` makes of these arguments, or `None` if there is no Python to run it.
fn python(function: &str, arguments: &[Value]) -> Option<Vec<Value>> {
    let mut command = Command::new(test_python()?);
    command.args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/accuracy.py"), function]);
    command.env_clear().envs([("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUTF8", "1")]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("CALLSCRIBE_TEST_PYTHON starts");
    let input: String = arguments.iter().map(|line| format!("{line}\n")).collect();
    let mut stdin = child.stdin.take().expect("a pipe");
    // It answers while it reads.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("an exit");
    writer.join().expect("a thread that does not panic").expect("accuracy.py reads all of its input");
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    Some(lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

/// The columns of each line of [`HEARD`]: field, terms, what was said, heard, heard with the terms as a list.
fn heard() -> impl Iterator<Item = [&'static str; 5]> {
    HEARD.lines().skip(1).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        columns[..5].try_into().expect("six columns")
    })
}

fn pick<'t>(random: &mut SplitMix64, items: &[&'t str]) -> &'t str {
    items[random.below(items.len() as u64) as usize]
}

/// A text of words, and what may have been heard of it.
fn random_pair(random: &mut SplitMix64, words: &[&'static str], longest: u64) -> [Vec<&'static str>; 2] {
    // Few different words make many alignments with equally few errors.
    let few = 1 + random.below(words.len() as u64) as usize;
    let words: Vec<&str> = (0..few).map(|_| pick(random, words)).collect();
    let reference: Vec<&str> = (0..random.below(longest)).map(|_| pick(random, &words)).collect();
    let mut hypothesis = reference.clone();
    for _ in 0..random.below(longest / 2) {
        let at = random.below(hypothesis.len() as u64 + 1) as usize;
        match random.below(3) {
            0 => hypothesis.insert(at, pick(random, &words)),
            1 if at < hypothesis.len() => _ = hypothesis.remove(at),
            _ if at < hypothesis.len() => hypothesis[at] = pick(random, &words),
            _ => {}
        }
    }
    [reference, hypothesis]
}

fn joined(random: &mut SplitMix64, words: &[&str]) -> String {
    words.iter().map(|word| format!("{word}{}", pick(random, &SPACES))).collect()
}

/// 5,000 pairs of texts: sentences that an engine heard, and random ones.
fn pairs() -> Vec<[String; 2]> {
    let mut random = SplitMix64::new(20_261);
    let words: Vec<&str> = WORDS.split(' ').filter(|word| !word.is_empty()).collect();
    let letters: Vec<&str> = "a b c d e f g".split(' ').collect();
    let mut pairs: Vec<[String; 2]> = heard()
        .flat_map(|[_, _, said, one, other]| [[said, one], [said, other]])
        .map(|pair| pair.map(str::to_owned))
        .collect();
    while pairs.len() < 5_000 {
        let pair = match pairs.len() % 10 {
            0 => random_pair(&mut random, &letters, 300),
            _ => random_pair(&mut random, &words, 40),
        };
        pairs.push(pair.map(|text| joined(&mut random, &text)));
    }
    pairs
}

fn counts(edits: Edits) -> [u64; 4] {
    [edits.hits, edits.substitutions, edits.deletions, edits.insertions]
}

#[test]
fn words_characters_and_their_errors_are_those_of_jiwer_and_whisper() {
    let pairs = pairs();
    for normalization in [Normalization::WhisperBasic, Normalization::AssemblyAi, Normalization::None] {
        let arguments: Vec<Value> =
            pairs.iter().map(|[one, other]| json!([normalization.as_str(), one, other])).collect();
        let Some(expected) = python("compared", &arguments) else { return };
        let mut undefined = 0;
        for ([reference, hypothesis], expected) in pairs.iter().zip(&expected) {
            let comparison = Comparison::of(normalization.tokens_of(reference), normalization.tokens_of(hypothesis));
            let words: Vec<&str> = comparison.reference.iter().map(|token| &*token.text).collect();
            assert_eq!(json!(words), expected[0], "{normalization}: {reference:?}");
            let rate = comparison.edits().rate();
            if words.is_empty() {
                undefined += 1;
                assert_eq!((rate, &expected[3]), (None, &Value::Null));
                continue;
            }
            let of = format!("{normalization}: {reference:?}, {hypothesis:?}");
            assert_eq!(json!(counts(comparison.edits())), expected[1], "{of}");
            assert_eq!(json!(counts(comparison.character_edits())), expected[2], "{of}");
            assert!((rate.expect("words") - expected[3].as_f64().expect("a number")).abs() < 1e-4, "{of}");
        }
        assert!(undefined < 500, "{undefined} pairs compare nothing");
    }
}

#[test]
fn a_text_that_needs_several_parts_of_the_table_has_as_many_errors_as_jiwer_finds() {
    let mut random = SplitMix64::new(20_262);
    let words: Vec<&str> = "one two three four five six seven eight nine ten".split(' ').collect();
    let text = |length: usize, random: &mut SplitMix64| {
        (0..length).map(|_| pick(random, &words)).collect::<Vec<_>>().join(" ")
    };
    let pairs: Vec<[String; 2]> = [(2_500, 2_300), (40, 6_000), (6_000, 40)]
        .map(|(one, other)| [text(one, &mut random), text(other, &mut random)])
        .to_vec();
    let arguments: Vec<Value> = pairs.iter().map(|[one, other]| json!(["none", one, other])).collect();
    let Some(expected) = python("compared", &arguments) else { return };
    for ([reference, hypothesis], expected) in pairs.iter().zip(&expected) {
        let comparison = Comparison::new(Normalization::None, reference.split(' '), hypothesis.split(' '));
        let rate = comparison.edits().rate().expect("words");
        assert!((rate - expected[3].as_f64().expect("a number")).abs() < 1e-9, "{rate} {expected:?}");
        // Each word of either text is in one step, in its order.
        let of_reference: Vec<usize> = comparison.steps.iter().filter_map(|step| step.reference()).collect();
        let of_hypothesis: Vec<usize> = comparison.steps.iter().filter_map(|step| step.hypothesis()).collect();
        assert!(of_reference.into_iter().eq(0..comparison.reference.len()));
        assert!(of_hypothesis.into_iter().eq(0..comparison.hypothesis.len()));
    }
}

fn term_counts(terms: &[&str], reference: &str, hypothesis: &str) -> Vec<[u64; 3]> {
    let terms = Terms::new(terms);
    let tokens = |text| Terms::NORMALIZATION.tokens_of(text);
    let counts = terms.count(&terms.places(&Comparison::of(tokens(reference), tokens(hypothesis))));
    counts.iter().map(|counts| [counts.said, counts.heard, counts.wrongly_heard]).collect()
}

#[test]
fn key_terms_are_counted_as_their_definition_says() {
    let mut random = SplitMix64::new(20_263);
    let words = ["ahoy", "street", "order", "forty", "two", "Kowalczyk", "the"];
    let all_terms = [
        "Ahoy",
        "ahoy street",
        "Street Ahoy",
        "order forty two",
        "two",
        "Kowalczyk!",
        "the the",
        "order forty-two the",
    ];
    let mut cases: Vec<(Vec<&str>, String, String)> = Vec::new();
    while cases.len() < 1_000 {
        let [reference, hypothesis] = random_pair(&mut random, &words, 30);
        let terms = all_terms.into_iter().filter(|_| random.below(2) == 0).collect();
        if !reference.is_empty() {
            cases.push((terms, reference.join(" "), hypothesis.join(" ")));
        }
    }
    let arguments: Vec<Value> = cases.iter().map(|case| json!(case)).collect();
    let Some(expected) = python("keyterms", &arguments) else { return };
    let mut all = [0; 3];
    for ((terms, reference, hypothesis), expected) in cases.iter().zip(&expected) {
        let found = term_counts(terms, reference, hypothesis);
        assert_eq!(&json!(found), expected, "{terms:?}: {reference:?}, {hypothesis:?}");
        found.iter().flat_map(|counts| counts.iter().enumerate()).for_each(|(at, count)| all[at] += count);
    }
    assert!(all.iter().all(|count| *count > 500), "{all:?}");
}

#[test]
fn speakers_are_matched_so_that_the_errors_are_fewest() {
    let mut random = SplitMix64::new(20_264);
    let words: Vec<&str> = "one two three four five six".split(' ').collect();
    let mut cases: Vec<[Vec<String>; 2]> = Vec::new();
    for _ in 0..500 {
        let mut texts =
            || (0..1 + random.below(5)).map(|_| random_pair(&mut random, &words, 12)[1].join(" ")).collect();
        cases.push([texts(), texts()]);
    }
    let arguments: Vec<Value> = cases.iter().map(|case| json!(case)).collect();
    let Some(expected) = python("attributed", &arguments) else { return };
    for ([reference, hypothesis], expected) in cases.iter().zip(&expected) {
        let tokens =
            |texts: &[String]| texts.iter().map(|text| Normalization::None.tokens_of(text)).collect::<Vec<_>>();
        let attribution = attribute(&tokens(reference), &tokens(hypothesis));
        assert_eq!(json!(attribution.edits.errors()), *expected, "{reference:?}, {hypothesis:?}");
        let mut of_reference: Vec<usize> = attribution.pairs.iter().filter_map(|(one, _)| *one).collect();
        let mut of_hypothesis: Vec<usize> = attribution.pairs.iter().filter_map(|(_, other)| *other).collect();
        of_reference.sort_unstable();
        of_hypothesis.sort_unstable();
        assert!(of_reference.into_iter().eq(0..reference.len()) && of_hypothesis.into_iter().eq(0..hypothesis.len()));
    }
}

/// A rate with as many digits as are published.
fn rounded(rate: Option<f64>, digits: usize) -> String {
    format!("{:.digits$}", rate.expect("a rate"))
}

#[test]
fn what_an_engine_heard_gives_the_figures_that_were_published_with_it() {
    let mut fields: BTreeMap<&str, [(Edits, TermCounts); 2]> = BTreeMap::new();
    for [field, terms, said, without, with] in heard() {
        let terms = Terms::new(terms.split('|'));
        for ((edits, counts), heard) in fields.entry(field).or_default().iter_mut().zip([without, with]) {
            let tokens = |text| Terms::NORMALIZATION.tokens_of(text);
            let comparison = Comparison::of(tokens(said), tokens(heard));
            *edits += comparison.edits();
            *counts += terms.count(&terms.places(&comparison)).into_iter().sum();
        }
    }
    let figures: Vec<_> = fields
        .iter()
        .map(|(field, both)| {
            let errors = both.map(|(edits, _)| rounded(edits.rate(), 3));
            (*field, errors, both.map(|(_, counts)| rounded(counts.recall(), 2)))
        })
        .collect();
    let of =
        |field, errors: [&str; 2], recall: [&str; 2]| (field, errors.map(str::to_owned), recall.map(str::to_owned));
    assert_eq!(
        figures,
        [
            of("clinic", ["0.341", "0.107"], ["0.21", "0.82"]),
            of("engineer", ["0.333", "0.151"], ["0.31", "0.74"]),
            of("law", ["0.374", "0.115"], ["0.20", "0.82"]),
        ]
    );
}

#[test]
fn of_a_term_each_place_counts_once_also_within_a_longer_one() {
    for (terms, reference, hypothesis, expected) in [
        (&["ahoy", "Ahoy Street"][..], "Ahoy street, ahoy!", "ahoy street ahoy", vec![[2, 2, 0], [1, 1, 0]]),
        (&["ahoy", "Ahoy Street"], "ahoy street", "a boy street", vec![[1, 0, 0], [1, 0, 0]]),
        // A word between is skipped where it was heard, and where it was not.
        (&["ahoy street"], "ahoy street", "ahoy the street", vec![[1, 1, 0]]),
        (&["ahoy street"], "ahoy the street", "ahoy street", vec![[0, 0, 1]]),
        // A term in the place of another one is missed there, and heard wrongly.
        (&["ahoy", "street"], "ahoy", "street", vec![[1, 0, 0], [0, 0, 1]]),
        (&["the the"], "the the the", "the the the", vec![[2, 2, 0]]),
        // The same to the normalization, or nothing.
        (&["Ahoy", "ahoy!", "-", ""], "ahoy", "ahoy", vec![[1, 1, 0]]),
        (&[], "ahoy", "ahoy", vec![]),
        (&["ahoy"], "", "ahoy", vec![[0, 0, 1]]),
    ] {
        assert_eq!(term_counts(terms, reference, hypothesis), expected, "{terms:?}: {reference:?}, {hypothesis:?}");
    }
}

#[test]
fn places_of_terms_are_those_of_the_words_and_rates_of_nothing_are_undefined() {
    let terms = Terms::new(["Order 42"]);
    let comparison = Comparison::new(
        Terms::NORMALIZATION,
        ["It's", "order", "42,", "please."],
        ["It's", "order", "42,", "an", "order-42!"],
    );
    let places = [Place::Said { term: 0, reference: 2..4, is_heard: true }, Place::False { term: 0, hypothesis: 5..7 }];
    assert_eq!(terms.places(&comparison), places);
    let words = |tokens: &[Token], range: std::ops::Range<usize>| {
        tokens[range].iter().map(|token| token.word).collect::<Vec<_>>()
    };
    assert_eq!(words(&comparison.reference, 2..4), [1, 2]);
    assert_eq!(words(&comparison.hypothesis, 5..7), [4, 4]);
    // "please" was heard as other words, of which one gives two tokens.
    assert_eq!(comparison.wrong().collect::<Vec<_>>(), [3, 4]);

    let counts = |said, heard, wrongly_heard| TermCounts { said, heard, wrongly_heard };
    let rates = |counts: TermCounts| (counts.recall(), counts.precision(), counts.f1());
    assert_eq!(rates(counts(0, 0, 0)), (None, None, None));
    assert_eq!(rates(counts(2, 0, 0)), (Some(0.0), None, Some(0.0)));
    assert_eq!(rates(counts(0, 0, 1)), (None, Some(0.0), Some(0.0)));
    assert_eq!(rates(counts(4, 2, 2)), (Some(0.5), Some(0.5), Some(0.5)));
}

#[test]
fn what_was_heard_for_words_is_all_between_the_hits_around_them() {
    let words = |text: &'static str| text.split(' ').filter(|word| !word.is_empty());
    for (reference, hypothesis, place, expected) in [
        ("takes spironolactone daily", "takes sparing the lactone daily", 1..2, "sparing the lactone"),
        ("takes spironolactone daily", "take sparing the lactone daily", 1..2, "take sparing the lactone"),
        ("spironolactone", "sparing the", 0..1, "sparing the"),
        ("takes spironolactone daily", "takes daily", 1..2, ""),
        ("ask Anna Kowalczyk now", "ask Anna cold check now", 1..3, "Anna cold check"),
        ("ask Anna", "ask Anna", 1..2, "Anna"),
    ] {
        let comparison = Comparison::new(Normalization::None, words(reference), words(hypothesis));
        let heard: Vec<&str> =
            comparison.hypothesis[comparison.heard_for(place)].iter().map(|token| &*token.text).collect();
        assert_eq!(heard.join(" "), expected, "{reference}: {hypothesis}");
    }
}

/// The words with these confidences, of which some are wrong.
fn confidences(words: &[(f64, bool)]) -> Confidences {
    let mut confidences = Confidences::default();
    words.iter().for_each(|(confidence, is_wrong)| confidences.add(*confidence, *is_wrong));
    confidences
}

#[test]
fn marks_are_judged_at_each_threshold() {
    let words = confidences(&[(0.2, true), (0.5, false), (0.6, true), (0.9, true), (1.0, false)]);
    let found = [0.0, 0.6, 0.7, 1.0].map(|threshold| {
        let marks = words.at(threshold);
        (marks.caught, marks.marked, marks.wrong, marks.catch_rate(), marks.precision())
    });
    let third = Some(1.0 / 3.0);
    assert_eq!(
        found,
        [
            (0, 0, 3, Some(0.0), None),
            (1, 2, 3, third, Some(0.5)),
            (2, 3, 3, Some(2.0 / 3.0), Some(2.0 / 3.0)),
            (3, 5, 3, Some(1.0), Some(0.6)),
        ]
    );
    assert_eq!(confidences(&[(0.5, false)]).at(0.7).catch_rate(), None);
    assert_eq!(words.to_string().parse(), Ok(words));
    assert_eq!(Confidences::default().to_string().parse(), Ok(Confidences::default()));
    assert!(["1", "1 2", "20 1 1", "x 1 1"].iter().all(|text| text.parse::<Confidences>().is_err()));
}

#[test]
fn the_threshold_is_where_marks_go_best_with_wrong_words_once_enough_are_known() {
    // Wrong are the words below 0.5, and some of those above.
    let words: Vec<(f64, bool)> = (0..1_000).map(|at| (f64::from(at) / 1_000.0, at < 500 || at % 10 == 0)).collect();
    assert_eq!(confidences(&words).threshold(), 0.5);
    let few: Vec<(f64, bool)> = words.into_iter().take(29).collect();
    assert_eq!(confidences(&few).threshold(), 0.7);
}

/// Calls of 100 words each, with these numbers of errors.
fn calls(errors: &[u64]) -> Vec<Share> {
    errors.iter().map(|errors| Share { part: *errors, whole: 100 }).collect()
}

#[test]
fn an_interval_is_about_as_wide_as_theory_says_and_the_same_each_time() {
    let mut random = SplitMix64::new(20_265);
    let errors: Vec<u64> = (0..400).map(|_| random.below(21)).collect();
    let interval = resample::interval(&calls(&errors)).expect("many calls");
    assert_eq!(resample::interval(&calls(&errors)), Some(interval));
    let mean = errors.iter().sum::<u64>() as f64 / 400.0;
    let variance = errors.iter().map(|errors| (*errors as f64 - mean).powi(2)).sum::<f64>() / 400.0;
    // The mean of 400 calls is distributed normally: 95 % within 1.96 standard deviations.
    let half = 1.96 * (variance / 400.0).sqrt();
    for (end, expected) in [(interval.low, mean - half), (interval.high, mean + half)] {
        assert!((end * 100.0 - expected).abs() < 0.05 * half, "{interval:?}, {mean} ± {half}");
    }
}

#[test]
fn a_difference_of_the_same_calls_is_shown_where_each_call_shows_it_and_not_where_chance_may_make_it() {
    let mut random = SplitMix64::new(20_266);
    // Calls differ much from each other, and little from themselves.
    let errors: Vec<u64> = (0..50).map(|_| random.below(60)).collect();
    let paired = |other: &dyn Fn(usize, u64) -> u64| {
        let other: Vec<u64> = errors.iter().enumerate().map(|(at, errors)| other(at, *errors)).collect();
        let pairs: Vec<(Share, Share)> = calls(&errors).into_iter().zip(calls(&other)).collect();
        resample::difference(&pairs).expect("many calls")
    };
    let worse = paired(&|at, errors| errors + (at % 3) as u64);
    assert!(worse.excludes_zero() && worse.low > 0.0 && worse.high < 0.02, "{worse:?}");
    let better = paired(&|at, errors| errors.saturating_sub((at % 3) as u64));
    assert!(better.excludes_zero() && better.high < 0.0, "{better:?}");
    let same = paired(&|at, errors| if at % 2 == 0 { errors + 1 } else { errors.saturating_sub(1) });
    assert!(!same.excludes_zero(), "{same:?}");
    // The two rates alone are too uncertain to show the difference.
    let alone = resample::interval(&calls(&errors)).expect("many calls");
    assert!(alone.high - alone.low > 5.0 * worse.high, "{alone:?}");
}

#[test]
fn of_many_calls_the_interval_is_calculated_and_is_that_of_draws() {
    let mut random = SplitMix64::new(20_267);
    // Of different lengths; most are good, and some are very bad.
    let mut call = || {
        let whole = 20 + random.below(2_000);
        let most = if random.below(10) == 0 { whole } else { whole / 20 + 1 };
        Share { part: random.below(most), whole }
    };
    let calls: Vec<Share> = (0..600).map(|_| call()).collect();
    let calculated = resample::interval(&calls).expect("many calls");
    let nothing = Share { part: 0, whole: 1 };
    let pairs: Vec<(Share, Share)> = calls.iter().map(|call| (nothing, *call)).collect();
    let drawn = resample::difference(&pairs).expect("many calls");
    let width = drawn.high - drawn.low;
    for (end, expected) in [(calculated.low, drawn.low), (calculated.high, drawn.high)] {
        assert!((end - expected).abs() < 0.03 * width, "{calculated:?}, {drawn:?}");
    }
}

#[test]
fn nothing_is_said_of_less_than_two_calls_or_of_calls_without_words() {
    assert_eq!(resample::interval(&[]), None);
    assert_eq!(resample::interval(&calls(&[5])), None);
    assert_eq!(resample::interval(&[Share::default(); 3]), None);
    assert_eq!(resample::difference(&[(Share { part: 1, whole: 2 }, Share::default()); 3]), None);
    // A draw of only the calls without words has no rate.
    let some = resample::interval(&[Share::default(), Share { part: 1, whole: 2 }]).expect("an interval");
    assert_eq!((some.low, some.high), (0.5, 0.5));
}
