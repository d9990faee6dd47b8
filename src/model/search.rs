//! What is searched for in transcripts, and where it is in them. Texts and queries are cut into the same folded terms here,
//! so that it does not matter which database looks for them. It knows of no database.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// A longer run of letters is several terms. Longer than any word; a database has its limits, too.
const LONGEST_TERM: usize = 64;

/// What comes behind so much of a transcript is not looked at: some fifteen hours of speech.
const MOST_BYTES: usize = 900_000;

/// What comes behind so many terms of a query is not looked for.
const MOST_SOUGHT: usize = 32;

/// Words to either side of what was found.
const AROUND: usize = 12;

/// A text as terms: in lower case, without accents, and without what is neither letter nor digit.
#[derive(Debug, Default)]
struct Terms {
    folded: String,
    /// Of each term, where it is in `folded` and where in the text.
    spans: Vec<(Range<usize>, Range<usize>)>,
}

impl Terms {
    fn of(text: &str) -> Self {
        let mut terms = Self { folded: String::with_capacity(text.len() + 2), spans: Vec::new() };
        let mut open: Option<(usize, usize, usize)> = None;
        for (at, c) in text.char_indices() {
            let is_of_term = c.is_alphanumeric() || is_combining_mark(c);
            let stands_alone = !c.is_ascii() && is_written_without_spaces(c);
            if let Some((folded_at, begun, chars)) = open
                && (!is_of_term || stands_alone || chars == LONGEST_TERM)
            {
                terms.end(folded_at, begun..at);
                open = None;
            }
            if !is_of_term {
                continue;
            }
            let (folded_at, begun, chars) = open.unwrap_or((terms.folded.len(), at, 0));
            terms.fold(c);
            open = Some((folded_at, begun, chars + 1));
            if stands_alone {
                terms.end(folded_at, begun..at + c.len_utf8());
                open = None;
            }
        }
        if let Some((folded_at, begun, _)) = open {
            terms.end(folded_at, begun..text.len());
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

    /// Ends a term. An accent alone is none.
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

/// Diacritical marks of Latin, Greek and Cyrillic letters. Those of other scripts make other letters.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Scripts that do not part words: each character is a term, and a word a phrase of them. Thai to Lao, Burmese, Khmer, Kana,
/// Chinese.
fn is_written_without_spaces(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The terms of a text, with a space before and behind each.
pub fn folded(text: &str) -> String {
    let mut folded = String::from(" ");
    for term in Terms::of(text).iter() {
        if folded.len() + term.len() > MOST_BYTES {
            break;
        }
        folded.push_str(term);
        folded.push(' ');
    }
    folded
}

/// What must all be in a transcript.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    sought: Vec<Sought>,
}

/// A word, or words that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// At least one.
    pub terms: Vec<String>,
    /// Whether the last term may go on.
    pub is_prefix: bool,
}

/// A part of a passage.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Piece {
    /// As it stands in the transcript.
    pub text: String,
    /// Whether it is what was looked for.
    pub hit: bool,
}

/// What was found in a text, with the words around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Put together, they are the passage, with `…` where it is cut out of more.
    pub pieces: Vec<Piece>,
    /// Where its first hit begins, counted in the text's words, which spaces part.
    pub word: usize,
    /// The first term of that hit.
    pub term: String,
}

