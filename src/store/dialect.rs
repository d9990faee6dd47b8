//! All statements that differ between SQLite and PostgreSQL, and how one is run and its rows are read. Every other statement
//! of the program is one text for both. How they are opened is in `pools`.

use rusqlite::types::{Value, ValueRef};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Postgres, Row as _, Sqlite, Transaction};

use super::writer::{Columns, Loan};
use super::{Error, Filter, facts};
use crate::model::search::Query;

/// A connection to read from, or a transaction to write in.
#[derive(Debug)]
pub(super) enum Session {
    SqliteRead(PoolConnection<Sqlite>),
    SqliteWrite(Loan),
    PostgresRead(PoolConnection<Postgres>),
    PostgresWrite(Transaction<'static, Postgres>),
}

/// A value for `$1`, `$2` and so on.
#[derive(Debug, Clone)]
pub(super) enum Arg {
    Text(Option<String>),
    Int(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

/// A row, read by column name.
#[derive(Debug)]
pub(super) enum Row {
    Sqlite(SqliteRow),
    Written(Columns),
    Postgres(PgRow),
}

/// A query of either database with its arguments.
macro_rules! bound {
    ($sql:expr, $args:expr) => {
        $args.into_iter().fold(sqlx::query($sql), |query, arg| match arg {
            Arg::Text(value) => query.bind(value),
            Arg::Int(value) => query.bind(value),
            Arg::Bytes(value) => query.bind(value),
        })
    };
}

impl Session {
    /// Runs a statement; gives the number of rows that it changed.
    pub(super) async fn execute(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<u64, Error> {
        debug_assert!(binds_all(sql, args.len()), "SQLite takes an unbound parameter for NULL: {sql}");
        macro_rules! run {
            ($connection:expr) => {
                Ok(bound!(sql, args).execute($connection).await?.rows_affected())
            };
        }
        match self {
            Self::SqliteRead(connection) => run!(&mut **connection),
            Self::SqliteWrite(loan) => Ok(loan.run(sql, args.iter().map(Arg::value))?.1),
            Self::PostgresRead(connection) => run!(&mut **connection),
            Self::PostgresWrite(transaction) => run!(&mut **transaction),
        }
    }

    /// Runs a statement; gives its rows.
    pub(super) async fn fetch(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Row>, Error> {
        debug_assert!(binds_all(sql, args.len()), "SQLite takes an unbound parameter for NULL: {sql}");
        macro_rules! run {
            ($connection:expr, $row:path) => {
                Ok(bound!(sql, args).fetch_all($connection).await?.into_iter().map($row).collect())
            };
        }
        match self {
            Self::SqliteRead(connection) => run!(&mut **connection, Row::Sqlite),
            Self::SqliteWrite(loan) => {
                let (rows, _) = loan.run(sql, args.iter().map(Arg::value))?;
                Ok(rows.into_iter().map(Row::Written).collect())
            }
            Self::PostgresRead(connection) => run!(&mut **connection, Row::Postgres),
            Self::PostgresWrite(transaction) => run!(&mut **transaction, Row::Postgres),
        }
    }

    /// Runs a statement that PostgreSQL is to plan for these very arguments: how often a word is said decides how it is best
    /// looked for.
    pub(super) async fn fetch_planned_anew(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Row>, Error> {
        macro_rules! run {
            ($connection:expr) => {{
                let rows = bound!(sql, args).persistent(false).fetch_all($connection).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }};
        }
        debug_assert!(binds_all(sql, args.len()), "it lacks arguments: {sql}");
        match self {
            Self::PostgresRead(connection) => run!(&mut **connection),
            Self::PostgresWrite(transaction) => run!(&mut **transaction),
            Self::SqliteRead(_) | Self::SqliteWrite(_) => self.fetch(sql, args).await,
        }
    }

    /// Makes what was written last.
    pub(super) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::SqliteWrite(loan) => Ok(loan.commit().await?),
            Self::PostgresWrite(transaction) => Ok(transaction.commit().await?),
            Self::SqliteRead(_) | Self::PostgresRead(_) => Ok(()),
        }
    }

    /// Undoes what was written.
    pub(super) async fn rollback(self) -> Result<(), Error> {
        match self {
            // Giving it back is enough.
            Self::SqliteWrite(_) => Ok(()),
            Self::PostgresWrite(transaction) => Ok(transaction.rollback().await?),
            Self::SqliteRead(_) | Self::PostgresRead(_) => Ok(()),
        }
    }

    fn is_postgres(&self) -> bool {
        matches!(self, Self::PostgresRead(_) | Self::PostgresWrite(_))
    }

    /// The jobs that are due, each for one instance. PostgreSQL passes over those that another is claiming just now; on
    /// SQLite nobody else writes meanwhile.
    pub(super) fn claim_jobs(&self) -> &'static str {
        macro_rules! some {
            ($due:literal, $lock:literal) => {
                concat!(
                    "SELECT kind, subject FROM (SELECT kind, subject FROM jobs WHERE state = 'open' AND ",
                    $due,
                    " AND (lease_until IS NULL OR lease_until <= $3 OR lease_until > $2 + 60000) \
                     ORDER BY due_at LIMIT $5",
                    $lock,
                    ") AS each"
                )
            };
        }
        // Each for itself, so that both are looked for in the index: jobs whose time is to come are many.
        macro_rules! claim {
            ($lock:literal) => {
                concat!(
                    "WITH due AS MATERIALIZED (",
                    some!("due_at <= $3", $lock),
                    " UNION ALL ",
                    some!("due_at > $4", $lock),
                    " LIMIT $5) UPDATE jobs SET owner = $1, lease_until = $2, attempt = attempt + 1, nudged = 0 \
                     WHERE (kind, subject) IN (SELECT kind, subject FROM due) \
                     RETURNING kind, subject, attempt, failures, looks, created_at"
                )
            };
        }
        if self.is_postgres() { claim!(" FOR UPDATE SKIP LOCKED") } else { claim!("") }
    }

    /// Whether others may write beside this transaction. PostgreSQL's writers wait for each other where they write the same
    /// row alone; numbers that a column gives out may then be seen in another order than they were given.
    pub(super) fn has_other_writers(&self) -> bool {
        self.is_postgres()
    }

    /// The newest call that was dialled to a number since then and that rang, or may have.
    pub(super) fn newest_dialed_since(&self) -> &'static str {
        macro_rules! dialled {
            ($end:literal) => {
                concat!(
                    "SELECT id, sid, direction, to_number, from_number, keyterms, state, reason, code, deletion, created_at, \
                     ended_at FROM calls WHERE ",
                    $end,
                    " AND created_at > $2 AND to_number = $1 AND dialled_at > $2 \
                     AND (sid IS NOT NULL OR holds_number = 1) ORDER BY created_at DESC LIMIT 1"
                )
            };
        }
        match self.is_postgres() {
            true => dialled!("right(to_number, 4) = right($1, 4)"),
            false => dialled!("substr(to_number, -4) = substr($1, -4)"),
        }
    }

    /// The call of a recording. It stays as it is until this transaction ends: PostgreSQL's writers do not wait for each
    /// other, and one that moves the call on would not see what this one has indexed of it.
    pub(super) fn hold_call(&self) -> &'static str {
        macro_rules! call {
            ($lock:literal) => {
                concat!(
                    "SELECT state, to_number, from_number, deletion, created_at FROM calls \
                     WHERE id = (SELECT call_id FROM recordings WHERE sid = $1)",
                    $lock
                )
            };
        }
        if self.is_postgres() { call!(" FOR NO KEY UPDATE") } else { call!("") }
    }

