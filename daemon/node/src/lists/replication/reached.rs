//! How far a way through the parts of a list's vector has come with a peer when it ended early: a
//! connection broke, or an answer stayed away. The next one begins there. So all parts have their turn,
//! also where no connection lasts for all of them.

use crdt::vector::Walk;
use names::{Actor, ListId, NodeId};
use std::collections::BTreeMap;

/// So many are remembered; the others begin with the first part.
const MAX_REACHED: usize = 1_024;

/// All that are remembered.
#[derive(Debug, Default)]
pub(super) struct Reached(BTreeMap<(NodeId, ListId), Actor>);

impl Reached {
    /// A way ended early.
    pub(super) fn note(&mut self, peer: NodeId, list: ListId, walk: Walk) {
        if walk.at() == Walk::default().at() {
            return;
        }
        if self.0.len() >= MAX_REACHED {
            self.0.pop_first();
        }
        self.0.insert((peer, list), walk.at());
    }

    /// The way to go.
    pub(super) fn walk(&mut self, peer: NodeId, list: ListId) -> Walk {
        let reached = self.0.remove(&(peer, list));
        reached.map(Walk::from).unwrap_or_default()
    }
}
