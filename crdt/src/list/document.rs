//! The document: Automerge's state and what is kept beside it so that nothing walks the whole list.

use super::authorship::Authorship;
use super::deferred::Deferred;
use super::index::{Index, Slot};
use super::judge::CheckedChange;
use super::left_out::{Basis, Ruling};
use super::message::{self, Act};
use super::position::Run;
use super::read::Union;
use super::slack::Slack;
use super::{genesis, past, scan};
use crate::entry::Entry;
use crate::vector::{Mark, Sums, Tip, VersionVector};
use automerge::{ActorId, Automerge, AutomergeError, Change, ROOT, ReadDoc};
use bytes::Bytes;
use names::{Actor, ChangeHash, ChangeId, EntryId, ListId, ListName};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use xxhash_rust::xxh3::xxh3_64;

/// About what an empty document takes, in bytes.
const BASE_BYTES: usize = 16 << 10;
/// About what an operation takes in Automerge's columns, in bytes.
const OPERATION_BYTES: usize = 24;
/// About what a change takes, in Automerge's graph and in ours, in bytes.
const CHANGE_BYTES: usize = 280;
/// Automerge keeps a clock with each 16th change, which has 4 bytes for each actor.
const CHANGES_PER_CLOCK: usize = 16;
const CLOCK_BYTES: usize = 4;
/// So many changes are remembered that depend on some that are left out.
const MAX_ASIDE: usize = 10_000;
/// About what the index takes for an entry, in bytes.
const ENTRY_BYTES: usize = 340;

/// The tag of a list with these heads, which changes whenever the list does: a hash of them.
pub fn heads_tag(heads: &[ChangeHash]) -> u64 {
    let bytes: Vec<u8> = heads.iter().flat_map(|hash| hash.0).collect();
    xxh3_64(&bytes)
}

/// A change as it is stored and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawChange {
    /// Its actor and number.
    pub id: ChangeId,
    /// Its hash, by which other changes name it.
    pub hash: ChangeHash,
    /// The uncompressed Automerge change chunk.
    pub bytes: Bytes,
}

/// An entry that a change wrote to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Which entry.
    pub id: EntryId,
    /// Whether it was in the list before.
    pub before: bool,
    /// As it is now; `None` if it is not in the list.
    pub entry: Option<Entry>,
}

/// What is known of an entry's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is in the list.
    Alive,
    /// It was deleted.
    Dead,
    /// There never was such an entry here.
    Unknown,
}

/// Why stored bytes do not make a document. The bytes are as they were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Automerge does not understand them.
    #[error("the document does not load: {0}")]
    Automerge(String),
    /// Automerge panicked on them.
    #[error("loading the document panicked")]
    Panicked,
    /// It lacks the first change that all lists share, or has another map of entries.
    #[error("the document does not begin with the first change of every list")]
    Genesis,
    /// Changes are missing that others depend on.
    #[error("the document lacks {0} changes that others depend on")]
    Incomplete(usize),
    /// It has a change that no list can have.
    #[error("the document has a change of a foreign actor")]
    Foreign,
}

/// A to-do list: a replica of its Automerge document, with what it takes to read and edit it
/// quickly.
///
/// All changes go through [`Document::edit`] and [`Document::apply`]; both tell which entries they
/// touched.
pub struct Document {
    /// Without what is deferred.
    pub(super) doc: Automerge,
    pub(super) deferred: Deferred,
    pub(super) index: Index,
    pub(super) authorship: Authorship,
    pub(super) actor: Actor,
    /// The entries that were added here one after the other, last.
    pub(super) run: Option<Run>,
    pub(super) vector: VersionVector,
    /// Each actor's last change, and what that contributes to the sums.
    last: BTreeMap<Actor, (ChangeHash, Sums)>,
    /// The highest number of an operation.
    pub(super) max_op: u64,
    name: ListName,
    id: ListId,
    sums: Sums,
    operations: u64,
    /// How many bytes its changes take, uncompressed: its text, also what was overwritten.
    content: usize,
    /// Room that is held beside that.
    slack: Slack,
    modified_at: i64,
    has_unknown_keys: bool,
    /// Which changes stay where there are several with one number.
    rulings: BTreeSet<Ruling>,
    /// Changes that the list is without, and such that came and depend on those.
    aside: BTreeSet<ChangeHash>,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("name", &self.name)
            .field("total", &self.total())
            .field("vector", &self.vector)
            .finish_non_exhaustive()
    }
}

