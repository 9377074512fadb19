//! One node's registrations, each change numbered.

mod joining;

use super::delta::MAX_COUNT;
use super::{
    Delta, Head, Position, Process, Progress, ProvedDelta, Reason, Record, State, Statement,
};
use crate::lthash::LtHash;
use bytes::Bytes;
use names::{NodeId, ProcessName};
use std::collections::{BTreeMap, BTreeSet};

/// The most records of one log, tombstones included.
pub(super) const MAX_RECORDS: usize = 1 << 18;
/// The most bytes of one log, as [`Slot::weight`] counts them.
pub(super) const MAX_BYTES: usize = 128 << 20;
/// The most tombstones of one log; beyond, the oldest are dropped.
const MAX_TOMBSTONES: usize = 10_000;
/// More records than a part of the usual size has.
const PART_RECORDS: usize = 4_096;

/// A name and the process under it.
pub(super) type Key = (ProcessName, Process);

/// What a log keeps of a process under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) version: u64,
    /// `None` if this program does not understand what the owner says: it is shown nowhere.
    pub(super) state: Option<State>,
    /// The bytes that the owner wrote; empty in a log that came without a proof.
    pub(super) statement: Bytes,
}

impl Slot {
    fn entry(&self) -> Option<&std::sync::Arc<super::Entry>> {
        self.state.as_ref()?.entry()
    }

    fn is_tombstone(&self) -> bool {
        matches!(self.state, Some(State::Gone(_)))
    }

    /// What of it the owner's head proves.
    fn proved(&self) -> Option<&[u8]> {
        let counts = !self.is_tombstone() && !self.statement.is_empty();
        counts.then_some(&self.statement)
    }

    /// About how many bytes of memory it takes: where the statement is there, it is there beside what it
    /// says.
    pub(super) fn weight(&self, name: &ProcessName) -> usize {
        let said = self.state.as_ref().map_or(64, |state| weight(name, state));
        said + self.statement.len()
    }
}

/// A log, or a replica of it. Each change of a registration takes the next number; of each (name,
/// process) only the newest record is kept, so a log is as large as what it says, and never as long
/// as its history.
///
/// The numbers of a run begin after an *origin*, which grows with the time. A disk that was restored
/// from a backup takes a run a second time, and the two logs of that run have nothing in common. By
/// their origins their numbers are far apart, and because a log's horizon is never before its
/// origin, a replica of the one log can only take the other one whole: the two are never mixed. The
/// higher number is that of the later log, so of two replicas that meet while their owner is away the
/// one with the earlier log takes the later one. A wall clock that was set back in between can make
/// the earlier one win, until the owner is there again and takes a run above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Known to the owner alone; 0 in a replica.
    origin: u64,
    position: Position,
    horizon: u64,
    records: BTreeMap<Key, Slot>,
    order: BTreeMap<u64, Key>,
    /// The versions of the tombstones.
    tombstones: BTreeSet<u64>,
    /// Over the statements that are no tombstones.
    sum: LtHash,
    /// What its records weigh.
    bytes: usize,
}

/// About how many bytes a record takes when it is encoded; at most a few too few.
pub(super) fn weight(name: &ProcessName, state: &State) -> usize {
    64 + name.as_str().len() + state.entry().map_or(0, |entry| entry.weight())
}

impl Log {
    /// The most registrations of one log: so many are always accepted by replicas, which count
    /// tombstones too, and count what is in a part beside what is there already.
    pub const MAX_LIVE: usize = MAX_RECORDS - MAX_TOMBSTONES - PART_RECORDS;
    /// The most bytes of an owner's own log, beyond which it takes nothing that makes it larger:
    /// replicas take so much, and what is on its way beside it.
    pub const MAX_OWN_BYTES: usize = MAX_BYTES / 2;
    /// The most that an origin may be.
    const MAX_ORIGIN: u64 = MAX_COUNT / 2;
    /// How many changes a millisecond has room for, so that a log does not come to the origin of a
    /// later one.
    const ORIGINS_PER_MS: u64 = 32;

    /// The origin of a log that begins at that time, in milliseconds since 1970. `random` tells the
    /// starts of a host apart whose clock stands at the same time in each.
    pub fn origin(wall_ms: u64, random: u64) -> u64 {
        let last_ms = Self::MAX_ORIGIN / Self::ORIGINS_PER_MS - 1;
        wall_ms.min(last_ms) * Self::ORIGINS_PER_MS + random % Self::ORIGINS_PER_MS
    }

    /// An owner's empty log of that run, whose changes are numbered from `origin + 1` on.
    pub(super) fn new(run: u64, origin: u64) -> Self {
        Self {
            origin,
            position: Position {
                run,
                version: origin,
            },
            horizon: origin,
            ..Self::default()
        }
    }

