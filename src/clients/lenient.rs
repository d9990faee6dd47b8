//! Makes strict JSON of a text as browsers or Python read it: with a byte order mark, `NaN`, half a character, or bytes that
//! are no UTF-8. What was paid for must not be lost to one odd byte.

use std::borrow::Cow;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Stands in place of what is no character.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// The longest number or literal that is looked at. A longer one is passed on.
const LONGEST_TOKEN: usize = 512;

/// Lengths of an escape sequence such as `\ud83d`, and of the two that make one character.
const ESCAPE: usize = 6;
const TWO_ESCAPES: usize = 12;

/// Writes each text that is no strict JSON as one that is, in pieces as it comes. Text that has no meaning stays as it is.
#[derive(Debug, Default)]
pub(super) struct Mender {
    place: Place,
    /// The bytes of a token, an escape sequence or a character that is not complete.
    held: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    Start,
    /// Outside of strings, at no token.
    Between,
    /// In a number or literal.
    Token,
    /// In one that is passed on.
    LongToken,
    /// In a string.
    Text,
    /// In an escape sequence, or between those of the two halves of a character.
    Escape,
    /// In a character of several bytes.
    Character,
}

/// Returns a whole text as strict JSON.
pub(super) fn mended(text: &[u8]) -> Cow<'_, [u8]> {
    let (mut mender, mut mended) = (Mender::default(), Vec::with_capacity(text.len()));
    mender.mend(text, &mut mended);
    mender.end(&mut mended);
    if mended == text { Cow::Borrowed(text) } else { Cow::Owned(mended) }
}

impl Mender {
    /// Takes the next bytes of the text, and appends what they become.
    pub(super) fn mend(&mut self, mut bytes: &[u8], mended: &mut Vec<u8>) {
        loop {
            let plain: fn(&u8) -> bool = match self.place {
                Place::Between => |byte| *byte != b'"' && !is_of_token(*byte),
                Place::Text => |byte| (0x20..0x80).contains(byte) && *byte != b'"' && *byte != b'\\',
                _ => |_| false,
            };
            let length = bytes.iter().position(|byte| !plain(byte)).unwrap_or(bytes.len());
            mended.extend_from_slice(&bytes[..length]);
            bytes = &bytes[length..];
            let Some(byte) = bytes.first() else { return };
            if self.takes(*byte, mended) {
                bytes = &bytes[1..];
            }
        }
    }

    /// Ends the text.
    pub(super) fn end(&mut self, mended: &mut Vec<u8>) {
        match self.place {
            Place::Token => self.end_token(mended),
            _ => mended.append(&mut self.held),
        }
    }

    /// Takes a byte. Returns `false` if the byte only ends what it follows; it is then taken again.
    fn takes(&mut self, byte: u8, mended: &mut Vec<u8>) -> bool {
        match self.place {
            Place::Start if BYTE_ORDER_MARK.get(self.held.len()) == Some(&byte) => self.held.push(byte),
            Place::Start => {
                if self.held != BYTE_ORDER_MARK {
                    mended.append(&mut self.held);
                }
                self.goes_to(Place::Between);
                return false;
            }
            Place::Between if byte == b'"' => {
                mended.push(byte);
                self.place = Place::Text;
            }
            Place::Between if is_of_token(byte) => {
                self.place = Place::Token;
                return false;
            }
            Place::Token if is_of_token(byte) && self.held.len() < LONGEST_TOKEN => self.held.push(byte),
            Place::Token if is_of_token(byte) => {
                mended.append(&mut self.held);
                self.place = Place::LongToken;
                return false;
            }
            Place::Token => {
                self.end_token(mended);
                return false;
            }
            Place::LongToken if !is_of_token(byte) => {
                self.place = Place::Between;
                return false;
            }
            Place::Between | Place::LongToken => mended.push(byte),
            Place::Text => return self.takes_text(byte, mended),
            Place::Escape => return self.takes_escape(byte, mended),
            Place::Character => return self.takes_character(byte, mended),
        }
        true
    }

    fn takes_text(&mut self, byte: u8, mended: &mut Vec<u8>) -> bool {
        match byte {
            b'"' => {
                mended.push(byte);
                self.place = Place::Between;
            }
            b'\\' => {
                self.held.push(byte);
                self.place = Place::Escape;
            }
            // A control character must be escaped in JSON. It is not escaped here, so that no string gets longer.
            ..0x20 => mended.push(b' '),
            0x80.. => {
                self.place = Place::Character;
                return false;
            }
            _ => mended.push(byte),
        }
        true
    }

