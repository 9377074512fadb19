//! The to-do lists of some shards: documents, commits, replication.
//!
//! [`Lists`] owns the parts and routes between them. A part keeps its own state and reaches the
//! outside through the `Edge`; what it needs of another part it is lent as an argument.
//!
//! | part | keeps |
//! | --- | --- |
//! | `resident`, `jobs`, `vectors` | documents in memory, work on blocking threads, what the disk has |
//! | `edits`, `incoming` | requests and peers' changes that wait for their document |
//! | `commits` | writes on their way, and who is told what when they return |
//! | `peers`, `outbox`, `chunks` | connections, and new changes for them |
//! | `rounds`, `differing`, `pulls` | finding out what differs, and repairing it |
//! | `replicas`, `watchers`, `departure` | who waits for whose confirmation |
//!
//! The router's own files follow what happens from part to part: `documents` runs what waits for a
//! document, `messages` takes what peers say, `repair` keeps the peers in agreement.
//!
//! One rule goes through all of them: a document in memory may be ahead of the disk, but nobody, no
//! client, peer or digest, is shown anything whose commit has not returned.
//!
//! # Replication
//!
//! Every member has every list. A change is pushed to all connected peers as soon as it is on this
//! node's disk; what a push did not bring, the digests find: anti-entropy by a tree of sums, the
//! idea of Dynamo (DeCandia et al. 2007, section 4.7), three levels deep and 256 wide, and then
//! version vectors. The messages are in `wire`, on channel 2; each names the shards that it
//! concerns.
//!
//! ## Who speaks first
//!
//! Either side, at any time: there is no session, and the side that answers keeps nothing. A node
//! pushes when it has committed a change of its clients. It compares all lists with a peer when a
//! connection is made, after something for that peer was dropped, and each second with one peer
//! chosen at random.
//!
//! ## Messages
//!
//! A change made at `a`:
//!
//! ```text
//! a → b   Push [{ name, changes, confirm }]    or Chunk…, if the change is larger than 256 KiB
//! b → a   Have { list, vector }                only if `confirm`: once it is on b's disk
//! ```
//!
//! A round of comparing, where one list of many differs:
//!
//! ```text
//! a → b   Root { sum }                         over all lists of the shards in the header
//! b → a   Shards [sum; n]                      its sum is another one; else Equal, and no more
//! a → b   Buckets { shard, [sum; 256] }        for each shard that differs, 8 at a time
//! b → a   Leaves { shard, buckets, leaves }    the lists of buckets that differ, with their sums
//! ```
//!
//! What differs is repaired at once after a new connection, or if the list is not here at all. Else
//! it may be a change that is still on its way, and both look again a second later:
//!
//! ```text
//! a → b   Compare { list, vector }             what a had when the sums differed
//! b → a   Compare { list, vector, answer }     and b; whoever still lacks some of it pulls
//! a → b   Pull { list, vector, most_bytes }    what is missing in this?
//! b → a   Changes { name, changes, tail }      dependencies first; Nothing if there is none
//! a → b   Pull …                               while there is more, and something new came
//! ```
//!
//! Before a node leaves, and for a client that waits for replicas, it asks whether others have it
//! all:
//!
//! ```text
//! a → b   Confirm { list, vector }
//! b → a   Have { list, vector }                when all of that is on b's disk
//! ```
//!
//! ## What may be lost
//!
//! Anything: a full queue drops messages, a connection ends with what is in flight. A lost push is
//! found by the next round; a lost question or answer of a round ends it after 2 s, and another one
//! begins; a pull without progress for 5 s is given up, and found again; `Confirm` is said each
//! second as long as somebody waits. A change that comes before those that it depends on is held
//! back, and after 250 ms its sender is asked for them. A change is taken in once, however often it
//! comes.
//!
//! ## Bounds
//!
//! 1 MiB a message, 4 MiB a change; 64 lists repaired at once, 16,384 waiting for each peer, 1 MiB
//! under way from each; 64 lists under a second look; 16 MiB or 10,000 changes held back for a
//! list, 128 MiB for all; 4,096 clients that wait for replicas. What finds no room is dropped,
//! counted, and found by a later round.

