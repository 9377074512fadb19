//! Logs that prove themselves: what travels of them, and how it is put together.
//!
//! A part has the records as their owner wrote them, and the last one the owner's [`Head`]. Parts are put
//! together aside, and put in place as one when they come to what the head says: so what a replica holds
//! is always exactly what some head proves, and can be relayed. Tombstones count in no head, for replicas
//! drop them at times of their own. Whoever relays a log could leave one out, or say why it is there: so a
//! relayed tombstone says no more than that it is one, and where what follows a replica does not come to
//! what was proved, the whole log does.

use super::delta::MAX_COUNT;
use super::log::{Key, Log, Slot};
use super::logs::Held;
use super::{Fault, Head, Logs, Merged, Position, Progress, Reason, State, Statement};
use crate::record::RecordError;
use bytes::Bytes;
use names::NodeId;
use serde::{Deserialize, Serialize};

/// A part of a log as its owner wrote it: all its records whose change is after `after` and not after
/// `upto`, in order of their changes. See [`Delta`](super::Delta).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvedDelta {
    /// Whose log.
    pub owner: NodeId,
    /// In which run of its daemon.
    pub run: u64,
    /// Which changes the receiver must have; 0 for none, then the log replaces what it has.
    pub after: u64,
    /// Which changes the receiver then has.
    pub upto: u64,
    /// The last change that the sender has.
    pub latest: u64,
    /// The last tombstone that the sender has dropped, or the log's origin.
    pub horizon: u64,
    /// The [statements](Statement), in order.
    pub statements: Vec<Bytes>,
    /// The [`Head`] of the log with its last change, where this part brings that one.
    pub head: Option<Bytes>,
}

/// A part that a sound sender can have made, read.
#[derive(Debug)]
struct Part {
    owner: NodeId,
    run: u64,
    after: u64,
    upto: u64,
    latest: u64,
    horizon: u64,
    records: Vec<(Key, Slot)>,
    head: Option<Head>,
}

impl ProvedDelta {
    /// Where a receiver then is.
    pub fn end(&self) -> Position {
        Position {
            run: self.run,
            version: self.upto,
        }
    }

    /// Where the sender is.
    pub fn latest(&self) -> Position {
        Position {
            run: self.run,
            version: self.latest,
        }
    }

    fn read(self, by: NodeId) -> Result<Part, Fault> {
        let numbers = [self.after, self.upto, self.latest];
        let counted =
            self.run < MAX_COUNT && self.latest < MAX_COUNT && self.horizon <= self.latest;
        let is_last = self.upto == self.latest;
        if !counted || !numbers.is_sorted() || self.head.is_some() != is_last {
            return Err(Fault::Unsound);
        }
        let mut last = self.after;
        let mut records = Vec::with_capacity(self.statements.len());
        for bytes in self.statements {
            let (key, slot) = read(bytes, (self.owner, self.run), by)?;
            if slot.version <= std::mem::replace(&mut last, slot.version) {
                return Err(Fault::Unsound);
            }
            records.push((key, slot));
        }
        let head = self.head.map(Head::read).transpose();
        match head {
            Ok(head) if last <= self.upto => Ok(Part {
                owner: self.owner,
                run: self.run,
                after: self.after,
                upto: self.upto,
                latest: self.latest,
                horizon: self.horizon,
                records,
                head,
            }),
            Ok(_) | Err(_) => Err(Fault::Unsound),
        }
    }
}

/// Reads a statement of that owner's log in that run. From others than the owner a tombstone is one, but
/// its reason is not proved.
fn read(bytes: Bytes, log: (NodeId, u64), by: NodeId) -> Result<(Key, Slot), Fault> {
    let statement = Statement::read(bytes).map_err(|_| Fault::Unsound)?;
    let state = statement.state().map_err(|_| Fault::Unsound)?;
    let (rank, (owner, name, process)) = (statement.relayed().rank(), statement.about());
    let entry = state.as_ref().and_then(State::entry);
    if (*owner, rank.run) != log || entry.is_some_and(|entry| !entry.is_sound()) {
        return Err(Fault::Unsound);
    }
    let state = match state {
        Some(State::Gone(_)) if by != *owner => Some(State::Gone(Reason::Unknown)),
        Some(State::Gone(_) | State::Live(_)) | None => state,
    };
    let slot = Slot {
        version: rank.serial,
        state,
        statement: statement.relayed().bytes().clone(),
    };
    Ok(((name.clone(), *process), slot))
}

