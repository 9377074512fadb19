//! Applying changes from elsewhere, in batches.
//!
//! A change is accepted or refused by itself and by what it depends on, never by what else has come:
//! otherwise replicas that the same changes reach in another order would differ for good.

use super::document::{Document, RawChange, Touched};
use super::genesis;
use super::judge::{CheckedChange, Fault};
use super::outline::{Kind, OpName};
use super::past;
use super::read::Union;
use automerge::{ActorId, Automerge, ObjId, ObjType, ReadDoc};
use bytes::Bytes;
use names::{Actor, ChangeHash, ChangeId, EntryId};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// By how much a change's operations may be numbered above those that it depends on. Automerge
/// numbers them above all that its writer has, also where the change builds on an older state.
const MAX_NUMBERING_GAP: u64 = 1 << 16;
/// From here on they follow without a gap, as all do that Muster makes: the other half of the 32
/// bits can only be used up by operations, one by one.
const LAST_GAP: u64 = 1 << 31;
/// After so many changes that spoil the document, the rest of a batch is handed back: finding each
/// costs as much as applying a few times.
const MAX_SPOILERS: usize = 4;

/// What came of applying a batch of changes.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// The changes that are new here, each after those that it depends on.
    pub changes: Vec<RawChange>,
    /// How many were there already.
    pub duplicates: usize,
    /// The entries that the new changes wrote to, as they are after all of them.
    pub touched: Vec<Touched>,
    /// Changes that depend on others which are not here. They were not applied: try again later.
    pub orphans: Vec<CheckedChange>,
    /// Changes that do not fit this document, and why. They were not applied.
    pub refused: Vec<(CheckedChange, Fault)>,
}

/// Changes could not be applied. As the error of [`Document::apply`]: the document is not fit for use
/// any more, load it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Automerge panicked.
    #[error("applying the changes panicked")]
    Panicked,
    /// Automerge refused them.
    #[error("the changes cannot be applied: {0}")]
    Automerge(String),
    /// The document does not give that change back as it was: saved, it would not load again.
    #[error("the change {} of actor {} refers to operations that are not there", .0.seq, .0.actor)]
    Altered(ChangeId),
    /// The change overwrites, or writes to, something that its writer did not see, or its actor has
    /// written another one before: what it depends on does not have that.
    #[error("the change {} of actor {} refers to what was not there for it", .0.seq, .0.actor)]
    Unfounded(ChangeId),
}

/// A batch on its way into a document: the changes that fit so far, and what they will have added.
#[derive(Default)]
struct Batch {
    fit: Vec<CheckedChange>,
    /// The number of the last operation of each.
    max_ops: BTreeMap<ChangeHash, u64>,
    /// The number of each actor's last change, and its hash.
    last: BTreeMap<Actor, (u64, ChangeHash)>,
    /// Actors' changes before some of these, on which these do not depend directly.
    before: BTreeMap<ChangeHash, ChangeHash>,
    maps: BTreeMap<OpName, EntryId>,
    texts: BTreeMap<OpName, EntryId>,
    touched: BTreeSet<EntryId>,
    /// Those of them that are new, and that one change alone has written to: as they are then.
    added: BTreeMap<EntryId, Union>,
}

/// What to do with a change.
enum Verdict {
    Fits(Fit),
    Duplicate,
    Orphan,
    Refused(Fault),
}

/// What a change that fits writes to.
struct Fit {
    entries: BTreeSet<EntryId>,
    /// The texts that it makes.
    texts: BTreeMap<OpName, EntryId>,
}

impl Applied {
    /// Adds what came of applying more of the same batch.
    fn add(&mut self, next: Self) {
        self.changes.extend(next.changes);
        self.duplicates += next.duplicates;
        self.orphans.extend(next.orphans);
        self.refused.extend(next.refused);
        for touched in next.touched {
            match self.touched.binary_search_by_key(&touched.id, |one| one.id) {
                Ok(at) => {
                    if let Some(one) = self.touched.get_mut(at) {
                        one.entry = touched.entry;
                    }
                }
                Err(at) => self.touched.insert(at, touched),
            }
        }
    }
}

