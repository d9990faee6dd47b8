//! Runs one statement on a connection to SQLite, with its arguments, and takes its rows.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Statement};

/// How many prepared statements a connection caches: more than the program has.
pub(super) const CACHED: usize = 256;

/// Whether SQLite plans a prepared statement once. Otherwise it parses and plans many of them again each time that another value
/// is bound, for a `LIMIT` for example. That takes longer than to run them.
pub(super) const KEEPS_PLANS: bool = true;

/// What is known of the statements that have run on a connection.
#[derive(Debug, Default)]
pub(super) struct Statements {
    /// By address and length of the statement's text, which is `'static`: cheaper than hashing the text.
    known: HashMap<(usize, usize), StatementInfo>,
}

/// What stays the same each time a statement runs.
#[derive(Debug)]
struct StatementInfo {
    /// For each of SQLite's parameters, the number in its name: `$2` is a name to SQLite, which counts parameters in the
    /// order of their first use.
    parameters: Arc<[usize]>,
    columns: Arc<[String]>,
}

/// A row that a statement returned.
#[derive(Debug)]
pub(in crate::store) struct SqliteRow {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl Statements {
    /// Runs a statement and returns its rows.
    pub(super) fn run<'v>(
        &mut self,
        connection: &Connection,
        sql: &'static str,
        values: impl IntoIterator<Item = ValueRef<'v>>,
    ) -> rusqlite::Result<Vec<SqliteRow>> {
        let mut statement = connection.prepare_cached(sql)?;
        let address = (sql.as_ptr() as usize, sql.len());
        let StatementInfo { parameters, columns } =
            self.known.entry(address).or_insert_with(|| StatementInfo::of(&statement));
        let values: Vec<ValueRef<'v>> = values.into_iter().collect();
        for (index, number) in (1..).zip(parameters.iter()) {
            let value = number.checked_sub(1).and_then(|number| values.get(number));
            let value = value.ok_or(rusqlite::Error::InvalidParameterCount(index, values.len()))?;
            statement.raw_bind_parameter(index, ToSqlOutput::Borrowed(*value))?;
        }
        let mut rows: Vec<SqliteRow> = Vec::new();
        let mut found = statement.raw_query();
        while let Some(row) = found.next()? {
            let values = (0..columns.len()).map(|column| row.get::<_, Value>(column)).collect::<Result<_, _>>()?;
            rows.push(SqliteRow { columns: Arc::clone(columns), values });
        }
        Ok(rows)
    }
}

impl StatementInfo {
    fn of(statement: &Statement<'_>) -> Self {
        let number = |index| statement.parameter_name(index).and_then(|name| name.get(1..)?.parse().ok());
        Self {
            // No value has number 0, so a parameter of another form fails when it is bound.
            parameters: (1..=statement.parameter_count()).map(|index| number(index).unwrap_or_default()).collect(),
            columns: statement.column_names().map(str::to_owned).collect(),
        }
    }
}

impl SqliteRow {
    pub(super) fn value(&self, column: &str) -> Option<&Value> {
        self.columns.iter().position(|name| name == column).and_then(|index| self.values.get(index))
    }
}
