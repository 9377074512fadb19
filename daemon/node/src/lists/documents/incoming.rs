//! Changes from peers: judged one by one, coalesced per list, and held back while others that they
//! need are missing.

use super::heap::{Heap, Held, Room};
use crate::lists::edge::Edge;
use bytes::Bytes;
use crdt::list::{self, CheckedChange, Document};
use crdt::vector::Tip;
use names::{ChangeHash, ListId, ListName, NodeId, SaltHint};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Changes that made a document unfit for use are remembered, so many of them.
const MAX_POISON: usize = 1_024;
/// What applying takes, measured: it walks the whole document once, then takes each change.
const NANOS_PER_OPERATION: u64 = 25;
const NANOS_PER_CHANGE: u64 = 40_000;
/// A longer apply is a job.
const MAX_APPLY: Duration = Duration::from_millis(5);

#[derive(Debug)]
struct Waiting {
    name: ListName,
    changes: Heap,
}

impl Waiting {
    fn new(name: &ListName) -> Self {
        Self {
            name: name.clone(),
            changes: Heap::default(),
        }
    }
}

/// Who sent each change, the first one who did.
pub(super) type Senders = BTreeMap<ChangeHash, NodeId>;

/// What waits, of all lists.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// To be applied next.
    waiting: BTreeMap<ListId, Waiting>,
    /// What lacks others, or the word of the node whose its actor is.
    orphans: BTreeMap<ListId, Waiting>,
    /// What both take.
    room: Room,
    poison: BTreeSet<ChangeHash>,
    /// Lists whose last batch was bad somewhere: so many changes are applied singly, to find which.
    careful: BTreeMap<ListId, usize>,
}

/// Changes to be applied together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) changes: Vec<CheckedChange>,
    pub(super) senders: Senders,
    /// Its hashes if it is small enough to tell which change was bad.
    pub(super) only: Option<ChangeHash>,
}

/// What became of a change that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reception {
    /// It waits to be applied.
    Waits(Tip),
    /// The document has it.
    Known(Tip),
    /// It was refused, or there was no room.
    Dropped,
}

impl Incoming {
    /// Takes a change in. `document` is the list's, if it is in memory.
    pub(super) fn receive(
        &mut self,
        edge: &mut Edge,
        (list, name): (ListId, &ListName),
        bytes: Bytes,
        from: NodeId,
        document: Option<&Document>,
    ) -> Reception {
        let change = match list::judge(bytes) {
            Ok(change) if !self.poison.contains(&change.hash()) => change,
            Ok(_) | Err(_) => {
                edge.stats.changes_refused += 1;
                return Reception::Dropped;
            }
        };
        let tip = Tip::of(change.id(), change.hash());
        if document.is_some_and(|document| document.has(&change.hash())) {
            edge.stats.changes_duplicate += 1;
            return Reception::Known(tip);
        }
        let is_full = |waiting: &Waiting| waiting.changes.is_full();
        if !self.room.is_left_for(from) || self.waiting.get(&list).is_some_and(is_full) {
            edge.stats.dropped += 1;
            return Reception::Dropped;
        }
        let waiting = self.waiting.entry(list);
        let waiting = waiting.or_insert_with(|| Waiting::new(name));
        waiting.changes.add(Held { change, from }, &mut self.room);
        Reception::Waits(tip)
    }

    /// The name of a list for which changes wait to be applied.
    pub(super) fn waited_for(&self, list: ListId) -> Option<&ListName> {
        self.waiting.get(&list).map(|waiting| &waiting.name)
    }

