//! The list of calls and uploads: those that match a filter, in an order, a page at a time.
//!
//! Each filter has an index of its own, and numbers have two, which are merged: of the calls to each number, and of those
//! from it. A filter that few calls match is found by its index and sorted, whatever the order. If many calls match each of
//! the filters, the calls are read in order, up to a bound, so that a page takes no longer however many calls there are. It
//! may then have fewer calls than its limit, and the next page continues where it ended.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use super::columns::call_columns;
use super::conn::Conn;
use super::engine::{Arg, Dialect};
use super::error::Error;
use super::filter::{Filter, KindFilter, Number, Sort, end_of};
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

/// A stretch of an index.
#[derive(Debug, Clone)]
struct Stretch {
    index: &'static str,
    /// What all its calls have. The index alone can tell.
    found: Condition,
    /// What those have that no other stretch of the source finds.
    only_here: Option<Condition>,
}

/// Stretches of indexes that together find the calls of a condition.
#[derive(Debug, Clone)]
struct Source {
    stretches: Vec<Stretch>,
    /// The column that each stretch has its calls in the order of.
    key: &'static str,
    /// Whether it finds no others, nor calls that are deleted.
    is_exact: bool,
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

/// Those that keep them. A deletion takes from a call what the others find it by.
const KEPT_WHEN_DELETED: [&str; 2] = ["calls_imported", "calls_of_state"];

/// The column of the time.
const TIME: &str = Sort::Newest.column();

/// No number ends so: it is longer than the end that an index has.
const NO_END: &str = "-----";

/// Calls are in no list once they are deleted. The indexes of this file leave them out in the same words.
const LISTED: &str = "(deletion IS NULL OR deletion <> 'done')";

impl Condition {
    fn new(sql: &'static str, args: Vec<Arg>) -> Self {
        Self { sql, args }
    }
}

impl Source {
    fn of(index: &'static str, found: Condition, key: &'static str) -> Self {
        let is_exact = !KEPT_WHEN_DELETED.contains(&index);
        Self { stretches: vec![Stretch { index, found, only_here: None }], key, is_exact }
    }

    /// The index that has all calls in an order.
    fn of_all(sort: Sort) -> Self {
        Self::of(sort.index(), Condition::new("TRUE", vec![]), sort.column())
    }

