//! The list of calls and uploads: those that match a filter, in an order, a page at a time.
//!
//! Each filter has an index of its own. One that few calls match is found by that index and sorted, whatever the order. If
//! many calls match each of the filters, the calls are read in order, up to a bound, so that a page takes no longer however
//! many calls there are. It may then have fewer calls than its limit, and the next page continues where it ended.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use super::columns::call_columns;
use super::conn::Conn;
use super::engine::{Arg, Dialect};
use super::error::Error;
use super::filter::{Filter, KindFilter, Sort, end_of};
use super::rows;
use crate::model::call::{Call, CallId, Direction, Kind};
use crate::model::dollars::Dollars;
use crate::model::import::ImportId;
use crate::model::name::Name;
use crate::model::standing::Progress;

/// Calls that are read for one page at most, where not each of them matches.
const MOST_READ: i64 = 1_000;

/// The end of a page of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// What the list is sorted by: [`Call::created_at`] of its last call, or the call's length in seconds, or its cost in
    /// millionths of a dollar.
    pub key: i64,
    pub id: CallId,
}

/// A page of the list.
#[derive(Debug)]
pub struct Listed {
    pub calls: Vec<Call>,
    /// Where the next page begins.
    pub next: Option<Cursor>,
}

/// What calls must have. In the text, a `?` stands for the next argument.
#[derive(Debug, Clone)]
struct Condition {
    sql: &'static str,
    args: Vec<Arg>,
}

/// An index that finds the calls of a condition. With several, a call is found by at least one.
#[derive(Debug, Clone)]
struct Source {
    indexes: &'static [&'static str],
    /// What each index finds.
    found: Vec<Condition>,
    /// Whether each index has the calls in the order of their time.
    is_in_order: bool,
}

/// A part of a filter, and the index for it.
#[derive(Debug)]
struct Part {
    condition: Condition,
    source: Option<Source>,
}

/// The columns of a call, and all that a list is sorted by.
const COLUMNS: &str = concat!(call_columns!(), ", calls.recorded_seconds, calls.cost_microusd");

/// The indexes that have deleted calls, too.
const WITH_DELETED: [&str; 6] =
    ["calls_tagged", "calls_imported", "calls_checked", "calls_of_state", "calls_to_end", "calls_from_end"];

/// Calls are in no list once they are deleted. The indexes of this file leave them out in the same words.
const LISTED: &str = "(deletion IS NULL OR deletion <> 'done')";

impl Condition {
    fn new(sql: &'static str, args: Vec<Arg>) -> Self {
        Self { sql, args }
    }
}

impl Source {
    fn in_order(index: &'static [&'static str; 1], found: Condition) -> Self {
        Self { indexes: index, found: vec![found], is_in_order: true }
    }

    /// The index that has all calls in an order.
    fn of_all(sort: Sort) -> Self {
        let everything = Condition::new("TRUE", vec![]);
        Self { indexes: sort.index(), found: vec![everything], is_in_order: sort.is_by_time() }
    }
}

