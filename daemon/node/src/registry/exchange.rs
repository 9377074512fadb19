//! Keeping the replicas of the logs up to date: pushes of this node's own, pulls of what others are
//! ahead with, and the comparison that finds what both have missed.

use super::edge::{Edge, Routes};
use super::message::Message;
use crate::time::Instant;
use crate::wire::ConnId;
use bytes::Bytes;
use crdt::registry::{Delta, Logs, Position, Progress};
use names::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// About how large the parts of a log are, in bytes.
const PART_BYTES: usize = 128 << 10;
/// A part, a pull or a question without an answer for so long is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The logs of nodes that are not connected take about so many bytes in all; then others are asked for
/// no more of them. For each node that is there its own log has a bound of its own.
const MAX_ABSENT_BYTES: usize = 256 << 20;
/// See [`Peer::vain`].
const MAX_VAIN: u32 = 3;

/// A pushed part that is not acknowledged.
#[derive(Debug)]
struct Flight {
    conn: ConnId,
    at: Instant,
}

#[derive(Debug)]
struct Peer {
    /// How far this node's log has come there; unknown until the peer says.
    acked: Option<Progress>,
    flight: Option<Flight>,
    /// How many parts in a row brought it no further: after a few, not again before the next round.
    vain: u32,
    /// When it was last asked how far it is.
    asked: Instant,
    /// Messages for it were dropped, and more may be before its queue has drained, without a word:
    /// nothing is pushed or pulled before the next round.
    is_full: bool,
}

#[derive(Debug)]
pub(super) struct Exchange {
    me: NodeId,
    peers: BTreeMap<NodeId, Peer>,
    /// For each owner the pull that is not answered.
    pulls: BTreeMap<NodeId, Flight>,
    /// Connections on which the peer has said something: it listens there. What is sent to one that
    /// has yet to accept this node's hello is lost.
    spoken: BTreeSet<ConnId>,
    /// See [`MAX_ABSENT_BYTES`].
    max_absent_bytes: usize,
}

impl Exchange {
    pub(super) fn new(me: NodeId) -> Self {
        Self {
            me,
            max_absent_bytes: MAX_ABSENT_BYTES,
            peers: BTreeMap::new(),
            pulls: BTreeMap::new(),
            spoken: BTreeSet::new(),
        }
    }

    /// Something has come on that connection, which is accepted here.
    pub(super) fn note_message(&mut self, conn: ConnId) {
        self.spoken.insert(conn);
    }

    /// Whether a peer speaks for itself on the connection in use to it.
    pub(super) fn speaks_for_itself(&self, links: &dyn Routes, node: NodeId) -> bool {
        self.open(links, node).is_some()
    }

    /// The connection in use to a peer, if the peer listens there by now.
    fn open(&self, links: &dyn Routes, node: NodeId) -> Option<ConnId> {
        let current = links.current(node);
        current.filter(|conn| self.spoken.contains(conn))
    }

    /// A connection has come into use: both sides tell how far they are.
    ///
    /// Of two that accept each other one is later, and the other does not listen before: the later
    /// one's question and its answer bring both up to date.
    pub(super) fn accepted(&mut self, edge: &mut Edge, logs: &Logs, conn: ConnId, node: NodeId) {
        self.peers.insert(
            node,
            Peer {
                acked: None,
                flight: None,
                vain: 0,
                asked: edge.instant(),
                is_full: false,
            },
        );
        edge.send(conn, vector(logs, true));
    }

    pub(super) fn closed(
        &mut self,
        edge: &mut Edge,
        links: &dyn Routes,
        logs: &Logs,
        conn: ConnId,
    ) {
        self.spoken.remove(&conn);
        self.pulls.retain(|_, pull| pull.conn != conn);
        self.peers.retain(|node, _| links.current(*node).is_some());
        let cut: Vec<NodeId> = self.interrupt(conn);
        cut.into_iter()
            .for_each(|node| self.push(edge, links, logs, node, &mut BTreeMap::new()));
    }

