//! The documents of the lists: in memory, changed by clients and peers, written to the disk, read
//! from it, and made anew.
//!
//! [`Documents`] is a machine within the lists machine. It knows nothing of replication: peers are
//! to it those who sent changes, or for whom changes are read.
//!
//! | part | keeps |
//! | --- | --- |
//! | `resident` | documents in memory, and which ones are quarantined |
//! | `jobs` | work on blocking threads |
//! | `edits`, `looking` | requests of clients that wait for a document |
//! | `incoming`, `applying` | changes of peers that wait for their document, or for other changes |
//! | `line` | lists for which only such changes wait, until there is memory for their documents |
//! | `commits` | writes on their way, and the answers that are due when they return |
//! | `digest` | a sum over each list, of what is on the disk |
//! | `rebuilds` | lists whose rows are made anew from their changes |
//! | `releases` | lists in quarantine whose documents are tried again |
//! | `leaving` | lists from which changes are to be left out |
//! | `owners` | whose an actor is |
//!
//! It takes requests of clients, what the disk and the jobs answer, and from replication changes of
//! peers ([`receive`](Documents::receive)) and questions for what is on the disk
//! ([`vector`](Documents::vector), [`read_vector`](Documents::read_vector),
//! [`read_changes`](Documents::read_changes)).
//!
//! It gives writes, jobs, and replies that wait for no commit to the edge, and an [`Event`] for
//! everything that concerns replication, commits above all. The digest, and whether a list is known
//! or quarantined, can be seen at any time.
//!
//! What waits for a list's document is done by [`run_waiting`](Documents::run_waiting) (in
//! `waiting`). The router calls it after changes were received, a write returned, or a job was
//! done, when it has handed on the events of that step: so a change is pushed before the next one
//! is written.

mod commits;
mod edits;
mod heap;
mod incoming;
mod jobs;
mod leaving;
mod line;
mod owners;
mod quarantine;
mod rebuild;
mod requests;
mod resident;
mod restoring;
mod waiting;
mod worked;
mod written;

use super::edge::Edge;
use super::event::{Event, NamedVector, Newness, Received};
use super::io::{Refusal, Settings, Stats};
use super::job::{Job, Look};
use crate::wire::{Protocol, RequestId, WriteError};
use bytes::Bytes;
use commits::Commits;
use crdt::digest::Digest;
use crdt::list::LeftOut;
use crdt::vector::{Range, Sums};
use edits::Edits;
use incoming::{Incoming, Reception};
use jobs::Jobs;
use leaving::Leaving;
use line::Line;
use names::{Actor, ChangeId, ListId, ListName, NodeId, Shard};
pub(super) use owners::Unproved;
use owners::{Learned, Owners};
use quarantine::Releases;
use rand_chacha::ChaCha8Rng;
use rebuild::Rebuilds;
use resident::{Place, Resident};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use waiting::Applying;

/// The documents of some shards' lists.
#[derive(Debug)]
pub(super) struct Documents {
    shards: (Shard, Shard),
    owners: Owners,
    /// What is committed, of every list that is not quarantined.
    digest: Digest,
    /// The same for peers that compare numbers only, if there may be any.
    numbers: Option<Digest>,
    resident: Resident,
    jobs: Jobs,
    edits: Edits,
    /// Requests for lists as they were, that jobs answer.
    looking: BTreeMap<RequestId, Look>,
    incoming: Incoming,
    line: Line,
    /// Batches that jobs apply.
    applying: BTreeMap<ListId, Applying>,
    commits: Commits,
    rebuilds: Rebuilds,
    releases: Releases,
    leaving: BTreeMap<ListId, Leaving>,
    /// How often this node has taken another actor of its salt for a list.
    renewed: BTreeMap<ListId, u8>,
    /// What happened in this step, for replication.
    events: VecDeque<Event>,
}

