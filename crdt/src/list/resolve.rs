//! Deciding between values that were written apart.

use super::document::{Document, RawChange};
use super::edit::{EditRefusal, Edited, Stamp};
use super::read::{TAG, Union};
use crate::entry::{Decision, EntryPatch, Field, Place};
use automerge::ScalarValue;
use names::EntryId;
use std::collections::BTreeSet;

impl Document {
    /// Settles a field of an entry that is in conflict there: what is written overwrites all of its
    /// values that are visible here, and no other field's.
    pub(super) fn resolve(
        &mut self,
        id: EntryId,
        decision: &Decision,
        stamp: Stamp<'_>,
        draw: &mut dyn FnMut() -> u128,
    ) -> Result<Edited, EditRefusal> {
        let field = decision.field();
        let entry = self.entry(id).ok_or(EditRefusal::NoEntry(id))?;
        if !entry.conflicts.contains(&field) {
            return Err(EditRefusal::Settled { id, field });
        }
        match decision {
            Decision::Delete => self.delete(id, stamp),
            Decision::Keep => self.keep(id, stamp),
            Decision::Field(_, patch) => self.patch(id, patch, stamp, draw),
            Decision::First => {
                let first = self.index.in_order().find(|other| *other != id);
                let place = first.map(Place::Before);
                let patch = EntryPatch {
                    place,
                    ..EntryPatch::default()
                };
                self.patch(id, &patch, stamp, draw)
            }
            Decision::Tag { tag, stays } => self.decide_tag(id, (tag, *stays), stamp),
        }
    }

    fn keep(&mut self, id: EntryId, stamp: Stamp<'_>) -> Result<Edited, EditRefusal> {
        let union = self.union(id, Union::read)?;
        let change = self.commit(stamp, &BTreeSet::new(), |draft| draft.keep(&union))?;
        self.settled(id, change)
    }

    /// Other tags stay as they are, also those that came since the caller looked.
    fn decide_tag(
        &mut self,
        id: EntryId,
        (tag, stays): (&str, bool),
        stamp: Stamp<'_>,
    ) -> Result<Edited, EditRefusal> {
        let union = self.union(id, Union::read)?;
        let key = format!("{TAG}{tag}");
        let present = union.parities(&key);
        if !(present.even && present.odd) {
            let field = Field::Tags;
            return Err(EditRefusal::Settled { id, field });
        }
        let next = if stays {
            present.next_even()
        } else {
            present.next_odd()
        };
        let change = self.commit(stamp, &union.marks().collect(), |draft| {
            draft.set(&union, &key, &ScalarValue::Int(next))?;
            draft.keep(&union)
        })?;
        self.settled(id, change)
    }

    fn settled(&mut self, id: EntryId, change: Option<RawChange>) -> Result<Edited, EditRefusal> {
        Ok(Edited {
            change,
            touched: self.refresh([id])?,
            results: vec![id],
            undone: None,
        })
    }
}
