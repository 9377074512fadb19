//! Writing anew what a change did, where the change itself has left the list with what it depended on.
//!
//! What a change did is told by the entries before and after it: fields that differ. That is carried out
//! as edits of the document that stays. An entry that left with the others, and was only edited by the
//! change, is added as the change left it.

use super::Document;
use super::document::{RawChange, Standing};
use super::judge::judge;
use crate::entry::{Author, Edit, Entry, EntryPatch, NewEntry, Place};
use bytes::Bytes;
use names::{ChangeHash, EntryId};
use std::collections::{BTreeMap, BTreeSet};

/// A change that was written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anew {
    /// The change that has left.
    pub instead_of: ChangeHash,
    /// The changes that say the same; none if there is nothing left to say.
    pub changes: Vec<RawChange>,
}

impl Document {
    /// Writes anew into this document, by its actor, what `lost` did among `all`: raw changes in an
    /// order in which each follows those that it depends on. With the authors and times of `lost`.
    pub fn write_anew(&mut self, all: &[Bytes], lost: &BTreeSet<ChangeHash>) -> Vec<Anew> {
        let Ok(mut then) = Self::load(self.name().clone(), self.actor, None, &[]) else {
            return Vec::new();
        };
        let (mut entries, mut before, mut anew) = (BTreeMap::new(), Vec::new(), Vec::new());
        let checked = all.iter().filter_map(|bytes| judge(bytes.clone()).ok());
        for change in checked {
            if !lost.contains(&change.hash()) {
                before.push(change);
                continue;
            }
            replay(&mut then, std::mem::take(&mut before), &mut entries);
            let (hash, by, at_ms) = (change.hash(), change.author(), change.at_ms());
            let steps = replay(&mut then, vec![change], &mut entries);
            let edits = steps.into_iter().map(|(id, old, new)| {
                let place = new.as_ref().and_then(|new| place_of(new, &entries));
                (id, old, new, place)
            });
            let mut changes = Vec::new();
            for (id, old, new, place) in edits.collect::<Vec<_>>() {
                let edit = self.edit_for(id, old.as_ref(), new.as_ref(), place);
                changes.extend(edit.and_then(|edit| self.edit_once(&edit, &by, at_ms, hash)));
            }
            anew.push(Anew {
                instead_of: hash,
                changes,
            });
        }
        anew
    }

    /// What is to be done here so that the entry has changed as it did there.
    fn edit_for(
        &self,
        id: EntryId,
        old: Option<&Entry>,
        new: Option<&Entry>,
        place: Option<Place>,
    ) -> Option<Edit> {
        let standing = self.standing(id);
        match (old, new) {
            (Some(_), None) => (standing == Standing::Alive).then_some(Edit::Delete(id)),
            (Some(old), Some(new)) if standing == Standing::Alive => {
                let place = place.filter(|_| old.order != new.order);
                Some(Edit::Patch(id, difference(old, new, place)))
            }
            (_, Some(new)) if standing == Standing::Unknown => {
                Some(Edit::Add(vec![whole(new, place)]))
            }
            (_, Some(_)) | (None, None) => None,
        }
    }

    fn edit_once(
        &mut self,
        edit: &Edit,
        by: &Author,
        at_ms: i64,
        seed: ChangeHash,
    ) -> Option<RawChange> {
        // Equal on each try: what was not kept is made again as it was.
        let mut drawn = u128::from_be_bytes(seed.0.first_chunk().copied().unwrap_or_default());
        let mut draw = || {
            drawn = drawn
                .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645)
                .wrapping_add(1);
            drawn
        };
        let edited = self.edit(edit, by, at_ms, &mut draw);
        let edited = edited.or_else(|_| match edit {
            // Its neighbour may have left, too.
            Edit::Add(entries) => {
                let entries = entries.iter().cloned();
                let unplaced = entries.map(|entry| NewEntry {
                    place: None,
                    ..entry
                });
                self.edit(&Edit::Add(unplaced.collect()), by, at_ms, &mut draw)
            }
            Edit::Patch(id, patch) => {
                let patch = EntryPatch {
                    place: None,
                    ..patch.clone()
                };
                self.edit(&Edit::Patch(*id, patch), by, at_ms, &mut draw)
            }
            Edit::Delete(_) | Edit::DeleteAll => self.edit(edit, by, at_ms, &mut draw),
        });
        edited.ok()?.change
    }
}

type Step = (EntryId, Option<Entry>, Option<Entry>);

/// Applies changes; gives how the entries were that they wrote to, and are now.
fn replay(
    then: &mut Document,
    changes: Vec<super::CheckedChange>,
    entries: &mut BTreeMap<EntryId, Entry>,
) -> Vec<Step> {
    let applied = then.apply(changes).unwrap_or_default();
    let step = |touched: super::Touched| {
        let old = match &touched.entry {
            Some(new) => entries.insert(touched.id, new.clone()),
            None => entries.remove(&touched.id),
        };
        (touched.id, old, touched.entry)
    };
    applied.touched.into_iter().map(step).collect()
}

/// Behind which entry it stands.
fn place_of(entry: &Entry, entries: &BTreeMap<EntryId, Entry>) -> Option<Place> {
    let key = |entry: &Entry| (entry.order.clone(), entry.id);
    let before = entries.values().filter(|other| key(other) < key(entry));
    let last = before.max_by_key(|other| key(other));
    last.map(|last| Place::After(last.id))
}

fn difference(old: &Entry, new: &Entry, place: Option<Place>) -> EntryPatch {
    fn changed<T: PartialEq + Clone>(old: &T, new: &T) -> Option<T> {
        (old != new).then(|| new.clone())
    }
    EntryPatch {
        title: changed(&old.title, &new.title),
        due: changed(&old.due, &new.due),
        priority: changed(&old.priority, &new.priority),
        notes: changed(&old.notes, &new.notes),
        assignee: changed(&old.assignee, &new.assignee),
        estimate: changed(&old.estimate, &new.estimate),
        done: changed(&old.is_open(), &new.is_open()).map(|is_open| !is_open),
        tags: changed(&old.tags, &new.tags),
        place,
    }
}

fn whole(entry: &Entry, place: Option<Place>) -> NewEntry {
    NewEntry {
        id: Some(entry.id),
        title: entry.title.clone(),
        due: entry.due,
        priority: entry.priority,
        notes: entry.notes.clone(),
        assignee: entry.assignee.clone(),
        estimate: entry.estimate,
        done: !entry.is_open(),
        tags: entry.tags.clone(),
        place,
    }
}
