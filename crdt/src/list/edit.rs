//! Editing: one intention of a client becomes one change.

use super::MAX_OPERATIONS;
use super::apply::ApplyError;
use super::document::{Document, RawChange, Standing, Touched};
use super::index::{Gap, Side, Slot};
use super::message::{self, Act};
use super::position::{self, Run};
use super::read::Union;
use super::recurring::Following;
use super::undo::Undone;
use super::write::{Draft, Registers, Stop};
use crate::entry::kind::{Position, Tick};
use crate::entry::{Additions, Author, Edit, EntryPatch, Field, NewEntry, Place, Visit};
use automerge::{Automerge, AutomergeError};
use names::{ChangeHash, EntryId};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What an edit came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The change; `None` if there was nothing to change: a retry found all entries there, a patch
    /// was empty, a list that shall be emptied was.
    pub change: Option<RawChange>,
    /// The entries that the change wrote to.
    pub touched: Vec<Touched>,
    /// The entries that the edit names, in its order: those added (or there already), changed or
    /// deleted. Empty for [`Edit::DeleteAll`].
    pub results: Vec<EntryId>,
    /// What became of undoing a change, if that was the edit.
    pub undone: Option<Undone>,
}

/// Why an edit was refused. Nothing was changed, except as [`EditRefusal::Broken`] says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditRefusal {
    /// The entry is not in the list: it never was here, or was deleted.
    #[error("there is no entry {0} in the list")]
    NoEntry(EntryId),
    /// The entry to be added was in the list and was deleted.
    #[error("the entry {0} was deleted")]
    Deleted(EntryId),
    /// The entry to be placed next to is not in the list, or is the one that is to be moved.
    #[error("there is no entry {0} to be placed next to")]
    NoPlace(EntryId),
    /// The field has one value in that entry, so that there is nothing to be decided.
    #[error("{} of {id} has one value: it is settled", .field.as_str())]
    Settled {
        /// Which entry.
        id: EntryId,
        /// Which field.
        field: Field,
    },
    /// The list has no such change.
    #[error("the list has no change {0}")]
    NoChange(ChangeHash),
    /// The change undid none, so that there is nothing to be made anew.
    #[error("the change {0} undid nothing")]
    NoUndo(ChangeHash),
    /// Peers would refuse the change.
    #[error("the change is too large: {0}")]
    TooLarge(String),
    /// Automerge failed. The document may be damaged: drop it and load it again.
    #[error("the document is broken: {0}")]
    Broken(String),
}

impl From<Stop> for EditRefusal {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::TooLarge(why) => Self::TooLarge(why),
            Stop::Automerge(error) => error.into(),
        }
    }
}

impl From<ApplyError> for EditRefusal {
    fn from(error: ApplyError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<AutomergeError> for EditRefusal {
    fn from(error: AutomergeError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Who edits, and when.
#[derive(Clone, Copy)]
pub(super) struct Stamp<'a> {
    pub(super) by: &'a Author,
    pub(super) at_ms: i64,
    pub(super) act: Act,
}

impl Stamp<'_> {
    /// As changes have it.
    pub(super) fn seconds(self) -> i64 {
        self.at_ms.div_euclid(1000)
    }

    /// The change's message.
    pub(super) fn message(self) -> String {
        message::write(&self.by.0, self.act)
    }
}

/// An entry that is to be added, with its id and position.
pub(super) struct Planned<'a> {
    pub(super) id: EntryId,
    pub(super) order: String,
    pub(super) new: &'a NewEntry,
}

/// A patch of an entry as it is to be written.
pub(super) struct Patched<'a> {
    id: EntryId,
    union: &'a Union,
    patch: &'a EntryPatch,
    order: Option<String>,
    following: Following,
}

impl Patched<'_> {
    /// Nothing follows where that is written already.
    pub(super) fn leave_out(&mut self, written: &mut BTreeSet<EntryId>) {
        if let Some(id) = self.following.entry()
            && !written.insert(id)
        {
            self.following = Following::Nothing;
        }
    }

    fn write(&self, draft: &mut Draft<'_>, stamp: Stamp<'_>) -> Result<(), Stop> {
        let order = self.order.clone();
        let registers = registers(self.union, self.patch, order, stamp.at_ms);
        for (field, value) in registers.in_order() {
            draft.set(self.union, field.key(), &value)?;
        }
        if let Some(tags) = &self.patch.tags {
            draft.set_tags(self.union, tags)?;
        }
        draft.keep(self.union)?;
        self.following.write(draft, stamp)
    }
}

