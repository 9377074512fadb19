//! Applying changes from elsewhere, in batches.
//!
//! A change is accepted or refused by itself and by what it depends on, never by what else has come:
//! otherwise replicas that the same changes reach in another order would differ for good.

mod batch;

use super::document::{Document, RawChange, Touched};
use super::judge::{CheckedChange, Fault};
use super::past;
use automerge::{Automerge, AutomergeError, Change, ReadDoc};
use batch::{Batch, Verdict};
use names::{ChangeHash, ChangeId};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// After so many changes that spoil the document, the rest of a batch is handed back: finding each
/// costs as much as applying a few times.
const MAX_SPOILERS: usize = 4;

/// From so many new actors in a batch on, applying all changes anew costs less than renumbering for each
/// of them: about as much as 500 of them in a list of 10,000 entries, and less than a third in one that has
/// 8,000 actors already.
const MANY_NEWCOMERS: usize = 256;

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

/// Why changes could not be applied. Where [`Document::apply`] returns it, the document can no longer
/// be used and must be loaded again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Automerge panicked.
    #[error("applying the changes panicked")]
    Panicked,
    /// Automerge refused them.
    #[error("the changes cannot be applied: {0}")]
    Automerge(String),
    /// The document does not give that change back as it was. If it were saved, it would not load
    /// again.
    #[error("the change {} of actor {} refers to operations that are not there", .0.seq, .0.actor)]
    Altered(ChangeId),
    /// The change was taken without Automerge, which then failed on it.
    #[error("the change {0} was taken, and cannot be applied")]
    Late(ChangeHash),
    /// What the change depends on lacks something that the change refers to: what it overwrites or
    /// writes to, or its actor's change before it.
    #[error("the change {} of actor {} refers to what was not there for it", .0.seq, .0.actor)]
    Unfounded(ChangeId),
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
    /// What only adds entries is taken without Automerge, whose document gets it later, in a batch
    /// with others: see [`Document::behind`].
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
                Verdict::Refused(fault) => {
                    if fault == Fault::LeftOut {
                        self.leave_aside([change.hash()]);
                    }
                    applied.refused.push((change, fault));
                }
            }
        }
        if batch.fit.is_empty() {
            return Ok(applied);
        }
        if batch.is_deferrable(self) {
            self.defer_all(&batch);
            self.note(batch, &mut applied)?;
            return Ok(applied);
        }
        self.catch_up()?;
        if !batch.is_suspect() {
            self.put_in(&batch)?;
        } else if let Err(error) = self.try_to_put_in(&batch) {
            return self.apply_without_spoilers(batch.fit, error, applied, spoilers);
        }
        self.note(batch, &mut applied)?;
        Ok(applied)
    }

    /// Applies a batch in which something spoils the document, and finds that by halving the batch.
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
            .map(|change| change.decoded().map(Cow::into_owned))
            .collect::<Result<_, _>>()?;
        put_in_automerge(&mut self.doc, changes)
            .map_err(|error| ApplyError::Automerge(error.to_string()))?;
        if is_suspect {
            self.check_unaltered(&heads, batch)?;
        }
        let leads_to = |change: &CheckedChange, before| {
            past::leads_to(change.deps(), before, usize::MAX, |hash| self.known(hash))
        };
        let is_founded = |change: &CheckedChange| {
            let founds = |decoded: Cow<'_, Change>| past::founds(&self.doc, &decoded);
            let before = batch.before.get(&change.hash());
            before.is_none_or(|before| leads_to(change, *before))
                && (change.outline.only_adds() || change.decoded().is_ok_and(founds))
        };
        let unfounded = batch.fit.iter().find(|change| !is_founded(change));
        unfounded.map_or(Ok(()), |change| Err(ApplyError::Unfounded(change.id())))
    }

    /// Leaves a batch of additions for later.
    fn defer_all(&mut self, batch: &Batch) {
        for change in &batch.fit {
            let entries = change.outline.maps.iter().map(|(_, id)| *id);
            self.defer(change.into(), entries);
        }
    }

    /// Brings everything beside Automerge's document up to date with a batch that is in it now.
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
                change.seconds(),
                change.message(),
                change.bytes().len(),
            );
        }
        let cutting = batch
            .fit
            .iter()
            .filter(|change| !change.outline.only_adds());
        let operations = cutting.map(CheckedChange::len).sum::<usize>();
        self.cut(u64::try_from(operations).unwrap_or(u64::MAX));
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
}

/// Automerge numbers actors in their order, so each new one renumbers those of all operations that
/// are there. Where many come at once they are put, with all that is there, into a document that
/// has no operation yet.
pub(super) fn put_in_automerge(
    doc: &mut Automerge,
    changes: Vec<Change>,
) -> Result<(), AutomergeError> {
    let newcomers = changes.iter().filter(|change| change.seq() == 1).count();
    if newcomers < MANY_NEWCOMERS {
        return doc.apply_changes(changes);
    }
    let mut anew = Automerge::new().with_actor(doc.get_actor().clone());
    let known = doc.get_changes(&[]);
    anew.apply_changes(known.into_iter().chain(changes).collect::<Vec<_>>())?;
    *doc = anew;
    Ok(())
}
