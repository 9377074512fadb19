//! Lists that differed once. Under load every list that is being written differs for a moment; to
//! repair those would feed the load on itself. So each side remembers what the other had, and looks
//! again a second after it has heard that: only if it is still not covered was something lost. What
//! the other said before stands in front of that in its stream, however long the link takes.
//!
//! Who finds the difference says what it has, and hears where the other has something else. Where the
//! vector has several parts, the answer to one brings the next one; so they go one by one, however many
//! there are. A look that ends before them all is taken up there by the next one.

use super::flow::Flows;
use super::reached::Reached;
use crate::lists::edge::{Edge, Timer};
use crate::time::Instant;
use crdt::vector::{PART_ROWS, Part, Span, VersionVector, Walk};
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
    /// What this node lacked of what the peer had.
    lacking: Option<VersionVector>,
    /// The parts of our vector that are to be said, where this node says them.
    walk: Option<Walk>,
    /// The one that was said last.
    said: Option<Span>,
    /// Whether another part was said since the look began, or was prolonged.
    has_moved: bool,
    due: Instant,
}

impl Look {
    fn with(peer: NodeId, due: Instant) -> Self {
        Self {
            peer,
            due,
            lacking: None,
            walk: None,
            said: None,
            has_moved: false,
        }
    }
}

/// The lists that are looked at.
#[derive(Debug, Default)]
pub(super) struct Differing {
    looks: BTreeMap<ListId, Look>,
    reached: Reached,
}

impl Differing {
    /// A list's sums differ. True if it is looked at from now on: tell that peer our vector.
    pub(super) fn note(
        &mut self,
        edge: &mut Edge,
        flows: &Flows,
        peer: NodeId,
        list: ListId,
    ) -> bool {
        if !self.watch(edge, flows, peer, list) {
            return false;
        }
        let walk = self.reached.walk(peer, list);
        if let Some(look) = self.looks.get_mut(&list) {
            look.walk = Some(walk);
        }
        true
    }

    fn watch(&mut self, edge: &mut Edge, flows: &Flows, peer: NodeId, list: ListId) -> bool {
        if self.looks.contains_key(&list) || self.looks.len() >= MAX_DIFFERING {
            return false;
        }
        let due = edge.now.instant + unheard(flows, peer);
        self.looks.insert(list, Look::with(peer, due));
        edge.at(due, Timer::Recheck(list));
        true
    }

    /// What this node lacked of what the peer had when its sum differed. As much is remembered as one
    /// part may have: if all of that has come, the next look is at the rest.
    pub(super) fn lacking(
        &mut self,
        edge: &mut Edge,
        flows: &Flows,
        (peer, list): (NodeId, ListId),
        lacking: &VersionVector,
    ) {
        self.watch(edge, flows, peer, list);
        if let Some(look) = self.looks.get_mut(&list).filter(|look| look.peer == peer) {
            if look.lacking.is_none() {
                look.due = edge.now.instant + PATIENCE;
                edge.at(look.due, Timer::Recheck(list));
            }
            let known = look.lacking.get_or_insert_default();
            let room = PART_ROWS.saturating_sub(known.len());
            lacking.iter().take(room).for_each(|tip| known.insert(tip));
        }
    }

    /// The part of our vector that this peer is to be told now, if this node tells it any.
    pub(super) fn next_part(
        &mut self,
        peer: NodeId,
        list: ListId,
        ours: &VersionVector,
        most: usize,
    ) -> Option<Part> {
        let look = self.looks.get_mut(&list);
        let look = look.filter(|look| look.peer == peer && look.said.is_none())?;
        let part = look.walk?.part(ours, most);
        look.said = Some(part.span);
        Some(part)
    }

    /// The peer has answered the part that was said last. Whether another one is to be said.
    pub(super) fn goes_on(&mut self, peer: NodeId, list: ListId) -> bool {
        let look = self.looks.get_mut(&list);
        let Some(look) = look.filter(|look| look.peer == peer) else {
            return false;
        };
        let (Some(walk), Some(said)) = (look.walk, look.said.take()) else {
            return false;
        };
        look.walk = walk.after(said);
        look.has_moved |= look.walk.is_some();
        look.walk.is_some()
    }

    /// Whether the time of the second look has come.
    pub(super) fn is_due(&self, now: Instant, list: ListId) -> bool {
        self.looks.get(&list).is_some_and(|look| look.due <= now)
    }

    /// A peer is gone: a round follows when it comes back.
    pub(super) fn gone(&mut self, peer: NodeId) {
        self.looks.retain(|_, look| look.peer != peer);
    }

    /// The second look is not possible.
    pub(super) fn forget(&mut self, list: ListId) {
        self.looks.remove(&list);
    }

    /// The second look, with what this node has by now: the peer to repair with, if something was
    /// lost, or it is on another branch. A look that is still on its way through the parts, and found
    /// nothing so far, goes on.
    pub(super) fn recheck(
        &mut self,
        edge: &mut Edge,
        flows: &Flows,
        (list, ours): (ListId, &VersionVector),
        is_forked: impl Fn(NodeId) -> bool,
    ) -> Option<NodeId> {
        let look = self.looks.get_mut(&list)?;
        let peer = look.peer;
        let lacking = look.lacking.as_ref();
        let is_lost =
            lacking.is_some_and(|lacking| !lacking.missing_in(ours).is_empty() || is_forked(peer));
        if !is_lost && std::mem::take(&mut look.has_moved) {
            look.due = edge.now.instant + unheard(flows, peer);
            edge.at(look.due, Timer::Recheck(list));
            return None;
        }
        if let Some(walk) = self.looks.remove(&list).and_then(|look| look.walk) {
            self.reached.note(peer, list, walk);
        }
        is_lost.then_some(peer)
    }

    pub(super) fn clear(&mut self) {
        self.looks.clear();
    }
}

/// How long the peer's next part may be on its way.
fn unheard(flows: &Flows, peer: NodeId) -> Duration {
    flows.limit(peer, UNHEARD, BEFORE_BYTES)
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
        differing.lacking(&mut edge_at(3_000), &flows, (PEER, LIST), &vector);
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
