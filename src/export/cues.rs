//! Cues, that is single captions: where they break, their lines, and when they are shown. Knows nothing of file formats.
//!
//! Each turn is broken into cues so that the total cost of all breaks is minimal, as TeX breaks a paragraph into lines.
//! Then the cues of all voices are ordered by time, and their times adjusted so that they do not overlap.

use std::cmp::Reverse;

use super::turns::{TimedTurn, ends_clause, ends_sentence, is_dialog, turns};
use super::width::{split, width};
use super::word::{Naming, Word};
use crate::model::word::is_spaced;

/// Maximum width of a line, in characters.
const MAX_LINE: usize = 42;
/// Maximum width, in characters, that is kept free for a name at the begin of a line. A longer name makes a longer line.
const MAX_PREFIX: usize = 22;
/// Minimum time, in milliseconds, that a cue is shown, unless the next ones come too soon.
const MIN_DURATION: u64 = 1_000;
/// Maximum time, in milliseconds, that a cue is shown.
const MAX_DURATION: u64 = 7_000;
/// Characters that a viewer reads in a second.
const READING_SPEED: u64 = 20;
/// Maximum delay of a cue, in milliseconds, to let viewers read the one before it.
const MAX_DELAY: u64 = 2_000;
/// Minimum time, in milliseconds, that a cue is shown where cues are so dense that [`MAX_DELAY`] is used up.
const MIN_DENSE_DURATION: u64 = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cue {
    /// In milliseconds.
    pub(super) start: u64,
    /// In milliseconds; after `start` and not after the start of the next cue.
    pub(super) end: u64,
    /// Which voice, as in [`TimedTurn`].
    pub(super) voice: usize,
    pub(super) name: Option<String>,
    /// The name as the begin of the first line, which has room for it.
    pub(super) prefix: Option<String>,
    /// One or two; none is empty.
    pub(super) lines: Vec<String>,
}

/// Returns the cues in the order of their times. If `may_prefix`, those of a dialog have their names as prefixes, too.
pub(super) fn cues(words: &[Word], naming: Naming, may_prefix: bool) -> Vec<Cue> {
    let turns = turns(words, naming);
    let has_prefixes = may_prefix && is_dialog(&turns);
    let cues_of = |turn: TimedTurn| {
        let prefix = turn.name.as_ref().filter(|_| has_prefixes).map(|name| format!("{name}: "));
        cues_of(turn, prefix)
    };
    let mut cues: Vec<Cue> = turns.into_iter().flat_map(cues_of).collect();
    cues.sort_by_key(|cue| cue.start);
    adjust_times(&mut cues);
    cues
}

/// Adjusts the times of cues, from when their words are spoken to when they can be read, without overlaps.
fn adjust_times(cues: &mut [Cue]) {
    let mut free_from = 0;
    for index in 0..cues.len() {
        let next = cues.get(index + 1).map(|next| next.start);
        let cue = &mut cues[index];
        let spoken = cue.end - cue.start;
        let reading = (cue.lines.iter().map(|line| width(line) as u64).sum::<u64>() * 1_000 / READING_SPEED)
            .clamp(MIN_DURATION, MAX_DURATION);
        let start = cue.start.max(free_from);
        let mut end = cue.end.max(start + reading);
        if let Some(next) = next {
            // The next cue may be delayed for as long as this one is spoken, up to MAX_DELAY.
            let needed = start + reading.min(spoken).max(MIN_DURATION);
            end = end.min(next.max(needed.min(next + MAX_DELAY)));
        }
        cue.start = start;
        cue.end = end.clamp(start + MIN_DENSE_DURATION, start + MAX_DURATION);
        free_from = cue.end;
    }
}

/// A word, or a part of one that is too long for a line. A piece is never broken.
struct Piece {
    text: String,
    start: u64,
    end: u64,
    /// Whether a space separates it from the piece before.
    is_spaced: bool,
    after: Boundary,
}

/// What ends with a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Boundary {
    Sentence,
    Clause,
    Word,
    /// A word of up to three characters. Articles and prepositions, which belong to the next word, are short in most
    /// languages.
    ShortWord,
    /// Nothing: the word goes on in the next piece.
    Nothing,
}

