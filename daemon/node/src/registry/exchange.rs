//! Keeping the replicas of the logs up to date: pushes of this node's own, pulls of what others are
//! ahead with, and the comparison that finds what both have missed.

mod load;
mod pulling;
#[cfg(test)]
mod tests;

pub(super) use pulling::{Header, Told, Usefulness};

use super::edge::{Edge, Routes};
use super::message::{Claimed, Message};
use crate::time::Instant;
use crate::wire::{ConnId, Protocol};
use bytes::Bytes;
use crdt::registry::{Logs, Progress};
use load::Load;
use names::NodeId;
use std::collections::{BTreeMap, BTreeSet};

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

/// A log that is asked for.
#[derive(Clone, Copy, Debug)]
struct Pull {
    /// Who is asked.
    by: NodeId,
    conn: ConnId,
    at: Instant,
    /// Whether it is asked for from its beginning, whatever is here.
    is_whole: bool,
}

#[derive(Debug)]
struct Peer {
    /// How far this node's log has come there; unknown until the peer says.
    acked: Option<Progress>,
    flight: Option<Flight>,
    load: Load,
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
    pulls: BTreeMap<NodeId, Pull>,
    /// Which connections were asked in vain for a log of which owner, and until when others come first.
    vain: BTreeMap<(NodeId, ConnId), Instant>,
    /// Whether logs of third nodes are taken in the form of protocol 1.
    accept_v1: bool,
    /// Connections on which the peer has said something: it listens there. What is sent to one that
    /// has yet to accept this node's hello is lost.
    spoken: BTreeSet<ConnId>,
    /// See [`MAX_ABSENT_BYTES`].
    max_absent_bytes: usize,
}

impl Exchange {
    pub(super) fn new(me: NodeId, accept_v1: bool) -> Self {
        Self {
            me,
            accept_v1,
            vain: BTreeMap::new(),
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
    pub(super) fn accepted(
        &mut self,
        edge: &mut Edge,
        links: &dyn Routes,
        logs: &Logs,
        conn: ConnId,
        node: NodeId,
    ) {
        self.peers.insert(
            node,
            Peer {
                acked: None,
                flight: None,
                load: Load::default(),
                vain: 0,
                asked: edge.instant(),
                is_full: false,
            },
        );
        edge.send(conn, vector(links, logs, conn, true));
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
        self.vain.retain(|(_, other), _| *other != conn);
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

    /// `made` are the parts that were already encoded, by where they begin and how large they are: most
    /// peers are equally far.
    fn push(
        &mut self,
        edge: &mut Edge,
        links: &dyn Routes,
        logs: &Logs,
        node: NodeId,
        made: &mut BTreeMap<(Protocol, Progress, usize), Option<Bytes>>,
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
        let protocol = links.protocol(conn);
        let part_bytes = peer.load.part_bytes();
        let made = made.entry((protocol, acked, part_bytes));
        let me = self.me;
        let make = || part(logs, protocol, (me, acked), part_bytes, true);
        let Some(bytes) = made.or_insert_with(make) else {
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
        if let Some(flight) = peer.flight.take() {
            peer.load.answered(edge.instant().since(flight.at));
        }
        peer.vain = if peer.acked == Some(progress) {
            peer.vain + 1
        } else {
            0
        };
        peer.acked = Some(progress);
        self.push(edge, links, logs, node, &mut BTreeMap::new());
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
        self.give_up_pulls(now);
        for (node, peer) in &mut self.peers {
            let patience = peer.load.patience();
            if peer
                .flight
                .take_if(|flight| now.since(flight.at) >= patience)
                .is_some()
            {
                peer.acked = None;
                peer.load.unanswered();
            }
            (peer.vain, peer.is_full) = (0, false);
            if peer.acked.is_none() && now.since(peer.asked) >= patience {
                peer.asked = now;
                links
                    .current(*node)
                    .into_iter()
                    .for_each(|conn| edge.send(conn, vector(links, logs, conn, true)));
            }
        }
        if let Some(conn) = random {
            edge.send(conn, Message::Hash(hash(links, logs, conn)).bytes());
        }
        self.publish(edge, links, logs);
    }
}

/// What that replica lacks of a log, in the form of that protocol.
fn part(
    logs: &Logs,
    protocol: Protocol,
    (owner, from): (NodeId, Progress),
    bytes: usize,
    pushed: bool,
) -> Option<Bytes> {
    let message = if protocol >= Protocol::PROVED {
        let delta = logs.proved_delta(owner, from, bytes)?;
        Message::Proved { delta, pushed }
    } else {
        let delta = logs.delta(owner, from, bytes)?;
        Message::Part { delta, pushed }
    };
    Some(message.bytes())
}

/// How far the logs are here, as it is said on that connection.
pub(super) fn vector(links: &dyn Routes, logs: &Logs, conn: ConnId, answer: bool) -> Bytes {
    let message = if links.protocol(conn) >= Protocol::PROVED {
        Message::Heads {
            heads: logs.heads().map(Claimed::from).collect(),
            answer,
        }
    } else {
        Message::Vector {
            positions: logs.vector().collect(),
            answer,
        }
    };
    message.bytes()
}

/// Over the logs, as it is said on that connection.
pub(super) fn hash(links: &dyn Routes, logs: &Logs, conn: ConnId) -> u64 {
    if links.protocol(conn) >= Protocol::PROVED {
        logs.proved_hash()
    } else {
        logs.hash()
    }
}