impl Query {
    /// Reads what somebody typed: words, phrases between quotes, and a `*` behind what may go on. Anything else is no part
    /// of any word, and nothing is an error.
    pub fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut rest = text;
        let mut room = MOST_SOUGHT;
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
                query.sought.push(Sought { terms, is_prefix: star.is_some() });
            }
        }
        query
    }

    /// Whether there is nothing in it that could be found.
    pub fn is_empty(&self) -> bool {
        self.sought.is_empty()
    }

    /// What must all be found.
    pub fn sought(&self) -> &[Sought] {
        &self.sought
    }

    /// The passage of a text that has the most of what is looked for close together, the first of several. None if nothing
    /// of it is there.
    pub fn passage(&self, text: &str) -> Option<Passage> {
        let terms = Terms::of(text);
        let hits = self.hits(&terms);
        let kinds_near = |first: usize| {
            let near = hits[first..].iter().take_while(|hit| hit.at <= hits[first].at + AROUND);
            near.fold(0_u64, |kinds, hit| kinds | 1 << hit.of).count_ones()
        };
        let mut best = (0, 0);
        for first in 0..hits.len() {
            let kinds = kinds_near(first);
            if kinds > best.0 {
                best = (kinds, first);
            }
            if kinds as usize == self.sought.len() {
                break;
            }
        }
        let first = hits.get(best.1)?;
        // What stands before it may be hits as well.
        let shown = first.at.saturating_sub(AROUND)..(first.at + first.terms + AROUND).min(terms.spans.len());
        let from = word_begin(text, terms.spans[shown.start].1.start);
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

    /// Whatever is looked for, wherever it is.
    fn hits(&self, terms: &Terms) -> Vec<Found> {
        let mut hits = Vec::new();
        for at in 0..terms.spans.len() {
            for (of, sought) in self.sought.iter().enumerate() {
                let last = sought.terms.len() - 1;
                let fits = |(n, wanted): (usize, &String)| {
                    terms.term(at + n).is_some_and(|term| match sought.is_prefix && n == last {
                        true => term.starts_with(wanted.as_str()),
                        false => term == wanted,
                    })
                };
                if sought.terms.iter().enumerate().all(fits) {
                    hits.push(Found { at, terms: sought.terms.len(), of });
                }
            }
        }
        hits
    }
}

/// Something that was looked for, in a text.
struct Found {
    /// The first of its terms.
    at: usize,
    terms: usize,
    /// What it is of the query.
    of: usize,
}

#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    /// Pieces of the same kind are one.
    fn push(&mut self, text: &str, hit: bool) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.hit == hit => last.text.push_str(text),
            _ => self.0.push(Piece { text: text.to_owned(), hit }),
        }
    }
}

/// Punctuation belongs to its word, as long as there is not too much of it.
const LONGEST_FRINGE: usize = 40;

/// Where the word begins that this place is in.
fn word_begin(text: &str, at: usize) -> usize {
    let begin = text[..at].trim_end_matches(|c: char| !c.is_whitespace()).len();
    if at - begin > LONGEST_FRINGE { at } else { begin }
}

/// Where the word ends that ends here or later.
fn word_end(text: &str, at: usize) -> usize {
    let end = text[at..].find(char::is_whitespace).map_or(text.len(), |length| at + length);
    if end - at > LONGEST_FRINGE { at } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query as its terms, with phrases between brackets.
    fn read(text: &str) -> String {
        let show = |sought: &Sought| format!("[{}]{}", sought.terms.join(" "), if sought.is_prefix { "*" } else { "" });
        Query::parse(text).sought.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    /// A passage with its hits between brackets.
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
        assert!(folded(&"word ".repeat(1_000_000)).len() <= MOST_BYTES + 1);
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
        assert_eq!(Query::parse(&"x ".repeat(5000)).sought.len(), MOST_SOUGHT);
        assert_eq!(Query::parse(&format!("\"{}\"", "x ".repeat(5000))).sought[0].terms.len(), MOST_SOUGHT);
    }

    #[test]
    fn a_passage_is_the_words_around_where_most_is_found() {
        assert_eq!(found("ahoy", "Ahoy! Call recording starts now."), "[Ahoy]! Call recording starts now.");
        assert_eq!(found("rec* \"starts now\"", "Call recording starts now."), "Call [recording] [starts now].");
        assert_eq!(found("b a", "a b a"), "[a] [b] [a]");
        assert_eq!(found("cafe", "the Café, <b>open</b>"), "the [Café], <b>open</b>");
        assert_eq!(found("nothing", "Ahoy!"), "");
        let text = format!("{}the \"deal\" is {}", "the ".repeat(50), "off ".repeat(50));
        let around = |word: &str| [word; AROUND].join(" ");
        assert_eq!(found("the deal", &text).matches('[').count(), 2 * AROUND + 1);
        assert_eq!(found("deal", &text), format!("… {} \"[deal]\" is {} …", around("the"), ["off"; 11].join(" ")));
        let passage = Query::parse("deal").passage(&text).expect("it is there");
        assert_eq!((passage.word, passage.term.as_str()), (51, "deal"));
        assert_eq!(found("ab", &format!("{}ab", ".".repeat(5000))), "… [ab]");
    }
}
