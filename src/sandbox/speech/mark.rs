//! Marking a recording of the speech with its SID, so that tests can tell the recordings of calls apart. The samples stay
//! the same.

use axum::body::Bytes;

use super::audio::WAV;
use super::scene::{Form, Scene, stereo};

/// Returns whether this is a recording SID: `RE` and 32 hexadecimal digits.
pub(super) fn is_recording_sid(text: &str) -> bool {
    let digits = text.strip_prefix("RE").unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns the speech of one voice as a WAV file with one channel or two that ends with this SID as its comment (`LIST`,
/// `INFO`, `ICMT`). A `JUNK` chunk before the comment pads a shorter file to `bytes`.
pub fn marked(sid: &str, channels: u8, bytes: u64) -> Bytes {
    let file = if channels == 2 { stereo() } else { Bytes::from_static(WAV) };
    with_info(&file, *b"ICMT", sid, bytes)
}

/// Returns a scene as a WAV file that ends with this SID. As a comment it is a mark. As a title (`INAM`) it only makes the
/// file another one than that of any other recording, as real recordings are.
pub fn scene_of(sid: &str, scene: Scene, form: Form, is_marked: bool) -> Bytes {
    with_info(&scene.wav(form), if is_marked { *b"ICMT" } else { *b"INAM" }, sid, 0)
}

fn with_info(plain: &[u8], name: [u8; 4], text: &str, bytes: u64) -> Bytes {
    let mut file = plain.to_vec();
    let info = chunk(&name, &[text.as_bytes(), b"\0"].concat());
    let list = chunk(b"LIST", &[b"INFO", info.as_slice()].concat());
    // A gap that is shorter than the header of a chunk stays unfilled.
    let missing = usize::try_from(bytes).unwrap_or_default().saturating_sub(file.len() + list.len());
    if let Some(junk) = missing.checked_sub(CHUNK_HEADER) {
        file.extend(chunk(b"JUNK", &vec![0; junk]));
    }
    file.extend(list);
    let length = u32::try_from(file.len() - CHUNK_HEADER).expect("a recording is far from 4 GB");
    file[4..8].copy_from_slice(&length.to_le_bytes());
    file.into()
}

/// Length of the header of a chunk: its name and its length.
const CHUNK_HEADER: usize = 8;

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a recording is far from 4 GB");
    let mut chunk = [&name[..], &length.to_le_bytes(), content].concat();
    // Chunks begin at even offsets. The length of a chunk does not count its padding byte.
    if content.len() % 2 == 1 {
        chunk.push(0);
    }
    chunk
}

#[cfg(test)]
mod tests {
    use super::super::scene::Layout;
    use super::super::script::Script;
    use super::*;

    const SID: &str = "RE0123456789abcdef0123456789ABCDEF";

    /// Returns the chunks of a WAV file and asserts that their lengths add up.
    fn chunks(file: &[u8]) -> Vec<(&[u8], &[u8])> {
        let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((&file[..4], number(4), &file[8..12]), (&b"RIFF"[..], file.len() - 8, &b"WAVE"[..]));
        let (mut at, mut chunks) = (12, Vec::new());
        while at < file.len() {
            let end = at + CHUNK_HEADER + number(at + 4);
            chunks.push((&file[at..at + 4], &file[at + CHUNK_HEADER..end]));
            at = end.next_multiple_of(2);
        }
        assert_eq!(at, file.len());
        chunks
    }

    #[test]
    fn a_mark_is_a_comment_after_the_unchanged_samples() {
        for (channels, plain) in [(1, Bytes::from_static(WAV)), (2, stereo())] {
            let file = marked(SID, channels, 0);
            let (chunks, plain) = (chunks(&file), chunks(&plain));
            assert_eq!(chunks[..2], plain);
            assert_eq!(chunks[2], (&b"LIST"[..], [b"INFOICMT\x23\0\0\0", SID.as_bytes(), b"\0\0"].concat().as_slice()));
        }
    }

    #[test]
    fn a_scene_has_its_mark_or_its_title_after_the_same_samples() {
        let scene = Scene { script: Script::Silence, layout: Layout::Message };
        let plain = scene.wav(Form::Both);
        for (is_marked, name) in [(true, b"ICMT"), (false, b"INAM")] {
            let file = scene_of(SID, scene, Form::Both, is_marked);
            let chunks = chunks(&file);
            assert_eq!(chunks[..2], super::tests::chunks(&plain));
            assert_eq!(&chunks[2].1[4..8], name);
        }
    }

    #[test]
    fn a_marked_file_is_padded_to_its_minimum_length() {
        let file = marked(SID, 1, 100_000);
        assert_eq!((file.len(), chunks(&file).len()), (100_000, 4));
        assert_eq!(chunks(&file)[2].0, b"JUNK");
        for too_little in [0, 44, WAV.len() as u64, WAV.len() as u64 + 60] {
            assert_eq!(marked(SID, 1, too_little), marked(SID, 1, 0));
        }
    }

    #[test]
    fn only_re_and_32_hexadecimal_digits_are_a_recording_sid() {
        assert!(is_recording_sid(SID));
        for other in ["", "RE", "CA0123456789abcdef0123456789abcdef", &SID[..33], "RE0123456789abcdef0123456789abcdeg"]
        {
            assert!(!is_recording_sid(other), "{other}");
        }
    }
}
