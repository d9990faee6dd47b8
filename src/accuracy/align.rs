//! Aligns two sequences with as few errors as possible (Levenshtein). Where several alignments have equally few, it takes the
//! one that `jiwer` takes, so that both count the same hits, substitutions, deletions and insertions.
//!
//! The table of distances has a row for each word of the hypothesis and a column for each word of the reference. A row is
//! filled in 64 columns at a time, and needs two bits for each (Myers 1999, Hyyrö 2003). The way back through the table
//! needs all rows: some are kept, and those between two of them are filled in again. So 30,000 words and as many others take
//! 3 MB.

use std::collections::HashMap;
use std::hash::Hash;

use super::edits::Step;

/// 64 columns of a row: how the distance differs from that in the column before.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// A bit for each column where it is greater by one.
    greater: u64,
    /// A bit for each column where it is less by one.
    less: u64,
}

/// A table of at most this many blocks is kept as a whole: 1 MB.
const SMALL: usize = 1 << 16;

/// A row of the table.
type Row = Vec<Block>;

/// The columns of one word: blocks in their order, with a bit for each column.
type Columns = [(usize, u64)];

/// Returns the steps from the reference to the hypothesis, in their order, with as few errors as possible. The time grows
/// with the product of both lengths.
pub fn align<T: Eq + Hash>(reference: &[T], hypothesis: &[T]) -> Vec<Step> {
    let (prefix, suffix) = affixes(reference, hypothesis);
    let (reference_end, hypothesis_end) = (reference.len() - suffix, hypothesis.len() - suffix);
    let hit = |reference, hypothesis| Step::Hit { reference, hypothesis };

    let mut steps: Vec<Step> = (0..prefix).map(|at| hit(at, at)).collect();
    steps.extend(between(&reference[..reference_end], &hypothesis[..hypothesis_end], prefix));
    steps.extend((0..suffix).map(|at| hit(reference_end + at, hypothesis_end + at)));
    steps
}

/// Returns the least possible number of errors.
pub(super) fn distance<T: Eq + Hash>(reference: &[T], hypothesis: &[T]) -> u64 {
    let columns = columns(reference);
    let mut row = first_row(reference.len());
    hypothesis.iter().for_each(|word| fill_in(&mut row, columns_of(&columns, word)));
    let mut distance = hypothesis.len() as u64;
    for column in 0..reference.len() {
        distance += u64::from(is_greater(&row, column));
        distance -= u64::from(is_less(&row, column));
    }
    distance
}

/// Returns how many words both have in common at the beginning, and how many of the others at the end.
fn affixes<T: Eq>(one: &[T], other: &[T]) -> (usize, usize) {
    let is_same = |(one, other): &(&T, &T)| one == other;
    let prefix = one.iter().zip(other).take_while(is_same).count();
    let suffix = one[prefix..].iter().rev().zip(other[prefix..].iter().rev()).take_while(is_same).count();
    (prefix, suffix)
}

