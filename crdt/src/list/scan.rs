//! One pass over a loaded document, for the index: several times cheaper than looking up each
//! entry.

use super::genesis;
use super::index::Slot;
use super::outline::{OpName, entry_id};
use super::read::{LIFE, Union, is_known};
use crate::entry::Field;
use automerge::iter::{DocItem, MapRangeItem};
use automerge::{Automerge, AutomergeError, ObjId, ObjType, ReadDoc, ValueRef};
use names::EntryId;
use std::collections::{BTreeMap, BTreeSet};

/// What a pass has found.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) entries: Vec<Scanned>,
    /// Whether any entry, alive or not, has a key that this program does not know.
    pub(super) has_unknown_keys: bool,
}

/// What the index has to know of an entry.
pub(super) struct Scanned {
    pub(super) id: EntryId,
    pub(super) maps: Vec<OpName>,
    pub(super) slot: Slot,
}

/// The keys that the index depends on.
const KEYS: [&str; 3] = [LIFE, Field::Order.key(), Field::Done.key()];

/// Scans all entries. Those with concurrent values, which the pass does not show, are looked up.
pub(super) fn scan(doc: &Automerge) -> Result<Scan, AutomergeError> {
    let mut pass = Pass {
        doc,
        entries: BTreeMap::new(),
        current: None,
        conflicts: BTreeSet::new(),
        scan: Scan::default(),
    };
    for found in doc.iter() {
        match found.item {
            DocItem::Map(item) if *found.obj == genesis::entries() => pass.entry(&item),
            DocItem::Map(item) => pass.field(&found.obj, &item),
            DocItem::List(_) | DocItem::Text(_) => {}
        }
    }
    pass.finish()
}

struct Pass<'a> {
    doc: &'a Automerge,
    /// The entries that the pass has yet to come to, by their only maps.
    entries: BTreeMap<OpName, EntryId>,
    /// The entry whose map the pass is in.
    current: Option<(EntryId, OpName, Union)>,
    conflicts: BTreeSet<EntryId>,
    scan: Scan,
}

impl Pass<'_> {
    fn entry(&mut self, item: &MapRangeItem<'_>) {
        let (Some(id), Some(map)) = (entry_id(&item.key), OpName::of(&item.id())) else {
            return;
        };
        if item.conflict {
            self.conflicts.insert(id);
        } else if item.value == ValueRef::Object(ObjType::Map) {
            self.entries.insert(map, id);
        }
    }

    fn field(&mut self, object: &ObjId, item: &MapRangeItem<'_>) {
        // The root has no name.
        let Some(map) = OpName::of(object) else {
            return;
        };
        if !KEYS.contains(&item.key.as_ref()) {
            self.scan.has_unknown_keys |= !is_known(&item.key);
            return;
        }
        if let Some(id) = self.entries.remove(&map) {
            self.flush();
            self.current = Some((id, map, Union::of_maps(vec![object.clone()])));
        }
        let Some((id, _, union)) = self
            .current
            .as_mut()
            .filter(|(_, current, _)| *current == map)
        else {
            return;
        };
        if item.conflict {
            self.conflicts.insert(*id);
        } else {
            union.add(self.doc, item);
        }
    }

    fn flush(&mut self) {
        let Some((id, map, union)) = self.current.take() else {
            return;
        };
        if !self.conflicts.contains(&id) {
            self.scan.entries.push(Scanned {
                id,
                maps: vec![map],
                slot: union.slot(),
            });
        }
    }

    fn finish(mut self) -> Result<Scan, AutomergeError> {
        self.flush();
        // Maps without any of the keys are left over: nothing says that they are alive.
        self.scan
            .entries
            .extend(self.entries.iter().map(|(map, id)| Scanned {
                id: *id,
                maps: vec![*map],
                slot: Slot::Dead,
            }));
        for id in self.conflicts {
            let Some(union) = Union::read(self.doc, id)? else {
                continue;
            };
            self.scan.has_unknown_keys |= union.has_unknown_keys();
            self.scan.entries.push(Scanned {
                id,
                maps: union.maps.iter().filter_map(OpName::of).collect(),
                slot: union.slot(),
            });
        }
        Ok(self.scan)
    }
}
