//! The migrations of both databases.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The migrations, oldest first. A released one is never edited: sqlx compares checksums and refuses to start.
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
        ]
    };
}
pub(super) const SQLITE_MIGRATIONS: &[(&str, &str)] = migrations_of!("sqlite");
pub(super) const POSTGRES_MIGRATIONS: &[(&str, &str)] = migrations_of!("postgres");

pub(super) fn migrator(texts: &[(&'static str, &'static str)]) -> Migrator {
    let numbered = (1..).zip(texts).map(|(version, (name, text))| {
        Migration::new(version, (*name).into(), MigrationType::Simple, text.into_sql_str(), false)
    });
    Migrator::with_migrations(numbered.collect())
}
