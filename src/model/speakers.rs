//! Who speaks in the recordings of a call. Names belong to the call, so that they outlive every transcript.
//!
//! A speaker is known by a label: the channel, such as `1`, or AssemblyAI's speaker, such as `A`, or `1A` for one of
//! several on a channel. On each of the two channels is one side of the call.

use std::collections::BTreeMap;

use super::call::{Call, Direction};
use super::leg::Role;
use super::name::Name;

/// The names that people gave to the speakers of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// By the labels that the speakers had before the sides were swapped.
    pub given: BTreeMap<String, Name>,
    pub is_swapped: bool,
}

/// The speakers of a call, or those of audio that belongs to no call.
#[derive(Debug, Clone, Default)]
pub struct Speakers {
    names: Names,
    /// What the two sides are called unless somebody named them, the one on the first channel first.
    sides: Option<[(Role, String); 2]>,
}

impl Speakers {
    /// `party` is the name of the person at the other end, if it is known.
    pub fn of(call: &Call, names: Names, party: Option<String>) -> Self {
        let person = match call.direction {
            Direction::Outbound => "Callee",
            Direction::Inbound => "Caller",
            Direction::Unknown => "Other party",
        };
        let party = (Role::Party, party.unwrap_or_else(|| person.to_owned()));
        let operator = (Role::Operator, "Operator".to_owned());
        // On the first channel is the leg that runs our TwiML: the operator's in a conversation that was dialed here, or else
        // that of the person at the other end.
        let mut sides = if call.operator.is_some() { [operator, party] } else { [party, operator] };
        if names.is_swapped {
            sides.reverse();
        }
        Self { names, sides: Some(sides) }
    }

    /// Whether somebody swapped the two sides.
    pub fn is_swapped(&self) -> bool {
        self.names.is_swapped
    }

    /// Returns the role of who speaks on a channel.
    pub fn role(&self, channel: Option<&str>) -> Option<Role> {
        self.side(channel?).map(|(role, _)| *role)
    }

    /// Returns the name that somebody gave to the speaker with this label.
    pub fn given(&self, label: &str) -> Option<&str> {
        self.names.given.get(&stored_label(label, self.names.is_swapped)).map(Name::as_str)
    }

    /// Returns what the speaker of a word is called. `None` for one whom nobody named and who is on neither side.
    pub fn name(&self, speaker: Option<&str>, channel: Option<&str>) -> Option<String> {
        let label = label(speaker, channel)?;
        if let Some(given) = self.given(label) {
            return Some(given.to_owned());
        }
        let channel = channel?;
        let (_, of_side) = self.side(channel)?;
        let side = self.given(channel).unwrap_or(of_side);
        match label.strip_prefix(channel) {
            // The first voice of a channel is mostly the only one.
            Some("" | "A") => Some(side.to_owned()),
            Some(letter) => Some(format!("{side} ({letter})")),
            None => None,
        }
    }

    fn side(&self, channel: &str) -> Option<&(Role, String)> {
        let [first, second] = self.sides.as_ref()?;
        match channel {
            "1" => Some(first),
            "2" => Some(second),
            _ => None,
        }
    }
}

/// Returns the label of the speaker of a word. `None` if speakers were not told apart.
pub fn label<'a>(speaker: Option<&'a str>, channel: Option<&'a str>) -> Option<&'a str> {
    speaker.or(channel).map(str::trim).filter(|label| !label.is_empty())
}

/// Whether AssemblyAI may give this label to a speaker whom nobody has named to it: `1`, `B` or `2A`.
pub fn is_label(text: &str) -> bool {
    let rest = text.trim_start_matches(|char: char| char.is_ascii_digit());
    let digits = text.len() - rest.len();
    let letters = rest.bytes().all(|byte| byte.is_ascii_uppercase());
    !text.is_empty() && digits <= 2 && rest.len() <= 2 && letters
}

/// Returns the label that the name of the speaker with this label is stored under.
pub fn stored_label(label: &str, is_swapped: bool) -> String {
    if is_swapped { other_side(label) } else { label.to_owned() }
}

/// Returns the label in the place of this one on the other side.
fn other_side(label: &str) -> String {
    let (first, rest) = label.split_at_checked(1).unwrap_or((label, ""));
    match (first, rest) {
        ("1", rest) if !rest.starts_with(|char: char| char.is_ascii_digit()) => format!("2{rest}"),
        ("2", rest) if !rest.starts_with(|char: char| char.is_ascii_digit()) => format!("1{rest}"),
        ("A", "") => "B".to_owned(),
        ("B", "") => "A".to_owned(),
        _ => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speakers(given: &[(&str, &str)], is_swapped: bool) -> Speakers {
        let sides = [(Role::Party, "Callee".to_owned()), (Role::Operator, "Operator".to_owned())];
        let given = given.iter().map(|(label, name)| ((*label).to_owned(), name.parse().unwrap())).collect();
        let mut speakers = Speakers { names: Names { given, is_swapped }, sides: Some(sides) };
        if is_swapped {
            speakers.sides.as_mut().unwrap().reverse();
        }
        speakers
    }

    #[test]
    fn a_speaker_is_called_by_the_given_name_or_by_the_side() {
        let some = speakers(&[("1", "Mr Lee"), ("A", "Ann"), ("2B", "Eve")], false);
        for (speaker, channel, expected) in [
            (Some("1"), Some("1"), Some("Mr Lee")),
            (None, Some("1"), Some("Mr Lee")),
            (Some("1A"), Some("1"), Some("Mr Lee")),
            (Some("1B"), Some("1"), Some("Mr Lee (B)")),
            (Some("2"), Some("2"), Some("Operator")),
            (Some("2A"), Some("2"), Some("Operator")),
            (Some("2B"), Some("2"), Some("Eve")),
            (Some("A"), None, Some("Ann")),
            (Some("B"), None, None),
            (Some("3"), Some("3"), None),
            (None, None, None),
        ] {
            assert_eq!(some.name(speaker, channel).as_deref(), expected, "{speaker:?} on {channel:?}");
        }
        assert_eq!(Speakers::default().name(Some("1"), Some("1")), None);
    }

    #[test]
    fn a_swap_takes_names_and_roles_to_the_other_side_and_back() {
        let given = [("1", "Mr Lee"), ("1B", "Ann"), ("A", "Eve")];
        let (straight, swapped) = (speakers(&given, false), speakers(&given, true));
        for (label, other) in [("1", "2"), ("2", "1"), ("1B", "2B"), ("A", "B"), ("B", "A"), ("C", "C"), ("12", "12")] {
            assert_eq!(straight.given(label), swapped.given(other), "{label}");
            assert_eq!(other_side(&other_side(label)), label);
        }
        assert_eq!((straight.role(Some("1")), swapped.role(Some("1"))), (Some(Role::Party), Some(Role::Operator)));
    }

    #[test]
    fn a_label_is_a_channel_a_letter_or_both() {
        assert!(["1", "2", "A", "1A", "12B", "AB"].iter().all(|label| is_label(label)));
        assert!(["", "a", "swap", "123", "ABC", "1a", "Dana", "A1"].iter().all(|label| !is_label(label)));
    }
}
