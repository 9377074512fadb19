//! How long the latest syncs took: a disk that gets slow shows here at once, however long it was
//! quick before.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::Duration;

/// How many are kept.
const KEPT: usize = 512;

/// The latest times.
#[derive(Debug, Default)]
pub(super) struct Syncs(Mutex<VecDeque<Duration>>);

impl Syncs {
    pub(super) fn note(&self, took: Duration) {
        let mut times = self.0.lock();
        if times.len() == KEPT {
            times.pop_front();
        }
        times.push_back(took);
    }

    /// The time that half of them took at most, and that which 99 of 100 did; `None` before the
    /// first one.
    pub(super) fn quantiles(&self) -> Option<(Duration, Duration)> {
        let times = self.0.lock();
        let mut sorted: Vec<Duration> = times.iter().copied().collect();
        drop(times);
        sorted.sort_unstable();
        let at = |percent: usize| {
            sorted
                .get((sorted.len() * percent).div_ceil(100).saturating_sub(1))
                .copied()
        };
        Some((at(50)?, at(99)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_count() {
        let syncs = Syncs::default();
        assert_eq!(syncs.quantiles(), None);
        syncs.note(Duration::from_secs(9));
        assert_eq!(
            syncs.quantiles(),
            Some((Duration::from_secs(9), Duration::from_secs(9)))
        );
        (1..=KEPT).for_each(|n| syncs.note(Duration::from_millis(u64::try_from(n).unwrap())));
        assert_eq!(
            syncs.quantiles(),
            Some((Duration::from_millis(256), Duration::from_millis(507)))
        );
    }
}
