//! The real binary as a process of its own, for what only a process has: memory, files, standard output.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running program. It is killed, and its folder removed, when this is dropped, whatever became of the test.
pub(crate) struct Program {
    /// Where it listens, such as `http://127.0.0.1:12345`.
    pub(crate) base: String,
    child: Child,
    folder: PathBuf,
    /// Open for as long as it runs: it must not write to a pipe that nobody holds.
    _stdout: BufReader<ChildStdout>,
}

impl Program {
    /// Starts it with these settings and no others, in an empty folder that is also its temporary one.
    pub(crate) fn start(settings: &[(String, String)]) -> Self {
        let folder = std::env::temp_dir().join(format!("callscribe-test-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&folder).expect("a new folder");
        let child = Command::new(env!("CARGO_BIN_EXE_callscribe"))
            .env_clear()
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .envs([("BIND_ADDR", "127.0.0.1:0"), ("RUST_LOG", "warn")])
            .env("TMPDIR", &folder)
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut base = None;
        let mut line = String::new();
        while base.is_none() && stdout.read_line(&mut line).is_ok_and(|length| length > 0) {
            base = line.strip_prefix("listening at ").map(|url| url.trim().to_owned());
            line.clear();
        }
        let program = Self { base: base.unwrap_or_default(), child, folder, _stdout: stdout };
        assert_ne!(program.base, "", "the program did not say where it listens");
        program
    }

    /// All files that it has written and not removed.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).expect("its folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    /// The most memory that it has had so far, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        self.figure("status", "VmHWM:") * 1_024
    }

    /// The bytes that it has sent to storage so far, also those of files that it has removed since.
    #[cfg(target_os = "linux")]
    pub(crate) fn bytes_written(&self) -> u64 {
        self.figure("io", "write_bytes:")
    }

    #[cfg(target_os = "linux")]
    fn figure(&self, file: &str, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("a process that runs");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line of this name");
        line.split_whitespace().next().and_then(|figure| figure.parse().ok()).expect("a figure")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended on its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