impl Documents {
    /// Nothing is in memory yet. `rng` is for the ids of new entries.
    pub(super) fn new(settings: Settings, rng: ChaCha8Rng) -> Self {
        let mut documents = Self {
            shards: settings.shards,
            owners: Owners::new(&settings),
            digest: Digest::default(),
            numbers: settings.compares_numbers.then(Digest::default),
            resident: Resident::new(settings.resident_bytes, settings.quarantined),
            jobs: Jobs::default(),
            edits: Edits::new(rng),
            looking: BTreeMap::new(),
            incoming: Incoming::default(),
            line: Line::default(),
            applying: BTreeMap::new(),
            commits: Commits::default(),
            rebuilds: Rebuilds::new(settings.remake),
            releases: Releases::default(),
            leaving: BTreeMap::new(),
            renewed: BTreeMap::new(),
            events: VecDeque::new(),
        };
        documents.read_digest(settings.known);
        documents.keep_own_salt();
        documents
    }

    /// What happened, in order. To be called until there is nothing more, after each step.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What is committed, of every list that is not quarantined.
    pub(super) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The same as it is compared in that version of the protocol.
    pub(super) fn digest_in(&self, protocol: Protocol) -> &Digest {
        match &self.numbers {
            Some(numbers) if protocol < Protocol::PROVED => numbers,
            Some(_) | None => &self.digest,
        }
    }

    /// Notes what is committed of a list.
    fn note_sums(&mut self, list: ListId, sums: Sums) {
        self.digest.set(list, sums.content);
        if let Some(numbers) = &mut self.numbers {
            numbers.set(list, sums.numbers);
        }
    }

    /// Takes a list out of what is compared with peers.
    fn forget_sums(&mut self, list: ListId) {
        self.digest.remove(list);
        if let Some(numbers) = &mut self.numbers {
            numbers.remove(list);
        }
    }

    pub(super) fn quarantined(&self) -> &BTreeSet<ListId> {
        self.resident.quarantined()
    }

    pub(super) fn is_quarantined(&self, list: ListId) -> bool {
        self.resident.place(list) == Place::Quarantined
    }

    /// Whether there is anything of that list, on disk or on its way there.
    pub(super) fn is_known(&self, list: ListId) -> bool {
        self.digest.get(list).is_some()
            || self.commits.any(list)
            || self.incoming.waited_for(list).is_some()
            || self.resident.place(list) != Place::Absent
    }

    /// How new a list is, as far as this node knows: by when it was used last.
    pub(super) fn newness(&self, list: ListId) -> Newness {
        if !self.is_known(list) {
            return Newness::UNKNOWN;
        }
        self.resident.used(list).map_or(Newness::OLD, Newness)
    }

    /// Why the disk takes no writes now. What it has is not known for sure then.
    pub(super) fn failure(&self) -> Option<WriteError> {
        self.commits.failed()
    }

    /// How far a list is on the disk, if memory and disk agree, or there is no such list. `None` if
    /// that has to be read.
    pub(super) fn vector(&self, list: ListId) -> Option<NamedVector> {
        let document = self.resident.get(list).filter(|_| !self.commits.any(list));
        match document {
            // What it is without is on the disk only.
            Some(document) if !document.left_out().is_empty() => None,
            Some(document) => Some(NamedVector {
                name: Some(document.name().clone()),
                vector: document.vector().clone(),
                earlier: BTreeMap::new(),
                left_out: Vec::new(),
            }),
            None => (!self.is_known(list)).then(NamedVector::default),
        }
    }

    /// Reads how far a list is on the disk, and which changes these are there:
    /// [`Event::VectorRead`] follows, unless the disk fails. To be asked for once at a time.
    pub(super) fn read_vector(&mut self, edge: &mut Edge, list: ListId, earlier: Vec<ChangeId>) {
        self.jobs.push(edge, list, Job::Vector { earlier });
    }

