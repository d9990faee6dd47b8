//! Captions: where they are cut, how they are laid out, and when they are shown. Knows nothing of file formats.
//!
//! What a voice says is cut into cues at the places that cost least altogether, as a paragraph is broken into lines; then
//! the cues of all voices are put in one order, and their times made to go together.

use std::cmp::Reverse;

use super::Word;
use super::runs::{Run, ends_clause, ends_sentence, runs};
use super::width::{cut, is_spaced, width};

/// Characters in a line.
pub(super) const LINE: usize = 42;
/// A cue is shown this long, at least, if those that follow leave it the time.
pub(super) const SHORTEST: u64 = 1_000;
/// No cue is shown longer.
pub(super) const LONGEST: u64 = 7_000;
/// Characters that people read in a second.
const READ_PER_SECOND: u64 = 20;
/// How late a cue may come so that the one before it can be read.
const LATE: u64 = 2_000;
/// Where cues are so dense that they would come later than that, they are shown this long.
pub(super) const FLASH: u64 = 500;

/// A caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cue {
    /// In milliseconds.
    pub(super) start: u64,
    /// After its start, and not after the start of the next.
    pub(super) end: u64,
    pub(super) voice: Option<String>,
    /// One or two, none of them empty.
    pub(super) lines: Vec<String>,
}

/// The captions, in the order of their times.
pub(super) fn cues(words: &[Word]) -> Vec<Cue> {
    let mut cues: Vec<Cue> = runs(words).into_iter().flat_map(cues_of).collect();
    cues.sort_by_key(|cue| cue.start);
    set_times(&mut cues);
    cues
}

/// From when words are spoken to when cues are shown: long enough to be read, one after the other.
fn set_times(cues: &mut [Cue]) {
    let mut free_from = 0;
    for index in 0..cues.len() {
        let next = cues.get(index + 1).map(|next| next.start);
        let cue = &mut cues[index];
        let spoken = cue.end - cue.start;
        let read = (cue.lines.iter().map(|line| width(line) as u64).sum::<u64>() * 1_000 / READ_PER_SECOND)
            .clamp(SHORTEST, LONGEST);
        let start = cue.start.max(free_from);
        let mut end = cue.end.max(start + read);
        if let Some(next) = next {
            // The next may have to wait, for as long as this one is spoken, but not too long.
            let held = start + read.min(spoken).max(SHORTEST);
            end = end.min(next.max(held.min(next + LATE)));
        }
        cue.start = start;
        cue.end = end.clamp(start + FLASH, start + LONGEST);
        free_from = cue.end;
    }
}

/// A part of a cue that stays in one line.
struct Piece {
    text: String,
    start: u64,
    end: u64,
    /// Whether it is set off from what is before it.
    is_spaced: bool,
    after: Break,
}

/// What ends with a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Break {
    Sentence,
    Clause,
    Word,
    /// A word that may lean on the next: articles and prepositions are short in most languages.
    Particle,
    /// A word that is too long for a line goes on.
    Nothing,
}

/// What one voice says, cut into cues, each with the times of its words.
fn cues_of(run: Run) -> Vec<Cue> {
    let pieces = pieces(&run);
    let room = Room::of(&pieces);
    let ends = ends(&pieces, &room);
    let mut cues = Vec::with_capacity(ends.len());
    let mut from = 0;
    for to in ends {
        cues.push(Cue {
            start: pieces[from].start,
            end: pieces[to - 1].end,
            voice: run.voice.clone(),
            lines: lines(&pieces, &room, from, to),
        });
        from = to;
    }
    cues
}

fn pieces(run: &Run) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(run.words.len());
    for (index, word) in run.words.iter().enumerate() {
        let next = run.words.get(index + 1).map(|next| next.text.as_str());
        // Parts of a word have their share of its time.
        let whole = width(&word.text).max(1) as u64;
        let at = |offset: usize| word.start + (word.end - word.start) * (width(&word.text[..offset]) as u64) / whole;
        let mut offset = 0;
        for part in word.text.split(' ') {
            for (nth, text) in cut(part, LINE).into_iter().enumerate() {
                let is_spaced = nth == 0 && pieces.last().is_none_or(|before| is_spaced(&before.text, text));
                if nth > 0
                    && let Some(before) = pieces.last_mut()
                {
                    before.after = Break::Nothing;
                }
                let end = offset + text.len();
                let piece =
                    Piece { text: text.to_owned(), start: at(offset), end: at(end), is_spaced, after: Break::Word };
                pieces.push(piece);
                offset = end;
            }
            offset += 1;
        }
        if let Some(last) = pieces.last_mut() {
            last.after = match last.text.as_str() {
                text if ends_sentence(text, next) => Break::Sentence,
                text if ends_clause(text) => Break::Clause,
                text if text.chars().count() <= 3 => Break::Particle,
                _ => Break::Word,
            };
        }
    }
    pieces
}

