//! How large the audio of a recording can be, by its type and duration. Nothing else bounds a stream that does not end.

use crate::clients::assemblyai::limits::LARGEST_UPLOAD;

/// The number of first bytes that tell what audio is.
pub(super) const HEAD: usize = 12;

/// Maximum number of bytes in a second of WAV, whatever its header says: 16 bits in stereo at 48 kHz, six times what
/// Twilio records.
const WAV_RATE: u64 = 192_000;

/// Maximum number of bytes in a second of MP3, by its standard: 320 kbit/s, ten times what Twilio sends.
const MP3_RATE: u64 = 40_000;

/// Maximum difference in seconds between the duration by Twilio's API and that of the file.
pub(super) const TOLERANCE: u64 = 2;

/// Maximum number of bytes that are no sound: headers, titles, a picture.
const NO_SOUND: u64 = 1 << 20;

/// Continues a sentence that ends in "which".
pub(super) const TOO_LONG: &str = "is longer than its recording";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioType {
    Wav,
    Mp3,
}

impl AudioType {
    /// Returns what audio is that begins with these bytes. Of fewer than [`HEAD`], as in a short range, all must fit.
    pub(in crate::clients) fn of(head: &[u8]) -> Option<Self> {
        let has = |at: usize, bytes: &[u8]| {
            let there = &head[at.min(head.len())..(at + bytes.len()).min(head.len())];
            bytes.starts_with(there)
        };
        if head.is_empty() {
            None
        } else if has(0, b"RIFF") && has(8, b"WAVE") {
            Some(Self::Wav)
        } else if has(0, b"ID3") || is_mpeg_frame(head) {
            Some(Self::Mp3)
        } else {
            None
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/x-wav",
            Self::Mp3 => "audio/mpeg",
        }
    }
}

/// Returns `true` for the header of an MPEG frame of layer III, as far as it is there.
fn is_mpeg_frame(head: &[u8]) -> bool {
    let has_layer = |byte: &u8| byte & 0b1110_0110 == 0b1110_0010 && byte & 0b0001_1000 != 0b0000_1000;
    let has_rates = |byte: &u8| byte >> 4 != 0b1111 && byte & 0b1100 != 0b1100;
    head.first() == Some(&0xFF) && head.get(1).is_none_or(has_layer) && head.get(2).is_none_or(has_rates)
}

/// Returns the maximum size of the audio in bytes. `rate` is the number of bytes per second by its header. Audio of an
/// unknown type or duration may be as large as an upload to AssemblyAI.
pub(super) fn largest(audio_type: Option<AudioType>, rate: Option<u64>, seconds: Option<u64>) -> u64 {
    let (Some(audio_type), Some(seconds)) = (audio_type, seconds) else { return LARGEST_UPLOAD };
    let rate = match audio_type {
        AudioType::Wav => rate.unwrap_or(WAV_RATE).min(WAV_RATE),
        AudioType::Mp3 => MP3_RATE,
    };
    let sound = seconds.saturating_add(TOLERANCE).saturating_mul(rate);
    sound.saturating_add(NO_SOUND).min(LARGEST_UPLOAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_is_told_by_its_first_bytes_however_few_there_are() {
        for (head, audio_type) in [
            (&b"RIFF\x34\x53\x01\0WAVE"[..], Some(AudioType::Wav)),
            (b"RIFF....WAV", Some(AudioType::Wav)),
            (b"R", Some(AudioType::Wav)),
            (b"ID3\x03\0\0\0\0\0\0\0\0", Some(AudioType::Mp3)),
            (b"\xff\xe3\x48\xc4\0\0\0\0\0\0\0\0", Some(AudioType::Mp3)),
            (b"\xff\xfb\x90", Some(AudioType::Mp3)),
            (b"\xff", Some(AudioType::Mp3)),
            (b"", None),
            (b"RIFF....AVI ", None),
            (b"RIFX", None),
            (b"<html><script", None),
            (b"\xff\xfe<\0h\0t\0m\0", None),
            (b"\xef\xbb\xbf<html>", None),
            (b"\xff\xd8\xff\xe0", None),
            (b"\x1f\x8b\x08", None),
        ] {
            assert_eq!(AudioType::of(head), audio_type, "{head:?}");
        }
    }

    #[test]
    fn a_minute_of_audio_is_as_large_as_its_type_allows_and_no_larger_than_an_upload() {
        let (wav, mp3) = (Some(AudioType::Wav), Some(AudioType::Mp3));
        for (audio_type, rate, seconds, expected) in [
            (wav, Some(16_000), Some(60), 62 * 16_000 + NO_SOUND),
            (wav, Some(u64::MAX), Some(60), 62 * WAV_RATE + NO_SOUND),
            (wav, None, Some(60), 62 * WAV_RATE + NO_SOUND),
            (mp3, None, Some(60), 62 * MP3_RATE + NO_SOUND),
            (wav, Some(32_000), Some(u64::MAX), LARGEST_UPLOAD),
            (wav, Some(32_000), None, LARGEST_UPLOAD),
            (None, None, Some(60), LARGEST_UPLOAD),
        ] {
            assert_eq!(largest(audio_type, rate, seconds), expected, "{audio_type:?} {rate:?} {seconds:?}");
        }
    }
}