    /// The order of each stretch, backward.
    fn order(&self) -> String {
        format!(" ORDER BY {} DESC, id DESC", self.key)
    }
}

/// The parts of a filter but for its times, those first that fewer calls match, as a rule.
fn parts(filter: &Filter, dialect: Dialect) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut add = |condition: Condition, index: &'static str, key| {
        let source = Some(Source::of(index, condition.clone(), key));
        parts.push(Part { condition, source });
    };
    if let Some(tag) = filter.tag.as_ref().map(Name::as_str) {
        add(Condition::new("tag = ?", vec![tag.into()]), "calls_tagged", TIME);
    }
    if let Some(import) = filter.import.as_ref().map(ImportId::as_str) {
        add(Condition::new("import = ?", vec![import.into()]), "calls_imported", TIME);
    }
    if filter.is_checked == Some(true) {
        add(Condition::new("checked_at IS NOT NULL", vec![]), "calls_checked", TIME);
    }
    if let Some(progress) = filter.progress.map(Progress::as_str) {
        add(Condition::new("progress = ?", vec![progress.into()]), "calls_of_progress", TIME);
    }
    if let Some(KindFilter::Only(kind)) = filter.kind {
        add(Condition::new("kind = ?", vec![kind.as_str().into()]), "calls_of_kind", TIME);
    }
    if let Some(direction) = filter.direction.map(Direction::as_str) {
        add(Condition::new("direction = ?", vec![direction.into()]), "calls_of_direction", TIME);
    }
    if let Some(state) = filter.state_word() {
        add(Condition::new("state = ?", vec![state.into()]), "calls_of_state", TIME);
    }
    if filter.is_checked == Some(false) {
        add(Condition::new("checked_at IS NULL", vec![]), "calls_unchecked", TIME);
    }
    if filter.kind == Some(KindFilter::NoUploads) {
        debug_assert_eq!(Kind::Upload.as_str(), "upload");
        add(Condition::new("kind <> 'upload'", vec![]), "calls_no_uploads", TIME);
    }
    if filter.min_seconds.is_some() || filter.max_seconds.is_some() {
        // A call without a length has -1.
        let range = vec![filter.min_seconds.unwrap_or(0).into(), filter.max_seconds.unwrap_or(i64::MAX).into()];
        let condition = Condition::new("recorded_seconds >= ? AND recorded_seconds <= ?", range);
        add(condition, "calls_by_length", Sort::Longest.column());
    }
    if filter.min_cost.is_some() || filter.max_cost.is_some() {
        // A call of which it is not known has -1.
        let (min, max) = (filter.min_cost.unwrap_or_default(), filter.max_cost.map_or(i64::MAX, Dollars::millionths));
        let condition =
            Condition::new("cost_microusd >= ? AND cost_microusd <= ?", vec![min.millionths().into(), max.into()]);
        add(condition, "calls_by_cost", Sort::Costliest.column());
    }
    if let Some(parties) = &filter.parties {
        let list = serde_json::to_string(parties).unwrap_or_default();
        let condition = Condition::new(dialect.is_party_listed(), vec![list.as_str().into()]);
        parts.insert(0, Part { condition, source: Some(of_parties(parties, dialect)) });
    }
    if let Some(number) = filter.number.as_ref().filter(|number| !filter.is_of_party(number)) {
        let pattern = number.pattern();
        let args = vec![pattern.as_str().into(), pattern.as_str().into()];
        let condition = Condition::new(r"(to_number LIKE ? ESCAPE '\' OR from_number LIKE ? ESCAPE '\')", args);
        let of_end = |end: String| of_either_end(&end, *number == Number::Ending(end.clone()), dialect);
        let source = number.end().map(of_end);
        parts.insert(0, Part { condition, source });
    }
    parts
}

/// Finds the calls to or from a number that ends in these characters. It finds no others if they are all that is wanted.
fn of_either_end(end: &str, is_exact: bool, dialect: Dialect) -> Source {
    let found = |sql| Condition::new(sql, vec![end.into()]);
    let [to, from] = dialect.number_ends().map(found);
    let not_to = Some(found(dialect.is_not_to_end()));
    let stretches = vec![
        Stretch { index: "calls_to_end", found: to, only_here: None },
        Stretch { index: "calls_from_end", found: from, only_here: not_to },
    ];
    Source { stretches, key: TIME, is_exact }
}

