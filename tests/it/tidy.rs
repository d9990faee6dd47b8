//! The rules of the house, held against its source: which way imports point and what stands in which room, as `lib.rs`
//! says; and which words are not used, and that released migrations stay as they are.

mod imports;
mod migrations;
mod source;
mod words;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use imports::{Crate, Uses, circles};
use source::{Token, tokens};

/// The rooms from top to bottom. Each may import itself and what it names here, which stands below it.
const ROOMS: [(&str, &str); 30] = [
    ("lib", ""),
    ("main", "app config failpoint send telemetry wer"),
    (
        "app",
        "auth clients clock config context events exposure metrics model pipeline repeats sandbox server spool store urls web webhook_secret",
    ),
    (
        "web",
        "accuracy auth clients clock context events export exposure metrics model pipeline server spool store token_bucket twiml urls webhook_secret",
    ),
    ("pipeline", "accuracy clients clock config context events failpoint model spool store urls webhook_secret"),
    (
        "context",
        "accuracy auth clients clock config events exposure metrics model repeats spool store urls webhook_secret",
    ),
    ("telemetry", "config"),
    ("wer", "accuracy clients config model"),
    ("send", "clients config"),
    ("config", "auth clients clock model store urls"),
    ("sandbox", "clients clock splitmix"),
    ("exposure", "auth clients clock repeats server urls"),
    ("auth", "token_bucket"),
    ("store", "accuracy clock failpoint metrics model"),
    ("spool", "model"),
    ("urls", "clients model"),
    ("server", "metrics repeats"),
    ("webhook_secret", "clients model"),
    ("token_bucket", ""),
    ("repeats", ""),
    ("clients", "metrics"),
    ("metrics", ""),
    ("export", "model"),
    ("twiml", ""),
    ("accuracy", "model splitmix"),
    ("model", "splitmix"),
    ("events", ""),
    ("clock", ""),
    ("failpoint", ""),
    ("splitmix", ""),
];

/// All that the sandbox may use of the clients.
const SIGNER: &str = "clients/twilio/signature.rs";

/// Names of packages and of the standard library, and the only places that may use them.
const CONFINED: [(&str, &[&str]); 11] = [
    ("rmcp", &["web/"]),
    ("sqlx", &["store/"]),
    ("sqlx_core", &["store/"]),
    ("rusqlite", &["store/"]),
    ("reqwest", &["clients/", "sandbox/"]),
    ("axum", &["web/", "sandbox/", "app", "server/"]),
    ("env", &["config/"]),
    ("env::temp_dir", &["app"]),
    ("env::args_os", &["main.rs"]),
    ("SystemTime", &["clock.rs"]),
    ("Timestamp::now", &["clock.rs"]),
];

/// How statements of SQL begin.
const SQL: [&str; 7] = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "PRAGMA ", "CREATE TABLE ", "BEGIN "];

/// The words of states. Elsewhere than in these rooms an enum is turned into its word, and never a word compared.
const STATES: [&str; 19] = [
    "queued",
    "initiated",
    "ringing",
    "in-progress",
    "completed",
    "busy",
    "no-answer",
    "failed",
    "canceled",
    "lost",
    "dialing",
    "waiting",
    "uploaded",
    "processing",
    "paused",
    "stopped",
    "absent",
    "deleted",
    "open",
];
const ROOMS_OF_STATES: [&str; 4] = ["store/", "model/", "clients/", "sandbox/"];

/// The only places that know whether the vendors are the sandbox.
const ROOMS_OF_SANDBOX: [&str; 5] = ["lib.rs", "main.rs", "app", "config/", "sandbox/"];

/// A file of the repository.
fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("a file of the repository")
}

/// All texts below a folder of the repository, by their paths in it.
fn files(folder: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let name = path.strip_prefix(&root).expect("below the folder").to_str().expect("UTF-8");
                found.insert(name.to_owned(), text);
            }
        }
    }
    found
}

/// The room that a file of the source belongs to.
fn room(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap_or_default()
}

