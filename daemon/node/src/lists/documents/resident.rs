//! Which documents are in memory, and which of them leave it when it gets tight.

use crdt::list::Document;
use names::ListId;
use std::collections::{BTreeMap, BTreeSet};

/// Fewer changes than these are not worth a snapshot.
const SNAPSHOT_CHANGES: u64 = 64;
/// And only if they are more than this part of all changes: each snapshot rewrites the whole
/// document.
const SNAPSHOT_PART: u64 = 4;
/// How many of the oldest documents are looked at for one that can leave.
const EVICTION_LOOKS: usize = 16;

/// Where a list's document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In memory.
    Here,
    /// A job has it, or makes it.
    Away,
    /// On disk only, if anywhere.
    Absent,
    /// It cannot be loaded, and nothing is done with it.
    Quarantined,
}

#[derive(Debug)]
struct Slot {
    /// `None` while a job has it.
    document: Option<Box<Document>>,
    bytes: usize,
    age: u64,
    /// Changes that the last snapshot lacks.
    unsaved: u64,
}

/// The loaded documents, least recently used first out.
#[derive(Debug)]
pub(super) struct Resident {
    slots: BTreeMap<ListId, Slot>,
    ages: BTreeMap<u64, ListId>,
    next_age: u64,
    bytes: usize,
    limit_bytes: usize,
    quarantined: BTreeSet<ListId>,
}

impl Resident {
    pub(super) fn new(limit_bytes: usize, quarantined: Vec<ListId>) -> Self {
        let quarantined = quarantined.into_iter().collect();
        Self {
            slots: BTreeMap::new(),
            ages: BTreeMap::new(),
            next_age: 0,
            bytes: 0,
            limit_bytes,
            quarantined,
        }
    }

    pub(super) fn place(&self, list: ListId) -> Place {
        match self.slots.get(&list) {
            _ if self.quarantined.contains(&list) => Place::Quarantined,
            Some(Slot {
                document: Some(_), ..
            }) => Place::Here,
            Some(Slot { document: None, .. }) => Place::Away,
            None => Place::Absent,
        }
    }

    pub(super) fn get(&self, list: ListId) -> Option<&Document> {
        self.slots.get(&list)?.document.as_deref()
    }

    pub(super) fn get_mut(&mut self, list: ListId) -> Option<&mut Document> {
        self.slots.get_mut(&list)?.document.as_deref_mut()
    }

    /// A document that is new, was loaded, or comes back from a job; `unsaved` more changes than
    /// the snapshot has.
    pub(super) fn insert(&mut self, list: ListId, document: Box<Document>, unsaved: u64) {
        let before = self.remove(list);
        let unsaved = before
            .map_or(0, |slot| slot.unsaved)
            .saturating_add(unsaved);
        let (bytes, age) = (document.bytes(), self.next_age);
        self.next_age += 1;
        self.bytes += bytes;
        self.ages.insert(age, list);
        self.slots.insert(
            list,
            Slot {
                document: Some(document),
                bytes,
                age,
                unsaved,
            },
        );
    }

    /// A document was used, and has so many changes more than before.
    pub(super) fn touch(&mut self, list: ListId, changes: u64) {
        let Some(slot) = self.slots.get_mut(&list) else {
            return;
        };
        let Some(document) = &slot.document else {
            return;
        };
        self.ages.remove(&slot.age);
        slot.age = self.next_age;
        self.next_age += 1;
        self.ages.insert(slot.age, list);
        self.bytes = self.bytes.saturating_sub(slot.bytes);
        slot.bytes = document.bytes();
        self.bytes += slot.bytes;
        slot.unsaved = slot.unsaved.saturating_add(changes);
    }

    /// A job makes the document.
    pub(super) fn expect(&mut self, list: ListId) {
        self.slots.insert(
            list,
            Slot {
                document: None,
                bytes: 0,
                age: u64::MAX,
                unsaved: 0,
            },
        );
    }

    /// Hands the document to a job. It counts as in memory, and is not evicted.
    pub(super) fn lend(&mut self, list: ListId) -> Option<Box<Document>> {
        let slot = self.slots.get_mut(&list)?;
        self.ages.remove(&slot.age);
        slot.document.take()
    }

    /// Drops the document, here or away.
    pub(super) fn discard(&mut self, list: ListId) {
        self.remove(list);
    }

    /// Drops all documents.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.ages.clear();
        self.bytes = 0;
    }

    pub(super) fn quarantine(&mut self, list: ListId) {
        self.remove(list);
        self.quarantined.insert(list);
    }

    pub(super) fn quarantined(&self) -> &BTreeSet<ListId> {
        &self.quarantined
    }

    /// While too much is in memory: takes out the oldest document that is not `busy`, and tells
    /// whether it deserves a snapshot.
    pub(super) fn evict(
        &mut self,
        busy: impl Fn(ListId) -> bool,
    ) -> Option<(ListId, Box<Document>, bool)> {
        if self.has_room() {
            return None;
        }
        let list = self
            .ages
            .values()
            .take(EVICTION_LOOKS)
            .copied()
            .find(|list| !busy(*list))?;
        let slot = self.remove(list)?;
        let document = slot.document?;
        let total: u64 = document
            .vector()
            .iter()
            .map(|id| id.seq)
            .fold(0, u64::saturating_add);
        let deserving =
            slot.unsaved >= SNAPSHOT_CHANGES && slot.unsaved.saturating_mul(SNAPSHOT_PART) > total;
        Some((list, document, deserving))
    }

    /// Whether the documents are within their bound, so that another one may come.
    pub(super) fn has_room(&self) -> bool {
        self.bytes <= self.limit_bytes
    }

    /// How many documents are in memory, and about how many bytes they take.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.slots.len(), self.bytes)
    }

    fn remove(&mut self, list: ListId) -> Option<Slot> {
        let slot = self.slots.remove(&list)?;
        self.ages.remove(&slot.age);
        self.bytes = self.bytes.saturating_sub(slot.bytes);
        Some(slot)
    }
}
