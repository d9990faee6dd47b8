//! The environment and the `.env` file, and the problems found in them.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use secrecy::SecretString;

use super::settings::{self, Unset};

/// A problem with one setting. Names the variable and what is expected, never the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    name: String,
    text: String,
}

impl Problem {
    /// `text` continues after the name and a colon.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.text)
    }
}

/// What the environment and a `.env` file say.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Those of the environment come last, and win.
    pub(super) variables: Vec<(String, String)>,
    pub(super) problems: Vec<Problem>,
    /// The files that were not read.
    pub(super) ignored: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

/// Reads the environment and the nearest `.env` file in this folder or one above that only its owner could write.
pub(super) fn environment() -> Found {
    let mut found = Found::default();
    let folder = std::env::current_dir().unwrap_or_default();
    for path in folder.ancestors().map(|folder| folder.join(".env")) {
        match own_text(&path) {
            Ok((text, is_private)) => {
                (found.variables, found.problems) = read_file(text.trim_start_matches('\u{feff}'));
                if !is_private {
                    let path = path.display();
                    found.warnings.push(format!("other users can read the settings: chmod 600 {path}"));
                }
                break;
            }
            Err(NotRead::NoFile) => {}
            Err(NotRead::NotOurs(why)) => found.ignored.push(Problem::new(path.display().to_string(), why)),
            Err(NotRead::Failed(error)) => {
                found.problems.push(Problem::new(".env", format!("cannot be read: {}", error.kind())));
                break;
            }
        }
    }
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => found.variables.push((name, value)),
            Err(_) if settings::SETTINGS.iter().any(|setting| setting.name == name) => {
                found.problems.push(Problem::new(name, "expected UTF-8"));
            }
            Err(_) => {}
        }
    }
    found
}

/// The `OPERATOR_TOKEN` of the environment, or with `is_here` else of the `.env` file, for a command that is a client of the
/// program.
pub fn operator_token(is_here: bool) -> Option<SecretString> {
    const NAME: &str = "OPERATOR_TOKEN";
    let of_file = || {
        let variables = environment().variables;
        variables.into_iter().rev().find(|(name, _)| name == NAME).map(|(_, value)| value)
    };
    let token = std::env::var(NAME).ok().or_else(|| is_here.then(of_file).flatten());
    token.filter(|token| !token.trim().is_empty()).map(SecretString::from)
}

/// Why a `.env` file was not read.
enum NotRead {
    NoFile,
    /// Another user could have written it, and would choose who receives the credentials.
    NotOurs(&'static str),
    Failed(io::Error),
}

/// Returns the text of a file that belongs to this user or to root, and whether it is hidden from other users as far as
/// this user can tell.
fn own_text(path: &Path) -> Result<(String, bool), NotRead> {
    const OTHERS: &str = "belongs to another user, so it is not read";
    let user = rustix::process::geteuid().as_raw();
    let is_trusted = |about: &Metadata| about.uid() == user || about.uid() == 0;
    // A link of another user would choose among the files of this one.
    let link = std::fs::symlink_metadata(path).map_err(|_| NotRead::NoFile)?;
    if !is_trusted(&link) {
        return Err(NotRead::NotOurs(OTHERS));
    }
    if !path.is_file() {
        return Err(NotRead::NoFile);
    }
    let mut file = File::open(path).map_err(NotRead::Failed)?;
    let about = file.metadata().map_err(NotRead::Failed)?;
    if !is_trusted(&about) {
        return Err(NotRead::NotOurs(OTHERS));
    }
    if about.mode() & 0o002 != 0 {
        return Err(NotRead::NotOurs("can be changed by every user, so it is not read; chmod 600 it"));
    }
    // Where users have a group of their own, which has their number, new files can often be changed by it.
    if about.mode() & 0o020 != 0 && about.gid() != about.uid() {
        return Err(NotRead::NotOurs("can be changed by other users of its group, so it is not read; chmod 600 it"));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(NotRead::Failed)?;
    Ok((text, about.uid() != user || about.mode() & 0o077 == 0))
}

/// Replaces `$` while dotenvy reads a file. Otherwise dotenvy would substitute `$NAME` and silently change a secret with a
/// `$`.
const DOLLAR: &str = "\u{e000}";

/// Parses a `.env` file.
fn read_file(text: &str) -> (Vec<(String, String)>, Vec<Problem>) {
    let text = text.replace("\\$", DOLLAR).replace('$', DOLLAR);
    let (mut variables, mut problems) = (Vec::new(), Vec::new());
    for entry in dotenvy::from_read_iter(text.as_bytes()) {
        match entry {
            Ok((name, value)) => variables.push((name, value.replace(DOLLAR, "$"))),
            Err(dotenvy::Error::LineParse(part, _)) => problems.push(match setting_with(&text, &part) {
                Some(name) => Problem::new(".env", format!("{name}: expected single quotes around its value")),
                None => Problem::new(".env", "expected lines of the form NAME=value"),
            }),
            Err(_) => problems.push(Problem::new(".env", "cannot be read")),
        }
    }
    (variables, problems)
}

/// Returns the setting whose line could not be parsed. `part` starts with the line or with its value, and goes on to the next
/// lines if a quote is not closed.
fn setting_with(text: &str, part: &str) -> Option<&'static str> {
    let part = part.lines().next()?.trim();
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let name = name.trim().trim_start_matches("export").trim();
        let matches = line.trim() == part || value.trim() == part;
        settings::SETTINGS.iter().map(|setting| setting.name).find(|setting| matches && *setting == name)
    })
}

