//! The engine: what it hears of what is said. Words that are hard to hear come out wrong, mostly with a low confidence,
//! unless the key terms hold them; then most come out right.
//!
//! It depends on nothing but the words, the key terms and a seed. The same seed hears the same words always alike.

use std::borrow::Cow;
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use crate::sandbox::speech::Word;
use crate::splitmix::SplitMix64;

/// How many percent of the hard words are heard right without being key terms. Close to what open engines reach.
const RIGHT_BY_ITSELF: u64 = 20;
/// And how many as key terms.
const RIGHT_AS_KEYTERM: u64 = 80;
/// How many percent of the wrong words have a confidence as high as that of right ones.
const SURE_BUT_WRONG: u64 = 15;

/// A word that is hard to hear, or a few that belong together.
pub(super) struct HardWord {
    /// In lower case.
    words: Vec<String>,
    /// The policy of `redact_pii` that it falls under.
    policy: Option<&'static str>,
    heard: Vec<&'static str>,
    /// What is heard of a key term, where that is wrong too.
    heard_as_keyterm: Vec<&'static str>,
}

impl HardWord {
    /// Returns all hard words of the sandbox's scripts.
    fn all() -> &'static [Self] {
        static ALL: LazyLock<Vec<HardWord>> = LazyLock::new(|| {
            let lines = include_str!("hard_words.tsv").lines().filter(|line| !line.starts_with('#'));
            lines.map(|line| HardWord::parse(line).expect("hard_words.tsv is a part of this program")).collect()
        });
        &ALL
    }

    fn parse(line: &'static str) -> Option<Self> {
        let mut columns = line.split('\t');
        let words = columns.next()?.split(' ').map(str::to_lowercase).collect();
        let policy = columns.next().filter(|policy| *policy != "-");
        let mut list = || Some(columns.next()?.split('|').collect::<Vec<_>>());
        Some(Self { words, policy, heard: list()?, heard_as_keyterm: list()? })
    }

    /// Returns whether these words begin with it.
    fn begins(&self, words: &[Cow<'_, Word>]) -> bool {
        let begin = words.iter().take(self.words.len()).map(|word| bare(&word.text).to_lowercase());
        begin.eq(self.words.iter().cloned())
    }

    /// Returns whether one of the key terms is it or holds it.
    fn is_in(&self, keyterms: &[String]) -> bool {
        keyterms.iter().any(|term| {
            let words: Vec<String> = term.split_whitespace().map(|word| bare(word).to_lowercase()).collect();
            words.windows(self.words.len()).any(|window| window == self.words)
        })
    }
}

/// Returns the policy of `redact_pii` for a hard word.
pub(super) fn policy(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    HardWord::all().iter().find(|hard| hard.words == [word.as_str()])?.policy
}

