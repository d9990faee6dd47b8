//! The speech as audio files: 8 kHz, 16 bit, mono, as Twilio records it, and the same with two channels.

use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Bytes;

pub const WAV: &[u8] = include_bytes!("speech.wav");
pub const MP3: &[u8] = include_bytes!("speech.mp3");

/// Length of the header of [`WAV`], the shortest that a WAV file can have. Samples follow.
pub(super) const HEADER: usize = 44;

/// Returns how long the speech is, from the header of [`WAV`].
pub fn duration() -> Duration {
    let (data_length, bytes_per_second) = (u32_at(WAV, 40), u32_at(WAV, 28));
    Duration::from_millis(u64::from(data_length) * 1_000 / u64::from(bytes_per_second))
}

/// Returns the speech as a WAV file with two channels: the person on the first, silence on the second.
pub fn stereo() -> Bytes {
    static FILE: LazyLock<Bytes> = LazyLock::new(widen);
    FILE.clone()
}

fn widen() -> Bytes {
    let (header, samples) = WAV.split_at(HEADER);
    let mut file = header.to_vec();
    let (bytes_per_second, data_length) = (u32_at(WAV, 28) * 2, u32_at(WAV, 40) * 2);
    for (at, value) in [(4, data_length + 36), (28, bytes_per_second), (40, data_length)] {
        file[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    file[22] = 2; // channels
    file[32] = 4; // bytes per frame
    file.extend(samples.chunks_exact(2).flat_map(|sample| [sample[0], sample[1], 0, 0]));
    file.into()
}

/// Reads a little-endian number.
///
/// # Panics
/// If there are fewer than four bytes.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speech_is_a_plain_telephone_recording() {
        assert_eq!((&WAV[..4], &WAV[8..16], &WAV[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]));
        assert_eq!((u32_at(WAV, 24), u32_at(WAV, 28)), (8_000, 16_000));
        assert_eq!(u32_at(WAV, 40) as usize, WAV.len() - HEADER);
        assert_eq!(duration(), Duration::from_millis(5_425));
    }

    #[test]
    fn two_channels_are_as_long_as_one() {
        let file = stereo();
        assert_eq!(file.len() - HEADER, 2 * (WAV.len() - HEADER));
        assert_eq!(file[4..8], u32::try_from(file.len() - 8).unwrap().to_le_bytes());
    }
}
