//! Reads the headers of a WAV file as it streams through and checks its length against them. Ignores any file that is not
//! RIFF.
//!
//! Source: <https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html>.

use std::ops::Range;

use super::size::TOLERANCE;

/// Size of the file header: `RIFF`, length, `WAVE`.
const HEAD: usize = 12;

/// Size of a chunk header: name and length.
const CHUNK: usize = 8;

/// Bytes of a `fmt ` chunk that are read. They include the format code of the extensible form.
const FORMAT: usize = 26;

/// Minimum length of a `fmt ` chunk.
const SHORT_FORMAT: usize = 16;

/// Length left by writers that cannot go back to the header. Some leave 0.
const UNKNOWN: u32 = u32::MAX;

/// Continues a sentence that ends in "which".
const SHORT: &str = "is shorter than its header says";

/// How many moments a second has. Sizes in headers are often wrong by the length of a header.
const MOMENTS: u64 = 100;

/// How many times as much as there is a header must promise to have been written before the length was known.
const PLACEHOLDER: u64 = 4;

#[derive(Debug, Default)]
pub(super) struct Wav {
    received: u64,
    next: Part,
    /// Bytes of a header that is not complete yet.
    header: Vec<u8>,
    /// The RIFF length field, which excludes the first eight bytes.
    length_field: Option<u32>,
    format: Option<Format>,
    data: Option<Data>,
}

/// What the next bytes are.
#[derive(Debug, Default)]
enum Part {
    #[default]
    FileHeader,
    ChunkHeader,
    Format(u64),
    Skipped(u64),
    /// The samples and all that follows, or a file that is not RIFF. Nothing more is read.
    Rest,
}

#[derive(Debug)]
struct Format {
    code: u16,
    channels: u16,
    /// Length of the samples of one moment, in bytes.
    frame: u16,
    bytes_per_second: u32,
}

/// The `data` chunk.
#[derive(Debug)]
struct Data {
    begin: u64,
    length_field: u32,
}

