//! A mark in a recording of the speech: its file also says which recording it is, so that nobody can mistake one for
//! another. The sound is the same.

use axum::body::Bytes;

use super::{WAV, stereo};

/// A RecordingSid: `RE` and 32 hexadecimal digits.
pub(super) fn is_recording_sid(text: &str) -> bool {
    let digits = text.strip_prefix("RE").unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The speech as a WAV file with one channel or two, and with this SID as its comment (`LIST`, `INFO`, `ICMT`) at the end.
/// A `JUNK` chunk before that fills it up to this many bytes, if it has fewer.
pub(in crate::sandbox) fn marked(sid: &str, channels: u8, bytes: u64) -> Bytes {
    let mut file = if channels == 2 { stereo().to_vec() } else { WAV.to_vec() };
    let comment = chunk(b"ICMT", &[sid.as_bytes(), b"\0"].concat());
    let mark = chunk(b"LIST", &[b"INFO", comment.as_slice()].concat());
    // What is too little for a chunk of its own stays away.
    let missing = usize::try_from(bytes).unwrap_or_default().saturating_sub(file.len() + mark.len());
    if let Some(junk) = missing.checked_sub(HEAD) {
        file.extend(chunk(b"JUNK", &vec![0; junk]));
    }
    file.extend(mark);
    let length = u32::try_from(file.len() - HEAD).expect("a recording is far from 4 GB");
    file[4..8].copy_from_slice(&length.to_le_bytes());
    file.into()
}

/// The head of a chunk: its name and its length.
const HEAD: usize = 8;

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a recording is far from 4 GB");
    let mut chunk = [&name[..], &length.to_le_bytes(), content].concat();
    // A chunk begins at an even place; its length does not count what makes the next one do so.
    if content.len() % 2 == 1 {
        chunk.push(0);
    }
    chunk
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &str = "RE0123456789abcdef0123456789ABCDEF";

    /// The chunks of a WAV file, whose lengths must add up.
    fn chunks(file: &[u8]) -> Vec<(&[u8], &[u8])> {
        let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((&file[..4], number(4), &file[8..12]), (&b"RIFF"[..], file.len() - 8, &b"WAVE"[..]));
        let (mut at, mut chunks) = (12, Vec::new());
        while at < file.len() {
            let end = at + HEAD + number(at + 4);
            chunks.push((&file[at..at + 4], &file[at + HEAD..end]));
            at = end.next_multiple_of(2);
        }
        assert_eq!(at, file.len());
        chunks
    }

    #[test]
    fn a_mark_is_a_comment_after_the_unchanged_sound() {
        for (channels, plain) in [(1, Bytes::from_static(WAV)), (2, stereo())] {
            let file = marked(SID, channels, 0);
            let (chunks, plain) = (chunks(&file), chunks(&plain));
            assert_eq!(chunks[..2], plain);
            assert_eq!(chunks[2], (&b"LIST"[..], [b"INFOICMT\x23\0\0\0", SID.as_bytes(), b"\0\0"].concat().as_slice()));
        }
    }

    #[test]
    fn a_marked_file_is_filled_up_to_its_length() {
        let file = marked(SID, 1, 100_000);
        assert_eq!((file.len(), chunks(&file).len()), (100_000, 4));
        assert_eq!(chunks(&file)[2].0, b"JUNK");
        for too_little in [0, 44, WAV.len() as u64, WAV.len() as u64 + 60] {
            assert_eq!(marked(SID, 1, too_little), marked(SID, 1, 0));
        }
    }

    #[test]
    fn only_what_looks_like_a_recordings_sid_is_one() {
        assert!(is_recording_sid(SID));
        for other in ["", "RE", "CA0123456789abcdef0123456789abcdef", &SID[..33], "RE0123456789abcdef0123456789abcdeg"]
        {
            assert!(!is_recording_sid(other), "{other}");
        }
    }
}
