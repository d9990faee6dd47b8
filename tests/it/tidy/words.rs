//! Words that the project does not use, each with what to write instead. Found in any case, and across line ends.

use std::collections::BTreeMap;

/// `*` at an end stands for any letters; elsewhere a word ends where the entry does.
const BANNED: [(&str, &str); 52] = [
    ("whoever", "the caller, the client, the operator, another instance"),
    ("anew", "again"),
    ("so often", "this often"),
    ("so many", "this many"),
    ("so long", "this long; as long as"),
    ("says no", "returns false, refuses"),
    ("by itself", "automatically, alone"),
    ("is to be", "must be, should be"),
    ("are to be", "must be, should be"),
    ("was to be", "had to be"),
    ("is told", "gets, receives, is notified"),
    ("are told", "get, receive, are notified"),
    ("was told", "got, received, was notified"),
    ("were told", "got, received, were notified"),
    ("not be told", "not be notified; not be distinguished"),
    ("told of", "notified of"),
    ("tells of", "reports"),
    ("take in", "ingest, store, receive"),
    ("takes in", "ingests, stores, receives"),
    ("taken in", "ingested, stored, received"),
    ("took in", "ingested, stored, received"),
    ("goes on with", "continues with"),
    ("gone on with", "continued"),
    ("looked through", "searched"),
    ("looks through", "searches"),
    ("in hand", "leased"),
    ("asides", "answered slots"),
    ("under way", "running, in progress"),
    ("behind the start", "after the start"),
    ("of late", "recently"),
    ("*dialled", "dialed"),
    ("*dialling", "dialing"),
    ("*cancelled", "canceled"),
    ("*cancelling", "canceling"),
    ("*licence*", "license"),
    ("*recognis*", "recogniz-"),
    ("*behaviour*", "behavior"),
    ("*colour*", "color"),
    ("*organis*", "organiz-"),
    ("*authoris*", "authoriz-"),
    ("fold", "checkpoint"),
    ("folds", "checkpoints"),
    ("folded", "checkpointed"),
    ("folding", "checkpointing"),
    ("ahead of its user", "before the user asks"),
    ("ahead of the user", "before the user asks"),
    ("nobody knows whether", "it is unknown whether"),
    ("nobody knew whether", "it was unknown whether"),
    ("broke down", "panicked, had an internal error"),
    ("breaks down", "panics, has an internal error"),
    ("goes on by itself", "continues automatically"),
    ("who comes", "the client that comes"),
];

/// Names that are fixed elsewhere, and what is meant otherwise, with a part of the paths of the files that may use them.
const FIXED: [(&str, &str); 30] = [
    // A parameter of a query, a migration, a table, a column.
    ("", "dialled=before"),
    ("src/web/", "\"dialled\""),
    ("", "0003_dialling"),
    ("src/store/", "from dialling"),
    ("src/store/", "into dialling"),
    ("src/store/", "update dialling"),
    ("src/store/", "(\"dialling\""),
    ("tests/", "dialling"),
    ("tests/", "calls_dialled"),
    ("src/store/", "dialled_at"),
    ("tests/", "dialled_at"),
    // Plain English.
    ("", "told apart"),
    ("", "so long that"),
    // Tokio's names.
    ("", ".cancelled()"),
    ("", "is_cancelled()"),
    // An iterator's fold; letters, for a search; white space.
    ("", ".fold("),
    ("search", "fold"),
    ("facets", "fold"),
    ("keyterms", "fold"),
    ("src/model/", "folding"),
    ("folding", "fold"),
    ("tests/it/transcripts_kept", "'folding'"),
    ("migrations.rs", "folding"),
    ("src/store/contacts", "fold"),
    ("src/store/speakers", "fold"),
    ("tests/it/speakers", "folded_name"),
    ("src/store/calls", "fold"),
    ("src/store/deletion", "folded_title"),
    ("tests/it/items", "folded_title"),
    ("tests/it/store", "folded_title"),
];

/// What is found in a file, as `line: word`.
fn found(path: &str, text: &str) -> Vec<String> {
    let mut plain = text.to_lowercase();
    for (folder, name) in FIXED {
        if path.contains(folder) {
            plain = plain.replace(name, &"_".repeat(name.len()));
        }
    }
    let (plain, lines) = flow(&plain);
    let mut found = Vec::new();
    for (word, instead) in BANNED {
        let bare = word.trim_matches('*');
        let is_letter = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
        for (at, _) in plain.match_indices(bare) {
            let begins = word.starts_with('*') || !is_letter(plain[..at].chars().next_back());
            let ends = word.ends_with('*') || !is_letter(plain[at + bare.len()..].chars().next());
            if begins && ends {
                found.push(format!("{path}:{}: {bare}; write: {instead}", lines[at]));
            }
        }
    }
    found
}

/// The text with one space between words, over the ends of lines and the marks of comments; and the line of each byte.
fn flow(text: &str) -> (String, Vec<usize>) {
    let (mut plain, mut lines) = (String::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start().trim_start_matches(['/', '!', '#', '*']);
        for word in line.split_whitespace() {
            plain.push_str(word);
            plain.push(' ');
            lines.resize(plain.len(), number + 1);
        }
    }
    (plain, lines)
}

#[test]
fn words_of_other_houses_are_not_used() {
    let mut files = BTreeMap::new();
    for folder in ["src", "tests", ".ci", ".cargo"] {
        files.extend(super::files(folder).into_iter().map(|(file, text)| (format!("{folder}/{file}"), text)));
    }
    for file in ["README.md", "Cargo.toml", ".env.example"] {
        files.insert(file.to_owned(), super::file(file));
    }
    // Released, the vendors' own, and this list.
    let is_exempt = |file: &str| {
        ["src/store/migrations/", "tests/it/fixtures/", "tests/fuzz/", "tests/it/tidy/words.rs"]
            .iter()
            .any(|exempt| file.starts_with(exempt) && !file.starts_with("tests/fuzz/targets/"))
    };
    let found: Vec<String> =
        files.iter().filter(|(file, _)| !is_exempt(file)).flat_map(|(file, text)| found(file, text)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_word_is_found_in_any_case_across_lines_and_not_within_another() {
    let text = "//! Whoever dials\n//! is\n//! told.\nlet is_dialled = (); // unfold, folder, .fold(0)\n";
    let words: Vec<String> = found("src/a.rs", text);
    assert_eq!(words.len(), 3, "{words:#?}");
    assert!(words[0].starts_with("src/a.rs:1: whoever; write: the caller"), "{words:#?}");
    assert!(words[1].starts_with("src/a.rs:2: is told") && words[2].starts_with("src/a.rs:4: dialled"), "{words:#?}");
    for fixed in ["GET /calls?dialled=before", "migrations/0003_dialling.sql"] {
        assert!(found("README.md", fixed).is_empty(), "{fixed}");
    }
    assert!(found("src/store/calls.rs", "DELETE FROM dialling WHERE").is_empty());
    assert_eq!(found("src/web/calls.rs", "DELETE FROM dialling WHERE").len(), 1);
}
