//! Changes from peers: judged one by one, coalesced per list, and held back while others that they
//! need are missing.

use crate::lists::edge::Edge;
use bytes::Bytes;
use crdt::list::{self, CheckedChange, Document};
use names::{ChangeHash, ChangeId, ListId, ListName, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Changes of one list that wait to be applied, or for others; and their bytes.
const MAX_CHANGES_PER_LIST: usize = 10_000;
const MAX_BYTES_PER_LIST: usize = 16 << 20;
/// Bytes of all lists' changes that wait.
const MAX_BYTES: usize = 128 << 20;
/// Changes that made a document unfit for use are remembered, so many of them.
const MAX_POISON: usize = 1_024;
/// What applying takes, measured: it walks the whole document once, then takes each change.
const NANOS_PER_OPERATION: u64 = 25;
const NANOS_PER_CHANGE: u64 = 40_000;
/// A longer apply is a job.
const MAX_APPLY: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
struct Heap {
    changes: BTreeMap<ChangeHash, CheckedChange>,
    bytes: usize,
}

impl Heap {
    /// Gives the bytes that it takes more than before.
    fn add(&mut self, change: CheckedChange) -> usize {
        let length = change.bytes().len();
        if self.changes.insert(change.hash(), change).is_some() {
            return 0;
        }
        self.bytes += length;
        length
    }

    fn is_full(&self) -> bool {
        self.changes.len() >= MAX_CHANGES_PER_LIST || self.bytes >= MAX_BYTES_PER_LIST
    }
}

#[derive(Debug)]
struct Waiting {
    name: ListName,
    /// To be applied next.
    ready: Heap,
    senders: Senders,
}

#[derive(Debug, Default)]
struct Orphans {
    heap: Heap,
    senders: Senders,
}

/// Who sent a change, the first one who did.
pub(super) type Senders = BTreeMap<ChangeHash, NodeId>;

/// What waits, of all lists.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    waiting: BTreeMap<ListId, Waiting>,
    orphans: BTreeMap<ListId, Orphans>,
    /// Of both.
    bytes: usize,
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
    Waits(ChangeId),
    /// The document has it.
    Known(ChangeId),
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
        let id = change.id();
        if document.is_some_and(|document| document.has(&change.hash())) {
            edge.stats.changes_duplicate += 1;
            return Reception::Known(id);
        }
        if self.bytes >= MAX_BYTES
            || self
                .waiting
                .get(&list)
                .is_some_and(|waiting| waiting.ready.is_full())
        {
            edge.stats.dropped += 1;
            return Reception::Dropped;
        }
        let waiting = self.waiting.entry(list);
        let waiting = waiting.or_insert_with(|| Waiting {
            name: name.clone(),
            ready: Heap::default(),
            senders: Senders::new(),
        });
        waiting.senders.entry(change.hash()).or_insert(from);
        self.bytes += waiting.ready.add(change);
        Reception::Waits(id)
    }

    /// The name of a list for which changes wait to be applied.
    pub(super) fn waited_for(&self, list: ListId) -> Option<&ListName> {
        self.waiting.get(&list).map(|waiting| &waiting.name)
    }

    /// What can be applied to a document now: all that waits, and the orphans that it completes.
    pub(super) fn next_batch(&mut self, list: ListId, document: &Document) -> Option<Batch> {
        let mut waiting = self.waiting.remove(&list)?;
        let mut changes: Vec<CheckedChange> = std::mem::take(&mut waiting.ready.changes)
            .into_values()
            .collect();
        self.bytes -= waiting.ready.bytes;
        changes.sort_by_key(CheckedChange::start_op);
        if let Some(left) = self.careful.get_mut(&list) {
            let rest = changes.split_off(changes.len().min(1));
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.careful.remove(&list);
            }
            self.put_back(list, waiting.name, &waiting.senders, rest);
        }
        let only = if let [change] = changes.as_slice() {
            Some(change.hash())
        } else {
            None
        };
        let mut batch = Batch {
            changes,
            senders: waiting.senders,
            only,
        };
        self.take_completed(list, document, &mut batch);
        Some(batch)
    }

    fn put_back(
        &mut self,
        list: ListId,
        name: ListName,
        senders: &Senders,
        changes: Vec<CheckedChange>,
    ) {
        if changes.is_empty() {
            return;
        }
        let mut ready = Heap::default();
        self.bytes += changes
            .into_iter()
            .map(|change| ready.add(change))
            .sum::<usize>();
        self.waiting.insert(
            list,
            Waiting {
                name,
                ready,
                senders: senders.clone(),
            },
        );
    }

    /// Orphans in the order of their operations, so that one pass finds whole chains.
    fn take_completed(&mut self, list: ListId, document: &Document, batch: &mut Batch) {
        let Some(orphans) = self.orphans.get_mut(&list) else {
            return;
        };
        let changes = &mut batch.changes;
        let mut there: BTreeSet<ChangeHash> = changes.iter().map(CheckedChange::hash).collect();
        let heap = std::mem::take(&mut orphans.heap);
        self.bytes -= heap.bytes;
        let mut held: Vec<CheckedChange> = heap.changes.into_values().collect();
        held.sort_by_key(CheckedChange::start_op);
        for change in held {
            if change
                .deps()
                .iter()
                .all(|dep| there.contains(dep) || document.has(dep))
            {
                there.insert(change.hash());
                let sender = orphans.senders.remove(&change.hash());
                batch
                    .senders
                    .extend(sender.map(|sender| (change.hash(), sender)));
                changes.push(change);
            } else {
                self.bytes += orphans.heap.add(change);
            }
        }
        if orphans.heap.changes.is_empty() {
            self.orphans.remove(&list);
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
        let held = self.orphans.entry(list).or_default();
        for change in orphans {
            if held.heap.is_full() || self.bytes >= MAX_BYTES {
                edge.stats.dropped += 1;
            } else {
                let hash = change.hash();
                held.senders
                    .extend(senders.get(&hash).map(|sender| (hash, *sender)));
                self.bytes += held.heap.add(change);
            }
        }
        first
    }

    /// Those who sent changes that still lack others: they have those.
    pub(super) fn senders_of_orphans(&self, list: ListId) -> BTreeSet<NodeId> {
        self.orphans
            .get(&list)
            .into_iter()
            .flat_map(|orphans| orphans.senders.values().copied())
            .collect()
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
            self.bytes -= waiting.ready.bytes;
            edge.stats.changes_refused += u64::try_from(waiting.ready.changes.len()).unwrap_or(0);
        }
        self.drop_orphans(list);
    }

    /// Drops the changes of a list that lack others; gives how many.
    pub(super) fn drop_orphans(&mut self, list: ListId) -> u64 {
        let Some(orphans) = self.orphans.remove(&list) else {
            return 0;
        };
        self.bytes -= orphans.heap.bytes;
        u64::try_from(orphans.heap.changes.len()).unwrap_or(0)
    }

    /// Drops all that waits; what is known to be bad stays so.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.orphans.clear();
        self.bytes = 0;
    }

    /// How many changes wait for others.
    pub(super) fn orphans(&self) -> usize {
        self.orphans
            .values()
            .map(|orphans| orphans.heap.changes.len())
            .sum()
    }
}
