//! Cases as rows of a file, for tests with many similar cases.
//!
//! A line is a row, tabs separate its cells, `#` starts a comment, and a cell `-` is empty. `\n \r \t \0 \\ \xHH \u{H}` are
//! escapes, `{{3*text}}` is the text three times, and the test replaces `{{name}}`.

use std::collections::HashMap;

/// The replacements of `{{name}}`.
pub(crate) type Names<'n> = HashMap<&'n str, String>;

/// One case.
pub(crate) struct Row<'r> {
    /// Its line in the file, for messages.
    line: usize,
    pub(crate) cells: Vec<&'r str>,
    names: &'r Names<'r>,
}

/// The cases of a file with this many columns.
pub(crate) fn rows<'r>(file: &'r str, columns: usize, names: &'r Names<'r>) -> impl Iterator<Item = Row<'r>> {
    let lines = file.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    lines.map(move |(at, line)| {
        let cells: Vec<&str> = line.split('\t').collect();
        assert_eq!(cells.len(), columns, "line {}: {line:.100}", at + 1);
        Row { line: at + 1, cells, names }
    })
}

impl Row<'_> {
    /// The case and its line, for messages.
    pub(crate) fn shown(&self) -> String {
        format!("line {}, {:.80}", self.line, self.cells[..2].join(": "))
    }

    pub(crate) fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, cell: usize) -> T {
        self.cells[cell].parse().unwrap_or_else(|error| panic!("{}: {error:?}", self.shown()))
    }

    pub(crate) fn bytes(&self, cell: usize) -> Vec<u8> {
        match self.cells[cell] {
            "-" => Vec::new(),
            cell => decode(cell, self.names),
        }
    }

    pub(crate) fn text(&self, cell: usize) -> String {
        String::from_utf8(self.bytes(cell)).unwrap_or_else(|_| panic!("{}: not UTF-8", self.shown()))
    }
}

pub(crate) fn decode(cell: &str, names: &Names<'_>) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = cell;
    while let Some(at) = rest.find(['\\', '{']) {
        decoded.extend(rest[..at].bytes());
        rest = &rest[at..];
        if let Some(braced) = rest.strip_prefix("{{") {
            let (inner, behind) = braced.split_once("}}").unwrap_or_else(|| panic!("{cell:.100}: {{{{ without }}}}"));
            match inner.split_once('*').and_then(|(times, text)| Some((times.parse().ok()?, text))) {
                Some((times, text)) => decoded.extend(decode(text, names).repeat(times)),
                None => {
                    let meant = names.get(inner).unwrap_or_else(|| panic!("{cell:.100}: nothing is called {inner}"));
                    decoded.extend(decode(meant, names));
                }
            }
            rest = behind;
        } else if rest.starts_with('{') {
            decoded.push(b'{');
            rest = &rest[1..];
        } else {
            rest = unescape(rest, &mut decoded);
        }
    }
    decoded.extend(rest.bytes());
    decoded
}

/// Decodes the escape at the start of the text. Returns what follows it.
fn unescape<'t>(text: &'t str, decoded: &mut Vec<u8>) -> &'t str {
    let hex = |digits| u32::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{text:.20}: no hex"));
    let length = match text.as_bytes()[1] {
        b'n' => (decoded.push(b'\n'), 2).1,
        b'r' => (decoded.push(b'\r'), 2).1,
        b't' => (decoded.push(b'\t'), 2).1,
        b'0' => (decoded.push(0), 2).1,
        b'\\' => (decoded.push(b'\\'), 2).1,
        b'x' => (decoded.push(u8::try_from(hex(&text[2..4])).expect("two digits")), 4).1,
        b'u' => {
            let end = text.find('}').unwrap_or_else(|| panic!("{text:.20}: no end"));
            let character = char::from_u32(hex(&text[3..end])).expect("a character");
            decoded.extend(character.to_string().bytes());
            end + 1
        }
        _ => panic!("{text:.20}: no such escape"),
    };
    &text[length..]
}

#[test]
fn a_cell_is_what_it_looks_like() {
    let names = Names::from([("name", "a{{2*b}}".to_owned())]);
    for (cell, decoded) in [
        ("plain {\"a\": {}}", &b"plain {\"a\": {}}"[..]),
        (r"\n\r\t\0\\n", b"\n\r\t\0\\n"),
        (r"\xff\x41\u{e9}\u{1f44b}", b"\xffA\xc3\xa9\xf0\x9f\x91\x8b"),
        (r"{{3*ab}}|{{0*x}}|{{2*\x00}}", b"ababab||\0\0"),
        ("<{{name}}>", b"<abb>"),
    ] {
        assert_eq!(decode(cell, &names), decoded, "{cell}");
    }
}
