//! Which of the listed speech models an order with these key terms goes to, and how many of the terms they accept.

use crate::clients::assemblyai::limits;
use crate::model::keyterms::{BadKeyterms, Keyterms, Limit};

/// The models that take these key terms. `universal-2` is left out of a list with others if it would refuse or ignore some.
pub fn able(models: &[String], keyterms: &Keyterms) -> Vec<String> {
    let is_able = keyterms.fit(&limit_of_universal_2()).1.is_empty();
    let has_others = models.iter().any(|model| model != limits::UNIVERSAL_2);
    let stays = |model: &&String| is_able || !has_others || *model != limits::UNIVERSAL_2;
    models.iter().filter(stays).cloned().collect()
}

/// The key terms that each of these models accepts.
pub fn limit(models: &[String]) -> Limit {
    if models.iter().any(|model| model == limits::UNIVERSAL_2) {
        return limit_of_universal_2();
    }
    Limit {
        terms: usize::MAX,
        words: limits::KEYTERM_WORDS,
        words_in_term: limits::WORDS_IN_KEYTERM,
        characters: 0..=usize::MAX,
        model: models.first().map_or("AssemblyAI", String::as_str).to_owned(),
    }
}

fn limit_of_universal_2() -> Limit {
    Limit {
        terms: limits::UNIVERSAL_2_KEYTERMS,
        words: usize::MAX,
        words_in_term: limits::WORDS_IN_KEYTERM,
        characters: limits::UNIVERSAL_2_CHARACTERS,
        model: limits::UNIVERSAL_2.to_owned(),
    }
}

/// Checks that at least one of these models accepts this many key terms. The error names the first term beyond its limit.
pub fn check(models: &[String], keyterms: &Keyterms) -> Result<(), BadKeyterms> {
    keyterms.check(&limit(&able(models, keyterms)))
}