pub mod ask;
mod chunks;
mod commits;
mod departure;
mod differing;
mod documents;
mod edge;
mod edits;
#[cfg(test)]
mod golden;
mod incoming;
mod io;
mod job;
mod jobs;
mod messages;
mod outbox;
mod peers;
mod pulls;
mod rebuild;
mod repair;
mod replicas;
mod resident;
mod rounds;
mod vectors;
mod watchers;
mod wire;

pub use io::{
    Change, Command, Confirmations, Edited, Input, Lagging, ListRow, Output, Precondition, Refusal,
    Remake, Replicas, Reply, Row, Settings, Stats,
};
pub use job::{Answer, Done, Job, JobError, Loaded, Rebuilt, Source, SourceError};
pub use wire::shards_of;

use crate::cluster::RosterView;
use crate::machine::Machine;
use crate::time::{Instant, Now};
use crate::wire::{ConnId, RequestId, WriteError, WriteId};
use chunks::Assemblies;
use commits::{Commits, Origin, Pending, Verdict};
use crdt::digest::Digest;
use crdt::entry::{Author, Edit};
use departure::Departure;
use differing::Differing;
use edge::{Edge, Timer};
use edits::{Edits, Request};
use incoming::Incoming;
use jobs::Jobs;
use names::{ChangeHash, ListId, ListName, NodeId, Shard};
use outbox::Outbox;
use peers::Peers;
use pulls::Pulls;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rebuild::Rebuilds;
use replicas::Waits;
use resident::{Place, Resident};
use rounds::Rounds;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use vectors::Vectors;
use watchers::Watchers;

/// Writes on their way; more are refused as [`Refusal::Busy`].
const MAX_WRITES: usize = 16_384;
/// Requests for lists as they were that can wait: each loads a document.
const MAX_LOOKING_BACK: usize = 64;

/// The machine that holds the lists of some shards. See [`Input`] and [`Output`] for all that happens
/// at its edge.
#[derive(Debug)]
pub struct Lists {
    me: NodeId,
    shards: (Shard, Shard),
    salt: [u8; 16],
    view: Option<Arc<RosterView>>,
    edge: Edge,
    /// What is committed, of every list that is not quarantined.
    digest: Digest,
    resident: Resident,
    jobs: Jobs,
    vectors: Vectors,
    edits: Edits,
    /// Requests for lists as they were, that jobs answer.
    looking_back: BTreeMap<RequestId, ChangeHash>,
    incoming: Incoming,
    /// Batches that jobs apply.
    applying: BTreeMap<ListId, documents::Applying>,
    commits: Commits,
    peers: Peers,
    outbox: Outbox,
    assemblies: Assemblies,
    rounds: Rounds,
    differing: Differing,
    pulls: Pulls,
    /// Peers with which all lists are to be compared, and differences repaired at once.
    fresh: BTreeSet<NodeId>,
    /// Those of them that are to do the same, because something for them was dropped.
    to_wake: BTreeSet<NodeId>,
    /// Answers to peers' pulls that are being read.
    serving: BTreeSet<(ListId, NodeId)>,
    watchers: Watchers,
    waits: Waits,
    departure: Departure,
    rebuilds: Rebuilds,
    rng: ChaCha8Rng,
}

impl Lists {
    /// A machine that has nothing in memory yet.
    pub fn new(settings: Settings) -> Self {
        let Settings {
            me,
            shards,
            salt,
            seed,
            resident_bytes,
            known,
            quarantined,
            remake,
        } = settings;
        let mut rng = ChaCha8Rng::from_seed(seed);
        let mut edge = Edge::new(Now::default());
        edge.at(Instant::default(), Timer::Tick);
        let mut lists = Self {
            me,
            shards,
            salt,
            view: None,
            edge,
            digest: Digest::default(),
            resident: Resident::new(resident_bytes, quarantined),
            jobs: Jobs::default(),
            vectors: Vectors::default(),
            edits: Edits::new(ChaCha8Rng::from_rng(&mut rng)),
            looking_back: BTreeMap::new(),
            incoming: Incoming::default(),
            applying: BTreeMap::new(),
            commits: Commits::default(),
            peers: Peers::default(),
            outbox: Outbox::default(),
            assemblies: Assemblies::default(),
            rounds: Rounds::default(),
            differing: Differing::default(),
            pulls: Pulls::default(),
            fresh: BTreeSet::new(),
            to_wake: BTreeSet::new(),
            serving: BTreeSet::new(),
            watchers: Watchers::default(),
            waits: Waits::default(),
            departure: Departure::default(),
            rebuilds: Rebuilds::new(remake),
            rng,
        };
        lists.read_digest(known);
        lists
    }
}