/// How wide pieces are together, without counting again each time.
struct Room {
    /// The width of all pieces before this one, with their spaces.
    before: Vec<usize>,
    /// Up to where a line reaches that begins with this piece.
    line_end: Vec<usize>,
    /// Whether this piece begins with a space.
    spaces: Vec<usize>,
}

impl Room {
    fn of(pieces: &[Piece]) -> Self {
        let spaces: Vec<usize> = pieces.iter().map(|piece| usize::from(piece.is_spaced)).collect();
        let mut before = vec![0];
        for (piece, space) in pieces.iter().zip(&spaces) {
            before.push(before[before.len() - 1] + space + width(&piece.text));
        }
        let mut room = Self { before, line_end: Vec::new(), spaces };
        let mut to = 0;
        for from in 0..pieces.len() {
            while to < pieces.len() && room.width(from, to + 1) <= LINE {
                to += 1;
            }
            room.line_end.push(to);
        }
        room
    }

    /// Of the line from one piece to before another.
    fn width(&self, from: usize, to: usize) -> usize {
        self.before[to] - self.before[from] - self.spaces[from]
    }

    /// Whether two lines are enough.
    fn fits(&self, from: usize, to: usize) -> bool {
        let second = self.line_end[from];
        to <= second || to <= self.line_end[second]
    }
}

/// Where to cut: the ends of the cues that cost least altogether.
fn ends(pieces: &[Piece], room: &Room) -> Vec<usize> {
    // What it costs not to cut at the places before this one.
    let mut uncut = vec![0, 0];
    for pair in pieces.windows(2) {
        uncut.push(uncut[uncut.len() - 1] + cost_of_going_on(&pair[0], &pair[1]));
    }
    // The least that all cues up to here cost, and where the last of them begins.
    let mut least: Vec<(u64, usize)> = vec![(0, 0)];
    for to in 1..=pieces.len() {
        let ways = (0..to).rev().take_while(|from| {
            *from == to - 1 || room.fits(*from, to) && pieces[to - 1].end - pieces[*from].start <= LONGEST
        });
        let cost = |from: usize| {
            let inside = uncut[to] - uncut[from + 1];
            least[from].0 + inside + cost_of_cue(pieces, room.width(from, to), from, to)
        };
        let best = ways.map(|from| (cost(from), from)).min_by_key(|(cost, from)| (*cost, Reverse(*from)));
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

/// Of a cue that goes on where a sentence ends, or after a pause.
fn cost_of_going_on(piece: &Piece, next: &Piece) -> u64 {
    let pause = (next.start - piece.end).min(2_000);
    pause / 25 + if piece.after == Break::Sentence { 25 } else { 0 }
}

/// Of a cue for itself, and of its end. What counts most is that it can be read, then that nothing is torn.
fn cost_of_cue(pieces: &[Piece], width: usize, from: usize, to: usize) -> u64 {
    // Fewer are better, and even ones.
    let each = 20 + 20 * (width * width) as u64 / (4 * LINE * LINE) as u64;
    let Some(next) = pieces.get(to) else { return each };
    let last = &pieces[to - 1];
    let shown = next.start - pieces[from].start;
    let too_short = 200 * SHORTEST.saturating_sub(shown) / SHORTEST;
    let pause = (next.start - last.end).min(1_000);
    let torn = match last.after {
        Break::Sentence => 0,
        Break::Clause => 25 - pause / 50,
        Break::Word => 60 - pause / 20,
        Break::Particle => 68 - pause / 20,
        Break::Nothing => 160,
    };
    each + too_short + torn
}

/// One line if it is enough, otherwise two of about the same length, the second rather the longer one.
fn lines(pieces: &[Piece], room: &Room, from: usize, to: usize) -> Vec<String> {
    let line = |from: usize, to: usize| {
        let mut line = pieces[from].text.clone();
        for piece in &pieces[from + 1..to] {
            line.push_str(if piece.is_spaced { " " } else { "" });
            line.push_str(&piece.text);
        }
        line
    };
    if room.line_end[from] >= to {
        return vec![line(from, to)];
    }
    let cost = |at: &usize| {
        let (first, second) = (room.width(from, *at), room.width(*at, to));
        let torn = match pieces[at - 1].after {
            Break::Sentence => 0,
            Break::Clause => 5,
            Break::Word => 12,
            Break::Particle => 20,
            Break::Nothing => 60,
        };
        torn + first.abs_diff(second) / 2 + if first > second { 2 } else { 0 }
    };
    let second_fits = |at: &usize| room.line_end[*at] >= to;
    let best = (from + 1..=room.line_end[from]).filter(second_fits).min_by_key(cost);
    let at = best.unwrap_or(room.line_end[from]);
    vec![line(from, at), line(at, to)]
}
