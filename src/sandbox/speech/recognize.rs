//! Recognizes the speech, and the SID that it is marked with, in a file that streams by. Keeps none of the audio.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use sha2::{Digest as _, Sha256};

use super::audio::{MP3, u32_at};
use super::mark::is_recording_sid;
use super::scene::{Form, Layout, Scene};
use super::script::Script;
use crate::sandbox::lock::lock;

#[derive(Debug, PartialEq, Eq)]
pub struct Recognized {
    /// Of the whole file, in hex.
    pub sha256: String,
    pub bytes: u64,
    /// What people say in it, and which channels it has of it. `None` if that is not known here.
    pub speech: Option<(Scene, Form)>,
    /// The recording SID that the file is marked with, if what is said is known.
    pub recording: Option<String>,
}

impl Recognized {
    /// Returns how many channels the file has, if what is said is known.
    pub fn channels(&self) -> Option<u8> {
        self.speech.map(|(_, form)| form.channels())
    }
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
        let is_mp3 = whole == *MP3_SPEECH;
        let speech = if is_mp3 { Some((Scene::default(), Form::Mixed)) } else { wav.speech(bytes) };
        let recording = wav.comment.filter(|comment| speech.is_some() && is_recording_sid(comment));
        Recognized { sha256: hex(&whole), bytes, speech, recording }
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
    /// SHA-256 of the samples, and how many bytes they are.
    samples: Option<([u8; 32], u64)>,
    comment: Option<String>,
}

#[derive(Default)]
enum Parsing {
    #[default]
    FileHeader,
    ChunkHeader,
    /// SHA-256 of the samples so far, how many bytes they are, and how many of them are left.
    Samples(Sha256, u64, u64),
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
                        (b"data", _) => Parsing::Samples(Sha256::new(), length, length),
                        (b"LIST", Ok(length)) if length <= MAX_LIST => Parsing::List(length),
                        _ => Parsing::Other(length),
                    };
                }
                Parsing::Samples(checksum, length, left) => {
                    checksum.update(take(left, &mut part));
                    if *left == 0 {
                        self.samples = Some((checksum.finalize_reset().into(), *length));
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

    /// Returns what people say in this file, or `None` if the file is incomplete or what they say is not known.
    fn speech(&self, bytes: u64) -> Option<(Scene, Form)> {
        let is_whole =
            matches!(self.state, Parsing::ChunkHeader) && self.buffer.is_empty() && self.riff_length + 8 == bytes;
        let (samples, length) = self.samples.filter(|_| is_whole)?;
        known(samples, length)
    }
}

/// Returns whose samples these are, by their SHA-256 and how many bytes they are.
fn known(samples: [u8; 32], length: u64) -> Option<(Scene, Form)> {
    let scenes = Script::ALL.into_iter().flat_map(|script| Layout::ALL.map(|layout| Scene { script, layout }));
    let files = scenes.flat_map(|scene| Form::ALL.map(|form| (scene, form)));
    let mut as_long = files.filter(|(scene, form)| scene.samples_length(*form) == length);
    as_long.find(|(scene, form)| checksum(*scene, *form) == samples)
}

/// Returns the SHA-256 of a scene's samples.
fn checksum(scene: Scene, form: Form) -> [u8; 32] {
    static KNOWN: Mutex<BTreeMap<(Scene, Form), [u8; 32]>> = Mutex::new(BTreeMap::new());
    if let Some(known) = lock(&KNOWN).get(&(scene, form)) {
        return *known;
    }
    let bytes: Vec<u8> = scene.samples(form).into_iter().flat_map(i16::to_le_bytes).collect();
    let checksum = Sha256::digest(bytes).into();
    lock(&KNOWN).insert((scene, form), checksum);
    checksum
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
    use super::super::audio::WAV;
    use super::super::mark::{marked, scene_of};
    use super::super::scene::stereo;
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
        for (file, form, recording) in [
            (WAV, Form::Mixed, None),
            (MP3, Form::Mixed, None),
            (&*stereo(), Form::Both, None),
            (&*marked(SID, 1, 0), Form::Mixed, recording.clone()),
            (&*marked(SID, 2, 0), Form::Both, recording.clone()),
            (&*marked(SID, 1, 100_000), Form::Mixed, recording),
        ] {
            let expected = Recognized {
                sha256: hex(&Sha256::digest(file)),
                bytes: file.len() as u64,
                speech: Some((Scene::default(), form)),
                recording,
            };
            for at_once in [1, 7, 4_096, file.len()] {
                assert_eq!(recognize(file, at_once), expected);
            }
        }
    }

    #[test]
    fn each_scene_is_recognized_in_each_form_by_what_is_heard() {
        for script in Script::ALL {
            for layout in Layout::ALL {
                let scene = Scene { script, layout };
                for form in Form::ALL {
                    let recognized = recognize(&scene_of(SID, scene, form, true), 65_536);
                    assert_eq!(recognized.recording.as_deref(), Some(SID));
                    let (heard, as_form) = recognized.speech.expect("the scene is known");
                    // One side alone, or silence, sounds the same in more than one scene.
                    assert_eq!((heard.script == script, as_form.channels()), (true, form.channels()), "{scene:?}");
                    let said = |scene: Scene, form| -> Vec<(Vec<u8>, String)> {
                        let all = scene.voices(form).into_iter();
                        all.flat_map(|voice| {
                            voice.words.into_iter().map(move |word| (voice.channels.clone(), word.text.clone()))
                        })
                        .collect()
                    };
                    // Nothing is heard of an operator who does not speak.
                    let silent = scene.samples(form).iter().all(|sample| *sample == 0);
                    assert!(silent || said(heard, as_form) == said(scene, form), "{scene:?} {form:?}");
                }
            }
        }
    }

    #[test]
    fn a_title_is_no_mark() {
        let scene = Scene { script: Script::Law, layout: Layout::OperatorFirst };
        let files = [SID, "RE00000000000000000000000000000000"].map(|sid| scene_of(sid, scene, Form::Both, false));
        let [first, second] = files.map(|file| recognize(&file, 65_536));
        assert_eq!((first.recording, first.speech), (None, Some((scene, Form::Both))));
        assert_ne!(first.sha256, second.sha256);
    }

    #[test]
    fn a_file_that_is_incomplete_or_has_other_samples_is_not_recognized() {
        let file = marked(SID, 1, 0);
        let mut other = file.to_vec();
        other[50_000] ^= 1;
        let longer = [&file, &b"more"[..]].concat();
        for end in [0, 3, 12, 50, 50_000, file.len() - 56, file.len() - 1] {
            let recognized = recognize(&file[..end], 4_096);
            assert_eq!((recognized.speech, recognized.recording), (None, None), "{end} bytes");
        }
        for wrong in [other, longer, b"RIFF\x04\0\0\0WAVE".to_vec(), b"<html>no audio at all</html>".to_vec()] {
            let recognized = recognize(&wrong, 4_096);
            assert_eq!((recognized.speech, recognized.recording), (None, None));
        }
    }

    #[test]
    fn a_comment_that_is_no_sid_is_ignored() {
        let recognized = recognize(&marked("hello", 1, 0), 4_096);
        assert_eq!((recognized.channels(), recognized.recording), (Some(1), None));
    }
}