impl Document {
    /// An empty list: it has the first change of every list and nothing else.
    pub fn new(name: ListName, actor: Actor) -> Self {
        let mut doc = Automerge::new().with_actor(ActorId::from(actor.0));
        // The constant is valid: a test makes it anew.
        let applied =
            Change::from_bytes(genesis::BYTES.to_vec()).map(|genesis| doc.apply_changes([genesis]));
        debug_assert!(matches!(applied, Ok(Ok(()))));
        Self::with(doc, name, actor)
    }

    fn with(doc: Automerge, name: ListName, actor: Actor) -> Self {
        let id = ListId::of(&name);
        let (index, authorship, vector) = (
            Index::default(),
            Authorship::default(),
            VersionVector::default(),
        );
        Self {
            doc,
            deferred: Deferred::default(),
            index,
            authorship,
            actor,
            run: None,
            vector,
            last: BTreeMap::new(),
            max_op: genesis::ENTRIES.counter,
            name,
            id,
            sums: Sums::default(),
            operations: 1,
            content: genesis::BYTES.len(),
            slack: Slack::default(),
            modified_at: 0,
            has_unknown_keys: false,
            rulings: BTreeSet::new(),
            aside: BTreeSet::new(),
        }
    }

    /// Loads a document from a snapshot ([`Document::save`]), if there is one, and the changes
    /// after it in an order in which each follows those that it depends on. Never panics.
    ///
    /// # Errors
    /// The bytes do not make a whole document of a list.
    pub fn load(
        name: ListName,
        actor: Actor,
        snapshot: Option<&[u8]>,
        changes: &[Bytes],
    ) -> Result<Self, LoadError> {
        let blob = [snapshot.unwrap_or(genesis::BYTES)]
            .into_iter()
            .chain(changes.iter().map(Bytes::as_ref))
            .collect::<Vec<_>>()
            .concat();
        catch_unwind(AssertUnwindSafe(|| Self::load_blob(name, actor, &blob)))
            .unwrap_or(Err(LoadError::Panicked))
    }

    fn load_blob(name: ListName, actor: Actor, blob: &[u8]) -> Result<Self, LoadError> {
        let broken = |error: AutomergeError| LoadError::Automerge(error.to_string());
        let doc = Automerge::load(blob)
            .map_err(broken)?
            .with_actor(ActorId::from(actor.0));
        let missing = doc.get_missing_deps(&[]).len();
        if missing > 0 {
            return Err(LoadError::Incomplete(missing));
        }
        let entries = doc.get_all(ROOT, genesis::KEY).map_err(broken)?;
        let ours = matches!(entries.as_slice(), [(_, map)] if *map == genesis::entries());
        let mut document = Self::with(doc, name, actor);
        if !ours || !document.has(&genesis::HASH) {
            return Err(LoadError::Genesis);
        }
        document.take_in_changes()?;
        // A hundred compressed bytes can stand for a hundred thousand.
        document.content = document.doc.save_nocompress().len();
        document.take_in_entries().map_err(broken)?;
        Ok(document)
    }

    fn take_in_changes(&mut self) -> Result<(), LoadError> {
        let changes: Vec<_> = self
            .doc
            .get_changes_meta(&[])
            .into_iter()
            .map(automerge::ChangeMetadata::into_owned)
            .collect();
        for change in changes {
            let actor = Actor(
                change
                    .actor
                    .to_bytes()
                    .try_into()
                    .map_err(|_| LoadError::Foreign)?,
            );
            if actor != genesis::ACTOR {
                let id = ChangeId {
                    actor,
                    seq: change.seq,
                };
                let message = change.message.as_deref().unwrap_or_default();
                let hash = ChangeHash(change.hash.0);
                self.record(
                    (id, hash),
                    change.start_op,
                    change.max_op,
                    change.timestamp,
                    message,
                    0,
                );
            } else if change.hash.0 != genesis::HASH.0 {
                return Err(LoadError::Foreign);
            }
        }
        Ok(())
    }

    fn take_in_entries(&mut self) -> Result<(), AutomergeError> {
        let scan = scan::scan(&self.doc)?;
        self.has_unknown_keys = scan.has_unknown_keys;
        for entry in scan.entries {
            entry
                .maps
                .into_iter()
                .for_each(|map| self.index.add_map(map, entry.id));
            self.index.set(entry.id, entry.slot);
        }
        Ok(())
    }