    /// Messages of ours were dropped: each peer is asked in the next round how far it is.
    pub(super) fn overflowed(&mut self, conn: ConnId, node: NodeId) {
        self.interrupt(conn);
        self.pulls.retain(|_, pull| pull.conn != conn);
        if let Some(peer) = self.peers.get_mut(&node) {
            (peer.acked, peer.flight, peer.asked) = (None, None, Instant::default());
            peer.is_full = true;
        }
    }

    fn interrupt(&mut self, conn: ConnId) -> Vec<NodeId> {
        let cut = self.peers.iter_mut().filter_map(|(node, peer)| {
            peer.flight
                .take_if(|flight| flight.conn == conn)
                .map(|_| *node)
        });
        cut.collect()
    }

    /// Sends each peer what it lacks of this node's log, unless it has yet to acknowledge
    /// something.
    pub(super) fn publish(&mut self, edge: &mut Edge, links: &dyn Routes, logs: &Logs) {
        let mut made = BTreeMap::new();
        for node in self.peers.keys().copied().collect::<Vec<_>>() {
            self.push(edge, links, logs, node, &mut made);
        }
    }

    /// `made` are the parts that were already encoded, by where they begin: most peers are equally
    /// far.
    fn push(
        &mut self,
        edge: &mut Edge,
        links: &dyn Routes,
        logs: &Logs,
        node: NodeId,
        made: &mut BTreeMap<Progress, Option<Bytes>>,
    ) {
        let open = self.open(links, node);
        let Some(peer) = self
            .peers
            .get_mut(&node)
            .filter(|peer| peer.flight.is_none() && peer.vain < MAX_VAIN && !peer.is_full)
        else {
            return;
        };
        let (Some(acked), Some(conn)) = (peer.acked, open) else {
            return;
        };
        let part = || {
            logs.delta(self.me, acked, PART_BYTES).map(|delta| {
                Message::Part {
                    delta,
                    pushed: true,
                }
                .bytes()
            })
        };
        let Some(bytes) = made.entry(acked).or_insert_with(part) else {
            return;
        };
        edge.send(conn, bytes.clone());
        edge.stats.pushes += 1;
        peer.flight = Some(Flight {
            conn,
            at: edge.instant(),
        });
    }

    pub(super) fn acknowledged(
        &mut self,
        edge: &mut Edge,
        links: &dyn Routes,
        logs: &Logs,
        node: NodeId,
        progress: Progress,
    ) {
        let Some(peer) = self.peers.get_mut(&node) else {
            return;
        };
        peer.flight = None;
        peer.vain = if peer.acked == Some(progress) {
            peer.vain + 1
        } else {
            0
        };
        peer.acked = Some(progress);
        self.push(edge, links, logs, node, &mut BTreeMap::new());
    }

    /// Compares a peer's vector with this node's: sends it what it lacks of this node's own log,
    /// pulls what it is ahead with; from the owner, if that is connected. The sender's own log
    /// comes by itself.
    pub(super) fn compare(
        &mut self,
        edge: &mut Edge,
        links: &dyn Routes,
        logs: &Logs,
        from: (NodeId, ConnId),
        positions: &[(NodeId, Position)],
    ) {
        let (node, conn) = from;
        if self.peers.get(&node).is_some_and(|peer| peer.is_full) {
            return;
        }
        let known = positions
            .iter()
            .find(|(owner, _)| *owner == self.me)
            .map(|(_, position)| Progress::from(*position));
        if let Some(peer) = self
            .peers
            .get_mut(&node)
            .filter(|peer| peer.flight.is_none())
        {
            peer.acked = Some(known.unwrap_or_default());
            self.push(edge, links, logs, node, &mut BTreeMap::new());
        }
        let (me, has_room) = (self.me, self.has_room_for_absent(links, logs));
        for (owner, position) in positions
            .iter()
            .filter(|(owner, _)| *owner != me && *owner != node)
        {
            if *position > logs.progress(*owner).position && !self.pulls.contains_key(owner) {
                if self.is_absent(links, *owner) && !has_room {
                    continue;
                }
                let conn = self.open(links, *owner).unwrap_or(conn);
                self.pull(edge, logs, *owner, conn);
            }
        }
    }

