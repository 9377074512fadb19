//! After a failed commit: closing the database and opening it anew.
//!
//! fjall refuses everything after a failed write or sync, and rightly: which of the rows are on the
//! disk only recovery can tell. So the database is closed, all of it, and opened again; what
//! recovery finds is the truth. As long as the disk still fails nothing is closed, so that reading
//! goes on.

use super::Recovered;
use super::commit::Committer;
use super::db::{Db, Outlives, Slot, Space};
use super::open::disk;
use super::{Epoch, WriteError, journal};
use fjall::Slice;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FIRST_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(5);
/// How long to wait for readers to finish before trying again later.
const READERS_DEADLINE: Duration = Duration::from_secs(2);
/// fjall's worker lets go of the old journal a moment after the database is closed.
const SETTLE: Duration = Duration::from_millis(20);
/// After a full disk this much must be free: enough for recovery to flush what the journal holds.
/// With less, one commit would succeed and the next fail again.
const RESERVE_BYTES: u64 = 16 << 20;

/// A time without a database that takes writes.
pub(super) struct Outage {
    error: WriteError,
    delay: Duration,
    next_attempt: Instant,
}

impl Outage {
    pub(super) fn new(error: WriteError) -> Self {
        Self {
            error,
            delay: FIRST_DELAY,
            next_attempt: Instant::now() + FIRST_DELAY,
        }
    }

    /// What commits are answered.
    pub(super) fn error(&self) -> WriteError {
        self.error
    }

    pub(super) fn next_attempt(&self) -> Instant {
        self.next_attempt
    }

    /// Waits longer before the next attempt.
    pub(super) fn postpone(&mut self) {
        self.delay = self.delay.saturating_mul(2).min(MAX_DELAY);
        self.next_attempt = Instant::now() + self.delay;
    }
}

/// Tries once. On an error the next attempt goes on from where this one got.
pub(super) fn attempt(committer: &Committer, outage: &Outage) -> Result<Recovered, String> {
    probe_disk(committer.home.dir(), outage)?;
    let slot = &committer.shared.slot;
    slot.close(READERS_DEADLINE)
        .map_err(|_| "somebody still reads the old database".to_owned())?;
    std::thread::sleep(SETTLE);
    if outage.error == WriteError::Failed {
        journal::renew(&committer.home.database()).map_err(|error| error.to_string())?;
    }
    let Epoch(last) = committer.epoch;
    let (db, recovered) = committer
        .home
        .open_database(Epoch(last.saturating_add(1)))?;
    probe_database(&db).map_err(|error| error.to_string())?;
    Slot::put(slot, db);
    Ok(recovered)
}

/// Whether recovery could lack space.
pub(super) fn is_short_of_space(dir: &Path) -> bool {
    disk(dir).is_some_and(|(free, _)| free < RESERVE_BYTES)
}

/// Whether the disk takes writes, tried beside the database.
fn probe_disk(dir: &Path, outage: &Outage) -> Result<(), String> {
    if outage.error == WriteError::Full && is_short_of_space(dir) {
        return Err("the disk is still full".to_owned());
    }
    let path = dir.join("probe");
    let probe = || {
        let mut file = File::create(&path)?;
        file.write_all(&[0; 4096])?;
        file.sync_data()
    };
    probe()
        .and_then(|()| std::fs::remove_file(&path))
        .map_err(|error: std::io::Error| error.to_string())
}

/// Whether the database takes writes.
fn probe_database(db: &Arc<Db>) -> Result<(), fjall::Error> {
    db.commit(
        [((Space::Meta, b"probe".to_vec()), Some(Slice::from(&[])))],
        Outlives::Host,
    )
}
