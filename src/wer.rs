//! `callscribe wer`: how right a transcript is, measured against a reference, both from files. [`accuracy`](crate::accuracy)
//! says what is counted, and how; here are only the options, the files and the JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::accuracy::{Attribution, Comparison, Edits, Normalization, TermCounts, Terms, attribute};
use crate::clients::assemblyai::TranscriptStatus;
use crate::config::Problem;
use crate::model::keyterms::Keyterms;

/// The most words of a text, or characters where these are counted. More would take minutes.
const MOST: usize = 250_000;

/// The most speakers of a text that are matched with those of the other.
const MOST_SPEAKERS: usize = 100;

/// The values of the options.
#[derive(Default)]
struct Options {
    reference: Option<OsString>,
    hypothesis: Option<OsString>,
    normalize: Option<OsString>,
    keyterms: Option<OsString>,
}

/// What a file says.
struct Said {
    file: OsString,
    text: String,
    /// Empty for a plain text.
    words: Vec<Word>,
}

/// The fields of AssemblyAI's JSON that count here.
#[derive(Deserialize)]
struct Transcript {
    status: Option<TranscriptStatus>,
    text: Option<String>,
    words: Option<Vec<Word>>,
}

#[derive(Deserialize)]
struct Word {
    text: String,
    #[serde(default, deserialize_with = "label")]
    speaker: Option<String>,
    #[serde(default, deserialize_with = "label")]
    channel: Option<String>,
}

/// Words by the label of their channel or speaker. `None` is that of words without one.
type Labeled<'w> = BTreeMap<Option<&'w str>, Vec<&'w str>>;

/// Runs the command with the arguments after its name. Returns what to print: a JSON object in one line. The problem names an
/// option or a file.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Result<String, Problem> {
    let options = Options::read(arguments)?;
    let normalization = match options.normalize {
        None => Normalization::default(),
        Some(name) => name.to_string_lossy().parse().map_err(|bad| problem("--normalize", bad))?,
    };
    let required = |file: Option<_>, option| file.ok_or_else(|| problem(option, "missing; expected a file"));
    let reference = Said::read(required(options.reference, "--reference")?)?;
    let hypothesis = Said::read(required(options.hypothesis, "--hypothesis")?)?;
    let keyterms = options.keyterms.map(|file| read(&file)).transpose()?;

    let whole = compare(normalization, &reference, &hypothesis)?;
    if whole.reference.is_empty() {
        let text = format!("has no words with --normalize {normalization}, so the word error rate is undefined");
        return Err(problem(reference.file, text));
    }
    let mut report = Map::from_iter([("normalize".to_owned(), json!(normalization.as_str()))]);
    report.append(&mut figures("words", whole.edits(), "wer"));
    if let Some(keyterms) = keyterms {
        let comparison = compare(Terms::NORMALIZATION, &reference, &hypothesis)?;
        report.insert("keyterms".to_owned(), of_keyterms(&Keyterms::from_lines(&keyterms), &comparison));
    }
    if whole.is_unspaced() {
        for (said, tokens) in [(&reference, &whole.reference), (&hypothesis, &whole.hypothesis)] {
            let characters = tokens.iter().map(|token| token.text.chars().count()).sum();
            at_most(characters, "characters", said)?;
        }
        report.insert("characters".to_owned(), figures("characters", whole.character_edits(), "cer").into());
    }
    let channels = of_channels(normalization, &reference, &hypothesis);
    report.extend(channels.map(|channels| ("channels".to_owned(), channels)));
    let speakers = of_speakers(normalization, &reference, &hypothesis);
    report.extend(speakers.map(|speakers| ("speakers".to_owned(), speakers)));
    Ok(Value::Object(report).to_string() + "\n")
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = OsString>) -> Result<Self, Problem> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            let value = match argument.to_str() {
                Some("--reference") => &mut options.reference,
                Some("--hypothesis") => &mut options.hypothesis,
                Some("--normalize") => &mut options.normalize,
                Some("--keyterms") => &mut options.keyterms,
                _ => return Err(problem(argument, "unknown option; callscribe --help lists all options")),
            };
            if value.is_some() {
                return Err(problem(argument, "given twice"));
            }
            *value = Some(arguments.next().ok_or_else(|| problem(argument, "missing; expected a value"))?);
        }
        Ok(options)
    }
}

impl Said {
    fn read(file: OsString) -> Result<Self, Problem> {
        let text = read(&file)?;
        if !text.trim_start().starts_with('{') {
            return Ok(Self { file, text, words: Vec::new() });
        }
        let transcript: Transcript = serde_json::from_str(&text)
            .map_err(|bad| problem(&file, format!("starts with {{, but is no transcript of AssemblyAI: {bad}")))?;
        let Transcript { status, text, words } = transcript;
        if status.is_some_and(|status| status != TranscriptStatus::Completed) {
            return Err(problem(file, "the transcript is not completed"));
        }
        // A completed transcript lacks both if nothing was said.
        if status.is_none() && text.is_none() && words.is_none() {
            return Err(problem(file, "is no transcript of AssemblyAI: it has neither text nor words"));
        }
        let words = words.unwrap_or_default();
        let text = text.unwrap_or_else(|| words.iter().map(|word| &*word.text).collect::<Vec<_>>().join(" "));
        Ok(Self { file, text, words })
    }

