//! Additions that Automerge's document gets later.
//!
//! A pure addition overwrites nothing: what a list is with it follows from the change and from what is
//! kept beside Automerge's document. So that one is left behind at first, and gets many of them in
//! one batch when something needs it: an edit, a change of another kind, a snapshot. What is said of
//! the document meanwhile is of all changes, whether Automerge has them or not.
//!
//! An addition is deferred only if nothing about it is to be asked of Automerge: all that it depends
//! on is here, its actor's change before it among that, the ids of its entries were never used
//! here, and the list leaves nothing out.

use super::apply::{ApplyError, put_in_automerge};
use super::document::Document;
use super::judge::CheckedChange;
use super::pure::Addition;
use super::read::Union;
use crate::entry::Edit;
use automerge::{Automerge, Change, ReadDoc};
use bytes::Bytes;
use names::{ChangeHash, EntryId};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// So many additions wait at most, and so many bytes of them. More are applied with those that wait.
const MAX_CHANGES: usize = 1_000;
const MAX_BYTES: usize = 1 << 20;
/// A change that waits has no more bytes, on average: to tell one of its entries all of it is read, and what adds
/// many entries costs Automerge little for each.
const MAX_CHANGE_BYTES: usize = 16 << 10;
/// About what a deferred addition takes besides its bytes, in bytes.
const CHANGE_BYTES: usize = 400;

/// The additions that Automerge's document lacks.
#[derive(Clone, Debug, Default)]
pub(super) struct Deferred {
    /// Each after those that it depends on.
    changes: Vec<Late>,
    /// Where each of them is.
    places: BTreeMap<ChangeHash, usize>,
    /// Which of them adds an entry.
    entries: BTreeMap<EntryId, usize>,
    /// The heads with these changes, if there are any.
    heads: BTreeSet<ChangeHash>,
    bytes: usize,
}

/// An addition that waits.
#[derive(Clone, Debug)]
pub(super) struct Late {
    pub(super) hash: ChangeHash,
    pub(super) deps: Vec<ChangeHash>,
    pub(super) start_op: u64,
    pub(super) max_op: u64,
    pub(super) bytes: Bytes,
}

impl From<&CheckedChange> for Late {
    fn from(change: &CheckedChange) -> Self {
        Self {
            hash: change.hash(),
            deps: change.deps().to_vec(),
            start_op: change.start_op(),
            max_op: change.max_op(),
            // They may be a part of a large message.
            bytes: Bytes::copy_from_slice(change.bytes()),
        }
    }
}

/// What is known of a change that is here.
pub(super) struct Known {
    pub(super) start_op: u64,
    pub(super) max_op: u64,
    pub(super) deps: Vec<ChangeHash>,
}

impl Deferred {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn has(&self, hash: &ChangeHash) -> bool {
        self.places.contains_key(hash)
    }

    /// Whether so many more with so many bytes may wait.
    fn has_room(&self, changes: usize, bytes: usize) -> bool {
        self.changes.len().saturating_add(changes) <= MAX_CHANGES
            && bytes <= changes.saturating_mul(MAX_CHANGE_BYTES)
            && self.bytes.saturating_add(bytes) <= MAX_BYTES
    }

    /// About how many bytes of memory they take besides their bytes, which the document will have.
    pub(super) fn memory(&self) -> usize {
        self.changes.len().saturating_mul(CHANGE_BYTES)
    }

    fn known(&self, hash: &ChangeHash) -> Option<Known> {
        let late = self.changes.get(*self.places.get(hash)?)?;
        Some(Known {
            start_op: late.start_op,
            max_op: late.max_op,
            deps: late.deps.clone(),
        })
    }

    /// An entry that one of them adds.
    pub(super) fn entry(&self, id: EntryId) -> Option<Union> {
        let late = self.changes.get(*self.entries.get(&id)?)?;
        let outline = Addition::read(&late.bytes)?.outline()?;
        let mut added = outline.additions();
        added.find(|(one, _)| *one == id).map(|(_, union)| union)
    }
}

impl Document {
    /// Whether additions with so many bytes can be deferred, as far as the list is concerned.
    pub(super) fn may_defer(&self, changes: usize, bytes: usize) -> bool {
        self.left_out().is_empty() && !self.has_aside() && self.deferred.has_room(changes, bytes)
    }

    /// Whether these changes can be taken without Automerge, so that it costs little however large
    /// the list is. For who decides where they are applied: [`Document::apply`] looks closer.
    pub fn defers(&self, changes: &[CheckedChange]) -> bool {
        let bytes = changes.iter().map(|change| change.bytes().len()).sum();
        let is_new = |id: &EntryId| self.index.slot(*id).is_none();
        let only_adds = |change: &CheckedChange| {
            let mut maps = change.outline.maps.iter();
            change.outline.only_adds() && maps.all(|(_, id)| is_new(id))
        };
        self.may_defer(changes.len(), bytes) && changes.iter().all(only_adds)
    }

    /// How many additions Automerge's document lacks.
    pub fn behind(&self) -> usize {
        self.deferred.changes.len()
    }