/// The parts of a filter but for its times, those first that fewer calls match, as a rule.
fn parts(filter: &Filter, dialect: Dialect) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut add = |condition: Condition, index: &'static [&'static str; 1]| {
        let source = Some(Source::in_order(index, condition.clone()));
        parts.push(Part { condition, source });
    };
    if let Some(tag) = filter.tag.as_ref().map(Name::as_str) {
        add(Condition::new("tag = ?", vec![tag.into()]), &["calls_tagged"]);
    }
    if let Some(import) = filter.import.as_ref().map(ImportId::as_str) {
        add(Condition::new("import = ?", vec![import.into()]), &["calls_imported"]);
    }
    if filter.is_checked == Some(true) {
        add(Condition::new("checked_at IS NOT NULL", vec![]), &["calls_checked"]);
    }
    if let Some(progress) = filter.progress.map(Progress::as_str) {
        add(Condition::new("progress = ?", vec![progress.into()]), &["calls_of_progress"]);
    }
    if let Some(KindFilter::Only(kind)) = filter.kind {
        add(Condition::new("kind = ?", vec![kind.as_str().into()]), &["calls_of_kind"]);
    }
    if let Some(direction) = filter.direction.map(Direction::as_str) {
        add(Condition::new("direction = ?", vec![direction.into()]), &["calls_of_direction"]);
    }
    if let Some(state) = filter.state_word() {
        add(Condition::new("state = ?", vec![state.into()]), &["calls_of_state"]);
    }
    if filter.is_checked == Some(false) {
        add(Condition::new("checked_at IS NULL", vec![]), &["calls_unchecked"]);
    }
    if filter.kind == Some(KindFilter::NoUploads) {
        debug_assert_eq!(Kind::Upload.as_str(), "upload");
        add(Condition::new("kind <> 'upload'", vec![]), &["calls_no_uploads"]);
    }
    if filter.min_seconds.is_some() || filter.max_seconds.is_some() {
        // A call without a length has -1.
        let range = vec![filter.min_seconds.unwrap_or(0).into(), filter.max_seconds.unwrap_or(i64::MAX).into()];
        let condition = Condition::new("recorded_seconds >= ? AND recorded_seconds <= ?", range);
        let source = Source { indexes: &["calls_by_length"], found: vec![condition.clone()], is_in_order: false };
        parts.push(Part { condition, source: Some(source) });
    }
    if filter.min_cost.is_some() || filter.max_cost.is_some() {
        // A call of which it is not known has -1.
        let (min, max) = (filter.min_cost.unwrap_or_default(), filter.max_cost.map_or(i64::MAX, Dollars::millionths));
        let condition =
            Condition::new("cost_microusd >= ? AND cost_microusd <= ?", vec![min.millionths().into(), max.into()]);
        let source = Source { indexes: &["calls_by_cost"], found: vec![condition.clone()], is_in_order: false };
        parts.push(Part { condition, source: Some(source) });
    }
    let ends = |found: [&'static str; 2], arg: Arg, is_in_order| Source {
        indexes: &["calls_to_end", "calls_from_end"],
        found: found.map(|sql| Condition::new(sql, vec![arg.clone()])).to_vec(),
        is_in_order,
    };
    if let Some(parties) = &filter.parties {
        let list = |list: Vec<String>| Arg::from(serde_json::to_string(&list).unwrap_or_default().as_str());
        let (sql, found) = dialect.calls_with_parties();
        let source = ends(found, list(parties.iter().map(|party| end_of(party)).collect()), false);
        parts.push(Part { condition: Condition::new(sql, vec![list(parties.clone())]), source: Some(source) });
    }
    if let Some(pattern) = filter.number_pattern() {
        let args = vec![pattern.as_str().into(), pattern.as_str().into()];
        let condition = Condition::new(r"(to_number LIKE ? ESCAPE '\' OR from_number LIKE ? ESCAPE '\')", args);
        let source = filter.number_end().map(|end| ends(dialect.number_ends(), end.as_str().into(), true));
        parts.insert(0, Part { condition, source });
    }
    parts
}

/// A statement whose text is made of parts.
struct Statement {
    dialect: Dialect,
    sql: String,
    args: Vec<Arg>,
}

impl Statement {
    fn new(dialect: Dialect) -> Self {
        Self { dialect, sql: String::new(), args: Vec::new() }
    }

    fn push(&mut self, sql: &str) -> &mut Self {
        self.sql += sql;
        self
    }

    fn bind(&mut self, arg: impl Into<Arg>) -> &mut Self {
        self.args.push(arg.into());
        _ = write!(self.sql, "${}", self.args.len());
        self
    }

    /// Adds a condition with its arguments.
    fn condition(&mut self, Condition { sql, args }: &Condition) -> &mut Self {
        let mut args = args.iter();
        for (n, text) in sql.split('?').enumerate() {
            if n > 0
                && let Some(arg) = args.next()
            {
                self.bind(arg.clone());
            }
            self.sql += text;
        }
        self
    }

    /// Adds the calls that an index finds. SQLite must use it: without statistics, it would choose by the text alone.
    fn found_by(&mut self, index: &str, found: &Condition) -> &mut Self {
        self.indexed_by(index, found).push(" AND ").push(LISTED)
    }

    /// The same for a count, which may have deleted calls, so that no row need be read beside its index.
    fn counted_by(&mut self, index: &str, found: &Condition) -> &mut Self {
        if WITH_DELETED.contains(&index) { self.indexed_by(index, found) } else { self.found_by(index, found) }
    }

