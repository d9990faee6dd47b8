//! Opening a SQLite file. One that exists is inspected before anything in it changes.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _};

use super::migrations::{SQLITE_MIGRATIONS, migrator};
use super::sqlite_writer::SqliteWriter;
use crate::store::error::BadDatabase;

/// Connections that read. One more writes.
const READERS: u32 = 4;

/// Bytes up to which a file is checked for corruption before it is opened: that takes a few hundredths of a second. A
/// larger file is checked while the program runs.
const SMALL: u64 = 8 << 20;

/// Opens the file and migrates it. A missing file is created, readable by its owner alone.
pub(super) async fn open(
    options: SqliteConnectOptions,
    acquire_timeout: Duration,
    busy_timeout: Duration,
) -> Result<(SqliteWriter, SqlitePool), BadDatabase> {
    let path = options.get_filename().to_owned();
    let options = options.busy_timeout(busy_timeout).foreign_keys(true).disable_statement_logging();
    let options = wary(options);
    if path.try_exists().map_err(BadDatabase::Inaccessible)? {
        check_owner(&path)?;
        inspect(&options).await?;
        make_private(&path);
    } else {
        create(&path).map_err(BadDatabase::Inaccessible)?;
    }
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    // A table that a migration copies leaves no readable bytes of the old one, which no deletion would find later.
    let migrating = options.clone().pragma("secure_delete", "on");
    let mut connection = migrating.connect().await.map_err(BadDatabase::of_file)?;
    let migrated = migrator(SQLITE_MIGRATIONS).run(&mut connection).await;
    // Before the last connection closes, which would delete the WAL.
    let writer = SqliteWriter::open(&path, busy_timeout)
        .map_err(|error| BadDatabase::Unusable(sqlx::Error::AnyDriverError(Box::new(error))));
    connection.close().await.map_err(BadDatabase::of_file)?;
    migrated.map_err(BadDatabase::of_migration)?;
    let writer = writer?;
    // Connections to a file do not break while idle, and testing one would cost as much as a statement.
    let readers = SqlitePoolOptions::new().acquire_timeout(acquire_timeout).test_before_acquire(false);
    let readers = readers.max_connections(READERS).connect_lazy_with(options.pragma("query_only", "on"));
    Ok((writer, readers))
}

/// Checks a file for corruption that was too large for that when it was opened.
pub(super) async fn check_for_corruption(
    options: &SqliteConnectOptions,
    busy_timeout: Duration,
) -> Result<(), BadDatabase> {
    if is_small(options.get_filename()) {
        return Ok(());
    }
    let options = options.clone().busy_timeout(busy_timeout).read_only(true).disable_statement_logging();
    let options = wary(options);
    let mut connection = options.connect().await.map_err(BadDatabase::of_file)?;
    if is_sound(&mut connection).await.map_err(BadDatabase::of_file)? {
        connection.close().await.map_err(BadDatabase::of_file)
    } else {
        Err(BadDatabase::Corrupt)
    }
}

/// What SQLite recommends for files that may be crafted: <https://sqlite.org/security.html>.
fn wary(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.pragma("trusted_schema", "off").pragma("cell_size_check", "on")
}

/// Refuses a file that another user has put into a folder, because it could be crafted. One of the folder's own user, or
/// any file if root runs the program, as in a container that has a folder of the host, only causes a warning.
#[cfg(unix)]
fn check_owner(path: &Path) -> Result<(), BadDatabase> {
    use std::os::unix::fs::MetadataExt as _;
    let owner = |of: &Path| std::fs::metadata(of).map(|about| about.uid()).map_err(BadDatabase::Inaccessible);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match judge_owner(owner(path)?, owner(folder)?, rustix::process::geteuid().as_raw()) {
        Owner::Trusted => Ok(()),
        Owner::Likely => {
            tracing::warn!("the database file belongs to another user; make sure that this user can be trusted");
            Ok(())
        }
        Owner::Stranger => Err(BadDatabase::OfAnotherUser),
    }
}

#[cfg(unix)]
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Trusted,
    Likely,
    Stranger,
}

