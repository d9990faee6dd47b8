//! Full-text search of transcripts: texts and queries become the same normalized terms here, so that every database finds
//! the same. Knows no database.

use std::ops::Range;

use super::folding::{fold, is_invisible, is_joint, is_voicing, is_written_without_spaces};
use unicode_normalization::char::is_combining_mark;

/// Maximum number of characters in a term, because databases limit it, too. A longer run of letters becomes several terms.
const MAX_TERM: usize = 64;

/// Maximum size of a transcript's indexed text, some fifteen hours of speech. The rest is not indexed and not found.
const MAX_BYTES: usize = 900_000;

/// Maximum number of terms in a query. The rest is ignored.
const MAX_QUERY_TERMS: usize = 32;

/// Terms of context on either side of a hit.
const CONTEXT: usize = 12;

/// Terms around a part of a word that are indexed with it: phrases that begin or end within a word match up to that length.
const AROUND_PART: usize = 3;

/// Separates the parts of words from what was said, and from each other, so that no phrase matches across. No term has it.
const PART_MARK: &str = "¶";

/// The beginning of a text as terms: its words, folded. All that is indexed, and hardly more.
#[derive(Debug, Default)]
struct Terms {
    folded: String,
    /// Byte ranges of each term, in `folded` and in the original text.
    spans: Vec<(Range<usize>, Range<usize>)>,
    /// The parts of terms that have joints, in their order.
    parts: Vec<Part>,
}

/// What stands on one side of a joint: "école" in "l'école". It is found alone, too, unless it is a single letter.
#[derive(Debug)]
struct Part {
    /// Index of its term.
    of: usize,
    folded: String,
    /// Its byte range in the original text.
    span: Range<usize>,
    /// Whether its term begins with it.
    is_first: bool,
    /// Whether its term ends with it.
    is_last: bool,
}

/// A term that is not yet complete, by bytes of the original text.
struct Open {
    span: Range<usize>,
    chars: usize,
    stands_alone: bool,
    joints: Vec<Range<usize>>,
}

impl Terms {
    fn of(text: &str) -> Self {
        let mut terms = Self { folded: String::with_capacity(text.len().min(MAX_BYTES) + 2), ..Self::default() };
        let mut open: Option<Open> = None;
        for (at, c) in text.char_indices().filter(|(_, c)| !is_invisible(*c)) {
            let end = at + c.len_utf8();
            if is_joint(c) {
                let next = text[end..].chars().find(|c| !is_invisible(*c));
                let goes_on = next.is_some_and(|next| is_in_term(next) && !stands_alone(next));
                match &mut open {
                    Some(open) if goes_on && !open.stands_alone => open.joints.push(at..end),
                    _ => terms.end(text, open.take()),
                }
                continue;
            }
            let is_over = |open: &Open| {
                let alone = (open.stands_alone || stands_alone(c)) && !is_voicing(c);
                alone || !is_in_term(c) || open.chars == MAX_TERM
            };
            if open.as_ref().is_some_and(is_over) {
                terms.end(text, open.take());
                if terms.folded.len() + terms.spans.len() > MAX_BYTES {
                    return terms;
                }
            }
            if is_in_term(c) {
                let new = || Open { span: at..end, chars: 0, stands_alone: stands_alone(c), joints: Vec::new() };
                let open = open.get_or_insert_with(new);
                open.span.end = end;
                open.chars += 1;
            }
        }
        terms.end(text, open);
        terms
    }

    /// Adds a term, unless it is empty because it was only an accent.
    fn end(&mut self, text: &str, open: Option<Open>) {
        let Some(Open { span, mut joints, .. }) = open else { return };
        let folded_at = self.folded.len();
        fold(&text[span.clone()], &mut self.folded);
        if self.folded.len() == folded_at {
            return;
        }
        // A term that reached its maximum may end in a joint.
        joints.retain(|joint| joint.end < span.end);
        let of = self.spans.len();
        self.spans.push((folded_at..self.folded.len(), span.clone()));
        if joints.is_empty() {
            return;
        }
        let begins = std::iter::once(span.start).chain(joints.iter().map(|joint| joint.end));
        let ends = joints.iter().map(|joint| joint.start).chain([span.end]);
        for part in begins.zip(ends).map(|(begin, end)| begin..end) {
            let mut folded = String::new();
            fold(&text[part.clone()], &mut folded);
            if folded.chars().nth(1).is_some() {
                let (is_first, is_last) = (part.start == span.start, part.end == span.end);
                self.parts.push(Part { of, folded, span: part, is_first, is_last });
            }
        }
    }