    /// Reads changes of a list for a peer, about `most_bytes` of them: [`Event::ChangesRead`]
    /// follows, unless the disk fails. To be asked for once at a time for each peer.
    pub(super) fn read_changes(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        ranges: Vec<Range>,
        most_bytes: usize,
        to: NodeId,
    ) {
        let job = Job::Changes {
            ranges,
            most_bytes,
            to,
        };
        self.jobs.push(edge, list, job);
    }

    /// Accepts changes of a list that a peer sent. They wait until
    /// [`run_waiting`](Self::run_waiting) is called for the list.
    pub(super) fn receive(
        &mut self,
        edge: &mut Edge,
        peer: NodeId,
        (list, name): (ListId, &ListName),
        changes: Vec<Bytes>,
    ) -> Received {
        let mut received = Received::default();
        if self.is_quarantined(list) {
            edge.stats.changes_refused += u64::try_from(changes.len()).unwrap_or(0);
            return received;
        }
        for change in changes {
            let document = self.resident.get(list);
            match self
                .incoming
                .receive(edge, (list, name), change, peer, document)
            {
                Reception::Waits(tip) => received.accepted.insert(tip),
                Reception::Known(tip) => {
                    received.some_known = true;
                    received.accepted.insert(tip);
                }
                Reception::Dropped => {}
            }
        }
        received
    }

    /// Accepts changes of a list that were found behind damage of the disk, as if this node were a peer of
    /// itself. Gives the list if it is one of this machine's.
    pub(super) fn salvaged(
        &mut self,
        edge: &mut Edge,
        name: &ListName,
        changes: Vec<Bytes>,
    ) -> Option<ListId> {
        let (list, me) = (ListId::of(name), self.owners.own().me);
        let is_ours = crate::lists::owns(self.shards, list);
        is_ours.then(|| {
            self.receive(edge, me, (list, name), changes);
            list
        })
    }

    /// The node whose actor it is in that list, if that is known.
    pub(super) fn owner(&self, list: ListId, actor: Actor) -> Option<NodeId> {
        self.owners.own().owner(list, actor)
    }

    /// Whether it is one of this node's own actors.
    pub(super) fn is_own(&self, list: ListId, actor: Actor) -> bool {
        self.owners.own().salt(list, actor).is_some()
    }

    /// The salt that an actor was derived from, as its owner has signed it.
    pub(super) fn salt(&self, list: ListId, actor: Actor) -> Option<Bytes> {
        let salt = self.owners.own().known_salt(list, actor)?;
        Some(salt.relayed().bytes().clone())
    }

    /// The salt by which this node writes, as it has signed it.
    pub(super) fn own_salt(&self) -> Option<Bytes> {
        let salt = self.owners.current()?;
        Some(salt.relayed().bytes().clone())
    }

    /// Somebody tells of a salt.
    /// Gives the lists for which changes wait that may be taken now. Who tells may do so of a new salt
    /// of a node only if `may_tell` says so.
    pub(super) fn learn_salt(
        &mut self,
        edge: &mut Edge,
        bytes: Bytes,
        may_tell: &mut dyn FnMut(NodeId) -> bool,
    ) -> Result<Vec<ListId>, Unproved> {
        let Learned::New(salt) = self.owners.learn(bytes, may_tell)? else {
            return Ok(Vec::new());
        };
        let lists = self.incoming.waiting_for_salt(salt.hint());
        self.commits.keep(edge, *salt);
        lists
            .iter()
            .for_each(|list| self.incoming.retry_orphans(*list));
        Ok(lists)
    }

    /// Whether what is told of a fork in that list is proved, if it needs a proof.
    pub(super) fn is_proved(&self, list: ListId, one: &LeftOut) -> bool {
        self.owners.is_proved(list, one)
    }

    /// Those who sent changes that still lack others, which they have, too.
    pub(super) fn senders_of_orphans(&self, list: ListId) -> BTreeSet<NodeId> {
        self.incoming.senders_of_orphans(list)
    }