/// Returns what the engine hears of what one voice says.
pub(super) fn hear(said: &[Cow<'static, Word>], keyterms: &[String], seed: u64) -> Vec<Cow<'static, Word>> {
    let mut heard = Vec::with_capacity(said.len());
    let mut rest = said;
    while let Some((first, others)) = rest.split_first() {
        let Some(hard) = HardWord::all().iter().find(|hard| hard.begins(rest)) else {
            heard.push(first.clone());
            rest = others;
            continue;
        };
        let (words, others) = rest.split_at(hard.words.len());
        rest = others;
        // It may be heard otherwise the next time.
        let mut random = random(seed, &hard.words.join(" "), first.start);
        let draw = random.below(100);
        if hard.is_in(keyterms) {
            if draw < RIGHT_AS_KEYTERM {
                heard.extend_from_slice(words);
            } else {
                heard.extend(misheard(words, &hard.heard_as_keyterm, &mut random));
            }
        } else if draw < RIGHT_BY_ITSELF {
            for word in words {
                let mut word = word.clone();
                word.to_mut().confidence = between(45, 80, &mut random);
                heard.push(word);
            }
        } else {
            heard.extend(misheard(words, &hard.heard, &mut random));
        }
    }
    heard
}

/// Returns one of these mishearings in place of the words that were said. Its words share their time by their letters.
fn misheard(said: &[Cow<'_, Word>], mishearings: &[&str], random: &mut SplitMix64) -> Vec<Cow<'static, Word>> {
    let (Some(first), Some(last)) = (said.first(), said.last()) else { return Vec::new() };
    // An index of a slice.
    let chosen = mishearings[random.below(mishearings.len() as u64) as usize];
    let letters = |text: &str| text.chars().count() as u64;
    let (length, all) = (last.end - first.start, letters(&chosen.replace(' ', "")));
    let is_sure = random.below(100) < SURE_BUT_WRONG;
    let mut before = 0;
    let word = |text: &str| {
        let start = first.start + length * before / all;
        before += letters(text);
        let end = first.start + length * before / all;
        let confidence = if is_sure { between(80, 93, random) } else { between(24, 62, random) };
        Word { text: text.to_owned(), start, end, confidence }
    };
    let mut words: Vec<Word> = chosen.split(' ').map(word).collect();
    if let Some(end) = words.last_mut() {
        end.text.push_str(after(&last.text));
    }
    words.into_iter().map(Cow::Owned).collect()
}

/// Returns the word without the punctuation around it.
pub(super) fn bare(word: &str) -> &str {
    word.trim_matches(|character: char| !character.is_alphanumeric())
}

/// Returns the punctuation after a word.
fn after(word: &str) -> &str {
    word.trim_start_matches(|character: char| !character.is_alphanumeric())
        .trim_start_matches(|character: char| character.is_alphanumeric() || matches!(character, '\'' | '-'))
}

/// Returns a confidence between these two, in hundredths.
fn between(least: u64, most: u64, random: &mut SplitMix64) -> f64 {
    // Fewer than a hundred steps.
    (least + random.below(most - least + 1)) as f64 / 100.0
}

/// Returns a generator that these alone determine.
fn random(seed: u64, term: &str, start: u64) -> SplitMix64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(start.to_le_bytes());
    hash.update(term.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let (first, _) = digest.split_first_chunk().expect("longer than 8 bytes");
    SplitMix64::new(u64::from_le_bytes(*first))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sandbox::speech::{self, Form, Layout, Scene, Script};

    /// All that is said in the three conversations.
    fn conversations() -> Vec<Cow<'static, Word>> {
        let scripts = [Script::Clinic, Script::Engineer, Script::Law].into_iter();
        let voices = scripts.flat_map(|script| Scene { script, layout: Layout::OperatorFirst }.voices(Form::Both));
        voices.flat_map(|voice| voice.words).collect()
    }

    fn all_terms() -> Vec<String> {
        HardWord::all().iter().map(|hard| hard.words.join(" ").to_uppercase()).collect()
    }

    fn text(words: &[Cow<'_, Word>]) -> String {
        words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Returns how many percent of the hard words are heard right, over many seeds.
    fn recall(keyterms: &[String]) -> usize {
        let said = conversations();
        let (mut right, mut all) = (0, 0);
        for hard in HardWord::all() {
            let places: Vec<&[Cow<'_, Word>]> =
                said.windows(hard.words.len()).filter(|window| hard.begins(window)).collect();
            assert!(!places.is_empty(), "{:?} is said nowhere", hard.words);
            for place in places {
                for seed in 0..200 {
                    all += 1;
                    right += usize::from(text(&hear(place, keyterms, seed)) == text(place));
                }
            }
        }
        right * 100 / all
    }

    #[test]
    fn most_hard_words_are_heard_right_if_they_are_key_terms_and_few_if_not() {
        assert!((15..=25).contains(&recall(&[])));
        assert!((75..=85).contains(&recall(&all_terms())));
    }

    #[test]
    fn a_key_term_helps_only_the_words_that_it_holds() {
        let said = conversations();
        let begins = |first: &str| said.iter().position(|word| word.text.starts_with(first)).unwrap();
        let (name, drug) = (begins("Kowalczyk"), begins("tacrolimus"));
        let term = ["Mrs. Siobhan  KOWALCZYK".to_owned()];
        let changed = |at: usize| {
            let heard = |keyterms, seed| text(&hear(&said[at..=at], keyterms, seed));
            (0..50).filter(|seed| heard(&[], *seed) != heard(&term, *seed)).count()
        };
        assert_eq!(changed(drug), 0);
        assert!((20..50).contains(&changed(name)), "{}", changed(name));
    }

    #[test]
    fn a_word_that_is_not_hard_is_always_heard_as_it_is_said() {
        let said: Vec<Cow<'_, Word>> = speech::words().iter().map(Cow::Borrowed).collect();
        assert_eq!(format!("{:?}", hear(&said, &[], 7)), format!("{said:?}"));
    }

    #[test]
    fn one_recording_is_always_heard_alike_and_another_is_not() {
        let said = conversations();
        assert_eq!(text(&hear(&said, &[], 1)), text(&hear(&said, &[], 1)));
        let texts: BTreeSet<String> = (0..20).map(|seed| text(&hear(&said, &[], seed))).collect();
        assert_eq!(texts.len(), 20);
    }

    #[test]
    fn most_wrong_words_have_a_low_confidence() {
        let said = conversations();
        let spoken: BTreeSet<&str> = said.iter().map(|word| word.text.as_str()).collect();
        let heard: Vec<Cow<'_, Word>> = (0..20).flat_map(|seed| hear(&said, &[], seed)).collect();
        let wrong: Vec<_> = heard.iter().filter(|word| !spoken.contains(word.text.as_str())).collect();
        let low = wrong.iter().filter(|word| word.confidence < 0.65).count();
        assert!((80..=90).contains(&(low * 100 / wrong.len())), "{low} of {}", wrong.len());
    }

    #[test]
    fn a_mishearing_takes_the_time_and_the_punctuation_of_what_was_said() {
        let (spoken, terms) = (conversations(), all_terms());
        for hard in HardWord::all() {
            for said in spoken.windows(hard.words.len()).filter(|window| hard.begins(window)) {
                for (seed, keyterms) in (0..20).flat_map(|seed| [(seed, &[][..]), (seed, &terms)]) {
                    let heard = hear(said, keyterms, seed);
                    let times: Vec<u64> = heard.iter().flat_map(|word| [word.start, word.end]).collect();
                    assert!(times.is_sorted(), "{heard:?}");
                    assert_eq!(
                        (times.first(), times.last()),
                        (said.first().map(|word| &word.start), said.last().map(|word| &word.end))
                    );
                    let end = |words: &[Cow<'_, Word>]| text(words).chars().last().filter(|last| ".,?".contains(*last));
                    assert_eq!(end(&heard), end(said), "{heard:?} {said:?}");
                }
            }
        }
    }
}
