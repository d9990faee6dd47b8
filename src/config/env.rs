//! The environment and the `.env` file, and the problems found in them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;

use super::settings::{self, Unset};

/// Something wrong with one setting. It names the variable and what is expected, never what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    name: String,
    text: String,
}

impl Problem {
    /// `text` goes on after the name.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.text)
    }
}

/// What a `.env` file in this folder or one above says and then what the environment says, which wins; and what is
/// wrong with the file.
pub(super) fn environment() -> (Vec<(String, String)>, Vec<Problem>) {
    let folder = std::env::current_dir().unwrap_or_default();
    let file = folder.ancestors().map(|folder| folder.join(".env")).find(|file| file.is_file());
    let (mut variables, problems) = match file.map(std::fs::read_to_string) {
        None => (Vec::new(), Vec::new()),
        Some(Ok(text)) => read_file(text.trim_start_matches('\u{feff}')),
        Some(Err(error)) => (Vec::new(), vec![Problem::new(".env", format!("cannot be read: {}", error.kind()))]),
    };
    // What is not Unicode cannot be one of our settings' values.
    let unicode = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    variables.extend(std::env::vars_os().filter_map(unicode));
    (variables, problems)
}

/// Stands for `$` while a file is read: `$NAME` would quietly be replaced, and a secret with a `$` be another one.
const DOLLAR: &str = "\u{e000}";

/// The entries of a `.env` file. What is wrong is told by the setting's name, never by its value: it may be a secret.
fn read_file(text: &str) -> (Vec<(String, String)>, Vec<Problem>) {
    let text = text.replace("\\$", DOLLAR).replace('$', DOLLAR);
    let (mut variables, mut problems) = (Vec::new(), Vec::new());
    for entry in dotenvy::from_read_iter(text.as_bytes()) {
        match entry {
            Ok((name, value)) => variables.push((name, value.replace(DOLLAR, "$"))),
            Err(dotenvy::Error::LineParse(part, _)) => problems.push(match setting_with(&text, &part) {
                Some(name) => Problem::new(".env", format!("{name}: expected its value between single quotes")),
                None => Problem::new(".env", "expected lines of the form NAME=value"),
            }),
            Err(_) => problems.push(Problem::new(".env", "cannot be read")),
        }
    }
    (variables, problems)
}

/// The setting whose line could not be read: told is the line, or its part behind the `=`, and what follows if a quote
/// is not closed.
fn setting_with(text: &str, part: &str) -> Option<&'static str> {
    let part = part.lines().next()?.trim();
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let name = name.trim().trim_start_matches("export").trim();
        let is_it = line.trim() == part || value.trim() == part;
        settings::SETTINGS.iter().map(|setting| setting.name).find(|setting| is_it && *setting == name)
    })
}

/// Variables, read by name. Each reading that fails notes its problem, so that all can be told at once.
pub(super) struct Env {
    variables: HashMap<String, String>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Env {
    /// Later variables win over earlier ones; blank ones count as not set.
    pub(super) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter().filter(|(_, value)| !value.trim().is_empty());
        Self { variables: variables.collect(), problems: Vec::new(), warnings: Vec::new() }
    }

    /// Whether the variable itself is set, whatever its default.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.variables.contains_key(settings::named(name).name)
    }

    /// The variable or its default, if `parse` takes it.
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

    /// The variable, if it is set and `parse` takes it. `None` is a problem, `Some(None)` is not set.
    pub(super) fn read_if_set<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        match self.is_set(name) {
            true => self.read(name, parse).map(Some),
            false => Some(None),
        }
    }

    /// Notes a problem that no single variable shows.
    pub(super) fn refuse(&mut self, name: &str, text: &str) {
        self.problems.push(Problem::new(settings::named(name).name, text));
    }

    /// Notes that settings fight each other, which is no reason not to start.
    pub(super) fn warn(&mut self, text: &str) {
        self.warnings.push(text.to_owned());
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// All problems, in the order of `--help`.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        let place = |problem: &Problem| settings::SETTINGS.iter().position(|setting| setting.name == problem.name);
        self.problems.sort_by_key(place);
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
