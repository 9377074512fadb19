//! What is to be kept on disk: one write at a time, and meanwhile what is asked waits for the next.

use super::edge::{Edge, Timer};
use super::links::Link;
use super::own::Registered;
use super::rows::RowKey;
use super::{Command, KeptRow, Output, Reply};
use crate::wire::{RequestId, WriteId};
use bytes::Bytes;
use crdt::registry::Process;
use names::{Handle, ProcessName};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How many requests wait for the write in flight.
const MAX_QUEUED: usize = 4_096;
/// How many requests are kept by one write.
const MAX_STEPS: usize = 512;
/// How many rows that nobody waits for go with one write.
const MAX_DIRTY: usize = 512;
/// After a failed write nothing is tried again for so long, unless a client asks.
const REWRITE: Duration = Duration::from_secs(1);

/// What is done once it is kept.
#[derive(Debug)]
pub(super) enum Act {
    /// Nothing: it was so already.
    Nothing,
    /// A registration, or another state of one.
    Put {
        name: ProcessName,
        registered: Registered,
        occasion: Occasion,
    },
    /// The end of one.
    Remove { name: ProcessName, process: Process },
    /// A link from a process to another one.
    Link {
        name: ProcessName,
        other: Handle,
        link: Link,
    },
    /// The end of some.
    Unlink {
        name: ProcessName,
        others: Vec<Handle>,
    },
}

/// Why a registration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The process registers under that name.
    New,
    /// It does so again.
    Renewal,
    /// Its groups change. A registration that ends while this is written stays ended.
    Change,
}

/// A request that waits to be judged.
#[derive(Debug)]
pub(super) struct Asked {
    /// Which of all requests it is, from 1.
    pub(super) number: u64,
    pub(super) request: RequestId,
    pub(super) command: Command,
}

/// One request on its way.
#[derive(Debug)]
pub(super) struct Step {
    /// See [`Asked::number`].
    pub(super) number: u64,
    pub(super) request: RequestId,
    pub(super) reply: Reply,
    pub(super) act: Act,
}

#[derive(Debug)]
struct Flight {
    id: WriteId,
    steps: Vec<Step>,
    keys: Vec<RowKey>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    queue: VecDeque<Asked>,
    flight: Option<Flight>,
    last: u64,
    /// How many requests have come.
    asked: u64,
    /// Rows that differ from what was last written, or may.
    dirty: BTreeSet<RowKey>,
    /// The last write failed: all that was written may be lost.
    failed: bool,
    /// And it is too early to try again.
    resting: bool,
}

impl Ledger {
    /// False if too many wait already.
    pub(super) fn enqueue(&mut self, request: RequestId, command: Command) -> bool {
        let room = self.queue.len() < MAX_QUEUED;
        if room {
            self.asked += 1;
            self.queue.push_back(Asked {
                number: self.asked,
                request,
                command,
            });
        }
        room
    }

    /// Judges these again when the write that is made now has landed, before all others.
    pub(super) fn defer(&mut self, deferred: Vec<Asked>) {
        for asked in deferred.into_iter().rev() {
            self.queue.push_front(asked);
        }
    }

    pub(super) fn limit() -> usize {
        MAX_QUEUED
    }

    pub(super) fn mark(&mut self, key: RowKey) {
        self.dirty.insert(key);
    }

    /// How many requests have come.
    pub(super) fn asked(&self) -> u64 {
        self.asked
    }

    /// The first request that is not answered. Both the write in flight and the queue are in order.
    pub(super) fn first_waiting(&self) -> Option<u64> {
        let steps = self.flight.as_ref().map(|flight| flight.steps.iter());
        let in_flight = steps.and_then(|mut steps| steps.next());
        let queued = self.queue.front().map(|asked| asked.number);
        in_flight
            .map(|step| step.number)
            .into_iter()
            .chain(queued)
            .min()
    }

    /// Whether there is something to write, and nothing in flight.
    pub(super) fn wants_write(&self) -> bool {
        let is_dirty = !self.dirty.is_empty();
        self.flight.is_none() && (!self.queue.is_empty() || is_dirty && !self.resting)
    }

    /// The requests for the next write.
    pub(super) fn due(&mut self) -> Vec<Asked> {
        self.queue
            .drain(..self.queue.len().min(MAX_STEPS))
            .collect()
    }

    /// Writes the rows of these steps, and of those marked as dirty, read by `current`. Gives the
    /// steps back if there is nothing to write.
    pub(super) fn write(
        &mut self,
        edge: &mut Edge,
        steps: Vec<Step>,
        mut rows: BTreeMap<RowKey, Option<Bytes>>,
        current: impl Fn(&RowKey) -> Option<Bytes>,
    ) -> Option<Vec<Step>> {
        for key in rows.keys() {
            self.dirty.remove(key);
        }
        while rows.len() < MAX_STEPS + MAX_DIRTY {
            let Some(key) = self.dirty.pop_first() else {
                break;
            };
            let value = current(&key);
            rows.insert(key, value);
        }
        let keys = rows.keys().cloned().collect();
        let rows: Vec<KeptRow> = rows
            .into_iter()
            .map(|(key, value)| KeptRow {
                key: key.bytes(),
                value,
            })
            .collect();
        if rows.is_empty() {
            return Some(steps);
        }
        self.last += 1;
        let id = WriteId(self.last);
        self.flight = Some(Flight { id, steps, keys });
        edge.put(Output::Keep { id, rows }.into());
        None
    }

    /// The steps of the write that has ended, if it is the one in flight. What a failed one was to
    /// change may be on disk all the same: it is to be written as it is.
    pub(super) fn landed(
        &mut self,
        edge: &mut Edge,
        id: WriteId,
        succeeded: bool,
    ) -> Option<Vec<Step>> {
        let Flight { steps, keys, .. } = self.flight.take_if(|flight| flight.id == id)?;
        if !succeeded {
            self.dirty.extend(keys);
            self.failed = true;
            edge.stats.writes_failed += 1;
            if !std::mem::replace(&mut self.resting, true) {
                edge.after(REWRITE, Timer::Rewrite);
            }
        }
        Some(steps)
    }

    pub(super) fn end_rest(&mut self) {
        self.resting = false;
    }

    /// Whether writes work again: then all is to be written anew.
    pub(super) fn recovered(&mut self) -> bool {
        self.resting = false;
        std::mem::take(&mut self.failed)
    }
}