    /// Whether others may be asked for logs of nodes that are not connected. Goes over all logs.
    fn has_room_for_absent(&self, links: &dyn Routes, logs: &Logs) -> bool {
        logs.bytes_of(|owner| self.is_absent(links, owner)) <= self.max_absent_bytes
    }

    fn is_absent(&self, links: &dyn Routes, owner: NodeId) -> bool {
        owner != self.me && links.current(owner).is_none()
    }

    fn pull(&mut self, edge: &mut Edge, logs: &Logs, owner: NodeId, conn: ConnId) {
        edge.send(
            conn,
            Message::Pull {
                owner,
                from: logs.progress(owner),
            }
            .bytes(),
        );
        tracing::debug!(%owner, conn = conn.0, "asks for registrations");
        edge.stats.pulls += 1;
        self.pulls.insert(
            owner,
            Flight {
                conn,
                at: edge.instant(),
            },
        );
    }

    /// Whether somebody was asked on that connection for a log, and has not answered.
    pub(super) fn is_open(&self, owner: NodeId, conn: ConnId) -> bool {
        self.pulls.get(&owner).is_some_and(|pull| pull.conn == conn)
    }

    pub(super) fn answer(
        &self,
        edge: &mut Edge,
        logs: &Logs,
        conn: ConnId,
        owner: NodeId,
        from: Progress,
    ) {
        if let Some(delta) = logs.delta(owner, from, PART_BYTES) {
            edge.send(
                conn,
                Message::Part {
                    delta,
                    pushed: false,
                }
                .bytes(),
            );
        }
    }

    /// A pulled part has come, and was merged: pulls what follows, if that one was of use.
    pub(super) fn pulled(
        &mut self,
        edge: &mut Edge,
        links: &dyn Routes,
        logs: &Logs,
        conn: ConnId,
        delta: &Header,
        was_of_use: bool,
    ) {
        if self.pulls.remove(&delta.owner).is_some()
            && was_of_use
            && delta.latest > logs.progress(delta.owner).position
            && (!self.is_absent(links, delta.owner) || self.has_room_for_absent(links, logs))
        {
            self.pull(edge, logs, delta.owner, conn);
        }
    }

    /// Each second: gives up what was not answered, and compares with one peer.
    pub(super) fn round(
        &mut self,
        edge: &mut Edge,
        links: &dyn Routes,
        logs: &Logs,
        random: Option<ConnId>,
    ) {
        let now = edge.instant();
        self.pulls.retain(|_, pull| now.since(pull.at) < PATIENCE);
        for (node, peer) in &mut self.peers {
            if peer
                .flight
                .take_if(|flight| now.since(flight.at) >= PATIENCE)
                .is_some()
            {
                peer.acked = None;
            }
            (peer.vain, peer.is_full) = (0, false);
            if peer.acked.is_none() && now.since(peer.asked) >= PATIENCE {
                peer.asked = now;
                links
                    .current(*node)
                    .into_iter()
                    .for_each(|conn| edge.send(conn, vector(logs, true)));
            }
        }
        if let Some(conn) = random {
            edge.send(conn, Message::Hash(logs.hash()).bytes());
        }
        self.publish(edge, links, logs);
    }
}

/// What is left of a part once it was merged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) owner: NodeId,
    pub(super) latest: Position,
}

impl Header {
    pub(super) fn of(delta: &Delta) -> Self {
        Self {
            owner: delta.owner,
            latest: Position {
                run: delta.run,
                version: delta.latest,
            },
        }
    }
}

