//! What a WAV file says of itself, read as it passes: how long it is, its format and where its sound is. Holds it
//! against what comes; knows nothing of how it comes, and takes no interest in what is no RIFF.
//!
//! Source: <https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html>.

/// `RIFF`, how much follows, `WAVE`.
const HEAD: usize = 12;

/// A chunk's name and how much follows.
const CHUNK: usize = 8;

/// As much of `fmt ` as is read: its code, or in the extensible form the one that stands at its end.
const FORMAT: usize = 26;

/// The shortest `fmt ` there is.
const SHORT_FORMAT: usize = 16;

/// Writers that could not go back to their head leave this, or 0, for a length.
const NOT_KNOWN: u32 = u32::MAX;

/// What the vendor says of a recording's duration and what its file holds may be this many seconds apart.
const TOLERANCE: u64 = 2;

/// A file of which so much was seen.
#[derive(Debug, Default)]
pub(super) struct Wav {
    seen: u64,
    place: Place,
    /// What was seen of something that is read as a whole.
    gathered: Vec<u8>,
    /// The length after the first eight bytes, as it is written.
    written: Option<u32>,
    format: Option<Format>,
    sound: Option<Sound>,
}

/// What comes next.
#[derive(Debug, Default)]
enum Place {
    #[default]
    Head,
    Chunk,
    Format(u64),
    Skipped(u64),
    /// The sound and all that follows, or a file that is no RIFF: nothing more is read.
    Rest,
}

#[derive(Debug)]
struct Format {
    code: u16,
    bytes_per_second: u32,
}

/// The `data` chunk.
#[derive(Debug)]
struct Sound {
    begin: u64,
    /// Its length as it is written.
    written: u32,
}

impl Wav {
    /// Takes note of the next bytes.
    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        let mut at = self.seen;
        self.seen += bytes.len() as u64;
        while !bytes.is_empty() {
            let wanted = match self.place {
                Place::Head => HEAD,
                Place::Chunk => CHUNK,
                Place::Format(length) => capped(length, FORMAT),
                Place::Skipped(length) => {
                    let skipped = capped(length, bytes.len());
                    bytes = &bytes[skipped..];
                    at += skipped as u64;
                    self.skip(length - skipped as u64);
                    continue;
                }
                Place::Rest => return,
            };
            let (next, later) = bytes.split_at(bytes.len().min(wanted - self.gathered.len()));
            self.gathered.extend_from_slice(next);
            at += next.len() as u64;
            bytes = later;
            if self.gathered.len() == wanted {
                let whole = std::mem::take(&mut self.gathered);
                self.read(&whole, at);
            }
        }
    }

    /// Reads what was gathered, which ends at `at`.
    fn read(&mut self, bytes: &[u8], at: u64) {
        match self.place {
            Place::Head if bytes.starts_with(b"RIFF") => {
                self.written = Some(number(bytes, 4));
                self.place = Place::Chunk;
            }
            Place::Chunk => {
                let length = number(bytes, 4);
                // A chunk of an odd length is followed by a byte that is not counted.
                let padded = u64::from(length) + u64::from(length % 2);
                match &bytes[..4] {
                    b"data" => {
                        self.sound = Some(Sound { begin: at, written: length });
                        self.place = Place::Rest;
                    }
                    b"fmt " if length as usize >= SHORT_FORMAT => self.place = Place::Format(padded),
                    _ => self.skip(padded),
                }
            }
            Place::Format(length) => {
                const EXTENSIBLE: u16 = 0xFFFE;
                let code = match short(bytes, 0) {
                    EXTENSIBLE if bytes.len() == FORMAT => short(bytes, 24),
                    code => code,
                };
                self.format = Some(Format { code, bytes_per_second: number(bytes, 8) });
                self.skip(length - bytes.len() as u64);
            }
            Place::Head | Place::Skipped(_) | Place::Rest => self.place = Place::Rest,
        }
    }

    fn skip(&mut self, length: u64) {
        self.place = if length == 0 { Place::Chunk } else { Place::Skipped(length) };
    }

    /// How long the file says it is.
    fn length(&self) -> Option<u64> {
        let written = self.written.filter(|written| ![0, NOT_KNOWN].contains(written))?;
        Some(u64::from(written) + 8)
    }

    /// Whether it is a file that does not say how long it is.
    pub(super) fn hides_its_length(&self) -> bool {
        self.written.is_some() && self.length().is_none()
    }

    /// What is wrong with it as far as it was seen, in words that follow "which". `total` is how long it will have been,
    /// once somebody knows; `seconds` what the vendor says of its duration.
    pub(super) fn check(&self, total: Option<u64>, seconds: Option<u64>) -> Result<(), &'static str> {
        if self.written.is_none() {
            let is_cut = total == Some(self.seen) && self.seen < HEAD as u64 && is_begin_of_riff(&self.gathered);
            return if is_cut { Err("is shorter than it says") } else { Ok(()) };
        }
        if let Some(length) = self.length() {
            if total.is_some_and(|total| total < length) {
                return Err("is shorter than it says");
            }
            // The byte after an odd chunk at the end need not be counted.
            if total.unwrap_or(self.seen) > length + length % 2 {
                return Err("is longer than it says");
            }
        }
        match (total, &self.sound) {
            (Some(total), Some(sound)) => self.check_sound(sound, total, seconds),
            (Some(total), None) if total <= self.seen => Err("holds no sound"),
            // The rest may tell.
            _ => Ok(()),
        }
    }

    fn check_sound(&self, sound: &Sound, total: u64, seconds: Option<u64>) -> Result<(), &'static str> {
        let there = total.saturating_sub(sound.begin);
        let length = match sound.written {
            NOT_KNOWN => there,
            0 if self.hides_its_length() => there,
            written => u64::from(written),
        };
        if length > there {
            return Err("is shorter than it says");
        }
        if length == 0 {
            return Err("holds no sound");
        }
        let Some(format) = &self.format else { return Err("does not say its format") };
        let (Some(seconds), Some(rate)) = (seconds, format.steady_rate()) else { return Ok(()) };
        match length.abs_diff(seconds.saturating_mul(rate)) > TOLERANCE * rate {
            true => Err("is not as long as its recording"),
            false => Ok(()),
        }
    }
}

