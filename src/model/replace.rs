//! Find and replace: where a text is said, and what stands there afterwards. Pure.

use serde::{Deserialize, Serialize};

use super::word::{SpokenWord, is_spaced, is_unspaced, join};

/// Words around a place that are shown with it, on each side.
const AROUND: usize = 6;

/// Tolerance, in milliseconds, for times at which one voice follows another.
const TOLERANCE: i64 = 50;

/// Maximum length of both texts, in characters.
const LONGEST: usize = 500;

/// What stands before or after a word without being part of it.
const AROUND_WORDS: &[char] = &[
    '.', ',', ';', ':', '!', '?', '…', '"', '\'', '(', ')', '[', ']', '“', '”', '„', '‘', '’', '«', '»', '¿', '¡', '–',
    '—', '。', '、', '،', '؟',
];

/// Shorter words of ASCII characters are heard everywhere, rightly as a rule.
const SHORTEST_ALIKE: usize = 4;

/// What to look for, and what to put there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacing {
    pub find: String,
    pub with: String,
    /// Whether case matters.
    pub case: bool,
    pub whole_words: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReplacing {
    #[error("find: expected a text to look for")]
    Nothing,
    #[error("find and with: expected at most {LONGEST} characters")]
    Long,
}

/// A place at which the text is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Positions of the words that change. `to` is not among them.
    pub from: usize,
    pub to: usize,
    /// What stands there afterwards.
    pub text: String,
    /// The words that the same voice says around it, with those that change.
    pub context: String,
    /// Who says it, if voices were told apart.
    pub speaker: Option<String>,
    pub channel: Option<String>,
    /// When it is said, in milliseconds from the start of the audio.
    pub at: i64,
}

/// Neighboring words in which the text is found.
struct Match {
    from: usize,
    to: usize,
    /// Where, in bytes of all words as one text.
    ranges: Vec<(usize, usize)>,
}

impl Replacing {
    /// Both texts may have any spaces between their words.
    pub fn new(find: &str, with: &str, case: bool, whole_words: bool) -> Result<Self, BadReplacing> {
        let spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (find, with) = (spaced(find), spaced(with));
        if find.is_empty() {
            return Err(BadReplacing::Nothing);
        }
        if [&find, &with].iter().any(|text| text.chars().count() > LONGEST) {
            return Err(BadReplacing::Long);
        }
        Ok(Self { find, with, case, whole_words })
    }

    /// Returns what corrects other places where the same was heard, after somebody has corrected one of them. `None` if
    /// that would do harm: for a short word, where words are only taken out, and if the new text contains the old one, so that
    /// it would be found again.
    pub fn alike(heard: &str, now: &str) -> Option<Self> {
        let bare = |text: &str| text.trim_matches(AROUND_WORDS).to_owned();
        let (find, with) = (bare(heard), bare(now));
        let is_short = find.chars().all(|c| c.is_ascii_alphanumeric()) && find.len() < SHORTEST_ALIKE;
        let lower = |text: &str| format!(" {} ", text.to_lowercase());
        let contains = |text: &str, part: &str| lower(text).contains(&lower(part));
        if is_short || with.is_empty() || contains(&with, &find) || contains(&find, &with) {
            return None;
        }
        Self::new(&find, &with, false, true).ok()
    }

