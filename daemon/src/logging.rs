//! The daemon's log: lines on standard error, coloured at a terminal and plain in a file.

use crate::config::Log;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging for the whole process; a second call changes nothing. A directive that does not parse is left out
/// (the configuration was checked for that).
///
/// Times are RFC 3339 in UTC with microseconds, so that the logs of several nodes can be merged by sorting.
pub fn init(log: &Log) {
    let filter = EnvFilter::builder().parse_lossy(&log.level);
    let terminal = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // Fails only if a subscriber is there already, which then goes on.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(terminal).with_writer(std::io::stderr).try_init();
}
