//! What the disk keeps: the run, and the roster with the last known addresses.
//!
//! | field | type | |
//! | --- | --- | --- |
//! | `version` | `u8` | 1 |
//! | `run` | `u64` | the highest run that this node has taken |
//! | `roster` | map | all lines |

use super::edge::{Edge, Timer};
use super::io::Output;
use crate::codec::{decode, encode};
use crate::wire::{RequestId, WriteError, WriteId};
use bytes::Bytes;
use crdt::roster::{Roster, RosterEntry, Standing};
use names::NodeId;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const VERSION: u8 = 1;
/// A failed write is tried again after this.
const REWRITE: Duration = Duration::from_secs(1);
/// How many clients may wait for a change of the roster.
const MAX_PENDING: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    version: u8,
    pub(super) run: u64,
    pub(super) roster: Roster,
}

impl Kept {
    pub(super) fn new(run: u64, roster: Roster) -> Self {
        Self {
            version: VERSION,
            run,
            roster,
        }
    }

    /// What is not readable counts as lost: then the peers know the run, and tell this node to go
    /// above it.
    pub(super) fn read(bytes: &Bytes) -> Option<Self> {
        decode::<Self>(bytes)
            .inspect_err(|error| tracing::warn!(%error, "the kept state is not readable"))
            .ok()
            .filter(|kept| kept.version == VERSION)
    }

    /// A roster too large for one value is left out: the run is what must not be lost.
    pub(super) fn bytes(mut self) -> Bytes {
        let bytes = encode(&self).or_else(|error| {
            tracing::warn!(%error, "the roster is too large to be kept");
            self.roster = Roster::default();
            encode(&self)
        });
        Bytes::from(bytes.unwrap_or_default())
    }
}

/// A change of the roster that a client waits for: it is made when it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) request: RequestId,
    pub(super) node: NodeId,
    /// The run that it is about: a newer one is not touched.
    pub(super) run: u64,
    pub(super) standing: Standing,
}

impl Pending {
    pub(super) fn applies_to(&self, roster: &Roster) -> bool {
        roster
            .get(self.node)
            .is_some_and(|entry| entry.run == self.run)
    }
}

/// What a write brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) result: Result<(), WriteError>,
    /// The run that is on disk now, if it is a new one.
    pub(super) run: Option<u64>,
    /// The changes that it carried.
    pub(super) carried: Vec<Pending>,
}

#[derive(Debug)]
struct Flight {
    id: WriteId,
    run: u64,
    carried: usize,
}

/// Keeps the disk up to date, with one write in flight at a time.
#[derive(Debug)]
pub(super) struct Keeper {
    /// The run on disk; 0 before the first write of this start.
    run: u64,
    wanted: u64,
    dirty: bool,
    pending: Vec<Pending>,
    flight: Option<Flight>,
    last_write: u64,
}

impl Keeper {
    /// To be above `run`, the last one that the disk has kept.
    pub(super) fn after(run: u64) -> Self {
        Self {
            run: 0,
            wanted: run + 1,
            dirty: true,
            pending: Vec::new(),
            flight: None,
            last_write: 0,
        }
    }

    /// The run that is taken, or shall be.
    pub(super) fn wanted(&self) -> u64 {
        self.wanted
    }

    pub(super) fn go_above(&mut self, run: u64) {
        if run >= self.wanted {
            self.wanted = run + 1;
            self.dirty = true;
        }
    }

    pub(super) fn mark_dirty(&mut self) {
        self.dirty = true;
    }

    /// False if too many wait already.
    pub(super) fn change(&mut self, pending: Pending) -> bool {
        let room = self.pending.len() < MAX_PENDING;
        if room {
            self.pending.push(pending);
            self.dirty = true;
        }
        room
    }

    /// Writes if there is something to write and nothing in flight. `me` is this node's line in the
    /// wanted run.
    pub(super) fn write(&mut self, edge: &mut Edge, roster: &Roster, me: (NodeId, RosterEntry)) {
        if !self.dirty || self.flight.is_some() {
            return;
        }
        let mut roster = roster.clone();
        roster.merge_entry(me.0, me.1);
        for change in self.pending.iter() {
            if change.applies_to(&roster) {
                roster.set_standing(change.node, change.standing);
            }
        }
        self.dirty = false;
        self.last_write += 1;
        let id = WriteId(self.last_write);
        self.flight = Some(Flight {
            id,
            run: self.wanted,
            carried: self.pending.len(),
        });
        edge.put(Output::Write {
            id,
            bytes: Kept::new(self.wanted, roster).bytes(),
        });
    }

    /// What the write that has ended brought; `None` if it is not the one in flight.
    pub(super) fn written(
        &mut self,
        edge: &mut Edge,
        id: WriteId,
        result: Result<(), WriteError>,
    ) -> Option<Outcome> {
        let flight = self.flight.take_if(|flight| flight.id == id)?;
        let carried = self
            .pending
            .drain(..flight.carried.min(self.pending.len()))
            .collect();
        if result.is_err() {
            edge.after(REWRITE, Timer::Rewrite);
            return Some(Outcome {
                result,
                run: None,
                carried,
            });
        }
        let run = (flight.run > self.run).then_some(flight.run);
        self.run = flight.run;
        Some(Outcome {
            result,
            run,
            carried,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_kept_reads_back() {
        let kept = Kept::new(7, Roster::default());
        assert_eq!(Kept::read(&kept.bytes()).map(|kept| kept.run), Some(7));
    }

    #[test]
    fn another_version_counts_as_lost() {
        let kept = Kept {
            version: VERSION + 1,
            run: 7,
            roster: Roster::default(),
        };
        assert!(Kept::read(&kept.bytes()).is_none());
    }

    proptest! {
        #[test]
        fn rubbish_counts_as_lost_or_reads(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Kept::read(&Bytes::from(bytes));
        }
    }
}
