//! Which documents are in memory, and which of them leave it when it gets tight.

use crdt::list::Document;
use names::ListId;
use std::collections::{BTreeMap, BTreeSet};

/// Fewer changes than these are not worth a snapshot.
const SNAPSHOT_CHANGES: u64 = 64;
/// And only if they are more than this part of all changes: each snapshot rewrites the whole
/// document.
const SNAPSHOT_PART: u64 = 4;
/// The document of a list without entries leaves memory soon if it is larger than this: it holds what
/// was deleted, and nobody is likely to ask for it.
const EMPTY_BYTES: usize = 64 << 10;
/// Unless it is among so many that were used last: a list may be emptied and filled again and again.
const KEPT_EMPTY: u64 = 16;
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
    /// The ages of documents that are to leave whether there is room or not: see [`EMPTY_BYTES`].
    emptied: BTreeSet<u64>,
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
            emptied: BTreeSet::new(),
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

    /// When a document in memory was used last: a larger number is later.
    pub(super) fn used(&self, list: ListId) -> Option<u64> {
        let slot = self.slots.get(&list)?;
        Some(slot.age.saturating_add(1).min(self.next_age))
    }

    pub(super) fn get(&self, list: ListId) -> Option<&Document> {
        self.slots.get(&list)?.document.as_deref()
    }

    pub(super) fn get_mut(&mut self, list: ListId) -> Option<&mut Document> {
        self.slots.get_mut(&list)?.document.as_deref_mut()
    }

    /// A document that is new, was loaded, or comes back from a job; `unsaved` more changes than
    /// the snapshot has. One of a list that was quarantined meanwhile is of no use.
    pub(super) fn insert(&mut self, list: ListId, document: Box<Document>, unsaved: u64) {
        if self.quarantined.contains(&list) {
            return;
        }
        let before = self.remove(list);
        let unsaved = before
            .map_or(0, |slot| slot.unsaved)
            .saturating_add(unsaved);
        let bytes = document.bytes();
        let age = self.age_anew(list, document.total(), bytes);
        self.bytes += bytes;
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
        let (before, total, bytes) = (slot.age, document.total(), document.bytes());
        self.bytes = self.bytes.saturating_sub(slot.bytes) + bytes;
        slot.bytes = bytes;
        slot.unsaved = slot.unsaved.saturating_add(changes);
        self.forget_age(before);
        let age = self.age_anew(list, total, bytes);
        if let Some(slot) = self.slots.get_mut(&list) {
            slot.age = age;
        }
    }

    /// Makes a document the one that was used last; gives its age.
    fn age_anew(&mut self, list: ListId, total: u64, bytes: usize) -> u64 {
        let age = self.next_age;
        self.next_age += 1;
        self.ages.insert(age, list);
        if total == 0 && bytes > EMPTY_BYTES {
            self.emptied.insert(age);
        }
        age
    }

    fn forget_age(&mut self, age: u64) {
        self.ages.remove(&age);
        self.emptied.remove(&age);
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
        let (age, document) = (slot.age, slot.document.take());
        self.forget_age(age);
        document
    }

    /// Drops the document, here or away.
    pub(super) fn discard(&mut self, list: ListId) {
        self.remove(list);
    }

    /// Drops all documents.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.ages.clear();
        self.emptied.clear();
        self.bytes = 0;
    }

    pub(super) fn quarantine(&mut self, list: ListId) {
        self.remove(list);
        self.quarantined.insert(list);
    }

    pub(super) fn leave_quarantine(&mut self, list: ListId) {
        self.quarantined.remove(&list);
    }

    pub(super) fn quarantined(&self) -> &BTreeSet<ListId> {
        &self.quarantined
    }

    /// While too much is in memory: takes out the oldest document that is not `busy`, and tells
    /// whether it deserves a snapshot. Large documents of lists without entries leave in any case.
    pub(super) fn evict(
        &mut self,
        busy: impl Fn(ListId) -> bool,
    ) -> Option<(ListId, Box<Document>, bool)> {
        let is_idle = |list: &ListId| !busy(*list);
        let is_old = |age: &&u64| **age + KEPT_EMPTY < self.next_age;
        let emptied = self.emptied.iter().take_while(is_old).take(EVICTION_LOOKS);
        let emptied = emptied.filter_map(|age| self.ages.get(age).copied());
        let oldest = self.ages.values().take(EVICTION_LOOKS).copied();
        let oldest = oldest.filter(|_| !self.has_room());
        let list = emptied.chain(oldest).find(is_idle)?;
        let slot = self.remove(list)?;
        let document = slot.document?;
        let total: u64 = document
            .vector()
            .iter()
            .map(|tip| tip.id.seq)
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
        self.forget_age(slot.age);
        self.bytes = self.bytes.saturating_sub(slot.bytes);
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crdt::entry::{Author, Edit, NewEntry};
    use names::{Actor, ListName};

    /// A list that has had an entry with such a note, and has it still or not.
    fn document(name: &str, note: usize, is_deleted: bool) -> (ListId, Box<Document>) {
        let name = ListName::new(name).unwrap();
        let mut document = Document::new(name.clone(), Actor([1; 16]));
        let entry = NewEntry {
            title: "milk".to_owned(),
            notes: "x".repeat(note),
            ..NewEntry::default()
        };
        let edits = [Edit::Add(vec![entry]), Edit::DeleteAll];
        for edit in edits.iter().take(1 + usize::from(is_deleted)) {
            let by = Author("ann".to_owned());
            document.edit(edit, &by, 0, &mut || 7).unwrap();
        }
        (ListId::of(&name), Box::new(document))
    }

    #[test]
    fn what_was_deleted_leaves_memory_though_there_is_room() {
        let mut resident = Resident::new(1 << 30, Vec::new());
        let documents = [
            document("kept", EMPTY_BYTES, false),
            document("small", 10, true),
            document("large", EMPTY_BYTES, true),
        ];
        let large = documents[2].0;
        let kept = documents[0].0;
        for (list, document) in documents {
            resident.insert(list, document, 0);
            resident.touch(list, 1);
        }
        assert!(resident.evict(|_| false).is_none(), "it was used just now");
        for _ in 0..KEPT_EMPTY {
            resident.touch(kept, 0);
        }
        assert!(resident.evict(|list| list == large).is_none(), "it is busy");
        let evicted = resident.evict(|_| false).map(|(list, ..)| list);
        assert_eq!(evicted, Some(large));
        assert!(resident.evict(|_| false).is_none());
        assert_eq!((resident.size().0, resident.emptied.len()), (2, 0));
    }

    #[test]
    fn a_list_that_has_entries_again_stays() {
        let mut resident = Resident::new(1 << 30, Vec::new());
        let (list, document) = document("large", EMPTY_BYTES, true);
        resident.insert(list, document, 0);
        let by = Author("ann".to_owned());
        let again = Edit::Add(vec![NewEntry {
            title: "bread".to_owned(),
            ..NewEntry::default()
        }]);
        let document = resident.get_mut(list).unwrap();
        document.edit(&again, &by, 1, &mut || 8).unwrap();
        for _ in 0..=KEPT_EMPTY {
            resident.touch(list, 1);
        }
        assert!(resident.evict(|_| false).is_none());
    }
}
