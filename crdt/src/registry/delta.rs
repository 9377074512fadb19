//! What travels between replicas of a log.

use super::log::weight;
use super::{Entry, Process, Reason};
use names::{NodeId, ProcessName};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Runs and versions stay below: nobody can bring them to their end.
pub(super) const MAX_COUNT: u64 = 1 << 48;

/// How far a log has come: the run of its owner's daemon, then the number of its last change in
/// that run.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position {
    /// The run.
    pub run: u64,
    /// The last change; 0 for a replica that has nothing of that run yet.
    pub version: u64,
}

/// From where on a replica lacks a log, its incomplete parts included.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Progress {
    /// How far it has come.
    pub position: Position,
    /// Up to which change it does not matter that tombstones were dropped: what they ended is not
    /// here.
    pub horizon: u64,
}

impl From<Position> for Progress {
    /// That of a log in use.
    fn from(position: Position) -> Self {
        Self {
            position,
            horizon: 0,
        }
    }
}

/// What is known of a process under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It is registered.
    Live(Arc<Entry>),
    /// It was (a tombstone).
    Gone(Reason),
}

impl State {
    /// What it says of itself, if it is registered.
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        match self {
            Self::Live(entry) => Some(entry),
            Self::Gone(_) => None,
        }
    }
}

/// The newest that a log says of a process under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The name.
    pub name: ProcessName,
    /// The process.
    pub process: Process,
    /// The change that said so.
    pub version: u64,
    /// What it said.
    pub state: State,
}

impl Record {
    /// About how many bytes it takes when it is encoded; at most a few too few.
    pub(super) fn weight(&self) -> usize {
        weight(&self.name, &self.state)
    }
}

/// A part of a log: all its records whose change is after `after` and not after `upto`, in order of
/// their changes.
///
/// A record whose process changed again after `upto` is not in it: a later part has it. So parts
/// can be made and merged one after the other while the log goes on changing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Whose log.
    pub owner: NodeId,
    /// In which run of its daemon.
    pub run: u64,
    /// Which changes the receiver must have; 0 for none.
    pub after: u64,
    /// Which changes the receiver then has.
    pub upto: u64,
    /// The last change that the sender knows of.
    pub latest: u64,
    /// The last tombstone that the sender has dropped, or the log's origin: who has less than this
    /// may hold what that one ended, or another log of that run, and needs the log from its
    /// beginning; what is then not in it is gone.
    pub horizon: u64,
    /// See above.
    pub records: Vec<Record>,
}

impl Delta {
    /// Where a receiver then is.
    pub fn end(&self) -> Position {
        Position {
            run: self.run,
            version: self.upto,
        }
    }

    /// Whether a sound sender can have made it.
    pub(super) fn is_sound(&self) -> bool {
        let numbers = [self.after, self.upto, self.latest];
        let mut last = self.after;
        let in_order = self
            .records
            .iter()
            .all(|record| std::mem::replace(&mut last, record.version) < record.version);
        let entries = self
            .records
            .iter()
            .filter_map(|record| record.state.entry());
        let counted =
            self.run < MAX_COUNT && self.latest < MAX_COUNT && self.horizon <= self.latest;
        counted
            && numbers.is_sorted()
            && in_order
            && last <= self.upto
            && entries.into_iter().all(|entry| entry.is_sound())
    }
}
