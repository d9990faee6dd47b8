//! The one recording of the sandbox: its audio, and the words that are spoken in it.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The recording as WAV: 8 kHz, mono, 16 bit.
pub const WAV: &[u8] = include_bytes!("speech/speech.wav");

/// The same recording as MP3.
pub const MP3: &[u8] = include_bytes!("speech/speech.mp3");

/// A spoken word.
#[derive(Debug, Serialize, Deserialize)]
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
    &SPEECH.words
}

/// All words as one text.
pub fn text() -> &'static str {
    &SPEECH.text
}

/// The length of the recording in milliseconds.
pub fn duration_ms() -> u64 {
    SPEECH.audio_duration_ms
}

/// Whether audio with this SHA-256 (in hex) is the recording, in either format.
pub(super) fn is_recording(sha256: &str) -> bool {
    static CHECKSUMS: LazyLock<[String; 2]> = LazyLock::new(|| [WAV, MP3].map(|audio| hex(&Sha256::digest(audio))));
    CHECKSUMS.iter().any(|known| known == sha256)
}

/// A checksum as it is written.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Deserialize)]
struct Speech {
    text: String,
    audio_duration_ms: u64,
    words: Vec<Word>,
}

static SPEECH: LazyLock<Speech> = LazyLock::new(|| {
    serde_json::from_str(include_str!("speech/speech.json")).expect("speech.json is a part of this program")
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_make_up_the_text_and_follow_each_other_within_the_recording() {
        let spoken: Vec<&str> = words().iter().map(|word| word.text.as_str()).collect();
        assert_eq!(spoken.join(" "), text());
        let times: Vec<u64> = words().iter().flat_map(|word| [word.start, word.end]).chain([duration_ms()]).collect();
        assert!(times.is_sorted(), "{times:?}");
    }
}
