//! The dependencies: their source, their licenses, and no version with a known vulnerability.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

use serde_json::Value;

/// Licenses that require no more than a notice.
const LICENSES: [&str; 9] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// Minimum versions: older ones have published vulnerabilities. Not all of these packages are used today.
const MINIMUMS: [(&str, [u64; 3]); 11] = [
    ("aws-lc-sys", [0, 39, 0]),
    ("bytes", [1, 11, 1]),
    ("h2", [0, 4, 16]),
    ("libsqlite3-sys", [0, 40, 0]),
    ("quick-xml", [0, 41, 0]),
    ("ring", [0, 17, 12]),
    ("rustls-webpki", [0, 103, 13]),
    ("sqlx", [0, 8, 1]),
    ("time", [0, 3, 47]),
    ("tokio", [1, 44, 2]),
    ("tracing-subscriber", [0, 3, 20]),
];

/// The SQLite that has the fixes of CVE-2026-11822 and CVE-2026-11824.
const SQLITE: [u64; 3] = [3, 53, 2];

/// TLS libraries of the system. callscribe uses rustls alone.
const BANNED: [&str; 3] = ["native-tls", "openssl", "openssl-sys"];

/// The stack that callscribe is built on. Every other dependency needs a reason beside it in Cargo.toml.
const STACK: [&str; 10] = [
    "axum",
    "dotenvy",
    "quick-xml",
    "reqwest",
    "serde",
    "serde_json",
    "tokio",
    "tower-http",
    "tracing",
    "tracing-subscriber",
];

/// Reads a file of the repository.
fn file(name: &str) -> String {
    fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a file of the repository")
}

/// Every package of Cargo.lock, as its fields.
fn locked() -> Vec<HashMap<String, String>> {
    let lock = file("Cargo.lock");
    let fields = |package: &str| {
        let pairs = package.lines().filter_map(|line| line.split_once(" = "));
        pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
    };
    lock.split("[[package]]").skip(1).map(fields).collect()
}

/// The three numbers of a version. A suffix after `-` or `+` is ignored.
fn version(text: &str) -> [u64; 3] {
    let numbers: Vec<u64> = text.split(['-', '+']).next().unwrap_or_default().split('.').flat_map(str::parse).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("{text} is not a version"))
}

/// The lines of a table of Cargo.toml.
fn table(name: &str) -> Vec<String> {
    let manifest = file("Cargo.toml");
    let lines = manifest.lines().skip_while(|line| *line != format!("[{name}]")).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.trim().is_empty());
    lines.map(str::to_owned).collect()
}

#[test]
fn every_package_comes_from_crates_io() {
    let packages = locked();
    assert!(packages.len() > 100, "only {} packages in Cargo.lock", packages.len());
    for package in packages.iter().filter(|package| package["name"] != "callscribe") {
        let source = package.get("source").map(String::as_str);
        assert_eq!(source, Some("registry+https://github.com/rust-lang/crates.io-index"), "{package:?}");
        assert_eq!(package.get("checksum").map(String::len), Some(64), "{package:?}");
    }
}

#[test]
fn no_package_is_older_than_the_fix_of_its_known_vulnerabilities() {
    let packages = locked();
    for (name, least) in MINIMUMS {
        for package in packages.iter().filter(|package| package["name"] == name) {
            assert!(version(&package["version"]) >= least, "{name} {} is older than {least:?}", package["version"]);
        }
    }
    assert!(version("0.103.9") < version("0.103.13") && version("1.0.0-rc.1+x") == [1, 0, 0]);
}