impl Document {
    /// Carries out an edit, as one change by this document's actor at a time in milliseconds since
    /// the epoch. `draw` gives random bits, for ids and positions. The cost does not grow with the
    /// list, except for [`Edit::DeleteAll`].
    ///
    /// # Errors
    /// The edit is refused as a whole; the document is as it was (see [`EditRefusal::Broken`]).
    pub fn edit(
        &mut self,
        edit: &Edit,
        by: &Author,
        at_ms: i64,
        draw: &mut dyn FnMut() -> u128,
    ) -> Result<Edited, EditRefusal> {
        let act = match edit {
            Edit::Undo(change) => Act::Undo(*change),
            Edit::Redo(change) => Act::Redo(*change),
            Edit::Add(_)
            | Edit::AddAgain(_)
            | Edit::Patch(..)
            | Edit::Delete(_)
            | Edit::Several(..)
            | Edit::Resolve(..)
            | Edit::Merge(_)
            | Edit::DeleteAll => Act::Edit,
        };
        let stamp = Stamp { by, at_ms, act };
        if self.has_to_catch_up(edit) {
            self.catch_up()?;
        }
        let before = self.max_op;
        let edited = guarded(|| match edit {
            Edit::Add(entries) => self.add(entries, stamp, draw),
            Edit::AddAgain(again) => self.add_again(again, act, draw),
            Edit::Patch(id, patch) => self.patch(*id, patch, stamp, draw),
            Edit::Delete(id) => self.delete(*id, stamp),
            Edit::Several(ids, bulk) => self.several(ids, bulk, stamp, draw),
            Edit::Resolve(id, decision) => self.resolve(*id, decision, stamp, draw),
            Edit::Merge(differences) => self.merge(differences, stamp, draw),
            Edit::DeleteAll => self.delete_all(stamp),
            Edit::Undo(change) => self.undo(*change, stamp),
            Edit::Redo(change) => match self.act_of(*change) {
                Some(Act::Undo(_) | Act::Redo(_)) => self.undo(*change, stamp),
                Some(Act::Edit) => Err(EditRefusal::NoUndo(*change)),
                None => Err(EditRefusal::NoChange(*change)),
            },
        });
        // What is added stands behind all that is there.
        if !matches!(edit, Edit::Add(_) | Edit::AddAgain(_)) {
            self.cut(self.max_op.saturating_sub(before));
        }
        edited
    }

    fn add(
        &mut self,
        entries: &[NewEntry],
        stamp: Stamp<'_>,
        draw: &mut dyn FnMut() -> u128,
    ) -> Result<Edited, EditRefusal> {
        let ids = self.choose_ids(entries, stamp.at_ms, draw);
        let mut planned = Vec::new();
        let placed = self.plan(entries, &ids, draw, &mut planned);
        // The plan is in the index already; what stands there was not alive before.
        planned.iter().for_each(|plan| self.index.forget(plan.id));
        placed?;
        let (change, touched) = if self.may_defer(1, 0) || self.composes(planned.len()) {
            self.add_composed(&planned, stamp)?
        } else {
            self.catch_up()?;
            self.add_drafted(&planned, stamp)?
        };
        Ok(Edited {
            change,
            touched,
            results: ids,
            undone: None,
        })
    }

    /// Adds what has never been here. What is here stays as it is, and what was deleted stays deleted.
    fn add_again(
        &mut self,
        again: &Additions,
        act: Act,
        draw: &mut dyn FnMut() -> u128,
    ) -> Result<Edited, EditRefusal> {
        let (by, at_ms) = (&again.by, again.at_ms);
        let is_dead = |id: EntryId| matches!(self.standing(id), Standing::Dead);
        let entries = again.entries.iter();
        let entries = entries.filter(|entry| !entry.id.is_some_and(is_dead));
        let entries: Vec<NewEntry> = entries.cloned().collect();
        self.add(&entries, Stamp { by, at_ms, act }, draw)
    }

