//! The daemon's log: where it goes, in which form, how much of it.
//!
//! Under systemd it goes to the journal with a field for each value (`MUSTER_PEER=…`); else lines
//! go to standard error, coloured at a terminal and plain in a file, or one JSON object a line.
//! What is logged can be changed while the daemon runs ([`Level`]), and no place in the program can
//! flood the log (`limiter`).

#[cfg(test)]
mod events;
mod level;
mod limiter;

pub use level::Level;
pub(crate) use level::Levels;
pub(crate) use limiter::Limiter;

use crate::config::{Log, LogFormat, filter};
use crate::flight::Recorder;
use std::io::IsTerminal;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// What can be asked of the log while the process runs. Clones are of the same log.
#[derive(Clone, Debug)]
pub struct Logging {
    /// What is logged.
    pub(crate) level: Level,
    /// What was left out.
    pub(crate) limiter: Limiter,
    /// The decisions of the last minutes, whatever is logged.
    pub(crate) recorder: Recorder,
}

/// Starts logging for the whole process; a second call changes nothing.
///
/// Times are RFC 3339 in UTC with microseconds, so that the logs of several nodes can be merged by
/// sorting.
pub fn init(log: &Log) -> Logging {
    let (filter, handle) = reload::Layer::new(filter(&log.level));
    let limiter = Limiter::default();
    let recorder = Recorder::default();
    let sink = sink(log.format)
        .with_filter(limiter.clone())
        .with_filter(filter);
    // Fails only if a subscriber is there already, which then goes on.
    let _ = tracing_subscriber::registry()
        .with(sink)
        .with(recorder.layer())
        .try_init();
    level::hold_libraries(&log.level);
    Logging {
        level: Level::new(&log.level, handle),
        limiter,
        recorder,
    }
}

type Sink<S> = Box<dyn Layer<S> + Send + Sync>;

fn sink<S: tracing::Subscriber + for<'a> LookupSpan<'a>>(format: LogFormat) -> Sink<S> {
    let lines = || tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Json => lines().json().flatten_event(true).boxed(),
        LogFormat::Text => lines().with_ansi(is_coloured()).boxed(),
        LogFormat::Journal => journal().unwrap_or_else(|error| {
            eprintln!(
                "musterd: the journal cannot be reached, the log goes to standard error: \
                {error}"
            );
            lines().with_ansi(is_coloured()).boxed()
        }),
        LogFormat::Auto if stderr_is_the_journal() => sink(LogFormat::Journal),
        LogFormat::Auto => sink(LogFormat::Text),
    }
}

fn journal<S: tracing::Subscriber + for<'a> LookupSpan<'a>>() -> std::io::Result<Sink<S>> {
    let layer = tracing_journald::layer()?;
    Ok(layer
        .with_field_prefix(Some("MUSTER".to_owned()))
        .with_syslog_identifier("musterd".to_owned())
        .boxed())
}

fn is_coloured() -> bool {
    std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// systemd names the stream that it connected to the journal by device and inode (systemd.exec(5)):
/// what was redirected since is something else.
fn stderr_is_the_journal() -> bool {
    let named = std::env::var("JOURNAL_STREAM").ok();
    let Ok(stat) = rustix::fs::fstat(std::io::stderr()) else {
        return false;
    };
    named.is_some_and(|named| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}