    fn term(&self, index: usize) -> Option<&str> {
        self.spans.get(index).map(|(folded, _)| &self.folded[folded.clone()])
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.spans.iter().map(|(folded, _)| &self.folded[folded.clone()])
    }

    /// The parts of the term at this index.
    fn parts_of(&self, index: usize) -> &[Part] {
        let begin = self.parts.partition_point(|part| part.of < index);
        let parts = &self.parts[begin..];
        &parts[..parts.partition_point(|part| part.of == index)]
    }

    /// Returns the bytes of the original text where this phrase is said from the term at this index on, if it is.
    fn said_at(&self, index: usize, phrase: &Phrase) -> Option<Range<usize>> {
        let last = phrase.terms.len() - 1;
        let fits = |n: usize, term: &str| {
            let wanted = phrase.terms[n].as_str();
            if phrase.is_prefix && n == last { term.starts_with(wanted) } else { term == wanted }
        };
        let span_at = |n: usize| {
            let at = index + n;
            if fits(n, self.term(at)?) {
                return Some(&self.spans[at].1);
            }
            let may_be = |part: &&Part| (n == 0 || part.is_first) && (n == last || part.is_last);
            self.parts_of(at).iter().filter(may_be).find(|part| fits(n, &part.folded)).map(|part| &part.span)
        };
        let first = span_at(0)?;
        (1..=last).try_fold(first.clone(), |said, n| Some(said.start..span_at(n)?.end))
    }
}

fn is_in_term(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() || is_combining_mark(c) }
}

fn stands_alone(c: char) -> bool {
    !c.is_ascii() && is_written_without_spaces(c)
}

/// Returns the terms of a text, each followed by a space, and after them the parts of terms, with the terms around them.
pub fn folded(text: &str) -> String {
    let terms = Terms::of(text);
    let mut folded = String::from(" ");
    let mut push = |some: &[&str]| {
        let has_room = folded.len() + some.iter().map(|term| term.len() + 1).sum::<usize>() <= MAX_BYTES + 1;
        if has_room {
            for term in some {
                folded.push_str(term);
                folded.push(' ');
            }
        }
        has_room
    };
    if !terms.iter().all(|term| push(&[term])) {
        return folded;
    }
    for part in &terms.parts {
        let before = if part.is_first { part.of.saturating_sub(AROUND_PART)..part.of } else { 0..0 };
        let after = if part.is_last { part.of + 1..part.of + 1 + AROUND_PART } else { 0..0 };
        let mut around = vec![PART_MARK];
        around.extend(before.filter_map(|at| terms.term(at)));
        around.push(&part.folded);
        around.extend(after.filter_map(|at| terms.term(at)));
        if !push(&around) {
            break;
        }
    }
    folded
}

/// Returns the beginning of a text, for a hit in which nothing that was said is found.
pub fn beginning(text: &str) -> Vec<Piece> {
    let terms = Terms::of(text);
    let Some((_, last)) = terms.spans.get(2 * CONTEXT).or(terms.spans.last()) else { return Vec::new() };
    let end = word_end(text, last.end);
    let mut pieces = Pieces::default();
    pieces.push(&text[..end], false);
    pieces.push(if end < text.trim_end().len() { " …" } else { "" }, false);
    pieces.0
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
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
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

    /// The query for a text as it stands.
    pub fn phrase(text: &str) -> Self {
        let terms: Vec<String> = Terms::of(text).iter().take(MAX_QUERY_TERMS).map(str::to_owned).collect();
        let phrases = if terms.is_empty() { Vec::new() } else { vec![Phrase { terms, is_prefix: false }] };
        Self { phrases }
    }

    /// The query for what both find.
    pub fn and(mut self, other: Self) -> Self {
        self.phrases.extend(other.phrases);
        self
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
            let (begin, end) = (hit.span.start, hit.span.end);
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
            let (first, last) = (word_at(hit.span.start), word_at(hit.span.end - 1));
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
                if let Some(span) = terms.said_at(at, phrase) {
                    hits.push(Match { at, terms: phrase.terms.len(), span, phrase: index });
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
    /// Its bytes in the text.
    span: Range<usize>,
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
            ("Don't: 1,000.50 naïve—Ångström", " dont 1 000 50 naive angstrom ¶ don "),
            ("say l'école now 'tis o' the", " say lecole now tis o the ¶ ecole now tis o "),
            (
                "we four talk to Anna's kin rock'n'roll",
                " we four talk to annas kin rocknroll ¶ four talk to anna ¶ to annas kin rock ¶ roll ",
            ),
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
            ("don't", "[dont]"),
            ("don'*", "[don]*"),
            ("l'“école", "[l] [ecole]"),
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