impl Document {
    /// Applies changes in any order. What is there already is skipped, what lacks dependencies is
    /// handed back. A batch costs little more than a single change: the cost of one grows with the
    /// document.
    ///
    /// A change that spoils the document is refused alone ([`Fault::Spoils`]): the others of its
    /// batch are applied. After a few of them the rest of the batch is handed back with the orphans.
    ///
    /// # Errors
    /// Automerge failed on changes that were thought harmless. Afterwards the document must be
    /// dropped.
    pub fn apply(&mut self, changes: Vec<CheckedChange>) -> Result<Applied, ApplyError> {
        let mut spoilers = MAX_SPOILERS;
        catch_unwind(AssertUnwindSafe(|| {
            self.apply_unguarded(changes, &mut spoilers)
        }))
        .unwrap_or(Err(ApplyError::Panicked))
    }

    fn apply_unguarded(
        &mut self,
        mut changes: Vec<CheckedChange>,
        spoilers: &mut usize,
    ) -> Result<Applied, ApplyError> {
        // A change's operations are numbered above those that it depends on.
        changes.sort_by_key(CheckedChange::start_op);
        let (mut batch, mut applied) = (Batch::default(), Applied::default());
        for change in changes {
            match batch.judge(self, &change) {
                Verdict::Fits(fit) => batch.take(self, change, fit),
                Verdict::Duplicate => applied.duplicates += 1,
                Verdict::Orphan => applied.orphans.push(change),
                Verdict::Refused(fault) => applied.refused.push((change, fault)),
            }
        }
        if batch.fit.is_empty() {
            return Ok(applied);
        }
        if !batch.is_suspect() {
            self.put_in(&batch)?;
        } else if let Err(error) = self.try_to_put_in(&batch) {
            return self.apply_without_spoilers(batch.fit, error, applied, spoilers);
        }
        self.note(batch, &mut applied)?;
        Ok(applied)
    }

    /// Something in a batch spoils the document: finds it by halves.
    fn apply_without_spoilers(
        &mut self,
        mut changes: Vec<CheckedChange>,
        error: ApplyError,
        mut applied: Applied,
        spoilers: &mut usize,
    ) -> Result<Applied, ApplyError> {
        let rest = changes.split_off(changes.len().div_ceil(2));
        if rest.is_empty() {
            *spoilers -= 1;
            let spoilers = changes.into_iter();
            applied
                .refused
                .extend(spoilers.map(|change| (change, Fault::Spoils(error.clone()))));
            return Ok(applied);
        }
        for half in [changes, rest] {
            if *spoilers == 0 {
                applied.orphans.extend(half);
            } else {
                applied.add(self.apply_unguarded(half, spoilers)?);
            }
        }
        Ok(applied)
    }

    /// As [`put_in`](Self::put_in), but leaves the document as it was if the changes spoil it.
    fn try_to_put_in(&mut self, batch: &Batch) -> Result<(), ApplyError> {
        let before = self.doc.clone();
        let result = catch_unwind(AssertUnwindSafe(|| self.put_in(batch)))
            .unwrap_or(Err(ApplyError::Panicked));
        if result.is_err() {
            self.doc = before;
        }
        result
    }

    /// Applies a batch to Automerge's document, and to nothing else.
    fn put_in(&mut self, batch: &Batch) -> Result<(), ApplyError> {
        // The tests look at additions, too.
        let is_suspect = cfg!(debug_assertions) || batch.is_suspect();
        let heads = self.doc.get_heads();
        let changes: Vec<_> = batch
            .fit
            .iter()
            .map(|change| change.change.clone())
            .collect();
        self.doc
            .apply_changes(changes)
            .map_err(|error| ApplyError::Automerge(error.to_string()))?;
        if is_suspect {
            self.check_unaltered(&heads, batch)?;
        }
        let unfounded = batch.fit.iter().find(|change| {
            let before = batch.before.get(&change.hash());
            before.is_some_and(|before| !past::has(&self.doc, &change.change, *before))
                || !change.outline.only_adds() && !past::founds(&self.doc, &change.change)
        });
        unfounded.map_or(Ok(()), |change| Err(ApplyError::Unfounded(change.id())))
    }

    /// Notes what a batch has brought that is in the document now.
    fn note(&mut self, batch: Batch, applied: &mut Applied) -> Result<(), ApplyError> {
        batch
            .maps
            .iter()
            .for_each(|(map, id)| self.index.add_map(*map, *id));
        for change in &batch.fit {
            self.record(
                (change.id(), change.hash()),
                change.start_op(),
                change.max_op(),
                change.change.timestamp(),
                &change.author().0,
                change.bytes().len(),
            );
        }
        applied.touched = batch
            .added
            .iter()
            .map(|(id, union)| self.take_in(*id, union))
            .collect();
        let others = batch
            .touched
            .into_iter()
            .filter(|id| !batch.added.contains_key(id));
        applied.touched.extend(
            self.refresh(others)
                .map_err(|error| ApplyError::Automerge(error.to_string()))?,
        );
        applied.touched.sort_by_key(|touched| touched.id);
        applied.changes = batch
            .fit
            .into_iter()
            .map(|change| RawChange {
                id: change.id(),
                hash: change.hash(),
                bytes: change.bytes().clone(),
            })
            .collect();
        Ok(())
    }

