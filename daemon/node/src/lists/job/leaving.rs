//! Finding what a list is to be without, and making it from the changes that stay.

use super::{JobError, ListRow, Source, SourceError, merged};
use crate::lists::own::Own;
use bytes::Bytes;
use crdt::entry::Entry;
use crdt::list::{self, Anew, Document, Joined, LeftOut, RawChange, Ruling, Settled};
use crdt::vector::VersionVector;
use names::{Actor, ChangeHash, ChangeId, EntryId, ListId, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How often it is looked again for what stays, because two changes with one number came to light.
const MAX_LOOKS: usize = 64;

/// A list without what is left out of it, all rows of its view among it.
#[derive(Debug)]
pub struct Without {
    /// The document of the changes that stay, and of those that were written anew.
    pub document: Box<Document>,
    /// The list's row.
    pub row: ListRow,
    /// All live entries, in order.
    pub entries: Vec<Arc<Entry>>,
    /// The live entries that there were before.
    pub before: BTreeSet<EntryId>,
    /// All that is settled.
    pub settled: Vec<LeftOut>,
    /// What of that this node has found or said itself.
    pub found: Vec<LeftOut>,
    /// The changes that were in the document and are not any more.
    pub moved: Vec<RawChange>,
    /// The changes that were aside and are in the document now.
    pub returned: Vec<RawChange>,
    /// What this node has written anew of its own among those that moved.
    pub anew: Vec<Anew>,
    /// Those that moved and are this node's own.
    pub own: BTreeSet<ChangeHash>,
    /// Whether the document's actor is the next one.
    pub is_next_actor: bool,
    /// Nodes that have said of two changes with one number that they are their own.
    pub liars: BTreeSet<NodeId>,
}

/// What is settled of a list, to be told to its document.
pub(super) fn rulings(list: ListId, source: &dyn Source) -> Result<Vec<Ruling>, SourceError> {
    let records = source.left_out(list)?;
    // One that cannot be read is told again by those who can.
    let read = records.iter().filter_map(|bytes| Ruling::of_checked(bytes));
    Ok(read.collect())
}

pub(super) fn leave_out(
    list: ListId,
    actors: (Actor, Actor),
    own: &Own,
    (challengers, told): (&[RawChange], Vec<LeftOut>),
    source: &dyn Source,
) -> Result<Option<Box<Without>>, JobError> {
    let name = source.name(list)?.ok_or(JobError::Gap)?;
    let changes = Changes::read(list, source)?;
    let known: Settled = source
        .left_out(list)?
        .into_iter()
        .filter_map(|bytes| LeftOut::read(bytes).ok())
        .collect();
    let mut judging = Judging {
        list,
        own,
        changes: &changes,
        settled: known.clone(),
        found: Vec::new(),
        liars: BTreeSet::new(),
    };
    judging.hear(challengers, told);
    let split = judging.split();
    let Judging {
        settled,
        found,
        liars,
        ..
    } = judging;
    if settled == known && split.moved.is_empty() && split.returned.is_empty() {
        return Ok(None);
    }
    let own_moved = split.moved.iter().filter(|raw| {
        let salt = own.salt(list, raw.id.actor);
        salt.is_some()
    });
    let own_moved: BTreeSet<ChangeHash> = own_moved.map(|raw| raw.hash).collect();
    // Others write by this actor, too, or its last changes are not there any more.
    let is_new = |one: &LeftOut| known.get(one.ruling().id).is_none();
    let mut new = settled.iter().filter(|one| is_new(one));
    let is_next_actor = new.any(|one| one.ruling().id.actor == actors.0)
        || split.moved.iter().any(|raw| raw.id.actor == actors.0);
    let actor = if is_next_actor { actors.1 } else { actors.0 };
    let all: Vec<Bytes> = changes
        .here
        .iter()
        .map(|one| one.raw.bytes.clone())
        .collect();
    // It may be what is to leave that keeps the document from loading.
    let before = Document::load(name.clone(), actor, None, &all);
    let before = before
        .map(|document| document.entries())
        .unwrap_or_default();
    let mut document = Document::load(name.clone(), actor, None, &split.stay)?;
    let mut anew = Vec::new();
    if !own_moved.is_empty() {
        match document.write_anew(&all, &own_moved) {
            Ok(written) => anew = written,
            Err(error) => {
                tracing::error!(%list, %error, "what has left a list cannot be written anew");
                document = Document::load(name, actor, None, &split.stay)?;
            }
        }
    }
    document.leave_out(settled.iter().map(LeftOut::ruling));
    document.leave_aside(split.aside);
    Ok(Some(Box::new(Without {
        row: ListRow::of(&document),
        entries: document.entries().into_iter().map(Arc::new).collect(),
        before: before.iter().map(|entry| entry.id).collect(),
        document: Box::new(document),
        settled: settled.iter().cloned().collect(),
        found,
        moved: split.moved,
        returned: split.returned,
        anew,
        own: own_moved,
        is_next_actor,
        liars,
    })))
}

/// A stored change, with what it depends on.
struct Stored {
    deps: Vec<ChangeHash>,
    raw: RawChange,
}

/// All changes of a list that are stored, each after those that it depends on.
struct Changes {
    here: Vec<Stored>,
    aside: Vec<Stored>,
}

impl Changes {
    fn read(list: ListId, source: &dyn Source) -> Result<Self, SourceError> {
        let ranges = source.vector(list)?.missing_in(&VersionVector::default());
        let here = merged(list, &ranges, usize::MAX, source)?.0;
        let mut aside = source.changes_aside(list)?;
        aside.sort_by_cached_key(|bytes| list::start_op(bytes));
        Ok(Self {
            here: here.iter().filter_map(stored).collect(),
            aside: aside.iter().filter_map(stored).collect(),
        })
    }

    /// All of them, of those with equal first operations the ones first that are here.
    fn in_order(&self) -> Vec<(&Stored, bool)> {
        let here = self.here.iter().map(|one| (one, false));
        let aside = self.aside.iter().map(|one| (one, true));
        let mut all: Vec<_> = here.chain(aside).collect();
        all.sort_by_cached_key(|(one, is_aside)| (list::start_op(&one.raw.bytes), *is_aside));
        all
    }
}

fn stored(bytes: &Bytes) -> Option<Stored> {
    let list::Head { deps, id } = list::head_of(bytes)?;
    let (hash, bytes) = (list::hash_of(bytes), bytes.clone());
    let raw = RawChange { id, hash, bytes };
    Some(Stored { deps, raw })
}

/// What becomes of the changes.
#[derive(Default)]
struct Split {
    stay: Vec<Bytes>,
    moved: Vec<RawChange>,
    returned: Vec<RawChange>,
    /// All that are aside then.
    aside: Vec<ChangeHash>,
}

/// Finds what stays.
struct Judging<'a> {
    list: ListId,
    own: &'a Own,
    changes: &'a Changes,
    settled: Settled,
    found: Vec<LeftOut>,
    liars: BTreeSet<NodeId>,
}

