//! Every deadline that a machine waits for, in one ordered table.

use crate::time::Instant;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct Timers<T> {
    due: BTreeMap<(Instant, T, u64), ()>,
    sequence: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self {
            due: BTreeMap::new(),
            sequence: 0,
        }
    }
}

impl<T: Ord> Timers<T> {
    /// Ties fire in the order of the timers themselves, then in the order in which they were set.
    pub(crate) fn set(&mut self, at: Instant, timer: T) {
        self.sequence += 1;
        self.due.insert((at, timer, self.sequence), ());
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.keys().next().map(|(at, ..)| *at)
    }

    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<T> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove_entry().0.1)
    }
}
