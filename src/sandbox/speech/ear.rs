//! Hearing whether a file is the speech, and which recording of it, while it streams by. Nothing of it is kept.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use super::mark::is_recording_sid;
use super::{HEADER, MP3, WAV, hex, stereo};

/// What was heard in a file that came whole.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Heard {
    /// The checksum of all of it, in hex.
    pub(in crate::sandbox) sha256: String,
    /// The length.
    pub(in crate::sandbox) bytes: u64,
    /// How many channels it has, if it is the speech.
    pub(in crate::sandbox) channels: Option<u8>,
    /// The recording, if it is the speech and says so.
    pub(in crate::sandbox) recording: Option<String>,
}

/// Listens to one file.
pub(in crate::sandbox) struct Ear {
    checksum: Sha256,
    bytes: u64,
    wav: Wav,
}

impl Ear {
    pub(in crate::sandbox) fn new() -> Self {
        Self { checksum: Sha256::new(), bytes: 0, wav: Wav::default() }
    }

    /// The next part of the file.
    pub(in crate::sandbox) fn hear(&mut self, part: &[u8]) {
        self.checksum.update(part);
        self.bytes += part.len() as u64;
        self.wav.read(part);
    }

    /// The length so far.
    pub(in crate::sandbox) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What it was.
    pub(in crate::sandbox) fn end(self) -> Heard {
        static MP3_SPEECH: LazyLock<[u8; 32]> = LazyLock::new(|| Sha256::digest(MP3).into());
        let Self { checksum, bytes, wav } = self;
        let whole: [u8; 32] = checksum.finalize().into();
        let channels = if whole == *MP3_SPEECH { Some(1) } else { wav.channels(bytes) };
        let recording = wav.comment.filter(|comment| channels.is_some() && is_recording_sid(comment));
        Heard { sha256: hex(&whole), bytes, channels, recording }
    }
}

/// The longest `LIST` chunk that is looked into.
const LONGEST_LIST: usize = 1_000;

/// A WAV file as far as it came.
#[derive(Default)]
struct Wav {
    /// The beginning of what is being read, until it is enough to go on.
    kept: Vec<u8>,
    reading: Reading,
    /// The length that the head of the file gives.
    promised: u64,
    /// The checksum of the sound.
    sound: Option<[u8; 32]>,
    comment: Option<String>,
}

#[derive(Default)]
enum Reading {
    #[default]
    FileHead,
    ChunkHead,
    Sound(Sha256, u64),
    List(usize),
    Other(u64),
    /// It is no WAV file.
    Nothing,
}

impl Wav {
    fn read(&mut self, mut part: &[u8]) {
        while !part.is_empty() {
            match &mut self.reading {
                Reading::FileHead => {
                    let Some(head) = keep(&mut self.kept, 12, &mut part) else { return };
                    self.promised = u64::from(number(&head[4..8]));
                    let is_wav = head.starts_with(b"RIFF") && head.ends_with(b"WAVE");
                    self.reading = if is_wav { Reading::ChunkHead } else { Reading::Nothing };
                }
                Reading::ChunkHead => {
                    let Some(head) = keep(&mut self.kept, 8, &mut part) else { return };
                    // What makes the next chunk begin at an even place belongs to this one.
                    let length = u64::from(number(&head[4..])).next_multiple_of(2);
                    self.reading = match (&head[..4], usize::try_from(length)) {
                        _ if length == 0 => Reading::ChunkHead,
                        (b"data", _) => Reading::Sound(Sha256::new(), length),
                        (b"LIST", Ok(length)) if length <= LONGEST_LIST => Reading::List(length),
                        _ => Reading::Other(length),
                    };
                }
                Reading::Sound(checksum, left) => {
                    checksum.update(take(left, &mut part));
                    if *left == 0 {
                        self.sound = Some(checksum.finalize_reset().into());
                        self.reading = Reading::ChunkHead;
                    }
                }
                Reading::List(length) => {
                    let Some(list) = keep(&mut self.kept, *length, &mut part) else { return };
                    self.comment = comment(&list).or(self.comment.take());
                    self.reading = Reading::ChunkHead;
                }
                Reading::Other(left) => {
                    take(left, &mut part);
                    if *left == 0 {
                        self.reading = Reading::ChunkHead;
                    }
                }
                Reading::Nothing => return,
            }
        }
    }