    /// How far the calls have come whose ids are in a JSON array: what a list says of each beside its row.
    pub(super) fn select_call_summaries(&self) -> &'static str {
        macro_rules! digests {
            ($ids:literal) => {
                concat!(
                    "SELECT calls.id, job.state AS job, \
                     (SELECT CAST(sum(duration_seconds) AS BIGINT) FROM recordings WHERE call_id = calls.id) AS seconds, \
                     (SELECT count(*) FROM recordings WHERE call_id = calls.id AND rank < $2) AS coming, \
                     (SELECT count(*) FROM recordings JOIN transcripts ON recording_sid = recordings.sid \
                     WHERE call_id = calls.id) AS transcripts, \
                     (SELECT count(*) FROM recordings JOIN transcripts ON recording_sid = recordings.sid \
                     WHERE call_id = calls.id AND request_key IS NOT NULL AND transcripts.rank < $3) AS unfinished, \
                     (SELECT count(*) FROM recordings JOIN transcripts ON recording_sid = recordings.sid \
                     WHERE call_id = calls.id AND request_key IS NOT NULL AND transcripts.state = 'failed') AS failed, \
                     (SELECT substr(text, 1, 200) FROM recordings JOIN transcripts ON recording_sid = recordings.sid \
                     WHERE call_id = calls.id AND text <> '' \
                     ORDER BY transcripts.created_at DESC, transcripts.id LIMIT 1) AS words \
                     FROM calls LEFT JOIN jobs AS job ON job.kind = 'call' AND job.subject = calls.id \
                     WHERE calls.id IN (SELECT ",
                    $ids,
                    ")"
                )
            };
        }
        if self.is_postgres() {
            digests!("jsonb_array_elements_text($1::text::jsonb)")
        } else {
            digests!("value FROM json_each($1)")
        }
    }

