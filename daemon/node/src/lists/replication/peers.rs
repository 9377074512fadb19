//! Which connections there are, and which one of a peer is in use: the newest.

use crate::wire::{ConnId, Protocol};
use names::{NodeId, Role};
use std::collections::BTreeMap;

/// A peer may have several connections for a moment. All are listened to; only the one that came
/// last is sent on.
#[derive(Debug, Default)]
pub(super) struct Peers {
    conns: BTreeMap<ConnId, Conn>,
    current: BTreeMap<NodeId, ConnId>,
}

#[derive(Clone, Copy, Debug)]
struct Conn {
    peer: NodeId,
    role: Role,
    protocol: Protocol,
}

impl Peers {
    pub(super) fn connected(
        &mut self,
        (peer, role): (NodeId, Role),
        conn: ConnId,
        protocol: Protocol,
    ) {
        let known = Conn {
            peer,
            role,
            protocol,
        };
        self.conns.insert(conn, known);
        self.current.insert(peer, conn);
    }

    /// Forgets a connection. Gives its peer if that was its last one.
    pub(super) fn closed(&mut self, conn: ConnId) -> Option<NodeId> {
        let Conn { peer, .. } = self.conns.remove(&conn)?;
        if self.current.get(&peer) != Some(&conn) {
            return None;
        }
        self.current.remove(&peer);
        match self.conns.iter().rev().find(|(_, conn)| conn.peer == peer) {
            Some((&other, _)) => {
                self.current.insert(peer, other);
                None
            }
            None => Some(peer),
        }
    }

    pub(super) fn peer_of(&self, conn: ConnId) -> Option<NodeId> {
        self.conns.get(&conn).map(|conn| conn.peer)
    }

    /// Whether a peer is an observer: what it has counts for nothing, and nothing is taken from it.
    pub(super) fn is_observer(&self, peer: NodeId) -> bool {
        let conn = self.conn_of(peer).and_then(|conn| self.conns.get(&conn));
        conn.is_some_and(|conn| conn.role == Role::Observer)
    }

    /// Which version of the protocol a connection speaks; the newest if it is gone, on which nothing
    /// is sent any more.
    pub(super) fn protocol_of(&self, conn: ConnId) -> Protocol {
        let conn = self.conns.get(&conn);
        conn.map_or(Protocol::PROVED, |conn| conn.protocol)
    }

    pub(super) fn conn_of(&self, peer: NodeId) -> Option<ConnId> {
        self.current.get(&peer).copied()
    }

    /// The peers whose word counts, with the connection in use.
    pub(super) fn heard(&self) -> impl Iterator<Item = (NodeId, ConnId)> + '_ {
        self.iter().filter(|(peer, _)| !self.is_observer(*peer))
    }

    /// Every peer with the connection in use, in the order of ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, ConnId)> + '_ {
        self.current.iter().map(|(&peer, &conn)| (peer, conn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_connection_is_used_and_the_older_one_takes_over() {
        let peer = NodeId([1; 16]);
        let mut peers = Peers::default();
        let (who, protocol) = ((peer, Role::Member), Protocol::PROVED);
        peers.connected(who, ConnId(2), protocol);
        peers.connected(who, ConnId(1), protocol);
        assert_eq!(peers.conn_of(peer), Some(ConnId(1)));
        assert_eq!(peers.closed(ConnId(1)), None);
        assert_eq!(peers.conn_of(peer), Some(ConnId(2)));
        assert_eq!(peers.closed(ConnId(2)), Some(peer));
        assert_eq!(peers.closed(ConnId(2)), None);
    }
}
