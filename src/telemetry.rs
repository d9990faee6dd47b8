//! The log, on standard error.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{LogConfig, LogFormat};

/// Starts it. A second start in the same process changes nothing.
pub fn start(config: &LogConfig) {
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // Already started, by another instance in this process.
    let _ = tracing_subscriber::registry().with(lines.with_filter(config.targets.clone())).try_init();
}
