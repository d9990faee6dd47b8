//! Rows of CSV: <https://www.rfc-editor.org/rfc/rfc4180>. Knows nothing of what is in them.

use std::borrow::Cow;

/// How a cell begins that spreadsheets take for a formula, and run: <https://owasp.org/www-community/attacks/CSV_Injection>.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// After which a cell begins where a spreadsheet splits at something other than the comma.
const SPLITS: [char; 4] = [';', '\t', '\r', '\n'];

/// A cell of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<'c> {
    /// What this program writes: a number, a date, or one of its words. It stays as it is.
    Own(&'c str),
    /// What a person or a vendor has written. If it, or a part of it that a spreadsheet may split off, looks like a formula, an
    /// apostrophe goes before that, which spreadsheets take for the sign of a text.
    Foreign(&'c str),
}

/// Writes a row with its line end.
pub fn csv_row<'c>(cells: impl IntoIterator<Item = Cell<'c>>) -> String {
    let mut row = String::new();
    for (n, cell) in cells.into_iter().enumerate() {
        row += if n > 0 { "," } else { "" };
        let text = match cell {
            Cell::Own(text) => Cow::Borrowed(text),
            Cell::Foreign(text) => harmless(text),
        };
        if text.contains([',', '"', '\r', '\n']) {
            row.extend(["\"", &text.replace('"', "\"\""), "\""]);
        } else {
            row += &text;
        }
    }
    row + "\r\n"
}

/// Puts the apostrophes into a text.
fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(FORMULA) {
        return Cow::Borrowed(text);
    }
    let mut signed = String::with_capacity(text.len() + 1);
    let mut begins = false;
    for (at, c) in text.char_indices() {
        // Within a text, a tab or a line end is no formula, only what follows it.
        if FORMULA.contains(&c) && (at == 0 || begins && !SPLITS.contains(&c)) {
            signed.push('\'');
        }
        signed.push(c);
        // A quote after a split is that of the part.
        begins = SPLITS.contains(&c) || begins && c == '"';
    }
    Cow::Owned(signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_runs_nothing() {
        let cells = [
            Cell::Own("+14155551234"),
            Cell::Foreign("=1+1"),
            Cell::Foreign("\ta\"b"),
            Cell::Foreign("-1,\r\n2"),
            Cell::Foreign("＝1"),
            Cell::Foreign(" a"),
            Cell::Foreign("a;=1;b\n\n-2\r\n@3;\"+4"),
            Cell::Foreign("1-1=0; a-b\n\tc"),
            Cell::Own("a;=1"),
            Cell::Foreign(""),
        ];
        assert_eq!(
            csv_row(cells),
            "+14155551234,'=1+1,\"'\ta\"\"b\",\"'-1,\r\n2\",'＝1, a,\"a;'=1;b\n\n'-2\r\n'@3;\"\"'+4\",\"1-1=0; a-b\n\tc\",a;=1,\r\n"
        );
    }
}
