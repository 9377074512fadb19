//! Replication of the lists: what a peer lacks is sent to it, and what this node lacks is found.
//!
//! [`Replication`] is a machine within the lists machine. It knows the connections and speaks the
//! protocol that the head of [`lists`](super) describes; it keeps nothing of what is in a list.
//!
//! | part | keeps |
//! | --- | --- |
//! | `peers` | connections, and which of each peer's is in use |
//! | `outbox`, `assemblies` | new changes for the peers; large ones of theirs, in parts |
//! | `rounds`, `fresh`, `to_wake` | comparisons of all lists, under way and urgent |
//! | `flows` | how fast each peer's link is, as its answers have shown |
//! | `differing`, `pulls` | lists that differed once; repairs under way, and waiting (`queue`) |
//! | `reached` | how far comparing a list part by part has come |
//! | `vectors`, `serving` | what waits for a vector; peers for which changes are being read |
//! | `forks` | lists of which a peer has another branch |
//! | `contradictions` | nodes that have signed two changes with one number |
//! | `owning` | whom this node has asked whose an actor is |
//! | `surveys` | clients that ask what members have of a list |
//! | `watchers`, `waits`, `departure` | who waits for whose confirmation |
//!
//! It takes connections, messages of peers, the view of the cluster, and [`Event`]s of the
//! documents. It is lent the documents with each of these: it sees their digest, hands them changes
//! of peers, asks how far a list is on the disk, and has changes read for a peer.
//!
//! It gives messages to the edge, closes connections of peers that break the protocol, and
//! announces what is on the disk: to the clients that wait for it, to the peers, and to those who
//! watch the list. To the router it names the lists of which changes came.

mod chunks;
mod comparing;
mod confirming;
mod contradictions;
mod departure;
mod differing;
mod flow;
mod forking;
mod forks;
mod messages;
mod outbox;
mod owning;
mod peers;
mod pulls;
mod queue;
mod reached;
mod repair;
mod replicas;
mod rounds;
mod serving;
mod surveys;
mod vectors;
mod watchers;

use super::documents::Documents;
use super::edge::{Edge, Timer};
use super::event::{Committed, Event, Origin};
use super::io::{Comparison, Lagging, Output, Stats};
use super::wire::Message;
pub use contradictions::Contradiction;
pub use forks::Fork;

use crate::cluster::RosterView;
use crate::time::Instant;
use crate::wire::{CloseReason, ConnId, Protocol};
use chunks::Assemblies;
use contradictions::Contradictions;
use departure::Departure;
use differing::Differing;
use flow::Flows;
use forks::Forks;
use names::{ListId, NodeId, Role, Shard};
use outbox::Outbox;
use owning::Owning;
use peers::Peers;
use pulls::Pulls;
use rand_chacha::ChaCha8Rng;
use replicas::Waits;
use rounds::Rounds;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use surveys::Surveys;
use vectors::{Purpose, Vectors};
use watchers::Watchers;

/// How often this node compares all lists with a peer, chosen at random.
const TICK: Duration = Duration::from_secs(1);

/// What some shards' lists have to do with the peers.
#[derive(Debug)]
pub(super) struct Replication {
    shards: (Shard, Shard),
    view: Option<Arc<RosterView>>,
    peers: Peers,
    outbox: Outbox,
    assemblies: Assemblies,
    rounds: Rounds,
    /// Peers with which all lists are to be compared, and differences repaired at once.
    fresh: BTreeSet<NodeId>,
    /// Those of them that are to do the same, because something for them was dropped.
    to_wake: BTreeSet<NodeId>,
    differing: Differing,
    pulls: Pulls,
    flows: Flows,
    forks: Forks,
    contradictions: Contradictions,
    owning: Owning,
    vectors: Vectors,
    /// Answers to peers' pulls that are being read.
    serving: BTreeSet<(ListId, NodeId)>,
    watchers: Watchers,
    waits: Waits,
    departure: Departure,
    surveys: Surveys,
    /// When a peer behind a metered link is compared with next.
    metered_compared: Instant,
    rng: ChaCha8Rng,
}

