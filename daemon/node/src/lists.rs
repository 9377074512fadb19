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
//! document, `messages` takes what peers say, `requests` what clients ask, `written` what the disk
//! answers, and `repair` keeps the peers in agreement.
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
mod requests;
mod resident;
mod rounds;
mod vectors;
mod watchers;
mod wire;
mod written;

pub use io::{
    Change, Command, Confirmations, Edited, Input, Lagging, ListRow, Output, Precondition, Refusal,
    Remake, Replicas, Reply, Row, Settings, Stats,
};
pub use job::{Answer, Done, Job, JobError, Loaded, Rebuilt, Source, SourceError};
pub use wire::shards_of;

use crate::cluster::RosterView;
use crate::machine::Machine;
use crate::time::{Instant, Now};
use crate::wire::{ConnId, RequestId};
use chunks::Assemblies;
use commits::Commits;
use crdt::digest::Digest;
use departure::Departure;
use differing::Differing;
use edge::{Edge, Timer};
use edits::Edits;
use incoming::Incoming;
use jobs::Jobs;
use names::{ChangeHash, ListId, NodeId, Shard};
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
use vectors::Vectors;
use watchers::Watchers;

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
