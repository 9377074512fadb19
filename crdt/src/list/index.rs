//! What a document's entries look like from outside: kept up to date so that no edit walks the
//! list.

use super::outline::OpName;
use names::EntryId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// What the index knows of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// It is in the list.
    Alive {
        /// Its sort key.
        order: Arc<str>,
        /// Still to do.
        open: bool,
    },
    /// It was deleted.
    Dead,
}

/// All entries that were ever made, the order of the live ones, and the maps that they consist of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    slots: BTreeMap<EntryId, Slot>,
    order: BTreeSet<(Arc<str>, EntryId)>,
    open: u64,
    maps: BTreeMap<OpName, EntryId>,
}

impl Index {
    /// What is known of an entry.
    pub(super) fn slot(&self, id: EntryId) -> Option<&Slot> {
        self.slots.get(&id)
    }

    /// Whether it is alive.
    pub(super) fn is_alive(&self, id: EntryId) -> bool {
        matches!(self.slots.get(&id), Some(Slot::Alive { .. }))
    }

    /// Replaces what is known of an entry.
    pub(super) fn set(&mut self, id: EntryId, slot: Slot) {
        self.forget(id);
        if let Slot::Alive { order, open } = &slot {
            self.order.insert((order.clone(), id));
            self.open += u64::from(*open);
        }
        self.slots.insert(id, slot);
    }

    /// Takes an entry out that was put in ahead of a change which then was not made.
    pub(super) fn forget(&mut self, id: EntryId) {
        if let Some(Slot::Alive { order, open }) = self.slots.remove(&id) {
            self.order.remove(&(order, id));
            self.open -= u64::from(open);
        }
    }

    /// The live entries in order.
    pub(super) fn in_order(&self) -> impl Iterator<Item = EntryId> + '_ {
        self.order.iter().map(|(_, id)| *id)
    }

    /// The number of live entries.
    pub(super) fn total(&self) -> u64 {
        u64::try_from(self.order.len()).unwrap_or(u64::MAX)
    }

    /// The number of live entries that are still to do.
    pub(super) fn open(&self) -> u64 {
        self.open
    }

    /// How many entries were ever made.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Takes in a map that an entry consists of.
    pub(super) fn add_map(&mut self, map: OpName, entry: EntryId) {
        self.maps.insert(map, entry);
    }

    /// The entry that a map belongs to.
    pub(super) fn owner(&self, map: OpName) -> Option<EntryId> {
        self.maps.get(&map).copied()
    }

    /// The position of the last entry.
    pub(super) fn last(&self) -> Option<Arc<str>> {
        self.order.last().map(|(order, _)| order.clone())
    }

    /// The entry that stands before a position, other than `moving`.
    pub(super) fn before(&self, order: &str, moving: EntryId) -> Option<EntryId> {
        let end = (Arc::from(order), moving);
        let mut earlier = self.order.range(..end).rev();
        earlier.find(|(_, id)| *id != moving).map(|(_, id)| *id)
    }

    /// The positions directly before and after a place beside a live entry, as if `moving` were not
    /// there; `None` if there is no such entry. Among entries of equal position there is no room: the
    /// place is then before, or after, all of these.
    pub(super) fn gap(&self, entry: EntryId, side: Side, moving: Option<EntryId>) -> Option<Gap> {
        let Some(Slot::Alive { order, .. }) = self.slots.get(&entry) else {
            return None;
        };
        let stays = |other: &&(Arc<str>, EntryId)| Some(other.1) != moving;
        let text = |(order, _): &'_ (Arc<str>, EntryId)| order.clone();
        Some(match side {
            Side::Before => {
                let mut lower = self.order.range(..(order.clone(), EntryId(0))).rev();
                (lower.find(stays).map(text), Some(order.clone()))
            }
            Side::After => {
                let equals = Bound::Excluded((order.clone(), EntryId(u128::MAX)));
                let mut higher = self.order.range((equals, Bound::Unbounded));
                (Some(order.clone()), higher.find(stays).map(text))
            }
        })
    }
}

/// The positions between which a place is, as far as there are any.
pub(super) type Gap = (Option<Arc<str>>, Option<Arc<str>>);

/// A side of an entry in the list's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Towards the beginning.
    Before,
    /// Towards the end.
    After,
}
