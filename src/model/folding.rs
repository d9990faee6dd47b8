//! How a word of a text or a query is folded for search: without case, without accents, and without what is optional or
//! invisible in it, so that words match which a reader takes for the same. Knows nothing of terms and queries.
//!
//! Marks are removed where a reader does without them: the accents of Latin, Greek and Cyrillic, the vowel points of
//! Arabic and Hebrew. In other scripts a mark makes another letter, so Hindi, Kana and Hangul keep theirs.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

const ALEF: char = '\u{627}';

/// Appends this word, folded. It may become empty, if it was only a mark.
pub(super) fn fold(word: &str, folded: &mut String) {
    if word.is_ascii() {
        folded.extend(word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()));
        return;
    }
    let begin = folded.len();
    // All at once, because marks that are typed in any order have one order here.
    for c in word.chars().filter(|c| !is_joint(*c) && !is_invisible(*c)).nfkd() {
        // "Ahmad" is written with and without the hamza on its alef. On other letters it makes another letter.
        let is_hamza_on_alef = c == '\u{654}' && folded[begin..].ends_with(ALEF);
        if is_optional(c) || is_hamza_on_alef {
            continue;
        }
        // By way of the upper case, which alone unites "ß" with "ss" and the two small sigmas.
        for c in c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase) {
            match in_basic_letters(c) {
                Some(letters) => folded.push_str(letters),
                None if is_optional(c) => {}
                None if c.is_alphanumeric() || is_combining_mark(c) => folded.push(c),
                None => {}
            }
        }
    }
}

/// Returns `true` for a character within a word that people write or leave out: "don't" and "dont", "Hawaiʻi" and
/// "Hawaii", Catalan's "col·lega". Also for the non-joiner of Persian, which stands between a word and its ending. Between
/// no letters these characters separate words, like all punctuation.
pub(super) fn is_joint(c: char) -> bool {
    // Quotation marks and accents that are typed as apostrophes, apostrophes of other scripts, and those of
    // transliterations, such as the okina.
    matches!(
        c,
        '\'' | '`' | '´' | '‘' | '’' | '‛' | '′' | '＇' | '\u{2b9}'
            ..='\u{2bf}'
                | '\u{2ee}'
                | '\u{55a}'
                | '\u{5f3}'
                | '\u{7f4}'
                | '\u{7f5}'
                | '\u{1fbd}'
                | '\u{1fbf}'
                | '\u{a78b}'
                | '\u{a78c}'
    ) || matches!(c, '·' | '\u{387}' | '\u{200c}')
}

/// Returns `true` for characters that nobody sees: soft hyphens, joiners, spaces without width, marks of direction,
/// and selectors of variants of a letter.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200d}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Returns `true` for the voicing marks of Kana, which belong to the character before.
pub(super) fn is_voicing(c: char) -> bool {
    matches!(c, '\u{3099}' | '\u{309a}')
}

