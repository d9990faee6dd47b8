//! The migrations of both databases. sqlx runs PostgreSQL's; [`migrate_sqlite`] keeps the same table in SQLite.

use std::time::Instant;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use sqlx::SqlSafeStr as _;
use sqlx_core::migrate::{MigrateError, Migration, MigrationType, Migrator};

use crate::store::error::BadDatabase;

/// The migrations, oldest first. A released one is never edited: checksums are compared, and the program refuses to start.
macro_rules! migrations_of {
    ($database:literal) => {
        &[
            ("calls", include_str!(concat!("../migrations/", $database, "/0001_calls.sql"))),
            ("base url", include_str!(concat!("../migrations/", $database, "/0002_base_url.sql"))),
            ("dialling", include_str!(concat!("../migrations/", $database, "/0003_dialling.sql"))),
            ("search", include_str!(concat!("../migrations/", $database, "/0004_search.sql"))),
            ("deletion", include_str!(concat!("../migrations/", $database, "/0005_deletion.sql"))),
            ("facts", include_str!(concat!("../migrations/", $database, "/0006_facts.sql"))),
            ("fewer pages", include_str!(concat!("../migrations/", $database, "/0007_fewer_pages.sql"))),
            ("newest first", include_str!(concat!("../migrations/", $database, "/0008_newest_first.sql"))),
            ("redated calls", include_str!(concat!("../migrations/", $database, "/0009_redated_calls.sql"))),
            ("ended sessions", include_str!(concat!("../migrations/", $database, "/0010_ended_sessions.sql"))),
            ("readiness", include_str!(concat!("../migrations/", $database, "/0011_readiness.sql"))),
            (
                "unasked transcripts",
                include_str!(concat!("../migrations/", $database, "/0012_unasked_transcripts.sql")),
            ),
            ("losses", include_str!(concat!("../migrations/", $database, "/0013_losses.sql"))),
            ("empty transcripts", include_str!(concat!("../migrations/", $database, "/0014_empty_transcripts.sql"))),
            ("models", include_str!(concat!("../migrations/", $database, "/0015_models.sql"))),
            ("speakers", include_str!(concat!("../migrations/", $database, "/0016_speakers.sql"))),
            ("unreported calls", include_str!(concat!("../migrations/", $database, "/0017_unreported_calls.sql"))),
            ("deleted stubs", include_str!(concat!("../migrations/", $database, "/0018_deleted_stubs.sql"))),
            ("folding", include_str!(concat!("../migrations/", $database, "/0019_folding.sql"))),
            ("legs", include_str!(concat!("../migrations/", $database, "/0020_legs.sql"))),
            ("contacts", include_str!(concat!("../migrations/", $database, "/0021_contacts.sql"))),
            ("legs in use", include_str!(concat!("../migrations/", $database, "/0022_legs_in_use.sql"))),
            ("tags", include_str!(concat!("../migrations/", $database, "/0023_tags.sql"))),
            ("speakers found", include_str!(concat!("../migrations/", $database, "/0024_speakers_found.sql"))),
            ("corrections", include_str!(concat!("../migrations/", $database, "/0025_corrections.sql"))),
            ("replacements", include_str!(concat!("../migrations/", $database, "/0026_replacements.sql"))),
            ("checks", include_str!(concat!("../migrations/", $database, "/0027_checks.sql"))),
            (
                "current transcripts",
                include_str!(concat!("../migrations/", $database, "/0028_current_transcripts.sql")),
            ),
            (
                "undone replacements",
                include_str!(concat!("../migrations/", $database, "/0029_undone_replacements.sql")),
            ),
            ("vocabulary", include_str!(concat!("../migrations/", $database, "/0030_vocabulary.sql"))),
            ("measures", include_str!(concat!("../migrations/", $database, "/0031_measures.sql"))),
            ("blind checks", include_str!(concat!("../migrations/", $database, "/0032_blind_checks.sql"))),
            ("accepted words", include_str!(concat!("../migrations/", $database, "/0033_accepted_words.sql"))),
            ("trials", include_str!(concat!("../migrations/", $database, "/0034_trials.sql"))),
            ("spellings", include_str!(concat!("../migrations/", $database, "/0035_spellings.sql"))),
            ("terms of orders", include_str!(concat!("../migrations/", $database, "/0036_terms_of_orders.sql"))),
            ("uploads", include_str!(concat!("../migrations/", $database, "/0037_uploads.sql"))),
            ("imports", include_str!(concat!("../migrations/", $database, "/0038_imports.sql"))),
            ("imported calls", include_str!(concat!("../migrations/", $database, "/0039_imported_calls.sql"))),
            ("costs", include_str!(concat!("../migrations/", $database, "/0040_costs.sql"))),
            ("summaries", include_str!(concat!("../migrations/", $database, "/0041_summaries.sql"))),
            ("prices", include_str!(concat!("../migrations/", $database, "/0042_prices.sql"))),
            ("sums of costs", include_str!(concat!("../migrations/", $database, "/0043_sums_of_costs.sql"))),
            ("calls by cost", include_str!(concat!("../migrations/", $database, "/0044_calls_by_cost.sql"))),
            ("webhooks", include_str!(concat!("../migrations/", $database, "/0045_webhooks.sql"))),
            ("archive", include_str!(concat!("../migrations/", $database, "/0046_archive.sql"))),
            ("tokens", include_str!(concat!("../migrations/", $database, "/0047_tokens.sql"))),
            ("idempotency keys", include_str!(concat!("../migrations/", $database, "/0048_idempotency_keys.sql"))),
        ]
    };
}
pub(super) const SQLITE_MIGRATIONS: &[(&str, &str)] = migrations_of!("sqlite");
pub(super) const POSTGRES_MIGRATIONS: &[(&str, &str)] = migrations_of!("postgres");