    /// The words of a transcript, from a JSON array of objects.
    pub(super) fn insert_words(&self) -> &'static str {
        if self.is_postgres() {
            "INSERT INTO words (transcript, position, word, start_ms, end_ms, confidence, speaker, channel) \
             SELECT $1, position - 1, word->>'text', (word->>'start')::bigint, (word->>'end')::bigint, \
             (word->>'confidence')::double precision, word->>'speaker', word->>'channel' \
             FROM jsonb_array_elements($2::text::jsonb) WITH ORDINALITY AS each (word, position)"
        } else {
            "INSERT INTO words (transcript, position, word, start_ms, end_ms, confidence, speaker, channel) \
             SELECT $1, key, value->>'text', value->>'start', value->>'end', \
             CAST(value->>'confidence' AS REAL), value->>'speaker', value->>'channel' FROM json_each($2)"
        }
    }
}

impl Session {
    /// The newest calls that a filter lets through. Those of a number are found by how it ends: those to it and those from
    /// it, each in their order, so that one's own number, which is in every call, is found as fast as any other.
    pub(super) fn find_calls(&self, has_state: bool, has_number_end: bool) -> &'static str {
        macro_rules! wanted {
            ($also:expr) => {
                concat!(
                    " (deletion IS NULL OR deletion <> 'done') AND (CAST($1 AS TEXT) IS NULL OR state = $1) \
                     AND created_at >= $3 AND (created_at, id) < ($4, $5) ",
                    $also,
                    " ORDER BY created_at DESC, id DESC LIMIT $6"
                )
            };
        }
        macro_rules! columns {
            ($rest:expr) => {
                concat!(
                    "SELECT id, sid, direction, to_number, from_number, keyterms, state, reason, code, deletion, created_at, \
                     ended_at FROM calls WHERE ",
                    $rest
                )
            };
        }
        macro_rules! by_end {
            ($to:literal, $from:literal) => {
                columns!(concat!(
                    "id IN (SELECT id FROM (SELECT id FROM calls WHERE ",
                    $to,
                    " = $7 AND",
                    wanted!("AND to_number LIKE $2 ESCAPE '\\'"),
                    ") AS called UNION ALL SELECT id FROM (SELECT id FROM calls WHERE ",
                    $from,
                    " = $7 AND",
                    wanted!("AND from_number LIKE $2 ESCAPE '\\'"),
                    ") AS calling) ORDER BY created_at DESC, id DESC LIMIT $6"
                ))
            };
        }
        macro_rules! by_time {
            ($state:literal) => {
                columns!(concat!(
                    $state,
                    wanted!(
                        "AND (CAST($2 AS TEXT) IS NULL OR to_number LIKE $2 ESCAPE '\\' \
                         OR from_number LIKE $2 ESCAPE '\\') AND CAST($7 AS TEXT) IS NULL"
                    )
                ))
            };
        }
        match (has_number_end, has_state) {
            (true, _) if self.is_postgres() => by_end!("right(to_number, 4)", "right(from_number, 4)"),
            (true, _) => by_end!("substr(to_number, -4)", "substr(from_number, -4)"),
            (false, true) => by_time!("state = $1 AND"),
            (false, false) => by_time!(""),
        }
    }

    /// What is looked for, in the words of each: an FTS5 expression; a tsquery, and on a line each the patterns of phrases.
    /// Terms are letters, digits and the mark of facts alone, so that nothing in them needs to be escaped.
    ///
    /// The state of a call is a fact like any other to FTS5, which finds what has both from the newest on. PostgreSQL's index
    /// of terms would give all there ever was, and it has one by state, in the order of time.
    pub(super) fn sought(&self, query: &Query, filter: &Filter) -> String {
        let number = facts::of_number(filter);
        let star = |is_prefix, star| if is_prefix { star } else { "" };
        if !self.is_postgres() {
            let each = query.sought().iter();
            let each = each.map(|sought| format!("\"{}\"{}", sought.terms.join(" "), star(sought.is_prefix, "*")));
            let facts = facts::of_state(filter).into_iter().chain(number).map(|fact| format!("\"{fact}\""));
            return each.chain(facts).collect::<Vec<_>>().join(" AND ");
        }
        let mut terms: Vec<String> = number.iter().map(|fact| format!("'{fact}'")).collect();
        let mut patterns = String::new();
        for sought in query.sought() {
            let last = sought.terms.len() - 1;
            let quoted = |(n, term)| format!("'{term}'{}", star(sought.is_prefix && n == last, ":*"));
            terms.extend(sought.terms.iter().enumerate().map(quoted));
            if last > 0 {
                patterns += &format!("\n% {}{}%", sought.terms.join(" "), if sought.is_prefix { "" } else { " " });
            }
        }
        terms.join(" & ") + &patterns
    }

    /// The newest transcripts with what is looked for. The index is gone through first, from its beginning; texts, which
    /// are long, are read of those alone that are wanted. It knows the facts of each call, too; what a call is asked for here
    /// again is where an address goes on beyond its facts. Within `coalesce`, so that PostgreSQL does not count a fact
    /// twice when it guesses how much is found.
    pub(super) fn find_spoken(&self) -> &'static str {
        macro_rules! find {
            ($is_found:literal) => {
                concat!(
                    "SELECT found.*, transcript_id, recording_sid, text FROM (\
                     SELECT place, transcript, calls.id, calls.sid, direction, to_number, from_number, keyterms, \
                     calls.state, reason, code, deletion, calls.created_at, ended_at FROM spoken_text \
                     JOIN spoken ON spoken.place = spoken_text.rowid \
                     LEFT JOIN recordings ON recordings.sid = spoken.source \
                     LEFT JOIN calls ON calls.id = recordings.call_id WHERE ",
                    $is_found,
                    " AND spoken_text.rowid > $2 AND spoken_text.rowid <= $3 \
                     AND coalesce(calls.state = $4, CAST($4 AS TEXT) IS NULL) \
                     AND coalesce(to_number LIKE $5 ESCAPE '\\' OR from_number LIKE $5 ESCAPE '\\', CAST($5 AS TEXT) IS NULL) \
                     ORDER BY spoken_text.rowid LIMIT $6\
                     ) AS found JOIN transcripts ON transcripts.id = found.transcript ORDER BY found.place"
                )
            };
        }
        if self.is_postgres() {
            find!(
                "terms @@ CAST(split_part($1, chr(10), 1) AS tsquery) \
                 AND words LIKE ALL ((string_to_array($1, chr(10)))[2:]) \
                 AND (CAST($4 AS TEXT) IS NULL OR spoken_text.state = $4)"
            )
        } else {
            find!("spoken_text MATCH $1")
        }
    }

    /// Takes a text out of the index. FTS5 keeps no texts: it is told which one goes.
    pub(super) fn delete_spoken_text(&self) -> &'static str {
        if self.is_postgres() {
            "DELETE FROM spoken_text WHERE rowid = $1 AND CAST($2 AS TEXT) IS NOT NULL"
        } else {
            "INSERT INTO spoken_text (spoken_text, rowid, words) VALUES ('delete', $1, $2)"
        }
    }

    /// Has PostgreSQL know at once, and not in a minute, how often which word is said in a table that was just filled.
    pub(super) fn look_over_spoken(&self) -> &'static str {
        if self.is_postgres() { "ANALYZE spoken_text" } else { "SELECT 1" }
    }

    /// Words, by a JSON array of pairs of transcript and position.
    pub(super) fn words_at(&self) -> &'static str {
        macro_rules! words {
            ($each:literal) => {
                concat!(
                    "SELECT transcript, word, start_ms FROM words WHERE (transcript, position) IN \
                     (SELECT value->>0, CAST(value->>1 AS BIGINT) FROM ",
                    $each,
                    ")"
                )
            };
        }
        if self.is_postgres() {
            words!("jsonb_array_elements(CAST($1 AS jsonb)) AS each (value)")
        } else {
            words!("json_each($1)")
        }
    }
}

