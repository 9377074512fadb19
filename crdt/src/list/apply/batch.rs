//! A batch of changes on its way into a document: which of them fit it.

use crate::list::deferred::Known;
use crate::list::document::Document;
use crate::list::genesis;
use crate::list::judge::{CheckedChange, Fault};
use crate::list::outline::{Kind, OpName};
use crate::list::past;
use crate::list::read::Union;
use automerge::{ActorId, ObjId, ObjType, ReadDoc};
use names::{Actor, ChangeHash, EntryId};
use std::collections::{BTreeMap, BTreeSet};

/// By how much a change's operations may be numbered above those that it depends on. Automerge
/// numbers them above all that its writer has, also where the change builds on an older state.
const MAX_NUMBERING_GAP: u64 = 1 << 16;
/// Operations above this number must follow without a gap, as all do that Muster makes. So the upper
/// half of the 32 bits can only be used up by operations, one by one.
const LAST_GAP: u64 = 1 << 31;

/// So many changes are looked at for whether Automerge can have a batch later.
const MAX_STEPS: usize = 256;

/// A batch on its way into a document: the changes that fit so far, and what they will have added.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) fit: Vec<CheckedChange>,
    /// Where each of them is.
    places: BTreeMap<ChangeHash, usize>,
    /// The number of each actor's last change, and its hash.
    last: BTreeMap<Actor, (u64, ChangeHash)>,
    /// For a change that does not directly depend on its actor's change before it: that one.
    pub(super) before: BTreeMap<ChangeHash, ChangeHash>,
    /// The maps of entries, and below the texts in them, that these changes make.
    pub(super) maps: BTreeMap<OpName, EntryId>,
    texts: BTreeMap<OpName, EntryId>,
    /// The entries that these changes write to.
    pub(super) touched: BTreeSet<EntryId>,
    /// Those of them that are new here and that a single change has written to, as it leaves them.
    pub(super) added: BTreeMap<EntryId, Union>,
}

/// What to do with a change.
pub(super) enum Verdict {
    Fits(Fit),
    Duplicate,
    Orphan,
    Refused(Fault),
}

/// What a change that fits writes to.
pub(super) struct Fit {
    entries: BTreeSet<EntryId>,
    /// The texts that it makes.
    texts: BTreeMap<OpName, EntryId>,
}

impl Batch {
    /// Whether a change may spoil the document. One that only adds refers to nothing that Automerge
    /// could lack.
    pub(super) fn is_suspect(&self) -> bool {
        !self.before.is_empty() || !self.fit.iter().all(|change| change.outline.only_adds())
    }

    /// Whether Automerge can have all of the batch later: it adds entries that were never here, and
    /// nothing else, and that each change depends on its actor's change before it shows soon.
    pub(super) fn is_deferrable(&self, document: &Document) -> bool {
        let bytes = self.fit.iter().map(|change| change.bytes().len()).sum();
        let leads_back = |(change, before): (&ChangeHash, &ChangeHash)| {
            let known = |hash: &ChangeHash| self.known(hash).or_else(|| document.known(hash));
            let deps = known(change).map_or_else(Vec::new, |known| known.deps);
            past::leads_to(&deps, *before, MAX_STEPS, known)
        };
        document.may_defer(self.fit.len(), bytes)
            && self.fit.iter().all(|change| change.outline.only_adds())
            && self.touched.len() == self.added.len()
            && self.before.iter().all(leads_back)
    }

    /// What is known of a change of the batch.
    fn known(&self, hash: &ChangeHash) -> Option<Known> {
        let change = self.fit.get(*self.places.get(hash)?)?;
        Some(Known {
            start_op: change.start_op(),
            max_op: change.max_op(),
            deps: change.deps().to_vec(),
        })
    }

    /// What to do with a change.
    pub(super) fn judge(&self, document: &Document, change: &CheckedChange) -> Verdict {
        let (id, hash) = (change.id(), change.hash());
        let have = document.last_seq(id.actor, self);
        // What is numbered above all of its actor's changes is new.
        if id.seq <= have && (self.places.contains_key(&hash) || document.has(&hash)) {
            return Verdict::Duplicate;
        }
        if document.is_left_out(change) {
            return Verdict::Refused(Fault::LeftOut);
        }
        let last_ops: Option<Vec<u64>> = change
            .deps()
            .iter()
            .map(|hash| document.last_op(hash, self))
            .collect();
        let Some(last_ops) = last_ops else {
            return Verdict::Orphan;
        };
        // What it depends on is here: so it is another change than the one that is in its place, and
        // not one that follows on another branch.
        if id.seq <= have {
            return Verdict::Refused(Fault::Forked);
        }
        let (after, start_op) = (last_ops.into_iter().max().unwrap_or(0), change.start_op());
        if !follows(start_op, after) {
            return Verdict::Refused(Fault::Numbering { start_op, after });
        }
        if id.seq != have + 1 {
            return Verdict::Refused(Fault::Gap { seq: id.seq });
        }
        if !change
            .outline
            .actors
            .iter()
            .all(|actor| *actor == genesis::ACTOR || document.last_seq(*actor, self) > 0)
        {
            return Verdict::Refused(Fault::Shape("names an actor that is not there"));
        }
        self.fit(document, change).map_or(
            Verdict::Refused(Fault::Shape("writes to an object that is not there")),
            Verdict::Fits,
        )
    }

