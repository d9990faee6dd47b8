//! What the person on the phone says: a few seconds of made-up speech, 8 kHz, 16 bit, mono, as Twilio records it.
//! `mark` makes a file of it that says which recording it is; `ear` hears all that while a file streams by.

mod ear;
mod mark;

use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Bytes;
use serde::{Deserialize, Serialize};

pub(super) use ear::{Ear, Heard};
pub(super) use mark::marked;

/// The speech as a WAV file.
pub const WAV: &[u8] = include_bytes!("speech/speech.wav");

/// The same as MP3.
pub const MP3: &[u8] = include_bytes!("speech/speech.mp3");

/// Where the samples begin in [`WAV`]; its header is the shortest that there is.
const HEADER: usize = 44;

/// How long the speech is, read off the header of [`WAV`].
pub fn duration() -> Duration {
    Duration::from_millis(u64::from(number(40)) * 1_000 / u64::from(number(28)))
}

/// The speech as a WAV file of two channels: the person on the first, silence on the second.
pub(super) fn stereo() -> Bytes {
    static FILE: LazyLock<Bytes> = LazyLock::new(widened);
    FILE.clone()
}

fn widened() -> Bytes {
    let samples = &WAV[HEADER..];
    let mut file = WAV[..HEADER].to_vec();
    // RIFF length, channels, bytes per second, bytes per frame, data length: all but the first are doubled.
    let doubled = [(4, number(40) * 2 + 36), (28, number(28) * 2), (40, number(40) * 2)];
    for (at, value) in doubled {
        file[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    file[22] = 2;
    file[32] = 4;
    file.extend(samples.chunks_exact(2).flat_map(|sample| [sample[0], sample[1], 0, 0]));
    file.into()
}

/// A spoken word.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Word {
    /// As it is written, with its punctuation.
    pub text: String,
    /// Its begin, in milliseconds.
    pub start: u64,
    /// Its end, in milliseconds.
    pub end: u64,
    /// How sure the recognizer is, from 0 to 1.
    pub confidence: f64,
}

/// The words in the order they are spoken.
pub fn words() -> &'static [Word] {
    &TRANSCRIPT.words
}

/// All words as one text.
pub fn text() -> &'static str {
    &TRANSCRIPT.text
}

/// A checksum as it is written.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Deserialize)]
struct Transcript {
    text: String,
    words: Vec<Word>,
}

static TRANSCRIPT: LazyLock<Transcript> = LazyLock::new(|| {
    serde_json::from_str(include_str!("speech/speech.json")).expect("speech.json is a part of this program")
});

fn number(at: usize) -> u32 {
    u32::from_le_bytes([WAV[at], WAV[at + 1], WAV[at + 2], WAV[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speech_is_a_plain_telephone_recording() {
        assert_eq!((&WAV[..4], &WAV[8..16], &WAV[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]));
        assert_eq!((number(24), number(28)), (8_000, 16_000));
        assert_eq!(number(40) as usize, WAV.len() - HEADER);
        assert_eq!(duration(), Duration::from_millis(5_425));
    }

    #[test]
    fn two_channels_are_as_long_as_one() {
        let file = stereo();
        assert_eq!(file.len() - HEADER, 2 * (WAV.len() - HEADER));
        assert_eq!(file[4..8], u32::try_from(file.len() - 8).unwrap().to_le_bytes());
    }

    #[test]
    fn the_words_make_up_the_text_and_follow_each_other_within_the_speech() {
        let spoken: Vec<&str> = words().iter().map(|word| word.text.as_str()).collect();
        assert_eq!(spoken.join(" "), text());
        let mut times: Vec<u64> = words().iter().flat_map(|word| [word.start, word.end]).collect();
        times.push(duration().as_millis().try_into().unwrap());
        assert!(times.is_sorted(), "{times:?}");
    }
}