impl Format {
    /// Bytes per second where a second has as many as any other: PCM, A-law and mu-law.
    fn steady_rate(&self) -> Option<u64> {
        const STEADY: &[u16] = &[1, 6, 7];
        (STEADY.contains(&self.code) && self.bytes_per_second > 0).then_some(self.bytes_per_second.into())
    }
}

fn is_begin_of_riff(bytes: &[u8]) -> bool {
    !bytes.is_empty() && (bytes.starts_with(b"RIFF") || b"RIFF".starts_with(bytes))
}

fn capped(length: u64, cap: usize) -> usize {
    usize::try_from(length).unwrap_or(cap).min(cap)
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a second at 2,000 bytes per second, behind a chunk of an odd length.
    fn file() -> Vec<u8> {
        let head = b"RIFF\x16\x04\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\xe8\x03\0\0\xd0\x07\0\0\x02\0\x10\0\
            odd \x01\0\0\0-\0data\xe8\x03\0\0";
        [&head[..], &[7; 1_000]].concat()
    }

    #[test]
    fn a_file_is_read_the_same_however_it_is_cut() {
        let file = file();
        let all = Some(file.len() as u64);
        for size in 1..=file.len() {
            let mut wav = Wav::default();
            for piece in file.chunks(size) {
                assert_eq!(wav.check(all, Some(0)), Ok(()), "in pieces of {size}");
                wav.see(piece);
            }
            assert_eq!(wav.check(all, Some(0)), Ok(()), "in pieces of {size}");
            assert_eq!(wav.check(all, Some(3)), Err("is not as long as its recording"), "in pieces of {size}");
        }
    }

    #[test]
    fn whatever_comes_is_read_without_a_panic() {
        // Each byte of the head in turn is all ones, then all zeros; then the file ends there.
        for at in 0..80 {
            for broken in [u8::MAX, 0] {
                let mut file = file();
                file[at] = broken;
                let mut wav = Wav::default();
                wav.see(&file);
                let _ = wav.check(Some(file.len() as u64), Some(u64::MAX));
            }
            let mut wav = Wav::default();
            wav.see(&file()[..at]);
            assert!(at == 0 || wav.check(Some(at as u64), None).is_err(), "{at} bytes are not the whole");
        }
    }
}
