//! The order in which the machines hear of connections.

use crate::wire::ConnId;
use names::NodeId;
use std::collections::BTreeMap;

/// A machine uses the connection to a peer that it heard of last. Of several, both ends want the
/// same one: that with the greatest (preferred, number), where the one dialled by the smaller id is
/// preferred. When another one comes, the one in use is told once more.
#[derive(Debug, Default)]
pub struct Preference(BTreeMap<NodeId, Vec<(bool, ConnId)>>);

impl Preference {
    /// Takes a new connection; gives those to be told to the machine, the one to be used last.
    pub fn connected(&mut self, peer: NodeId, conn: ConnId, preferred: bool) -> Vec<ConnId> {
        let known = self.0.entry(peer).or_default();
        known.push((preferred, conn));
        known.sort_unstable();
        let used = known.last().map_or(conn, |(_, used)| *used);
        let mut told = vec![conn];
        told.extend((used != conn).then_some(used));
        told
    }

    /// Forgets a connection.
    pub fn closed(&mut self, conn: ConnId) {
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
        let mut preference = Preference::default();
        let mut told = |peer: u8, conn, preferred| {
            let told = preference.connected(NodeId([peer; 16]), ConnId(conn), preferred);
            told.into_iter().map(|conn| conn.0).collect::<Vec<_>>()
        };
        assert_eq!(told(1, 1, false), [1]);
        assert_eq!(told(1, 2, true), [2]);
        assert_eq!(told(1, 3, false), [3, 2]);
        assert_eq!(told(2, 4, false), [4]);
        preference.closed(ConnId(2));
        let told = preference.connected(NodeId([1; 16]), ConnId(5), false);
        assert_eq!(told, [ConnId(5)]);
    }
}
