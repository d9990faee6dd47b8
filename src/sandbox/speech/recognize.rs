//! Recognizes the speech, and the SID that it is marked with, in a file that streams by. Keeps none of the audio.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use super::audio::{HEADER, MP3, WAV, stereo, u32_at};
use super::mark::is_recording_sid;

#[derive(Debug, PartialEq, Eq)]
pub struct Recognized {
    /// Of the whole file, in hex.
    pub sha256: String,
    pub bytes: u64,
    /// `None` if the file is not the speech.
    pub channels: Option<u8>,
    /// The recording SID that the file is marked with, if it is the speech.
    pub recording: Option<String>,
}

/// Recognizes one file.
#[derive(Default)]
pub struct Recognizer {
    checksum: Sha256,
    bytes: u64,
    wav: Wav,
}

impl Recognizer {
    /// Takes the next part of the file.
    pub fn update(&mut self, part: &[u8]) {
        self.checksum.update(part);
        self.bytes += part.len() as u64;
        self.wav.read(part);
    }

    /// Returns how long the file is so far.
    pub(in crate::sandbox) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn finish(self) -> Recognized {
        static MP3_SPEECH: LazyLock<[u8; 32]> = LazyLock::new(|| Sha256::digest(MP3).into());
        let Self { checksum, bytes, wav } = self;
        let whole: [u8; 32] = checksum.finalize().into();
        let channels = if whole == *MP3_SPEECH { Some(1) } else { wav.channels(bytes) };
        let recording = wav.comment.filter(|comment| channels.is_some() && is_recording_sid(comment));
        Recognized { sha256: hex(&whole), bytes, channels, recording }
    }
}

/// Maximum length of a `LIST` chunk that is searched for a comment.
const MAX_LIST: usize = 1_000;

/// Parser of a WAV file that arrives in parts.
#[derive(Default)]
struct Wav {
    /// The beginning of a header or `LIST` chunk, until the rest of it arrives.
    buffer: Vec<u8>,
    state: Parsing,
    /// The length of the file after its first 8 bytes, as its header says.
    riff_length: u64,
    /// SHA-256 of the samples.
    samples: Option<[u8; 32]>,
    comment: Option<String>,
}

#[derive(Default)]
enum Parsing {
    #[default]
    FileHeader,
    ChunkHeader,
    /// SHA-256 of the samples so far, and how many bytes are left.
    Samples(Sha256, u64),
    /// Length of the chunk.
    List(usize),
    /// How many bytes are left.
    Other(u64),
    NotWav,
}

impl Wav {
    fn read(&mut self, mut part: &[u8]) {
        while !part.is_empty() {
            match &mut self.state {
                Parsing::FileHeader => {
                    let Some(header) = fill(&mut self.buffer, 12, &mut part) else { return };
                    self.riff_length = u64::from(u32_at(&header, 4));
                    let is_wav = header.starts_with(b"RIFF") && header.ends_with(b"WAVE");
                    self.state = if is_wav { Parsing::ChunkHeader } else { Parsing::NotWav };
                }
                Parsing::ChunkHeader => {
                    let Some(header) = fill(&mut self.buffer, 8, &mut part) else { return };
                    // A padding byte makes the next chunk begin at an even offset.
                    let length = u64::from(u32_at(&header, 4)).next_multiple_of(2);
                    self.state = match (&header[..4], usize::try_from(length)) {
                        _ if length == 0 => Parsing::ChunkHeader,
                        (b"data", _) => Parsing::Samples(Sha256::new(), length),
                        (b"LIST", Ok(length)) if length <= MAX_LIST => Parsing::List(length),
                        _ => Parsing::Other(length),
                    };
                }
                Parsing::Samples(checksum, left) => {
                    checksum.update(take(left, &mut part));
                    if *left == 0 {
                        self.samples = Some(checksum.finalize_reset().into());
                        self.state = Parsing::ChunkHeader;
                    }
                }
                Parsing::List(length) => {
                    let Some(list) = fill(&mut self.buffer, *length, &mut part) else { return };
                    self.comment = comment(&list).or(self.comment.take());
                    self.state = Parsing::ChunkHeader;
                }
                Parsing::Other(left) => {
                    take(left, &mut part);
                    if *left == 0 {
                        self.state = Parsing::ChunkHeader;
                    }
                }
                Parsing::NotWav => return,
            }
        }
    }

