//! The logs of all nodes, as one replica has them.

use super::log::{Key, Log};
use super::proved::Aside;
use super::{Delta, Entry, Head, Position, Process, Progress, Reason, Record, State};
use names::{NodeId, ProcessName};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a merged part changed for one (name, process).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// The name.
    pub name: ProcessName,
    /// The process.
    pub process: Process,
    /// What it said of itself before, if it was registered.
    pub before: Option<Arc<Entry>>,
    /// What is known of it now. [`Reason::Unknown`] also if a log that came whole does not know it.
    pub after: State,
}

/// What became of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// It was merged; ends come before beginnings where both happened at once.
    News(Vec<Shift>),
    /// It is kept aside until the rest has come: until then a log looks as if it had lost what is
    /// still on its way.
    Staged,
    /// All that it says was known.
    Known,
    /// Something before it is missing.
    Gap,
    /// The owner has proved two unlike logs for one position, which no sound owner does. The one with the
    /// smaller hash stays everywhere; these are the changes where that was not the one that was here.
    Forked(Vec<Shift>),
}

/// Why a part was refused; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No node that keeps to the protocol can have made it.
    #[error("a part of a log that breaks the rules")]
    Unsound,
    /// The log would become too large.
    #[error("a log with too many records")]
    TooMany,
    /// The log that it would make is not the one that its owner has proved. Parts before it are
    /// dropped, too.
    #[error("a log that its owner has not proved")]
    Unproved,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) log: Option<Log>,
    /// What proves the log. Without it the log came in the form of protocol 1. Of this node's own log it
    /// may be of an earlier position.
    pub(super) head: Option<Head>,
    staged: Option<Staged>,
    /// The same with a proof to come, and what follows the log.
    pub(super) aside: Option<Aside>,
}

/// A newer run, or the same one from its beginning, that is not complete yet.
#[derive(Clone, Debug)]
struct Staged {
    log: Log,
    /// The last change that any sender of a part of it knew of: what changed again up to there may be
    /// missing before it.
    latest: u64,
}

/// What a log contributes to the sums over all logs.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    hash: u64,
    proved_hash: u64,
    tombstones: usize,
}

impl Held {
    fn position(&self) -> Option<Position> {
        self.log.as_ref().map(Log::position)
    }

    fn share(&self, owner: NodeId) -> Share {
        let Some(log) = &self.log else {
            return Share::default();
        };
        let proved = self.head.as_ref();
        Share {
            hash: leaf(owner, log.position(), &[]),
            proved_hash: proved.map_or(0, |head| leaf(owner, head.position(), &head.hash())),
            tombstones: log.tombstones(),
        }
    }

    fn bytes(&self) -> usize {
        let aside = self.aside.as_ref().map(Aside::log);
        let staged = self.staged.as_ref().map(|staged| &staged.log);
        let logs = self.log.iter().chain(staged).chain(aside);
        logs.map(Log::bytes).sum()
    }
}

/// One log for each node, with hashes over how far each has come that cost nothing to keep.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    pub(super) logs: BTreeMap<NodeId, Held>,
    hash: u64,
    pub(super) proved_hash: u64,
    tombstones: usize,
}

impl Logs {
    /// Begins a run of this node's own log: what it says stays, said anew, and numbered after the
    /// [origin](Log::origin).
    pub fn begin(&mut self, owner: NodeId, run: u64, origin: u64) {
        let log = self.get(owner).map_or_else(
            || Log::new(run, origin),
            |log| log.renumbered(owner, run, origin),
        );
        self.change(owner, |held| held.install(log));
    }

    /// Writes the next change of this node's own log.
    pub fn put(&mut self, owner: NodeId, name: ProcessName, process: Process, state: State) {
        self.change(owner, |held| {
            if let Some(log) = held.log.as_mut() {
                log.put(owner, name, process, state);
            }
        });
    }

    /// Takes the next number of this node's own log for no change: its head is to be signed anew.
    pub fn advance(&mut self, owner: NodeId) {
        self.change(owner, |held| {
            if let Some(log) = held.log.as_mut() {
                log.advance();
            }
        });
    }