    /// How many channels the speech has here, if it is that and the file came whole.
    fn channels(&self, bytes: u64) -> Option<u8> {
        static SOUNDS: LazyLock<[([u8; 32], u8); 2]> = LazyLock::new(|| {
            [(WAV, 1), (&stereo(), 2)].map(|(file, count)| (Sha256::digest(&file[HEADER..]).into(), count))
        });
        let whole = matches!(self.reading, Reading::ChunkHead) && self.kept.is_empty() && self.promised + 8 == bytes;
        let known = SOUNDS.iter().find(|(sound, _)| whole && self.sound.as_ref() == Some(sound));
        known.map(|(_, channels)| *channels)
    }
}

/// The first `length` bytes, as soon as they are there.
fn keep(kept: &mut Vec<u8>, length: usize, part: &mut &[u8]) -> Option<Vec<u8>> {
    let (now, later) = part.split_at(part.len().min(length - kept.len()));
    kept.extend(now);
    *part = later;
    (kept.len() == length).then(|| std::mem::take(kept))
}

/// What of this part is among the bytes that are left.
fn take<'a>(left: &mut u64, part: &mut &'a [u8]) -> &'a [u8] {
    let (now, later) = part.split_at(usize::try_from(*left).unwrap_or(usize::MAX).min(part.len()));
    *left -= now.len() as u64;
    *part = later;
    now
}

/// The comment in a list of information about the file.
fn comment(list: &[u8]) -> Option<String> {
    let mut rest = list.strip_prefix(b"INFO")?;
    while let Some((head, content)) = rest.split_at_checked(8) {
        let (content, _) = content.split_at_checked(number(&head[4..]) as usize)?;
        if head.starts_with(b"ICMT") {
            let text = content.split(|byte| *byte == 0).next()?;
            return String::from_utf8(text.to_vec()).ok();
        }
        rest = rest.get(8 + content.len().next_multiple_of(2)..)?;
    }
    None
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::super::marked;
    use super::*;

    const SID: &str = "RE0123456789abcdef0123456789abcdef";

    /// Listens to a file that comes in parts of this many bytes.
    fn hear(file: &[u8], at_once: usize) -> Heard {
        let mut ear = Ear::new();
        file.chunks(at_once).for_each(|part| ear.hear(part));
        ear.end()
    }

    #[test]
    fn the_speech_is_heard_in_each_of_its_files() {
        let recording = Some(SID.to_owned());
        for (file, channels, recording) in [
            (WAV, 1, None),
            (MP3, 1, None),
            (&*stereo(), 2, None),
            (&*marked(SID, 1, 0), 1, recording.clone()),
            (&*marked(SID, 2, 0), 2, recording.clone()),
            (&*marked(SID, 1, 100_000), 1, recording),
        ] {
            let expected = Heard {
                sha256: hex(&Sha256::digest(file)),
                bytes: file.len() as u64,
                channels: Some(channels),
                recording,
            };
            for at_once in [1, 7, 4_096, file.len()] {
                assert_eq!(hear(file, at_once), expected);
            }
        }
    }

    #[test]
    fn a_file_that_is_not_whole_or_has_another_sound_is_nothing() {
        let file = marked(SID, 1, 0);
        let mut other = file.to_vec();
        other[50_000] ^= 1;
        let longer = [&file, &b"more"[..]].concat();
        for end in [0, 3, 12, 50, 50_000, file.len() - 56, file.len() - 1] {
            let heard = hear(&file[..end], 4_096);
            assert_eq!((heard.channels, heard.recording), (None, None), "{end} bytes");
        }
        for wrong in [other, longer, b"RIFF\x04\0\0\0WAVE".to_vec(), b"<html>no audio at all</html>".to_vec()] {
            let heard = hear(&wrong, 4_096);
            assert_eq!((heard.channels, heard.recording), (None, None));
        }
    }

    #[test]
    fn a_comment_that_is_no_sid_is_not_repeated() {
        let heard = hear(&marked("hello", 1, 0), 4_096);
        assert_eq!((heard.channels, heard.recording), (Some(1), None));
    }
}
