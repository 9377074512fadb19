//! How much each user may write into lists through this node.
//!
//! What is written stays in a list's history, on the disks of all nodes, also when it is deleted. So
//! what a user writes is bounded: at most so many bytes at once, and as many again in the course of
//! each day. A *leaky bucket* for each user holds what was written and loses the limit's bytes evenly
//! within a day. The buckets are in memory: a restart of the daemon empties them.

use crate::http::Api;
use crate::http::connections::who::{Caller, Owner};
use crate::http::problem::{Kind, Problem};
use crdt::entry::{Edit, Entry};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// In which time a full bucket empties.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// With more users than this, those whose buckets are empty are forgotten.
const MAX_IDLE_USERS: usize = 1_024;

/// The buckets of all users.
#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<BTreeMap<Owner, Bucket>>);

/// What a user has written, less what has leaked since.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    bytes: u64,
    at: Instant,
}

/// A user has written as much as is permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exceeded {
    /// What is left of what the user has written, in bytes.
    written: u64,
    /// After this time there is room for what was to be written.
    wait: Duration,
}

impl Bucket {
    fn leaked(self, limit: u64, now: Instant) -> Self {
        let gone = now.saturating_duration_since(self.at).as_millis() * u128::from(limit)
            / DAY.as_millis();
        if gone == 0 {
            // Less than a byte: the time goes on to count.
            return self;
        }
        let gone = u64::try_from(gone).unwrap_or(u64::MAX);
        Self {
            bytes: self.bytes.saturating_sub(gone),
            at: now,
        }
    }
}

impl Quotas {
    /// Counts what a user is about to write.
    fn take(&self, who: Owner, bytes: u64, limit: u64, now: Instant) -> Result<(), Exceeded> {
        let mut buckets = self.0.lock();
        if buckets.len() > MAX_IDLE_USERS && !buckets.contains_key(&who) {
            buckets.retain(|_, bucket| {
                *bucket = bucket.leaked(limit, now);
                bucket.bytes > 0
            });
        }
        let bucket = buckets.entry(who).or_insert(Bucket { bytes: 0, at: now });
        *bucket = bucket.leaked(limit, now);
        let after = bucket.bytes.saturating_add(bytes);
        if after > limit {
            let over = u128::from((after - limit).min(limit));
            let wait = over * DAY.as_millis() / u128::from(limit.max(1));
            return Err(Exceeded {
                written: bucket.bytes,
                wait: Duration::from_millis(u64::try_from(wait).unwrap_or(u64::MAX)),
            });
        }
        bucket.bytes = after;
        Ok(())
    }

    /// Counts what a user has written, which was not known before.
    fn add(&self, who: Owner, bytes: u64, limit: u64, now: Instant) {
        let mut buckets = self.0.lock();
        let bucket = buckets.entry(who).or_insert(Bucket { bytes: 0, at: now });
        *bucket = bucket.leaked(limit, now);
        bucket.bytes = bucket.bytes.saturating_add(bytes);
    }

    /// What was counted was not written.
    fn give_back(&self, who: Owner, bytes: u64) {
        if let Some(bucket) = self.0.lock().get_mut(&who) {
            bucket.bytes = bucket.bytes.saturating_sub(bytes);
        }
    }
}

/// What was counted for a write that is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    who: Owner,
    bytes: u64,
}

impl Api {
    /// Counts what a caller is about to write; refuses it when that is more than is permitted. Root
    /// may write as much as it likes.
    pub(crate) fn count_written(&self, caller: &Caller, edit: &Edit) -> Result<Counted, Problem> {
        let who = caller.owner();
        let bytes = match who {
            Owner::User(0) => 0,
            Owner::User(_) | Owner::Address(_) => u64::try_from(edit.bytes()).unwrap_or(u64::MAX),
        };
        if bytes > 0 {
            let limit = self.policy().written_per_user;
            let taken = self.quotas().take(who, bytes, limit, Instant::now());
            taken.map_err(|exceeded| exceeded.problem(limit))?;
        }
        Ok(Counted { who, bytes })
    }

    /// Counts what undoing has written again: at most these entries.
    pub(crate) fn count_restored(&self, caller: &Caller, entries: &[Arc<Entry>]) {
        let texts = entries
            .iter()
            .map(|entry| entry.title.len() + entry.notes.len());
        let bytes = u64::try_from(texts.sum::<usize>()).unwrap_or(u64::MAX);
        let who = caller.owner();
        if who != Owner::User(0) {
            let limit = self.policy().written_per_user;
            self.quotas().add(who, bytes, limit, Instant::now());
        }
    }

    /// What was counted was not written, if the problem says so.
    pub(crate) fn count_unwritten(&self, counted: Counted, problem: &Problem) {
        if problem.kind() != Kind::Unknown {
            self.quotas().give_back(counted.who, counted.bytes);
        }
    }
}

impl Exceeded {
    fn problem(self, limit: u64) -> Problem {
        let seconds = u32::try_from(self.wait.as_secs()).unwrap_or(u32::MAX);
        let detail = format!(
            "this user has written {} bytes into lists through this node within a day, of at most \
             {limit} ([limits] written_per_uid); deleting is still possible",
            self.written
        );
        Problem::new(Kind::TooMany, detail).retry_after(seconds.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1_000_000;
    const SHARED: Owner = Owner::Address(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[test]
    fn a_user_writes_the_limit_at_once_and_again_within_a_day() {
        let (quotas, start) = (Quotas::default(), Instant::now());
        let take = |who, bytes, hours: u64| {
            let now = start + Duration::from_secs(hours * 3600);
            quotas.take(Owner::User(who), bytes, LIMIT, now)
        };
        assert_eq!(take(7, LIMIT, 0), Ok(()));
        assert_eq!(
            take(8, LIMIT, 0),
            Ok(()),
            "another user has a bucket of its own"
        );
        let exceeded = take(7, LIMIT / 2, 6).unwrap_err();
        assert_eq!(exceeded.written, LIMIT * 3 / 4);
        assert_eq!(exceeded.wait, DAY / 4);
        assert_eq!(take(7, LIMIT / 2, 12), Ok(()));
        assert!(take(7, 1, 12).is_err());
        quotas.give_back(Owner::User(7), 10);
        assert_eq!(take(7, 10, 12), Ok(()));
    }

    #[test]
    fn many_small_steps_of_time_leak_as_one() {
        let (quotas, start) = (Quotas::default(), Instant::now());
        quotas.take(SHARED, LIMIT, LIMIT, start).unwrap();
        let mut free = 0;
        for tenth in 0..36_000_u64 {
            let now = start + Duration::from_millis(tenth * 100);
            free += u64::from(quotas.take(SHARED, 1, LIMIT, now).is_ok());
        }
        let hour = LIMIT / 24;
        assert!((hour - 20_000..=hour).contains(&free), "{free} of {hour}");
    }

    #[test]
    fn users_whose_buckets_are_empty_are_forgotten() {
        let (quotas, start) = (Quotas::default(), Instant::now());
        for uid in 0..5_000 {
            let now = start + DAY * uid;
            quotas.take(Owner::User(uid), 1, LIMIT, now).unwrap();
        }
        assert!(quotas.0.lock().len() <= MAX_IDLE_USERS + 1);
    }
}
