//! The vocabulary: words and phrases that transcripts must get right, each with the calls that it is for, where it comes from,
//! and what became of it.

use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;

use super::call::Call;
use super::name::{BadName, Name};
use super::new_id;
use super::phone::PhoneNumber;
use super::word::is_unspaced;

/// What a change of any term is about, for the pages that show terms.
pub const VOCABULARY: &str = "vocabulary";

/// Maximum length of a term, in characters.
const LONGEST: usize = 200;

/// Our id of a term: 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TermId(String);

text_of!(TermId);

impl TermId {
    /// A new id. Ids sort by `at`, in milliseconds since 1970.
    pub fn new(at: i64) -> Self {
        Self(new_id(at))
    }
}

impl From<String> for TermId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

/// A word or phrase in the vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    pub id: TermId,
    pub term: TermText,
    pub scope: Scope,
    pub source: Source,
    pub state: TermState,
    /// In milliseconds since 1970.
    pub made_at: i64,
    /// Who made it, for people.
    pub made_by: String,
    pub counts: Counts,
    /// `None` if nobody has decided on one.
    pub spelling: Option<Spelling>,
}

/// A word, or up to 200 characters of several, on one line with single spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermText(String);

/// How often a term was said in transcripts that somebody has corrected or checked, and what was heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub said: i64,
    /// Of `said`, how often it was heard.
    pub heard: i64,
    /// How often it was heard where something else was said.
    pub heard_wrongly: i64,
    /// How often somebody corrected something else to it.
    pub corrected: i64,
    /// How often somebody accepted it as right where AssemblyAI was unsure of it.
    pub accepted: i64,
}

/// The calls that a term is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    All,
    /// Those with this number at the other end.
    Contact(PhoneNumber),
    /// Those that were dialed with this tag.
    Tag(Name),
}

/// Where a term comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `KEYTERMS`.
    Setting,
    /// `KEYTERMS_FILE`.
    File,
    /// Somebody added it.
    Typed,
    /// Corrections.
    Learned,
}

words! {
    Source:
    Setting = "setting",
    File = "file",
    Typed = "typed",
    Learned = "learned",
}

/// What became of a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TermState {
    /// Orders take it, as far as there is room.
    Active,
    /// It waits for somebody to accept or reject it.
    Proposed,
    /// It is not proposed again.
    Rejected,
    /// It was active once.
    Retired,
}

/// Something that AssemblyAI always hears in place of a term. With `custom_spelling` it spells that as the term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spelling {
    pub from: String,
    pub state: SpellingState,
}

/// What became of a spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpellingState {
    /// Orders send it.
    Active,
    /// It waits for somebody to accept or reject it.
    Proposed,
    /// It is not proposed again.
    Rejected,
}

words! {
    SpellingState:
    Active = "active",
    Proposed = "proposed",
    Rejected = "rejected",
}

words! {
    TermState:
    Active = "active",
    Proposed = "proposed",
    Rejected = "rejected",
    Retired = "retired",
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTerm {
    #[error("term: expected a word or a phrase")]
    Empty,
    #[error("term: expected at least two letters or digits; \"{0}\" would be heard everywhere")]
    OneLetter(String),
    #[error("term: expected at most {LONGEST} characters; this one has {0}")]
    Long(usize),
    #[error("scope: expected {{\"all\": true}}, {{\"contact\": \"+14155551234\"}} or {{\"tag\": \"spring\"}}")]
    Scope,
}

impl Term {
    /// A new active term that somebody typed.
    pub fn typed(term: TermText, scope: Scope, made_by: String, made_at: i64) -> Self {
        let (source, state, counts) = (Source::Typed, TermState::Active, Counts::default());
        Self { id: TermId::new(made_at), term, scope, source, state, made_at, made_by, counts, spelling: None }
    }
}

impl TermText {
    /// A term as it is stored: some of contacts and settings are older than the rules for terms.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both are one term, as people type it: they differ by hyphens and spaces, or by one letter of many.
    pub fn is_like(&self, other: &Self) -> bool {
        const LETTERS: usize = 6;
        let letters = |term: &Self| term.lower_case().chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        let (one, two) = (letters(self), letters(other));
        let has_many = one.chars().count().min(two.chars().count()) >= LETTERS;
        one == two || has_many && strsim::damerau_levenshtein(&one, &two) <= 1
    }

    /// Returns the term without case. A scope has only one term with the same.
    pub fn lower_case(&self) -> String {
        self.0.to_lowercase()
    }
}

impl fmt::Display for TermText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TermText {
    type Err = BadTerm;

    fn from_str(text: &str) -> Result<Self, BadTerm> {
        let name = match text.parse::<Name>() {
            Ok(name) => name.to_string(),
            Err(BadName::Empty) => return Err(BadTerm::Empty),
            Err(BadName::Long(length)) => return Err(BadTerm::Long(length)),
        };
        let mut letters = name.chars().filter(|c| c.is_alphanumeric());
        match (letters.next(), letters.next()) {
            (None, _) => Err(BadTerm::Empty),
            (Some(letter), None) if !is_unspaced(letter) => Err(BadTerm::OneLetter(name)),
            _ => Ok(Self(name)),
        }
    }
}

impl Scope {
    /// The scopes of a call, the narrowest first.
    pub fn of_call(call: &Call) -> Vec<Self> {
        let contact = call.party().and_then(|party| party.parse().ok()).map(Self::Contact);
        contact.into_iter().chain(call.tag.clone().map(Self::Tag)).chain([Self::All]).collect()
    }
}

/// As it is stored.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Contact(number) => write!(f, "contact:{number}"),
            Self::Tag(tag) => write!(f, "tag:{tag}"),
        }
    }
}