    /// Returns how many channels the speech has in this file, or `None` if the file is incomplete or not the speech.
    fn channels(&self, bytes: u64) -> Option<u8> {
        static KNOWN: LazyLock<[([u8; 32], u8); 2]> = LazyLock::new(|| {
            [(WAV, 1), (&stereo(), 2)].map(|(file, count)| (Sha256::digest(&file[HEADER..]).into(), count))
        });
        let whole =
            matches!(self.state, Parsing::ChunkHeader) && self.buffer.is_empty() && self.riff_length + 8 == bytes;
        let known = KNOWN.iter().find(|(samples, _)| whole && self.samples.as_ref() == Some(samples));
        known.map(|(_, channels)| *channels)
    }
}

/// Moves bytes from `part` to `buffer`; returns and empties the buffer once it holds `length` bytes.
fn fill(buffer: &mut Vec<u8>, length: usize, part: &mut &[u8]) -> Option<Vec<u8>> {
    let (now, later) = part.split_at(part.len().min(length - buffer.len()));
    buffer.extend(now);
    *part = later;
    (buffer.len() == length).then(|| std::mem::take(buffer))
}

/// Splits off the beginning of `part`, at most `left` bytes, and counts it off `left`.
fn take<'a>(left: &mut u64, part: &mut &'a [u8]) -> &'a [u8] {
    let (now, later) = part.split_at(usize::try_from(*left).unwrap_or(usize::MAX).min(part.len()));
    *left -= now.len() as u64;
    *part = later;
    now
}

/// Returns the comment in the content of a `LIST` chunk.
fn comment(list: &[u8]) -> Option<String> {
    let mut rest = list.strip_prefix(b"INFO")?;
    while let Some((header, content)) = rest.split_at_checked(8) {
        let (content, _) = content.split_at_checked(u32_at(header, 4) as usize)?;
        if header.starts_with(b"ICMT") {
            let text = content.split(|byte| *byte == 0).next()?;
            return String::from_utf8(text.to_vec()).ok();
        }
        rest = rest.get(8 + content.len().next_multiple_of(2)..)?;
    }
    None
}

pub(in crate::sandbox) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::mark::marked;
    use super::*;

    const SID: &str = "RE0123456789abcdef0123456789abcdef";

    /// Recognizes a file that arrives in parts of this many bytes.
    fn recognize(file: &[u8], at_once: usize) -> Recognized {
        let mut recognizer = Recognizer::default();
        file.chunks(at_once).for_each(|part| recognizer.update(part));
        recognizer.finish()
    }

    #[test]
    fn the_speech_is_recognized_in_each_of_its_files() {
        let recording = Some(SID.to_owned());
        for (file, channels, recording) in [
            (WAV, 1, None),
            (MP3, 1, None),
            (&*stereo(), 2, None),
            (&*marked(SID, 1, 0), 1, recording.clone()),
            (&*marked(SID, 2, 0), 2, recording.clone()),
            (&*marked(SID, 1, 100_000), 1, recording),
        ] {
            let expected = Recognized {
                sha256: hex(&Sha256::digest(file)),
                bytes: file.len() as u64,
                channels: Some(channels),
                recording,
            };
            for at_once in [1, 7, 4_096, file.len()] {
                assert_eq!(recognize(file, at_once), expected);
            }
        }
    }

    #[test]
    fn a_file_that_is_incomplete_or_has_other_samples_is_not_recognized() {
        let file = marked(SID, 1, 0);
        let mut other = file.to_vec();
        other[50_000] ^= 1;
        let longer = [&file, &b"more"[..]].concat();
        for end in [0, 3, 12, 50, 50_000, file.len() - 56, file.len() - 1] {
            let recognized = recognize(&file[..end], 4_096);
            assert_eq!((recognized.channels, recognized.recording), (None, None), "{end} bytes");
        }
        for wrong in [other, longer, b"RIFF\x04\0\0\0WAVE".to_vec(), b"<html>no audio at all</html>".to_vec()] {
            let recognized = recognize(&wrong, 4_096);
            assert_eq!((recognized.channels, recognized.recording), (None, None));
        }
    }

    #[test]
    fn a_comment_that_is_no_sid_is_ignored() {
        let recognized = recognize(&marked("hello", 1, 0), 4_096);
        assert_eq!((recognized.channels, recognized.recording), (Some(1), None));
    }
}
