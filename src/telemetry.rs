//! The log, on standard error. A thread of its own writes the lines in batches, so that no task waits for a slow terminal or
//! a reader that has stopped reading. Lines beyond a full buffer are dropped and counted.

use std::io::Write;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{LogConfig, LogFormat};

/// Maximum number of bytes that wait to be written.
const BUFFER: usize = 1 << 20;

/// Pause of the writing thread between two batches. Waking it for each line would cost more than the line.
const PAUSE: Duration = Duration::from_millis(1);

/// Maximum time that [`finish`] waits for the remaining lines.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(200);

static LINES: LazyLock<Lines> = LazyLock::new(Lines::start);

/// Starts the log. A second start in the same process changes nothing.
pub fn start(config: &LogConfig) {
    let lines = fmt::layer().with_writer(|| &*LINES);
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // Fails if the log is already started.
    // Below that it writes what agents send.
    let targets = config.targets.clone().with_target("rmcp", LevelFilter::ERROR);
    _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
}

/// Waits until all lines are written, for [`FLUSH_TIMEOUT`] at most. Must be called before the process exits.
pub fn finish() {
    let is_left = |waiting: &mut Waiting| !waiting.bytes.is_empty() || waiting.is_writing;
    _ = LINES.changed.wait_timeout_while(LINES.lock(), FLUSH_TIMEOUT, is_left);
}

struct Lines {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// The thread is writing a batch.
    is_writing: bool,
    /// The thread waits to be woken.
    is_idle: bool,
    /// Lines dropped since the last batch.
    dropped: u64,
}

impl Lines {
    fn start() -> Self {
        std::thread::spawn(|| LINES.write_batches());
        Self { waiting: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_batches(&self) {
        let mut lines = Vec::new();
        loop {
            let mut waiting = self.lock();
            waiting.is_writing = false;
            self.changed.notify_all();
            while waiting.bytes.is_empty() {
                waiting.is_idle = true;
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            waiting.is_idle = false;
            lines.clear();
            std::mem::swap(&mut lines, &mut waiting.bytes);
            let dropped = std::mem::take(&mut waiting.dropped);
            waiting.is_writing = true;
            drop(waiting);
            _ = std::io::stderr().write_all(&lines);
            if dropped > 0 {
                tracing::warn!(dropped, "log lines were dropped because standard error was not read fast enough");
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let mut waiting = self.lock();
        if waiting.bytes.len() > BUFFER {
            waiting.dropped += 1;
            return Ok(line.len());
        }
        let is_idle = std::mem::take(&mut waiting.is_idle);
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if is_idle {
            self.changed.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
