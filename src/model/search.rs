//! Full-text search of transcripts: texts and queries become the same normalized terms here, so that every database finds
//! the same. Knows no database.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Maximum number of characters in a term, because databases limit it, too. A longer run of letters becomes several terms.
const MAX_TERM: usize = 64;

/// Maximum size of a transcript's indexed text, some fifteen hours of speech. The rest is not indexed and not found.
const MAX_BYTES: usize = 900_000;

/// Maximum number of terms in a query. The rest is ignored.
const MAX_QUERY_TERMS: usize = 32;

/// Terms of context on either side of a hit.
const CONTEXT: usize = 12;

/// The beginning of a text as terms: letters and digits in lower case, without accents. All that is indexed, and hardly more.
#[derive(Debug, Default)]
struct Terms {
    folded: String,
    /// Byte ranges of each term, in `folded` and in the original text.
    spans: Vec<(Range<usize>, Range<usize>)>,
}

impl Terms {
    fn of(text: &str) -> Self {
        let mut terms = Self { folded: String::with_capacity(text.len().min(MAX_BYTES) + 2), spans: Vec::new() };
        let mut open: Option<(usize, usize, usize)> = None;
        for (at, c) in text.char_indices() {
            let is_in_term = c.is_alphanumeric() || is_combining_mark(c);
            let stands_alone = !c.is_ascii() && is_written_without_spaces(c);
            if terms.folded.len() + terms.spans.len() > MAX_BYTES {
                return terms;
            }
            if let Some((folded_at, start, chars)) = open
                && (!is_in_term || stands_alone || chars == MAX_TERM)
            {
                terms.end(folded_at, start..at);
                open = None;
            }
            if !is_in_term {
                continue;
            }
            let (folded_at, start, chars) = open.unwrap_or((terms.folded.len(), at, 0));
            terms.fold(c);
            open = Some((folded_at, start, chars + 1));
            if stands_alone {
                terms.end(folded_at, start..at + c.len_utf8());
                open = None;
            }
        }
        if let Some((folded_at, start, _)) = open {
            terms.end(folded_at, start..text.len());
        }
        terms
    }

    fn fold(&mut self, c: char) {
        if c.is_ascii() {
            self.folded.push(c.to_ascii_lowercase());
            return;
        }
        let letters = std::iter::once(c).nfkd().filter(|c| !is_accent(*c)).flat_map(char::to_lowercase);
        self.folded.extend(letters.filter(|c| c.is_alphanumeric() || is_combining_mark(*c)));
    }

    /// Adds a term, unless it is empty because it was only an accent.
    fn end(&mut self, folded_at: usize, span: Range<usize>) {
        if self.folded.len() > folded_at {
            self.spans.push((folded_at..self.folded.len(), span));
        }
    }

    fn term(&self, index: usize) -> Option<&str> {
        self.spans.get(index).map(|(folded, _)| &self.folded[folded.clone()])
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.spans.iter().map(|(folded, _)| &self.folded[folded.clone()])
    }
}

/// Returns `true` for the diacritics of Latin, Greek and Cyrillic. In other scripts a mark makes another letter.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Returns `true` for Thai, Lao, Burmese, Khmer, Kana and Chinese. There each character is a term and a word is a phrase.
fn is_written_without_spaces(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Returns the terms of a text, each between spaces.
pub fn folded(text: &str) -> String {
    let mut folded = String::from(" ");
    for term in Terms::of(text).iter() {
        if folded.len() + term.len() > MAX_BYTES {
            break;
        }
        folded.push_str(term);
        folded.push(' ');
    }
    folded
}

/// Phrases, all of which a transcript must contain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    phrases: Vec<Phrase>,
}

/// One or more consecutive terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    pub terms: Vec<String>,
    /// The last term matches every term that starts with it.
    pub is_prefix: bool,
}

/// A part of a passage.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Piece {
    pub text: String,
    pub hit: bool,
}

/// Whether a word is part of a hit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    #[default]
    No,
    /// It is, and not the first one.
    Further,
    /// A hit begins with it.
    First,
}

/// Hits in a text with their context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Joined, they are the passage, with `…` where the text goes on.
    pub pieces: Vec<Piece>,
    /// Index of the word where the first hit begins. Words are separated by spaces.
    pub word: usize,
    /// First term of that hit.
    pub term: String,
}