    /// Adds by a transaction.
    pub(super) fn add_drafted(
        &mut self,
        planned: &[Planned<'_>],
        stamp: Stamp<'_>,
    ) -> Result<(Option<RawChange>, Vec<Touched>), EditRefusal> {
        let change = self.commit(stamp, &BTreeSet::new(), |draft| {
            planned
                .iter()
                .try_for_each(|plan| draft.add(plan.id, plan.new, &plan.order, stamp.at_ms))
        })?;
        Ok((change, self.refresh(planned.iter().map(|plan| plan.id))?))
    }

    /// The entries' own ids, and new ones, rising in the order of the entries, for those without.
    fn choose_ids(
        &self,
        entries: &[NewEntry],
        at_ms: i64,
        draw: &mut dyn FnMut() -> u128,
    ) -> Vec<EntryId> {
        let lacking = entries.iter().filter(|new| new.id.is_none()).count();
        let mut drawn: Vec<EntryId> = std::iter::repeat_with(|| EntryId::from_parts(at_ms, draw()))
            .take(lacking)
            .collect();
        drawn.sort_unstable();
        let mut drawn = drawn.into_iter();
        let mut last = None;
        let mut next = || {
            let mut id = drawn
                .next()
                .unwrap_or_else(|| EntryId::from_parts(at_ms, 0));
            while last.is_some_and(|last| last >= id) || self.index.slot(id).is_some() {
                id = EntryId(
                    last.map_or(id, |last: EntryId| last.max(id))
                        .0
                        .wrapping_add(1),
                );
            }
            last = Some(id);
            id
        };
        entries
            .iter()
            .map(|new| new.id.unwrap_or_else(&mut next))
            .collect()
    }

    /// Finds a position for each entry that is not there yet, and puts it into the index, so that
    /// the next ones are placed relative to it.
    pub(super) fn plan<'a>(
        &mut self,
        entries: &'a [NewEntry],
        ids: &[EntryId],
        draw: &mut dyn FnMut() -> u128,
        planned: &mut Vec<Planned<'a>>,
    ) -> Result<(), EditRefusal> {
        // What a client names itself shall stand at the same place when it is tried again on another
        // node, which knows nothing of what was added before.
        let is_named = entries.iter().any(|new| new.id.is_some());
        let mut run = self.run.take().filter(|_| !is_named);
        for (new, &id) in entries.iter().zip(ids) {
            match self.standing(id) {
                Standing::Alive => continue,
                Standing::Dead => return Err(EditRefusal::Deleted(id)),
                Standing::Unknown => {}
            }
            let (low, high) = self.gap(new.place, None)?;
            let (low, high) = (low.as_deref(), high.as_deref());
            let mut random = || if new.id.is_some() { id.0 } else { draw() };
            let next = run.take().and_then(|run: Run| run.next(low, high));
            let placed = next.unwrap_or_else(|| Run::between(low, high, random()));
            let order = placed.last().to_owned();
            run = Some(placed);
            self.index.set(
                id,
                Slot::Alive {
                    order: order.as_str().into(),
                    open: !new.done,
                },
            );
            planned.push(Planned { id, order, new });
        }
        self.run = run;
        Ok(())
    }

    /// The positions between which a place is; at the end without one.
    pub(super) fn gap(
        &self,
        place: Option<Place>,
        moving: Option<EntryId>,
    ) -> Result<Gap, EditRefusal> {
        let (beside, side) = match place {
            None => return Ok((self.index.last(), None)),
            Some(Place::Before(id)) => (id, Side::Before),
            Some(Place::After(id)) => (id, Side::After),
        };
        let gap = if moving == Some(beside) {
            None
        } else {
            self.index.gap(beside, side, moving)
        };
        gap.ok_or(EditRefusal::NoPlace(beside))
    }

    pub(super) fn patch(
        &mut self,
        id: EntryId,
        patch: &EntryPatch,
        stamp: Stamp<'_>,
        draw: &mut dyn FnMut() -> u128,
    ) -> Result<Edited, EditRefusal> {
        let union = self.union(id, Union::read)?;
        if *patch == EntryPatch::default() {
            return Ok(Edited {
                change: None,
                touched: Vec::new(),
                results: vec![id],
                undone: None,
            });
        }
        self.patch_union(id, &union, patch, stamp, draw)
    }

    /// Changes an entry; one that was deleted is in the list again.
    pub(super) fn patch_or_revive(
        &mut self,
        id: EntryId,
        patch: &EntryPatch,
        stamp: Stamp<'_>,
        draw: &mut dyn FnMut() -> u128,
    ) -> Result<Edited, EditRefusal> {
        self.catch_up()?;
        guarded(|| {
            let union = Union::read(&self.doc, id)?.ok_or(EditRefusal::NoEntry(id))?;
            self.patch_union(id, &union, patch, stamp, draw)
        })
    }

    fn patch_union(
        &mut self,
        id: EntryId,
        union: &Union,
        patch: &EntryPatch,
        stamp: Stamp<'_>,
        draw: &mut dyn FnMut() -> u128,
    ) -> Result<Edited, EditRefusal> {
        let order = patch
            .place
            .map(|place| self.gap(Some(place), Some(id)))
            .transpose()?
            .map(|(low, high)| position::between(low.as_deref(), high.as_deref(), draw()));
        let written = self.patched(id, union, patch, order, stamp)?;
        self.write_patched(&[written], stamp)
    }

