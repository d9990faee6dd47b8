//! The width of text. Covers only as much of Unicode as captions need.

use crate::model::word::is_ideograph_or_kana;

/// Returns the width in Latin characters. East Asian characters are twice as wide, and take twice as long to read.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|character| if is_wide(character) { 2 } else { 1 }).sum()
}

/// Splits a word into parts of at most this width.
pub(super) fn split(word: &str, max: usize) -> Vec<&str> {
    let (mut parts, mut begin, mut room) = (Vec::new(), 0, max);
    for (at, character) in word.char_indices() {
        let needed = if is_wide(character) { 2 } else { 1 };
        if needed > room {
            parts.push(&word[begin..at]);
            (begin, room) = (at, max);
        }
        room -= needed;
    }
    parts.push(&word[begin..]);
    parts
}

/// Ideographs and kana are wide, and so is Korean, which has spaces.
fn is_wide(character: char) -> bool {
    is_ideograph_or_kana(character)
        || matches!(character, '\u{1100}'..='\u{115F}' | '\u{AC00}'..='\u{D7A3}' | '\u{FFE0}'..='\u{FFE6}')
}
