//! The program with its memory and disk use, for tests of large files.

use std::path::PathBuf;

use callscribe::sandbox::assemblyai::AssemblyAi;
use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::twilio::Twilio;

use super::command::{ENOUGH, Folder, Program, with};
use super::listen;

/// The program as its own process, so that its memory and disk use can be measured; the vendors run in the test.
pub(crate) struct Measured {
    pub(crate) twilio: Twilio,
    pub(crate) assemblyai: AssemblyAi,
    /// The URL of `/transcribe`.
    pub(crate) url: String,
    program: Program,
    folder: Folder,
}

/// What the program had in memory, in bytes, how many it had written to disk, and the files in its folder.
pub(crate) struct Usage {
    memory: u64,
    written: u64,
    files: Vec<PathBuf>,
}

impl Measured {
    pub(crate) async fn start() -> Self {
        let twilio = Twilio::start(listen().await, Pace::instant());
        let assemblyai = AssemblyAi::start(listen().await, Pace::instant());
        let folder = Folder::new();
        let temporary = folder.path().to_str().expect("a path in UTF-8");
        let settings = [
            ("TWILIO_API_URL", twilio.url()),
            ("ASSEMBLYAI_API_URL", assemblyai.url()),
            // Nothing listens there. AssemblyAI's webhook gets lost, which does not matter here.
            ("BASE_URL", "http://127.0.0.1:1"),
            ("TMPDIR", temporary),
            // What glibc keeps for each thread depends on which threads happened to run.
            ("MALLOC_ARENA_MAX", "1"),
        ];
        let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &settings));
        let url = format!("http://{}/transcribe", program.address());
        Self { twilio, assemblyai, url, program, folder }
    }

    /// What it uses now. `growth` is counted from here, until the next call.
    pub(crate) fn usage(&self) -> Usage {
        // An earlier peak would hide what grows below it.
        self.program.reset_peak_memory();
        Usage { memory: self.program.peak_memory(), written: self.program.bytes_written(), files: self.folder.files() }
    }

    /// How many bytes more than then the program had in memory at its peak since then.
    pub(crate) fn growth(&self, since: &Usage) -> u64 {
        self.program.peak_memory().saturating_sub(since.memory)
    }

    /// Asserts that the program hardly needed more memory since then, and wrote nothing of a large file to disk.
    pub(crate) fn assert_little_more_than(&self, before: &Usage) {
        const GROWTH: u64 = 16_000_000;
        let (growth, written) = (self.growth(before), self.program.bytes_written() - before.written);
        println!("memory {} + {growth} bytes, {written} bytes written to disk", before.memory);
        assert!(growth < GROWTH, "memory grew by {growth} bytes, from {}", before.memory);
        assert_eq!(self.folder.files(), before.files);
        assert!(written < GROWTH, "the audio was written to disk");
    }
}