impl Replication {
    /// No peer is connected yet. `rng` is for the choice of peers.
    pub(super) fn new(shards: (Shard, Shard), rng: ChaCha8Rng) -> Self {
        Self {
            shards,
            view: None,
            peers: Peers::default(),
            outbox: Outbox::default(),
            assemblies: Assemblies::default(),
            rounds: Rounds::default(),
            fresh: BTreeSet::new(),
            to_wake: BTreeSet::new(),
            differing: Differing::default(),
            pulls: Pulls::default(),
            flows: Flows::default(),
            forks: Forks::default(),
            contradictions: Contradictions::default(),
            owning: Owning::default(),
            vectors: Vectors::default(),
            serving: BTreeSet::new(),
            watchers: Watchers::default(),
            waits: Waits::default(),
            departure: Departure::default(),
            surveys: Surveys::default(),
            metered_compared: Instant::default(),
            rng,
        }
    }

    /// The cluster as it is now.
    pub(super) fn set_view(&mut self, view: Arc<RosterView>) {
        self.view = Some(view);
    }

    pub(super) fn connected(
        &mut self,
        edge: &mut Edge,
        documents: &Documents,
        (peer, role, conn): (NodeId, Role, ConnId),
        protocol: Protocol,
    ) {
        self.peers.connected((peer, role), conn, protocol);
        self.tell_own_salt(edge, documents, conn);
        self.fresh.insert(peer);
        self.rounds.cancel(peer);
        // What was asked on an older one may be lost with the process that was asked.
        self.pulls.interrupted(peer);
        self.begin_rounds(edge, documents);
    }

    pub(super) fn closed(&mut self, edge: &mut Edge, documents: &mut Documents, conn: ConnId) {
        self.assemblies.closed(conn);
        let Some(peer) = self.peers.peer_of(conn) else {
            return;
        };
        let was_used = self.peers.conn_of(peer) == Some(conn);
        if self.peers.closed(conn).is_some() {
            self.fresh.remove(&peer);
            self.to_wake.remove(&peer);
            self.rounds.gone(peer);
            self.pulls.gone(edge.now.instant, peer);
            self.flows.gone(peer);
            self.differing.gone(peer);
            self.forks.gone(peer);
            self.surveys.gone(edge, peer);
            self.begin_repairs(edge, documents);
            return;
        }
        // What was under way on it may be lost; another connection is there to find out. Of what the peer has
        // said here, this node finds out; of what this node has said, the peer.
        self.fresh.insert(peer);
        if was_used {
            self.to_wake.insert(peer);
        }
        self.rounds.cancel(peer);
        self.pulls.interrupted(peer);
        self.begin_repairs(edge, documents);
        self.begin_rounds(edge, documents);
    }

    /// Something for a peer was dropped: with the next tick both compare all lists, when the queue
    /// has had time to drain.
    pub(super) fn overflowed(&mut self, conn: ConnId) {
        if let Some(peer) = self.peers.peer_of(conn) {
            self.fresh.insert(peer);
            self.to_wake.insert(peer);
            self.rounds.cancel(peer);
        }
    }

    /// Something happened in the documents.
    pub(super) fn handle(&mut self, edge: &mut Edge, documents: &mut Documents, event: Event) {
        match event {
            Event::Committed(committed) => self.announce(edge, committed),
            Event::Answer { list, verdict } => self.answer(edge, list, verdict),
            Event::Repeated(list) => {
                self.answer_watchers_now(edge, documents, list);
            }
            Event::Spoiling(peer) => {
                if let Some(conn) = self.peers.conn_of(peer) {
                    self.sever(edge, documents, conn, CloseReason::Abuse);
                }
            }
            Event::Forking { peer, list, id } => self.note_fork(edge, documents, (peer, list), id),
            Event::Unlike { peer, list, ours } => {
                let unlike = [ours].into_iter().collect();
                self.note_forks(edge, documents, (peer, list), &unlike);
            }
            Event::Idle(list) => {
                let step = self.pulls.all_committed(edge.now.instant, list);
                self.repair_step(edge, documents, list, step);
            }
            Event::VectorRead { list, found } => self.vector_read(edge, documents, list, found),
            Event::ChangesRead { list, to, found } => self.serve(edge, list, to, found),
            Event::Salted => self.tell_all_own_salt(edge, documents),
            Event::Settled {
                list,
                name,
                settled,
                changes,
            } => self.settled(edge, (list, &name), &settled, &changes),
            Event::Orphaned(list) => self.await_missing(edge, list),
            Event::Dropped(list) => self.take_from_all(edge, documents, list),
            Event::Contradicting { node, list } => self.contradicts(edge, node, list),
            Event::Failed => self.forget_work(),
        }
    }

