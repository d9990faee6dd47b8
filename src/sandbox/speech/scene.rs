//! A script as a recording has it: who is on which channel, as samples and as words.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Bytes;

use super::audio::{SAMPLES_PER_MS, wav};
use super::script::{Script, Side, Turn};
use super::words::Word;

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Scene {
    pub script: Script,
    pub layout: Layout,
}

/// Who is on which channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Layout {
    /// The party alone leaves a message, on the first channel.
    #[default]
    Message,
    OperatorFirst,
    PartyFirst,
    /// Both on both channels, which are equal.
    Equal,
}

impl Layout {
    pub const ALL: [Self; 4] = [Self::Message, Self::OperatorFirst, Self::PartyFirst, Self::Equal];
}

/// Which channels of a scene a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Both, each on its own.
    Both,
    /// Both mixed to one.
    Mixed,
    /// Only the first.
    First,
    /// Only the second.
    Second,
}

impl Form {
    pub const ALL: [Self; 4] = [Self::Both, Self::Mixed, Self::First, Self::Second];

    /// Returns how many channels the file has.
    pub fn channels(self) -> u8 {
        if self == Self::Both { 2 } else { 1 }
    }

    /// Returns whether the file holds this channel of the scene.
    fn has(self, channel: u8) -> bool {
        match self {
            Self::Both | Self::Mixed => true,
            Self::First => channel == 1,
            Self::Second => channel == 2,
        }
    }
}

/// What one person says in a file.
pub struct Voice {
    pub side: Side,
    /// The channels of the file that this voice is on. They count from 1.
    pub channels: Vec<u8>,
    /// In the order in which they are said.
    pub words: Vec<Cow<'static, Word>>,
}

/// Milliseconds between the sentences of a message.
const PAUSE: u64 = 500;
/// Milliseconds after the last word of a conversation.
const END: u64 = 500;
/// How long nobody says anything.
const SILENCE: u64 = 8_000;

impl Scene {
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.length())
    }

    /// Returns it as a WAV file of 8 kHz and 16 bit.
    pub fn wav(self, form: Form) -> Bytes {
        wav(form.channels(), &self.samples(form))
    }

    /// Returns the samples of such a file, those of two channels in turn.
    pub(super) fn samples(self, form: Form) -> Vec<i16> {
        if form == Form::Both {
            let [first, second] = [Form::First, Form::Second].map(|form| self.mix(form));
            first.into_iter().zip(second).flat_map(|(first, second)| [first, second]).collect()
        } else {
            self.mix(form)
        }
    }

    /// Returns how many bytes these samples take.
    pub(super) fn samples_length(self, form: Form) -> u64 {
        self.length() * SAMPLES_PER_MS * 2 * u64::from(form.channels())
    }

    /// Returns the voices in a file, with what they say.
    pub fn voices(self, form: Form) -> Vec<Voice> {
        let turns = self.turns();
        let voice = |side| {
            let channels: Vec<u8> = self.channels(side).iter().copied().filter(|channel| form.has(*channel)).collect();
            let own = turns.iter().filter(|(_, turn)| turn.side == side);
            let words: Vec<_> =
                own.flat_map(|(start, turn)| turn.words.iter().map(move |word| word.later(*start))).collect();
            let channels = if form == Form::Both || channels.is_empty() { channels } else { vec![1] };
            Voice { side, channels, words }
        };
        let voices = [Side::Party, Side::Operator].map(voice).into_iter();
        voices.filter(|voice| !voice.channels.is_empty() && !voice.words.is_empty()).collect()
    }

    /// Returns all turns that are heard, with their starts in milliseconds.
    fn turns(self) -> Vec<(u64, &'static Turn)> {
        let turns = self.script.turns().iter();
        if self.layout != Layout::Message {
            return turns.map(|turn| (turn.start, turn)).collect();
        }
        let mut next = None;
        let alone = turns.filter(|turn| turn.side == Side::Party).map(|turn| {
            let start = next.unwrap_or(turn.start);
            next = Some(start + turn.length() + PAUSE);
            (start, turn)
        });
        alone.collect()
    }

    /// Milliseconds.
    fn length(self) -> u64 {
        let end = self.turns().iter().map(|(start, turn)| start + turn.length()).max();
        match (self.script, end) {
            (_, None) => SILENCE,
            // It has its silence already.
            (Script::Order, Some(end)) => end,
            (_, Some(end)) => end + END,
        }
    }

    fn channels(self, side: Side) -> &'static [u8] {
        match (self.layout, side) {
            (Layout::Message, Side::Party)
            | (Layout::OperatorFirst, Side::Operator)
            | (Layout::PartyFirst, Side::Party) => &[1],
            (Layout::OperatorFirst, Side::Party) | (Layout::PartyFirst, Side::Operator) => &[2],
            (Layout::Message, Side::Operator) => &[],
            (Layout::Equal, _) => &[1, 2],
        }
    }

    /// Returns one channel: of those of the scene that the form has, all voices together.
    fn mix(self, form: Form) -> Vec<i16> {
        let mut mixed = vec![0_i16; (self.length() * SAMPLES_PER_MS) as usize];
        for (start, turn) in self.turns() {
            if !self.channels(turn.side).iter().any(|channel| form.has(*channel)) {
                continue;
            }
            let place = &mut mixed[(start * SAMPLES_PER_MS) as usize..];
            place.iter_mut().zip(&turn.samples).for_each(|(sum, sample)| *sum = sum.saturating_add(*sample));
        }
        mixed
    }
}