    /// Drops the changes of a list that have lacked others for too long.
    pub(super) fn drop_orphans(&mut self, edge: &mut Edge, list: ListId) {
        let mut unsigned = BTreeMap::new();
        for (change, from) in self.incoming.drop_orphans(list) {
            edge.stats.dropped += 1;
            if !self.owners.vouch(list, change.id()) {
                edge.stats.changes_unsigned += 1;
                *unsigned.entry(from).or_insert(0_u64) += 1;
            }
        }
        for (peer, changes) in unsigned {
            tracing::warn!(%peer, %list, changes,
                "a peer sent changes by authors for whom no node has signed: they were not taken");
        }
    }

    /// Answers a request whose deadline has passed. False if it does not wait here.
    pub(super) fn expire(&mut self, edge: &mut Edge, request: RequestId) -> bool {
        let waited = self.edits.expire(request)
            || self.looking.remove(&request).is_some()
            || self.rebuilds.expire(request)
            || self.releases.expire(request);
        if waited {
            edge.reply(request, Err(Refusal::Timeout));
        }
        waited
    }

    /// Keeps the memory within its bound. Nothing leaves that anything waits for.
    pub(super) fn evict(&mut self, edge: &mut Edge) {
        let busy = |list| {
            self.commits.any(list)
                || self.edits.waited_for(list).is_some()
                || self.incoming.waited_for(list).is_some()
        };
        while let Some((list, document, deserving)) = self.resident.evict(busy) {
            if deserving && self.jobs.has_room_for_snapshot() {
                self.jobs.push(edge, list, Job::Save { document });
            }
        }
    }

    /// Adds the numbers of the documents.
    pub(super) fn count(&self, stats: &mut Stats) {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (resident, resident_bytes) = self.resident.size();
        let (remaking, remaking_awaited) = self.rebuilds.remaking();
        stats.lists = count(self.digest.len());
        stats.resident = count(resident);
        stats.resident_bytes = count(resident_bytes);
        stats.orphans = count(self.incoming.orphans());
        stats.in_line = count(self.line.len());
        stats.quarantined = count(self.quarantined().len());
        stats.remaking = count(remaking);
        stats.remaking_awaited = count(remaking_awaited);
        stats.writes_pending = count(self.commits.len());
        stats.requests_waiting += count(
            self.edits.len()
                + self.looking.len()
                + self.commits.verdicts()
                + self.rebuilds.requests()
                + self.releases.len(),
        );
    }

    /// The actor that writes to a list.
    pub(super) fn actor(&self, list: ListId) -> Actor {
        let renewed = self.renewed.get(&list).copied().unwrap_or_default();
        self.owners.actor(list, renewed)
    }

    /// The actor that is to write to a list when others have written by the last one, or what it wrote
    /// has left the list. A salt has so many of them; then another one is drawn.
    fn next_actor(&mut self, list: ListId) -> Actor {
        let renewed = self.renewed.get(&list).copied().unwrap_or_default();
        if renewed < Actor::LAST_OF_SALT {
            return self.owners.actor(list, renewed + 1);
        }
        let salt = self.edits.draw_salt();
        self.take_salt(salt);
        self.owners.actor(list, 1)
    }

    fn take_next_actor(&mut self, list: ListId) {
        let renewed = self.renewed.entry(list).or_default();
        *renewed = renewed.saturating_add(1);
    }

    /// Derives this node's actors from another salt from now on.
    fn take_salt(&mut self, salt: [u8; 16]) {
        self.owners.renew(salt);
        self.renewed.clear();
        self.keep_own_salt();
    }

    /// The salt of now is on the disk before the first change by it.
    fn keep_own_salt(&mut self) {
        if let Some(salt) = self.owners.sign() {
            self.commits.keep_first(salt);
        }
        self.events.push_back(Event::Salted);
    }
}
