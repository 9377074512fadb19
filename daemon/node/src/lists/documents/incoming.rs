//! Changes from peers: judged one by one, coalesced per list, and held back while others that they
//! need are missing.

use super::heap::{Heap, Held, Room};
use crate::lists::edge::Edge;
use bytes::Bytes;
use crdt::list::{self, CheckedChange, Document};
use crdt::vector::Tip;
use names::{ChangeHash, ListId, ListName, NodeId};
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
    /// To be applied next.
    ready: Heap,
}

/// Who sent each change, the first one who did.
pub(super) type Senders = BTreeMap<ChangeHash, NodeId>;

/// What waits, of all lists.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    waiting: BTreeMap<ListId, Waiting>,
    orphans: BTreeMap<ListId, Heap>,
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
        let is_full = |waiting: &Waiting| waiting.ready.is_full();
        if !self.room.is_left_for(from) || self.waiting.get(&list).is_some_and(is_full) {
            edge.stats.dropped += 1;
            return Reception::Dropped;
        }
        let waiting = self.waiting.entry(list).or_insert_with(|| Waiting {
            name: name.clone(),
            ready: Heap::default(),
        });
        waiting.ready.add(Held { change, from }, &mut self.room);
        Reception::Waits(tip)
    }

    /// The name of a list for which changes wait to be applied.
    pub(super) fn waited_for(&self, list: ListId) -> Option<&ListName> {
        self.waiting.get(&list).map(|waiting| &waiting.name)
    }

    /// What can be applied to a document now: all that waits, and the orphans that it completes.
    pub(super) fn next_batch(&mut self, list: ListId, document: &Document) -> Option<Batch> {
        let Waiting { name, ready } = self.waiting.remove(&list)?;
        let mut taken = ready.take(&mut self.room);
        if let Some(left) = self.careful.get_mut(&list) {
            let rest = taken.split_off(taken.len().min(1));
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.careful.remove(&list);
            }
            self.put_back(list, name, rest);
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

    fn put_back(&mut self, list: ListId, name: ListName, changes: Vec<Held>) {
        if changes.is_empty() {
            return;
        }
        let mut ready = Heap::default();
        for held in changes {
            ready.add(held, &mut self.room);
        }
        self.waiting.insert(list, Waiting { name, ready });
    }

    /// Orphans in the order of their operations, so that one pass finds whole chains.
    fn take_completed(&mut self, list: ListId, document: &Document, taken: &mut Vec<Held>) {
        let Some(orphans) = self.orphans.remove(&list) else {
            return;
        };
        let hashes = taken.iter().map(|held| held.change.hash());
        let mut there: BTreeSet<ChangeHash> = hashes.collect();
        let mut rest = Heap::default();
        for held in orphans.take(&mut self.room) {
            let is_there = |dep: &ChangeHash| there.contains(dep) || document.has(dep);
            if held.change.deps().iter().all(is_there) {
                there.insert(held.change.hash());
                taken.push(held);
            } else {
                rest.add(held, &mut self.room);
            }
        }
        if !rest.is_empty() {
            self.orphans.insert(list, rest);
        }
    }

    /// Whether applying so many changes would hold up the other lists.
    pub(super) fn is_long(document: &Document, changes: usize) -> bool {
        let changes = u64::try_from(changes).unwrap_or(u64::MAX);
        let nanos = document
            .operations()
            .saturating_mul(NANOS_PER_OPERATION)
            .saturating_add(changes.saturating_mul(NANOS_PER_CHANGE));
        Duration::from_nanos(nanos) > MAX_APPLY
    }

    /// Keeps changes that lack others. True if they are the list's first.
    pub(super) fn keep(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        orphans: Vec<CheckedChange>,
        senders: &Senders,
    ) -> bool {
        if orphans.is_empty() {
            return false;
        }
        let first = !self.orphans.contains_key(&list);
        let heap = self.orphans.entry(list).or_default();
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
        orphans.into_iter().flat_map(Heap::senders).collect()
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
            let refused = waiting.ready.take(&mut self.room);
            edge.stats.changes_refused += u64::try_from(refused.len()).unwrap_or(0);
        }
        self.drop_orphans(list);
    }

    /// Looks again at the changes of a list that lacked others.
    pub(super) fn retry_orphans(&mut self, list: ListId, name: &ListName) {
        let orphans = self.orphans.remove(&list).unwrap_or_default();
        for held in orphans.take(&mut self.room) {
            let waiting = self.waiting.entry(list).or_insert_with(|| Waiting {
                name: name.clone(),
                ready: Heap::default(),
            });
            waiting.ready.add(held, &mut self.room);
        }
    }

    /// Drops the changes of a list that lack others; gives how many.
    pub(super) fn drop_orphans(&mut self, list: ListId) -> u64 {
        let orphans = self.orphans.remove(&list).unwrap_or_default();
        u64::try_from(orphans.take(&mut self.room).len()).unwrap_or(0)
    }

    /// Drops all that waits; what is known to be bad stays so.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.orphans.clear();
        self.room = Room::default();
    }

    /// How many changes wait for others.
    pub(super) fn orphans(&self) -> usize {
        self.orphans.values().map(Heap::len).sum()
    }
}