pub(super) fn vector(logs: &Logs, answer: bool) -> Bytes {
    Message::Vector {
        positions: logs.vector().collect(),
        answer,
    }
    .bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Effect;
    use crate::time::{Now, Wall};
    use crdt::registry::{Process, Reason, State};
    use names::ProcessName;

    const ME: NodeId = NodeId([1; 16]);
    const PEER: NodeId = NodeId([2; 16]);

    /// The one connection in use.
    struct Only(ConnId);

    impl Routes for Only {
        fn current(&self, _: NodeId) -> Option<ConnId> {
            Some(self.0)
        }
    }

    /// Where parts of this node's log went.
    fn pushed(edge: &mut Edge) -> Vec<ConnId> {
        let mut pushed = Vec::new();
        while let Some(effect) = edge.next_output() {
            if let Effect::Send { conn, bytes } = effect
                && let Message::Part { pushed: true, .. } = Message::read(&bytes).unwrap()
            {
                pushed.push(conn);
            }
        }
        pushed
    }

    /// A node with one registration that has ended.
    fn begun() -> (Edge, Exchange, Logs) {
        let (instant, wall) = (Instant::default(), Wall(0));
        let mut logs = Logs::default();
        logs.begin(ME, 1, 0);
        let process = Process {
            boot: [0; 16],
            pid: 1,
            start: 1,
        };
        let name = ProcessName::new("web").unwrap();
        logs.put(ME, name, process, State::Gone(Reason::Exited));
        let edge = Edge::new(Now { instant, wall });
        (edge, Exchange::new(ME), logs)
    }

    /// Of two connections the newer one is in use, and the peer may have yet to accept it.
    #[test]
    fn nothing_is_pushed_where_the_peer_has_yet_to_listen() {
        let (mut edge, mut exchange, logs) = begun();
        for conn in [ConnId(1), ConnId(2)] {
            exchange.accepted(&mut edge, &logs, conn, PEER);
        }
        let newer = Only(ConnId(2));
        for (conn, went) in [(ConnId(1), vec![]), (ConnId(2), vec![ConnId(2)])] {
            exchange.note_message(conn);
            exchange.compare(&mut edge, &newer, &logs, (PEER, conn), &[]);
            assert_eq!(pushed(&mut edge), went);
        }
    }

    /// That a queue is full is told once, and until it has drained it drops without a word.
    #[test]
    fn nothing_is_pushed_into_a_full_queue_before_the_next_round() {
        let (mut edge, mut exchange, logs) = begun();
        let conn = ConnId(1);
        exchange.accepted(&mut edge, &logs, conn, PEER);
        exchange.note_message(conn);
        exchange.overflowed(conn, PEER);
        exchange.compare(&mut edge, &Only(conn), &logs, (PEER, conn), &[]);
        assert_eq!(pushed(&mut edge), []);
        exchange.round(&mut edge, &Only(conn), &logs, None);
        exchange.compare(&mut edge, &Only(conn), &logs, (PEER, conn), &[]);
        assert_eq!(pushed(&mut edge), [conn]);
    }

    /// A peer that invents nodes can make this one keep their logs up to the bound, and no further.
    #[test]
    fn others_are_asked_for_logs_of_absent_nodes_up_to_a_bound() {
        struct Nobody;
        impl Routes for Nobody {
            fn current(&self, _: NodeId) -> Option<ConnId> {
                None
            }
        }
        let (mut edge, mut exchange, mut logs) = begun();
        let (conn, absent) = (ConnId(1), NodeId([3; 16]));
        let far = Position { run: 9, version: 9 };
        let mut asks = |exchange: &mut Exchange, links: &dyn Routes, logs: &Logs| {
            exchange.pulls.clear();
            exchange.compare(&mut edge, links, logs, (PEER, conn), &[(absent, far)]);
            exchange.is_open(absent, conn)
        };
        // This node's own log does not count.
        exchange.max_absent_bytes = 0;
        assert!(asks(&mut exchange, &Nobody, &logs));
        logs.begin(absent, 1, 0);
        let process = Process {
            boot: [0; 16],
            pid: 1,
            start: 1,
        };
        let name = ProcessName::new("web").unwrap();
        logs.put(absent, name, process, State::Gone(Reason::Exited));
        assert!(!asks(&mut exchange, &Nobody, &logs));
        exchange.note_message(conn);
        assert!(asks(&mut exchange, &Only(conn), &logs), "it is there");
    }
}