/// Every use that does not point the way that [`ROOMS`] says.
fn wrong_ways(uses: &Uses) -> Vec<String> {
    let mut wrong = Vec::new();
    for (file, used) in uses {
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room(file)) else {
            wrong.push(format!("{file} is in a room that has no place in ROOMS"));
            continue;
        };
        for other in used.iter().filter(|other| room(other) != room(file)) {
            let is_allowed = allowed.split(' ').any(|name| name == room(other));
            let is_own_reading = room(file) == "sandbox" && room(other) == "clients" && other != SIGNER;
            if !is_allowed || is_own_reading {
                wrong.push(format!("{file} uses {other}"));
            }
        }
    }
    wrong
}

/// What stands in a file that belongs elsewhere, as `line: what`.
fn misplaced(file: &str, source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    let is_in = |places: &[&str]| places.iter().any(|place| file.starts_with(place));
    for (at, token) in tokens.iter().enumerate() {
        for (name, places) in CONFINED {
            let is_exempt = |(longer, places): &(&str, &[&str])| {
                longer.starts_with(name) && *longer != name && names(&tokens[at..], longer) && is_in(places)
            };
            let is_macro = tokens.get(at + 1).is_some_and(|next| next.is("!"));
            if names(&tokens[at..], name) && !is_macro && !is_in(places) && !CONFINED.iter().any(is_exempt) {
                found.push(format!("{file}:{}: {name}", token.line));
            }
        }
        let is_of_sandbox = token.word().is_some_and(|word| word.to_lowercase().contains("sandbox"));
        if is_of_sandbox && !is_in(&ROOMS_OF_SANDBOX) {
            found.push(format!("{file}:{}: the sandbox", token.line));
        }
        let Some(text) = token.text() else { continue };
        if SQL.iter().any(|begin| text.trim_start_matches(['\\', 'n', ' ']).starts_with(begin)) && !is_in(&["store/"]) {
            found.push(format!("{file}:{}: SQL", token.line));
        }
        if STATES.contains(&text) && is_compared(&tokens, at) && !is_in(&ROOMS_OF_STATES) {
            found.push(format!("{file}:{}: \"{text}\", a state as a text", token.line));
        }
    }
    found
}

/// Whether the text here is compared, or a pattern.
fn is_compared(tokens: &[Token], at: usize) -> bool {
    let is = |at: Option<usize>, mark| at.and_then(|at| tokens.get(at)).is_some_and(|token| token.is(mark));
    let (before, after) = (at.checked_sub(1), at + 1);
    let closing = tokens[after..].iter().take_while(|token| token.is(")") || token.is("]")).count();
    let behind = after + closing;
    // `== "…"`, `!= "…"` and the other way round; `=> "…"` makes a text.
    let equals = |at: Option<usize>| {
        is(at, "=") && (is(at.and_then(|at| at.checked_sub(1)), "=") || is(at.and_then(|at| at.checked_sub(1)), "!"))
    };
    equals(before)
        || equals(Some(after + 1))
        || is(before, "|")
        || is(Some(after), "|")
        || is(Some(behind), "=") && is(Some(behind + 1), ">")
        || tokens.get(behind + 1).and_then(Token::word) == Some("contains")
}

/// Whether these tokens begin with a path, and are not the end of a longer one.
fn names(tokens: &[Token], path: &str) -> bool {
    let mut tokens = tokens.iter();
    path.split("::").enumerate().all(|(at, name)| {
        (at == 0 || tokens.next().is_some_and(|token| token.is("::")))
            && tokens.next().and_then(Token::word).is_some_and(|word| word == name)
    })
}

