//! Opening a SQLite file. One that exists is inspected before anything in it changes.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::task::spawn_blocking;

use super::location::SqliteFile;
use super::migrations::{SQLITE_MIGRATIONS, migrate_sqlite};
use super::sqlite_writer::SqliteWriter;
use crate::store::error::BadDatabase;

/// Bytes up to which a file is checked for corruption before it is opened: that takes a few hundredths of a second. A
/// larger file is checked while the program runs.
const SMALL: u64 = 8 << 20;

/// Opens the file to write, and migrates it. A missing file is created, readable by its owner alone.
pub(super) async fn open(file: SqliteFile, busy_timeout: Duration) -> Result<SqliteWriter, BadDatabase> {
    blocking(move || open_blocking(&file, busy_timeout)).await
}

fn open_blocking(file: &SqliteFile, busy_timeout: Duration) -> Result<SqliteWriter, BadDatabase> {
    let path = &file.path;
    if path.is_dir() {
        return Err(BadDatabase::Folder);
    }
    if path.try_exists().map_err(BadDatabase::Inaccessible)? {
        check_owner(path)?;
        inspect(file, busy_timeout)?;
        make_private(path);
    } else {
        create(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => BadDatabase::Nowhere,
            _ => BadDatabase::Inaccessible(error),
        })?;
    }
    let mut connection = connect(file, busy_timeout).map_err(BadDatabase::of_file)?;
    prepare_to_migrate(&connection).map_err(BadDatabase::of_file)?;
    migrate_sqlite(&mut connection)?;
    // Before the last connection closes, which would delete the WAL.
    let writer = SqliteWriter::open(path, busy_timeout).map_err(BadDatabase::of_file)?;
    close(connection)?;
    Ok(writer)
}

fn prepare_to_migrate(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    // A table that a migration copies leaves no readable bytes of the old one, which no deletion would find later.
    connection.pragma_update(None, "secure_delete", true)
}

/// Checks a file for corruption that was too large for that when it was opened.
pub(super) async fn check_for_corruption(mut file: SqliteFile, busy_timeout: Duration) -> Result<(), BadDatabase> {
    if is_small(&file.path) {
        return Ok(());
    }
    file.is_read_only = true;
    let check = move || {
        let connection = connect(&file, busy_timeout).map_err(BadDatabase::of_file)?;
        check_pages(&connection)?;
        close(connection)
    };
    blocking(check).await
}

/// Runs this on a thread where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BadDatabase> + Send + 'static,
) -> Result<T, BadDatabase> {
    spawn_blocking(work).await.unwrap_or_else(|panic| Err(BadDatabase::Unusable(Box::new(panic))))
}

/// Opens the file. Nothing in it changes before the caller changes it.
pub(super) fn connect(file: &SqliteFile, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let access = if file.is_read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let connection = match &file.vfs {
        None => Connection::open_with_flags(&file.path, flags)?,
        Some(vfs) => Connection::open_with_flags_and_vfs(&file.path, flags, vfs.as_str())?,
    };
    connection.busy_timeout(busy_timeout)?;
    // What SQLite recommends for files that may be crafted: <https://sqlite.org/security.html>.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

fn close(connection: Connection) -> Result<(), BadDatabase> {
    connection.close().map_err(|(_, error)| BadDatabase::of_file(error))
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
        // Another instance has just created it; or it is a link to nothing.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => std::fs::metadata(path).map(drop),
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
fn check_pages(connection: &Connection) -> Result<(), BadDatabase> {
    let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    let found = found.map_err(BadDatabase::of_file)?;
    match found.as_str() {
        "ok" => Ok(()),
        // If memory or the disk fails during the check, that proves nothing about the file.
        unproven if unproven.starts_with("unable to validate") => Err(BadDatabase::Unusable(found.into())),
        _ => Err(BadDatabase::Corrupt),
    }
}

/// Checks that an existing file can be used, before anything in it changes.
fn inspect(file: &SqliteFile, busy_timeout: Duration) -> Result<(), BadDatabase> {
    let connection = connect(file, busy_timeout).map_err(BadDatabase::of_file)?;
    if is_small(&file.path) {
        check_pages(&connection)?;
    }
    let tables = "SELECT count(*) AS tables, coalesce(sum(name = '_sqlx_migrations'), 0) AS ours
                  FROM sqlite_schema WHERE type = 'table'";
    let counts = connection.query_row(tables, [], |row| Ok((row.get("tables")?, row.get("ours")?)));
    let (tables, ours): (i64, i64) = counts.map_err(BadDatabase::of_file)?;
    if tables > 0 && ours == 0 {
        return Err(BadDatabase::Foreign);
    }
    if ours > 0 {
        let newest = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
        let newest: i64 = connection.query_row(newest, [], |row| row.get(0)).map_err(BadDatabase::of_file)?;
        if usize::try_from(newest).is_ok_and(|newest| newest > SQLITE_MIGRATIONS.len()) {
            return Err(BadDatabase::Newer);
        }
    }
    // Leaves nothing behind, and fails on a read-only file, where BEGIN IMMEDIATE alone would succeed.
    let attempt = "BEGIN IMMEDIATE; CREATE TABLE may_write (something INTEGER); ROLLBACK";
    connection.execute_batch(attempt).map_err(BadDatabase::of_file)?;
    close(connection)
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
