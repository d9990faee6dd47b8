//! The sandbox's database: a file in the temporary folder, removed when the program stops.

use std::path::{Path, PathBuf};

/// Prefix of the file name. The process id follows.
const PREFIX: &str = "callscribe-sandbox-";

#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) path: PathBuf,
}

impl Scratch {
    pub(super) fn new() -> Self {
        let folder = std::env::temp_dir();
        sweep(&folder);
        Self { path: folder.join(format!("{PREFIX}{}.db", std::process::id())) }
    }
}

/// Removes the files of killed sandboxes, and of an earlier process with this process's id.
fn sweep(folder: &Path) {
    if !Path::new("/proc/self").exists() {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('.').next()?.parse::<u32>().ok());
        let is_running = |id: u32| id != std::process::id() && Path::new(&format!("/proc/{id}")).exists();
        if id.is_some_and(|id| !is_running(id)) {
            // Fails for another user's file, which may stay.
            _ = std::fs::remove_file(entry.path());
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(suffix);
            // Fails for the files that SQLite has already removed.
            _ = std::fs::remove_file(path);
        }
    }
}
