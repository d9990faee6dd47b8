//! What the archive has after crashes: each recording once and as a whole, and nothing of a deleted call.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::DONE_WITHIN;
use crate::world::World;

/// The name of the folder.
pub(crate) const FOLDER: &str = "archive";

/// The file by which the program recognizes it.
const MARKER: &str = "callscribe-archive.txt";

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

impl World {
    fn in_archive(&self) -> Vec<String> {
        let name = |path: PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let mut names: Vec<String> = files(&self.folder.path().join(FOLDER))
            .into_iter()
            .filter_map(name)
            .filter(|name| name != MARKER)
            .collect();
        names.sort();
        names
    }

    /// I10: the archive has all recordings of these calls once, and each call says so. Waits until it has.
    pub(crate) async fn check_archive(&mut self, calls: &BTreeMap<String, Value>) {
        let started = Instant::now();
        loop {
            let (mut expected, mut unsaid) = (Vec::new(), 0);
            for id in calls.keys() {
                let call = self.outside.json(&format!("/calls/{id}")).await.unwrap_or_default();
                let recordings = call["recordings"].as_array().cloned().unwrap_or_default();
                for recording in recordings.iter().filter(|recording| recording["state"] == "completed") {
                    let sid = recording["sid"].as_str().unwrap_or_default();
                    expected.extend([format!("{sid}.wav"), format!("{sid}.wav.sha256")]);
                    unsaid += usize::from(recording["archived"].is_null());
                }
            }
            expected.sort();
            let found = self.in_archive();
            if found == expected && unsaid == 0 {
                return;
            }
            if started.elapsed() > DONE_WITHIN {
                self.violations
                    .push(format!("I10: the archive has {found:?}, not {expected:?}; {unsaid} are not stored"));
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// I10: the archive has nothing. Waits until that is so: the start of the program writes a file there, and removes it.
    pub(crate) async fn check_empty_archive(&mut self) {
        let started = Instant::now();
        loop {
            let left = self.in_archive();
            if left.is_empty() {
                return;
            }
            if started.elapsed() > DONE_WITHIN {
                self.violations.push(format!("I10: the archive still has {left:?}"));
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
