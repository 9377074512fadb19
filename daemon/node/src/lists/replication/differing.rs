//! Lists that differed once. Under load every list that is being written differs for a moment; to
//! repair those would feed the load on itself. So each side remembers what the other had, and looks
//! again a second later: only if that is still not covered was something lost.

use crate::lists::edge::{Edge, Timer};
use crdt::vector::VersionVector;
use names::{ListId, NodeId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Lists that are watched at once; the others are found again by a later round.
const MAX_DIFFERING: usize = 64;
/// How long a push may be on its way.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Look {
    peer: NodeId,
    theirs: Option<VersionVector>,
}

#[derive(Debug, Default)]
pub(super) struct Differing(BTreeMap<ListId, Look>);

impl Differing {
    /// A list's sums differ. True if it is looked at from now on: tell that peer our vector.
    pub(super) fn note(&mut self, edge: &mut Edge, peer: NodeId, list: ListId) -> bool {
        if self.0.contains_key(&list) || self.0.len() >= MAX_DIFFERING {
            return false;
        }
        self.0.insert(list, Look { peer, theirs: None });
        edge.after(PATIENCE, Timer::Recheck(list));
        true
    }

    /// What the peer had when its sum differed.
    pub(super) fn theirs(
        &mut self,
        edge: &mut Edge,
        peer: NodeId,
        list: ListId,
        vector: VersionVector,
    ) {
        self.note(edge, peer, list);
        if let Some(look) = self.0.get_mut(&list).filter(|look| look.peer == peer) {
            look.theirs = Some(vector);
        }
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