    /// An empty replica that is to take the records of a log of that run from its beginning.
    pub(super) fn whole(run: u64, horizon: u64) -> Self {
        Self {
            position: Position { run, version: 0 },
            horizon,
            ..Self::default()
        }
    }

    /// Whether a replica that is at that position can have come there by what this log's owner has
    /// said since it opened the log. For the owner alone.
    pub(super) fn has_been_at(&self, position: Position) -> bool {
        let Position { run, version } = self.position;
        position.run < run
            || position.run == run
                && (position.version == 0 || (self.origin..=version).contains(&position.version))
    }

    /// How far it has come.
    pub fn position(&self) -> Position {
        self.position
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            position: self.position,
            horizon: self.horizon,
        }
    }

    /// How many processes are registered.
    pub fn live(&self) -> usize {
        self.records.len() - self.tombstones.len()
    }

    /// How many tombstones it has.
    pub fn tombstones(&self) -> usize {
        self.tombstones.len()
    }

    /// What it says of a process under a name.
    pub fn get(&self, name: &ProcessName, process: Process) -> Option<&State> {
        let slot = self.records.get(&(name.clone(), process))?;
        slot.state.as_ref()
    }

    /// All that it says, in order of name and process.
    pub fn iter(&self) -> impl Iterator<Item = (&ProcessName, Process, &State)> {
        self.records
            .iter()
            .filter_map(|((name, process), slot)| Some((name, *process, slot.state.as_ref()?)))
    }

    /// The processes that it knows under a name.
    pub fn of<'a>(&'a self, name: &'a ProcessName) -> impl Iterator<Item = (Process, &'a State)> {
        let first = Process {
            boot: [0; 16],
            pid: 0,
            start: 0,
        };
        let from = self.records.range((name.clone(), first)..);
        from.take_while(move |((other, _), _)| other == name)
            .filter_map(|((_, process), slot)| Some((*process, slot.state.as_ref()?)))
    }

    /// Writes the next change. For the owner alone. What is too large for a statement, which no
    /// [entry within its limits](super::Entry::excess) is, is not written.
    pub(super) fn put(&mut self, owner: NodeId, name: ProcessName, process: Process, state: State) {
        let Position { run, version } = self.position;
        let record = Record {
            name,
            process,
            version: version + 1,
            state,
        };
        let Ok(statement) = Statement::write(owner, run, &record) else {
            return;
        };
        self.position.version = record.version;
        let slot = Slot {
            version: record.version,
            state: Some(record.state),
            statement: statement.relayed().bytes().clone(),
        };
        self.set((record.name, process), slot);
        self.bury();
    }

    /// Takes the next number for no change, so that its head is signed and told anew.
    pub(super) fn advance(&mut self) {
        self.position.version += 1;
    }

    /// The same log as that of another run: all is said anew, in the old order.
    pub(super) fn renumbered(&self, owner: NodeId, run: u64, origin: u64) -> Self {
        let mut log = Self::new(run, origin);
        for key in self.order.values() {
            let slot = self.records.get(key);
            if let Some(state) = slot.and_then(|slot| slot.state.clone()) {
                log.put(owner, key.0.clone(), key.1, state);
            }
        }
        log
    }

    /// What a replica that is so far in this run lacks, as far as it fits in about `max_bytes`, but
    /// at least one record. From the beginning, if it may hold what a dropped tombstone ended.
    pub(super) fn delta(&self, owner: NodeId, from: Progress, max_bytes: usize) -> Delta {
        let after = self.first_lacked(from);
        let Position {
            run,
            version: latest,
        } = self.position;
        let mut delta = Delta {
            owner,
            run,
            after,
            upto: latest,
            latest,
            horizon: self.horizon,
            records: Vec::new(),
        };
        let mut bytes = 0;
        for (version, key) in self.order.range(after.saturating_add(1)..) {
            if bytes >= max_bytes {
                delta.upto = delta
                    .records
                    .last()
                    .map_or(latest, |record: &Record| record.version);
                break;
            }
            let slot = self.records.get(key);
            let Some(state) = slot.and_then(|slot| slot.state.clone()) else {
                continue;
            };
            let record = Record {
                name: key.0.clone(),
                process: key.1,
                version: *version,
                state,
            };
            bytes += record.weight();
            delta.records.push(record);
        }
        delta
    }

    /// After which change such a replica lacks what this log has.
    fn first_lacked(&self, from: Progress) -> u64 {
        let after = from.position.version;
        if after < self.horizon && from.horizon < self.horizon {
            0
        } else {
            after
        }
    }

    /// The same as [`delta`](Self::delta), as its owner wrote it; `head` is that of this position.
    pub(super) fn proved_delta(
        &self,
        head: &Head,
        from: Progress,
        max_bytes: usize,
    ) -> ProvedDelta {
        let after = self.first_lacked(from);
        let latest = self.position.version;
        let mut delta = ProvedDelta {
            owner: head.owner(),
            run: self.position.run,
            after,
            upto: after,
            latest,
            horizon: self.horizon,
            statements: Vec::new(),
            head: None,
        };
        let mut bytes = 0;
        for (version, key) in self.order.range(after.saturating_add(1)..) {
            if bytes >= max_bytes {
                return delta;
            }
            let Some(slot) = self.records.get(key) else {
                continue;
            };
            bytes += slot.statement.len() + 2;
            delta.upto = *version;
            delta.statements.push(slot.statement.clone());
        }
        delta.upto = latest;
        delta.head = Some(head.relayed().bytes().clone());
        delta
    }

    /// Whether a part can be merged: what it builds on is here, and no dropped tombstone can be
    /// missed.
    pub(super) fn takes(&self, delta: &Delta) -> bool {
        let Position { run, version } = self.position;
        run == delta.run && delta.after <= version && delta.horizon <= version.max(self.horizon)
    }

    /// Merges a part that it [`takes`](Self::takes); gives each record that was news, with what it
    /// replaced.
    pub(super) fn merge(&mut self, delta: Delta) -> Vec<(Record, Option<State>)> {
        let known = self.position.version;
        let mut news = Vec::new();
        // A record up to here that is not here has changed since, or its tombstone was dropped.
        for record in delta
            .records
            .into_iter()
            .filter(|record| record.version > known)
        {
            let slot = Slot {
                version: record.version,
                state: Some(record.state.clone()),
                statement: Bytes::new(),
            };
            let before = self.set((record.name.clone(), record.process), slot);
            news.push((record, before.and_then(|slot| slot.state)));
        }
        self.position.version = self.position.version.max(delta.upto);
        self.bury();
        news
    }

    /// Whether it stays within the bounds of a log with that part in it.
    pub(super) fn has_room_for(&self, delta: &Delta) -> bool {
        let bytes: usize = delta.records.iter().map(Record::weight).sum();
        self.records.len() + delta.records.len() <= MAX_RECORDS
            && self.bytes.saturating_add(bytes) <= MAX_BYTES
    }

    /// About how many bytes its records take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn set(&mut self, key: Key, slot: Slot) -> Option<Slot> {
        if let Some(statement) = slot.proved() {
            self.sum.insert(statement);
        }
        let before = self.place(key, slot);
        if let Some(statement) = before.as_ref().and_then(Slot::proved) {
            self.sum.remove(statement);
        }
        before
    }

    /// The same for one whose hash was counted already.
    fn place(&mut self, key: Key, slot: Slot) -> Option<Slot> {
        let version = slot.version;
        if slot.is_tombstone() {
            self.tombstones.insert(version);
        }
        // Of two keys under one number, which no sound owner gives, the later one stays.
        if let Some(other) = self
            .order
            .insert(version, key.clone())
            .filter(|other| *other != key)
        {
            self.remove(&other);
        }
        self.bytes += slot.weight(&key.0);
        let name = key.0.clone();
        let before = self.records.insert(key, slot)?;
        self.bytes -= before.weight(&name);
        if before.version != version {
            self.order.remove(&before.version);
            self.tombstones.remove(&before.version);
        }
        Some(before)
    }

    fn remove(&mut self, key: &Key) {
        if let Some(slot) = self.records.remove(key) {
            self.bytes -= slot.weight(&key.0);
            if let Some(statement) = slot.proved() {
                self.sum.remove(statement);
            }
        }
    }

    /// Drops the tombstones of changes up to `version`.
    pub(super) fn forget(&mut self, version: u64) {
        while let Some(first) = self
            .tombstones
            .first()
            .copied()
            .filter(|first| *first <= version)
        {
            self.drop_tombstone(first);
        }
    }

    pub(super) fn bury(&mut self) {
        while self.tombstones.len() > MAX_TOMBSTONES {
            let Some(first) = self.tombstones.first().copied() else {
                return;
            };
            self.drop_tombstone(first);
        }
    }

    fn drop_tombstone(&mut self, version: u64) {
        self.tombstones.remove(&version);
        if let Some(key) = self.order.remove(&version) {
            self.remove(&key);
        }
        self.horizon = self.horizon.max(version);
    }

    /// Why a process is not registered here.
    pub(super) fn reason(&self, key: &Key) -> Reason {
        match self.records.get(key).and_then(|slot| slot.state.as_ref()) {
            Some(State::Gone(reason)) => *reason,
            Some(State::Live(_)) | None => Reason::Unknown,
        }
    }

    /// The registered processes.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&Key, &std::sync::Arc<super::Entry>)> {
        self.records
            .iter()
            .filter_map(|(key, slot)| Some((key, slot.entry()?)))
    }
}
