//! Which connections there are, and which one of a peer is in use: the newest.

use crate::wire::{ConnId, Protocol};
use names::NodeId;
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
    protocol: Protocol,
}

impl Peers {
    pub(super) fn connected(&mut self, peer: NodeId, conn: ConnId, protocol: Protocol) {
        self.conns.insert(conn, Conn { peer, protocol });
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

    /// Which version of the protocol a connection speaks; the newest if it is gone, on which nothing
    /// is sent any more.
    pub(super) fn protocol_of(&self, conn: ConnId) -> Protocol {
        let conn = self.conns.get(&conn);
        conn.map_or(Protocol::PROVED, |conn| conn.protocol)
    }

    pub(super) fn conn_of(&self, peer: NodeId) -> Option<ConnId> {
        self.current.get(&peer).copied()
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
        let protocol = Protocol::PROVED;
        peers.connected(peer, ConnId(2), protocol);
        peers.connected(peer, ConnId(1), protocol);
        assert_eq!(peers.conn_of(peer), Some(ConnId(1)));
        assert_eq!(peers.closed(ConnId(1)), None);
        assert_eq!(peers.conn_of(peer), Some(ConnId(2)));
        assert_eq!(peers.closed(ConnId(2)), Some(peer));
        assert_eq!(peers.closed(ConnId(2)), None);
    }
}
