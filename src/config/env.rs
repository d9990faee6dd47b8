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
/// wrong with the file. A line is named, not quoted: it may hold a secret.
pub(super) fn environment() -> (Vec<(String, String)>, Vec<Problem>) {
    let (mut variables, mut problems) = (Vec::new(), Vec::new());
    match dotenvy::dotenv_iter() {
        Ok(lines) => {
            for (index, line) in lines.enumerate() {
                match line {
                    Ok(variable) => variables.push(variable),
                    Err(_) => problems.push(Problem::new(".env", format!("entry {} is not NAME=value", index + 1))),
                }
            }
        }
        Err(error) if error.not_found() => {}
        Err(_) => problems.push(Problem::new(".env", "cannot be read")),
    }
    // What is not Unicode cannot be one of our settings' values.
    let unicode = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    variables.extend(std::env::vars_os().filter_map(unicode));
    (variables, problems)
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
