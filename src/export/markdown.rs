//! A document as Markdown: <https://spec.commonmark.org/0.31.2/>.

use std::fmt::Write as _;

use super::document::{Document, line};

/// Writes a heading, the facts, and a paragraph for each of the document, with the speaker in bold and the time.
pub fn markdown(document: &Document) -> String {
    let Document { title, facts, paragraphs, .. } = document;
    let mut text = format!("# {}\n\n{}\n", escape(&line(title)), escape(&line(facts)));
    for paragraph in paragraphs {
        let speaker = paragraph.speaker.as_ref().map(|name| format!("**{}**", escape(name)));
        let parts = [speaker, paragraph.clock(), Some(escape(&paragraph.text))];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        _ = write!(text, "\n{}\n", parts.join(" "));
    }
    text
}

/// Escapes what would be markup.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // Digits and the mark after them would begin a list, and these others a list, a heading or a line.
    let number = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    for (at, c) in text.char_indices() {
        let begins =
            at == number && (number > 0 && matches!(c, '.' | ')') || number == 0 && matches!(c, '-' | '+' | '='));
        if begins || matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '#' | '|' | '~') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
