//! Applying changes from elsewhere, in batches.

use super::document::{Document, RawChange, Touched};
use super::genesis;
use super::judge::{CheckedChange, Fault};
use super::outline::{Kind, OpName};
use super::read::Union;
use automerge::{ActorId, Automerge, ObjId, ObjType, ReadDoc};
use bytes::Bytes;
use names::{Actor, ChangeHash, ChangeId, EntryId};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// By how much a change's operations may be numbered above those that it depends on. Automerge
/// numbers them above all that its writer has; without a bound a single change could use up all
/// numbers.
const MAX_NUMBERING_GAP: u64 = 1 << 24;

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

/// A batch could not be applied, and the document is not fit for use any more: load it again. Then
/// apply the changes one by one to find the one that is to blame, if it is not named.
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
}

/// A batch on its way into a document: the changes that fit so far, and what they will have added.
#[derive(Default)]
struct Batch {
    fit: Vec<CheckedChange>,
    /// The number of the last operation of each.
    max_ops: BTreeMap<ChangeHash, u64>,
    seqs: BTreeMap<Actor, u64>,
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

impl Document {
    /// Applies changes in any order. What is there already is skipped, what lacks dependencies is
    /// handed back. A batch costs little more than a single change: the cost of one grows with the
    /// document.
    ///
    /// # Errors
    /// Automerge failed. Afterwards the document must be dropped.
    pub fn apply(&mut self, changes: Vec<CheckedChange>) -> Result<Applied, ApplyError> {
        catch_unwind(AssertUnwindSafe(|| self.apply_unguarded(changes)))
            .unwrap_or(Err(ApplyError::Panicked))
    }

    fn apply_unguarded(&mut self, mut changes: Vec<CheckedChange>) -> Result<Applied, ApplyError> {
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
        self.apply_batch(&batch)?;
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
        Ok(applied)
    }

    fn apply_batch(&mut self, batch: &Batch) -> Result<(), ApplyError> {
        // What only adds refers to nothing: Automerge has nothing to drop. The tests look all the
        // same.
        let is_suspect =
            cfg!(debug_assertions) || !batch.fit.iter().all(|change| change.outline.only_adds());
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
        batch
            .maps
            .iter()
            .for_each(|(map, id)| self.index.add_map(*map, *id));
        for change in &batch.fit {
            self.record(
                change.id(),
                change.start_op(),
                change.max_op(),
                change.change.timestamp(),
                &change.author().0,
            );
        }
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
            .seqs
            .get(&actor)
            .copied()
            .unwrap_or_else(|| self.vector.seq(actor))
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
        if start_op <= after || start_op - after > MAX_NUMBERING_GAP {
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
            Verdict::Refused(Fault::Shape(
                "writes to an object that \
            is not there",
            )),
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
        self.seqs.insert(change.id().actor, change.id().seq);
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