    fn indexed_by(&mut self, index: &str, found: &Condition) -> &mut Self {
        self.sql += " FROM calls ";
        if !self.dialect.has_other_writers() {
            _ = write!(self.sql, "INDEXED BY {index} ");
        }
        self.push("WHERE ").condition(found)
    }

    /// Returns the text, which lives as long as the program. There is one for each combination of filters that somebody uses: some ten thousand at most, of one kilobyte each.
    fn finish(self) -> (&'static str, Vec<Arg>) {
        static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = known.get(self.sql.as_str()).copied().unwrap_or_else(|| {
            let kept: &'static str = self.sql.leak();
            known.insert(kept);
            kept
        });
        (sql, self.args)
    }
}

/// A page that is wanted.
struct Wanted<'a> {
    filter: &'a Filter,
    parts: Vec<Part>,
    sort: Sort,
    /// Where it begins: after this key and id.
    start: Option<(i64, &'a str)>,
}

impl Wanted<'_> {
    fn order(&self) -> String {
        let (key, direction) = (self.sort.column(), if self.sort.is_descending() { " DESC" } else { "" });
        format!(" ORDER BY {key}{direction}, id{direction}")
    }

    /// Adds what a call must have to be on this page or a later one.
    fn bounds(&self, statement: &mut Statement) {
        let (key, is_descending) = (self.sort.column(), self.sort.is_descending());
        if let Some((at, id)) = self.start {
            let beyond = if is_descending { "<" } else { ">" };
            _ = write!(statement.sql, " AND ({key}, id) {beyond} (");
            statement.bind(at).push(", ").bind(id).push(")");
        }
        let Filter { since, before, .. } = *self.filter;
        // The start of the page bounds one end of the time already, and PostgreSQL would begin its scan at the other bound.
        if since > 0 && self.sort != Sort::Oldest {
            statement.push(" AND created_at >= ").bind(since);
        }
        if before < i64::MAX && self.sort != Sort::Newest {
            statement.push(" AND created_at < ").bind(before);
        }
    }

    /// Joins what each index of a source finds, in order.
    fn select(
        &self,
        dialect: Dialect,
        source: &Source,
        columns: &str,
        select: impl Fn(&mut Statement, &str, &Condition),
    ) -> Statement {
        let mut statement = Statement::new(dialect);
        if let ([index], [found]) = (source.indexes, &source.found[..]) {
            statement.push("SELECT ").push(columns);
            select(&mut statement, index, found);
            return statement;
        }
        statement.push("SELECT ").push(columns).push(" FROM calls WHERE id IN (");
        for (n, (index, found)) in source.indexes.iter().zip(&source.found).enumerate() {
            statement.push(if n > 0 { " UNION ALL " } else { "" }).push("SELECT id FROM (SELECT id");
            select(&mut statement, index, found);
            _ = write!(statement.sql, ") AS found_{n}");
        }
        statement.push(")").push(&self.order());
        statement
    }
}

