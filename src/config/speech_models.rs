//! Which of the listed speech models an order with these key terms goes to, and how many of the terms they accept.

use crate::clients::assemblyai::limits;
use crate::model::keyterms::{BadKeyterms, Keyterms, Limit};

/// The models that take these key terms. `universal-2` is left out of a list with others if it would refuse or ignore some.
pub fn able(models: &[String], keyterms: &Keyterms) -> Vec<String> {
    let is_able = keyterms.fit(&limit(&[limits::UNIVERSAL_2.to_owned()])).1.is_empty();
    let has_others = models.iter().any(|model| model != limits::UNIVERSAL_2);
    let stays = |model: &&String| is_able || !has_others || *model != limits::UNIVERSAL_2;
    models.iter().filter(stays).cloned().collect()
}

/// The key terms that an order with these models can have: as many as each of them accepts, and none that all of them would
/// ignore.
pub fn limit(models: &[String]) -> Limit {
    let has_universal_2 = models.iter().any(|model| model == limits::UNIVERSAL_2);
    let other = models.iter().find(|model| *model != limits::UNIVERSAL_2);
    let is_alone = has_universal_2 && other.is_none();
    Limit {
        terms: if has_universal_2 { limits::UNIVERSAL_2_KEYTERMS } else { usize::MAX },
        words: if is_alone { usize::MAX } else { limits::KEYTERM_WORDS },
        words_in_term: limits::WORDS_IN_KEYTERM,
        characters: if is_alone { limits::UNIVERSAL_2_CHARACTERS } else { 0..=usize::MAX },
        model: other.or(models.first()).map_or("AssemblyAI", String::as_str).to_owned(),
    }
}

/// Checks that the models that take these key terms accept this many. The error names the first term beyond their limit.
pub fn check(models: &[String], keyterms: &Keyterms) -> Result<(), BadKeyterms> {
    keyterms.check(&limit(&able(models, keyterms)))
}