impl Row {
    pub(super) fn text(&self, column: &str) -> Result<String, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Written(row) => match row.value(column) {
                Some(Value::Text(text)) => Ok(text.clone()),
                other => Err(unreadable(column, other)),
            },
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(super) fn text_if_set(&self, column: &str) -> Result<Option<String>, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Written(row) => match row.value(column) {
                Some(Value::Text(text)) => Ok(Some(text.clone())),
                Some(Value::Null) => Ok(None),
                other => Err(unreadable(column, other)),
            },
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(super) fn int(&self, column: &str) -> Result<i64, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Written(row) => match row.value(column) {
                Some(Value::Integer(number)) => Ok(*number),
                other => Err(unreadable(column, other)),
            },
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(super) fn int_if_set(&self, column: &str) -> Result<Option<i64>, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Written(row) => match row.value(column) {
                Some(Value::Integer(number)) => Ok(Some(*number)),
                Some(Value::Null) => Ok(None),
                other => Err(unreadable(column, other)),
            },
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(super) fn real(&self, column: &str) -> Result<f64, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Written(row) => match row.value(column) {
                Some(Value::Real(number)) => Ok(*number),
                other => Err(unreadable(column, other)),
            },
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(super) fn bytes_if_set(&self, column: &str) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Written(row) => match row.value(column) {
                Some(Value::Blob(bytes)) => Ok(Some(bytes.clone())),
                Some(Value::Null) => Ok(None),
                other => Err(unreadable(column, other)),
            },
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }
}

