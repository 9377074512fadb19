//! Lists that differed once. Under load every list that is being written differs for a moment; to
//! repair those would feed the load on itself. So each side remembers what the other had, and looks
//! again a second after it has heard that: only if it is still not covered was something lost. What
//! the other said before stands in front of that in its stream, however long the link takes.

use super::flow::Flows;
use crate::lists::edge::{Edge, Timer};
use crate::time::Instant;
use crdt::vector::VersionVector;
use names::{ListId, NodeId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Lists that are watched at once; the others are found again by a later round.
const MAX_DIFFERING: usize = 64;
/// How long what has come may take to its place on the disk.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the peer's vector may be on its way over a link that is near.
const UNHEARD: Duration = Duration::from_secs(5);
/// Of so many bytes may stand before it in the peer's stream.
const BEFORE_BYTES: usize = 64 << 10;

#[derive(Debug)]
struct Look {
    peer: NodeId,
    theirs: Option<VersionVector>,
    due: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Differing(BTreeMap<ListId, Look>);

impl Differing {
    /// A list's sums differ. True if it is looked at from now on: tell that peer our vector.
    pub(super) fn note(
        &mut self,
        edge: &mut Edge,
        flows: &Flows,
        peer: NodeId,
        list: ListId,
    ) -> bool {
        if self.0.contains_key(&list) || self.0.len() >= MAX_DIFFERING {
            return false;
        }
        let due = edge.now.instant + flows.limit(peer, UNHEARD, BEFORE_BYTES);
        let theirs = None;
        self.0.insert(list, Look { peer, theirs, due });
        edge.at(due, Timer::Recheck(list));
        true
    }

    /// What the peer had when its sum differed.
    pub(super) fn theirs(
        &mut self,
        edge: &mut Edge,
        flows: &Flows,
        (peer, list): (NodeId, ListId),
        vector: VersionVector,
    ) {
        self.note(edge, flows, peer, list);
        if let Some(look) = self.0.get_mut(&list).filter(|look| look.peer == peer) {
            if look.theirs.is_none() {
                look.due = edge.now.instant + PATIENCE;
                edge.at(look.due, Timer::Recheck(list));
            }
            look.theirs = Some(vector);
        }
    }

    /// Whether the time of the second look has come.
    pub(super) fn is_due(&self, now: Instant, list: ListId) -> bool {
        self.0.get(&list).is_some_and(|look| look.due <= now)
    }

    /// A peer is gone: a round follows when it comes back.
    pub(super) fn gone(&mut self, peer: NodeId) {
        self.0.retain(|_, look| look.peer != peer);
    }

    /// The second look is not possible.
    pub(super) fn forget(&mut self, list: ListId) {
        self.0.remove(&list);
    }

    /// The second look, with what this node has by now: the peer to repair with, if something was
    /// lost, or it is on another branch.
    pub(super) fn recheck(
        &mut self,
        list: ListId,
        ours: &VersionVector,
        is_forked: impl Fn(NodeId) -> bool,
    ) -> Option<NodeId> {
        let look = self.0.remove(&list)?;
        look.theirs
            .is_some_and(|theirs| !theirs.missing_in(ours).is_empty() || is_forked(look.peer))
            .then_some(look.peer)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Now;

    const PEER: NodeId = NodeId([7; 16]);
    const LIST: ListId = ListId([1; 16]);

    fn edge_at(ms: u64) -> Edge {
        let mut now = Now::default();
        now.instant = now.instant + Duration::from_millis(ms);
        Edge::new(now)
    }

    #[test]
    fn what_a_far_peer_has_may_come_long_after_the_list_differed() {
        let (mut differing, flows) = (Differing::default(), Flows::default());
        assert!(differing.note(&mut edge_at(0), &flows, PEER, LIST));
        assert!(!differing.is_due(edge_at(3_000).now.instant, LIST));
        let vector = VersionVector::default();
        differing.theirs(&mut edge_at(3_000), &flows, (PEER, LIST), vector);
        assert!(!differing.is_due(edge_at(3_999).now.instant, LIST));
        assert!(differing.is_due(edge_at(4_000).now.instant, LIST));
    }

    #[test]
    fn a_peer_that_is_gone_takes_no_place() {
        let (mut differing, flows) = (Differing::default(), Flows::default());
        assert!(differing.note(&mut edge_at(0), &flows, PEER, LIST));
        differing.gone(PEER);
        let other = NodeId([8; 16]);
        assert!(differing.note(&mut edge_at(0), &flows, other, LIST));
    }
}