#[test]
fn imports_point_one_way() {
    let uses = Crate::read("callscribe", &files("src")).uses();
    assert!(uses.len() > 50, "the source is read");
    let is_there = |name: &str| uses.keys().any(|file| room(file) == name);
    assert!(ROOMS.iter().all(|(name, _)| is_there(name)), "each room of ROOMS is in src");
    let wrong = wrong_ways(&uses);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_room_names_only_rooms_below_it() {
    for (at, (name, allowed)) in ROOMS.iter().enumerate() {
        let mut allowed = allowed.split_whitespace();
        let is_below = |other: &str| ROOMS[at + 1..].iter().any(|(below, _)| *below == other);
        assert!(allowed.all(is_below), "{name}");
    }
}

#[test]
fn no_file_uses_another_that_uses_it() {
    let uses = Crate::read("callscribe", &files("src")).uses();
    let inner = |circle: &Vec<String>| {
        let edges = circle.iter().flat_map(|file| uses[file].iter().map(move |used| (file, used)));
        let edges = edges.filter(|(_, used)| circle.contains(used));
        edges.map(|(file, used)| format!("{file} uses {used}\n")).collect::<Vec<_>>()
    };
    let found: Vec<String> = circles(&uses).iter().flat_map(inner).collect();
    assert!(found.is_empty(), "files that use each other:\n{}", found.join(""));
}

#[test]
fn each_thing_stands_in_its_room() {
    let files = files("src");
    let read = Crate::read("callscribe", &files);
    let found: Vec<String> = read.files().into_iter().flat_map(|file| misplaced(file, &files[file])).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A crate of these files.
fn made_up(files: &[(&str, &str)]) -> Uses {
    let files = files.iter().map(|(file, source)| (file.to_string(), source.to_string())).collect();
    Crate::read("callscribe", &files).uses()
}

#[test]
fn a_use_that_points_up_is_found() {
    let uses = made_up(&[
        ("main.rs", "use callscribe::app::App;"),
        ("lib.rs", "pub mod app; pub mod web; pub mod store; pub mod clients; pub mod sandbox; mod cellar;"),
        ("app.rs", "pub struct App; fn start() { crate::web::router() }"),
        ("web/mod.rs", "pub fn router() {} fn read(conn: crate::store::Conn) {}"),
        ("store.rs", "pub struct Conn; fn up() { crate::app::App; }"),
        ("clients/mod.rs", "pub mod twilio;"),
        ("clients/twilio/mod.rs", "pub mod signature; pub struct Call;"),
        ("clients/twilio/signature.rs", "pub fn sign() {}"),
        ("sandbox.rs", "use crate::clients::twilio::{signature::sign, Call};"),
        ("cellar.rs", ""),
    ]);
    let wrong = [
        "cellar.rs is in a room that has no place in ROOMS",
        "sandbox.rs uses clients/twilio/mod.rs",
        "store.rs uses app.rs",
    ];
    assert_eq!(wrong_ways(&uses), wrong);
}

#[test]
fn a_circle_is_found_however_it_is_spelled() {
    let root = ("lib.rs", "mod a; mod b;");
    let circle = vec![vec!["a.rs".to_owned(), "b.rs".to_owned()]];
    for (a, b) in [
        ("use crate::b::B; pub struct A;", "use crate::a::A; pub struct B;"),
        ("pub struct A; fn f() { crate::b::f() }", "use super::a::{self, A as Other}; pub fn f() { a::A; }"),
        (
            "pub struct A; mod inner { use super::super::b; fn f() -> b::B {} }",
            "pub enum B {} use crate::{a::*}; fn g(a: A) {}",
        ),
        ("pub fn a() {} use crate::b::made;", "pub(crate) use crate::a::a as other; fn made() { other() }"),
    ] {
        assert_eq!(circles(&made_up(&[root, ("a.rs", a), ("b.rs", b)])), circle, "{a} | {b}");
    }
    for (a, b) in [
        ("use crate::b::B;", "pub struct B;"),
        ("use crate::b::B; pub struct A;", "// crate::a::A\npub struct B; #[cfg(test)] mod tests { use crate::a::A; }"),
        // Passed on, and not used.
        ("pub use crate::b::B; pub struct A;", "use crate::a::A; pub struct B;"),
        ("use crate::b; pub struct A;", "use crate::a::A; pub struct B;"),
    ] {
        assert!(circles(&made_up(&[root, ("a.rs", a), ("b.rs", b)])).is_empty(), "{a} | {b}");
    }
}

#[test]
fn a_parent_may_declare_its_children_and_use_none_that_uses_it() {
    let tree = |parent, child| {
        let files = [("lib.rs", "mod room; mod far;"), ("room/mod.rs", parent), ("room/child.rs", child)];
        circles(&made_up(&[&files[..], &[("far.rs", "use crate::room::Made;")]].concat()))
    };
    let child = "use super::Base; pub struct Made;";
    assert!(tree("mod child; pub use child::Made; pub struct Base;", child).is_empty());
    assert!(tree("mod child; use child::Made; pub struct Base;", child).is_empty(), "in scope for other children");
    assert_eq!(tree("mod child; pub use child::Made; pub struct Base(Made);", child).len(), 1);
    assert_eq!(tree("mod child; pub struct Base; fn f() { child::Made; }", child).len(), 1);
    assert!(tree("mod child; fn f() { child::Made; }", "pub struct Made;").is_empty());
    // A re-export is followed to where the item is defined.
    let files = [("lib.rs", "mod a; mod b; mod c;"), ("a.rs", "pub use crate::c::C;"), ("b.rs", "use crate::a::C;")];
    let uses = made_up(&[&files[..], &[("c.rs", "pub struct C;")]].concat());
    assert_eq!(uses["b.rs"].iter().collect::<Vec<_>>(), ["c.rs"]);
}

#[test]
fn what_is_misplaced_is_found() {
    for (file, source, expected) in [
        ("web/a.rs", "use sqlx::Row;", Some("web/a.rs:1: sqlx")),
        ("web/a.rs", "\nfn f() { reqwest::get() }", Some("web/a.rs:2: reqwest")),
        ("clients/a.rs", "use axum::Router;", Some("clients/a.rs:1: axum")),
        ("web/a.rs", "std::env::var(\"PORT\")", Some("web/a.rs:1: env")),
        ("web/a.rs", "std::env::temp_dir()", Some("web/a.rs:1: env")),
        ("web/a.rs", "use std::{env, fs};", Some("web/a.rs:1: env")),
        ("web/a.rs", "env!(\"CARGO_PKG_VERSION\")", None),
        ("app/scratch.rs", "std::env::temp_dir()", None),
        ("config/a.rs", "std::env::vars()", None),
        ("web/a.rs", "jiff::Timestamp::now()", Some("web/a.rs:1: Timestamp::now")),
        ("web/a.rs", "std::time::SystemTime::now()", Some("web/a.rs:1: SystemTime")),
        ("web/a.rs", "\"SELECT sid FROM calls\"", Some("web/a.rs:1: SQL")),
        ("store/a.rs", "\"SELECT sid FROM calls\"", None),
        ("web/a.rs", "state == \"completed\"", Some("web/a.rs:1: \"completed\", a state as a text")),
        ("web/a.rs", "match s { \"busy\" => 1, _ => 2 }", Some("web/a.rs:1: \"busy\", a state as a text")),
        ("web/a.rs", "Some(\"open\") => 1", Some("web/a.rs:1: \"open\", a state as a text")),
        ("web/a.rs", "matches!(s, \"lost\" | Other)", Some("web/a.rs:1: \"lost\", a state as a text")),
        ("web/a.rs", "[\"lost\"].contains(&s)", Some("web/a.rs:1: \"lost\", a state as a text")),
        ("web/a.rs", "tracing::info!(call, \"deleted\"); problem(\"deleted\", it)", None),
        ("web/a.rs", "match s { State::Busy => \"busy\", _ => \"other\" }", None),
        ("web/a.rs", "if is_sandbox {}", Some("web/a.rs:1: the sandbox")),
        ("web/a.rs", "// sqlx, \"completed\"\n#[cfg(test)] mod tests { use sqlx::Row; }", None),
    ] {
        assert_eq!(misplaced(file, source).first().map(String::as_str), expected, "{source}");
    }
}