    /// What can be applied to a document now: all that waits, and the orphans that it completes.
    pub(super) fn next_batch(&mut self, list: ListId, document: &Document) -> Option<Batch> {
        let Waiting { name, changes } = self.waiting.remove(&list)?;
        let mut taken = changes.take(&mut self.room);
        if let Some(left) = self.careful.get_mut(&list) {
            let rest = taken.split_off(taken.len().min(1));
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.careful.remove(&list);
            }
            self.put_back(list, &name, rest);
        }
        let only = if let [held] = taken.as_slice() {
            Some(held.change.hash())
        } else {
            None
        };
        self.take_completed(list, document, &mut taken);
        let senders = taken.iter().map(|held| (held.change.hash(), held.from));
        Some(Batch {
            senders: senders.collect(),
            changes: taken.into_iter().map(|held| held.change).collect(),
            only,
        })
    }

    fn put_back(&mut self, list: ListId, name: &ListName, changes: Vec<Held>) {
        for held in changes {
            let waiting = self.waiting.entry(list);
            let waiting = waiting.or_insert_with(|| Waiting::new(name));
            waiting.changes.add(held, &mut self.room);
        }
    }

    /// Orphans in the order of their operations, so that one pass finds whole chains.
    fn take_completed(&mut self, list: ListId, document: &Document, taken: &mut Vec<Held>) {
        let Some(Waiting { name, changes }) = self.orphans.remove(&list) else {
            return;
        };
        let hashes = taken.iter().map(|held| held.change.hash());
        let mut there: BTreeSet<ChangeHash> = hashes.collect();
        let mut rest = Waiting::new(&name);
        for held in changes.take(&mut self.room) {
            let is_there = |dep: &ChangeHash| there.contains(dep) || document.has(dep);
            if held.change.deps().iter().all(is_there) {
                there.insert(held.change.hash());
                taken.push(held);
            } else {
                rest.changes.add(held, &mut self.room);
            }
        }
        if !rest.changes.is_empty() {
            self.orphans.insert(list, rest);
        }
    }

    /// Whether applying these changes would hold up the other lists.
    pub(super) fn is_long(document: &Document, changes: &[CheckedChange]) -> bool {
        !document.defers(changes) && Self::takes_long(document, changes.len())
    }

    /// Whether giving Automerge so many changes, and those that it lacks, would.
    pub(super) fn takes_long(document: &Document, changes: usize) -> bool {
        let changes = u64::try_from(changes.saturating_add(document.behind()));
        let nanos = document
            .operations()
            .saturating_mul(NANOS_PER_OPERATION)
            .saturating_add(changes.unwrap_or(u64::MAX).saturating_mul(NANOS_PER_CHANGE));
        Duration::from_nanos(nanos) > MAX_APPLY
    }

    /// Keeps changes that lack others, or their owner's word. True if they are the list's first.
    pub(super) fn keep(
        &mut self,
        edge: &mut Edge,
        (list, name): (ListId, &ListName),
        orphans: Vec<CheckedChange>,
        senders: &Senders,
    ) -> bool {
        if orphans.is_empty() {
            return false;
        }
        let first = !self.orphans.contains_key(&list);
        let waiting = self.orphans.entry(list);
        let heap = &mut waiting.or_insert_with(|| Waiting::new(name)).changes;
        for change in orphans {
            let from = senders.get(&change.hash()).copied();
            match from.filter(|from| self.room.is_left_for(*from) && !heap.is_full()) {
                Some(from) => heap.add(Held { change, from }, &mut self.room),
                None => edge.stats.dropped += 1,
            }
        }
        first
    }

    /// Those who sent changes that still lack others: they have those.
    pub(super) fn senders_of_orphans(&self, list: ListId) -> BTreeSet<NodeId> {
        let orphans = self.orphans.get(&list);
        let senders = orphans.map(|orphans| orphans.changes.senders());
        senders.into_iter().flatten().collect()
    }

    /// The lists for which changes wait whose actors may be of that salt.
    pub(super) fn waiting_for_salt(&self, hint: SaltHint) -> Vec<ListId> {
        let is_of_it =
            |waiting: &Waiting| waiting.changes.actors().any(|actor| actor.hint() == hint);
        let waiting = self.orphans.iter().filter(|(_, one)| is_of_it(one));
        waiting.map(|(list, _)| *list).collect()
    }

    /// A change is never taken again.
    pub(super) fn ban(&mut self, change: ChangeHash) {
        if self.poison.len() >= MAX_POISON {
            self.poison.pop_first();
        }
        self.poison.insert(change);
    }

    /// A batch made the document unfit: a single change is never taken again, several are tried
    /// singly next time.
    pub(super) fn blame(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        only: Option<ChangeHash>,
        count: usize,
    ) {
        edge.stats.changes_refused += 1;
        match only {
            Some(hash) if count == 1 => self.ban(hash),
            Some(_) | None => {
                self.careful.insert(list, count);
            }
        }
    }

    /// Drops what waits for a list.
    pub(super) fn discard(&mut self, edge: &mut Edge, list: ListId) {
        if let Some(waiting) = self.waiting.remove(&list) {
            let refused = waiting.changes.take(&mut self.room);
            edge.stats.changes_refused += u64::try_from(refused.len()).unwrap_or(0);
        }
        self.drop_orphans(list);
    }

    /// Looks again at the changes of a list that lacked others.
    pub(super) fn retry_orphans(&mut self, list: ListId) {
        if let Some(Waiting { name, changes }) = self.orphans.remove(&list) {
            let changes = changes.take(&mut self.room);
            self.put_back(list, &name, changes);
        }
    }

    /// Drops the changes of a list that lack others; gives them with who sent them.
    pub(super) fn drop_orphans(&mut self, list: ListId) -> Vec<(CheckedChange, NodeId)> {
        let orphans = self.orphans.remove(&list);
        let taken = orphans.map(|orphans| orphans.changes.take(&mut self.room));
        let taken = taken.into_iter().flatten();
        taken.map(|held| (held.change, held.from)).collect()
    }

    /// Drops all that waits; what is known to be bad stays so.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.orphans.clear();
        self.room = Room::default();
    }

    /// How many changes wait for others.
    pub(super) fn orphans(&self) -> usize {
        self.orphans
            .values()
            .map(|orphans| orphans.changes.len())
            .sum()
    }
}