impl Wav {
    /// Reads the next bytes.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        let mut at = self.received;
        self.received += bytes.len() as u64;
        while !bytes.is_empty() {
            let wanted = match self.next {
                Part::FileHeader => HEAD,
                Part::ChunkHeader => CHUNK,
                Part::Format(length) => capped(length, FORMAT),
                Part::Skipped(length) => {
                    let skipped = capped(length, bytes.len());
                    bytes = &bytes[skipped..];
                    at += skipped as u64;
                    self.skip(length - skipped as u64);
                    continue;
                }
                Part::Rest => return,
            };
            let (next, later) = bytes.split_at(bytes.len().min(wanted - self.header.len()));
            self.header.extend_from_slice(next);
            at += next.len() as u64;
            bytes = later;
            if self.header.len() == wanted {
                let whole = std::mem::take(&mut self.header);
                self.read_header(&whole, at);
            }
        }
    }

    /// Reads a complete header, which ends at `at`.
    fn read_header(&mut self, bytes: &[u8], at: u64) {
        match self.next {
            Part::FileHeader if bytes.starts_with(b"RIFF") => {
                self.length_field = Some(number(bytes, 4));
                self.next = Part::ChunkHeader;
            }
            Part::ChunkHeader => {
                let length = number(bytes, 4);
                // A chunk of odd length is followed by a padding byte that does not count.
                let padded = u64::from(length) + u64::from(length % 2);
                match &bytes[..4] {
                    b"data" => {
                        self.data = Some(Data { begin: at, length_field: length });
                        self.next = Part::Rest;
                    }
                    b"fmt " if length as usize >= SHORT_FORMAT => self.next = Part::Format(padded),
                    _ => self.skip(padded),
                }
            }
            Part::Format(length) => {
                const EXTENSIBLE: u16 = 0xFFFE;
                let code = match short(bytes, 0) {
                    EXTENSIBLE if bytes.len() == FORMAT => short(bytes, 24),
                    code => code,
                };
                self.format = Some(Format {
                    code,
                    channels: short(bytes, 2),
                    bytes_per_second: number(bytes, 8),
                    frame: short(bytes, 12),
                });
                self.skip(length - bytes.len() as u64);
            }
            Part::FileHeader | Part::Skipped(_) | Part::Rest => self.next = Part::Rest,
        }
    }

    fn skip(&mut self, length: u64) {
        self.next = if length == 0 { Part::ChunkHeader } else { Part::Skipped(length) };
    }

    /// Returns the file's length by its header.
    pub(super) fn length(&self) -> Option<u64> {
        let length = self.length_field.filter(|length| ![0, UNKNOWN].contains(length))?;
        Some(u64::from(length) + 8)
    }

    /// Returns `true` for a WAV file whose header does not have its length.
    pub(super) fn lacks_length(&self) -> bool {
        self.length_field.is_some() && self.length().is_none()
    }

    /// Returns where in the file the samples are, and the length of a frame of both channels. `None` until that is read,
    /// and for a file that does not consist of frames with two samples.
    pub(super) fn frames(&self) -> Option<(Range<u64>, usize)> {
        let (Format { channels: 2, frame, .. }, Data { begin, length_field }) =
            (self.format.as_ref().filter(|format| format.constant_rate().is_some())?, self.data.as_ref()?)
        else {
            return None;
        };
        let length = match *length_field {
            UNKNOWN => u64::MAX,
            0 if self.lacks_length() => u64::MAX,
            length => length.into(),
        };
        Some((*begin..begin.saturating_add(length), (*frame).into()))
    }

    /// Returns the bytes per second by its header, once that is read and if they are constant.
    pub(super) fn rate(&self) -> Option<u64> {
        self.format.as_ref()?.constant_rate()
    }

    /// Checks what has been read so far. The error continues a sentence that ends in "which". `total` is the length of the
    /// file, if it is known by now; `seconds` is its duration by Twilio's API.
    ///
    /// Only what is shorter was cut. A file may be longer than its recording, and sizes in its header may be wrong.
    pub(super) fn check(&self, total: Option<u64>, seconds: Option<u64>) -> Result<(), &'static str> {
        if self.length_field.is_none() {
            let is_cut = total == Some(self.received) && self.received < HEAD as u64 && starts_like_riff(&self.header);
            return if is_cut { Err(SHORT) } else { Ok(()) };
        }
        let Some(data) = &self.data else {
            return match total {
                Some(total) if total <= self.received => self.check_length(Some(total)).and(Err("contains no sound")),
                // Its duration shows whether its length is wrong, or its header.
                _ if seconds.is_some() => Ok(()),
                _ => self.check_length(total),
            };
        };
        let rate = self.format.as_ref().and_then(Format::constant_rate);
        let (Some(seconds), Some(rate)) = (seconds, rate) else {
            return self.check_length(total).and_then(|()| total.map_or(Ok(()), |total| self.check_data(data, total)));
        };
        let Some(total) = total else { return Ok(()) };
        let available = total.saturating_sub(data.begin);
        let (expected, tolerance) = (seconds.saturating_mul(rate), TOLERANCE * rate);
        let by_header = self.length_of(data, available);
        let is_by_header = self.check_length(Some(total)).and_then(|()| self.check_data(data, total));
        let is_long = |length: u64| length > 0 && length.saturating_add(tolerance) >= expected;
        let fits = |length: u64| is_long(length) && length <= expected.saturating_add(tolerance);
        let is_missing = by_header > available + rate / MOMENTS && by_header / PLACEHOLDER <= available;
        match is_by_header {
            Ok(()) if is_long(by_header) || fits(available) => Ok(()),
            Ok(()) => Err("does not have the duration of its recording"),
            // What the header promises may be true: it fits as well, or what is there fits no better.
            Err(SHORT) if is_missing && (fits(by_header) || !fits(available)) => Err(SHORT),
            Err(_) if is_long(available) => Ok(()),
            Err(wrong) => Err(wrong),
        }
    }

    /// Compares the length of the file with that in its header.
    fn check_length(&self, total: Option<u64>) -> Result<(), &'static str> {
        let Some(length) = self.length() else { return Ok(()) };
        if total.is_some_and(|total| total < length) {
            return Err(SHORT);
        }
        // The length need not count the padding byte of the last chunk.
        if total.unwrap_or(self.received) > length + length % 2 {
            return Err("is longer than its header says");
        }
        Ok(())
    }

    fn check_data(&self, data: &Data, total: u64) -> Result<(), &'static str> {
        let available = total.saturating_sub(data.begin);
        match self.length_of(data, available) {
            length if length > available => Err(SHORT),
            0 => Err("contains no sound"),
            _ if self.format.is_none() => Err("has no format in its header"),
            _ => Ok(()),
        }
    }

    /// Returns the length of the sound by its header, or what is there if the header does not say.
    fn length_of(&self, data: &Data, available: u64) -> u64 {
        match data.length_field {
            UNKNOWN => available,
            0 if self.lacks_length() => available,
            length => length.into(),
        }
    }
}

impl Format {
    /// Returns the bytes per second of a format with a constant rate: PCM, A-law or mu-law.
    fn constant_rate(&self) -> Option<u64> {
        const CONSTANT: &[u16] = &[1, 6, 7];
        (CONSTANT.contains(&self.code) && self.bytes_per_second > 0).then_some(self.bytes_per_second.into())
    }
}

fn starts_like_riff(bytes: &[u8]) -> bool {
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
                wav.read(piece);
            }
            assert_eq!(wav.check(all, Some(0)), Ok(()), "in pieces of {size}");
            assert_eq!(
                wav.check(all, Some(3)),
                Err("does not have the duration of its recording"),
                "in pieces of {size}"
            );
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
                wav.read(&file);
                let _ = wav.check(Some(file.len() as u64), Some(u64::MAX));
            }
            let mut wav = Wav::default();
            wav.read(&file()[..at]);
            assert!(at == 0 || wav.check(Some(at as u64), None).is_err(), "{at} bytes are not the whole");
        }
    }
}
