//! The WAV header check: its verdict does not depend on how the file is split into chunks, and it detects truncated files.

#![no_main]

// Private in the library, but independent of the rest of it.
#[path = "../../../src/clients/twilio/wav.rs"]
mod wav;

/// What it takes from the library.
mod size {
    pub const TOLERANCE: u64 = 2;
}

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use wav::Wav;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// The duration that Twilio states.
    seconds: Option<u64>,
    /// The sizes of the chunks, used in rotation.
    sizes: [u8; 4],
    /// Whether a valid RIFF header and format precede the rest.
    has_head: bool,
    rest: &'a [u8],
}

/// PCM at 8 kHz, with 16 bits.
const FORMAT: &[u8] = b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0";

fuzz_target!(|input: Input| {
    let Input { seconds, sizes, has_head, rest } = input;
    let length = ((FORMAT.len() + rest.len()) as u32).to_le_bytes();
    let head: &[&[u8]] = if has_head { &[b"RIFF", &length, FORMAT] } else { &[] };
    let file = &*[&head.concat(), rest].concat();
    let total = Some(file.len() as u64);
    let mut whole = Wav::default();
    whole.read(file);
    let verdict = whole.check(total, seconds);

    let mut wav = Wav::default();
    let mut rest = file;
    for size in sizes.into_iter().cycle().map(|size| usize::from(size) + 1) {
        let (piece, later) = rest.split_at(size.min(rest.len()));
        wav.read(piece);
        rest = later;
        if rest.is_empty() {
            break;
        }
        for total in [total, None] {
            let so_far = wav.check(total, seconds);
            assert!(so_far.is_ok() || verdict.is_err(), "{so_far:?} before the end of a valid file");
        }
    }
    assert_eq!(wav.check(total, seconds), verdict, "in pieces");
    assert_eq!(wav.lacks_length(), whole.lacks_length());

    // Reads the length from the header a second time.
    let [b'R', b'I', b'F', b'F', a, b, c, d, _, _, _, _, ..] = file else {
        let is_cut = !file.is_empty() && (b"RIFF".starts_with(file) || (file.starts_with(b"RIFF")));
        assert_eq!(verdict.is_err(), is_cut);
        assert!(!whole.lacks_length());
        return;
    };
    let length = u32::from_le_bytes([*a, *b, *c, *d]);
    assert_eq!(whole.lacks_length(), matches!(length, 0 | u32::MAX));
    // Where the duration shows that a file is whole, the sizes in its header may be wrong.
    if verdict.is_ok() && seconds.is_none() && !whole.lacks_length() {
        let length = u64::from(length) + 8;
        assert!((length..=length + length % 2).contains(&(file.len() as u64)));
        let mut cut = Wav::default();
        cut.read(&file[..length as usize - 1]);
        assert!(cut.check(Some(length - 1), seconds).is_err(), "a truncated file is accepted");
    }
});
