//! The sandbox's database: a file in a new folder in the temporary folder, removed when the program stops.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// Prefix of the folder's name. A random text follows.
const PREFIX: &str = "callscribe-sandbox-";

#[derive(Debug)]
pub(super) struct Scratch {
    folder: PathBuf,
    /// The folder, locked as long as this process lives.
    _lock: File,
}

impl Scratch {
    /// Makes a folder that did not exist before and that only this user may enter. Removes those of killed sandboxes.
    pub(super) fn new() -> io::Result<Self> {
        let scratch = Self::within(&std::env::temp_dir())?;
        sweep(&scratch.folder);
        Ok(scratch)
    }

    fn within(parent: &Path) -> io::Result<Self> {
        loop {
            let folder = parent.join(format!("{PREFIX}{}", Uuid::new_v4().simple()));
            DirBuilder::new().mode(0o700).create(&folder)?;
            // Before the lock is taken, another sandbox may sweep the folder away.
            let lock = match File::open(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            lock.lock()?;
            if folder.exists() {
                return Ok(Self { folder, _lock: lock });
            }
        }
    }

    pub(super) fn database(&self) -> PathBuf {
        self.folder.join("callscribe.db")
    }
}

/// Removes folders of this user beside `own` that no running sandbox has locked.
fn sweep(own: &Path) {
    let (Ok(about), Some(parent)) = (own.metadata(), own.parent()) else { return };
    for entry in parent.read_dir().into_iter().flatten().flatten() {
        let is_scratch = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        // What a link leads to is not looked at.
        let is_ours = || entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == about.uid());
        if !is_scratch || !is_ours() {
            continue;
        }
        let Ok(folder) = File::open(entry.path()) else { continue };
        if folder.try_lock().is_ok() {
            _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.folder);
    }
}