    /// Notes a change that the document now has, and that takes `size` bytes.
    pub(super) fn record(
        &mut self,
        (id, hash): (ChangeId, ChangeHash),
        start_op: u64,
        max_op: u64,
        seconds: i64,
        message: &str,
        size: usize,
    ) {
        let tip = Tip::of(id, hash);
        let share = Sums::of(self.id, tip);
        let last = self.last.insert(id.actor, (hash, share));
        let last = last.map_or_else(Sums::default, |(_, share)| share);
        self.sums.advance(last, share);
        self.vector.insert(tip);
        let author = message::author(message);
        let takes_back = message::act(message) != Act::Edit;
        self.authorship
            .insert(id.actor, start_op, seconds, (author, takes_back));
        self.content = self.content.saturating_add(size);
        self.operations += (max_op + 1).saturating_sub(start_op);
        self.max_op = self.max_op.max(max_op);
        self.modified_at = self.modified_at.max(seconds.saturating_mul(1000));
    }

    /// A change with so many operations has written between what was there.
    pub(super) fn cut(&mut self, operations: u64) {
        self.slack.cut(operations, self.content);
        self.slack.trim(&mut self.doc, self.content);
    }

    /// Reads entries anew after a change, and says how they were and are.
    pub(super) fn refresh(
        &mut self,
        ids: impl IntoIterator<Item = EntryId>,
    ) -> Result<Vec<Touched>, AutomergeError> {
        let mut touched = Vec::new();
        for id in ids {
            let Some(union) = Union::read(&self.doc, id)? else {
                continue;
            };
            touched.push(self.take_in(id, &union));
        }
        Ok(touched)
    }

    /// Notes how an entry is now, and says how it was.
    pub(super) fn take_in(&mut self, id: EntryId, union: &Union) -> Touched {
        let before = self.index.is_alive(id);
        self.index.set(id, union.slot());
        self.has_unknown_keys |= union.has_unknown_keys();
        let entry = union.entry(id, &self.authorship);
        debug_assert_eq!(entry, self.entry(id), "an entry is as the document has it");
        Touched { id, before, entry }
    }

    /// Whether it has that change.
    pub fn has(&self, hash: &ChangeHash) -> bool {
        // Nothing ever waits in Automerge's own queue, so that what is not missing is applied.
        let missing = || self.doc.get_missing_deps(&[automerge::ChangeHash(hash.0)]);
        self.deferred.has(hash) || missing().is_empty()
    }

    /// An actor's last change.
    pub(super) fn last_change(&self, actor: Actor) -> Option<ChangeHash> {
        self.last.get(&actor).map(|(hash, _)| *hash)
    }

    /// The changes that it has. The first change of every list is not among them.
    pub fn vector(&self) -> &VersionVector {
        &self.vector
    }

    /// Says which changes stay where there are several with one number: the document has none of the
    /// others.
    pub fn leave_out(&mut self, rulings: impl IntoIterator<Item = Ruling>) {
        for ruling in rulings {
            if self.rulings.insert(ruling) {
                self.sums.leave_out(self.id, ruling);
            }
        }
        let goes = |ruling: &Ruling| ruling.goes.filter(|hash| self.is_against(ruling.id, *hash));
        let goes: Vec<ChangeHash> = self.rulings.iter().filter_map(goes).collect();
        self.aside.extend(goes);
    }

    /// Which changes stay where there are several with one number.
    pub fn left_out(&self) -> &BTreeSet<Ruling> {
        &self.rulings
    }

    /// Whether the list is without that change for its own sake. What an owner says comes first.
    fn is_against(&self, id: ChangeId, hash: ChangeHash) -> bool {
        let mut of_it = self.rulings.range(Ruling::first(id)..);
        of_it
            .next()
            .is_some_and(|ruling| ruling.is_against(id, hash))
    }

    /// Whether it is shown by that change that there are several with its number: whoever says that such
    /// a fork is settled has to show the change, whoever has made it.
    pub fn is_evidence(&self, id: ChangeId, hash: ChangeHash) -> bool {
        let of_it = self.rulings.range(Ruling::first(id)..);
        of_it
            .take_while(|ruling| ruling.id == id)
            .any(|ruling| ruling.stays == hash && ruling.basis == Basis::Hashes)
    }