/// Breaks a turn into cues, each with the times of its words.
fn cues_of(turn: TimedTurn, prefix: Option<String>) -> Vec<Cue> {
    let first_line = MAX_LINE - prefix.as_deref().map_or(0, |prefix| width(prefix).min(MAX_PREFIX));
    let pieces = pieces(&turn, first_line);
    let widths = Widths::of(&pieces, first_line);
    let ends = cue_ends(&pieces, &widths);
    let mut cues = Vec::with_capacity(ends.len());
    let mut from = 0;
    for to in ends {
        cues.push(Cue {
            start: pieces[from].start,
            end: pieces[to - 1].end,
            voice: turn.voice,
            name: turn.name.clone(),
            prefix: prefix.clone(),
            lines: lines(&pieces, &widths, from, to),
        });
        from = to;
    }
    cues
}

/// Cuts a turn into pieces that are at most `longest` wide.
fn pieces(turn: &TimedTurn, longest: usize) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(turn.words.len());
    for (index, word) in turn.words.iter().enumerate() {
        let next = turn.words.get(index + 1).map(|next| next.text.as_str());
        // A part of a word gets a share of its time by width.
        let whole = width(&word.text).max(1) as u64;
        let at = |offset: usize| word.start + (word.end - word.start) * (width(&word.text[..offset]) as u64) / whole;
        let mut offset = 0;
        for part in word.text.split(' ') {
            for (nth, text) in split(part, longest).into_iter().enumerate() {
                let is_spaced = nth == 0 && pieces.last().is_none_or(|before| is_spaced(&before.text, text));
                if nth > 0
                    && let Some(before) = pieces.last_mut()
                {
                    before.after = Boundary::Nothing;
                }
                let end = offset + text.len();
                let piece =
                    Piece { text: text.to_owned(), start: at(offset), end: at(end), is_spaced, after: Boundary::Word };
                pieces.push(piece);
                offset = end;
            }
            offset += 1;
        }
        if let Some(last) = pieces.last_mut() {
            last.after = match last.text.as_str() {
                text if ends_sentence(text, next) => Boundary::Sentence,
                text if ends_clause(text) => Boundary::Clause,
                text if text.chars().count() <= 3 => Boundary::ShortWord,
                _ => Boundary::Word,
            };
        }
    }
    pieces
}

/// Precomputed widths of stretches of pieces.
struct Widths {
    /// Width of all pieces before this one, with their spaces.
    before: Vec<usize>,
    /// Where the first line of a cue that begins with this piece must end.
    first_end: Vec<usize>,
    /// Where any other line that begins with this piece must end.
    line_end: Vec<usize>,
    /// Width of the space before this piece, 0 or 1.
    spaces: Vec<usize>,
}

impl Widths {
    fn of(pieces: &[Piece], first_line: usize) -> Self {
        let spaces: Vec<usize> = pieces.iter().map(|piece| usize::from(piece.is_spaced)).collect();
        let mut before = vec![0];
        for (piece, space) in pieces.iter().zip(&spaces) {
            before.push(before[before.len() - 1] + space + width(&piece.text));
        }
        let mut widths = Self { before, first_end: Vec::new(), line_end: Vec::new(), spaces };
        widths.first_end = widths.ends(first_line);
        widths.line_end = widths.ends(MAX_LINE);
        widths
    }

    /// Returns where a line of this width must end, for each piece that it may begin with.
    fn ends(&self, longest: usize) -> Vec<usize> {
        let mut to = 0;
        let end = |from| {
            while to < self.spaces.len() && self.line(from, to + 1) <= longest {
                to += 1;
            }
            to
        };
        (0..self.spaces.len()).map(end).collect()
    }

    /// Returns the width of a line from one piece up to, but excluding, another.
    fn line(&self, from: usize, to: usize) -> usize {
        self.before[to] - self.before[from] - self.spaces[from]
    }

