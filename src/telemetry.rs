//! The log, on standard error. Lines are written by a thread of their own, as many at once as there are: nobody who has
//! something to say waits for a slow terminal, nor for a reader who has stopped reading. Where a megabyte waits already,
//! lines are left out, and their number is told.

use std::io::Write;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{LogConfig, LogFormat};

/// So many bytes may wait to be written.
const MOST_WAITING: usize = 1 << 20;

/// Whoever writes looks no more often than this for what there is: to be woken for each line would cost more than the line.
const PAUSE: Duration = Duration::from_millis(1);

/// What is left at the end is waited for so long.
const LAST: Duration = Duration::from_millis(200);

static LINES: LazyLock<Lines> = LazyLock::new(Lines::start);

/// Starts it. A second start in the same process changes nothing.
pub fn start(config: &LogConfig) {
    let lines = fmt::layer().with_writer(|| &*LINES);
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // Already started, by another instance in this process.
    let _ = tracing_subscriber::registry().with(config.targets.clone()).with(lines).try_init();
}

/// Waits a moment until all that was said is written. Before the process ends by itself, somebody has to.
pub fn finish() {
    let is_left = |waiting: &mut Waiting| !waiting.bytes.is_empty() || waiting.is_writing;
    // Nothing is to be done about what is left then.
    _ = LINES.changed.wait_timeout_while(LINES.lock(), LAST, is_left);
}

/// Lines on their way to standard error.
struct Lines {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Whether others are being written just now.
    is_writing: bool,
    /// Whether who writes is to be woken.
    is_idle: bool,
    /// Lines that were left out since the last that were taken.
    left_out: u64,
}

impl Lines {
    fn start() -> Self {
        std::thread::spawn(|| LINES.write_all_there_is());
        Self { waiting: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all_there_is(&self) {
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
            let left_out = std::mem::take(&mut waiting.left_out);
            waiting.is_writing = true;
            drop(waiting);
            // Whether anybody reads it or not.
            _ = std::io::stderr().write_all(&lines);
            if left_out > 0 {
                tracing::warn!(left_out, "the log was not read fast enough, so lines of it are missing");
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let mut waiting = self.lock();
        if waiting.bytes.len() > MOST_WAITING {
            waiting.left_out += 1;
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
