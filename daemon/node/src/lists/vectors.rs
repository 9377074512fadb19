//! Questions that a list's *committed* version vector answers. A document in memory may be ahead of
//! the disk: then, or when there is none, the store is read.

use super::edge::Edge;
use super::job::Job;
use super::jobs::Jobs;
use crdt::vector::VersionVector;
use names::{ListId, NodeId};
use std::collections::BTreeMap;

/// Questions that can be open at once.
const MAX_OPEN: usize = 16_384;

/// What a vector is wanted for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// To send a peer what it lacks.
    Serve {
        peer: NodeId,
        theirs: VersionVector,
        most_bytes: usize,
    },
    /// To ask that peer for what this node lacks.
    Pull(NodeId),
    /// To tell a peer, because our sums differed.
    Compare { peer: NodeId, answer: bool },
    /// To look again at a list that differed.
    Recheck,
    /// To answer peers that asked what this node has.
    Watch,
    /// To ask that peer whether it has all that this node has.
    Depart(NodeId),
}

/// Open questions; one job per list answers all of its.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    open: BTreeMap<ListId, Vec<Purpose>>,
    count: usize,
}

impl Vectors {
    pub(super) fn read(
        &mut self,
        edge: &mut Edge,
        jobs: &mut Jobs,
        list: ListId,
        purpose: Purpose,
    ) {
        if self.count >= MAX_OPEN {
            edge.stats.dropped += 1;
            return;
        }
        self.count += 1;
        let open = self.open.entry(list).or_default();
        open.push(purpose);
        if open.len() == 1 {
            jobs.push(edge, list, Job::Vector);
        }
    }

    /// The vector was read: these are the questions that it answers.
    pub(super) fn answered(&mut self, list: ListId) -> Vec<Purpose> {
        let open = self.open.remove(&list).unwrap_or_default();
        self.count -= open.len();
        open
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.count = 0;
    }
}