impl Query {
    /// Parses what an operator typed: words, phrases in quotes, and `*` after a prefix. Ignores anything else; no input is an
    /// error.
    pub fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut rest = text;
        let mut room = MAX_QUERY_TERMS;
        while room > 0 && !rest.is_empty() {
            let is_quote = |c: char| matches!(c, '"' | '“' | '”' | '„' | '«' | '»');
            let (chunk, behind) = match rest.strip_prefix(is_quote) {
                Some(quoted) => match quoted.split_once(is_quote) {
                    Some((phrase, behind)) => (phrase, behind),
                    None => (quoted, ""),
                },
                None => {
                    rest = rest.trim_start();
                    let end = rest.find(|c: char| c.is_whitespace() || is_quote(c) || c == '*');
                    rest.split_at(end.unwrap_or(rest.len()))
                }
            };
            let star = behind.strip_prefix('*');
            rest = star.unwrap_or(behind);
            let terms: Vec<String> = Terms::of(chunk).iter().take(room).map(str::to_owned).collect();
            room -= terms.len();
            if !terms.is_empty() {
                query.phrases.push(Phrase { terms, is_prefix: star.is_some() });
            }
        }
        query
    }

    /// Returns `true` if there is no term to search for.
    pub fn is_empty(&self) -> bool {
        self.phrases.is_empty()
    }

    pub fn phrases(&self) -> &[Phrase] {
        &self.phrases
    }

    /// Returns the first passage with the most different phrases close together, or `None` without a hit.
    pub fn passage(&self, text: &str) -> Option<Passage> {
        let terms = Terms::of(text);
        let hits = self.hits(&terms);
        let phrases_near = |first: usize| {
            let near = hits[first..].iter().take_while(|hit| hit.at <= hits[first].at + CONTEXT);
            near.fold(0_u64, |found, hit| found | 1 << hit.phrase).count_ones()
        };
        let mut best = (0, 0);
        for first in 0..hits.len() {
            let found = phrases_near(first);
            if found > best.0 {
                best = (found, first);
            }
            if found as usize == self.phrases.len() {
                break;
            }
        }
        let first = hits.get(best.1)?;
        // The context before the first hit may contain other hits.
        let shown = first.at.saturating_sub(CONTEXT)..(first.at + first.terms + CONTEXT).min(terms.spans.len());
        let from = word_start(text, terms.spans[shown.start].1.start);
        let to = word_end(text, terms.spans[shown.end - 1].1.end);

        let mut pieces = Pieces::default();
        pieces.push(if from > 0 { "… " } else { "" }, false);
        let mut done = from;
        for hit in &hits {
            let (begin, end) = (terms.spans[hit.at].1.start, terms.spans[hit.at + hit.terms - 1].1.end);
            if begin >= from && end <= to && end > done {
                pieces.push(&text[done..begin.max(done)], false);
                pieces.push(&text[begin.max(done)..end], true);
                done = end;
            }
        }
        pieces.push(&text[done..to], false);
        pieces.push(if to < text.trim_end().len() { " …" } else { "" }, false);
        let first = hits.iter().find(|hit| hit.at >= shown.start)?;
        Some(Passage {
            pieces: pieces.0,
            word: text[..terms.spans[first.at].1.end].split_whitespace().count().saturating_sub(1),
            term: terms.term(first.at).unwrap_or_default().to_owned(),
        })
    }

    /// Returns which of these words are part of a hit, in a text that they make up in this order.
    pub fn found<'w>(&self, words: impl Iterator<Item = &'w str>) -> Vec<Found> {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for word in words {
            text += word;
            ends.push(text.len());
            text.push(' ');
        }
        let mut found = vec![Found::No; ends.len()];
        let terms = Terms::of(&text);
        let word_at = |byte: usize| ends.partition_point(|end| *end <= byte);
        for hit in self.hits(&terms) {
            let first = word_at(terms.spans[hit.at].1.start);
            let last = word_at(terms.spans[hit.at + hit.terms - 1].1.start);
            found[first] = Found::First;
            for word in &mut found[first + 1..last.max(first) + 1] {
                *word = (*word).max(Found::Further);
            }
        }
        found
    }

    /// Returns all hits of all phrases, in the order of the text.
    fn hits(&self, terms: &Terms) -> Vec<Match> {
        let mut hits = Vec::new();
        for at in 0..terms.spans.len() {
            for (index, phrase) in self.phrases.iter().enumerate() {
                let last = phrase.terms.len() - 1;
                let fits = |(n, wanted): (usize, &String)| {
                    terms.term(at + n).is_some_and(|term| {
                        if phrase.is_prefix && n == last { term.starts_with(wanted.as_str()) } else { term == wanted }
                    })
                };
                if phrase.terms.iter().enumerate().all(fits) {
                    hits.push(Match { at, terms: phrase.terms.len(), phrase: index });
                }
            }
        }
        hits
    }
}

/// A hit in a text.
struct Match {
    /// Index of its first term.
    at: usize,
    terms: usize,
    /// Index of the phrase in the query.
    phrase: usize,
}