    fn takes_escape(&mut self, byte: u8, mended: &mut Vec<u8>) -> bool {
        let fits = match self.held.len() % ESCAPE {
            0 => byte == b'\\',
            1 => byte == b'u' || (self.held.len() == 1 && br#""\/bfnrt"#.contains(&byte)),
            _ => byte.is_ascii_hexdigit(),
        };
        if !fits {
            // The byte does not continue what is held: a broken escape sequence, or half a surrogate pair. If a backslash
            // follows that half, it begins another escape sequence, such as `\n`, which the byte may end.
            let (halves, is_begun) = (self.held.len().div_ceil(ESCAPE), self.held.len() == ESCAPE + 1);
            let replaced = if is_begun { 1 } else { halves };
            mended.extend(REPLACEMENT.repeat(replaced));
            self.goes_to(Place::Text);
            if is_begun {
                self.held.push(b'\\');
                self.place = Place::Escape;
            }
            return false;
        }
        self.held.push(byte);
        match self.held.len() {
            2 if byte != b'u' => self.passes(mended),
            ESCAPE => match half(&self.held) {
                Half::First => {}
                Half::Second => self.replaces(mended),
                Half::None => self.passes(mended),
            },
            TWO_ESCAPES => match half(&self.held[ESCAPE..]) {
                Half::Second => self.passes(mended),
                other => {
                    mended.extend_from_slice(REPLACEMENT);
                    self.held.drain(..ESCAPE);
                    if other == Half::None {
                        self.passes(mended);
                    }
                }
            },
            _ => {}
        }
        true
    }

    fn takes_character(&mut self, byte: u8, mended: &mut Vec<u8>) -> bool {
        self.held.push(byte);
        match std::str::from_utf8(&self.held) {
            Ok(_) => self.passes(mended),
            Err(error) if error.error_len().is_none() => {}
            Err(_) => {
                let is_alone = self.held.len() == 1;
                self.replaces(mended);
                return is_alone;
            }
        }
        true
    }

    /// Passes on what is held.
    fn passes(&mut self, mended: &mut Vec<u8>) {
        mended.append(&mut self.held);
        self.place = Place::Text;
    }

    /// Replaces what is held.
    fn replaces(&mut self, mended: &mut Vec<u8>) {
        mended.extend_from_slice(REPLACEMENT);
        self.goes_to(Place::Text);
    }

    fn goes_to(&mut self, place: Place) {
        self.held.clear();
        self.place = place;
    }

    /// Passes on a number or literal: `NaN` as `null`, and a number that is too large as the largest.
    fn end_token(&mut self, mended: &mut Vec<u8>) {
        let is_small = self.held.len() < 300 && self.held.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'.'));
        let number = std::str::from_utf8(&self.held).ok().filter(|_| !is_small).and_then(|token| token.parse().ok());
        match number {
            Some(number) if f64::is_nan(number) => mended.extend_from_slice(b"null"),
            Some(number) if f64::is_infinite(number) => {
                mended.extend_from_slice(format!("{:e}", f64::MAX.copysign(number)).as_bytes());
            }
            _ => mended.extend_from_slice(&self.held),
        }
        self.goes_to(Place::Between);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Half {
    First,
    Second,
    None,
}

/// Which half of a character an escape sequence such as `\ud83d` is.
fn half(escape: &[u8]) -> Half {
    match [escape[2], escape[3]].map(|digit| digit.to_ascii_lowercase()) {
        [b'd', b'8'..=b'9' | b'a'..=b'b'] => Half::First,
        [b'd', b'c'..=b'f'] => Half::Second,
        _ => Half::None,
    }
}

fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_or_python_read_becomes_strict_json_however_it_is_cut() {
        for (text, expected) in [
            (&br#"{"a": [1, -2.5e3, true, null, "\n\u00e4\ud83d\ude00"]} "#[..], None),
            ("\"äöü 語 \u{1f600} \\\\\\\" {\"".as_bytes(), None),
            (b"\xef\xbb\xbf{}", Some("{}")),
            (b"\xef\xbb\xbf 7", Some(" 7")),
            (b"[NaN, -NaN, 1e5]", Some("[null, null, 1e5]")),
            (
                b"[Infinity,-Infinity,1e999]",
                Some("[1.7976931348623157e308,-1.7976931348623157e308,1.7976931348623157e308]"),
            ),
            (b"NaN", Some("null")),
            (br#""hi \ud83d""#, Some("\"hi \u{fffd}\"")),
            (br#""\ud83d\ud83d\ude00\ude00""#, Some("\"\u{fffd}\\ud83d\\ude00\u{fffd}\"")),
            (br#""\uD83D\n\ud83dx\ud83d\u0041""#, Some("\"\u{fffd}\\n\u{fffd}x\u{fffd}\\u0041\"")),
            (br#""\x\u12\ud83d\u1\ud83d\"\u""#, Some("\"\u{fffd}x\u{fffd}\u{fffd}\u{fffd}\u{fffd}\\\"\u{fffd}\"")),
            (b"\"\xff\xe4x\xe8\xaa\xf0\x9f\x98\x80\xf0\x9f\"", Some("\"\u{fffd}\u{fffd}x\u{fffd}\u{1f600}\u{fffd}\"")),
            (b"\"\xed\xa0\xbd\"", Some("\"\u{fffd}\u{fffd}\u{fffd}\"")),
            (b"\"a\n\t\0b\"\n", Some("\"a   b\"\n")),
            (b"\"\\", None),
            (b"{\"a\": nonsense}", None),
            (b"", None),
        ] {
            let expected = expected.map_or_else(|| text.to_vec(), |expected| expected.as_bytes().to_vec());
            for size in 1..=text.len().max(1) {
                let (mut mender, mut mended) = (Mender::default(), Vec::new());
                text.chunks(size).for_each(|piece| mender.mend(piece, &mut mended));
                mender.end(&mut mended);
                let [found, expected] = [&mended, &expected].map(|text| String::from_utf8_lossy(text));
                assert_eq!(found, expected, "{:?} in pieces of {size}", String::from_utf8_lossy(text));
            }
            assert_eq!(matches!(mended(text), Cow::Borrowed(_)), expected == text);
        }
    }

    #[test]
    fn a_number_of_many_digits_is_passed_on_in_little_memory() {
        let long = format!("[0.{}, 1{}]", "3".repeat(5_000), "0".repeat(400));
        let (mut mender, mut mended) = (Mender::default(), Vec::new());
        mender.mend(long.as_bytes(), &mut mended);
        assert!(mender.held.capacity() <= 2 * LONGEST_TOKEN);
        let numbers: [f64; 2] = serde_json::from_slice(&mended).unwrap();
        assert!(numbers[0] < 0.34 && numbers[1] == f64::MAX);
    }
}