    /// What a change writes to; `None` if one of its objects is not there.
    fn fit(&self, document: &Document, change: &CheckedChange) -> Option<Fit> {
        let own_maps: BTreeMap<OpName, EntryId> = change.outline.maps.iter().copied().collect();
        let map = |object: OpName| {
            own_maps
                .get(&object)
                .copied()
                .or_else(|| document.owner(object, Kind::Map, self))
        };
        let texts = change
            .outline
            .texts
            .iter()
            .map(|(text, parent)| Some((*text, map(*parent)?)));
        let texts: BTreeMap<OpName, EntryId> = texts.collect::<Option<_>>()?;
        let written = change
            .outline
            .writes
            .iter()
            .map(|(object, kind)| match kind {
                Kind::Map => map(*object),
                Kind::Text => texts
                    .get(object)
                    .copied()
                    .or_else(|| document.owner(*object, Kind::Text, self)),
            });
        let entries = own_maps
            .values()
            .map(|id| Some(*id))
            .chain(written)
            .collect::<Option<_>>()?;
        Some(Fit { entries, texts })
    }

    /// Adds a change that fits.
    pub(super) fn take(&mut self, document: &Document, change: CheckedChange, fit: Fit) {
        if change.outline.only_adds() {
            change
                .outline
                .additions()
                .for_each(|(id, union)| self.add(document, id, union));
        } else {
            fit.entries
                .iter()
                .for_each(|id| drop(self.added.remove(id)));
        }
        self.places.insert(change.hash(), self.fit.len());
        let actor = change.id().actor;
        let last = self.last.get(&actor).map(|(_, hash)| *hash);
        if let Some(last) = last.or_else(|| document.last_change(actor))
            && !change.deps().contains(&last)
        {
            self.before.insert(change.hash(), last);
        }
        self.last.insert(actor, (change.id().seq, change.hash()));
        self.maps.extend(change.outline.maps.iter().copied());
        self.texts.extend(fit.texts);
        self.touched.extend(fit.entries);
        self.fit.push(change);
    }

    /// Adds an entry that a change has added. An entry whose id is already in the document or in the
    /// batch is the union of several maps, so it has to be read from the document later.
    fn add(&mut self, document: &Document, id: EntryId, union: Union) {
        if self.touched.insert(id) && document.index.slot(id).is_none() {
            self.added.insert(id, union);
        } else {
            self.added.remove(&id);
        }
    }
}

impl Document {
    /// The number of an actor's last change that is here or in the batch.
    fn last_seq(&self, actor: Actor, batch: &Batch) -> u64 {
        batch
            .last
            .get(&actor)
            .map_or_else(|| self.vector.seq(actor), |(seq, _)| *seq)
    }

    /// The number of the last operation of a change that is here or in the batch.
    fn last_op(&self, hash: &ChangeHash, batch: &Batch) -> Option<u64> {
        let known = batch.known(hash).or_else(|| self.known(hash));
        known.map(|known| known.max_op)
    }

    /// The entry that an object belongs to, if it is of that kind.
    fn owner(&self, object: OpName, kind: Kind, batch: &Batch) -> Option<EntryId> {
        match kind {
            Kind::Map => batch
                .maps
                .get(&object)
                .copied()
                .or_else(|| self.index.owner(object)),
            Kind::Text => batch
                .texts
                .get(&object)
                .copied()
                .or_else(|| self.owner_of_text(object)),
        }
    }

    fn owner_of_text(&self, text: OpName) -> Option<EntryId> {
        let text = ObjId::Id(text.counter, ActorId::from(text.actor.0), 0);
        if self.doc.object_type(&text).ok()? != ObjType::Text {
            return None;
        }
        let parent = self.doc.parents(&text).ok()?.next()?;
        self.index.owner(OpName::of(&parent.obj)?)
    }
}

/// Whether a change's operations may be numbered from `start_op`, if those that it depends on end
/// with `after`.
fn follows(start_op: u64, after: u64) -> bool {
    let most = if start_op > LAST_GAP {
        1
    } else {
        MAX_NUMBERING_GAP
    };
    start_op > after && start_op - after <= most
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_next_number_always_follows(after in 0..u64::from(u32::MAX)) {
            prop_assert!(follows(after + 1, after));
            prop_assert!(!follows(after, after));
        }
    }

    #[test]
    fn half_of_the_numbers_is_out_of_reach_of_gaps() {
        let mut after = 0;
        while follows(after + MAX_NUMBERING_GAP, after) {
            after += MAX_NUMBERING_GAP;
        }
        assert!(after <= LAST_GAP);
        assert!((2..=MAX_NUMBERING_GAP).all(|gap| !follows(LAST_GAP + gap, LAST_GAP)));
    }
}