/// Parts of a log that are not all there yet, from one node.
#[derive(Clone, Debug)]
pub(super) struct Aside {
    by: NodeId,
    /// Whether it is the log from its beginning; else what follows the one that is in use.
    is_whole: bool,
    log: Log,
}

impl Aside {
    pub(super) fn log(&self) -> &Log {
        &self.log
    }
}

impl Held {
    /// The log, if it is proved.
    fn proved(&self) -> Option<(&Log, &Head)> {
        Some((self.log.as_ref()?, self.head.as_ref()?))
    }

    fn progress(&self, by: NodeId) -> Progress {
        let proved = self.proved().map(|(log, _)| log.progress());
        match &self.aside {
            Some(aside) if aside.by == by => Progress {
                position: aside.log.position(),
                horizon: if aside.is_whole {
                    aside.log.horizon()
                } else {
                    proved.unwrap_or_default().horizon
                },
            },
            Some(_) | None => proved.unwrap_or_default(),
        }
    }

    fn take(
        &mut self,
        by: NodeId,
        mut part: Part,
        is_proved: impl FnOnce(&Head) -> bool,
    ) -> Result<Merged, Fault> {
        let latest = Position {
            run: part.run,
            version: part.latest,
        };
        let is_old = self
            .log
            .as_ref()
            .is_some_and(|log| log.position().run > part.run)
            || self
                .proved()
                .is_some_and(|(log, _)| log.position() > latest);
        if is_old {
            return Ok(Merged::Known);
        }
        let Some(aside) = self.place_for(by, &part) else {
            return Ok(Merged::Gap);
        };
        let records = std::mem::take(&mut part.records);
        self.add(aside, part.upto, records)?;
        match part.head.take() {
            Some(head) => self.complete(&part, head, is_proved),
            None => Ok(Merged::Staged),
        }
    }

    /// Where the records of that part go: to those that came before it from the same node, or a new
    /// place; `None` if something before it is missing.
    fn place_for(&mut self, by: NodeId, part: &Part) -> Option<Aside> {
        let is_of_owner = |aside: &Aside| aside.by == part.owner;
        if by != part.owner && self.aside.as_ref().is_some_and(is_of_owner) {
            // Nobody gets in the way of what the owner is just sending.
            return None;
        }
        let proved = self.proved().map(|(log, _)| log);
        let follows = |log: &Log, reach: u64| {
            log.position().run == part.run && part.horizon <= reach.max(log.reach())
        };
        if part.after == 0 {
            let log = Log::whole(part.run, part.horizon);
            let is_whole = true;
            return Some(Aside { by, is_whole, log });
        }
        let known = proved.filter(|log| follows(log, 0)).map(Log::position);
        let continues = |aside: &Aside| {
            let reach = proved.filter(|_| !aside.is_whole).map_or(0, Log::horizon);
            aside.by == by
                && aside.log.position().version == part.after
                && follows(&aside.log, reach)
        };
        if self.aside.as_ref().is_some_and(continues) {
            return self.aside.take();
        }
        let position = known.filter(|known| part.after <= known.version)?;
        let mut log = Log::whole(part.run, 0);
        log.add(position.version, Vec::new());
        let is_whole = false;
        Some(Aside { by, is_whole, log })
    }

    fn add(
        &mut self,
        mut aside: Aside,
        upto: u64,
        mut records: Vec<(Key, Slot)>,
    ) -> Result<(), Fault> {
        let known = aside.log.position().version;
        // A record up to here that is not here has changed since, or its tombstone was dropped.
        records.retain(|(_, slot)| slot.version > known);
        let bytes: usize = records.iter().map(|(key, slot)| slot.weight(&key.0)).sum();
        let base = if aside.is_whole {
            None
        } else {
            self.log.as_ref()
        };
        let (beside, beside_bytes) = base.map_or((0, 0), Log::size);
        let has_room = aside
            .log
            .has_room_beside(beside + records.len(), beside_bytes + bytes);
        if !has_room {
            return Err(Fault::TooMany);
        }
        aside.log.add(upto, records);
        if aside.is_whole {
            aside.log.bury();
        }
        self.aside = Some(aside);
        Ok(())
    }

