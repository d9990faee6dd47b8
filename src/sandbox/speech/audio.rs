//! Audio files as Twilio records them, 8 kHz and 16 bit: the speech of one voice, and what is made of samples.

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

/// Returns the samples of [`WAV`].
pub(super) fn speech_samples() -> Vec<i16> {
    WAV[HEADER..].chunks_exact(2).map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]])).collect()
}

/// How many samples of a channel take a millisecond.
pub(super) const SAMPLES_PER_MS: u64 = 8;

/// Returns samples of 8 kHz, those of two channels in turn, as a WAV file.
pub(super) fn wav(channels: u8, samples: &[i16]) -> Bytes {
    let (header, _) = WAV.split_at(HEADER);
    let mut file = Vec::with_capacity(HEADER + samples.len() * 2);
    file.extend(header);
    let data_length = u32::try_from(samples.len() * 2).expect("a scene is far from 4 GB");
    let bytes_per_second = u32::from(channels) * 16_000;
    for (at, value) in [(4, data_length + 36), (28, bytes_per_second), (40, data_length)] {
        file[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    file[22] = channels;
    file[32] = channels * 2; // bytes per frame
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
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
}
