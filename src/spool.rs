//! The spool: files that clients send in pieces, until AssemblyAI has them. Each is a file that only its owner may read, with
//! a note beside it that says what it is for. What was received of a file outlives broken connections and the program. The spool
//! knows neither HTTP nor jobs.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::spooled::{FileId, SpoolId};

/// How long a file and its note stay. Then they are removed, whether or not the file is complete.
pub const KEPT_FOR: Duration = Duration::from_hours(48);

/// Bytes of the disk that the spool leaves to others, such as the database.
const RESERVE: u64 = 256 << 20;

/// The most files whose sending has begun. A page sends two at a time.
const MOST_FILES: usize = 100;

/// The name of the file with the id of the spool.
const ID: &str = "spool";

/// The ends of the names of a file and of its note.
const AUDIO: &str = "audio";
const NOTE: &str = "note";
const NEW_NOTE: &str = "new";

/// Why the spool does not take something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none, or not any more.
    #[error("there is no such upload, or not any more: send the file from its beginning")]
    NoSuchFile,
    #[error("the disk has no room for this file; free some, or send a smaller one")]
    NoRoom,
    #[error("{MOST_FILES} uploads are not finished; wait for them, or cancel some")]
    TooManyFiles,
    /// The bytes do not begin where the file ends.
    #[error("the upload goes on at byte {offset}")]
    OtherOffset { offset: u64 },
    #[error("another connection still sends this file; try again shortly")]
    Locked,
    #[error("the upload is longer than its Upload-Length")]
    TooLong,
    #[error("the folder of unfinished uploads cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

/// What is noted of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Note<T> {
    /// Bytes of the whole file.
    pub length: u64,
    /// In milliseconds since 1970.
    pub created_at: i64,
    /// What it is for, or what came of it.
    pub purpose: T,
}

/// A folder for files that are sent in pieces.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
    id: SpoolId,
}

/// What is read of a note without its purpose.
#[derive(Deserialize)]
struct Extent {
    length: u64,
    created_at: i64,
}

