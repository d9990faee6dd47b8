//! A JSON text as a vendor sent it. A small one is held as it is, a large one deflated: the words of a long transcript are
//! mostly the same few names and digits. What is in it is read as a stream, as browsers and Python read it.

use std::borrow::Cow;
use std::io::{self, BufReader, Read, Write as _};
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::de::{DeserializeOwned, DeserializeSeed};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::Kind;
use super::lenient::{Mender, mended};

/// The largest text that is held as it is.
pub const SMALL: usize = 256 << 10;

/// The largest text that is read at all. The longest audio that AssemblyAI accepts makes some 30 MB.
const LARGEST: usize = 64 << 20;

/// The largest text once it is deflated. Words deflate to a fourth or less.
const LARGEST_DEFLATED: usize = 16 << 20;

/// The part of a string in a large text that is read, in bytes as they came: while a string is read, it is in memory as a
/// whole. The text of ten hours of speech has less than one million.
const LONGEST_STRING: usize = 4 << 20;

/// How far behind that a string may be cut: at the first place that is not near an escape sequence.
const CUT_WITHIN: usize = 64 << 10;

/// The length of the longest escape sequence: two halves of a character.
const LONGEST_ESCAPE: usize = 12;

/// The deepest nesting. A reader remembers each list and object that is open.
const DEEPEST: usize = 1_000;

/// Size of the pieces in which a deflated text is read.
const PIECE: usize = 64 << 10;

/// The first byte of deflated data, with which no JSON text begins.
const DEFLATED: u8 = 0x78;

/// The path of a mismatch that is in no field.
const TOP: &str = "the top level";

/// Returns the size of a text, from what [`Json::stored`] returned: how many bytes it has at most.
pub fn most_bytes(stored: &[u8]) -> usize {
    if stored.first() == Some(&DEFLATED) { LARGEST } else { stored.len() }
}

/// A whole JSON text. Clones share it.
#[derive(Debug, Clone)]
pub struct Json {
    bytes: Bytes,
    /// The turn of a large text. It ends with the last clone that has it.
    _turn: Option<Arc<OwnedSemaphorePermit>>,
}

impl From<Vec<u8>> for Json {
    /// Takes a text, or what [`Json::stored`] returned.
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), _turn: None }
    }
}

impl Json {
    /// Returns the bytes to store: the text, or the text deflated.
    pub fn stored(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns `true` if reading it takes so long that no other task should wait for it.
    pub fn is_large(&self) -> bool {
        self.bytes.first() == Some(&DEFLATED)
    }

    /// Returns the same text without the turn, for one who keeps it for long.
    pub fn without_turn(self) -> Self {
        Self { _turn: None, ..self }
    }

    /// Returns the text in pieces, each of them made when it is asked for.
    pub fn pieces(&self) -> impl Iterator<Item = io::Result<Bytes>> + Send + use<> {
        let (mut whole, mut deflated) = match self.is_large() {
            true => (None, Some(self.inflated())),
            false => (Some(self.bytes.clone()), None),
        };
        std::iter::from_fn(move || match &mut deflated {
            None => whole.take().map(Ok),
            Some(reader) => {
                let mut piece = Vec::with_capacity(PIECE);
                match reader.by_ref().take(PIECE as u64).read_to_end(&mut piece) {
                    Ok(0) => None,
                    Ok(_) => Some(Ok(piece.into())),
                    Err(error) => {
                        (whole, deflated) = (None, None);
                        Some(Err(error))
                    }
                }
            }
        })
    }

    /// Reads the text. The error has the path of the first mismatch, never a value.
    pub(super) fn read<'de, S: DeserializeSeed<'de>>(&'de self, seed: S) -> Result<S::Value, Kind> {
        if self.is_large() {
            let reader = BufReader::with_capacity(PIECE, Shortened::of(self.inflated()));
            return parse(serde_json::Deserializer::from_reader(reader), seed);
        }
        match mended(&self.bytes) {
            Cow::Borrowed(text) => parse(serde_json::Deserializer::from_slice(text), seed),
            Cow::Owned(text) => parse(serde_json::Deserializer::from_reader(&text[..]), seed),
        }
    }

    fn inflated(&self) -> ZlibDecoder<io::Cursor<Bytes>> {
        ZlibDecoder::new(io::Cursor::new(self.bytes.clone()))
    }
}

/// Parses a whole text that is not held. Of a field that is there twice, the last one counts.
pub(super) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Kind> {
    let text = mended(text);
    let read = parse(serde_json::Deserializer::from_slice(&text), PhantomData);
    // serde refuses such a field in most types, but not in a `Value`, which takes several times the memory.
    if read.is_err() && text.len() <= SMALL {
        let last = serde_json::from_slice::<Value>(&text).ok().and_then(|value| T::deserialize(value).ok());
        return last.map_or(read, Ok);
    }
    read
}

/// Parses a whole text.
fn parse<'de, R, S>(mut reader: serde_json::Deserializer<R>, seed: S) -> Result<S::Value, Kind>
where
    R: serde_json::de::Read<'de>,
    S: DeserializeSeed<'de>,
{
    let mut track = serde_path_to_error::Track::new();
    let value = seed.deserialize(serde_path_to_error::Deserializer::new(&mut reader, &mut track)).map_err(|_| {
        let path = track.path().to_string();
        Kind::BadBody { path: if path == "." { TOP.to_owned() } else { path } }
    })?;
    reader.end().map_err(|_| Kind::BadBody { path: TOP.to_owned() })?;
    Ok(value)
}

/// A text that is still being received.
#[derive(Debug, Default)]
pub(super) struct Growing {
    /// All of it, as long as it is small.
    small: Vec<u8>,
    deflated: Option<ZlibEncoder<Vec<u8>>>,
    length: usize,
    strings: Strings,
}

impl Growing {
    pub(super) fn is_large(&self) -> bool {
        self.deflated.is_some()
    }

    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Kind> {
        self.length += chunk.len();
        if self.length > LARGEST {
            return Err(Kind::TooLarge("more than 64 MiB"));
        }
        for byte in chunk {
            if self.strings.keeps(*byte) && self.strings.kept > LONGEST_STRING + CUT_WITHIN {
                return Err(Kind::TooLarge("more than 4 MiB of escape sequences"));
            }
            if self.strings.depth > DEEPEST {
                return Err(Kind::BadBody { path: format!("a depth of more than {DEEPEST}") });
            }
        }
        // Writing to memory does not fail.
        let failed = |_| Kind::TooLarge("it does not fit into memory");
        match &mut self.deflated {
            None if self.length <= SMALL => self.small.extend_from_slice(chunk),
            None => {
                let mut deflated = ZlibEncoder::new(Vec::new(), Compression::fast());
                deflated
                    .write_all(&std::mem::take(&mut self.small))
                    .and_then(|()| deflated.write_all(chunk))
                    .map_err(failed)?;
                self.deflated = Some(deflated);
            }
            Some(deflated) => {
                deflated.write_all(chunk).map_err(failed)?;
                if deflated.get_ref().len() > LARGEST_DEFLATED {
                    return Err(Kind::TooLarge("more than 16 MiB even when it is compressed"));
                }
            }
        }
        Ok(())
    }

