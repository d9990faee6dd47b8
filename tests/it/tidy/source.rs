//! Reads Rust source as tokens, as far as the rules of the house need it: without comments, and without what is compiled
//! for unit tests alone.

/// A token and the line it is in. Numbers, characters and lifetimes are dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Word(String),
    /// What stands between the quotes, escapes as they are written.
    Text(String),
    /// `::` is one mark, every other mark is one character.
    Mark(&'static str),
}

impl Token {
    pub(super) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is(&self, mark: &str) -> bool {
        matches!(self.kind, Kind::Mark(own) if own == mark)
    }
}

const MARKS: [&str; 29] = [
    "::", "{", "}", "(", ")", "[", "]", "<", ">", ";", ",", ".", "#", "!", "=", "&", "*", "|", ":", "-", "+", "/", "?",
    "@", "$", "%", "^", "~", "\\",
];

/// The tokens of a file that are compiled into the program.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    without_unit_tests(lex(source))
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn lex(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let mut kind = None;
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some((hashes, prefix)) = raw_string(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let inner = &rest[prefix..];
            let length = inner.find(&end).unwrap_or(inner.len());
            kind = Some(Kind::Text(inner[..length].to_owned()));
            (prefix + length + end.len()).min(rest.len())
        } else if first == '"' || rest.starts_with("b\"") || rest.starts_with("c\"") {
            let begin = rest.find('"').unwrap_or_default() + 1;
            let length = quoted(&rest[begin..], '"');
            kind = Some(Kind::Text(rest[begin..begin + length].to_owned()));
            (begin + length + 1).min(rest.len())
        } else if first == '\'' {
            character_or_lifetime(rest)
        } else if first.is_ascii_digit() {
            rest.find(|character| !is_of_word(character)).unwrap_or(rest.len())
        } else if is_of_word(first) {
            let begin = if rest.starts_with("r#") { 2 } else { 0 };
            let length = rest[begin..].find(|character| !is_of_word(character)).unwrap_or(rest.len() - begin);
            kind = Some(Kind::Word(rest[begin..begin + length].to_owned()));
            begin + length
        } else if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) {
            kind = Some(Kind::Mark(mark));
            mark.len()
        } else {
            first.len_utf8()
        };
        tokens.extend(kind.map(|kind| Token { kind, line }));
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// The length of a comment that may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// How many `#` a raw string begins with, and where its text begins. `None` if `text` begins with something else.
fn raw_string(text: &str) -> Option<(usize, usize)> {
    let letters = ["br", "cr", "r"].into_iter().find(|letters| text.starts_with(letters))?.len();
    let hashes = text[letters..].len() - text[letters..].trim_start_matches('#').len();
    text[letters + hashes..].starts_with('"').then_some((hashes, letters + hashes + 1))
}

/// The length of what stands before the closing quote.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if character == '\\' {
            is_escaped = true;
        } else if character == quote {
            return at;
        }
    }
    text.len()
}

fn character_or_lifetime(text: &str) -> usize {
    let mut inner = text[1..].chars();
    match (inner.next(), inner.next()) {
        (Some('\\'), _) => quoted(&text[1..], '\'') + 2,
        (Some(character), Some('\'')) => character.len_utf8() + 2,
        _ => text[1..].find(|character| !is_of_word(character)).map_or(text.len(), |length| length + 1),
    }
}

/// Drops every item under `#[cfg(test)]`.
fn without_unit_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if is_cfg_test(&tokens[at..]) {
            at = end_of_item(&tokens, at);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

fn is_cfg_test(tokens: &[Token]) -> bool {
    let spelled = |token: &Token| match &token.kind {
        Kind::Word(word) => word.clone(),
        Kind::Mark(mark) => (*mark).to_owned(),
        Kind::Text(_) => String::new(),
    };
    tokens.len() >= 7 && tokens[0].is("#") && tokens[..7].iter().map(spelled).collect::<String>() == "#[cfg(test)]"
}

/// Where the item ends that begins here with its attributes: after its block, or after its semicolon.
fn end_of_item(tokens: &[Token], begin: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(begin) {
        match token.kind {
            Kind::Mark("{" | "(" | "[") => depth += 1,
            Kind::Mark("}" | ")" | "]") => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.is("}") {
                    return at + 1;
                }
            }
            Kind::Mark(";") if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[test]
fn comments_texts_and_unit_tests_are_told_from_code() {
    let source = r##"
// one::line
/* a /* nested */ block */
fn f<'a>(c: char) -> &'a str { 'x'; '\''; b"by\"tes"; r#"raw "text""#; r#type::x }
#[cfg(test)]
#[allow(dead_code)]
mod tests { use only::for_tests; fn g() {} }
#[cfg(test)]
use only::once;
struct Last;
"##;
    let tokens = tokens(source);
    let words: Vec<&str> = tokens.iter().filter_map(Token::word).collect();
    assert_eq!(words, ["fn", "f", "c", "char", "str", "type", "x", "struct", "Last"]);
    let texts: Vec<&str> = tokens.iter().filter_map(Token::text).collect();
    assert_eq!(texts, [r#"by\"tes"#, r#"raw "text""#]);
    assert_eq!(tokens.last().expect("a token").line, 10);
}
