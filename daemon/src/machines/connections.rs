//! The order in which machines hear of connections.

use node::wire::ConnId;
use std::collections::BTreeMap;

/// A machine uses the connection to a peer that it heard of last. Of several, transport wants that
/// with the greatest (preferred, number) used: when another one comes, the one in use is told once
/// more.
#[derive(Debug, Default)]
pub(super) struct Connections(BTreeMap<[u8; 16], Vec<(bool, u64)>>);

impl Connections {
    /// Takes a new connection; gives those to be told to the machine, the one to be used last.
    pub(super) fn connected(&mut self, peer: [u8; 16], conn: u64, preferred: bool) -> Vec<ConnId> {
        let known = self.0.entry(peer).or_default();
        known.push((preferred, conn));
        known.sort_unstable();
        let used = known.last().map_or(conn, |(_, used)| *used);
        let mut told = vec![ConnId(conn)];
        told.extend((used != conn).then_some(ConnId(used)));
        told
    }

    /// Forgets a connection.
    pub(super) fn closed(&mut self, conn: u64) {
        self.0.retain(|_, known| {
            known.retain(|(_, other)| *other != conn);
            !known.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_connection_is_told_last() {
        let mut connections = Connections::default();
        assert_eq!(connections.connected([1; 16], 1, false), [ConnId(1)]);
        assert_eq!(connections.connected([1; 16], 2, true), [ConnId(2)]);
        assert_eq!(
            connections.connected([1; 16], 3, false),
            [ConnId(3), ConnId(2)]
        );
        assert_eq!(connections.connected([2; 16], 4, false), [ConnId(4)]);
        connections.closed(2);
        assert_eq!(connections.connected([1; 16], 5, false), [ConnId(5)]);
    }
}
