//! Compares the two channels of a WAV file as it streams through. What it remembers does not grow with the file.

use super::wav::Wav;

/// Maximum length of a frame that is compared: two samples of 64 bits.
const LONGEST_FRAME: usize = 16;

/// Whether the two channels of a file are the same.
#[derive(Debug, Default)]
pub struct Channels {
    wav: Wav,
    received: u64,
    /// The begin of a frame whose rest is still to come.
    frame: Vec<u8>,
    has_frames: bool,
    differ: bool,
}

impl Channels {
    /// Reads the next bytes of the file.
    pub fn read(&mut self, bytes: &[u8]) {
        if self.differ {
            return;
        }
        let begin = self.received;
        self.received += bytes.len() as u64;
        self.wav.read(bytes);
        let Some((sound, frame)) = self.wav.frames().filter(|(_, frame)| is_comparable(*frame)) else { return };
        let at =
            |place: u64| usize::try_from(place.saturating_sub(begin)).map_or(bytes.len(), |at| at.min(bytes.len()));
        self.compare(&bytes[at(sound.start)..at(sound.end)], frame);
    }

    fn compare(&mut self, mut samples: &[u8], frame: usize) {
        if !self.frame.is_empty() {
            let (rest, later) = samples.split_at(samples.len().min(frame - self.frame.len()));
            self.frame.extend_from_slice(rest);
            samples = later;
            if self.frame.len() < frame {
                return;
            }
            let whole = std::mem::take(&mut self.frame);
            self.compare(&whole, frame);
        }
        let frames = samples.chunks_exact(frame);
        self.frame.extend_from_slice(frames.remainder());
        self.has_frames |= samples.len() >= frame;
        let mut pairs = frames.map(|both| both.split_at(frame / 2));
        self.differ = self.differ || pairs.any(|(first, second)| first != second);
    }

    /// Returns whether the channels differ anywhere. `None` for what is not a WAV file with two channels.
    ///
    /// Silence on one channel differs from speech on the other: then the channel tells who speaks.
    pub fn differ(&self) -> Option<bool> {
        self.has_frames.then_some(self.differ)
    }
}

fn is_comparable(frame: usize) -> bool {
    frame.is_multiple_of(2) && (2..=LONGEST_FRAME).contains(&frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples of the first and of the second channel.
    type Pair = (i16, i16);

    /// A file of these frames, in this format, behind a chunk of an odd length and before another chunk.
    fn file(code: u16, channels: u16, bits: u16, data: &[u8]) -> Vec<u8> {
        let frame = channels * bits / 8;
        let rate = u32::from(frame) * 8_000;
        let mut format: Vec<u8> = [code, channels].iter().flat_map(|number| number.to_le_bytes()).collect();
        format.extend([8_000, rate].iter().flat_map(|number: &u32| number.to_le_bytes()));
        format.extend([frame, bits].iter().flat_map(|number| number.to_le_bytes()));
        let length = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
        let mut chunks = [b"WAVEodd \x01\0\0\0-\0fmt ".as_slice(), &length(&format), &format].concat();
        chunks.extend([b"data".as_slice(), &length(data), data, b"LIST\x04\0\0\0\x01\x02\x03\x04"].concat());
        [b"RIFF".as_slice(), &length(&chunks), &chunks].concat()
    }

    fn in_16_bits(pairs: &[Pair]) -> Vec<u8> {
        pairs.iter().flat_map(|(first, second)| [first.to_le_bytes(), second.to_le_bytes()].concat()).collect()
    }

    /// Reads a file in pieces of each length; all must agree.
    fn differ(file: &[u8]) -> Option<bool> {
        let read = |size: usize| {
            let mut channels = Channels::default();
            file.chunks(size).for_each(|piece| channels.read(piece));
            channels.differ()
        };
        let whole = read(file.len());
        for size in 1..60 {
            assert_eq!(read(size), whole, "in pieces of {size}");
        }
        whole
    }

    #[test]
    fn one_sample_makes_two_channels_differ_wherever_it_is() {
        let equal: Vec<Pair> = (0..50).map(|n| (n * 300, n * 300)).collect();
        assert_eq!(differ(&file(1, 2, 16, &in_16_bits(&equal))), Some(false));
        for at in [0, 25, 49] {
            let mut other = equal.clone();
            other[at].1 ^= 1;
            assert_eq!(differ(&file(1, 2, 16, &in_16_bits(&other))), Some(true), "{at}");
        }
        let one_speaks: Vec<Pair> = (0..50).map(|n| (n * 300, 0)).collect();
        assert_eq!(differ(&file(1, 2, 16, &in_16_bits(&one_speaks))), Some(true));
    }

    #[test]
    fn eight_bits_of_pcm_and_of_both_laws_are_compared_too() {
        let equal: Vec<u8> = (0..100).map(|n| n / 2).collect();
        let different: Vec<u8> = (0..100).collect();
        for code in [1, 6, 7] {
            assert_eq!(differ(&file(code, 2, 8, &equal)), Some(false), "{code}");
            assert_eq!(differ(&file(code, 2, 8, &different)), Some(true), "{code}");
        }
    }

    #[test]
    fn nothing_but_a_wav_file_of_two_channels_has_two_channels() {
        let data: Vec<u8> = (0..100).collect();
        let two = file(1, 2, 16, &data);
        assert_eq!(differ(&file(1, 1, 16, &data)), None);
        assert_eq!(differ(&file(1, 4, 16, &data)), None);
        // ADPCM has no frames of two samples.
        assert_eq!(differ(&file(17, 2, 16, &data)), None);
        assert_eq!(differ(&file(1, 2, 16, &[])), None);
        assert_eq!(differ(&two[..50]), None);
        assert_eq!(differ(&[b"OggS".as_slice(), &two].concat()), None);
    }

    #[test]
    fn a_length_that_is_not_known_ends_with_the_file() {
        let mut long = file(1, 2, 16, &in_16_bits(&[(1, 1), (2, 2), (3, 4)]));
        let at = long.windows(4).position(|name| name == b"data").unwrap() + 4;
        long[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(differ(&long), Some(true));
    }
}
