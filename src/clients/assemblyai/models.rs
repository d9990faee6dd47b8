//! Speech models: which are the default, which are on their way out, and what a refusal says about them.
//!
//! Sources: <https://www.assemblyai.com/docs/pre-recorded-audio/assemblyai-stt-3-7-migration-guide>,
//! <https://www.assemblyai.com/docs/getting-started/model-versions-and-deprecations>.

/// Default of `ASSEMBLYAI_SPEECH_MODELS`. Explicit, because AssemblyAI's own default changes. The second model has the
/// languages that the first one lacks.
pub const DEFAULT: &str = "assemblyai-stt-3-7,universal-2";

/// Default of `ASSEMBLYAI_PRICES`: US dollars for an hour of audio. AssemblyAI bills the seconds of the file, by the model, and
/// nothing for what fails. Some parameters cost more. Prices that accounts were charged in June 2026; that of the newest model is
/// a reseller's of November.
pub const PRICES: &str = "assemblyai-stt-3-7=0.21,universal-3-5-pro=0.21,universal-3-pro=0.21,universal-2=0.15,speaker_labels=0.02,sentiment_analysis=0.02,entity_detection=0.08,auto_highlights=0.01";

/// The default of earlier versions, under which their orders are stored.
pub const EARLIER_DEFAULT: &str = "universal-3-5-pro,universal-2";

/// The models that AssemblyAI has deprecated or no longer has, as of November 2026.
const OUTDATED: [&str; 6] = ["universal-3-5-pro", "universal-3-pro", "universal", "slam-1", "best", "nano"];

/// Longer names are none.
const LONGEST_NAME: usize = 64;

/// Whether AssemblyAI has announced the end of this model.
pub fn is_outdated(model: &str) -> bool {
    OUTDATED.contains(&model)
}

/// The names in a list such as [`DEFAULT`].
pub fn listed(models: &str) -> Vec<String> {
    models.split(',').map(|model| model.trim().to_owned()).collect()
}

/// What AssemblyAI's refusal of an order says about its speech models.
#[derive(Debug, PartialEq, Eq)]
pub struct ModelRefusal {
    /// The models of the order that it does not accept.
    pub refused: Vec<String>,
    /// The models to order with instead. Empty if it names none and the order has no other.
    pub instead: Vec<String>,
}

impl ModelRefusal {
    /// Reads a refusal of an order with these models and parameters. Returns `None` if it is about something else.
    pub fn read<'p>(words: &str, sent: &[String], parameters: impl IntoIterator<Item = &'p str>) -> Option<Self> {
        let tokens = tokens(words);
        let lower = words.to_ascii_lowercase();
        let is_about_models = tokens.iter().any(|token| {
            matches!(token.to_ascii_lowercase().as_str(), "model" | "models" | "speech_model" | "speech_models")
                || sent.iter().any(|model| model == token)
        });
        let parameters: Vec<&str> = parameters.into_iter().filter(|name| !name.starts_with("speech_model")).collect();
        let is_about_another = tokens.iter().any(|token| {
            let is_parameter = token.contains('_') && !token.to_ascii_lowercase().starts_with("speech_model");
            is_parameter || parameters.contains(token) || matches!(*token, "language" | "languages" | "Language")
        });
        if !is_about_models || is_about_another || !GONE.iter().any(|gone| lower.contains(gone)) {
            return None;
        }

        let (mut named, mut blamed): (Vec<String>, Vec<String>) = Default::default();
        let (mut before, mut is_offer): (Vec<&str>, bool) = Default::default();
        for token in tokens {
            if !is_name(token) && !sent.iter().any(|model| model == token) {
                before.push(token);
                continue;
            }
            // "X or Y" and "X, Y" offer both, or none.
            if !before.iter().all(|word| matches!(*word, "and" | "or")) {
                is_offer = offers(&before);
            }
            before.clear();
            let list = if is_offer || !sent.iter().any(|model| model == token) { &mut named } else { &mut blamed };
            if !list.iter().any(|model| model == token) {
                list.push(token.to_owned());
            }
        }
        // The next refusal would be about an outdated one.
        named.retain(|model| !blamed.contains(model) && !is_outdated(model));
        let rest = |refused: &[String]| {
            let rest = sent.iter().filter(|model| !refused.contains(model) && !named.contains(model));
            rest.cloned().collect::<Vec<_>>()
        };
        let refused = match (blamed.is_empty(), rest(&[])) {
            (false, _) => blamed,
            // "must be one of …": everything else was wrong.
            (true, others) if !named.is_empty() && !others.is_empty() => others,
            _ => sent.first().cloned().into_iter().collect(),
        };
        let mut instead: Vec<String> = named.iter().filter(|model| !refused.contains(model)).cloned().collect();
        instead.extend(rest(&refused));
        (!refused.is_empty()).then_some(Self { refused, instead })
    }
}

/// Words of a refusal that means that a model does not exist, or not any more.
const GONE: [&str; 22] = [
    "deprecated",
    "retired",
    "no longer",
    "not available",
    "unavailable",
    "unknown",
    "not supported",
    "unsupported",
    "not found",
    "not exist",
    "doesn't exist",
    "invalid",
    "not valid",
    "not a valid",
    "unrecognized",
    "not recognized",
    "discontinued",
    "sunset",
    "end of life",
    "removed",
    "one of",
    "one or more of",
];