    /// What a patch of an entry writes.
    pub(super) fn patched<'a>(
        &self,
        id: EntryId,
        union: &'a Union,
        patch: &'a EntryPatch,
        order: Option<String>,
        stamp: Stamp<'_>,
    ) -> Result<Patched<'a>, EditRefusal> {
        Ok(Patched {
            id,
            union,
            patch,
            following: self.following(id, union, patch, stamp.at_ms)?,
            order,
        })
    }

    /// Makes one change of patches of different entries.
    pub(super) fn write_patched(
        &mut self,
        patched: &[Patched<'_>],
        stamp: Stamp<'_>,
    ) -> Result<Edited, EditRefusal> {
        self.write_patched_and(patched, stamp, |_| Ok(()))
    }

    /// The same with what `others` writes to other entries.
    pub(super) fn write_patched_and(
        &mut self,
        patched: &[Patched<'_>],
        stamp: Stamp<'_>,
        others: impl FnOnce(&mut Draft<'_>) -> Result<(), Stop>,
    ) -> Result<Edited, EditRefusal> {
        let spared = patched.iter().flat_map(|one| one.union.marks()).collect();
        let change = self.commit(stamp, &spared, |draft| {
            patched.iter().try_for_each(|one| one.write(draft, stamp))?;
            others(draft)
        })?;
        let mut touched = Vec::new();
        for one in patched {
            touched.extend(self.refresh([one.id])?);
            touched.extend(self.followed(&one.following)?);
        }
        Ok(Edited {
            change,
            touched,
            results: patched.iter().map(|one| one.id).collect(),
            undone: None,
        })
    }

    pub(super) fn delete(&mut self, id: EntryId, stamp: Stamp<'_>) -> Result<Edited, EditRefusal> {
        let union = self.union(id, Union::read_life)?;
        let change = self.commit(stamp, &BTreeSet::new(), |draft| draft.kill(&union))?;
        Ok(Edited {
            change,
            touched: vec![self.bury(id)],
            results: vec![id],
            undone: None,
        })
    }

    fn delete_all(&mut self, stamp: Stamp<'_>) -> Result<Edited, EditRefusal> {
        let ids: Vec<EntryId> = self.index.in_order().collect();
        if ids.len() > MAX_OPERATIONS {
            return Err(EditRefusal::TooLarge(format!(
                "it would delete {} entries; at most \
                {MAX_OPERATIONS} are possible",
                ids.len()
            )));
        }
        self.kill(ids, stamp)
    }

    /// Deletes some live entries.
    pub(super) fn delete_these(
        &mut self,
        ids: Vec<EntryId>,
        stamp: Stamp<'_>,
    ) -> Result<Edited, EditRefusal> {
        self.catch_up()?;
        guarded(|| self.kill(ids, stamp))
    }

    pub(super) fn kill(
        &mut self,
        ids: Vec<EntryId>,
        stamp: Stamp<'_>,
    ) -> Result<Edited, EditRefusal> {
        let unions = ids
            .iter()
            .map(|id| self.union(*id, Union::read_life))
            .collect::<Result<Vec<_>, _>>()?;
        let change = self.commit(stamp, &BTreeSet::new(), |draft| {
            unions.iter().try_for_each(|union| draft.kill(union))
        })?;
        Ok(Edited {
            change,
            touched: ids.into_iter().map(|id| self.bury(id)).collect(),
            results: Vec::new(),
            undone: None,
        })
    }

    /// Reads a live entry.
    pub(super) fn union(
        &self,
        id: EntryId,
        read: fn(&Automerge, EntryId) -> Result<Option<Union>, AutomergeError>,
    ) -> Result<Union, EditRefusal> {
        if !self.index.is_alive(id) {
            return Err(EditRefusal::NoEntry(id));
        }
        read(&self.doc, id)?.ok_or(EditRefusal::NoEntry(id))
    }

    /// Notes that a live entry was deleted here: no value of its `life` that this replica sees is
    /// even.
    pub(super) fn bury(&mut self, id: EntryId) -> Touched {
        self.index.set(id, Slot::Dead);
        Touched {
            id,
            before: true,
            entry: None,
        }
    }
}

/// Turns a panic of Automerge's into a refusal.
fn guarded(edit: impl FnOnce() -> Result<Edited, EditRefusal>) -> Result<Edited, EditRefusal> {
    catch_unwind(AssertUnwindSafe(edit))
        .unwrap_or_else(|_| Err(EditRefusal::Broken("editing panicked".to_owned())))
}

/// The registers that a patch writes. A field that is said to be as it is here alone is written all
/// the same: Automerge leaves out what changes nothing, and ends a conflict otherwise.
fn registers(union: &Union, patch: &EntryPatch, order: Option<String>, at_ms: i64) -> Registers {
    let mut registers = Registers::default();
    patch.each(&mut registers);
    if let Some(order) = order {
        registers.field(Field::Order, &Position, &order);
    }
    let done = patch.done.and_then(|done| match (union.done_at(), done) {
        // A second tick keeps the time of the first.
        ((Some(ms), _), true) => Some(Some(ms)),
        ((None, _), true) => Some(Some(at_ms)),
        ((None, false), false) => None,
        (_, false) => Some(None),
    });
    if let Some(done) = done {
        registers.field(Field::Done, &Tick, &done);
    }
    registers
}