impl Judging<'_> {
    /// Takes in what came: changes whose numbers others have, and what others have settled.
    fn hear(&mut self, challengers: &[RawChange], told: Vec<LeftOut>) {
        let here = self.changes.here.iter().map(|one| (one.raw.id, &one.raw));
        let here: BTreeMap<ChangeId, &RawChange> = here.collect();
        let evidence: Vec<RawChange> = told.iter().filter_map(|one| one.stays().cloned()).collect();
        for one in told {
            self.join(one);
        }
        for theirs in challengers.iter().chain(&evidence) {
            let ours = here.get(&theirs.id);
            if let Some(found) = ours.and_then(|ours| LeftOut::of_two(ours, theirs)) {
                self.find(found);
            }
        }
    }

    fn join(&mut self, one: LeftOut) -> bool {
        match self.settled.join(one) {
            Joined::Known => false,
            Joined::New => true,
            Joined::Contradicts(node) => {
                self.liars.insert(node);
                true
            }
        }
    }

    /// Settles something that nobody has told.
    fn find(&mut self, one: LeftOut) {
        if self.join(one.clone()) {
            self.found.push(one);
        }
    }

    /// Says of this node's changes that they are its own, wherever others have been found in their
    /// places.
    fn speak(&mut self) {
        let rulings = self.settled.iter().map(LeftOut::ruling);
        let silent: Vec<ChangeId> = rulings
            .filter(|ruling| ruling.goes.is_some())
            .map(|ruling| ruling.id)
            .filter(|id| self.own.salt(self.list, id.actor).is_some())
            .filter(|id| self.settled.get(*id).is_some_and(|now| now.goes.is_some()))
            .collect();
        for id in silent {
            // What is aside was here before the one that is here.
            let stored = self.changes.aside.iter().chain(&self.changes.here);
            let mut ours = stored.filter(|one| one.raw.id == id);
            let hash = ours.next().map(|one| one.raw.hash);
            if let Some(word) = hash.and_then(|hash| self.own.word(self.list, id, hash)) {
                self.find(word);
            }
        }
    }

    fn split(&mut self) -> Split {
        for _ in 0..MAX_LOOKS {
            self.speak();
            match self.try_to_split() {
                Ok(split) => return split,
                Err(found) => self.find(*found),
            }
        }
        // Nobody honest has so many: nothing moves until the rest of them is found.
        Split {
            stay: self.stored(&self.changes.here),
            aside: self.changes.aside.iter().map(|one| one.raw.hash).collect(),
            ..Split::default()
        }
    }

    fn stored(&self, all: &[Stored]) -> Vec<Bytes> {
        all.iter().map(|one| one.raw.bytes.clone()).collect()
    }

    /// Which changes stay, or two with one number of which both could.
    fn try_to_split(&self) -> Result<Split, Box<LeftOut>> {
        let (mut split, mut gone) = (Split::default(), BTreeSet::new());
        let mut there: BTreeMap<ChangeId, &RawChange> = BTreeMap::new();
        for (one, was_aside) in self.changes.in_order() {
            let raw = &one.raw;
            let is_out = self.settled.is_against(raw.id, raw.hash)
                || one.deps.iter().any(|dep| gone.contains(dep));
            if is_out {
                gone.insert(raw.hash);
                split.aside.push(raw.hash);
                if !was_aside {
                    split.moved.push(raw.clone());
                }
                continue;
            }
            if let Some(other) = there.insert(raw.id, raw)
                && let Some(found) = LeftOut::of_two(other, raw)
            {
                return Err(Box::new(found));
            }
            split.stay.push(raw.bytes.clone());
            if was_aside {
                split.returned.push(raw.clone());
            }
        }
        Ok(split)
    }
}