#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    /// Joins adjacent pieces of the same kind.
    fn push(&mut self, text: &str, hit: bool) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.hit == hit => last.text.push_str(text),
            _ => self.0.push(Piece { text: text.to_owned(), hit }),
        }
    }
}

/// Maximum length of punctuation that is shown with its word.
const MAX_PUNCTUATION: usize = 40;

/// Returns the start of the word at this position.
fn word_start(text: &str, at: usize) -> usize {
    let begin = text[..at].trim_end_matches(|c: char| !c.is_whitespace()).len();
    if at - begin > MAX_PUNCTUATION { at } else { begin }
}

/// Returns the end of the word at this position.
fn word_end(text: &str, at: usize) -> usize {
    let end = text[at..].find(char::is_whitespace).map_or(text.len(), |length| at + length);
    if end - at > MAX_PUNCTUATION { at } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query with its phrases in brackets.
    fn read(text: &str) -> String {
        let show = |phrase: &Phrase| format!("[{}]{}", phrase.terms.join(" "), if phrase.is_prefix { "*" } else { "" });
        Query::parse(text).phrases.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    /// A passage with its hits in brackets.
    fn found(query: &str, text: &str) -> String {
        let show = |piece: &Piece| if piece.hit { format!("[{}]", piece.text) } else { piece.text.clone() };
        Query::parse(query).passage(text).map_or(String::new(), |found| found.pieces.iter().map(show).collect())
    }

    #[test]
    fn a_text_is_folded_to_letters_and_digits() {
        for (text, expected) in [
            ("Ahoy! Call recording", " ahoy call recording "),
            ("Don't: 1,000.50 naïve—Ångström", " don t 1 000 50 naive angstrom "),
            ("e\u{301}cole ﬁve ２４ İstanbul", " ecole five 24 istanbul "),
            ("", " "),
            ("\u{301} ... \u{0}", " "),
            ("契約は", " 契 約 は "),
            ("किताब", " किताब "),
        ] {
            assert_eq!(folded(text), expected, "{text}");
        }
        assert_eq!(folded(&"x".repeat(65)), format!(" {} x ", "x".repeat(64)));
        for word in ["word ", "a ", "wordwithoutend"] {
            let folded = folded(&word.repeat(1_000_000));
            assert!((MAX_BYTES - 65..=MAX_BYTES + 1).contains(&folded.len()), "{word}: {}", folded.len());
        }
        assert!(Terms::of(&"a ".repeat(1_000_000)).spans.len() <= MAX_BYTES / 2 + 1);
    }

    #[test]
    fn a_query_is_words_phrases_and_prefixes_whatever_is_typed() {
        for (text, expected) in [
            ("two words", "[two] [words]"),
            ("\"a phrase\" contr*", "[a phrase] [contr]*"),
            ("“smart quotes” «and others»", "[smart quotes] [and others]"),
            ("\"never closed and", "[never closed and]"),
            ("\"of a phr\"* x", "[of a phr]* [x]"),
            ("don't", "[don t]"),
            ("* ** \"\" \"*\" - ^ ( ) : , NEAR(", "[near]"),
            ("a\"b\"c*d", "[a] [b] [c]* [d]"),
            ("  \t\n", ""),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert_eq!(Query::parse(&"x ".repeat(5000)).phrases.len(), MAX_QUERY_TERMS);
        assert_eq!(Query::parse(&format!("\"{}\"", "x ".repeat(5000))).phrases[0].terms.len(), MAX_QUERY_TERMS);
    }

    #[test]
    fn a_passage_is_where_most_phrases_are_found() {
        assert_eq!(found("ahoy", "Ahoy! Call recording starts now."), "[Ahoy]! Call recording starts now.");
        assert_eq!(found("rec* \"starts now\"", "Call recording starts now."), "Call [recording] [starts now].");
        assert_eq!(found("b a", "a b a"), "[a] [b] [a]");
        assert_eq!(found("cafe", "the Café, <b>open</b>"), "the [Café], <b>open</b>");
        assert_eq!(found("nothing", "Ahoy!"), "");
        let text = format!("{}the \"deal\" is {}", "the ".repeat(50), "off ".repeat(50));
        let around = |word: &str| [word; CONTEXT].join(" ");
        assert_eq!(found("the deal", &text).matches('[').count(), 2 * CONTEXT + 1);
        assert_eq!(found("deal", &text), format!("… {} \"[deal]\" is {} …", around("the"), ["off"; 11].join(" ")));
        let passage = Query::parse("deal").passage(&text).expect("it is there");
        assert_eq!((passage.word, passage.term.as_str()), (51, "deal"));
        assert_eq!(found("ab", &format!("{}ab", ".".repeat(5000))), "… [ab]");
    }
}
