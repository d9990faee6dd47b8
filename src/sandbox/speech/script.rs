//! What people say on the phone: who, when, with which words and samples.

use std::io::Read as _;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use serde::Deserialize;

use super::adpcm::decode;
use super::audio::{self, SAMPLES_PER_MS};
use super::words::{self, Word};

/// What is said in a call, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Script {
    /// A few seconds of one voice, without hard words.
    #[default]
    Order,
    /// Two people of a hospital speak of a patient's drugs.
    Clinic,
    /// Two engineers speak of a cluster that is down.
    Engineer,
    /// Two lawyers speak of a case.
    Law,
    /// Nobody says anything.
    Silence,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The person who is called or calls.
    Party,
    /// The person at the operator's phone.
    Operator,
}

/// What one person says without waiting for the other.
pub(super) struct Turn {
    pub(super) side: Side,
    /// Milliseconds from the beginning of the conversation.
    pub(super) start: u64,
    pub(super) samples: Vec<i16>,
    /// Their times count from `start`.
    pub(super) words: Vec<Word>,
}

impl Turn {
    /// Milliseconds.
    pub(super) fn length(&self) -> u64 {
        self.samples.len() as u64 / SAMPLES_PER_MS
    }
}

/// A turn as it stands in a script's JSON. Its samples follow those of the turn before.
#[derive(Deserialize)]
struct Line {
    speaker: Side,
    start: u64,
    samples: usize,
    words: Vec<Word>,
}

impl Script {
    pub const ALL: [Self; 5] = [Self::Order, Self::Clinic, Self::Engineer, Self::Law, Self::Silence];

    /// Returns the turns in the order in which they begin.
    pub(super) fn turns(self) -> &'static [Turn] {
        static ORDER: LazyLock<[Turn; 1]> = LazyLock::new(order);
        static CLINIC: LazyLock<Vec<Turn>> =
            LazyLock::new(|| load(include_bytes!("scripts/clinic.ima.gz"), include_str!("scripts/clinic.json")));
        static ENGINEER: LazyLock<Vec<Turn>> =
            LazyLock::new(|| load(include_bytes!("scripts/engineer.ima.gz"), include_str!("scripts/engineer.json")));
        static LAW: LazyLock<Vec<Turn>> =
            LazyLock::new(|| load(include_bytes!("scripts/law.ima.gz"), include_str!("scripts/law.json")));
        match self {
            Self::Order => &*ORDER,
            Self::Clinic => &CLINIC,
            Self::Engineer => &ENGINEER,
            Self::Law => &LAW,
            Self::Silence => &[],
        }
    }
}

/// The speech of one voice that has a WAV file of its own, with the silence around it.
fn order() -> [Turn; 1] {
    [Turn { side: Side::Party, start: 0, samples: audio::speech_samples(), words: words::words().to_vec() }]
}

fn load(packed: &[u8], lines: &str) -> Vec<Turn> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).expect("the audio of a script is a part of this program");
    let lines: Vec<Line> = serde_json::from_str(lines).expect("the words of a script are a part of this program");
    let mut samples = decode(&bytes).into_iter();
    let turn = |Line { speaker: side, start, samples: count, words }| Turn {
        side,
        start,
        samples: samples.by_ref().take(count).collect(),
        words,
    };
    lines.into_iter().map(turn).collect()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::super::recognize::hex;
    use super::*;

    /// With the checksum of its samples, little-endian, as sox decodes them.
    const CONVERSATIONS: [(Script, &str); 3] = [
        (Script::Clinic, "bec83d5b1fa2eab73e137d93e47413876ee24888d41671a6d0b58c0c1cf89944"),
        (Script::Engineer, "29cb14d4997d3691b7fc0e70e14a624964af98b9d140db2422189f1aea29de95"),
        (Script::Law, "22e7cd92831ef3f2b12e67f8a76a1eda112130425103e469cf4c57871cebfa3f"),
    ];

    #[test]
    fn the_samples_are_those_that_sox_decodes() {
        for (script, checksum) in CONVERSATIONS {
            let turns = script.turns().iter().flat_map(|turn| &turn.samples);
            let bytes: Vec<u8> = turns.flat_map(|sample| sample.to_le_bytes()).collect();
            assert_eq!(hex(&Sha256::digest(bytes)), checksum, "{script:?}");
        }
    }

    #[test]
    fn a_conversation_takes_half_a_minute_and_the_voices_overlap_in_places() {
        for (script, _) in CONVERSATIONS {
            let turns = script.turns();
            let end = turns.iter().map(|turn| turn.start + turn.length()).max().unwrap();
            assert!((25_000..35_000).contains(&end), "{script:?}: {end} ms");
            let overlaps = turns.windows(2).filter(|pair| {
                let [before, after] = pair else { return false };
                before.side != after.side && after.start < before.start + before.length()
            });
            assert!(overlaps.count() >= 2, "{script:?}");
            let meets_itself = |side| {
                let own: Vec<&Turn> = turns.iter().filter(|turn| turn.side == side).collect();
                own.windows(2).any(|pair| pair[1].start < pair[0].start + pair[0].length())
            };
            assert!(!meets_itself(Side::Party) && !meets_itself(Side::Operator), "{script:?}");
        }
    }

    #[test]
    fn words_stand_where_there_is_sound_and_follow_each_other_within_their_turn() {
        for (script, _) in CONVERSATIONS {
            for turn in script.turns() {
                let mut times: Vec<u64> = turn.words.iter().flat_map(|word| [word.start, word.end]).collect();
                times.push(turn.length());
                assert!(times.is_sorted(), "{script:?}: {times:?}");
                let loudest = |from: u64, to: u64| {
                    let part = &turn.samples[(from * SAMPLES_PER_MS) as usize..(to * SAMPLES_PER_MS) as usize];
                    part.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default()
                };
                for word in &turn.words {
                    assert!(loudest(word.start, word.end) > 1_500, "{script:?}: {word:?}");
                }
                for pair in turn.words.windows(2).filter(|pair| pair[1].start > pair[0].end + 40) {
                    assert!(loudest(pair[0].end + 20, pair[1].start - 20) < 1_500, "{script:?}: {pair:?}");
                }
            }
        }
    }
}
