//! Of a log that comes with a proof: what is put together aside, and put in place as one.

use super::super::{Reason, Shift, State};
use super::{Key, Log, MAX_BYTES, MAX_RECORDS, Slot};
use crate::lthash::LtHash;

impl Log {
    pub(in crate::registry) fn horizon(&self) -> u64 {
        self.horizon
    }

    /// Its owner's log has that horizon, and what is relayed must not have an earlier one.
    pub(in crate::registry) fn raise_horizon(&mut self, horizon: u64) {
        self.horizon = self.horizon.max(horizon);
    }

    /// What its owner's head has to prove.
    pub(in crate::registry) fn sum(&self) -> &LtHash {
        &self.sum
    }

    /// Up to which change tombstones may have been dropped where a part comes from that follows.
    pub(in crate::registry) fn reach(&self) -> u64 {
        self.position.version.max(self.horizon)
    }

    /// Adds the records of a part, all of them later than what is here.
    pub(in crate::registry) fn add(&mut self, upto: u64, records: Vec<(Key, Slot)>) {
        for (key, slot) in records {
            self.set(key, slot);
        }
        self.position.version = self.position.version.max(upto);
    }

    /// Whether it stays within the bounds of a log with so many records more.
    pub(in crate::registry) fn has_room_beside(&self, records: usize, bytes: usize) -> bool {
        self.records.len().saturating_add(records) <= MAX_RECORDS
            && self.bytes.saturating_add(bytes) <= MAX_BYTES
    }

    /// How many records it has, and how many bytes they take.
    pub(in crate::registry) fn size(&self) -> (usize, usize) {
        (self.records.len(), self.bytes)
    }

    /// What its sum becomes with all records of another log in it.
    pub(in crate::registry) fn sum_with(&self, later: &Self) -> LtHash {
        let mut sum = self.sum.clone();
        sum.insert_all(&later.sum);
        let replaced = later.records.keys().filter_map(|key| self.records.get(key));
        for statement in replaced.filter_map(Slot::proved) {
            sum.remove(statement);
        }
        sum
    }

    /// Puts all records of another log in their places, which comes to that sum; gives what that
    /// changes, in the order in which it happened.
    pub(in crate::registry) fn put_in_place(&mut self, mut later: Self, sum: LtHash) -> Vec<Shift> {
        let mut shifts = Vec::new();
        for (_, key) in std::mem::take(&mut later.order) {
            let Some(slot) = later.records.remove(&key) else {
                continue;
            };
            let after = slot.state.clone();
            let before = self.place(key.clone(), slot);
            let before = before.as_ref().and_then(Slot::entry).cloned();
            let after = after.unwrap_or(State::Gone(Reason::Unknown));
            if before.is_some() || after.entry().is_some() {
                shifts.push(Shift {
                    name: key.0,
                    process: key.1,
                    before,
                    after,
                });
            }
        }
        self.position.version = later.position.version;
        self.sum = sum;
        self.bury();
        shifts
    }
}
