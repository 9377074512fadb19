//! Writing anew what changes did that have left the list with what they depended on.
//!
//! What a change did is told by the entries before and after it: those that it added or deleted, and
//! fields that differ. That is carried out as edits of the document that stays. An entry that left with
//! the others, and was only edited by the change, is added as the change left it. As an edit wins over
//! a concurrent deletion, an entry that was deleted in what stays is there again.

use super::apply::{Applied, ApplyError};
use super::document::{RawChange, Standing};
use super::edit::Stamp;
use super::judge::{CheckedChange, judge};
use super::message::Act;
use super::{Document, EditRefusal};
use crate::entry::{Edit, Entry, EntryPatch, NewEntry, Place};
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
    ///
    /// # Errors
    /// The document is broken: drop it. What is refused for another reason is not written.
    pub fn write_anew(
        &mut self,
        all: &[Bytes],
        lost: &BTreeSet<ChangeHash>,
    ) -> Result<Vec<Anew>, EditRefusal> {
        let mut then = Then::new(Self::new(self.name().clone(), self.actor));
        let (mut before, mut anew) = (Vec::new(), Vec::new());
        let checked = all.iter().filter_map(|bytes| judge(bytes.clone()).ok());
        for change in checked {
            if !lost.contains(&change.hash()) {
                before.push(change);
                continue;
            }
            then.replay(std::mem::take(&mut before));
            let (instead_of, by, at_ms) = (change.hash(), change.author(), change.at_ms());
            let steps = then.replay(vec![change]);
            let plan = self.plan_anew(&then, steps);
            let stamp = Stamp {
                by: &by,
                at_ms,
                act: Act::Edit,
            };
            let changes = self.carry_out(plan, stamp, instead_of)?;
            anew.push(Anew {
                instead_of,
                changes,
            });
        }
        Ok(anew)
    }

    /// What is to be done here so that the entries change as they did there.
    pub(super) fn plan_anew(&self, then: &Then, mut steps: Vec<Step>) -> Plan {
        let mut plan = Plan::default();
        steps.sort_by(|one, other| place_key(&one.new).cmp(&place_key(&other.new)));
        let mut added = BTreeSet::new();
        for Step { id, old, new } in steps {
            let standing = self.standing(id);
            let is_here = |id| self.standing(id) == Standing::Alive || added.contains(&id);
            let Some(new) = new else {
                plan.deletions
                    .extend((standing == Standing::Alive).then_some(id));
                continue;
            };
            let place = then.place(&new, is_here);
            if standing == Standing::Unknown {
                added.insert(id);
                plan.additions.push(whole(&new, place));
                continue;
            }
            let patch = match &old {
                Some(old) => difference(old, &new, place.filter(|_| old.order != new.order)),
                None => every_field(&new),
            };
            if patch != EntryPatch::default() {
                plan.patches.push((id, patch));
            }
        }
        plan
    }

    fn carry_out(
        &mut self,
        plan: Plan,
        stamp: Stamp<'_>,
        seed: ChangeHash,
    ) -> Result<Vec<RawChange>, EditRefusal> {
        // Equal on each try: what was not kept is made again as it was.
        let mut drawn = u128::from_be_bytes(seed.0.first_chunk().copied().unwrap_or_default());
        let mut draw = || {
            drawn = drawn
                .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645)
                .wrapping_add(1);
            drawn
        };
        let mut done = Vec::new();
        if !plan.additions.is_empty() {
            let addition = Edit::Add(plan.additions);
            done.push(self.edit(&addition, stamp.by, stamp.at_ms, &mut draw));
        }
        for (id, patch) in plan.patches {
            done.push(self.patch_or_revive(id, &patch, stamp, &mut draw));
        }
        if !plan.deletions.is_empty() {
            done.push(self.delete_these(plan.deletions, stamp));
        }
        let mut changes = Vec::new();
        for edited in done {
            match edited {
                Ok(edited) => changes.extend(edited.change),
                Err(broken @ EditRefusal::Broken(_)) => return Err(broken),
                Err(
                    EditRefusal::NoEntry(_)
                    | EditRefusal::Deleted(_)
                    | EditRefusal::NoPlace(_)
                    | EditRefusal::NoChange(_)
                    | EditRefusal::Settled { .. }
                    | EditRefusal::NoUndo(_)
                    | EditRefusal::TooLarge(_),
                ) => {}
            }
        }
        Ok(changes)
    }
}