impl FromStr for Scope {
    type Err = BadTerm;

    fn from_str(text: &str) -> Result<Self, BadTerm> {
        match text.split_once(':') {
            None if text == "all" => Ok(Self::All),
            Some(("contact", number)) => number.parse().map(Self::Contact).map_err(|_| BadTerm::Scope),
            Some(("tag", tag)) => tag.parse().map(Self::Tag).map_err(|_| BadTerm::Scope),
            _ => Err(BadTerm::Scope),
        }
    }
}

/// The time after which a use counts half, in milliseconds: half a year.
const HALF_LIFE: f64 = 182.0 * 24.0 * 60.0 * 60.0 * 1_000.0;

/// Returns the rank of a term from its uses: the time of each, in milliseconds since 1970, and its weight. Each use counts half
/// as much as one that is half a year newer, so that ranks, once stored, keep their order as time passes: a rank is the time
/// of the one use that would count as much as all of them.
pub fn rank(uses: impl IntoIterator<Item = (i64, f64)>) -> i64 {
    let uses: Vec<(i64, f64)> = uses.into_iter().collect();
    let newest = uses.iter().map(|(at, _)| *at).max().unwrap_or_default();
    let sum: f64 = uses.iter().map(|(at, weight)| weight * ((at - newest) as f64 / HALF_LIFE).exp2()).sum();
    // A term that is heard where it is not said does harm: below all that was ever used.
    if sum <= 0.0 { 0 } else { newest.saturating_add((sum.log2() * HALF_LIFE) as i64).max(0) }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.said += other.said;
        self.heard += other.heard;
        self.heard_wrongly += other.heard_wrongly;
        self.corrected += other.corrected;
        self.accepted += other.accepted;
    }
}

impl Counts {
    /// How much a transcript with these counts says for a term: what it was corrected to was needed most, and where it was
    /// heard wrongly it did harm.
    pub fn weight(&self) -> f64 {
        (self.said + self.accepted) as f64 + 3.0 * self.corrected as f64 - 3.0 * self.heard_wrongly as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_a_word_or_a_phrase() {
        for (text, expected) in
            [("  met\u{a0}oprolol \n succinate ", "met oprolol succinate"), ("C3", "C3"), ("薬", "薬")]
        {
            assert_eq!(text.parse::<TermText>().expect(text).as_str(), expected);
        }
        for text in ["", " ", "…", "\u{200b}"] {
            assert_eq!(text.parse::<TermText>(), Err(BadTerm::Empty), "{text:?}");
        }
        assert_eq!("-a-".parse::<TermText>(), Err(BadTerm::OneLetter("-a-".to_owned())));
        assert_eq!("x".repeat(201).parse::<TermText>(), Err(BadTerm::Long(201)));
    }

    #[test]
    fn terms_are_alike_that_differ_by_a_slip() {
        let are_alike = |one: &str, two: &str| {
            let [one, two] = [one, two].map(|text| text.parse::<TermText>().expect(text));
            one.is_like(&two)
        };
        for (one, two) in [("X-ray", "x ray"), ("tacrolimus", "tacrolimas"), ("tacrolimus", "Tacrolmius"), ("薬", "薬")]
        {
            assert!(are_alike(one, two), "{one}, {two}");
        }
        for (one, two) in [("Dana", "Dina"), ("ferritin", "ferrite"), ("metoprolol", "metoprolol succinate")] {
            assert!(!are_alike(one, two), "{one}, {two}");
        }
    }

    #[test]
    fn a_scope_survives_a_round_trip() {
        for text in ["all", "contact:+14155551234", "tag:a:b c"] {
            assert_eq!(text.parse::<Scope>().expect(text).to_string(), text);
        }
        for text in ["", "all:", "contact:911", "tag:", "team:a"] {
            assert_eq!(text.parse::<Scope>(), Err(BadTerm::Scope), "{text}");
        }
    }

    #[test]
    fn later_uses_and_more_of_them_rank_higher() {
        const YEAR: i64 = 2 * HALF_LIFE as i64;
        let now = 56 * YEAR;
        let of = |uses: &[(i64, f64)]| rank(uses.iter().copied());
        assert!(of(&[(now, 1.0)]) > of(&[(now - 1, 1.0)]));
        assert!(of(&[(now, 1.0), (now, 1.0)]) > of(&[(now, 1.0)]));
        assert!(of(&[(now - YEAR, 5.0)]) > of(&[(now, 1.0)]));
        assert!(of(&[(now - YEAR, 3.0)]) < of(&[(now, 1.0)]));
        assert_eq!((of(&[]), of(&[(now, -3.0)])), (0, 0));
    }
}