    /// Whether that edit needs what Automerge's document lacks.
    pub fn has_to_catch_up(&self, edit: &Edit) -> bool {
        let is_deferred = || match edit {
            Edit::Add(_) | Edit::AddAgain(_) => self.may_defer(1, edit.bytes()),
            Edit::Patch(..)
            | Edit::Delete(_)
            | Edit::Several(..)
            | Edit::Resolve(..)
            | Edit::DeleteAll
            | Edit::Merge(_)
            | Edit::Undo(_)
            | Edit::Redo(_) => false,
        };
        !self.deferred.is_empty() && !is_deferred()
    }

    /// Leaves an addition for later that fits, with the entries that it adds: they were never here.
    pub(super) fn defer(&mut self, late: Late, entries: impl IntoIterator<Item = EntryId>) {
        if self.deferred.is_empty() {
            self.deferred.heads = self.heads().into_iter().collect();
        }
        let deferred = &mut self.deferred;
        let place = deferred.changes.len();
        for dep in &late.deps {
            deferred.heads.remove(dep);
        }
        deferred.heads.insert(late.hash);
        deferred.places.insert(late.hash, place);
        let entries = entries.into_iter().map(|id| (id, place));
        deferred.entries.extend(entries);
        deferred.bytes = deferred.bytes.saturating_add(late.bytes.len());
        deferred.changes.push(late);
    }

    /// Gives Automerge's document the additions that it lacks.
    ///
    /// # Errors
    /// Automerge fails on one of them, although it was judged to be sound. Afterwards the document
    /// must be dropped.
    pub fn catch_up(&mut self) -> Result<(), ApplyError> {
        if self.deferred.is_empty() {
            return Ok(());
        }
        let deferred = std::mem::take(&mut self.deferred);
        let is_done = put_in(&mut self.doc, &deferred.changes)
            && self.heads().iter().eq(deferred.heads.iter());
        if !is_done {
            return Err(ApplyError::Late(deferred.culprit(&self.doc)));
        }
        debug_assert!(self.shows(&deferred), "an entry is as the document has it");
        Ok(())
    }

    /// Automerge's document with what it lacks.
    pub(super) fn whole(&self) -> Cow<'_, Automerge> {
        if self.deferred.is_empty() {
            return Cow::Borrowed(&self.doc);
        }
        let mut doc = self.doc.clone();
        put_in(&mut doc, &self.deferred.changes);
        Cow::Owned(doc)
    }

    /// The hashes of the changes that no other depends on, sorted.
    pub fn heads(&self) -> Vec<ChangeHash> {
        if !self.deferred.is_empty() {
            return self.deferred.heads.iter().copied().collect();
        }
        let heads = self.doc.get_heads().into_iter();
        heads.map(|hash| ChangeHash(hash.0)).collect()
    }

    /// What is known of a change; `None` if it is not here.
    pub(super) fn known(&self, hash: &ChangeHash) -> Option<Known> {
        if let Some(known) = self.deferred.known(hash) {
            return Some(known);
        }
        let hash = automerge::ChangeHash(hash.0);
        let found = self.doc.get_change_meta_by_hash(&hash)?;
        Some(Known {
            start_op: found.start_op,
            max_op: found.max_op,
            deps: found.deps.iter().map(|hash| ChangeHash(hash.0)).collect(),
        })
    }

    /// Whether entries are as the changes say that added them.
    fn shows(&self, deferred: &Deferred) -> bool {
        deferred.entries.keys().all(|id| {
            let added = deferred.entry(*id);
            added.and_then(|union| union.entry(*id, &self.authorship)) == self.entry(*id)
        })
    }
}

impl Deferred {
    /// The first of them that Automerge fails on, tried one by one on top of the changes that were there
    /// before; the last one if none fails by itself.
    fn culprit(&self, doc: &Automerge) -> ChangeHash {
        let changes = catch_unwind(AssertUnwindSafe(|| doc.get_changes(&[]))).unwrap_or_default();
        let is_old = |change: &Change| !self.has(&ChangeHash(change.hash().0));
        let changes = changes.into_iter().filter(is_old).collect();
        let mut doc = Automerge::new();
        let old = catch_unwind(AssertUnwindSafe(|| put_in_automerge(&mut doc, changes)));
        let mut fails = |late: &&Late| !put_in(&mut doc, std::slice::from_ref(*late));
        let is_whole = matches!(old, Ok(Ok(())));
        let culprit = self.changes.iter().find(|late| is_whole && fails(late));
        let named = culprit.or(self.changes.last());
        named.map_or(ChangeHash([0; 32]), |late| late.hash)
    }
}

/// Applies additions to Automerge's document; false if it fails on them.
fn put_in(doc: &mut Automerge, changes: &[Late]) -> bool {
    let apply = || {
        let decoded = changes.iter();
        let decoded = decoded.map(|late| Change::from_bytes(late.bytes.to_vec()));
        let decoded = decoded.collect::<Result<Vec<_>, _>>();
        let hashes = changes.iter();
        let hashes: Vec<_> = hashes
            .map(|late| automerge::ChangeHash(late.hash.0))
            .collect();
        decoded.is_ok_and(|decoded| put_in_automerge(doc, decoded).is_ok())
            && doc.get_missing_deps(&hashes).is_empty()
    };
    catch_unwind(AssertUnwindSafe(apply)).unwrap_or(false)
}
