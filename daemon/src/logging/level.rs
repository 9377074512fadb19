//! What is logged, and changing it while the daemon runs.

use crate::config::filter;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Registry, reload};

/// What is logged, and until when. Clones are of the same log.
#[derive(Clone, Debug)]
pub struct Level(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    handle: reload::Handle<Targets, Registry>,
}

#[derive(Debug)]
struct State {
    configured: String,
    for_now: Option<ForNow>,
    /// Raised by every change: a deadline set before does nothing after it.
    turn: u64,
}

#[derive(Clone, Debug)]
struct ForNow {
    level: String,
    until: Option<SystemTime>,
}

/// What is logged now, what the configuration says, and when the one becomes the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Levels {
    pub(crate) level: String,
    pub(crate) configured: String,
    pub(crate) until: Option<SystemTime>,
}

impl Level {
    pub(super) fn new(configured: &str, handle: reload::Handle<Targets, Registry>) -> Self {
        let state = State {
            configured: configured.to_owned(),
            for_now: None,
            turn: 0,
        };
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            handle,
        }))
    }

    /// As it is now.
    pub(crate) fn levels(&self) -> Levels {
        self.change(|_| {})
    }

    /// Logs what the configuration says, which is this from now on.
    pub(crate) fn configure(&self, level: &str) {
        self.change(|state| {
            state.configured = level.to_owned();
            state.for_now = None;
            state.turn += 1;
        });
    }

    /// Logs what the configuration says.
    pub(crate) fn reset(&self) -> Levels {
        self.change(|state| {
            state.for_now = None;
            state.turn += 1;
        })
    }

    /// Logs that, for so long or until it is changed again. It must have been [plausible](crate::config::plausible).
    ///
    /// Must be called in a runtime, which has the timer.
    pub(crate) fn set(&self, level: &str, time: Option<Duration>) -> Levels {
        let until = time.and_then(|time| SystemTime::now().checked_add(time));
        let mut turn = 0;
        let levels = self.change(|state| {
            state.for_now = Some(ForNow {
                level: level.to_owned(),
                until,
            });
            state.turn += 1;
            turn = state.turn;
        });
        if let Some(end) = time.and_then(|time| Instant::now().checked_add(time)) {
            let inner = Arc::downgrade(&self.0);
            tokio::spawn(async move {
                tokio::time::sleep_until(end.into()).await;
                if let Some(inner) = inner.upgrade() {
                    Self(inner).end(turn);
                }
            });
        }
        levels
    }

    fn end(&self, turn: u64) {
        self.change(|state| {
            if state.turn == turn {
                state.for_now = None;
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> Levels {
        let mut state = self.0.state.lock();
        let before = state.levels();
        change(&mut state);
        let levels = state.levels();
        if before.level != levels.level {
            if let Err(error) = self.0.handle.reload(filter(&levels.level)) {
                tracing::warn!(%error, "the log level stays as it was");
            }
            hold_libraries(&levels.level);
        }
        levels
    }
}

impl State {
    fn levels(&self) -> Levels {
        let level = self
            .for_now
            .as_ref()
            .map_or(&self.configured, |now| &now.level)
            .clone();
        Levels {
            level,
            configured: self.configured.clone(),
            until: self.for_now.as_ref().and_then(|now| now.until),
        }
    }
}

/// Lets those libraries that log by the `log` crate, the database above all, make only the lines
/// that can be wanted: what becomes of one is found out anew each time, and the database makes
/// several for each row that it reads at a start.
pub(super) fn hold_libraries(level: &str) {
    log::set_max_level(most_of_libraries(level));
}

fn most_of_libraries(level: &str) -> log::LevelFilter {
    if level.contains('=') {
        log::LevelFilter::Trace
    } else {
        log::LevelFilter::Warn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level() -> (Level, impl Sized) {
        let (filter, handle) = reload::Layer::new(filter("info"));
        (Level::new("info", handle), filter)
    }

    #[tokio::test]
    async fn a_level_for_a_time_ends_by_itself() {
        let (level, _filter) = level();
        let set = level.set("debug", Some(Duration::from_millis(1)));
        assert!(set.level == "debug" && set.configured == "info" && set.until.is_some());
        let ended = Levels {
            level: "info".into(),
            configured: "info".into(),
            until: None,
        };
        while level.levels() != ended {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn the_end_of_an_earlier_level_does_not_end_a_later_one() {
        let (level, _filter) = level();
        level.set("debug", Some(Duration::from_secs(60)));
        level.set("trace", None);
        level.end(1);
        assert_eq!(level.levels().level, "trace");
        assert_eq!(level.reset().level, "info");
        level.set("debug", None);
        level.configure("warn");
        assert_eq!(
            level.levels(),
            Levels {
                level: "warn".into(),
                configured: "warn".into(),
                until: None
            }
        );
    }

    #[test]
    fn libraries_make_no_lines_that_nobody_asked_for() {
        assert_eq!(most_of_libraries("debug"), log::LevelFilter::Warn);
        assert_eq!(
            most_of_libraries("info,fjall=trace"),
            log::LevelFilter::Trace
        );
    }
}