/// Returns `true` for Thai, Lao, Burmese, Khmer, Kana and Chinese. There each character is a term and a word is a phrase.
pub(super) fn is_written_without_spaces(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Returns `true` for what a reader does without: accents, Hebrew's points, Arabic's vowels and the line that only
/// stretches a word.
fn is_optional(c: char) -> bool {
    is_accent(c)
        || matches!(c, '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}')
        || matches!(c, '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{653}' | '\u{655}'..='\u{65f}' | '\u{670}'
            | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e4}' | '\u{6e7}' | '\u{6e8}' | '\u{6ea}'..='\u{6ed}')
}

/// Returns `true` for the diacritics of Latin, Greek and Cyrillic.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Returns what is written for a lowercase letter where the keyboard lacks it, for those letters that no accent makes. Most
/// are as in Unicode's transliteration from Latin to ASCII.
fn in_basic_letters(c: char) -> Option<&'static str> {
    Some(match c {
        'æ' => "ae",
        'ɓ' | 'ƀ' => "b",
        'ƈ' | 'ȼ' => "c",
        'đ' | 'ð' | 'ɖ' | 'ɗ' => "d",
        'ǝ' | 'ə' | 'ɛ' | 'ɇ' => "e",
        'ƒ' => "f",
        'ɠ' | 'ǥ' => "g",
        'ħ' | 'ⱨ' => "h",
        'ı' | 'ɨ' | 'ɩ' => "i",
        'ȷ' | 'ɉ' => "j",
        'ƙ' | 'ⱪ' => "k",
        'ĸ' => "q",
        'ł' | 'ƚ' | 'ɫ' => "l",
        'ŋ' | 'ɲ' | 'ƞ' => "n",
        'ø' | 'ɔ' | 'ɵ' => "o",
        'œ' => "oe",
        'ƥ' => "p",
        'ɍ' => "r",
        'ŧ' | 'ƭ' | 'ʈ' | 'ⱦ' => "t",
        'þ' => "th",
        'ʉ' => "u",
        'ʋ' => "v",
        'ƴ' | 'ɏ' => "y",
        'ƶ' | 'ⱬ' => "z",
        // Ukrainian, which was long written without it.
        'ґ' => "г",
        // Alef with wasla.
        '\u{671}' => "\u{627}",
        // Iranian and Arabic keyboards write one letter in two ways.
        '\u{6a9}' => "\u{643}",
        '\u{649}' | '\u{6cc}' => "\u{64a}",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(word: &str) -> String {
        let mut folded = String::new();
        fold(word, &mut folded);
        folded
    }

    #[test]
    fn words_that_a_reader_takes_for_the_same_fold_to_the_same() {
        for words in [
            // Case, where it changes the number of letters or depends on the place.
            &["Straße", "STRASSE", "STRAẞE", "strasse"][..],
            &["οδός", "ΟΔΟΣ", "οδοσ", "ὁδός"],
            &["İstanbul", "istanbul", "ISTANBUL", "ıstanbul", "I\u{307}stanbul"],
            &["ⴀⴁ", "ႠႡ"],
            &["აბ", "ᲐᲑ"],
            // Compatibility forms.
            &["ﬁve ﬄuent", "five ffluent"],
            &["２４ Ｃａｆé", "24 cafe"],
            &["ﻣﺮﺣﺒﺎ", "مرحبا"],
            &["Ⅷ", "viii"],
            &["և", "եւ"],
            // Letters that no accent makes.
            &["Łódź", "lodz"],
            &["Søren", "soren"],
            &["Đorđe", "dorde"],
            &["Guðmundur Þór", "gudmundur thor"],
            &["cœur Æsir", "coeur aesir"],
            &["Ħal Għaxaq", "hal ghaxaq"],
            &["Sápmi ŋ ŧ", "sapmi n t"],
            &["Đường phố", "duong pho"],
            &["Əliyev", "Eliyev"],
            &["Ґанок", "ганок"],
            // Accents, composed or not, in any order.
            &["Ångström", "A\u{30a}ngstro\u{308}m", "angstrom"],
            &["ệ", "e\u{302}\u{323}", "e\u{323}\u{302}"],
            &["ёлка", "елка", "е\u{308}лка"],
            &["й", "и\u{306}"],
            // Joints and what is invisible.
            &["don't", "don’t", "donʼt", "don＇t", "don`t", "dont"],
            &["Hawaiʻi", "Hawai'i", "Hawaii"],
            &["Qurʾān", "Quran"],
            &["col·lega", "coŀlega", "collega"],
            &[
                "con\u{ad}tract",
                "con\u{200b}tract",
                "con\u{2060}tract",
                "con\u{feff}tract",
                "con\u{200d}tract",
                "contract",
            ],
            &["می\u{200c}خواهم", "میخواهم"],
            // Points that are hardly ever written.
            &["مُحَمَّد", "محمد", "محـــمد", "مُحَمّ\u{64e}د"],
            &["أحمد", "احمد", "ا\u{654}حمد"],
            &["שָׁלוֹם", "שלום", "שׁ\u{5b8}לו\u{5b9}ם"],
            // Marks that are letters, in any order.
            &["क\u{93c}", "क़"],
            &["が", "か\u{3099}"],
            &["한", "한"],
        ] {
            for word in words {
                assert_eq!(folded(word), folded(words[0]), "{word} and {}", words[0]);
            }
        }
    }

    #[test]
    fn words_that_are_others_stay_others() {
        for (one, other) in [
            ("की", "कि"),
            ("किताब", "कताब"),
            ("क़लम", "कलम"),
            ("हिन्दी", "हिनदी"),
            ("か", "が"),
            ("は", "ぱ"),
            ("か", "カ"),
            ("つ", "っ"),
            ("한", "하"),
            ("가", "까"),
            ("ก่", "ก้"),
            ("سئل", "سيل"),
            ("ب", "ت"),
            ("ש", "ס"),
            ("и", "і"),
            ("е", "э"),
            ("ö", "oe"),
            ("n", "m"),
            ("o", "0"),
            ("l", "1"),
            ("а", "a"),
        ] {
            assert_ne!(folded(one), folded(other), "{one} and {other}");
        }
    }
}