/// Judges the user who owns a file, by the user who owns its folder and the one who runs this program.
#[cfg(unix)]
fn judge_owner(of_file: u32, of_folder: u32, runs: u32) -> Owner {
    const ROOT: u32 = 0;
    if of_file == ROOT || of_file == runs {
        Owner::Trusted
    } else if runs == ROOT || of_file == of_folder {
        Owner::Likely
    } else {
        Owner::Stranger
    }
}

#[cfg(not(unix))]
fn check_owner(_: &Path) -> Result<(), BadDatabase> {
    Ok(())
}

/// Creates an empty file that only its owner may read: it will hold phone numbers and what people said.
fn create(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        // Another instance has just created it.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

/// A file that another program created may be readable by everybody.
#[cfg(unix)]
fn make_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map(|about| about.permissions().mode()).unwrap_or_default();
    if mode & 0o077 == 0 {
        return;
    }
    match std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o700)) {
        Ok(()) => tracing::warn!("the database file was readable by other users; now only its owner may read it"),
        Err(error) => {
            tracing::warn!("the database file is readable by other users, and that cannot be changed: {error}")
        }
    }
}

#[cfg(not(unix))]
fn make_private(_: &Path) {}

fn is_small(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|about| about.len() <= SMALL)
}

/// Reads every page of a file.
async fn is_sound(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await?;
    // If memory or the disk fails during the check, that proves nothing about the file.
    if found.starts_with("unable to validate") { Err(sqlx::Error::Protocol(found)) } else { Ok(found == "ok") }
}

/// Checks that an existing file can be used, before anything in it changes.
async fn inspect(options: &SqliteConnectOptions) -> Result<(), BadDatabase> {
    let mut connection = options.connect().await.map_err(BadDatabase::of_file)?;
    let inspected = async {
        if is_small(options.get_filename()) && !is_sound(&mut connection).await? {
            return Ok(Err(BadDatabase::Corrupt));
        }
        let tables = "SELECT count(*) AS tables, coalesce(sum(name = '_sqlx_migrations'), 0) AS ours
                      FROM sqlite_schema WHERE type = 'table'";
        let row = sqlx::query(tables).fetch_one(&mut connection).await?;
        let (tables, ours): (i64, i64) = (row.try_get("tables")?, row.try_get("ours")?);
        if tables > 0 && ours == 0 {
            return Ok(Err(BadDatabase::Foreign));
        }
        if ours > 0 {
            let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
                .fetch_one(&mut connection)
                .await?;
            if usize::try_from(newest).is_ok_and(|newest| newest > SQLITE_MIGRATIONS.len()) {
                return Ok(Err(BadDatabase::Newer));
            }
        }
        // Leaves nothing behind, and fails on a read-only file, where BEGIN IMMEDIATE alone would succeed.
        let attempt = "BEGIN IMMEDIATE; CREATE TABLE may_write (something INTEGER); ROLLBACK";
        connection.execute(sqlx::raw_sql(attempt)).await?;
        Ok(Ok(()))
    };
    let inspected: Result<Result<(), BadDatabase>, sqlx::Error> = inspected.await;
    let closed = connection.close().await;
    inspected.map_err(BadDatabase::of_file)??;
    closed.map_err(BadDatabase::of_file)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_stranger_is_refused_unless_root_names_it_or_the_folder_is_the_strangers() {
        let (me, other, third) = (1_000, 1_001, 1_002);
        for (of_file, of_folder, runs, expected) in [
            (me, other, me, Owner::Trusted),
            (0, other, me, Owner::Trusted),
            (0, other, 0, Owner::Trusted),
            (other, 0, 0, Owner::Likely),
            (other, third, 0, Owner::Likely),
            (other, other, me, Owner::Likely),
            (other, me, me, Owner::Stranger),
            (other, 0, me, Owner::Stranger),
            (other, third, me, Owner::Stranger),
        ] {
            assert_eq!(judge_owner(of_file, of_folder, runs), expected, "{of_file} {of_folder} {runs}");
        }
    }
}
