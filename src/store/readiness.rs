//! Whether the database can be written. A check commits a row, which also notices a lock that another program holds, a
//! server that allows only reads, and a full disk. What it found is kept, so that a stranger's request costs no access to
//! the database.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::error::Error;

/// Minimum time from one check to the next, in milliseconds.
const PAUSE: i64 = 1_000;

/// A check that takes longer than this counts as failed until it ends.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much room there must be beside a SQLite file. The file itself shows too late that the disk is full: its WAL is
/// preallocated.
const ROOM: usize = 1 << 20;

/// What the last check found.
#[derive(Debug)]
pub(super) struct Readiness {
    last: watch::Sender<Last>,
}

#[derive(Debug)]
struct Last {
    is_ready: bool,
    /// When it began, in milliseconds since 1970.
    checked_at: i64,
    /// Since when the next one runs.
    running_since: Option<Instant>,
}

impl Default for Readiness {
    /// A database that was just opened was written by its migration.
    fn default() -> Self {
        Self { last: watch::Sender::new(Last { is_ready: true, checked_at: i64::MIN, running_since: None }) }
    }
}

impl Readiness {
    pub(super) fn is_ready(&self) -> bool {
        let last = self.last.borrow();
        last.is_ready && last.running_since.is_none_or(|since| since.elapsed() < PATIENCE)
    }

    /// Begins a check, unless one runs or has ended less than a second ago.
    pub(super) fn begin(&self, now_ms: i64) -> bool {
        self.last.send_if_modified(|last| {
            let is_due = last.running_since.is_none() && now_ms.saturating_sub(last.checked_at) >= PAUSE;
            if is_due {
                last.running_since = Some(Instant::now());
            }
            is_due
        })
    }

    /// Ends the check with this result.
    pub(super) fn end(&self, proven: Result<(), Error>, now_ms: i64) {
        self.last.send_modify(|last| {
            let was_ready = std::mem::replace(&mut last.is_ready, proven.is_ok());
            (last.checked_at, last.running_since) = (now_ms, None);
            match proven {
                Err(error) if was_ready => tracing::error!("the database cannot be written: {error}"),
                Ok(()) if !was_ready => tracing::info!("the database can be written again"),
                _ => {}
            }
        });
    }

    /// Waits for the check that runs, if any. Returns what it found, or `false` if it takes too long.
    pub(super) async fn ended(&self) -> bool {
        let mut last = self.last.subscribe();
        let ended = last.wait_for(|last| last.running_since.is_none());
        tokio::time::timeout(PATIENCE, ended).await.is_ok_and(|ended| ended.is_ok_and(|last| last.is_ready))
    }
}

/// Writes a file beside this one and removes it. It is not synced, so usually nothing of it reaches the disk.
pub(super) fn has_room(path: &Path) -> io::Result<()> {
    let beside = path.with_file_name(format!("{}{}", room_of(path), std::process::id()));
    // What an earlier program with the same id left when it was killed.
    _ = std::fs::remove_file(&beside);
    let mut options = OpenOptions::new();
    // Never follows a symbolic link to another file.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&beside).and_then(|mut file| file.write_all(&vec![1; ROOM]));
    let removed = std::fs::remove_file(&beside);
    // Another program that starts now has removed it.
    let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    written.and(if removed.as_ref().is_err_and(is_gone) { Ok(()) } else { removed })
}

/// Removes the files that programs left when they were killed during [`has_room`].
pub(super) fn remove_left(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let room = room_of(path);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(&room));
        if id.is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The beginning of the names of those files. The id of the process follows: several may use the same database.
fn room_of(path: &Path) -> String {
    format!("{}-room-", path.file_name().unwrap_or_default().display())
}