    /// Returns the places in these words, in order. What two voices say between them is no place.
    pub fn places(&self, words: &[&SpokenWord]) -> Vec<Place> {
        let (text, ends) = text_of(words);
        let chars: Vec<(char, usize, usize)> = self.compared(&text);
        let needle: Vec<char> = self.compared(&self.find).into_iter().map(|(c, ..)| c).collect();
        let word_at = |byte: usize| ends.partition_point(|end| *end <= byte);
        let mut matches: Vec<Match> = Vec::new();
        let mut at = 0;
        while at + needle.len() <= chars.len() {
            let found = &chars[at..at + needle.len()];
            if !found.iter().map(|(c, ..)| c).eq(&needle) || !self.is_whole(&chars, at, at + needle.len()) {
                at += 1;
                continue;
            }
            at += needle.len();
            let (begin, end) = (found[0].1, found[found.len() - 1].2);
            let (from, to) = (word_at(begin), word_at(end - 1) + 1);
            if !words[from..to].iter().all(|word| word.has_voice_of(words[from])) {
                continue;
            }
            // A word may have several.
            match matches.last_mut().filter(|last| last.to > from) {
                Some(last) => {
                    last.to = to;
                    last.ranges.push((begin, end));
                }
                None => matches.push(Match { from, to, ranges: vec![(begin, end)] }),
            }
        }
        let place = |Match { from, to, ranges }: Match| {
            let begin = from.checked_sub(1).map_or(0, |before| ends[before]);
            let (mut after, mut done) = (String::new(), begin);
            for (begin, end) in ranges {
                after += &text[done..begin];
                after += &self.with;
                done = end;
            }
            after += &text[done..ends[to - 1]];
            // Where a word goes, its punctuation goes as well.
            let is_gone = self.with.is_empty() && !after.contains(char::is_alphanumeric);
            let text = if is_gone { String::new() } else { after.trim().to_owned() };
            let SpokenWord { start: at, speaker, channel, .. } = words[from].clone();
            Place { from, to, text, context: join(around(words, from, to)), speaker, channel, at }
        };
        matches.into_iter().map(place).collect()
    }

    /// The characters of a text as they are compared, each with its place in the text.
    fn compared(&self, text: &str) -> Vec<(char, usize, usize)> {
        let mut compared = Vec::with_capacity(text.len());
        for (at, c) in text.char_indices() {
            let end = at + c.len_utf8();
            if self.case {
                compared.push((c, at, end));
            } else {
                compared.extend(c.to_lowercase().map(|lower| (lower, at, end)));
            }
        }
        compared
    }

    /// Whether no word goes on before or after these characters.
    fn is_whole(&self, chars: &[(char, usize, usize)], from: usize, to: usize) -> bool {
        let char_at = |at: Option<usize>| at.and_then(|at| chars.get(at)).map(|(c, ..)| *c);
        let is_end = |outer: Option<char>, inner: Option<char>| {
            let goes_on = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && !is_unspaced(c));
            !(goes_on(outer) && goes_on(inner))
        };
        !self.whole_words
            || is_end(char_at(from.checked_sub(1)), char_at(Some(from)))
                && is_end(char_at(Some(to)), char_at(to.checked_sub(1)))
    }
}

/// Returns these words and some that the same voice says before and after them, without being interrupted.
fn around<'w>(words: &[&'w SpokenWord], from: usize, to: usize) -> Vec<&'w SpokenWord> {
    let is_own = |at: &usize| words[*at].has_voice_of(words[from]);
    let mut before = vec![from];
    for at in (0..from).rev().filter(is_own).take(AROUND) {
        if is_interrupted(words, at, before[before.len() - 1]) {
            break;
        }
        before.push(at);
    }
    let mut after = vec![to - 1];
    for at in (to..words.len()).filter(is_own).take(AROUND) {
        if is_interrupted(words, after[after.len() - 1], at) {
            break;
        }
        after.push(at);
    }
    let own = before.into_iter().skip(1).rev().chain(from..to).chain(after.into_iter().skip(1));
    own.map(|at| words[at]).collect()
}

/// Whether a paragraph ends between two words of a voice that has no other word between them: where somebody wants one to begin, and
/// where another voice speaks in a pause or after a sentence.
fn is_interrupted(words: &[&SpokenWord], one: usize, next: usize) -> bool {
    let (before, after) = (words[one], words[next]);
    let ends_sentence = before.text.ends_with(['.', '?', '!', '…', '。', '？', '！']);
    let is_in_pause =
        |other: &&SpokenWord| other.start >= before.end - TOLERANCE && other.end <= after.start + TOLERANCE;
    let others = &words[one + 1..next];
    after.begins.unwrap_or(others.iter().any(|other| ends_sentence || is_in_pause(other)))
}