/// What a change has to do.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) additions: Vec<NewEntry>,
    pub(super) patches: Vec<(EntryId, EntryPatch)>,
    pub(super) deletions: Vec<EntryId>,
}

/// How an entry was before a change, and after it.
pub(super) struct Step {
    pub(super) id: EntryId,
    pub(super) old: Option<Entry>,
    pub(super) new: Option<Entry>,
}

/// The list as it was with what leaves it.
pub(super) struct Then {
    document: Document,
    entries: BTreeMap<EntryId, Entry>,
    in_order: BTreeSet<(String, EntryId)>,
}

impl Then {
    pub(super) fn new(document: Document) -> Self {
        Self {
            document,
            entries: BTreeMap::new(),
            in_order: BTreeSet::new(),
        }
    }

    /// Applies changes; gives how the entries were that they wrote to, and are now.
    fn replay(&mut self, changes: Vec<CheckedChange>) -> Vec<Step> {
        self.play(changes).unwrap_or_default().1
    }

    /// The same, with what came of applying them.
    ///
    /// # Errors
    /// The document is broken.
    pub(super) fn play(
        &mut self,
        changes: Vec<CheckedChange>,
    ) -> Result<(Applied, Vec<Step>), ApplyError> {
        let applied = self.document.apply(changes)?;
        let mut steps = Vec::new();
        for touched in &applied.touched {
            let (id, new) = (touched.id, touched.entry.clone());
            let old = match &new {
                Some(new) => self.entries.insert(id, new.clone()),
                None => self.entries.remove(&id),
            };
            if let Some(old) = &old {
                self.in_order.remove(&(old.order.clone(), id));
            }
            if let Some(new) = &new {
                self.in_order.insert((new.order.clone(), id));
            }
            steps.push(Step { id, old, new });
        }
        Ok((applied, steps))
    }

    /// Where an entry stands among those that are here: behind the nearest one before it, or before
    /// the nearest one behind it.
    fn place(&self, entry: &Entry, is_here: impl Fn(EntryId) -> bool) -> Option<Place> {
        let key = (entry.order.clone(), entry.id);
        let mut before = self.in_order.range(..&key).rev().map(|(_, id)| *id);
        if let Some(id) = before.find(|id| is_here(*id)) {
            return Some(Place::After(id));
        }
        let behind = self.in_order.range(&key..).skip(1).map(|(_, id)| *id);
        behind
            .into_iter()
            .find(|id| is_here(*id))
            .map(Place::Before)
    }
}

/// Sorts entries by their places, and those first that are gone.
fn place_key(entry: &Option<Entry>) -> Option<(&str, EntryId)> {
    let entry = entry.as_ref();
    entry.map(|entry| (entry.order.as_str(), entry.id))
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
        wait: changed(&old.wait, &new.wait),
        every: changed(&old.every, &new.every),
        series: changed(&old.series, &new.series),
        planned: changed(&old.planned, &new.planned),
        done: changed(&old.is_open(), &new.is_open()).map(|is_open| !is_open),
        tags: changed(&old.tags, &new.tags),
        place,
    }
}

fn every_field(entry: &Entry) -> EntryPatch {
    EntryPatch {
        title: Some(entry.title.clone()),
        due: Some(entry.due),
        priority: Some(entry.priority),
        notes: Some(entry.notes.clone()),
        assignee: Some(entry.assignee.clone()),
        estimate: Some(entry.estimate),
        wait: Some(entry.wait),
        every: Some(entry.every.clone()),
        series: Some(entry.series.clone()),
        planned: Some(entry.planned),
        done: Some(!entry.is_open()),
        tags: Some(entry.tags.clone()),
        place: None,
    }
}

pub(super) fn whole(entry: &Entry, place: Option<Place>) -> NewEntry {
    NewEntry {
        id: Some(entry.id),
        title: entry.title.clone(),
        due: entry.due,
        priority: entry.priority,
        notes: entry.notes.clone(),
        assignee: entry.assignee.clone(),
        estimate: entry.estimate,
        wait: entry.wait,
        every: entry.every.clone(),
        series: entry.series.clone(),
        planned: entry.planned,
        done: !entry.is_open(),
        done_at: entry.done_at,
        created_at: Some(entry.created_at),
        tags: entry.tags.clone(),
        place,
    }
}
