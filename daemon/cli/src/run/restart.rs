//! When a command that failed is started again.

use api::duration;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The first wait before a restart; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A command that ran so long has started well: the next wait is the first again.
const RAN_WELL: Duration = Duration::from_secs(10);
/// The most restarts that a limit can name: each one is remembered.
const MOST_RESTARTS: usize = 1000;

/// `--restart`: after failures, at most so often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Restart {
    limit: Option<Limit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Limit {
    restarts: usize,
    within: Duration,
}

impl Restart {
    /// Reads `on-failure` or `on-failure:N/TIME`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let limit = || {
            let (restarts, within) = text.strip_prefix("on-failure:")?.split_once('/')?;
            let restarts = restarts
                .parse()
                .ok()
                .filter(|number| (1..=MOST_RESTARTS).contains(number))?;
            let within = duration::parse(within).filter(|time| !time.is_zero())?;
            Some(Limit { restarts, within })
        };
        if text == "on-failure" {
            return Ok(Self { limit: None });
        }
        limit()
            .map(|limit| Self { limit: Some(limit) })
            .ok_or_else(|| {
                format!(
                    "it must be on-failure, or on-failure:N/TIME with N from 1 to \
                {MOST_RESTARTS}, such as on-failure:5/1m"
                )
            })
    }
}

/// The restarts of one command.
#[derive(Debug)]
pub(super) struct Restarts {
    limit: Option<Limit>,
    next_wait: Duration,
    /// The last restarts, as many as the limit counts.
    times: VecDeque<Instant>,
}

impl Restarts {
    pub(super) fn new(restart: &Restart) -> Self {
        Self {
            limit: restart.limit.clone(),
            next_wait: FIRST_WAIT,
            times: VecDeque::new(),
        }
    }

    /// How long to wait before it is started again, having failed after it `ran` so long; `None`:
    /// too often.
    pub(super) fn after_failure(&mut self, ran: Duration, now: Instant) -> Option<Duration> {
        if let Some(limit) = &self.limit {
            self.times
                .retain(|time| now.saturating_duration_since(*time) < limit.within);
            if self.times.len() >= limit.restarts {
                return None;
            }
            self.times.push_back(now);
        }
        if ran >= RAN_WELL {
            self.next_wait = FIRST_WAIT;
        }
        Some(self.wait())
    }

    /// How long to wait when it could not even be started, which no limit counts.
    pub(super) fn wait(&mut self) -> Duration {
        let wait = self.next_wait;
        self.next_wait = wait.saturating_mul(2).min(LONGEST_WAIT);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn a_policy_is_read_strictly() {
        assert_eq!(Restart::parse("on-failure"), Ok(Restart { limit: None }));
        let limit = Limit {
            restarts: 5,
            within: Duration::from_secs(60),
        };
        assert_eq!(
            Restart::parse("on-failure:5/1m"),
            Ok(Restart { limit: Some(limit) })
        );
        for bad in [
            "",
            "always",
            "on-failure:",
            "on-failure:5",
            "on-failure:0/1m",
            "on-failure:5/0s",
            "on-failure:5/1",
            "on-failure:-1/1m",
        ] {
            assert!(Restart::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn waits_grow_until_it_runs_well() {
        let mut restarts = Restarts::new(&Restart { limit: None });
        let now = Instant::now();
        let waits: Vec<u128> = (0..10)
            .filter_map(|_| restarts.after_failure(MOMENT, now))
            .map(|wait| wait.as_millis())
            .collect();
        assert_eq!(
            waits,
            [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]
        );
        assert_eq!(restarts.after_failure(RAN_WELL, now), Some(FIRST_WAIT));
        assert_eq!(restarts.after_failure(MOMENT, now), Some(FIRST_WAIT * 2));
    }

    #[test]
    fn only_restarts_within_the_time_count() {
        let mut restarts = Restarts::new(&Restart::parse("on-failure:2/10s").unwrap());
        let begin = Instant::now();
        let mut at = |seconds| {
            restarts
                .after_failure(MOMENT, begin + Duration::from_secs(seconds))
                .is_some()
        };
        assert_eq!(
            [at(0), at(5), at(9), at(10), at(14), at(15)],
            [true, true, false, true, false, true]
        );
    }
}
