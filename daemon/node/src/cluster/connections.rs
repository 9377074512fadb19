//! The connections: which there are to whom, which is in use, and which are being dialled.

use super::breaches::Breaches;
use super::dials::Dials;
use super::edge::{Edge, Timer};
use super::io::{Output, Target};
use super::message::{Hello, Message};
use crate::time::Instant;
use crate::wire::{CloseReason, ConnId, DialId, Peer, Protocol};
use bytes::Bytes;
use crdt::roster::Line;
use names::NodeId;
use rand::seq::IteratorRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// How many packets wait for a connection; then the oldest goes.
const MAX_WAITING: usize = 4;
/// How many connections one peer may have: two that dial each other have two, a restart adds some.
const MAX_PER_PEER: usize = 8;
/// A connection whose hello was not accepted by then is closed. Until then it has its own way, the
/// challenge of an older one, and what is lost of both.
const GREETING: Duration = Duration::from_secs(20);

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: Peer,
    pub(super) remote: SocketAddr,
    /// The version of the protocol that both speak.
    pub(super) protocol: Protocol,
    /// Which attempt of this node's it answers, if it was this node that dialled.
    pub(super) dial: Option<DialId>,
    /// The peer's latest hello, accepted or not.
    pub(super) hello: Option<Hello>,
    /// The line of the roster that came with it, in protocol 2.
    pub(super) line: Option<Line>,
    pub(super) accepted: bool,
    /// Whether this node's latest hello there may still be answered by a refusal.
    hello_open: bool,
    keep_alive: bool,
}

