//! Repairs of single lists: which of them begin, and when they go on.

use super::Replication;
use super::pulls::Step;
use super::vectors::Purpose;
use crate::lists::documents::Documents;
use crate::lists::edge::{Edge, Timer};
use crate::lists::event::NamedVector;
use crate::lists::wire::{Message, most_rows};
use names::{ListId, NodeId};
use std::time::Duration;

/// How long changes that are missing may still be on their way, before they are asked for: so long, and a
/// round trip of the farthest peer, whose changes a nearer one may have written on.
const ORPHANS_AFTER: Duration = Duration::from_millis(250);
/// Changes that still lack others after this long are dropped, unless their list is being repaired: what
/// they lack may be gone with a disk that was restored from a backup. If anybody has both, the next
/// comparison of all lists brings them back.
const ORPHANS_UNTIL: Duration = Duration::from_secs(8);

impl Replication {
    /// Has a list repaired with that peer, as soon as there is room.
    pub(in crate::lists) fn repair(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        peer: NodeId,
        list: ListId,
    ) {
        self.queue_repair(documents, peer, list);
        self.begin_repairs(edge, documents);
    }

    /// Takes a list from all members that have it.
    pub(super) fn take_from_all(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        list: ListId,
    ) {
        let members: Vec<NodeId> = self.peers.heard().map(|(peer, _)| peer).collect();
        for peer in members {
            self.queue_repair(documents, peer, list);
        }
        self.begin_repairs(edge, documents);
    }

    /// The same, but does not begin yet. False if too many wait.
    pub(super) fn queue_repair(
        &mut self,
        documents: &Documents,
        peer: NodeId,
        list: ListId,
    ) -> bool {
        let possible = !documents.is_quarantined(list) && self.peers.conn_of(peer).is_some();
        !possible || self.pulls.queue(peer, list, documents.newness(list))
    }

    /// Begins with the repairs for which there is room.
    pub(super) fn begin_repairs(&mut self, edge: &mut Edge, documents: &mut Documents) {
        while let Some((peer, list)) = self.pulls.next(edge.now.instant, &self.flows) {
            self.with_vector(edge, documents, list, Purpose::Pull(peer));
        }
    }

    /// Asks a peer for what it has and this node lacks, or for what it has of some actors.
    pub(super) fn ask(
        &mut self,
        edge: &mut Edge,
        (peer, list): (NodeId, ListId),
        ours: &NamedVector,
    ) {
        let Some(conn) = self.peers.conn_of(peer) else {
            return;
        };
        let protocol = self.peers.protocol_of(conn);
        // Where the peer's branch leaves ours is not known.
        let ours = ours.vector.without(self.forks.of(peer, list));
        let most_rows = most_rows(protocol);
        let asked = self.pulls.ask(
            edge.now.instant,
            &mut self.flows,
            (peer, list),
            (&ours, most_rows),
        );
        if let Some((part, most_bytes)) = asked {
            let most_bytes = u32::try_from(most_bytes).unwrap_or(u32::MAX);
            let message = Message::pull(protocol, list, &part, most_bytes);
            edge.send_about(conn, list, &message);
        }
    }

    /// Goes on with the repair of a list.
    pub(super) fn repair_step(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        list: ListId,
        step: Step,
    ) {
        match step {
            Step::Look(peer) => self.with_vector(edge, documents, list, Purpose::Pull(peer)),
            Step::Over => self.begin_repairs(edge, documents),
            Step::Wait => {}
        }
    }

    /// Changes of a list lack others.
    pub(super) fn await_missing(&self, edge: &mut Edge, list: ListId) {
        let peers = self.peers.iter().map(|(peer, _)| peer);
        let after = self.flows.slowest(peers, ORPHANS_AFTER);
        edge.after(after, Timer::Orphans(list));
        edge.after(after + ORPHANS_UNTIL, Timer::Abandon(list));
    }

    /// Changes of a list have lacked others for too long, unless those are on their way.
    pub(in crate::lists) fn abandon(
        &self,
        edge: &mut Edge,
        documents: &mut Documents,
        list: ListId,
    ) {
        if self.pulls.is_active(list) {
            edge.after(ORPHANS_UNTIL, Timer::Abandon(list));
        } else {
            documents.drop_orphans(edge, list);
        }
    }
}
