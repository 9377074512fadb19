//! Which changes of a list stay, and which of them are this node's own.
//!
//! A node says of a change that it is its own only if its disk says that it has made it
//! ([`Row::Made`](crate::lists::Row::Made)), and never because it has it. Salts are drawn anew at each
//! start, so what a node has made by an actor it has made once, whatever copy of its disk it starts
//! from: the words of a node whose disk was restored from a backup contradict none that it said before.
//! Of what it has made since the backup, and hears of from others, such a node says nothing.

use super::super::merged;
use super::{Source, SourceError};
use crate::lists::own::Own;
use bytes::Bytes;
use crdt::list::{self, Basis, Joined, LeftOut, RawChange, Settled};
use crdt::vector::{Tip, VersionVector};
use names::{Actor, ChangeHash, ChangeId, ListId, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// How often it is looked again for what stays, because two changes with one number came to light.
const MAX_LOOKS: usize = 64;

/// A stored change, with what it depends on.
struct Stored {
    deps: Vec<ChangeHash>,
    raw: RawChange,
}

/// All changes of a list that are stored, each after those that it depends on.
pub(super) struct Changes {
    here: Vec<Stored>,
    aside: Vec<Stored>,
}

impl Changes {
    pub(super) fn read(list: ListId, source: &dyn Source) -> Result<Self, SourceError> {
        let ranges = source.vector(list)?.missing_in(&VersionVector::default());
        let here = merged(list, &ranges, usize::MAX, source)?.0;
        let aside = list::in_order(source.changes_aside(list)?, |bytes| bytes);
        Ok(Self {
            here: here.iter().filter_map(stored).collect(),
            aside: aside.iter().filter_map(stored).collect(),
        })
    }

    /// Those of the document.
    pub(super) fn here(&self) -> impl Iterator<Item = &RawChange> {
        self.here.iter().map(|one| &one.raw)
    }

    /// Those of the document as if that one had come and not the one that has its number.
    pub(super) fn with(&self, other: &RawChange) -> Vec<Bytes> {
        let here = self.here().filter(|raw| raw.id != other.id);
        let all = here.chain([other]).map(|raw| raw.bytes.clone());
        list::in_order(all, |bytes| bytes)
    }

    /// All of them, of those with equal first operations the ones first that are here.
    fn in_order(&self) -> Vec<(&Stored, bool)> {
        let here = self.here.iter().map(|one| (one, false));
        let aside = self.aside.iter().map(|one| (one, true));
        list::in_order(here.chain(aside), |(one, _)| &one.raw.bytes)
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
pub(super) struct Split {
    pub(super) stay: Vec<Bytes>,
    pub(super) moved: Vec<RawChange>,
    pub(super) returned: Vec<RawChange>,
    /// All that are aside then.
    pub(super) aside: Vec<ChangeHash>,
}

/// Finds what stays.
pub(super) struct Judging<'a> {
    list: ListId,
    own: &'a Own,
    changes: &'a Changes,
    /// How many of the changes of its actors this node has made.
    made: BTreeMap<Actor, u64>,
    /// Changes of others that were heard of because their numbers are taken.
    rivals: BTreeMap<ChangeHash, RawChange>,
    pub(super) settled: Settled,
    pub(super) found: Vec<LeftOut>,
    pub(super) contradicted: BTreeSet<NodeId>,
    pub(super) challenged: Vec<(Tip, ChangeHash)>,
}

impl<'a> Judging<'a> {
    pub(super) fn new(
        (list, own): (ListId, &'a Own),
        changes: &'a Changes,
        settled: Settled,
        made: BTreeMap<Actor, u64>,
    ) -> Self {
        Self {
            list,
            own,
            changes,
            made,
            rivals: BTreeMap::new(),
            settled,
            found: Vec::new(),
            contradicted: BTreeSet::new(),
            challenged: Vec::new(),
        }
    }

    /// Takes in what came: changes whose numbers others have, and what others have settled.
    pub(super) fn hear(&mut self, challengers: &[RawChange], told: Vec<LeftOut>) {
        let here = self.changes.here().map(|raw| (raw.id, raw));
        let here: BTreeMap<ChangeId, &RawChange> = here.collect();
        let evidence: Vec<RawChange> = told.iter().filter_map(|one| one.stays().cloned()).collect();
        let gone = told.iter().filter_map(LeftOut::goes);
        let rivals = gone.chain(challengers.iter().chain(&evidence).cloned());
        self.rivals = rivals.map(|raw| (raw.hash, raw)).collect();
        for one in told {
            self.join(one);
        }
        for theirs in challengers {
            let ours = here.get(&theirs.id).filter(|ours| ours.hash != theirs.hash);
            let ours = ours.map(|ours| (Tip::of(ours.id, ours.hash), theirs.hash));
            self.challenged.extend(ours);
        }
        for theirs in challengers.iter().chain(&evidence) {
            let ours = here.get(&theirs.id);
            if let Some(found) = ours.and_then(|ours| LeftOut::of_two(ours, theirs)) {
                self.find(found);
            }
        }
    }

    fn join(&mut self, one: LeftOut) -> bool {
        let owner = self.own.owner(self.list, one.ruling().id.actor);
        match self.settled.join(one, owner) {
            Joined::Known => false,
            Joined::New => true,
            Joined::Contradicts(node) => {
                self.contradicted.insert(node);
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

    /// The change of that number that this node has made, if it has made one and still has it.
    fn made_at(&self, id: ChangeId) -> Option<ChangeHash> {
        self.own.salt(self.list, id.actor)?;
        let made = self.made.get(&id.actor).copied().unwrap_or_default();
        if id.seq > made {
            return None;
        }
        // What is aside was here before the one that is here.
        let stored = self.changes.aside.iter().chain(&self.changes.here);
        let mut ours = stored.filter(|one| one.raw.id == id);
        ours.next().map(|one| one.raw.hash)
    }

    /// Whether this node has made that change, or may have: its disk may have been restored since. By
    /// the actors of this run it has made nothing that its disk does not say, and in the place of what
    /// it has said to be its own nothing else.
    pub(super) fn is_own(&self, raw: &RawChange) -> bool {
        match self.made_at(raw.id) {
            Some(hash) => hash == raw.hash,
            None => {
                let settled = self.settled.get(raw.id);
                let is_denied = settled.is_some_and(|settled| {
                    settled.basis == Basis::Owner(self.own.me) && settled.stays != raw.hash
                });
                let is_of_own_actor = self.own.salt(self.list, raw.id.actor).is_some();
                is_of_own_actor && !is_denied && !self.own.has_drawn(raw.id.actor)
            }
        }
    }

    /// What this node may have made before its disk was restored, and is not to have back: all it has of
    /// that is the evidence, as another change came first. Of what was settled before nothing is said.
    pub(super) fn lost_unseen(&self, before: &Settled) -> Vec<RawChange> {
        let stored = self.changes.here.iter().chain(&self.changes.aside);
        let stored: BTreeSet<ChangeHash> = stored.map(|one| one.raw.hash).collect();
        let is_lost = |raw: &&RawChange| {
            before.get(raw.id).is_none()
                && !stored.contains(&raw.hash)
                && self.settled.is_against(raw.id, raw.hash)
                && self.is_own(raw)
        };
        self.rivals.values().filter(is_lost).cloned().collect()
    }

    /// Says of the changes that this node has made that they are its own, wherever others have been
    /// found in their places.
    fn speak(&mut self) {
        let rulings = self.settled.iter().map(LeftOut::ruling);
        let forks = rulings.filter(|ruling| ruling.goes.is_some());
        let forks: Vec<ChangeId> = forks.map(|ruling| ruling.id).collect();
        forks.into_iter().for_each(|id| self.speak_of(id));
    }

    fn speak_of(&mut self, id: ChangeId) {
        let settled = self.settled.get(id);
        if settled.is_some_and(|settled| settled.goes.is_none()) {
            return;
        }
        let hash = self.made_at(id);
        if let Some(word) = hash.and_then(|hash| self.own.word(self.list, id, hash)) {
            self.find(word);
        }
    }

    pub(super) fn split(&mut self) -> Split {
        for _ in 0..MAX_LOOKS {
            self.speak();
            match self.try_to_split() {
                Ok(split) => {
                    // Their numbers are free here: nobody shall take what others write there.
                    let own = split.moved.iter().map(|raw| raw.id);
                    own.for_each(|id| self.speak_of(id));
                    return split;
                }
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