/// What sqlx would say of a column that is not there or holds something else.
fn unreadable(column: &str, found: Option<&Value>) -> Error {
    Error::Database(match found {
        None => sqlx::Error::ColumnNotFound(column.to_owned()),
        Some(found) => {
            sqlx::Error::ColumnDecode { index: column.to_owned(), source: found.data_type().to_string().into() }
        }
    })
}

impl Arg {
    /// As SQLite takes it.
    fn value(&self) -> ValueRef<'_> {
        match self {
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Int(Some(number)) => ValueRef::Integer(*number),
            Self::Bytes(Some(bytes)) => ValueRef::Blob(bytes),
            Self::Text(None) | Self::Int(None) | Self::Bytes(None) => ValueRef::Null,
        }
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        // PostgreSQL has no NUL in its texts.
        Self::Text(Some(text.replace('\0', "")))
    }
}

impl From<Option<&str>> for Arg {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(|text| text.replace('\0', "")))
    }
}

impl From<i64> for Arg {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Arg {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<&[u8]> for Arg {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}

/// Whether `$1` to `$n` are in the text and none beyond.
fn binds_all(sql: &str, args: usize) -> bool {
    let numbers = sql.split('$').skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse::<usize>().unwrap_or(0)
    });
    numbers.max().unwrap_or(0) == args
}