    /// Changes a log, and with it the hash and the number of tombstones.
    pub(super) fn change<T>(&mut self, owner: NodeId, change: impl FnOnce(&mut Held) -> T) -> T {
        let held = self.logs.entry(owner).or_default();
        let before = held.share(owner);
        let result = change(held);
        let after = held.share(owner);
        let replace = |sum: u64, old: u64, new: u64| sum.wrapping_sub(old).wrapping_add(new);
        self.hash = replace(self.hash, before.hash, after.hash);
        self.proved_hash = replace(self.proved_hash, before.proved_hash, after.proved_hash);
        self.tombstones = self.tombstones.saturating_sub(before.tombstones) + after.tombstones;
        result
    }

    /// A node's log, if any part of it has come.
    pub fn get(&self, owner: NodeId) -> Option<&Log> {
        self.logs.get(&owner)?.log.as_ref()
    }

    /// How far each log has come.
    pub fn vector(&self) -> impl Iterator<Item = (NodeId, Position)> {
        self.logs
            .iter()
            .filter_map(|(owner, held)| Some((*owner, held.position()?)))
    }

    /// How far a log has come; its beginning if nothing is known.
    pub fn position(&self, owner: NodeId) -> Position {
        self.get(owner)
            .map_or_else(Position::default, Log::position)
    }

    /// Whether a peer that is so far in this node's own log can have learnt that from this start of
    /// its daemon. If not, an earlier start of which the disk knows nothing wrote a log of that run
    /// or a later one: this node must take a run above that.
    pub fn has_been_at(&self, owner: NodeId, position: Position) -> bool {
        self.get(owner).is_none_or(|log| log.has_been_at(position))
    }

    /// From where on a log is lacking, what is kept aside included.
    pub fn progress(&self, owner: NodeId) -> Progress {
        let held = self.logs.get(&owner);
        let log = held.and_then(|held| {
            let staged = held.staged.as_ref().map(|staged| &staged.log);
            staged.or(held.log.as_ref())
        });
        log.map(Log::progress).unwrap_or_default()
    }

    /// Equal for equal vectors, of protocol 1.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// About how many bytes the records of those owners take, of logs that are not complete yet too.
    pub fn bytes_of(&self, mut is_counted: impl FnMut(NodeId) -> bool) -> usize {
        let counted = self.logs.iter().filter(|(owner, _)| is_counted(**owner));
        counted.map(|(_, held)| held.bytes()).sum()
    }

    /// How many tombstones there are in all.
    pub fn tombstones(&self) -> usize {
        self.tombstones
    }

    /// What a replica that is at `from` lacks of a log, as far as it fits in about `max_bytes`;
    /// `None` if nothing.
    pub fn delta(&self, owner: NodeId, from: Progress, max_bytes: usize) -> Option<Delta> {
        let log = self.get(owner)?;
        let here = log.position();
        if from.position >= here {
            return None;
        }
        let from = if from.position.run == here.run {
            from
        } else {
            Progress::default()
        };
        Some(log.delta(owner, from, max_bytes))
    }

    /// Merges a part without a proof, whoever sent it. A log of that run that is proved stays as it
    /// is.
    ///
    /// # Errors
    /// The part breaks the protocol, or the log's bound; nothing was changed.
    pub fn merge(&mut self, delta: Delta) -> Result<Merged, Fault> {
        if !delta.is_sound() {
            return Err(Fault::Unsound);
        }
        self.change(delta.owner, |held| held.merge(delta))
    }

    /// Forgets a log; gives who was registered in it.
    pub fn remove(&mut self, owner: NodeId) -> Vec<(ProcessName, Process, Arc<Entry>)> {
        let log = self.change(owner, |held| std::mem::take(held).log);
        self.logs.remove(&owner);
        let entries = log.iter().flat_map(Log::entries);
        entries
            .map(|(key, entry)| (key.0.clone(), key.1, Arc::clone(entry)))
            .collect()
    }

    /// Drops the tombstones of a log's changes up to `until`, if it still is in that run.
    pub fn forget(&mut self, owner: NodeId, until: Position) {
        self.change(owner, |held| {
            if let Some(log) = held
                .log
                .as_mut()
                .filter(|log| log.position().run == until.run)
            {
                log.forget(until.version);
            }
        });
    }
}

