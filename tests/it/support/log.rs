//! The program's log, in full detail. All tests of a run share one log, so a test searches for words of its own.

use std::io;
use std::sync::{Mutex, Once, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Starts to record the log.
pub(super) fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let levels = Targets::new().with_target("callscribe", LevelFilter::TRACE).with_default(LevelFilter::DEBUG);
        let lines = fmt::layer().with_ansi(false).with_writer(|| Kept).with_filter(levels);
        tracing_subscriber::registry().with(lines).init();
    });
}

/// The lines so far that contain the text.
pub(crate) fn lines_with(text: &str) -> Vec<String> {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&log).lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

struct Kept;

impl io::Write for Kept {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
