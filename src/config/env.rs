//! The environment and the `.env` file, and the problems found in them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;

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

/// Returns the variables of a `.env` file in this folder or one above, then those of the environment, which win, and the
/// problems of the file.
pub(super) fn environment() -> (Vec<(String, String)>, Vec<Problem>) {
    let folder = std::env::current_dir().unwrap_or_default();
    let file = folder.ancestors().map(|folder| folder.join(".env")).find(|file| file.is_file());
    let (mut variables, problems) = match file.map(std::fs::read_to_string) {
        None => (Vec::new(), Vec::new()),
        Some(Ok(text)) => read_file(text.trim_start_matches('\u{feff}')),
        Some(Err(error)) => (Vec::new(), vec![Problem::new(".env", format!("cannot be read: {}", error.kind()))]),
    };
    // No setting has a value that is not Unicode.
    let unicode = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    variables.extend(std::env::vars_os().filter_map(unicode));
    (variables, problems)
}

/// Replaces `$` while dotenvy reads a file. Otherwise dotenvy would substitute `$NAME` and silently change a secret with a `$`.
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
