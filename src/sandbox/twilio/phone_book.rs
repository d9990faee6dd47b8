//! The phone book: numbers at which the same always happens. At any other number, somebody answers, presses a key if one is
//! asked for, and says what is in [`Script::Order`].

use super::account::Outcome;
use super::audio::Audio;
use crate::sandbox::speech::{Layout, Scene, Script};

/// Bytes of noise in the place of a recording.
const NOISE: u64 = 80_000;

/// A number of the phone book.
#[derive(Debug)]
pub struct Entry {
    pub number: &'static str,
    /// Who is there, or what happens.
    pub who: &'static str,
    outcome: Outcome,
    says: Says,
}

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// Each side of a conversation is on its own channel.
    Script(Script),
    /// Both sides are on both channels.
    OnBothChannels(Script),
    Noise,
}

const fn entry(number: &'static str, who: &'static str, outcome: Outcome, says: Says) -> Entry {
    Entry { number, who, outcome, says }
}

const ORDER: Says = Says::Script(Script::Order);

/// The operator's phones.
pub const OPERATOR_PHONES: [&str; 4] = ["+14155550100", "+14155550101", "+14155550102", "+14155550103"];

pub static PHONE_BOOK: [Entry; 13] = [
    entry(OPERATOR_PHONES[0], "you: answers, and presses a key if asked", Outcome::Answered, ORDER),
    entry(OPERATOR_PHONES[1], "your voicemail box: answers, and presses no key", Outcome::Voicemail, ORDER),
    entry(OPERATOR_PHONES[2], "your busy phone", Outcome::Busy, ORDER),
    entry(OPERATOR_PHONES[3], "your phone that nobody answers", Outcome::NoAnswer, ORDER),
    entry("+14155550120", "busy", Outcome::Busy, ORDER),
    entry("+14155550121", "nobody answers", Outcome::NoAnswer, ORDER),
    entry("+14155550122", "a voicemail box", Outcome::Voicemail, ORDER),
    entry("+14155550123", "answers and says nothing", Outcome::Silent, Says::Script(Script::Silence)),
    entry("+14155550124", "both voices on both channels", Outcome::Answered, Says::OnBothChannels(Script::Clinic)),
    entry("+14155550125", "a line so bad that the transcript fails", Outcome::Answered, Says::Noise),
    entry("+14155550131", "a nurse of a transplant clinic", Outcome::Answered, Says::Script(Script::Clinic)),
    entry("+14155550132", "an engineer on call", Outcome::Answered, Says::Script(Script::Engineer)),
    entry("+14155550133", "a lawyer", Outcome::Answered, Says::Script(Script::Law)),
];

fn find(number: &str) -> Option<&'static Entry> {
    PHONE_BOOK.iter().find(|entry| entry.number == number)
}

/// Returns what happens when this number is called, or calls.
pub(super) fn outcome(number: &str) -> Outcome {
    find(number).map_or(Outcome::Answered, |entry| entry.outcome)
}

/// Returns what is recorded of a message that is left at or from this number.
pub(super) fn message(number: &str) -> Audio {
    audio(number, Layout::Message)
}

/// Returns what is recorded of a conversation, by the numbers on the first and the second channel. The conversation is that
/// of the number that is none of the operator's phones.
pub(super) fn conversation(first: &str, second: &str) -> Audio {
    if OPERATOR_PHONES.contains(&first) {
        audio(second, Layout::OperatorFirst)
    } else {
        audio(first, Layout::PartyFirst)
    }
}

fn audio(number: &str, layout: Layout) -> Audio {
    let scene = |script, layout| Audio::of(Scene { script, layout });
    match find(number).map_or(ORDER, |entry| entry.says) {
        // Only the party speaks in it.
        Says::Script(Script::Order) if layout == Layout::PartyFirst => scene(Script::Order, Layout::Message),
        Says::OnBothChannels(script) if layout != Layout::Message => scene(script, Layout::Equal),
        Says::Script(script) | Says::OnBothChannels(script) => scene(script, layout),
        Says::Noise => Audio::Generated { bytes: NOISE },
    }
}
