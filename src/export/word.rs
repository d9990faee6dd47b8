//! A spoken word as it comes in, and the name of its voice.

/// Says how the voice of a word is called: [`Word::voice`], or by names that people gave. `None` for a voice that is not told
/// apart from others.
pub type Naming<'n> = &'n dyn Fn(&Word) -> Option<String>;

/// A word as it was recognized. It may contain any characters, and its times may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    /// With its punctuation.
    pub text: &'a str,
    /// In milliseconds.
    pub start: u64,
    /// In milliseconds.
    pub end: u64,
    /// `None` if speakers were not told apart.
    pub speaker: Option<&'a str>,
    /// `None` if channels were not transcribed separately.
    pub channel: Option<&'a str>,
}

impl Word<'_> {
    /// Returns the name of the voice that says the word, by its speaker and channel.
    pub fn voice(&self) -> Option<String> {
        let speaker = self.speaker.map(clean).filter(|name| !name.is_empty());
        let channel = self.channel.map(clean).filter(|name| !name.is_empty());
        match (speaker, channel) {
            // With one speaker per channel, both have the same name.
            (Some(speaker), Some(channel)) if speaker == channel => Some(format!("Channel {channel}")),
            // `A`, `1A` or `12`; anything longer is a person's name.
            (Some(speaker), _) if speaker.chars().count() <= 3 => Some(format!("Speaker {speaker}")),
            (Some(speaker), _) => Some(speaker),
            (None, channel) => channel.map(|channel| format!("Channel {channel}")),
        }
    }
}

/// Removes control characters and replaces each stretch of whitespace with one space.
pub(super) fn clean(text: &str) -> String {
    let printable: String = text.chars().filter(|c| c.is_whitespace() || !c.is_control()).collect();
    printable.split_whitespace().collect::<Vec<_>>().join(" ")
}