/// Finds the calls whose other end has a number that ends as one of these.
fn of_parties(parties: &[String], dialect: Dialect) -> Source {
    let mut ends = Vec::from_iter(parties.iter().map(|party| end_of(party)).collect::<BTreeSet<_>>());
    // The texts of statements are kept, so there should be few.
    ends.resize(ends.len().next_power_of_two(), NO_END.to_owned());
    let sides = ["direction = 'outbound'", "direction <> 'outbound'"];
    let stretches = ends.iter().flat_map(|end| {
        let found = dialect.number_ends().map(|sql| Condition::new(sql, vec![end.as_str().into()]));
        let of_side =
            move |((index, found), side)| Stretch { index, found, only_here: Some(Condition::new(side, vec![])) };
        ["calls_to_end", "calls_from_end"].into_iter().zip(found).zip(sides).map(of_side)
    });
    Source { stretches: stretches.collect(), key: TIME, is_exact: false }
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

    /// Adds the calls of a stretch. SQLite must use its index: without statistics, it would choose by the text alone.
    fn found_in(&mut self, stretch: &Stretch) -> &mut Self {
        self.read(stretch).push(" AND ").push(LISTED);
        match &stretch.only_here {
            Some(only_here) => self.push(" AND ").condition(only_here),
            None => self,
        }
    }

    /// The same for a count, which may have deleted calls, or a call twice, so that no row need be read beside its index.
    fn counted_in(&mut self, stretch: &Stretch) -> &mut Self {
        self.read(stretch);
        if WITH_DELETED.contains(&stretch.index) { self } else { self.push(" AND ").push(LISTED) }
    }

    fn read(&mut self, Stretch { index, found, .. }: &Stretch) -> &mut Self {
        self.sql += " FROM calls ";
        if !self.dialect.has_other_writers() {
            _ = write!(self.sql, "INDEXED BY {index} ");
        }
        self.push("WHERE ").condition(found)
    }

    /// Adds what is selected from each stretch of a source, in order. No more than `most` are read.
    fn select(
        &mut self,
        columns: &str,
        source: &Source,
        (order, most): (&str, i64),
        from: impl Fn(&mut Self, &Stretch),
    ) -> &mut Self {
        // SQLite merges the stretches as far as they are read. PostgreSQL does so only if each is in order of itself.
        let is_each_in_order = self.dialect.has_other_writers() && source.stretches.len() > 1;
        for (n, stretch) in source.stretches.iter().enumerate() {
            self.push(if n > 0 { " UNION ALL " } else { "" }).push(if is_each_in_order {
                "(SELECT "
            } else {
                "SELECT "
            });
            from(self.push(columns), stretch);
            if is_each_in_order {
                self.push(order).push(" LIMIT ").bind(most).push(")");
            }
        }
        self.push(order)
    }

    /// Returns the text, which lives as long as the program. There is one for each combination of filters that somebody uses:
    /// some ten thousand at most, of one kilobyte each, and others for the numbers of contacts.
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

    /// Adds that a call is on this page or a later one.
    fn after_start(&self, statement: &mut Statement) {
        let (key, is_descending) = (self.sort.column(), self.sort.is_descending());
        if let Some((at, id)) = self.start {
            let beyond = if is_descending { "<" } else { ">" };
            _ = write!(statement.sql, " AND ({key}, id) {beyond} (");
            statement.bind(at).push(", ").bind(id).push(")");
        }
    }

    /// Adds that a call is of the times of the filter.
    fn within_times(&self, statement: &mut Statement) {
        let Filter { since, before, .. } = *self.filter;
        // The start of the page bounds one end of the time already, and PostgreSQL would begin its scan at the other bound.
        if since > 0 && self.sort != Sort::Oldest {
            statement.push(" AND created_at >= ").bind(since);
        }
        if before < i64::MAX && self.sort != Sort::Newest {
            statement.push(" AND created_at < ").bind(before);
        }
    }

    /// Selects the calls of the page from a source, as far as the floor.
    fn page(&self, dialect: Dialect, source: &Source, floor: Option<&Cursor>, limit: i64) -> Statement {
        let (mut statement, is_by_time) = (Statement::new(dialect), self.sort.is_by_time());
        // PostgreSQL reads an index beyond the floor, to the end of all that have its key, such as its length.
        let is_cut = floor.is_some() && dialect.has_other_writers();
        statement.select(COLUMNS, source, (&self.order(), limit + 1), |statement, stretch| {
            if is_cut {
                statement.push(" FROM (SELECT *");
            }
            statement.found_in(stretch);
            self.after_start(statement);
            if is_by_time {
                self.within_times(statement);
            }
            if let Some(Cursor { key, id }) = floor {
                let until = if self.sort.is_descending() { ">=" } else { "<=" };
                _ = write!(statement.sql, " AND ({}, id) {until} (", self.sort.column());
                statement.bind(*key).push(", ").bind(id.as_str()).push(")");
            }
            if is_cut {
                // More than there were when the floor was found, so that calls that have come since do not hide its row.
                statement.push(&self.order()).push(" LIMIT ").bind(2 * MOST_READ).push(") AS calls WHERE TRUE");
            }
            if !is_by_time {
                self.within_times(statement);
            }
            for Part { condition, .. } in &self.parts {
                statement.push(" AND ").condition(condition);
            }
        });
        statement.push(" LIMIT ").bind(limit + 1);
        statement
    }

    /// Counts the calls of a source, as far as it matters.
    fn count(&self, dialect: Dialect, source: &Source) -> Statement {
        let Filter { since, before, .. } = *self.filter;
        let mut statement = Statement::new(dialect);
        statement.push("SELECT count(*) AS calls FROM (");
        let columns = format!("{}, id", source.key);
        statement.select(&columns, source, (&source.order(), MOST_READ + 1), |statement, stretch| {
            statement.counted_in(stretch);
            if source.key == TIME {
                statement.push(" AND created_at >= ").bind(since).push(" AND created_at < ").bind(before);
            }
        });
        statement.push(" LIMIT ").bind(MOST_READ + 1).push(") AS found");
        statement
    }

    /// Selects the last of the calls that are read for the page, if there are more.
    fn end(&self, dialect: Dialect, source: &Source, most: i64) -> Statement {
        let mut statement = Statement::new(dialect);
        let columns = format!("{}, id", self.sort.column());
        statement.select(&columns, source, (&self.order(), most + 1), |statement, stretch| {
            statement.counted_in(stretch);
            self.after_start(statement);
            // An index in another order does not have the times: it may be read to its end for those.
            if self.sort.is_by_time() {
                self.within_times(statement);
            }
        });
        statement.push(" LIMIT 1 OFFSET ").bind(most);
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
        let (source, bounds) = self.source(&wanted, limit).await?;
        let mut bounds = bounds.into_iter();
        let (rows, floor) = loop {
            let floor = match bounds.next() {
                Some(most) => self.floor(&wanted, &source, most).await?,
                None => None,
            };
            let (sql, args) = wanted.page(dialect, &source, floor.as_ref(), limit).finish();
            let rows = self.fetch_with_fresh_plan(sql, args).await?;
            if floor.is_none() || rows.len() as i64 > limit || bounds.len() == 0 {
                break (rows, floor);
            }
        };
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

    /// Chooses the index to read, and how many calls of it: a few first if most match, and more if these do not fill the page;
    /// or all.
    async fn source(&mut self, wanted: &Wanted<'_>, limit: i64) -> Result<(Source, Vec<i64>), Error> {
        let Wanted { filter, parts, sort, .. } = wanted;
        let is_timed = filter.since > 0 || filter.before < i64::MAX;
        let in_order = |part: &Part| part.source.clone().filter(|source| sort.is_by_time() && source.key == TIME);
        match (&parts[..], parts.first().and_then(in_order)) {
            ([], _) if sort.is_by_time() || !is_timed => return Ok((Source::of_all(*sort), vec![])),
            // Each call that is read matches.
            ([_], Some(source)) if source.is_exact => return Ok((source, vec![])),
            // Most do.
            ([_], Some(source)) => return Ok((source, vec![(2 * (limit + 1)).min(MOST_READ), MOST_READ])),
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
            return Ok((source, vec![]));
        }
        let source = parts.iter().find_map(in_order).unwrap_or_else(|| Source::of_all(*sort));
        Ok((source, vec![MOST_READ]))
    }

    /// Counts the calls that a source finds, as far as it matters.
    async fn count_found(&mut self, wanted: &Wanted<'_>, source: &Source) -> Result<i64, Error> {
        let (sql, args) = wanted.count(self.dialect(), source).finish();
        self.fetch_with_fresh_plan(sql, args).await?.first().map_or(Ok(0), |row| row.int("calls"))
    }

    /// Returns the last of the calls that are read for the page, at most `most`, if there are more.
    async fn floor(&mut self, wanted: &Wanted<'_>, source: &Source, most: i64) -> Result<Option<Cursor>, Error> {
        let key = wanted.sort.column();
        let (sql, args) = wanted.end(self.dialect(), source, most).finish();
        let rows = self.fetch_with_fresh_plan(sql, args).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let id = row.text("id")?.parse().map_err(|_| Error::Unreadable("calls.id"))?;
        Ok(Some(Cursor { key: row.int(key)?, id }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::engine::Location;

    /// SQLite's plan of a statement, a step a line.
    async fn plan(conn: &mut Conn, statement: Statement) -> String {
        let (sql, args) = statement.finish();
        let rows = conn.fetch(format!("EXPLAIN QUERY PLAN {sql}").leak(), args).await.unwrap();
        rows.iter().map(|row| row.text("detail").unwrap() + "\n").collect()
    }

    #[tokio::test]
    async fn a_list_by_time_is_read_in_the_order_of_its_indexes_and_its_end_is_found_without_the_rows() {
        let folder = std::env::temp_dir().join(format!("callscribe-plans-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(&Location::file(&folder.join("store.db"))).await.unwrap();
        let mut conn = store.read().await.unwrap();
        let parties = |count: usize| Some((0..count).map(|n| format!("+1415555{n:04}")).collect());
        let number = |text| Filter { number: Number::parse(text), ..Filter::default() };
        let filters = [
            Filter::default(),
            number("1234"),
            number("+14155551234"),
            Filter { parties: parties(1), ..Filter::default() },
            Filter { parties: parties(3), ..Filter::default() },
            Filter { parties: parties(100), ..Filter::default() },
            Filter { tag: Some("spring".parse().unwrap()), ..Filter::default() },
            Filter { since: 1, before: 2, ..number("1234") },
        ];
        for filter in &filters {
            for (sort, start) in [(Sort::Newest, None), (Sort::Oldest, None), (Sort::Newest, Some((5, "id")))] {
                let dialect = conn.dialect();
                let wanted = Wanted { filter, parts: parts(filter, dialect), sort, start };
                let source = wanted.parts.first().and_then(|part| part.source.clone());
                let source = source.unwrap_or_else(|| Source::of_all(sort));
                let floor = Cursor { key: 1, id: CallId::new(1) };
                let page = plan(&mut conn, wanted.page(dialect, &source, Some(&floor), 50)).await;
                let end = plan(&mut conn, wanted.end(dialect, &source, MOST_READ)).await;
                let count = plan(&mut conn, wanted.count(dialect, &source)).await;
                for plan in [&page, &end, &count] {
                    assert!(!plan.contains("TEMP B-TREE"), "{filter:?} {sort:?}:\n{plan}");
                }
                // SQLite says so only of these indexes. It reads no rows beside the others, either.
                let is_named = |stretch: &&Stretch| WITH_DELETED.contains(&stretch.index);
                let is_covered = |line: &&str| line.contains(" calls USING COVERING INDEX ");
                for plan in [&end, &count] {
                    let covered = plan.lines().filter(is_covered).count();
                    assert_eq!(
                        covered,
                        source.stretches.iter().filter(is_named).count(),
                        "{filter:?} {sort:?}:\n{plan}"
                    );
                }
            }
        }
        drop(conn);
        store.close().await;
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn postgres_reads_each_stretch_in_order_and_no_further_than_the_page_needs() {
        let (filter, dialect) = (Filter { number: Number::parse("1234"), ..Filter::default() }, Dialect::Postgres);
        let wanted = Wanted { filter: &filter, parts: parts(&filter, dialect), sort: Sort::Newest, start: None };
        let number = wanted.parts[0].source.clone().unwrap();
        let floor = Cursor { key: 1, id: CallId::new(1) };
        let all = Source::of_all(Sort::Longest);
        for (statement, each) in [
            (wanted.page(dialect, &number, None, 50), 2),
            (wanted.page(dialect, &number, Some(&floor), 50), 4),
            (wanted.end(dialect, &number, MOST_READ), 2),
            (wanted.count(dialect, &number), 2),
            (wanted.page(dialect, &all, Some(&floor), 50), 1),
        ] {
            let ordered = statement.sql.split(" ORDER BY ").skip(1);
            let limited = ordered.filter(|rest| rest.split_whitespace().take(5).any(|word| word == "LIMIT")).count();
            assert_eq!(limited, each + 1, "{}", statement.sql);
        }
    }
}
