//! Rows of CSV: <https://www.rfc-editor.org/rfc/rfc4180>. Knows nothing of what is in them.

/// How a cell begins that spreadsheets take for a formula, and run: <https://owasp.org/www-community/attacks/CSV_Injection>.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// A cell of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<'c> {
    /// What this program writes: a number, a date, or one of its words. It stays as it is.
    Own(&'c str),
    /// What a person or a vendor has written. If it looks like a formula, an apostrophe goes before it, which spreadsheets
    /// take for the sign of a text.
    Foreign(&'c str),
}

/// Writes a row with its line end.
pub fn csv_row<'c>(cells: impl IntoIterator<Item = Cell<'c>>) -> String {
    let mut row = String::new();
    for (n, cell) in cells.into_iter().enumerate() {
        row += if n > 0 { "," } else { "" };
        let (sign, text) = match cell {
            Cell::Foreign(text) if text.starts_with(FORMULA) => ("'", text),
            Cell::Own(text) | Cell::Foreign(text) => ("", text),
        };
        if text.contains([',', '"', '\r', '\n']) {
            row.extend(["\"", sign, &text.replace('"', "\"\""), "\""]);
        } else {
            row.extend([sign, text]);
        }
    }
    row + "\r\n"
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
            Cell::Foreign(""),
        ];
        assert_eq!(csv_row(cells), "+14155551234,'=1+1,\"'\ta\"\"b\",\"'-1,\r\n2\",'＝1, a,\r\n");
    }
}