#[test]
fn each_http_and_tls_package_is_there_in_one_version() {
    let packages = locked();
    for name in ["axum", "hyper", "reqwest", "rustls", "rustls-webpki", "tokio"] {
        let versions: Vec<&String> =
            packages.iter().filter(|package| package["name"] == name).map(|package| &package["version"]).collect();
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
}

#[test]
fn no_package_brings_a_second_tls_library() {
    let packages = locked();
    for name in BANNED {
        assert!(packages.iter().all(|package| package["name"] != name), "{name} is in Cargo.lock");
    }
}

#[test]
fn cargo_deny_has_the_same_lists() {
    let config = file(".cargo/deny.toml");
    let allowed = config.split_once("\nallow = [").and_then(|(_, rest)| rest.split_once(']')).expect("a list").0;
    let allowed: Vec<&str> =
        allowed.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\",")).collect();
    assert_eq!(allowed, LICENSES);
    let banned: Vec<&str> =
        config.lines().filter_map(|line| line.trim().strip_prefix("{ crate = \"")?.split('"').next()).collect();
    assert_eq!(banned, BANNED);
    for line in ["unknown-registry = \"deny\"", "unknown-git = \"deny\""] {
        assert!(config.lines().any(|other| other == line), "{line}");
    }
}

#[test]
fn every_package_has_a_license_that_requires_a_notice_at_most() {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc").stdout;
    let rustc = String::from_utf8(rustc).expect("UTF-8");
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    // Packages for other platforms are not downloaded, so their licenses cannot be read.
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    assert!(packages.len() > 100, "{} packages", packages.len());
    for package in packages {
        let license = package["license"].as_str().unwrap_or_default();
        assert!(is_allowed(license), "{} {} is under {license:?}", package["name"], package["version"]);
    }
}

#[test]
fn the_sqlite_that_runs_has_the_fixes_of_its_known_vulnerabilities() {
    assert!(version(rusqlite::version()) >= SQLITE, "SQLite {} is older than {SQLITE:?}", rusqlite::version());
    // sqlx's driver would bring one that is older.
    assert!(locked().iter().all(|package| package["name"] != "sqlx-sqlite"));
}

/// Returns `true` if the SPDX expression permits use of the package under [`LICENSES`] alone.
fn is_allowed(expression: &str) -> bool {
    // A slash is the old spelling of OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    any(&mut words) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

/// Reads alternatives joined by OR, which binds weaker than AND.
fn any(words: &mut Words<'_>) -> bool {
    let mut allowed = all(words);
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all(words);
    }
    allowed
}

fn all(words: &mut Words<'_>) -> bool {
    let mut allowed = one(words);
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(words);
    }
    allowed
}

fn one(words: &mut Words<'_>) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let allowed = any(words);
        return words.next() == Some(")") && allowed;
    }
    let mut license = words.next().unwrap_or_default().to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        license += &format!(" WITH {}", words.next().unwrap_or_default());
    }
    LICENSES.contains(&license.as_str())
}

#[test]
fn license_expressions_are_read_correctly() {
    for allowed in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "GPL-3.0 AND MIT OR ISC",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(is_allowed(allowed), "{allowed}");
    }
    for refused in ["", "GPL-3.0", "MIT AND GPL-3.0", "OR MIT", "(MIT", "MIT MIT", "GPL-3.0 WITH GCC-exception-3.1"] {
        assert!(!is_allowed(refused), "{refused}");
    }
}

#[test]
fn every_dependency_beyond_the_stack_has_its_reason_beside_it() {
    let lines = [table("dependencies"), table("dev-dependencies")].concat();
    let dependencies = lines.iter().filter(|line| !line.starts_with('#'));
    let named: Vec<(&str, &str)> = dependencies.filter_map(|line| line.split_once(" = ")).collect();
    assert!(STACK.iter().all(|package| named.iter().any(|(name, _)| name == package)), "{named:?}");
    for (name, rest) in named.iter().filter(|(name, _)| !STACK.contains(name)) {
        let reason = rest.split_once(" # ").map_or("", |(_, reason)| reason.trim());
        assert!(!reason.is_empty(), "{name} has no reason beside it");
    }
}

#[test]
fn unsafe_code_is_forbidden() {
    assert!(table("lints.rust").contains(&"unsafe_code = \"forbid\"".to_owned()));
}