    /// A write is on the disk: answers the clients that waited for it, then says so to the peers,
    /// and at last to those who watch the list.
    fn announce(&mut self, edge: &mut Edge, committed: Committed) {
        let Committed {
            list,
            verdicts,
            changed,
        } = committed;
        let confirm = verdicts
            .iter()
            .any(|verdict| verdict.wish.as_ref().is_some_and(|wish| wish.asked > 1));
        for verdict in verdicts {
            self.answer(edge, list, verdict);
        }
        let Some(changed) = changed else {
            return;
        };
        self.rounds.changed(list);
        let answerable = self.watchers.committed(list, &changed.changes);
        self.answer_watchers(edge, list, answerable);
        match changed.origin {
            Origin::Local => {
                let name = &changed.shown.name;
                for change in &changed.changes {
                    self.outbox
                        .push(edge, &self.peers, name, &change.bytes, confirm);
                }
            }
            Origin::Remote => self.pulls.advanced(edge.now.instant, list),
        }
        edge.put(Output::Changed(changed.shown));
    }

    /// Forgets what depended on a store that is away now.
    fn forget_work(&mut self) {
        self.vectors.clear();
        self.rounds.clear();
        self.differing.clear();
        self.pulls.clear();
        self.forks.clear();
        self.serving.clear();
    }

    /// The store is back. Peers are to compare, too: a write whose commit failed may be there after
    /// all, and was pushed to nobody.
    pub(super) fn reopened(&mut self, edge: &mut Edge, documents: &Documents) {
        self.fresh.extend(self.peers.iter().map(|(peer, _)| peer));
        self.to_wake.extend(self.peers.iter().map(|(peer, _)| peer));
        self.begin_rounds(edge, documents);
    }

    /// Does what is due each second.
    pub(super) fn tick(&mut self, edge: &mut Edge, documents: &mut Documents) {
        edge.after(TICK, Timer::Tick);
        let now = edge.now.instant;
        edge.stats.dropped += u64::try_from(self.pulls.expire(now, &mut self.flows)).unwrap_or(0);
        self.rounds.expire(now, &self.flows, &self.pulls);
        self.owning.tick(now);
        self.watchers.forget_old(now);
        if documents.failure().is_some() {
            return;
        }
        if let Some(view) = &self.view {
            self.waits.ask_again(edge, view, &self.peers);
        }
        self.begin_rounds(edge, documents);
        self.begin_random_round(edge, documents);
        self.begin_rounds_aside(edge, documents);
        self.begin_repairs(edge, documents);
    }

    /// Looks at a list that differed a second time.
    pub(super) fn recheck(&mut self, edge: &mut Edge, documents: &mut Documents, list: ListId) {
        if self.differing.is_due(edge.now.instant, list) {
            self.with_vector(edge, documents, list, Purpose::Recheck);
        }
    }

    /// Sends the changes that were committed since it was called last.
    pub(super) fn flush(&mut self, edge: &mut Edge) {
        self.outbox.flush(edge, &self.peers);
    }

    /// The lists that have differed from a peer's for a while.
    pub(super) fn lagging(&self) -> Vec<Lagging> {
        self.rounds.lagging().collect()
    }

    /// How the lists stand to those of the peers.
    pub(super) fn comparisons(&self, edge: &Edge) -> Vec<Comparison> {
        self.rounds.comparisons(edge.now.instant).collect()
    }

    /// Adds the numbers of replication.
    pub(super) fn count(&self, stats: &mut Stats) {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (repairs, repairs_begun) = self.pulls.counts();
        stats.repairs = count(repairs);
        stats.repairs_begun = repairs_begun;
        stats.differing = self.rounds.differing();
        stats.forked = count(self.forks.lists());
        stats.lag = self.rounds.lag();
        stats.requests_waiting +=
            count(self.waits.len() + self.departure.len() + self.surveys.len());
    }

    /// Closes the connection of a peer that breaks the protocol.
    fn sever(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        conn: ConnId,
        reason: CloseReason,
    ) {
        edge.stats.malformed += 1;
        edge.close(conn, reason);
        self.closed(edge, documents, conn);
    }

    /// Sends a message about a list to a peer, if that is connected, in the form of the protocol that
    /// both speak.
    fn send_to(
        &self,
        edge: &mut Edge,
        peer: NodeId,
        list: ListId,
        message: impl FnOnce(Protocol) -> Message,
    ) {
        if let Some(conn) = self.peers.conn_of(peer) {
            edge.send_about(conn, list, &message(self.peers.protocol_of(conn)));
        }
    }
}