/// What stands before the name of a model that may be ordered.
const OFFERS: [&str; 24] = [
    "use",
    "using",
    "try",
    "choose",
    "select",
    "specify",
    "switch to",
    "migrate to",
    "upgrade to",
    "move to",
    "change to",
    "replaced by",
    "replaced with",
    "superseded by",
    "one of",
    "more of",
    "any of",
    "favor of",
    "favour of",
    "supported are",
    "supported",
    "available",
    "valid",
    "allowed",
];

/// Whether a name after these words is an offer.
fn offers(before: &[&str]) -> bool {
    let is_filler = |word: &str| {
        matches!(word, "the" | "a" | "model" | "models" | "speech" | "are" | "is" | "only" | "with")
            || word.starts_with("speech_model")
    };
    let words: Vec<String> = before.iter().map(|word| word.to_ascii_lowercase()).collect();
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    let whole = words.join(" ");
    let ends = |text: &str| OFFERS.iter().any(|offer| text == *offer || text.ends_with(&format!(" {offer}")));
    if ends(&whole) && !denies(&whole) {
        return true;
    }
    while words.last().is_some_and(|word| is_filler(word)) {
        words.pop();
    }
    let stripped = words.join(" ");
    ends(&stripped) && !denies(&stripped)
}

/// "no longer available", "not supported".
fn denies(words: &str) -> bool {
    ["supported", "available", "valid", "allowed"]
        .iter()
        .any(|word| words.ends_with(&format!("not {word}")) || words.ends_with(&format!("longer {word}")))
}

/// The words of a sentence, without punctuation and addresses.
fn tokens(words: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '\'');
    let chunks = words.split_whitespace().filter(|chunk| !chunk.contains('/'));
    let parts = chunks.flat_map(|chunk| chunk.split(move |c| !is_part(c)));
    parts.map(|part| part.trim_matches(['.', '-', '\''])).filter(|part| !part.is_empty()).collect()
}

/// Whether this may be the name of a model: words and numbers in lower case with hyphens between them.
pub fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    text.len() <= LONGEST_NAME
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(fits)
        && text.contains('-')
        && text.contains(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str, sent: &[&str]) -> Option<(Vec<String>, Vec<String>)> {
        let sent: Vec<String> = sent.iter().map(|&model| model.to_owned()).collect();
        let read = ModelRefusal::read(words, &sent, ["audio_url", "speech_models", "prompt"]);
        read.map(|refusal| (refusal.refused, refusal.instead))
    }

    #[test]
    fn a_refusal_of_a_model_names_the_models_to_continue_with() {
        let (old, new, two) = ("universal-3-5-pro", "assemblyai-stt-3-7", "universal-2");
        let allowed = r#""speech_models" must be a non-empty list containing one or more of: "#;
        for (words, sent, refused, instead) in [
            (
                r#""universal-3-5-pro" is deprecated. Use "assemblyai-stt-3-7" instead."#,
                &[old, two][..],
                &[old][..],
                &[new, two][..],
            ),
            (
                "Use assemblyai-stt-3-7 instead of universal-3-5-pro, which is retired.",
                &[old, two],
                &[old],
                &[new, two],
            ),
            ("Use universal-2 or assemblyai-stt-3-7: universal-3-5-pro is retired.", &[old, two], &[old], &[two, new]),
            (
                "The speech model universal-3-5-pro has been retired in favor of assemblyai-stt-3-7.",
                &[old],
                &[old],
                &[new],
            ),
            (
                "universal-3-5-pro was replaced by assemblyai-stt-3-7 and is no longer available",
                &[old, new],
                &[old],
                &[new],
            ),
            (
                "universal-3-5-pro and universal-2 are deprecated; please migrate to assemblyai-stt-3-7",
                &[old, two],
                &[old, two],
                &[new],
            ),
            (&format!(r#"{allowed}"assemblyai-stt-3-7", "universal-2""#), &[old, two], &[old], &[new, two]),
            (
                "Invalid speech model: universal-3-5-pro. Supported models are: assemblyai-stt-3-7, universal-2.",
                &[old, two],
                &[old],
                &[new, two],
            ),
            ("Invalid speech_models: universal-3-5-pro", &[old, two], &[old], &[two]),
            (
                "Model deprecated: see https://www.assemblyai.com/docs/assemblyai-stt-3-7-migration-guide",
                &[old, two],
                &[old],
                &[two],
            ),
            ("Unknown speech model", &[old, two], &[old], &[two]),
            ("speech model \"universal-3-5-pro\" not found", &[old], &[old], &[]),
            ("The model 'universal-2' is not available for this account.", &[new, two], &[two], &[new]),
        ] {
            let expected = (refused, instead);
            let (refused, instead) = read(words, sent).unwrap_or_else(|| panic!("{words}"));
            assert_eq!((&refused[..], &instead[..]), (&owned(expected.0)[..], &owned(expected.1)[..]), "{words}");
        }
    }

    fn owned(models: &[&str]) -> Vec<String> {
        models.iter().map(|&model| model.to_owned()).collect()
    }

    #[test]
    fn a_refusal_of_anything_else_is_none_of_a_model() {
        for words in [
            "\"word_boost\" is not compatible with universal-3-pro. It is no longer supported.",
            "\"keyterms_prompt\" is not supported by universal-2",
            "\"prompt\" is not supported by universal-2",
            "The language nb is not supported by universal-2",
            "Your account balance is negative. Please top up to continue using the API.",
            "audio_url should start with http",
            "Invalid endpoint schema, please refer to documentation for examples.",
            "universal-2 is busy",
        ] {
            assert_eq!(read(words, &["universal-2"]), None, "{words}");
        }
    }
}
