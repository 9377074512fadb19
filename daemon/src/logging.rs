//! The daemon's log: lines on standard error, coloured at a terminal and plain in a file.

use crate::config::Log;
use std::io::IsTerminal;
use std::sync::Arc;
use tracing_subscriber::EnvFilter;

/// Changes what is logged while the process runs. Clones change the same.
#[derive(Clone)]
pub struct Level(Arc<dyn Fn(EnvFilter) + Send + Sync>);

impl std::fmt::Debug for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Level")
    }
}

impl Level {
    /// Logs that from now on.
    pub fn set(&self, log: &Log) {
        (self.0)(filter(log));
    }
}

/// Starts logging for the whole process; a second call changes nothing.
///
/// Times are RFC 3339 in UTC with microseconds, so that the logs of several nodes can be merged by sorting.
pub fn init(log: &Log) -> Level {
    let terminal = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let logger = tracing_subscriber::fmt().with_ansi(terminal).with_writer(std::io::stderr);
    let logger = logger.with_env_filter(filter(log)).with_filter_reloading();
    let handle = logger.reload_handle();
    // Fails only if a subscriber is there already, which then goes on.
    let _ = logger.try_init();
    Level(Arc::new(move |filter| {
        if let Err(error) = handle.reload(filter) {
            tracing::warn!(%error, "the log level stays as it was");
        }
    }))
}

/// A directive that does not parse is left out: the configuration was checked for that.
fn filter(log: &Log) -> EnvFilter {
    EnvFilter::builder().parse_lossy(&log.level)
}
