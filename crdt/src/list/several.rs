//! Changing several entries at once: one change, all or none.

use super::document::Document;
use super::edit::{EditRefusal, Edited, Stamp};
use super::position::Run;
use super::read::Union;
use crate::entry::{Bulk, EntryPatch, Place};
use names::EntryId;
use std::collections::BTreeSet;

impl Document {
    pub(super) fn several(
        &mut self,
        ids: &[EntryId],
        bulk: &Bulk,
        stamp: Stamp<'_>,
        draw: &mut dyn FnMut() -> u128,
    ) -> Result<Edited, EditRefusal> {
        match bulk {
            Bulk::Delete => self.kill(ids.to_vec(), stamp),
            Bulk::Patch { patch, tag, untag } => {
                let unions = ids
                    .iter()
                    .map(|id| self.union(*id, Union::read))
                    .collect::<Result<Vec<_>, _>>()?;
                let patches: Vec<EntryPatch> = unions
                    .iter()
                    .map(|union| tagged(union, patch, tag, untag))
                    .collect();
                let orders = self.places(ids, patch.place, draw)?;
                let mut patched = Vec::new();
                // A change writes an entry once.
                let mut written: BTreeSet<EntryId> = ids.iter().copied().collect();
                for (((id, union), patch), order) in
                    ids.iter().zip(&unions).zip(&patches).zip(orders)
                {
                    let mut one = self.patched(*id, union, patch, order, stamp)?;
                    one.leave_out(&mut written);
                    patched.push(one);
                }
                self.write_patched(&patched, stamp)
            }
        }
    }

    /// A position for each, one after the other; none where they stay.
    fn places(
        &self,
        ids: &[EntryId],
        place: Option<Place>,
        draw: &mut dyn FnMut() -> u128,
    ) -> Result<Vec<Option<String>>, EditRefusal> {
        let Some(place) = place else {
            return Ok(vec![None; ids.len()]);
        };
        let (Place::Before(beside) | Place::After(beside)) = place;
        if ids.contains(&beside) {
            return Err(EditRefusal::NoPlace(beside));
        }
        let (low, high) = self.gap(Some(place), None)?;
        let (mut low, high) = (low.map(|low| low.to_string()), high.as_deref());
        let mut run: Option<Run> = None;
        let mut orders = Vec::new();
        for _ in ids {
            let next = run.take().and_then(|run| run.next(low.as_deref(), high));
            let placed = next.unwrap_or_else(|| Run::between(low.as_deref(), high, draw()));
            low = Some(placed.last().to_owned());
            orders.push(low.clone());
            run = Some(placed);
        }
        Ok(orders)
    }
}

/// The patch of one of them: its own tags with those that are added, and without those that are taken.
fn tagged(union: &Union, patch: &EntryPatch, tag: &[String], untag: &[String]) -> EntryPatch {
    let mut patch = patch.clone();
    if !(tag.is_empty() && untag.is_empty()) {
        let has = || union.tags().filter(|(_, parities)| parities.even);
        let had = patch
            .tags
            .take()
            .unwrap_or_else(|| has().map(|(tag, _)| tag.to_owned()).collect());
        let all = had.into_iter().chain(tag.iter().cloned());
        patch.tags = Some(all.filter(|tag| !untag.contains(tag)).collect());
    }
    patch
}