impl Held {
    fn merge(&mut self, delta: Delta) -> Result<Merged, Fault> {
        if self
            .head
            .as_ref()
            .is_some_and(|head| head.position().run == delta.run)
        {
            return Ok(Merged::Known);
        }
        match self.log.as_mut() {
            Some(log) if log.takes(&delta) && !log.has_room_for(&delta) => Err(Fault::TooMany),
            Some(log) if log.takes(&delta) => {
                let before = log.position();
                let news: Vec<Shift> = log
                    .merge(delta)
                    .into_iter()
                    .filter_map(|(record, known)| news(record, known.as_ref()))
                    .collect();
                let after = log.position();
                self.staged.take_if(|staged| staged.log.position() <= after);
                Ok(if before == after && news.is_empty() {
                    Merged::Known
                } else {
                    Merged::News(news)
                })
            }
            Some(log) if log.position().run > delta.run => Ok(Merged::Known),
            Some(_) | None => self.stage(delta),
        }
    }

    fn stage(&mut self, delta: Delta) -> Result<Merged, Fault> {
        match self.staged.as_ref() {
            Some(staged) if staged.log.position().run > delta.run => return Ok(Merged::Known),
            Some(staged) if staged.log.takes(&delta) => {}
            Some(_) | None if delta.after == 0 => {
                self.staged = Some(Staged {
                    log: Log::whole(delta.run, delta.horizon),
                    latest: 0,
                });
            }
            Some(_) | None => return Ok(Merged::Gap),
        }
        let Some(staged) = self.staged.as_mut() else {
            return Ok(Merged::Gap);
        };
        if !staged.log.has_room_for(&delta) {
            return Err(Fault::TooMany);
        }
        staged.latest = staged.latest.max(delta.latest);
        staged.log.merge(delta);
        let complete = self
            .staged
            .take_if(|staged| staged.log.position().version >= staged.latest);
        Ok(complete.map_or(Merged::Staged, |staged| {
            Merged::News(self.install(staged.log))
        }))
    }

    /// Puts a complete log in the place of the one before; gives what that changes, ends first. Its
    /// head is not known yet.
    pub(super) fn install(&mut self, log: Log) -> Vec<Shift> {
        let before = self.log.take().unwrap_or_default();
        (self.head, self.staged, self.aside) = (None, None, None);
        difference(&before, self.log.insert(log))
    }
}

fn difference(before: &Log, after: &Log) -> Vec<Shift> {
    let gone = before
        .entries()
        .filter(|(key, _)| after.get(&key.0, key.1).and_then(State::entry).is_none());
    let gone = gone
        .map(|(key, entry)| shift(key, Some(Arc::clone(entry)), State::Gone(after.reason(key))));
    let live = after.entries().filter_map(|(key, entry)| {
        let known = before.get(&key.0, key.1).and_then(State::entry);
        (known != Some(entry)).then(|| shift(key, known.cloned(), State::Live(Arc::clone(entry))))
    });
    gone.chain(live).collect()
}

fn news(record: Record, known: Option<&State>) -> Option<Shift> {
    let before = known.and_then(State::entry).map(Arc::clone);
    let tells = before.is_some() || record.state.entry().is_some();
    tells.then_some(Shift {
        name: record.name,
        process: record.process,
        before,
        after: record.state,
    })
}

fn shift(key: &Key, before: Option<Arc<Entry>>, after: State) -> Shift {
    Shift {
        name: key.0.clone(),
        process: key.1,
        before,
        after,
    }
}

/// What a log contributes to a hash over all: by its position, and by its content where that is proved.
pub(super) fn leaf(owner: NodeId, position: Position, content: &[u8]) -> u64 {
    let hash = Sha256::new()
        .chain_update(owner.0)
        .chain_update(position.run.to_be_bytes())
        .chain_update(position.version.to_be_bytes())
        .chain_update(content);
    hash.finalize()
        .iter()
        .take(8)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

impl Reason {
    /// Whether the process itself has ended, which somebody who watched it can say: no later
    /// registration can be of the same one.
    pub fn is_end(self) -> bool {
        matches!(self, Self::ExitedWith(_) | Self::Killed(_) | Self::Exited)
    }
}