impl Machine for Lists {
    type Input = Input;
    type Output = Output;
    type Stats = Stats;

    fn handle(&mut self, now: Now, input: Input) {
        self.edge.now = now;
        match input {
            Input::Connected { peer, conn } => self.connected(peer, conn),
            Input::Message { conn, bytes } => self.receive(conn, &bytes),
            Input::Overflowed { conn } => self.overflowed(conn),
            Input::Closed { conn } => self.closed(conn),
            Input::Cluster(view) => self.view = Some(view),
            Input::Request { id, by, command } => self.request(id, by, command),
            Input::Written { id, result } => self.written(id, result),
            Input::Reopened { salt, known } => self.reopened(salt, known),
            Input::Worked { list, done } => self.worked(list, done),
        }
        self.rebuild_next();
        self.evict();
    }

    fn wake(&mut self, now: Now) {
        self.edge.now = now;
        self.fire_due();
        self.rebuild_next();
        self.evict();
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.edge.next_output().or_else(|| {
            self.outbox.flush(&mut self.edge, &self.peers);
            self.edge.next_output()
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.edge.next_deadline()
    }

    fn stats(&self) -> Stats {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let ((resident, bytes), (repairs, repairs_begun)) =
            (self.resident.size(), self.pulls.counts());
        let (remaking, remaking_awaited) = self.rebuilds.remaking();
        Stats {
            lists: count(self.digest.len()),
            resident: count(resident),
            resident_bytes: count(bytes),
            orphans: count(self.incoming.orphans()),
            repairs: count(repairs),
            repairs_begun,
            differing: self.rounds.differing(),
            lag: self.rounds.lag(),
            quarantined: count(self.resident.quarantined().len()),
            remaking: count(remaking),
            remaking_awaited: count(remaking_awaited),
            writes_pending: count(self.commits.len()),
            requests_waiting: count(
                self.edits.len()
                    + self.looking_back.len()
                    + self.commits.verdicts()
                    + self.waits.len()
                    + self.rebuilds.requests()
                    + self.departure.len(),
            ),
            ..self.edge.stats
        }
    }
}

impl Lists {
    fn fire_due(&mut self) {
        while let Some(timer) = self.edge.next_due() {
            match timer {
                Timer::Deadline(request) => self.expire(request),
                Timer::Orphans(list) => self.fetch_missing(list),
                Timer::Abandon(list) => self.drop_orphans(list),
                Timer::Reload(list) => self.run_waiting(list),
                Timer::Recheck(list) => self.with_vector(list, vectors::Purpose::Recheck),
                Timer::Tick => self.tick(),
            }
        }
    }

    fn expire(&mut self, request: RequestId) {
        if self.edits.expire(request)
            || self.looking_back.remove(&request).is_some()
            || self.rebuilds.expire(request)
        {
            self.edge.reply(request, Err(Refusal::Timeout));
        } else if self.departure.expects(request) {
            let left = self
                .departure
                .unconfirmed(&self.digest, self.resident.quarantined());
            self.departure.expire(request);
            self.edge.reply(request, Ok(Reply::Unconfirmed(left)));
        } else if let Some(view) = &self.view {
            self.waits.expire(&mut self.edge, view, request);
        }
    }

    fn request(&mut self, id: RequestId, by: Author, command: Command) {
        let accepted = match command {
            Command::Depart(ask::Depart { timeout }) => {
                self.depart(id, timeout);
                Ok(())
            }
            Command::Edit(ask::Edit {
                list,
                edit,
                expect,
                replicas,
                timeout,
            }) => self.asked(replicas).and_then(|asked| {
                let request = Request {
                    id,
                    by,
                    edit,
                    expect,
                    asked,
                    deadline: self.edge.now.instant + timeout,
                };
                self.edit(list, request)
            }),
            Command::EntriesAt(ask::EntriesAt {
                list,
                change,
                timeout,
            }) => self.look_back(list, change, id, timeout),
            Command::Rebuild(ask::Rebuild { list, timeout }) => self.rebuild(id, list, timeout),
            Command::Lagging(ask::Lagging) => {
                let lagging = self.rounds.lagging().collect();
                self.edge.reply(id, Ok(Reply::Lagging(lagging)));
                Ok(())
            }
        };
        if let Err(refusal) = accepted {
            self.edge.reply(id, Err(refusal));
        }
    }

    fn asked(&self, replicas: Option<Replicas>) -> Result<Option<usize>, Refusal> {
        let Some(replicas) = replicas else {
            return Ok(None);
        };
        // Without a roster nobody can say how many nodes there are: it comes within the first
        // moments.
        let view = self
            .view
            .as_ref()
            .filter(|_| !self.waits.is_full())
            .ok_or(Refusal::Busy)?;
        replicas::asked(view, replicas).map(Some)
    }

    fn edit(&mut self, name: ListName, request: Request) -> Result<(), Refusal> {
        let (id, deadline) = (request.id, request.deadline);
        let list = self.open(&name, matches!(request.edit, Edit::Add(_)))?;
        if self.commits.len() >= MAX_WRITES {
            return Err(Refusal::Busy);
        }
        self.edits
            .wait(list, name, request)
            .map_err(|_| Refusal::Busy)?;
        self.run_waiting(list);
        if self.edits.holds(id) {
            self.edge.at(deadline, Timer::Deadline(id));
        }
        Ok(())
    }

    /// Reads what is committed, in a document of its own: the one in memory may be ahead, and stays
    /// free for others.
    fn look_back(
        &mut self,
        name: ListName,
        change: ChangeHash,
        id: RequestId,
        timeout: Duration,
    ) -> Result<(), Refusal> {
        let list = self.open(&name, false)?;
        if self.looking_back.len() >= MAX_LOOKING_BACK {
            return Err(Refusal::Busy);
        }
        self.looking_back.insert(id, change);
        self.edge.after(timeout, Timer::Deadline(id));
        self.jobs.push(
            &mut self.edge,
            list,
            Job::EntriesAt {
                name,
                change,
                request: id,
            },
        );
        Ok(())
    }

    /// The id of a list that a client may use now.
    fn open(&self, name: &ListName, create: bool) -> Result<ListId, Refusal> {
        if let Some(error) = self.commits.failed() {
            return Err(Refusal::Unavailable(error));
        }
        let list = ListId::of(name);
        match self.resident.place(list) {
            Place::Quarantined => Err(Refusal::Quarantined),
            Place::Absent if !create && !self.is_known(list) => {
                Err(Refusal::NoList(name.to_string()))
            }
            Place::Here | Place::Away | Place::Absent => Ok(list),
        }
    }

    fn written(&mut self, id: WriteId, result: Result<(), WriteError>) {
        let Some(pending) = self.commits.returned(id) else {
            return;
        };
        match result {
            Ok(()) => self.committed(pending),
            Err(error) => {
                let unknown = |verdict: Verdict| (verdict.request, Err(Refusal::Unknown(error)));
                pending
                    .verdicts
                    .into_iter()
                    .map(unknown)
                    .for_each(|(request, refusal)| self.edge.reply(request, refusal));
                self.fail(error);
            }
        }
    }

    fn committed(
        &mut self,
        Pending {
            list,
            advance,
            verdicts,
            is_view,
        }: Pending,
    ) {
        let confirm = verdicts
            .iter()
            .any(|verdict| verdict.wish.as_ref().is_some_and(|wish| wish.asked > 1));
        verdicts
            .into_iter()
            .for_each(|verdict| self.deliver(list, verdict));
        if let Some(advance) = advance {
            self.publish(list, advance, confirm);
        }
        if is_view {
            self.rebuilt_or_not(list, Ok(()));
        }
        self.run_waiting(list);
    }

    /// What is on disk is now shown to everybody.
    fn publish(&mut self, list: ListId, advance: commits::Advance, confirm: bool) {
        let commits::Advance {
            origin,
            name,
            changes,
            total_before,
            row,
            entries,
        } = advance;
        if self.resident.place(list) != Place::Quarantined {
            self.digest.set(list, row.sum);
        }
        self.rounds.changed(list);
        let answerable = self
            .watchers
            .committed(list, changes.iter().map(|change| change.id));
        self.answer_watchers(list, answerable);
        let count = u64::try_from(changes.len()).unwrap_or(0);
        match origin {
            Origin::Local => {
                self.edge.stats.changes_local += count;
                changes.iter().for_each(|change| {
                    self.outbox
                        .push(&mut self.edge, &self.peers, &name, &change.bytes, confirm)
                });
            }
            Origin::Remote => {
                self.edge.stats.changes_remote += count;
                self.pulls.advanced(self.edge.now.instant, list);
            }
        }
        self.edge.put(Output::Changed(Change {
            list,
            name,
            at: self.edge.now.wall,
            total_before,
            row,
            entries,
        }));
    }

    fn deliver(&mut self, list: ListId, verdict: Verdict) {
        let Verdict {
            request,
            result,
            wish,
        } = verdict;
        match (result, wish, &self.view) {
            (Ok(reply), Some(wish), Some(view)) => self.waits.begin(
                &mut self.edge,
                view,
                &self.peers,
                request,
                (list, wish, reply),
            ),
            (result, _, _) => self.edge.reply(request, result),
        }
    }

    /// A commit failed: what is in memory may never have been, and nothing can be written until the
    /// store is back.
    fn fail(&mut self, error: WriteError) {
        for verdict in self
            .commits
            .fail(error)
            .flat_map(|pending| pending.verdicts)
        {
            self.edge
                .reply(verdict.request, Err(Refusal::Unknown(error)));
        }
        for request in self
            .edits
            .drain()
            .chain(std::mem::take(&mut self.looking_back).into_keys())
            .chain(self.rebuilds.fail())
        {
            self.edge.reply(request, Err(Refusal::Unavailable(error)));
        }
        self.resident.clear();
        self.incoming.clear();
        self.applying.clear();
        self.jobs.forget();
        self.vectors.clear();
        self.rounds.clear();
        self.differing.clear();
        self.pulls.clear();
        self.serving.clear();
    }

    /// Begins anew with what the store has. The other machines of this daemon share that store: one
    /// that saw no failure itself begins anew, too. Peers are to compare as well: a write whose
    /// commit failed may be there after all, and was pushed to nobody.
    fn reopened(&mut self, salt: [u8; 16], known: Vec<(ListId, u64)>) {
        self.fail(WriteError::Failed);
        self.commits.reopened();
        self.salt = salt;
        self.read_digest(known);
        self.fresh.extend(self.peers.iter().map(|(peer, _)| peer));
        self.to_wake.extend(self.peers.iter().map(|(peer, _)| peer));
        self.begin_rounds();
    }

    fn read_digest(&mut self, known: Vec<(ListId, u64)>) {
        self.digest = Digest::default();
        for (list, sum) in known {
            if self.owns(list) && self.resident.place(list) != Place::Quarantined {
                self.digest.set(list, sum);
            }
        }
    }

    /// Whether there is anything of that list, on disk or on its way there.
    fn is_known(&self, list: ListId) -> bool {
        self.digest.get(list).is_some()
            || self.commits.any(list)
            || self.resident.place(list) != Place::Absent
    }

    fn owns(&self, list: ListId) -> bool {
        (self.shards.0..=self.shards.1).contains(&list.shard())
    }

    fn connected(&mut self, peer: NodeId, conn: ConnId) {
        self.peers.connected(peer, conn);
        self.fresh.insert(peer);
        self.rounds.cancel(peer);
        self.begin_rounds();
    }

    fn closed(&mut self, conn: ConnId) {
        self.assemblies.closed(conn);
        let user = self
            .peers
            .peer_of(conn)
            .filter(|peer| self.peers.conn_of(*peer) == Some(conn));
        if let Some(peer) = self.peers.closed(conn) {
            self.fresh.remove(&peer);
            self.to_wake.remove(&peer);
            self.rounds.gone(peer);
            self.pulls.gone(peer);
            self.pull_next();
        } else if let Some(peer) = user {
            // What was under way may be lost; another connection is there to find out.
            self.fresh.insert(peer);
            self.rounds.cancel(peer);
            self.pulls.interrupted(peer);
            self.pull_next();
            self.begin_rounds();
        }
    }

    /// Something for a peer was dropped: with the next tick both compare all lists, when the queue
    /// has had time to drain.
    fn overflowed(&mut self, conn: ConnId) {
        if let Some(peer) = self.peers.peer_of(conn) {
            self.fresh.insert(peer);
            self.to_wake.insert(peer);
            self.rounds.cancel(peer);
        }
    }
}