/// Returns the speech as a WAV file with two channels: the person on the first, silence on the second.
pub fn stereo() -> Bytes {
    static FILE: LazyLock<Bytes> = LazyLock::new(|| Scene::default().wav(Form::Both));
    FILE.clone()
}

#[cfg(test)]
mod tests {
    use super::super::audio::{HEADER, WAV, duration};
    use super::*;

    #[test]
    fn the_speech_of_one_voice_is_a_scene() {
        let scene = Scene::default();
        assert_eq!((scene.wav(Form::Mixed), scene.duration()), (Bytes::from_static(WAV), duration()));
        assert_eq!(scene.wav(Form::Both), stereo());
        assert_eq!(scene.voices(Form::Both).len(), 1);
    }

    #[test]
    fn two_channels_are_as_long_as_one() {
        let file = stereo();
        assert_eq!(file.len() - HEADER, 2 * (WAV.len() - HEADER));
        assert_eq!(file[4..8], u32::try_from(file.len() - 8).unwrap().to_le_bytes());
    }

    #[test]
    fn each_side_is_on_its_own_channel() {
        let scene = Scene { script: Script::Clinic, layout: Layout::OperatorFirst };
        let turned = Scene { layout: Layout::PartyFirst, ..scene };
        assert_eq!(scene.samples(Form::First), turned.samples(Form::Second));
        assert_eq!(scene.samples(Form::Second), turned.samples(Form::First));
        assert_eq!(scene.samples(Form::Mixed), turned.samples(Form::Mixed));
        let both = scene.samples(Form::Both);
        let first: Vec<i16> = both.iter().step_by(2).copied().collect();
        assert_eq!(first, scene.samples(Form::First));
        let sides = |scene: Scene, form| -> Vec<(Side, Vec<u8>)> {
            scene.voices(form).into_iter().map(|voice| (voice.side, voice.channels)).collect()
        };
        assert_eq!(sides(scene, Form::Both), [(Side::Party, vec![2]), (Side::Operator, vec![1])]);
        assert_eq!(sides(turned, Form::Both), [(Side::Party, vec![1]), (Side::Operator, vec![2])]);
        assert_eq!(sides(scene, Form::First), [(Side::Operator, vec![1])]);
        assert_eq!(sides(scene, Form::Mixed), [(Side::Party, vec![1]), (Side::Operator, vec![1])]);
    }

    #[test]
    fn equal_channels_hold_both_sides() {
        let scene = Scene { script: Script::Law, layout: Layout::Equal };
        assert_eq!(scene.samples(Form::First), scene.samples(Form::Second));
        assert_eq!(scene.samples(Form::First), scene.samples(Form::Mixed));
        assert!(scene.voices(Form::Both).iter().all(|voice| voice.channels == [1, 2]));
    }

    #[test]
    fn a_message_is_what_the_party_says_without_the_pauses() {
        for script in [Script::Clinic, Script::Engineer, Script::Law] {
            let message = Scene { script, layout: Layout::Message };
            let call = Scene { script, layout: Layout::PartyFirst };
            assert!(message.duration() < call.duration());
            assert!(message.samples(Form::Second).iter().all(|sample| *sample == 0));
            let text = |scene: Scene, form| -> Vec<String> {
                let voices = scene.voices(form).into_iter();
                voices.flat_map(|voice| voice.words).map(|word| word.text.clone()).collect()
            };
            assert_eq!(text(message, Form::Both), text(call, Form::First));
        }
    }

    #[test]
    fn silence_has_samples_and_no_words() {
        let scene = Scene { script: Script::Silence, layout: Layout::Message };
        assert_eq!(scene.samples(Form::Both), vec![0; 128_000]);
        assert!(scene.voices(Form::Mixed).is_empty());
    }
}
