//! Figures of how right transcripts are: what they are measured against, and what they are grouped by.

/// What a transcript is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// Words that somebody corrected while reading them. What sounds plausible stays, so the transcript is at most as good as
    /// the figures say.
    Corrected,
    /// Words that somebody checked by ear.
    Checked,
    /// Words that somebody typed from the audio alone, without the help of the text.
    Blind,
}

words! {
    Reference:
    Corrected = "corrected",
    Checked = "checked",
    Blind = "blind",
}

/// What figures are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    Model,
    /// The key terms that were sent.
    List,
    Side,
    Month,
    Contact,
    Language,
}

words! {
    Dimension:
    Model = "model",
    List = "list",
    Side = "side",
    Month = "month",
    Contact = "contact",
    Language = "language",
}
