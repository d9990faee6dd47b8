//! What two texts may differ in and still count as the same: case, punctuation and the like. Each normalization has the name
//! of its source and does exactly what that does.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// How texts become words to compare. Numbers stay as they are written in each: "forty two" and "42" differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Normalization {
    /// Whisper's `BasicTextNormalizer`, which OpenAI uses for all languages but English: lower case; without what stands
    /// between `<…>`, `[…]` and `(…)`; NFKC; marks, symbols and punctuation separate words. So it takes the vowel signs out
    /// of Hindi or Thai words, which splits them.
    #[default]
    WhisperBasic,
    /// AssemblyAI's own evaluation tool: lower case, without punctuation. "co-pay" becomes "copay".
    AssemblyAi,
    /// Words as they are written, split at white space.
    None,
}

/// A word as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Not empty, and without white space.
    pub text: String,
    /// The index of the word that it comes from. A word may give several tokens, or none.
    pub word: usize,
}

/// The error for a name that no normalization has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected whisper-basic, assemblyai or none")]
pub struct UnknownNormalization;

impl Normalization {
    /// The name, as in figures and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WhisperBasic => "whisper-basic",
            Self::AssemblyAi => "assemblyai",
            Self::None => "none",
        }
    }

    /// Normalizes words of one text, given in their order. The result is that of the words joined with spaces.
    pub fn tokens<'w>(self, words: impl IntoIterator<Item = &'w str>) -> Vec<Token> {
        let of_word = |(word, text)| parts(text).map(move |part| (word, part));
        self.normalized(words.into_iter().enumerate().flat_map(of_word).collect())
    }

    /// Normalizes a text. Its words are what white space separates.
    pub fn tokens_of(self, text: &str) -> Vec<Token> {
        self.normalized(parts(text).enumerate().collect())
    }

    /// Normalizes parts of a text. Each comes with the index of its word, and may be the whole word.
    fn normalized(self, parts: Vec<(usize, &str)>) -> Vec<Token> {
        match self {
            Self::WhisperBasic => whisper_basic(&parts),
            Self::AssemblyAi => each(parts, without_punctuation),
            Self::None => each(parts, str::to_owned),
        }
    }
}

impl fmt::Display for Normalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Normalization {
    type Err = UnknownNormalization;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let all = [Self::WhisperBasic, Self::AssemblyAi, Self::None];
        all.into_iter().find(|one| one.as_str() == name).ok_or(UnknownNormalization)
    }
}

/// The texts of tokens.
pub(super) fn texts(tokens: &[Token]) -> Vec<&str> {
    tokens.iter().map(|token| &*token.text).collect()
}

/// White space as Python has it, in which all three are defined: with the four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// What white space separates.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|part| !part.is_empty())
}

/// Makes a token of each part, unless nothing is left of it.
fn each(parts: Vec<(usize, &str)>, normalized: impl Fn(&str) -> String) -> Vec<Token> {
    let tokens = parts.into_iter().map(|(word, part)| Token { text: normalized(part), word });
    tokens.filter(|token| !token.text.is_empty()).collect()
}

/// Normalizes a part of a word for AssemblyAI's tool.
fn without_punctuation(part: &str) -> String {
    let mut lower = part.to_lowercase();
    lower.retain(|c| c.is_ascii_alphanumeric() || c.general_category_group() != GeneralCategoryGroup::Punctuation);
    lower
}

fn whisper_basic(all: &[(usize, &str)]) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(all.len());
    // White space bounds all that is done here to single characters, so each part may be normalized alone.
    if all.iter().any(|(_, part)| part.contains(['<', '[', '('])) {
        for part in outside_brackets(all).split(|(c, _)| is_space(*c)) {
            let text: String = part.iter().map(|(c, _)| c).collect();
            part.first().into_iter().for_each(|(_, word)| split_at_signs(&text, *word, &mut tokens));
        }
    } else {
        all.iter().for_each(|(word, part)| split_at_signs(part, *word, &mut tokens));
    }
    tokens
}

/// Appends what marks, symbols and punctuation separate in a part of a word, in lower case.
fn split_at_signs(part: &str, word: usize, tokens: &mut Vec<Token>) {
    let mut add = |text: String| tokens.extend((!text.is_empty()).then_some(Token { text, word }));
    if part.is_ascii() {
        // The same, in less time.
        part.split(|c: char| c.is_ascii_punctuation()).for_each(|piece| add(piece.to_ascii_lowercase()));
        return;
    }
    use GeneralCategoryGroup::{Mark, Punctuation, Symbol};
    let is_sign = |c: char| matches!(c.general_category_group(), Mark | Punctuation | Symbol);
    let composed: String = part.to_lowercase().nfkc().map(|c| if is_sign(c) { ' ' } else { c }).collect();
    // NFKC makes capital letters of some symbols, such as ℡.
    parts(&composed.to_lowercase()).for_each(|piece| add(piece.to_owned()));
}

/// Returns what does not stand in brackets, in lower case, with the index of the word of each character.
fn outside_brackets(parts: &[(usize, &str)]) -> Vec<(char, usize)> {
    let mut characters: Vec<(char, usize)> = Vec::new();
    for (word, part) in parts {
        characters.extend(part.to_lowercase().chars().map(|c| (c, *word)));
        characters.push((' ', *word));
    }
    // An opening bracket of either kind reaches to the next closing one of either.
    remove_between(&mut characters, &['<', '['], &['>', ']'], 0);
    remove_between(&mut characters, &['('], &[')'], 1);
    characters
}

/// Removes each opening bracket with all that follows up to the next closing one, and that, if at least this many characters
/// are between them.
fn remove_between(characters: &mut Vec<(char, usize)>, open: &[char], close: &[char], least: usize) {
    // Distances to the next closing bracket, from the end.
    let mut kept = Vec::with_capacity(characters.len());
    let mut next_close =
        characters.iter().enumerate().filter(|(_, (c, _))| close.contains(c)).map(|(at, _)| at).peekable();
    let mut at = 0;
    while at < characters.len() {
        while next_close.next_if(|close| *close <= at).is_some() {}
        let end = next_close.peek().filter(|end| open.contains(&characters[at].0) && **end > at + least);
        match end {
            Some(end) => at = end + 1,
            None => {
                kept.push(characters[at]);
                at += 1;
            }
        }
    }
    *characters = kept;
}
