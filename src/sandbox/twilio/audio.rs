//! What recordings contain, and the bytes of it.

use std::time::Duration;

use axum::body::Bytes;
use sha2::{Digest, Sha256};

use crate::sandbox::speech::{self, Form, Scene};
use crate::splitmix;

/// Bytes of generated audio in memory at a time.
const CHUNK: u64 = 1 << 16;

/// What a recording contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audio {
    /// The sandbox's speech, as WAV or MP3, with one channel or two.
    Speech,
    /// The speech with the recording's SID as a comment in WAV files. MP3 files have none.
    Marked {
        /// Minimum length of a WAV file; padding fills a shorter one up.
        bytes: u64,
    },
    /// What people say at a number of the phone book, as WAV, with one channel or two. There is no MP3 of it.
    Scene {
        scene: Scene,
        /// Whether the file has the recording's SID as a comment.
        is_marked: bool,
    },
    /// These bytes, whatever format is requested.
    Bytes(Bytes),
    /// Noise generated while it is sent, always the same for the same length.
    Generated { bytes: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Wav,
    Mp3,
}

pub(super) enum Content {
    Whole(Bytes),
    /// Noise of this length.
    Generated(u64),
}

impl Audio {
    /// Returns the audio of a scene that is recorded.
    pub(super) fn of(scene: Scene) -> Self {
        if scene == Scene::default() { Self::Speech } else { Self::Scene { scene, is_marked: false } }
    }

    /// Returns the audio with the recording's SID as a comment, where that is possible.
    pub(super) fn marked(self) -> Self {
        match self {
            Self::Speech => Self::Marked { bytes: 0 },
            Self::Scene { scene, .. } => Self::Scene { scene, is_marked: true },
            other => other,
        }
    }

    /// Returns how long people speak.
    pub(super) fn duration(&self) -> Duration {
        match self {
            Self::Scene { scene, .. } => scene.duration(),
            _ => speech::duration(),
        }
    }

    /// Returns the SHA-256, in lower-case hex, of the `.wav` of a mono recording.
    ///
    /// # Panics
    /// For [`Audio::Marked`] and [`Audio::Scene`], whose content depends on the recording.
    pub fn sha256(&self) -> String {
        assert!(!matches!(self, Self::Marked { .. } | Self::Scene { .. }), "each recording has its own checksum");
        let mut hash = Sha256::new();
        match self.content("", Format::Wav, 1) {
            Content::Whole(bytes) => hash.update(&bytes),
            Content::Generated(length) => noise(0, length).for_each(|chunk| hash.update(&chunk)),
        }
        speech::hex(&hash.finalize())
    }

    /// Returns the content of the recording with this SID.
    pub(super) fn content(&self, sid: &str, format: Format, channels: u8) -> Content {
        match (self, format, channels) {
            (Self::Generated { bytes }, ..) => Content::Generated(*bytes),
            (Self::Bytes(bytes), ..) => Content::Whole(bytes.clone()),
            (Self::Scene { scene, is_marked }, _, channels) => {
                let form = if channels == 2 { Form::Both } else { Form::Mixed };
                Content::Whole(speech::scene_of(sid, *scene, form, *is_marked))
            }
            (Self::Speech | Self::Marked { .. }, Format::Mp3, _) => Content::Whole(Bytes::from_static(speech::MP3)),
            (Self::Marked { bytes }, Format::Wav, _) => Content::Whole(speech::marked(sid, channels, *bytes)),
            (Self::Speech, Format::Wav, 2) => Content::Whole(speech::stereo()),
            (Self::Speech, Format::Wav, _) => Content::Whole(Bytes::from_static(speech::WAV)),
        }
    }
}

/// Generates the noise from offset `first` up to, but excluding, `end`. Its bytes depend on their offset alone.
pub(super) fn noise(first: u64, end: u64) -> impl Iterator<Item = Bytes> + Send {
    let starts = std::iter::successors(Some(first), |at| Some((at / CHUNK + 1) * CHUNK));
    starts.take_while(move |at| *at < end).map(move |at| {
        let stop = end.min((at / CHUNK + 1) * CHUNK);
        let words = (at / 8)..stop.div_ceil(8);
        let bytes: Vec<u8> = words.flat_map(|word| splitmix::nth(word).to_le_bytes()).collect();
        let skip = at % 8;
        // Both are at most a chunk and a word.
        Bytes::from(bytes).slice(skip as usize..(skip + stop - at) as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_audio_is_the_same_in_whole_and_in_parts() {
        let length = 2 * CHUNK + 77;
        let gather = |first, end| noise(first, end).flatten().collect::<Vec<u8>>();
        let whole = gather(0, length);
        assert_eq!(whole.len() as u64, length);
        for (first, end) in [(0, 1), (3, 5), (7, 70_000), (CHUNK - 1, CHUNK + 1), (length - 1, length), (9, 9)] {
            assert_eq!(gather(first, end), whole[first as usize..end as usize], "{first}..{end}");
        }
        assert_eq!(Audio::Generated { bytes: length }.sha256(), Audio::Bytes(whole.into()).sha256());
    }
}