impl Spool {
    /// Opens the spool in this folder, which it makes if there is none, and which only this user may enter.
    pub fn open(folder: &Path) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(folder) {
            // The umask may have taken something away.
            Ok(()) => fs::set_permissions(folder, Permissions::from_mode(0o700))?,
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            Err(_) => {}
        }
        // What a link leads to may be another user's.
        let data = fs::symlink_metadata(folder)?;
        if !data.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        // Others may need a folder that was there before, so it is left as it is.
        if data.permissions().mode() & 0o077 != 0 {
            let why = "others may enter it; name a folder that only this user may enter (chmod 700), or that does not exist yet";
            return Err(io::Error::new(ErrorKind::PermissionDenied, why));
        }
        let name = folder.join(ID);
        let id = match fs::read_to_string(&name).map(|id| id.parse()) {
            Ok(Ok(id)) => id,
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {
                let id = SpoolId::random();
                // A start that was killed may have left one.
                remove(&folder.join(NEW_NOTE))?;
                write_new(&folder.join(NEW_NOTE), id.as_str().as_bytes())?;
                fs::rename(folder.join(NEW_NOTE), &name)?;
                id
            }
        };
        Ok(Self { folder: folder.to_owned(), id })
    }

    /// Tells this spool from others that share a database.
    pub fn id(&self) -> &SpoolId {
        &self.id
    }

    /// Begins a file, if the disk has room for all of it beside the rest of the files that have begun.
    pub fn begin<T: Serialize>(&self, id: &FileId, note: &Note<T>) -> Result<(), Error> {
        let _lock = self.lock()?;
        let (mut count, mut missing) = (0, 0);
        for other in self.files()? {
            let received = self.received(&other)?;
            let extent = self.extent(&other)?;
            if let (Some(received), Some(extent)) = (received, extent) {
                (count, missing) = (count + 1, missing + extent.length.saturating_sub(received));
            }
        }
        if count >= MOST_FILES {
            return Err(Error::TooManyFiles);
        }
        let disk = rustix::fs::statvfs(self.folder.as_os_str().as_bytes())
            .map_err(|error| io::Error::from_raw_os_error(error.raw_os_error()))?;
        if !has_room(disk.f_bavail.saturating_mul(disk.f_frsize), missing, note.length) {
            return Err(Error::NoRoom);
        }
        self.put_note(id, note)?;
        write_new(&self.path(id, AUDIO), b"")?;
        Ok(())
    }

    /// Returns the note of a file.
    pub fn note<T: DeserializeOwned>(&self, id: &FileId) -> Result<Option<Note<T>>, Error> {
        self.read_note(id)
    }

    fn extent(&self, id: &FileId) -> Result<Option<Extent>, Error> {
        self.read_note(id)
    }

    fn read_note<T: DeserializeOwned>(&self, id: &FileId) -> Result<Option<T>, Error> {
        match fs::read(self.path(id, NOTE)) {
            Ok(note) => Ok(Some(serde_json::from_slice(&note).map_err(io::Error::from)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns how many bytes of a file were received. `None` if it is not here any more.
    pub fn received(&self, id: &FileId) -> Result<Option<u64>, Error> {
        match fs::metadata(self.path(id, AUDIO)) {
            Ok(data) => Ok(Some(data.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a file to append to it at this offset. Nobody else can meanwhile.
    pub fn append(&self, id: &FileId, offset: u64) -> Result<Appending, Error> {
        let Some(Extent { length, .. }) = self.extent(id)? else { return Err(Error::NoSuchFile) };
        let mut file = OpenOptions::new().write(true).open(self.path(id, AUDIO)).map_err(or_none)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let received = file.seek(SeekFrom::End(0))?;
        if received != offset {
            return Err(Error::OtherOffset { offset: received });
        }
        Ok(Appending { file, received, length })
    }

    /// Opens a file to read it.
    pub fn read(&self, id: &FileId) -> Result<File, Error> {
        File::open(self.path(id, AUDIO)).map_err(or_none)
    }

    /// Replaces the purpose of a file by what came of it, and removes the file.
    pub fn end<T: Serialize>(&self, id: &FileId, note: &Note<T>) -> Result<(), Error> {
        let _lock = self.lock()?;
        // Somebody may have removed it meanwhile.
        if self.extent(id)?.is_none() {
            return Ok(());
        }
        self.put_note(id, note)?;
        Ok(remove(&self.path(id, AUDIO))?)
    }

    /// Removes a file with its note.
    pub fn remove(&self, id: &FileId) -> Result<(), Error> {
        let _lock = self.lock()?;
        Ok(self.remove_locked(id)?)
    }

    fn remove_locked(&self, id: &FileId) -> io::Result<()> {
        for end in [AUDIO, NEW_NOTE, NOTE] {
            remove(&self.path(id, end))?;
        }
        Ok(())
    }

    /// The files of which everything was received.
    pub fn whole(&self) -> Result<Vec<FileId>, Error> {
        let mut whole = Vec::new();
        for id in self.files()? {
            if let (Some(received), Some(Extent { length, .. })) = (self.received(&id)?, self.extent(&id)?)
                && received == length
            {
                whole.push(id);
            }
        }
        Ok(whole)
    }

    /// Removes what has been here for too long.
    pub fn purge(&self, now: i64) -> Result<(), Error> {
        let _lock = self.lock()?;
        let kept = i64::try_from(KEPT_FOR.as_millis()).unwrap_or(i64::MAX);
        for id in self.files()? {
            // A file without a note is of no use. One that is dated far ahead is from before the clock was set back.
            if self.extent(&id)?.is_none_or(|Extent { created_at, .. }| (now - created_at).abs() >= kept) {
                self.remove_locked(&id)?;
            }
        }
        Ok(())
    }

    /// Keeps others, also other processes, from changing which files there are.
    fn lock(&self) -> io::Result<File> {
        let file = File::open(self.folder.join(ID))?;
        file.lock()?;
        Ok(file)
    }

    /// The ids of all files and notes.
    fn files(&self) -> io::Result<Vec<FileId>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = PathBuf::from(entry?.file_name());
            let id = name.file_stem().and_then(OsStr::to_str).and_then(|id| id.parse().ok());
            if name.extension().is_some() {
                ids.extend(id);
            }
        }
        ids.sort_unstable_by(|one: &FileId, other: &FileId| one.as_str().cmp(other.as_str()));
        ids.dedup();
        Ok(ids)
    }

    /// Replaces a note at once, so that a crash leaves the one or the other.
    fn put_note<T: Serialize>(&self, id: &FileId, note: &Note<T>) -> io::Result<()> {
        let new = self.path(id, NEW_NOTE);
        remove(&new)?;
        write_new(&new, &serde_json::to_vec(note)?)?;
        fs::rename(&new, self.path(id, NOTE))
    }

    fn path(&self, id: &FileId, end: &str) -> PathBuf {
        self.folder.join(format!("{id}.{end}"))
    }
}

/// A file that is open for one sender.
#[derive(Debug)]
pub struct Appending {
    file: File,
    received: u64,
    length: u64,
}

impl Appending {
    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let end = self.received + bytes.len() as u64;
        if end > self.length {
            return Err(Error::TooLong);
        }
        self.file.write_all(bytes).map_err(|error| match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Error::NoRoom,
            _ => error.into(),
        })?;
        self.received = end;
        Ok(())
    }

    /// Makes what was appended durable. Returns how much of the file there is, and whether that is all.
    pub fn finish(self) -> Result<(u64, bool), Error> {
        self.file.sync_data()?;
        Ok((self.received, self.received == self.length))
    }
}

/// Whether a file of this length fits on the disk beside what is still to come of others.
fn has_room(free: u64, missing: u64, length: u64) -> bool {
    free.checked_sub(RESERVE).and_then(|free| free.checked_sub(missing)).is_some_and(|free| free >= length)
}

/// Writes a file that only this user may read.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Removes a file that may be gone.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn or_none(error: io::Error) -> Error {
    if error.kind() == ErrorKind::NotFound { Error::NoSuchFile } else { error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_begins_only_where_the_disk_has_room_for_all_that_is_to_come() {
        assert!(has_room(RESERVE + 30, 20, 10));
        assert!(!has_room(RESERVE + 30, 20, 11));
        assert!(!has_room(RESERVE + 10, 20, 1), "others fill it already");
        assert!(!has_room(RESERVE - 1, 0, 0));
    }
}
