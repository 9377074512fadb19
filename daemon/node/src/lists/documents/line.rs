//! Lists for which only changes of peers wait, and whose documents are not in memory.
//!
//! A peer can send changes of any number of lists at once. If each of them had its document at
//! once, they would take all of the memory, and no client would be heard meanwhile: a document
//! leaves the memory only when its changes are on the disk. So these lists stand in line, and one
//! after the other is taken up while the documents in memory are within their bound. What clients
//! ask of a list never stands in line.

use names::ListId;
use std::collections::{BTreeMap, BTreeSet};

/// So many lists of the line are at work whatever the documents take, because a document that
/// clients keep writing to may be larger than the bound, and does not leave. Whether a list that is
/// on the disk is large shows only when it has been loaded: of those there are never more.
pub(super) const MIN_AT_WORK: usize = 16;

/// The line, and the lists that were taken up.
#[derive(Debug, Default)]
pub(super) struct Line {
    places: BTreeMap<ListId, u64>,
    order: BTreeMap<u64, ListId>,
    next_place: u64,
    /// Until their changes are on the disk.
    at_work: BTreeSet<ListId>,
}

impl Line {
    /// Puts a list at the end, unless it stands in line already.
    pub(super) fn join(&mut self, list: ListId) {
        self.places.entry(list).or_insert_with(|| {
            let place = self.next_place;
            self.next_place += 1;
            self.order.insert(place, list);
            place
        });
    }

    /// The list that has stood longest.
    pub(super) fn first(&self) -> Option<ListId> {
        self.order.values().next().copied()
    }

    /// Takes a list up.
    pub(super) fn begin(&mut self, list: ListId) {
        self.leave(list);
        self.at_work.insert(list);
    }

    /// The list's document is wanted by clients, or there.
    pub(super) fn leave(&mut self, list: ListId) {
        if let Some(place) = self.places.remove(&list) {
            self.order.remove(&place);
        }
    }

    /// What waited for the list is on the disk, or came to nothing.
    pub(super) fn done(&mut self, list: ListId) {
        self.leave(list);
        self.at_work.remove(&list);
    }

    pub(super) fn is_at_work(&self, list: ListId) -> bool {
        self.at_work.contains(&list)
    }

    /// How many lists were taken up and are not done.
    pub(super) fn at_work(&self) -> usize {
        self.at_work.len()
    }

    /// How many lists stand in line.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