/// Returns the steps after the first words, whose number is the same in both texts.
fn between<T: Eq + Hash>(reference: &[T], hypothesis: &[T], first: usize) -> impl Iterator<Item = Step> {
    let columns = columns(&reference[first..]);
    let words: Vec<&Columns> = hypothesis[first..].iter().map(|word| columns_of(&columns, word)).collect();
    let mut row = first_row(reference.len() - first);
    let interval = interval(words.len(), row.len());
    let mut kept = vec![row.clone()];
    let mut chunks: Vec<&[&Columns]> = words.chunks(interval).collect();
    for words in chunks.iter().take(chunks.len().saturating_sub(1)) {
        words.iter().for_each(|columns| fill_in(&mut row, columns));
        kept.push(row.clone());
    }

    let mut back = Vec::new();
    let (mut reference_end, mut hypothesis_end) = (reference.len(), hypothesis.len());
    while let (Some(words), Some(row)) = (chunks.pop(), kept.pop()) {
        let width = row.len();
        let mut rows = row;
        rows.reserve(words.len() * width);
        for columns in words {
            let end = rows.len();
            rows.extend_from_within(end - width..);
            fill_in(&mut rows[end..], columns);
        }
        let row = |at: usize| &rows[at * width..(at + 1) * width];
        let top = first + chunks.len() * interval;
        while reference_end > first && hypothesis_end > top {
            let (reference_at, hypothesis_at) = (reference_end - 1, hypothesis_end - 1);
            let (above, row) = (row(hypothesis_at - top), row(hypothesis_end - top));
            // The order of these questions is that of `jiwer`.
            let step = if is_greater(row, reference_at - first) {
                Step::Deletion { reference: reference_at }
            } else if is_less(above, reference_at - first) {
                Step::Insertion { hypothesis: hypothesis_at }
            } else if reference[reference_at] == hypothesis[hypothesis_at] {
                Step::Hit { reference: reference_at, hypothesis: hypothesis_at }
            } else {
                Step::Substitution { reference: reference_at, hypothesis: hypothesis_at }
            };
            reference_end = step.reference().unwrap_or(reference_end);
            hypothesis_end = step.hypothesis().unwrap_or(hypothesis_end);
            back.push(step);
        }
    }
    back.extend((first..reference_end).rev().map(|reference| Step::Deletion { reference }));
    back.extend((first..hypothesis_end).rev().map(|hypothesis| Step::Insertion { hypothesis }));
    back.into_iter().rev()
}

/// Returns how many rows are filled in between two that are kept: about as many as are kept, or all of a small table.
fn interval(rows: usize, width: usize) -> usize {
    rows.isqrt().max(SMALL / width.max(1)).max(1)
}

/// Returns the columns of each word of the reference.
fn columns<T: Eq + Hash>(reference: &[T]) -> HashMap<&T, Vec<(usize, u64)>> {
    let mut all: HashMap<&T, Vec<(usize, u64)>> = HashMap::new();
    for (column, word) in reference.iter().enumerate() {
        let (block, bit) = (column / 64, 1 << (column % 64));
        let columns = all.entry(word).or_default();
        match columns.last_mut() {
            Some((last, bits)) if *last == block => *bits |= bit,
            _ => columns.push((block, bit)),
        }
    }
    all
}

fn columns_of<'c, T: Eq + Hash>(columns: &'c HashMap<&T, Vec<(usize, u64)>>, word: &T) -> &'c Columns {
    columns.get(word).map_or(&[], |columns| columns)
}

/// The distances of an empty hypothesis: each word of the reference adds one.
fn first_row(length: usize) -> Row {
    vec![Block { greater: u64::MAX, less: 0 }; length.div_ceil(64)]
}

/// Makes a row of the one above it, given the columns of the row's word.
fn fill_in(row: &mut [Block], columns: &Columns) {
    let mut columns = columns.iter().peekable();
    // Before the first column, each row is greater by one than the one above.
    let (mut carried_greater, mut carried_less) = (1, 0);
    for (at, block) in row.iter_mut().enumerate() {
        let same = columns.next_if(|(block, _)| *block == at).map_or(0, |(_, bits)| *bits);
        let Block { greater, less } = *block;
        let reached = same | carried_less;
        // The distance is that of the cell above and one column before.
        let equal = ((reached & greater).wrapping_add(greater) ^ greater) | reached | less;
        // Against the cell above.
        let (mut down_greater, mut down_less) = (less | !(equal | greater), equal & greater);
        let carry = (down_greater >> 63, down_less >> 63);
        down_greater = down_greater << 1 | carried_greater;
        down_less = down_less << 1 | carried_less;
        (carried_greater, carried_less) = carry;
        *block = Block { greater: down_less | !(equal | down_greater), less: down_greater & equal };
    }
}

fn is_greater(row: &[Block], column: usize) -> bool {
    row[column / 64].greater >> (column % 64) & 1 == 1
}

fn is_less(row: &[Block], column: usize) -> bool {
    row[column / 64].less >> (column % 64) & 1 == 1
}
