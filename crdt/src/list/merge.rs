//! A saved document from outside, and what it would change here.
//!
//! Its changes have authors for whom no node has signed, and may be anything: none of them enters the
//! list. They are judged as those of a peer are, played through in a document of their own, and what
//! that changes of entries, by the rules for what clients send, is written anew here as one change of
//! this node's. So no number, no actor and no odd form of theirs comes into the list, and members take
//! the change like any other.
//!
//! What was written here meanwhile stays, except in the fields that the document changes: as with any
//! edit, the last one is shown, and the history has the other. Values that its writers left in conflict
//! come as the one that is shown; keys that this program does not know do not come.
//!
//! The change names the document's newest changes in its message. So a document that comes again, with
//! more or without, brings only what is new in it.

use super::anew::{Plan, Step, Then};
use super::blob;
use super::chunk::ChunkError;
use super::document::Document;
use super::edit::{EditRefusal, Edited, Stamp};
use super::judge::{Fault, judge};
use super::read::Union;
use super::{genesis, message, position};
use crate::entry::limits::FieldError;
use crate::entry::{Author, Differences, Entry, EntryPatch};
use automerge::{Automerge, Change, ReadDoc};
use bytes::Bytes;
use names::{Actor, ChangeHash, EntryId};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The most changes that a document may have which are not here.
const MAX_FOREIGN: usize = 20_000;
/// The most branches that it may have: each is named in the message of the change.
const MAX_HEADS: usize = 32;

/// Why a document is not merged in. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// It has too many bytes, or would expand to too many.
    #[error("the document has too many bytes, or would expand to too many")]
    TooLarge,
    /// It has more changes that are not here than are judged at once.
    #[error(
        "the document has {0} changes that are not here; at most {MAX_FOREIGN} are merged at once"
    )]
    TooMany(usize),
    /// It has more branches than can be named.
    #[error(
        "the document has {0} branches; at most {MAX_HEADS} are merged at once: merge them first"
    )]
    TooManyHeads(usize),
    /// It is none of Automerge.
    #[error("it is not a document of Automerge: {0}")]
    NotADocument(String),
    /// It does not begin as lists do.
    #[error(
        "the document does not begin with the first change of every list of Muster: begin with \
        one that a node has given"
    )]
    Genesis,
    /// It has a change that no list takes.
    #[error("the change {hash} of the document is refused: {fault}")]
    Refused {
        /// Which.
        hash: ChangeHash,
        /// Why.
        fault: Fault,
    },
    /// It has changes that do not fit those that they depend on.
    #[error("the document has changes that do not fit those that they depend on")]
    Unfounded,
    /// An entry of it breaks a limit.
    #[error("the entry {id} of the document: {error}")]
    Entry {
        /// Which.
        id: EntryId,
        /// The field, and what is wrong with it.
        error: FieldError,
    },
}

impl From<ChunkError> for MergeError {
    fn from(error: ChunkError) -> Self {
        match error {
            ChunkError::Bytes | ChunkError::Operations => Self::TooLarge,
            ChunkError::Checksum => Self::NotADocument("a checksum is wrong".to_owned()),
            ChunkError::Malformed(what) => Self::NotADocument(format!("its {what}")),
        }
    }
}