    /// Ends the text. `turn` is that of a large one.
    pub(super) fn end(self, turn: Option<OwnedSemaphorePermit>) -> Result<Json, Kind> {
        let bytes = match self.deflated {
            // It would pass for a deflated one.
            None if self.small.first() == Some(&DEFLATED) => return Err(Kind::BadBody { path: TOP.to_owned() }),
            None => self.small,
            Some(deflated) => deflated.finish().map_err(|_| Kind::TooLarge("it does not fit into memory"))?,
        };
        Ok(Json { bytes: bytes.into(), _turn: turn.map(Arc::new) })
    }
}

/// Follows the strings of a JSON text, to keep only the beginning of a very long one.
#[derive(Debug, Default)]
struct Strings {
    is_inside: bool,
    is_escaped: bool,
    is_cut: bool,
    /// How much of this string was kept.
    kept: usize,
    /// The bytes since the last backslash.
    unescaped: usize,
    /// How many lists and objects are open.
    depth: usize,
}

impl Strings {
    /// Takes the next byte of the text. Returns `false` if it belongs to the rest of a string that is too long.
    fn keeps(&mut self, byte: u8) -> bool {
        if !self.is_inside {
            match byte {
                b'"' => *self = Self { is_inside: true, depth: self.depth, ..Self::default() },
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            return true;
        }
        self.unescaped += 1;
        if std::mem::take(&mut self.is_escaped) {
        } else if byte == b'"' {
            self.is_inside = false;
            return true;
        } else if byte == b'\\' {
            (self.is_escaped, self.unescaped) = (true, 0);
        }
        // Other bytes of UTF-8 continue a character.
        let begins_character = byte.is_ascii() || byte >= 0xc0;
        self.is_cut |= self.kept >= LONGEST_STRING && self.unescaped > LONGEST_ESCAPE && begins_character;
        self.kept += usize::from(!self.is_cut);
        !self.is_cut
    }
}

/// A text as strict JSON, without the rest of strings that are too long.
struct Shortened<R> {
    text: R,
    mender: Mender,
    strings: Strings,
    /// A piece of the text as it came.
    piece: Vec<u8>,
    /// What became of it, and how much of that was read.
    kept: Vec<u8>,
    read: usize,
}

impl<R: Read> Shortened<R> {
    fn of(text: R) -> Self {
        let piece = vec![0; PIECE];
        Self { text, mender: Mender::default(), strings: Strings::default(), piece, kept: Vec::new(), read: 0 }
    }
}

impl<R: Read> Read for Shortened<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A piece may leave nothing, which would mean the end of the text.
        while self.read == self.kept.len() {
            self.kept.clear();
            self.read = 0;
            let length = self.text.read(&mut self.piece)?;
            self.mender.mend(&self.piece[..length], &mut self.kept);
            if length == 0 {
                self.mender.end(&mut self.kept);
            }
            self.kept.retain(|byte| self.strings.keeps(*byte));
            if length == 0 {
                break;
            }
        }
        let rest = &self.kept[self.read..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.read += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(chunks: &[&[u8]]) -> Result<Json, Kind> {
        let mut growing = Growing::default();
        for chunk in chunks {
            growing.push(chunk)?;
        }
        growing.end(None)
    }

    fn whole(json: &Json) -> Vec<u8> {
        json.pieces().map(|piece| piece.unwrap().to_vec()).collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_text_comes_back_as_it_came_whether_it_is_held_deflated_or_not() {
        let small = br#" {"id": "1"}"#.to_vec();
        let large = format!("[{}0]", r#"{"text": "Ahoy!", "start": 250}, "#.repeat(20_000)).into_bytes();
        for (text, is_large) in [(small, false), (large, true)] {
            let chunks: Vec<&[u8]> = text.chunks(10_000).collect();
            let json = grown(&chunks).unwrap();
            assert_eq!(json.is_large(), is_large);
            assert!(!is_large || json.stored().len() < text.len() / 10);
            assert!(whole(&json) == text && whole(&Json::from(json.stored().to_vec())) == text);
            assert!(json.read(std::marker::PhantomData::<serde::de::IgnoredAny>).is_ok());
        }
    }

    #[test]
    fn a_text_that_is_no_strict_json_is_kept_as_it_came_and_read_all_the_same() {
        let odd = |words: &str| format!("\u{feff}[{words}\"hi \\ud83d\", NaN]").into_bytes();
        let mut small = odd("");
        small[6] = 0xff;
        for (text, first) in [(small, "h\u{fffd} \u{fffd}"), (odd(&r#""Ahoy!", "#.repeat(40_000)), "Ahoy!")] {
            let json = grown(&[&text]).unwrap();
            let read: Vec<Value> = json.read(PhantomData).unwrap();
            assert_eq!((&read[0], read.last()), (&Value::from(first), Some(&Value::Null)));
            assert!(whole(&json) == text);
        }
    }

    #[test]
    fn of_a_field_that_is_there_twice_the_last_counts() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Fields {
            id: u8,
        }
        assert_eq!(super::read(br#"[{"id": 1, "id": 2}, {"id": 3}]"#), Ok(vec![Fields { id: 2 }, Fields { id: 3 }]));
        let path = Kind::BadBody { path: "[0]".to_owned() };
        assert_eq!(super::read::<Vec<Fields>>(br#"[{"id": 1, "id": "x"}]"#), Err(path));
    }

    #[test]
    fn a_text_that_memory_should_not_hold_is_refused_while_it_comes() {
        let mut random = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // No quote and no backslash.
            (random >> 56) as u8 | 0x80
        })
        .take(1 << 20)
        .collect();
        assert_eq!(
            grown(&[&noise[..]; 20]).unwrap_err(),
            Kind::TooLarge("more than 16 MiB even when it is compressed")
        );
        assert_eq!(grown(&[&[b' '; 1 << 20][..]; 65]).unwrap_err(), Kind::TooLarge("more than 64 MiB"));
        let deep = Kind::BadBody { path: "a depth of more than 1000".to_owned() };
        assert_eq!(grown(&[br#"{"a": "#, &[b'['; DEEPEST]]).unwrap_err(), deep);
        assert!(grown(&[&[b'['; DEEPEST], br#""[[["#, &[b']'; DEEPEST]]).is_ok());
        let deflated = [&[DEFLATED][..], b"not really"].concat();
        assert_eq!(grown(&[&deflated]).unwrap_err(), Kind::BadBody { path: TOP.to_owned() });
        let escapes = [&[b'"'][..], &br"\n".repeat(LONGEST_STRING / 2 + CUT_WITHIN)].concat();
        assert_eq!(grown(&[&escapes]).unwrap_err(), Kind::TooLarge("more than 4 MiB of escape sequences"));
    }

    #[test]
    fn the_beginning_of_a_very_long_string_is_read_with_all_that_follows() {
        for end in ["", r#"\" \\"#, r"\ud83d\ude00"] {
            for repeated in ["a", "ä", "語", "\u{1f600}"] {
                let long =
                    repeated.repeat(LONGEST_STRING / repeated.len() - end.len() / 2) + end + &repeated.repeat(9_000);
                let text = format!(r#"["{long}", "\"", "{end}"]"#);
                let chunks: Vec<&[u8]> = text.as_bytes().chunks(100_003).collect();
                let json = grown(&chunks).unwrap();
                let read: [String; 3] = json.read(std::marker::PhantomData).unwrap();
                assert!(read[0].len() <= LONGEST_STRING + LONGEST_ESCAPE && read[0].len() > LONGEST_STRING - 32);
                assert!(read[0].starts_with(repeated) && read[1] == "\"", "{repeated} {end}");
                assert_eq!(whole(&json), text.as_bytes(), "it is kept as it came");
            }
        }
    }
}
