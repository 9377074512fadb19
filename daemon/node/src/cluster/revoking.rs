//! Shutting nodes out: what follows from a revocation. Its form and how it spreads are told in
//! [`roster`](super::roster).

use super::Cluster;
use super::io::Output;
use super::message::Message;
use crate::wire::{CloseReason, ConnId, Protocol};
use crdt::roster::Revocation;
use names::NodeId;
use std::collections::BTreeSet;

impl Cluster {
    /// Tells who is shut out, which the transport then refuses in handshakes.
    pub(super) fn tell_revoked(&mut self) {
        let revocations = self.roster.revocations().cloned();
        self.edge
            .put(Output::Revoked(revocations.collect::<Vec<_>>().into()));
    }

    /// Those nodes are shut out from now on. The view tells of it, and the registry ends what they had.
    pub(super) fn revoked(&mut self, nodes: &BTreeSet<NodeId>) {
        for node in nodes {
            let told = self.roster.revocation(*node).map(Revocation::told);
            let told = told.unwrap_or_default();
            tracing::warn!(%node, name = told.name, reason = told.reason, by = told.by, "a node is revoked");
            if *node == self.me.id {
                continue;
            }
            let conns: Vec<ConnId> = self.connections.of(*node).map(|(conn, _)| conn).collect();
            for conn in conns {
                self.close(conn, CloseReason::Revoked);
            }
            self.swim.dismiss(&mut self.edge, *node);
            self.swim.forget(&mut self.edge, *node);
            self.with_registry(|registry, _| registry.revoke(*node));
        }
        let nodes: Vec<NodeId> = nodes.iter().copied().collect();
        self.roster_changed(&nodes);
        self.tell_revoked();
    }

    /// Tells everybody at once, not only some peers.
    pub(super) fn broadcast_revocation(&mut self, node: NodeId) {
        let revocations = self.roster.revocations_of(&BTreeSet::from([node]));
        let message = Message::Revocations(revocations).bytes();
        for conn in self.connections.currents() {
            if self.connections.protocol(conn) >= Protocol::PROVED {
                self.edge.send(conn, message.clone());
            }
        }
    }
}