impl Document {
    /// What a saved document would change here. Costs as much as loading both.
    ///
    /// # Errors
    /// It is not merged in; nothing of it is.
    pub fn differences(&self, saved: &[u8]) -> Result<Differences, MergeError> {
        let mut changes = changes_of(saved)?;
        if !changes
            .iter()
            .any(|change| change.hash().0 == genesis::HASH.0)
        {
            return Err(MergeError::Genesis);
        }
        changes.retain(|change| change.hash().0 != genesis::HASH.0);
        let earlier = self.merged_before(&changes);
        let is_known = |change: &Change| {
            let hash = ChangeHash(change.hash().0);
            self.has(&hash) || earlier.contains(&hash)
        };
        let (known, foreign): (Vec<_>, Vec<_>) = changes.into_iter().partition(is_known);
        if foreign.len() > MAX_FOREIGN {
            return Err(MergeError::TooMany(foreign.len()));
        }
        let heads = heads_of(&foreign);
        if heads.len() > MAX_HEADS {
            return Err(MergeError::TooManyHeads(heads.len()));
        }
        let mut then = Then::new(Self::new(self.name().clone(), Actor([0xff; 16])));
        let mut play = |changes: Vec<Change>| {
            let all = changes.len();
            let played = then.play(checked(changes)?);
            let (applied, steps) = played.map_err(|_| MergeError::Unfounded)?;
            match applied.refused.into_iter().next() {
                Some((change, fault)) => Err(MergeError::Refused {
                    hash: change.hash(),
                    fault,
                }),
                None if applied.changes.len() != all => Err(MergeError::Unfounded),
                None => Ok(steps),
            }
        };
        play(known)?;
        let steps = play(foreign)?;
        let tag = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.tag);
        let is_as_it_was = |step: &Step| tag(&self.entry(step.id)) == tag(&step.old);
        let same = steps.iter().filter(|step| is_as_it_was(step));
        let same: BTreeSet<EntryId> = same.map(|step| step.id).collect();
        let Plan {
            mut additions,
            patches,
            mut deletions,
        } = self.plan_anew(&then, steps);
        // An edit wins over a deletion that did not know of it.
        deletions.retain(|id| same.contains(id));
        for new in &mut additions {
            (new.created_at, new.done_at) = (None, None);
        }
        let differences = Differences {
            additions,
            patches,
            deletions,
            heads,
        };
        check(&differences)?;
        Ok(differences)
    }

    /// The changes of a document that have been merged in before, and those that they depend on.
    fn merged_before(&self, changes: &[Change]) -> BTreeSet<ChangeHash> {
        let doc = self.whole();
        let metas = doc.get_changes_meta(&[]);
        let messages = metas.iter().filter_map(|meta| meta.message.as_deref());
        let mut left: Vec<ChangeHash> = messages.flat_map(message::merged).collect();
        let hash = |change: &Change| ChangeHash(change.hash().0);
        let changes: BTreeMap<ChangeHash, &Change> = changes
            .iter()
            .map(|change| (hash(change), change))
            .collect();
        let mut merged = BTreeSet::new();
        while let Some(hash) = left.pop() {
            if let Some(change) = changes.get(&hash)
                && merged.insert(hash)
            {
                left.extend(change.deps().iter().map(|dep| ChangeHash(dep.0)));
            }
        }
        merged
    }

    /// Writes the differences as one change.
    pub(super) fn merge(
        &mut self,
        differences: &Differences,
        stamp: Stamp<'_>,
        draw: &mut dyn FnMut() -> u128,
    ) -> Result<Edited, EditRefusal> {
        let Differences {
            additions,
            patches,
            deletions,
            heads,
        } = differences;
        let by = Author(message::merging(&stamp.by.0, heads));
        let stamp = Stamp { by: &by, ..stamp };
        let ids: Vec<EntryId> = additions.iter().filter_map(|new| new.id).collect();
        let mut planned = Vec::new();
        let placed = self.plan(additions, &ids, draw, &mut planned);
        let orders = placed.and_then(|()| {
            let orders = patches
                .iter()
                .map(|(id, patch)| self.order_of(*id, patch, draw));
            orders.collect::<Result<Vec<_>, _>>()
        });
        // The plan is in the index already; what stands there was not alive before.
        planned.iter().for_each(|plan| self.index.forget(plan.id));
        let orders = orders?;
        let unions = patches.iter().map(|(id, _)| {
            let union = Union::read(&self.doc, *id)?;
            union.ok_or(EditRefusal::NoEntry(*id))
        });
        let unions = unions.collect::<Result<Vec<_>, _>>()?;
        let mut patched = Vec::new();
        // A change writes an entry once.
        let mut written: BTreeSet<EntryId> = patches.iter().map(|(id, _)| *id).chain(ids).collect();
        for (((id, patch), union), order) in patches.iter().zip(&unions).zip(orders) {
            let mut one = self.patched(*id, union, patch, order, stamp)?;
            one.leave_out(&mut written);
            patched.push(one);
        }
        let gone: Vec<EntryId> = deletions
            .iter()
            .copied()
            .filter(|id| self.index.is_alive(*id))
            .collect();
        let lives = gone.iter().map(|id| self.union(*id, Union::read_life));
        let lives = lives.collect::<Result<Vec<_>, _>>()?;
        let mut edited = self.write_patched_and(&patched, stamp, |draft| {
            planned
                .iter()
                .try_for_each(|plan| draft.add(plan.id, plan.new, &plan.order, stamp.at_ms))?;
            lives.iter().try_for_each(|union| draft.kill(union))
        })?;
        edited
            .touched
            .extend(self.refresh(planned.iter().map(|plan| plan.id))?);
        edited
            .touched
            .extend(gone.into_iter().map(|id| self.bury(id)));
        edited.results.clear();
        Ok(edited)
    }

    fn order_of(
        &self,
        id: EntryId,
        patch: &EntryPatch,
        draw: &mut dyn FnMut() -> u128,
    ) -> Result<Option<String>, EditRefusal> {
        let gap = patch
            .place
            .map(|place| self.gap(Some(place), Some(id)))
            .transpose()?;
        Ok(gap.map(|(low, high)| position::between(low.as_deref(), high.as_deref(), draw())))
    }
}

/// The changes of a saved document, each after those that it depends on.
fn changes_of(saved: &[u8]) -> Result<Vec<Change>, MergeError> {
    blob::check(saved)?;
    let load =
        || Automerge::load(saved).map(|doc| (doc.get_changes(&[]), doc.get_missing_deps(&[])));
    match catch_unwind(AssertUnwindSafe(load)) {
        Ok(Ok((changes, missing))) if missing.is_empty() => Ok(changes),
        Ok(Ok(_)) => Err(MergeError::Unfounded),
        Ok(Err(error)) => Err(MergeError::NotADocument(error.to_string())),
        Err(_) => Err(MergeError::NotADocument("it cannot be decoded".to_owned())),
    }
}

fn checked(changes: Vec<Change>) -> Result<Vec<super::CheckedChange>, MergeError> {
    let judged = changes.into_iter().map(|change| {
        let hash = ChangeHash(change.hash().0);
        let bytes = Bytes::copy_from_slice(change.raw_bytes());
        judge(bytes).map_err(|fault| MergeError::Refused { hash, fault })
    });
    judged.collect()
}

/// Those on which no other one depends.
fn heads_of(changes: &[Change]) -> Vec<ChangeHash> {
    let deps: BTreeSet<_> = changes.iter().flat_map(Change::deps).collect();
    let hashes = changes.iter().map(Change::hash);
    let heads = hashes.filter(|hash| !deps.contains(hash));
    heads.map(|hash| ChangeHash(hash.0)).collect()
}

/// What clients may send, and no more.
fn check(differences: &Differences) -> Result<(), MergeError> {
    for new in &differences.additions {
        let id = new.id.unwrap_or(EntryId(0));
        new.check()
            .map_err(|error| MergeError::Entry { id, error })?;
    }
    for (id, patch) in &differences.patches {
        let id = *id;
        patch
            .check()
            .map_err(|error| MergeError::Entry { id, error })?;
    }
    Ok(())
}

impl Differences {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.additions.is_empty() && self.patches.is_empty() && self.deletions.is_empty()
    }
}