impl Connection {
    pub(super) fn new(
        peer: Peer,
        remote: SocketAddr,
        protocol: Protocol,
        dial: Option<DialId>,
    ) -> Self {
        Self {
            peer,
            remote,
            protocol,
            dial,
            hello: None,
            line: None,
            accepted: false,
            hello_open: false,
            keep_alive: false,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Connections {
    by_id: BTreeMap<ConnId, Connection>,
    /// The connections of each peer, the newest last: of those that are accepted the newest is in
    /// use. Of two that dialled each other at once, the transport names the one it keeps last.
    of: BTreeMap<NodeId, Vec<ConnId>>,
    pub(super) dials: Dials,
    pub(super) breaches: Breaches,
    waiting: BTreeMap<NodeId, VecDeque<Bytes>>,
    /// When something came from each node itself.
    last_contact: BTreeMap<NodeId, Instant>,
    /// By when each node is to answer that was asked whether it is there, and has not answered yet.
    asked: BTreeMap<NodeId, Instant>,
    /// When a peer behind a metered link is compared with next.
    pub(super) metered_compared: Instant,
}

impl Connections {
    /// Takes a new connection, or one that is to be preferred from now on; `false` if nothing is
    /// new.
    pub(super) fn add(&mut self, edge: &mut Edge, conn: ConnId, connection: Connection) -> bool {
        let (node, dial) = (connection.peer.id, connection.dial);
        let conns = self.of.entry(node).or_default();
        if self.by_id.contains_key(&conn) {
            conns.retain(|other| *other != conn);
            conns.push(conn);
            return false;
        }
        if conns.len() >= MAX_PER_PEER {
            edge.close(conn, CloseReason::Abuse);
            return false;
        }
        conns.push(conn);
        if let Some(dial) = dial {
            self.dials.answered(dial, node, connection.remote);
        }
        self.by_id.insert(conn, connection);
        edge.after(GREETING, Timer::Greeting(conn));
        edge.stats.connections = self.by_id.len() as u64;
        true
    }

    pub(super) fn get(&self, conn: ConnId) -> Option<&Connection> {
        self.by_id.get(&conn)
    }

    pub(super) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        self.by_id.get_mut(&conn)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = ConnId> {
        self.by_id.keys().copied()
    }

    /// All connections of one peer, accepted or not, the newest last.
    pub(super) fn of(
        &self,
        node: NodeId,
    ) -> impl DoubleEndedIterator<Item = (ConnId, &Connection)> {
        self.of
            .get(&node)
            .into_iter()
            .flatten()
            .filter_map(|conn| Some((*conn, self.by_id.get(conn)?)))
    }

    /// The connection in use to a peer.
    pub(super) fn current(&self, node: NodeId) -> Option<ConnId> {
        self.of(node)
            .rfind(|(_, connection)| connection.accepted)
            .map(|(conn, _)| conn)
    }

    /// The connection in use to each peer.
    pub(super) fn currents(&self) -> impl Iterator<Item = ConnId> {
        self.of.keys().filter_map(|node| self.current(*node))
    }

    /// The peers to which a connection is in use.
    pub(super) fn current_peers(&self) -> impl Iterator<Item = NodeId> {
        let peers = self.of.keys().copied();
        peers.filter(|node| self.current(*node).is_some())
    }

    /// Some connections in use to different peers that speak protocol 2.
    pub(super) fn sample_proved(&self, rng: &mut ChaCha8Rng, count: usize) -> Vec<ConnId> {
        let is_proved = |conn: &ConnId| self.protocol(*conn) >= Protocol::PROVED;
        let mut sample = self.currents().filter(is_proved).sample(rng, count);
        sample.sort_unstable();
        sample
    }

    /// The version of the protocol that a connection speaks.
    pub(super) fn protocol(&self, conn: ConnId) -> Protocol {
        let connection = self.by_id.get(&conn);
        connection.map_or(Protocol::UNPROVED, |connection| connection.protocol)
    }

    /// The peer's hello was accepted: the connection comes into use, and what waited for it goes
    /// out.
    pub(super) fn accept(&mut self, edge: &mut Edge, conn: ConnId) {
        let Some(connection) = self
            .by_id
            .get_mut(&conn)
            .filter(|connection| !connection.accepted)
        else {
            return;
        };
        let (node, remote) = (connection.peer.id, connection.remote);
        let hello = connection.hello.as_ref();
        if hello.is_some_and(|hello| hello.profile.address == remote) {
            self.dials.prove(node, remote);
        }
        (connection.accepted, connection.keep_alive) = (true, true);
        tracing::debug!(peer = %connection.peer.name, conn = conn.0, "a peer's hello is accepted");
        edge.put(Output::KeepAlive { conn, on: true });
        for bytes in self.waiting.remove(&node).unwrap_or_default() {
            edge.put(Output::Datagram { conn, bytes });
        }
        self.note_contact(edge, node);
    }

    pub(super) fn remove(&mut self, edge: &mut Edge, conn: ConnId) -> Option<Connection> {
        let connection = self.by_id.remove(&conn)?;
        if let Some(conns) = self.of.get_mut(&connection.peer.id) {
            conns.retain(|other| *other != conn);
            if conns.is_empty() {
                self.of.remove(&connection.peer.id);
                self.asked.remove(&connection.peer.id);
            }
        }
        if !self.is_reached(connection.peer.id) && !self.dials.is_under_way(connection.peer.id) {
            self.waiting.remove(&connection.peer.id);
        }
        edge.stats.connections = self.by_id.len() as u64;
        Some(connection)
    }

    pub(super) fn close(
        &mut self,
        edge: &mut Edge,
        conn: ConnId,
        reason: CloseReason,
    ) -> Option<Connection> {
        let connection = self.remove(edge, conn);
        if connection.is_some() {
            edge.close(conn, reason);
        }
        connection
    }

    /// Something came from that node itself.
    pub(super) fn note_contact(&mut self, edge: &Edge, node: NodeId) {
        self.last_contact.insert(node, edge.instant());
        self.asked.remove(&node);
    }

    /// Asks a connected node whether it is there, unless it was asked and has not answered yet; it has
    /// so long for the answer, also if it was given more time before.
    pub(super) fn ask_presence(&mut self, edge: &mut Edge, node: NodeId, limit: Duration) {
        let Some(conn) = self.current(node) else {
            return;
        };
        let until = edge.instant() + limit;
        match self.asked.entry(node) {
            Entry::Vacant(asked) => {
                asked.insert(until);
                edge.send(conn, Message::Challenge.bytes());
            }
            Entry::Occupied(mut asked) => {
                let earlier = until.min(*asked.get());
                asked.insert(earlier);
            }
        }
    }

    /// Whether a node was asked if it is there, and has not answered in time.
    pub(super) fn is_silent(&self, now: Instant, node: NodeId) -> bool {
        self.asked.get(&node).is_some_and(|until| *until <= now)
    }

    /// When something came from that node itself.
    pub(super) fn last_contact(&self, node: NodeId) -> Option<Instant> {
        self.last_contact.get(&node).copied()
    }

    /// How long ago something came from that node itself; `None` if nothing ever did.
    pub(super) fn silence(&self, edge: &Edge, node: NodeId) -> Option<Duration> {
        self.last_contact
            .get(&node)
            .map(|contact| edge.instant().since(*contact))
    }

    /// Pings on the connections to a node that is up; for one that is down they end, and after a while of
    /// silence they are closed: closing at once would throw away the proof that it lives.
    pub(super) fn keep_alive(&mut self, edge: &mut Edge, node: NodeId, on: bool) {
        for conn in self.of.get(&node).into_iter().flatten() {
            if let Some(connection) = self
                .by_id
                .get_mut(conn)
                .filter(|connection| connection.accepted && connection.keep_alive != on)
            {
                connection.keep_alive = on;
                edge.put(Output::KeepAlive { conn: *conn, on });
            }
        }
    }

    /// Dials once, whoever else is dialled; gives up after the limit.
    pub(super) fn dial(&mut self, edge: &mut Edge, target: Target, limit: Duration) -> DialId {
        let dial = self.dials.next();
        edge.stats.dials += 1;
        edge.put(Output::Dial {
            dial,
            target,
            limit,
            round_trip: None,
        });
        dial
    }

    /// Dials a node that is not connected, if it is time for another attempt; whether it was.
    pub(super) fn ensure(&mut self, edge: &mut Edge, node: NodeId, addr: SocketAddr) -> bool {
        let now = edge.instant();
        if self.is_reached(node) || self.breaches.is_cut_off(now, node).is_some() {
            return false;
        }
        let Some(begun) = self.dials.begin(now, node, addr) else {
            return false;
        };
        tracing::debug!(%node, %addr, "dials a member");
        edge.stats.dials += 1;
        edge.put(Output::Dial {
            dial: begun.dial,
            target: Target::Node(node, addr),
            limit: begun.limit,
            round_trip: begun.round_trip,
        });
        true
    }

    /// Says this node's hello, which the peer may refuse once.
    pub(super) fn greet(&mut self, edge: &mut Edge, conn: ConnId, hello: Bytes) {
        if let Some(connection) = self.by_id.get_mut(&conn) {
            connection.hello_open = true;
            edge.send(conn, hello);
        }
    }

    /// Whether a refusal that came on a connection answers a hello of this node's. Each hello may be
    /// refused once, so that the next refusal on that connection answers nothing.
    pub(super) fn answers_a_hello(&mut self, conn: ConnId) -> bool {
        self.by_id
            .get_mut(&conn)
            .is_some_and(|connection| std::mem::take(&mut connection.hello_open))
    }

    /// Whether a connection to that peer has yet to be accepted.
    pub(super) fn is_greeting(&self, node: NodeId) -> bool {
        self.of(node).any(|(_, connection)| !connection.accepted)
    }

    /// Whether there is a connection to that peer, whether it was accepted or has yet to be.
    pub(super) fn is_reached(&self, node: NodeId) -> bool {
        self.of.contains_key(&node)
    }

    pub(super) fn dial_failed(&mut self, edge: &mut Edge, dial: DialId) {
        edge.stats.dials_failed += 1;
        self.dial_over(edge, dial);
    }

    /// An attempt brought no connection.
    pub(super) fn dial_over(&mut self, edge: &Edge, dial: DialId) {
        if let Some(node) = self.dials.failed(edge.instant(), dial)
            && !self.is_reached(node)
        {
            self.waiting.remove(&node);
        }
    }

    /// Sends a packet to a node, which is to be found there, or lets it wait while a connection is
    /// dialled.
    pub(super) fn packet(&mut self, edge: &mut Edge, to: (NodeId, SocketAddr), bytes: Bytes) {
        let (node, addr) = to;
        if let Some(conn) = self.current(node) {
            return edge.put(Output::Datagram { conn, bytes });
        }
        self.ensure(edge, node, addr);
        if !self.is_reached(node) && !self.dials.is_under_way(node) {
            return;
        }
        let waiting = self.waiting.entry(node).or_default();
        if waiting.len() == MAX_WAITING {
            waiting.pop_front();
        }
        waiting.push_back(bytes);
    }
}