impl Conn {
    /// The calls and uploads that match a filter, in an order, after a cursor.
    pub async fn list(
        &mut self,
        filter: &Filter,
        sort: Sort,
        after: Option<&Cursor>,
        limit: i64,
    ) -> Result<Listed, Error> {
        let dialect = self.dialect();
        let after = after.map(|Cursor { key, id }| (*key, id.as_str()));
        let start = match sort {
            Sort::Newest if filter.before < i64::MAX => {
                Some(after.map_or((filter.before, ""), |after| after.min((filter.before, ""))))
            }
            Sort::Oldest if filter.since > 0 => Some(after.unwrap_or_default().max((filter.since, ""))),
            _ => after,
        };
        let wanted = Wanted { filter, parts: parts(filter, dialect), sort, start };
        let (source, floor) = self.source(&wanted).await?;
        let mut statement = wanted.select(dialect, &source, COLUMNS, |statement, index, found| {
            statement.found_by(index, found);
            wanted.bounds(statement);
            if let Some(Cursor { key, id }) = &floor {
                let until = if sort.is_descending() { ">=" } else { "<=" };
                _ = write!(statement.sql, " AND ({}, id) {until} (", sort.column());
                statement.bind(*key).push(", ").bind(id.as_str()).push(")");
            }
            for Part { condition, .. } in &wanted.parts {
                statement.push(" AND ").condition(condition);
            }
            statement.push(&wanted.order()).push(" LIMIT ").bind(limit + 1);
        });
        if source.found.len() > 1 {
            statement.push(" LIMIT ").bind(limit + 1);
        }
        let (sql, args) = statement.finish();
        let rows = self.fetch_with_fresh_plan(sql, args).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            found.push((row.int(sort.column())?, rows::call(row)?));
        }
        let end = |(key, call): &(i64, Call)| Cursor { key: *key, id: call.id.clone() };
        let next = if found.len() as i64 > limit {
            found.truncate(limit as usize);
            found.last().map(end)
        } else {
            floor
        };
        Ok(Listed { calls: found.into_iter().map(|(_, call)| call).collect(), next })
    }

    /// Chooses the index to read, and how far: to this call, or to the end.
    async fn source(&mut self, wanted: &Wanted<'_>) -> Result<(Source, Option<Cursor>), Error> {
        let Wanted { filter, parts, sort, .. } = wanted;
        let is_by_time = sort.is_by_time();
        let (first, is_timed) = (parts.first(), filter.since > 0 || filter.before < i64::MAX);
        let in_order = |part: &&Part| part.source.as_ref().is_some_and(|source| source.is_in_order);
        // Each call that is read matches.
        match (parts.len(), first.filter(|part| is_by_time && in_order(part)).and_then(|part| part.source.clone())) {
            (0, _) if is_by_time || !is_timed => return Ok((Source::of_all(*sort), None)),
            (1, Some(source)) => return Ok((source, None)),
            _ => {}
        }
        let mut fewest: Option<(i64, Source)> = None;
        let times = is_timed.then(|| Source::of_all(Sort::Newest));
        for source in parts.iter().filter_map(|part| part.source.clone()).chain(times) {
            let count = self.count_found(wanted, &source).await?;
            if fewest.as_ref().is_none_or(|(fewest, _)| count < *fewest) {
                fewest = Some((count, source));
            }
        }
        if let Some((count, source)) = fewest
            && count <= MOST_READ
        {
            return Ok((source, None));
        }
        let source = parts.iter().find(|part| is_by_time && in_order(part)).and_then(|part| part.source.clone());
        let source = source.unwrap_or_else(|| Source::of_all(*sort));
        let floor = self.floor(wanted, &source).await?;
        Ok((source, floor))
    }

    /// Counts the calls that a source finds, as far as it matters.
    async fn count_found(&mut self, wanted: &Wanted<'_>, source: &Source) -> Result<i64, Error> {
        let Filter { since, before, .. } = *wanted.filter;
        let mut count = 0;
        for (index, found) in source.indexes.iter().zip(&source.found) {
            let mut statement = Statement::new(self.dialect());
            statement.push("SELECT count(*) AS calls FROM (SELECT 1 AS call").counted_by(index, found);
            if !["calls_by_length", "calls_by_cost"].contains(index) {
                statement.push(" AND created_at >= ").bind(since).push(" AND created_at < ").bind(before);
            }
            statement.push(" LIMIT ").bind(MOST_READ + 1).push(") AS found");
            let (sql, args) = statement.finish();
            count += self.fetch_with_fresh_plan(sql, args).await?.first().map_or(Ok(0), |row| row.int("calls"))?;
        }
        Ok(count)
    }

    /// Returns the last of the calls that are read for the page, if there are more.
    async fn floor(&mut self, wanted: &Wanted<'_>, source: &Source) -> Result<Option<Cursor>, Error> {
        let key = wanted.sort.column();
        let columns = format!("{key}, id");
        let mut statement = wanted.select(self.dialect(), source, &columns, |statement, index, found| {
            statement.counted_by(index, found);
            wanted.bounds(statement);
            statement.push(&wanted.order()).push(" LIMIT ").bind(MOST_READ + 1);
        });
        let (inner, args) = (std::mem::take(&mut statement.sql), std::mem::take(&mut statement.args));
        statement.args = args;
        statement.push("SELECT ").push(&columns).push(" FROM (").push(&inner).push(") AS ahead").push(&wanted.order());
        statement.push(" LIMIT 1 OFFSET ").bind(MOST_READ);
        let (sql, args) = statement.finish();
        let rows = self.fetch_with_fresh_plan(sql, args).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let id = row.text("id")?.parse().map_err(|_| Error::Unreadable("calls.id"))?;
        Ok(Some(Cursor { key: row.int(key)?, id }))
    }
}