/// Variables, read by name. Collects the problems, so that all are reported at once.
pub(super) struct Env {
    variables: HashMap<String, String>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Env {
    /// Later variables win over earlier ones. Blank ones count as not set.
    pub(super) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter().filter(|(_, value)| !value.trim().is_empty());
        Self { variables: variables.collect(), problems: Vec::new(), warnings: Vec::new() }
    }

    /// Returns a problem for each variable that is no setting but resembles one, by name.
    pub(super) fn misspelled(&self) -> Vec<Problem> {
        let resembling = |name: &String| {
            let setting = settings::resembling(name)?;
            Some(Problem::new(name, format!("not a setting, so it is ignored; did you mean {setting}?")))
        };
        let mut problems: Vec<Problem> = self.variables.keys().filter_map(resembling).collect();
        problems.sort_by(|one, other| one.name.cmp(&other.name));
        problems
    }

    /// Returns `true` if the variable itself is set, not only its default.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.variables.contains_key(settings::named(name).name)
    }

    /// Parses the variable or its default.
    pub(super) fn read<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let setting = settings::named(name);
        let text = match (self.variables.get(name), &setting.default) {
            (Some(value), _) => value.trim(),
            (None, Unset::Value(value)) => value,
            (None, _) => {
                self.problems.push(Problem::new(name, format!("missing; expected {}", setting.meaning)));
                return None;
            }
        };
        parse(text).map_err(|problem| self.problems.push(Problem::new(name, problem))).ok()
    }

    /// Parses the variable if it is set. Returns `None` for a problem and `Some(None)` for a variable that is not set.
    pub(super) fn read_if_set<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        if self.is_set(name) { self.read(name, parse).map(Some) } else { Some(None) }
    }

    /// Adds a problem between several variables.
    pub(super) fn refuse(&mut self, name: &str, text: &str) {
        self.problems.push(Problem::new(settings::named(name).name, text));
    }

    /// Adds a warning about settings that contradict each other.
    pub(super) fn warn(&mut self, text: &str) {
        self.warnings.push(text.to_owned());
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// Returns the problems in the order of `--help`.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        let position = |problem: &Problem| settings::SETTINGS.iter().position(|setting| setting.name == problem.name);
        self.problems.sort_by_key(position);
        self.problems
    }

    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dollar_in_a_file_is_a_dollar() {
        let (variables, problems) = read_file("A=x\nB=a$A\nC=\"costs \\$5, ${A}\"\nD='$A'\n");
        assert_eq!(problems, []);
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(variables, [("A", "x"), ("B", "a$A"), ("C", "costs $5, ${A}"), ("D", "$A")]);
    }
}