    /// Returns whether these pieces fit in two lines.
    fn fit_two_lines(&self, from: usize, to: usize) -> bool {
        let second = self.first_end[from];
        to <= second || to <= self.line_end[second]
    }
}

/// Returns the ends of the cues with the least total cost.
fn cue_ends(pieces: &[Piece], widths: &Widths) -> Vec<usize> {
    // Total cost of not breaking at any boundary before this piece.
    let mut uncut = vec![0, 0];
    for pair in pieces.windows(2) {
        uncut.push(uncut[uncut.len() - 1] + cost_of_no_break(&pair[0], &pair[1]));
    }
    // Least cost of all cues up to this piece, and where the last of them begins.
    let mut least: Vec<(u64, usize)> = vec![(0, 0)];
    for to in 1..=pieces.len() {
        let starts = (0..to).rev().take_while(|from| {
            *from == to - 1
                || widths.fit_two_lines(*from, to) && pieces[to - 1].end - pieces[*from].start <= MAX_DURATION
        });
        let cost = |from: usize| {
            let inside = uncut[to] - uncut[from + 1];
            least[from].0 + inside + cost_of_cue(pieces, widths.line(from, to), from, to)
        };
        let best = starts.map(|from| (cost(from), from)).min_by_key(|(cost, from)| (*cost, Reverse(*from)));
        least.push(best.expect("a piece alone is a cue"));
    }
    let mut ends = Vec::new();
    let mut to = pieces.len();
    while to > 0 {
        ends.push(to);
        to = least[to].1;
    }
    ends.reverse();
    ends
}

/// Returns the cost of a cue that continues across the boundary between these pieces: that of a sentence end, or a pause.
fn cost_of_no_break(piece: &Piece, next: &Piece) -> u64 {
    let pause = (next.start - piece.end).min(2_000);
    pause / 25 + if piece.after == Boundary::Sentence { 25 } else { 0 }
}

/// Returns the cost of a cue and of the break at its end. Time to read it weighs most, then a break at a good boundary.
fn cost_of_cue(pieces: &[Piece], width: usize, from: usize, to: usize) -> u64 {
    // Favors few cues of even width.
    let each = 20 + 20 * (width * width) as u64 / (4 * MAX_LINE * MAX_LINE) as u64;
    let Some(next) = pieces.get(to) else { return each };
    let last = &pieces[to - 1];
    let shown = next.start - pieces[from].start;
    let too_short = 200 * MIN_DURATION.saturating_sub(shown) / MIN_DURATION;
    let pause = (next.start - last.end).min(1_000);
    let broken = match last.after {
        Boundary::Sentence => 0,
        Boundary::Clause => 25 - pause / 50,
        Boundary::Word => 60 - pause / 20,
        Boundary::ShortWord => 68 - pause / 20,
        Boundary::Nothing => 160,
    };
    each + too_short + broken
}

/// Returns one line if that is enough, otherwise two of about the same width, preferably with the longer one below.
fn lines(pieces: &[Piece], widths: &Widths, from: usize, to: usize) -> Vec<String> {
    let line = |from: usize, to: usize| {
        let mut line = pieces[from].text.clone();
        for piece in &pieces[from + 1..to] {
            line.push_str(if piece.is_spaced { " " } else { "" });
            line.push_str(&piece.text);
        }
        line
    };
    if widths.first_end[from] >= to {
        return vec![line(from, to)];
    }
    let cost = |at: &usize| {
        let (first, second) = (widths.line(from, *at), widths.line(*at, to));
        let broken = match pieces[at - 1].after {
            Boundary::Sentence => 0,
            Boundary::Clause => 5,
            Boundary::Word => 12,
            Boundary::ShortWord => 20,
            Boundary::Nothing => 60,
        };
        broken + first.abs_diff(second) / 2 + if first > second { 2 } else { 0 }
    };
    let second_fits = |at: &usize| widths.line_end[*at] >= to;
    let best = (from + 1..=widths.first_end[from]).filter(second_fits).min_by_key(cost);
    let at = best.unwrap_or(widths.first_end[from]);
    vec![line(from, at), line(at, to)]
}