    /// Whether changes came that the list is without, or that depend on such.
    pub(super) fn has_aside(&self) -> bool {
        !self.aside.is_empty()
    }

    /// Whether the list is without a change, or without what that depends on.
    pub(super) fn is_left_out(&self, change: &CheckedChange) -> bool {
        let (id, hash) = (change.id(), change.hash());
        self.is_against(id, hash)
            || self.aside.contains(&hash)
            || change.deps().iter().any(|dep| self.aside.contains(dep))
    }

    /// Remembers changes that depend on some that are left out: what depends on them does not wait for
    /// them.
    pub fn leave_aside(&mut self, hashes: impl IntoIterator<Item = ChangeHash>) {
        let room = MAX_ASIDE.saturating_sub(self.aside.len());
        self.aside.extend(hashes.into_iter().take(room));
    }

    /// [`VersionVector::sums`] of its vector, and of what is left out.
    pub fn sums(&self) -> Sums {
        self.sums
    }

    /// Those of the actors' last changes on which no other one depends: who has these has all.
    pub fn tips(&self) -> VersionVector {
        let heads: BTreeSet<Mark> = self.heads().into_iter().map(Mark::from).collect();
        let is_head = |tip: &Tip| tip.mark.is_some_and(|mark| heads.contains(&mark));
        self.vector.iter().filter(is_head).collect()
    }

    /// The number of live entries.
    pub fn total(&self) -> u64 {
        self.index.total()
    }

    /// The number of live entries that are still to do.
    pub fn open(&self) -> u64 {
        self.index.open()
    }

    /// Milliseconds since the epoch, of the newest change by its writer's clock; 0 without changes.
    pub fn modified_at(&self) -> i64 {
        self.modified_at
    }

    /// Whether its entries have, or had, something at a key that this program does not know. A
    /// newer program shows more of the list: it has to read the entries anew.
    pub fn has_unknown_keys(&self) -> bool {
        self.has_unknown_keys
    }

    /// A live entry.
    pub fn entry(&self, id: EntryId) -> Option<Entry> {
        let deferred = self.deferred.entry(id);
        let union = match deferred {
            Some(union) => union,
            None => Union::read(&self.doc, id).ok()??,
        };
        union.entry(id, &self.authorship)
    }

    /// What is known of an id.
    pub fn standing(&self, id: EntryId) -> Standing {
        match self.index.slot(id) {
            Some(Slot::Alive { .. }) => Standing::Alive,
            Some(Slot::Dead) => Standing::Dead,
            None => Standing::Unknown,
        }
    }

    /// All live entries in order.
    pub fn entries(&self) -> Vec<Entry> {
        self.index
            .in_order()
            .filter_map(|id| self.entry(id))
            .collect()
    }

    /// All live entries as they were in a document that has that change and what it depends on, and
    /// no more; `None` if it is not here. Costs as much as loading the document.
    pub fn entries_at(&self, change: ChangeHash) -> Option<Vec<Entry>> {
        let changes = past::history(&self.whole(), change)?;
        let then = Self::load(self.name.clone(), self.actor, None, &changes).ok()?;
        Some(then.entries())
    }

    /// The document in compact form.
    pub fn save(&self) -> Vec<u8> {
        self.whole().save()
    }

    /// About how many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        let operations = usize::try_from(self.operations).unwrap_or(usize::MAX);
        let parts = [
            (operations, OPERATION_BYTES),
            (self.authorship.len(), CHANGE_BYTES),
            (self.index.len(), ENTRY_BYTES),
            (
                self.authorship.len() / CHANGES_PER_CLOCK,
                self.vector.len() * CLOCK_BYTES,
            ),
            (self.content, 1),
            (self.deferred.memory(), 1),
            (self.slack.bytes(self.content), 1),
        ];
        parts.iter().fold(BASE_BYTES, |sum, (count, bytes)| {
            sum.saturating_add(count.saturating_mul(*bytes))
        })
    }

    /// How many operations it has: what applying a change from elsewhere costs grows with it.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Changes the actor that later edits are written by. It must never have written before.
    pub fn set_actor(&mut self, actor: Actor) {
        self.actor = actor;
        self.doc.set_actor(ActorId::from(actor.0));
    }

    /// Its name.
    pub fn name(&self) -> &ListName {
        &self.name
    }

    /// Its id, derived from its name.
    pub fn id(&self) -> ListId {
        self.id
    }
}