/// Joins words, and tells where each ends in the text.
fn text_of(words: &[&SpokenWord]) -> (String, Vec<usize>) {
    let (mut text, mut ends) = (String::new(), Vec::with_capacity(words.len()));
    for word in words {
        text += if text.is_empty() || !is_spaced(&text, &word.text) { "" } else { " " };
        text += &word.text;
        ends.push(text.len());
    }
    (text, ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(find: &str, with: &str, case: bool, whole_words: bool, text: &str) -> Vec<(usize, usize, String)> {
        let word = |(at, text): (usize, &str)| SpokenWord {
            text: text.to_owned(),
            start: at as i64,
            end: at as i64,
            confidence: Some(1.0),
            speaker: text.starts_with('#').then(|| "B".to_owned()),
            channel: None,
            begins: None,
        };
        let words: Vec<SpokenWord> = text.split(' ').enumerate().map(word).collect();
        let replacing = Replacing::new(find, with, case, whole_words).expect("texts");
        let places = replacing.places(&words.iter().collect::<Vec<_>>());
        places.into_iter().map(|place| (place.from, place.to, place.text)).collect()
    }

    #[test]
    fn a_text_is_found_in_whole_words_and_punctuation_stays() {
        let text = "Ring Clerk Ridge, please. The clerk ridge-line of Clerk Ridges";
        let expected = [(1, 3, "Clara Ridge,".to_owned()), (5, 7, "Clara Ridge-line".to_owned())];
        assert_eq!(replaced("clerk  ridge", "Clara Ridge", false, true, text), expected);
        assert_eq!(replaced("Clerk Ridge", "Clara Ridge", true, true, text), expected[..1]);
        let parts = replaced("ridge", "bridge", false, false, text);
        assert_eq!(parts.iter().map(|(from, ..)| *from).collect::<Vec<_>>(), [2, 6, 9]);
        assert_eq!(replaced("a", "o", false, false, "banana split"), [(0, 1, "bonono".to_owned())]);
    }

    #[test]
    fn a_word_that_is_taken_out_takes_its_punctuation_with_it() {
        assert_eq!(replaced("um", "", false, true, "Well, um, yes"), [(1, 2, String::new())]);
    }

    #[test]
    fn texts_without_spaces_are_found_and_what_two_people_say_is_not() {
        assert_eq!(replaced("天気", "電気", false, true, "今日は天気が いい"), [(0, 1, "今日は電気が".to_owned())]);
        assert_eq!(replaced("a #b", "x", false, true, "a #b"), []);
        assert_eq!(replaced("STRASSE", "Weg", false, true, "die Strasse İ"), [(1, 2, "Weg".to_owned())]);
    }

    #[test]
    fn a_correction_is_offered_elsewhere_unless_it_would_do_harm() {
        let alike = |heard: &str, now: &str| Replacing::alike(heard, now).map(|alike| (alike.find, alike.with));
        let offered = |find: &str, with: &str| Some((find.to_owned(), with.to_owned()));
        assert_eq!(alike("Clerk Ridge.", "“Clara Ridge”,"), offered("Clerk Ridge", "Clara Ridge"));
        assert_eq!(alike("see plus plus", "C++"), offered("see plus plus", "C++"));
        assert_eq!(alike("天気", "電気"), offered("天気", "電気"));
        for (heard, now) in
            [("a", "the"), ("um, I", "I"), ("meter", ""), ("Ridge", "Clerk Ridge"), ("", "new"), ("...", "so")]
        {
            assert_eq!(alike(heard, now), None, "{heard} {now}");
        }
        assert_eq!(alike("meter", &"x".repeat(501)), None);
    }

    #[test]
    fn an_empty_or_long_text_is_refused() {
        assert_eq!(Replacing::new(" \n", "x", false, true), Err(BadReplacing::Nothing));
        assert_eq!(Replacing::new("x", &"y".repeat(501), false, true), Err(BadReplacing::Long));
    }
}
