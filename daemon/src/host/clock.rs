//! The host's clocks, as the machines understand them.

use node::time::{Instant, Now, Wall};
use std::time::{Duration, SystemTime};

/// Both clocks of this process: a monotonic one that begins with it, and the host's wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: std::time::Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            start: std::time::Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Now {
        let nanos = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Now {
            instant: Instant::from_nanos(nanos),
            wall: Wall(wall_ms()),
        }
    }

    /// The moment of the process's own clock that an instant stands for.
    pub(crate) fn at(self, instant: Instant) -> std::time::Instant {
        self.start + Duration::from_nanos(instant.as_nanos())
    }
}

/// Milliseconds since the Unix epoch, by the host's clock.
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
