//! The width of text, and which scripts are written without spaces. Covers only as much of Unicode as captions need.

/// Returns the width in Latin characters. East Asian characters are twice as wide, and take twice as long to read.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|character| if is_wide(character) { 2 } else { 1 }).sum()
}

/// Returns whether a space belongs between these two parts of a text.
pub fn is_spaced(before: &str, after: &str) -> bool {
    !(before.ends_with(is_unspaced) && after.starts_with(is_unspaced))
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

fn is_unspaced(character: char) -> bool {
    // Thai and Lao, Myanmar, Khmer.
    is_ideograph_or_kana(character)
        || matches!(character, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}')
}

/// Includes the punctuation of these scripts.
fn is_ideograph_or_kana(character: char) -> bool {
    matches!(character, '\u{2E80}'..='\u{303E}' | '\u{3041}'..='\u{312F}' | '\u{3190}'..='\u{A4CF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{FE30}'..='\u{FE4F}' | '\u{FF00}'..='\u{FF60}' | '\u{20000}'..='\u{3FFFD}')
}