    /// The last part has come: what there is now is put in place, if it is what the owner has proved.
    fn complete(
        &mut self,
        part: &Part,
        head: Head,
        is_proved: impl FnOnce(&Head) -> bool,
    ) -> Result<Merged, Fault> {
        let latest = Position {
            run: part.run,
            version: part.latest,
        };
        let aside = self.aside.take().ok_or(Fault::Unproved)?;
        let base = self.log.as_mut().filter(|_| !aside.is_whole);
        let sum = base
            .as_ref()
            .map_or_else(|| aside.log.sum().clone(), |base| base.sum_with(&aside.log));
        let fits = head.owner() == part.owner
            && head.position() == latest
            && head.horizon() <= part.horizon
            && head.hash() == sum.digest();
        if !fits || !is_proved(&head) {
            return Err(Fault::Unproved);
        }
        let rival = self
            .head
            .as_ref()
            .filter(|known| known.position() == latest)
            .map(Head::hash);
        if rival.is_some_and(|hash| hash <= head.hash()) {
            return Ok(if rival == Some(head.hash()) {
                Merged::Known
            } else {
                Merged::Forked(Vec::new())
            });
        }
        let shifts = match base {
            Some(base) => base.put_in_place(aside.log, sum),
            None => self.install(aside.log),
        };
        if let Some(log) = self.log.as_mut() {
            log.raise_horizon(head.horizon());
        }
        self.head = Some(head);
        Ok(match rival {
            Some(_) => Merged::Forked(shifts),
            None => Merged::News(shifts),
        })
    }
}

impl Logs {
    /// Has this node's own log proved as it is now; `sign` makes the proof, and is not asked where there
    /// is one already.
    ///
    /// # Errors
    /// The head is too large with that proof.
    pub fn prove(
        &mut self,
        owner: NodeId,
        sign: impl FnOnce(&[u8]) -> Bytes,
    ) -> Result<(), RecordError> {
        self.change(owner, |held| {
            let Some(log) = &held.log else {
                return Ok(());
            };
            let position = log.position();
            if held
                .head
                .as_ref()
                .is_none_or(|head| head.position() != position)
            {
                let hash = log.sum().digest();
                held.head = Some(Head::write(owner, position, log.horizon(), hash, sign)?);
            }
            Ok(())
        })
    }

    /// What proves a log as it is here.
    pub fn head(&self, owner: NodeId) -> Option<&Head> {
        self.logs.get(&owner)?.head.as_ref()
    }

    /// The heads of all logs that are proved.
    pub fn heads(&self) -> impl Iterator<Item = &Head> {
        self.logs.values().filter_map(|held| held.head.as_ref())
    }

    /// Equal for equal positions and contents of all logs that are proved.
    pub fn proved_hash(&self) -> u64 {
        self.proved_hash
    }

    /// From where on a proved log is lacking, what `by` has sent of it so far included.
    pub fn proved_progress(&self, owner: NodeId, by: NodeId) -> Progress {
        let held = self.logs.get(&owner);
        held.map_or_else(Progress::default, |held| held.progress(by))
    }

    /// What a replica that is at `from` lacks of a log, as far as it fits in about `max_bytes`; `None`
    /// if nothing, or if the log is not proved as it is here.
    pub fn proved_delta(
        &self,
        owner: NodeId,
        from: Progress,
        max_bytes: usize,
    ) -> Option<ProvedDelta> {
        let (log, head) = self.logs.get(&owner)?.proved()?;
        let here = log.position();
        if head.position() != here || from.position >= here {
            return None;
        }
        let from = if from.position.run == here.run {
            from
        } else {
            Progress::default()
        };
        Some(log.proved_delta(head, from, max_bytes))
    }

    /// Merges a part that `by` has sent. `is_proved` says whether a head is its owner's; it is asked once
    /// all else has been found right. From its owner a head needs no proof.
    ///
    /// # Errors
    /// The part breaks the protocol, or the log's bound, or is not what the owner has proved; no log
    /// was changed.
    pub fn take(
        &mut self,
        by: NodeId,
        delta: ProvedDelta,
        is_proved: impl FnOnce(&Head) -> bool,
    ) -> Result<Merged, Fault> {
        let owner = delta.owner;
        let part = delta.read(by)?;
        self.change(owner, |held| {
            held.take(by, part, |head| by == owner || is_proved(head))
        })
    }

    /// Drops incomplete logs unless `is_awaited` says of the owner, and of the node that sent the parts,
    /// that more is to come.
    pub fn drop_incomplete(&mut self, mut is_awaited: impl FnMut(NodeId, NodeId) -> bool) {
        for (owner, held) in &mut self.logs {
            held.aside.take_if(|aside| !is_awaited(*owner, aside.by));
        }
    }
}