/// What sqlx creates.
const MIGRATIONS_TABLE: &str = "
CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
)";

pub(super) fn migrator(texts: &[(&'static str, &'static str)]) -> Migrator {
    let numbered = (1..).zip(texts).map(|(version, (name, text))| {
        Migration::new(version, (*name).into(), MigrationType::Simple, text.into_sql_str(), false)
    });
    Migrator::with_migrations(numbered.collect())
}

/// Runs the migrations that this SQLite database lacks, each in a transaction.
pub(super) fn migrate_sqlite(connection: &mut Connection) -> Result<(), BadDatabase> {
    let of_file = BadDatabase::of_file;
    connection.execute_batch(MIGRATIONS_TABLE).map_err(of_file)?;
    let unfinished = "SELECT version FROM _sqlx_migrations WHERE NOT success ORDER BY version LIMIT 1";
    let unfinished = connection.query_row(unfinished, [], |row| row.get(0)).optional().map_err(of_file)?;
    if let Some(version) = unfinished {
        return Err(BadDatabase::Differs(MigrateError::Dirty(version)));
    }
    let migrator = migrator(SQLITE_MIGRATIONS);
    let newest = "SELECT max(version) FROM _sqlx_migrations";
    let newest: Option<i64> = connection.query_row(newest, [], |row| row.get(0)).map_err(of_file)?;
    if newest.is_some_and(|newest| !migrator.version_exists(newest)) {
        return Err(BadDatabase::Newer);
    }
    migrator.iter().try_for_each(|migration| run(connection, migration))
}

/// Runs a migration unless it has been run, as sqlx does: the table is sqlx's, too.
fn run(connection: &mut Connection, migration: &Migration) -> Result<(), BadDatabase> {
    let (begun, version) = (Instant::now(), migration.version);
    let mut run = || -> rusqlite::Result<Option<Vec<u8>>> {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another instance may have run it while this one waited for the lock.
        let checksum = "SELECT checksum FROM _sqlx_migrations WHERE version = $1";
        let checksum = tx.query_row(checksum, [version], |row| row.get(0)).optional()?;
        if checksum.is_none() {
            tx.execute_batch(migration.sql.as_str())?;
            let done = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                        VALUES ($1, $2, TRUE, $3, $4)";
            let nanoseconds = i64::try_from(begun.elapsed().as_nanos()).unwrap_or(i64::MAX);
            tx.execute(done, params![version, migration.description, migration.checksum, nanoseconds])?;
        }
        tx.commit()?;
        Ok(checksum)
    };
    match run().map_err(BadDatabase::of_file)? {
        Some(checksum) if checksum != *migration.checksum => {
            Err(BadDatabase::Differs(MigrateError::VersionMismatch(version)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(connection: &Connection) -> Vec<(i64, String, String, i64)> {
        let sql = "SELECT version, description, substr(hex(checksum), 1, 12), length(checksum) FROM _sqlx_migrations
                   WHERE success AND execution_time >= 0 AND unixepoch(installed_on) > 0 ORDER BY version";
        let mut rows = connection.prepare(sql).unwrap();
        rows.query_map([], |row| row.try_into()).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_has_run_is_noted_as_sqlx_notes_it_and_runs_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate_sqlite(&mut connection).unwrap();
        let noted = rows(&connection);
        assert_eq!(noted.len(), SQLITE_MIGRATIONS.len());
        // The first bytes of the SHA-384 of each text.
        assert_eq!(noted[0], (1, "calls".to_owned(), "E8A00B4F1E47".to_owned(), 48));
        assert_eq!(noted[12], (13, "losses".to_owned(), "11FC9F720978".to_owned(), 48));
        migrate_sqlite(&mut connection).unwrap();
        assert_eq!(rows(&connection), noted);
    }

    #[test]
    fn a_database_whose_migrations_are_not_ours_is_refused() {
        for (change, expected) in [
            (
                "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 2",
                "migration 2 was previously applied but",
            ),
            ("UPDATE _sqlx_migrations SET success = FALSE WHERE version = 2", "migration 2 is partially applied"),
            ("UPDATE _sqlx_migrations SET version = 99 WHERE version = 13", "a newer version"),
        ] {
            let mut connection = Connection::open_in_memory().unwrap();
            migrate_sqlite(&mut connection).unwrap();
            connection.execute_batch(change).unwrap();
            let refused = migrate_sqlite(&mut connection).unwrap_err().to_string();
            assert!(refused.contains(expected), "{change}: {refused}");
        }
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing_behind() {
        let mut connection = Connection::open_in_memory().unwrap();
        let text = "CREATE TABLE first (a); CREATE TABLE first (a)".into_sql_str();
        connection.execute_batch(MIGRATIONS_TABLE).unwrap();
        let migration = Migration::new(1, "first".into(), MigrationType::Simple, text, false);
        let failed = run(&mut connection, &migration).unwrap_err().to_string();
        assert!(failed.contains("table first already exists"), "{failed}");
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'first'";
        assert_eq!(connection.query_row(tables, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
        assert!(connection.is_autocommit() && rows(&connection).is_empty());
    }
}