    /// Automerge drops references to operations that are not there. The change that it would save
    /// is then another one than the one that others depend on.
    fn check_unaltered(
        &self,
        heads: &[automerge::ChangeHash],
        batch: &Batch,
    ) -> Result<(), ApplyError> {
        // Built with assertions, Automerge panics when it finds such a change.
        let saved =
            catch_unwind(AssertUnwindSafe(|| self.doc.get_changes(heads))).unwrap_or_default();
        let saved: BTreeMap<[u8; 32], _> = saved
            .into_iter()
            .map(|change| (change.hash().0, change))
            .collect();
        let unaltered = |change: &CheckedChange| {
            saved
                .get(&change.hash().0)
                .is_some_and(|saved| saved.raw_bytes() == change.bytes())
        };
        if batch.fit.iter().all(unaltered) {
            return Ok(());
        }
        let guilty = batch.fit.iter().find(|change| !self.gives_back(change));
        Err(guilty.map_or(ApplyError::Panicked, |change| {
            ApplyError::Altered(change.id())
        }))
    }

    fn gives_back(&self, change: &CheckedChange) -> bool {
        let hash = automerge::ChangeHash(change.hash().0);
        let saved = catch_unwind(AssertUnwindSafe(|| self.doc.get_change_by_hash(&hash)));
        saved.is_ok_and(|saved| saved.is_some_and(|saved| saved.raw_bytes() == change.bytes()))
    }

    /// The number of an actor's last change that is here or in the batch.
    fn last_seq(&self, actor: Actor, batch: &Batch) -> u64 {
        batch
            .last
            .get(&actor)
            .map_or_else(|| self.vector.seq(actor), |(seq, _)| *seq)
    }

    /// The number of the last operation of a change that is here or in the batch.
    fn last_op(&self, hash: &ChangeHash, batch: &Batch) -> Option<u64> {
        let here = || {
            self.doc
                .get_change_meta_by_hash(&automerge::ChangeHash(hash.0))
                .map(|change| change.max_op)
        };
        batch.max_ops.get(hash).copied().or_else(here)
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

impl Batch {
    /// Whether a change may spoil the document. One that only adds refers to nothing that Automerge
    /// could lack.
    fn is_suspect(&self) -> bool {
        !self.before.is_empty() || !self.fit.iter().all(|change| change.outline.only_adds())
    }

    fn judge(&self, document: &Document, change: &CheckedChange) -> Verdict {
        let id = change.id();
        if document.has(&change.hash()) || self.max_ops.contains_key(&change.hash()) {
            return Verdict::Duplicate;
        }
        let have = document.last_seq(id.actor, self);
        if id.seq <= have {
            return Verdict::Refused(Fault::Forked);
        }
        let last_ops: Option<Vec<u64>> = change
            .deps()
            .iter()
            .map(|hash| document.last_op(hash, self))
            .collect();
        let Some(last_ops) = last_ops else {
            return Verdict::Orphan;
        };
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

    fn take(&mut self, document: &Document, change: CheckedChange, fit: Fit) {
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
        self.max_ops.insert(change.hash(), change.max_op());
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

    /// An entry whose id came before, here or in the batch, is the union of several maps: it has to
    /// be read.
    fn add(&mut self, document: &Document, id: EntryId, union: Union) {
        if self.touched.insert(id) && document.index.slot(id).is_none() {
            self.added.insert(id, union);
        } else {
            self.added.remove(&id);
        }
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

/// A change and all that it depends on, in order, without the first change of every list.
pub(super) fn history(doc: &Automerge, change: ChangeHash) -> Option<Vec<Bytes>> {
    let changes = doc.get_changes(&[]);
    let mut wanted = BTreeSet::from([change.0]);
    let mut found = Vec::new();
    for change in changes
        .iter()
        .rev()
        .filter(|change| !change.deps().is_empty())
    {
        if wanted.remove(&change.hash().0) {
            wanted.extend(change.deps().iter().map(|hash| hash.0));
            found.push(Bytes::copy_from_slice(change.raw_bytes()));
        }
    }
    found.reverse();
    (!found.is_empty()).then_some(found)
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