    /// The words by their labels. `None` if no word has one.
    fn by(&self, label: impl Fn(&Word) -> &Option<String>) -> Option<Labeled<'_>> {
        let mut all = Labeled::new();
        for word in &self.words {
            all.entry(label(word).as_deref()).or_default().push(&word.text);
        }
        all.keys().any(Option::is_some).then_some(all)
    }
}

/// Reads a text in UTF-8.
fn read(file: &OsStr) -> Result<String, Problem> {
    let bytes = fs::read(file).map_err(|error| problem(file, format!("cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| problem(file, "expected text in UTF-8"))?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// A name may be any argument, and hold anything.
fn problem(name: impl AsRef<OsStr>, text: impl ToString) -> Problem {
    Problem::new(name.as_ref().to_string_lossy().replace(char::is_control, " "), text.to_string())
}

/// Reads a label of a speaker or channel. Anything but a text or a number counts as none.
fn label<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(source)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

fn compare(normalization: Normalization, reference: &Said, hypothesis: &Said) -> Result<Comparison, Problem> {
    let (of_reference, of_hypothesis) =
        (normalization.tokens_of(&reference.text), normalization.tokens_of(&hypothesis.text));
    at_most(of_reference.len(), "words", reference)?;
    at_most(of_hypothesis.len(), "words", hypothesis)?;
    Ok(Comparison::of(of_reference, of_hypothesis))
}

fn at_most(count: usize, what: &str, said: &Said) -> Result<(), Problem> {
    let is_short = count <= MOST;
    is_short.then_some(()).ok_or_else(|| problem(&said.file, format!("has {count} {what}; the maximum is {MOST}")))
}

/// The figures of an alignment, with the names of the number of words, or characters, and of their error rate.
fn figures(count: &str, edits: Edits, rate: &str) -> Map<String, Value> {
    let fields = [
        (count, json!(edits.words())),
        ("hits", json!(edits.hits)),
        ("substitutions", json!(edits.substitutions)),
        ("deletions", json!(edits.deletions)),
        ("insertions", json!(edits.insertions)),
        (rate, json!(edits.rate())),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn of_keyterms(keyterms: &Keyterms, comparison: &Comparison) -> Value {
    let terms = Terms::new(keyterms.as_slice());
    let counts = terms.count(&terms.places(comparison));
    let named = |(term, counts): (&String, &TermCounts)| object("term", term.as_str(), term_figures(counts));
    let mut report = object("normalize", Terms::NORMALIZATION.as_str(), term_figures(&counts.iter().copied().sum()));
    report.insert("terms".to_owned(), terms.as_slice().iter().zip(&counts).map(named).collect());
    report.into()
}

fn term_figures(counts: &TermCounts) -> Map<String, Value> {
    let fields = [
        ("said", json!(counts.said)),
        ("heard", json!(counts.heard)),
        ("false", json!(counts.wrongly_heard)),
        ("recall", json!(counts.recall())),
        ("precision", json!(counts.precision())),
        ("f1", json!(counts.f1())),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns an object of figures. Its first field says what they are about.
fn object(name: &str, value: &str, mut figures: Map<String, Value>) -> Map<String, Value> {
    let mut object = Map::from_iter([(name.to_owned(), json!(value))]);
    object.append(&mut figures);
    object
}

/// The figures of each channel, if both texts tell channels apart.
fn of_channels(normalization: Normalization, reference: &Said, hypothesis: &Said) -> Option<Value> {
    let (reference, hypothesis) = (reference.by(|word| &word.channel)?, hypothesis.by(|word| &word.channel)?);
    let both: BTreeSet<&str> = reference.keys().chain(hypothesis.keys()).flatten().copied().collect();
    let of_channel = |channel| {
        let words = |said: &Labeled<'_>| normalization.tokens(said.get(&Some(channel)).into_iter().flatten().copied());
        let comparison = Comparison::of(words(&reference), words(&hypothesis));
        object("channel", channel, figures("words", comparison.edits(), "wer"))
    };
    Some(both.into_iter().map(of_channel).collect())
}

/// The figures of words with the right speakers, if both texts tell speakers apart.
fn of_speakers(normalization: Normalization, reference: &Said, hypothesis: &Said) -> Option<Value> {
    let (reference, hypothesis) = (reference.by(|word| &word.speaker)?, hypothesis.by(|word| &word.speaker)?);
    if reference.len().max(hypothesis.len()) > MOST_SPEAKERS {
        return None;
    }
    let tokens =
        |said: &Labeled| said.values().map(|words| normalization.tokens(words.iter().copied())).collect::<Vec<_>>();
    let Attribution { pairs, edits } = attribute(&tokens(&reference), &tokens(&hypothesis));
    let name = |said: &Labeled, at: Option<usize>| said.keys().nth(at?).copied()?.map(str::to_owned);
    let pair = |(one, other)| json!({ "reference": name(&reference, one), "hypothesis": name(&hypothesis, other) });
    let mut report = figures("words", edits, "cpwer");
    report.insert("pairs".to_owned(), pairs.into_iter().map(pair).collect());
    Some(report.into())
}
