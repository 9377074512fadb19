//! Shutting nodes out: what follows from a revocation, and from the withdrawal of an authority. Their form
//! and how they spread are told in [`roster`](super::roster).

use super::Cluster;
use super::io::{Chain, Output};
use super::message::Message;
use super::roster::Shut;
use crate::wire::{CloseReason, ConnId, Protocol};
use crdt::roster::Revocation;
use names::NodeId;
use std::collections::BTreeSet;

impl Cluster {
    /// Tells who is shut out, which the transport then refuses in handshakes.
    pub(super) fn tell_revoked(&mut self) {
        let revocations = self.roster.told_revocations().cloned();
        self.edge
            .put(Output::Revoked(revocations.collect::<Vec<_>>().into()));
    }

    /// The view tells who is shut out from now on, and the registry ends what they had.
    pub(super) fn shut_out(&mut self, news: &Shut) {
        for key in &news.subjects {
            if let Some(told) = self.roster.withdrawal(*key).map(Revocation::told) {
                tracing::warn!(%key, name = told.name, reason = told.reason, by = told.by, "an authority is withdrawn");
            }
        }
        for (node, run) in &news.out {
            let told = self.roster.shut_by(*node).map(Revocation::told);
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
            self.with_registry(|registry, _| registry.revoke(*node, *run));
        }
        for node in &news.back {
            tracing::info!(%node, "the revocation of a node counts no longer");
            self.with_registry(|registry, _| registry.readmit(*node));
        }
        let nodes = news.out.keys().chain(&news.changed);
        let nodes: Vec<NodeId> = nodes.copied().collect();
        self.roster_changed(&nodes);
        self.tell_revoked();
    }

    /// Tells everybody at once, not only some peers.
    pub(super) fn broadcast_revocation(&mut self, subject: NodeId) {
        let revocations = self.roster.revocations_of(&BTreeSet::from([subject]));
        let message = Message::Revocations(revocations).bytes();
        for conn in self.connections.currents() {
            if self.connections.protocol(conn) >= Protocol::PROVED {
                self.edge.send(conn, message.clone());
            }
        }
    }

    /// The chains with which the members have signed their lines.
    pub(super) fn chains(&self) -> Vec<Chain> {
        let members = self.roster.roster().members();
        members
            .filter_map(|(node, entry)| {
                let name = entry.profile.name.clone();
                let chain = self.roster.chain(node)?;
                Some(Chain { node, name, chain })
            })
            .collect()
    }
}
