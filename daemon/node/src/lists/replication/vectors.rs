//! Questions that a list's *committed* version vector answers. A document in memory may be ahead of
//! the disk: then, or when there is none, the store is read.

use super::Replication;
use crate::lists::documents::Documents;
use crate::lists::edge::Edge;
use crate::lists::event::NamedVector;
use crate::lists::job::SourceError;
use crate::lists::wire::Message;
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

/// Open questions; one read of the store answers all of a list.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    open: BTreeMap<ListId, Vec<Purpose>>,
    count: usize,
}

impl Vectors {
    /// Notes a question. True if it is the list's first, for which the store is to be read.
    fn add(&mut self, edge: &mut Edge, list: ListId, purpose: Purpose) -> bool {
        if self.count >= MAX_OPEN {
            edge.stats.dropped += 1;
            return false;
        }
        self.count += 1;
        let open = self.open.entry(list).or_default();
        open.push(purpose);
        open.len() == 1
    }

    /// The vector was read: these are the questions that it answers.
    fn answered(&mut self, list: ListId) -> Vec<Purpose> {
        let open = self.open.remove(&list).unwrap_or_default();
        self.count -= open.len();
        open
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.count = 0;
    }
}

impl Replication {
    /// Does something that needs a list's committed version vector: at once if that is known, else
    /// when the store was read.
    pub(super) fn with_vector(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        list: ListId,
        purpose: Purpose,
    ) {
        if let Some(ours) = documents.vector(list) {
            self.vector_known(edge, documents, list, &ours, purpose);
        } else if self.vectors.add(edge, list, purpose) {
            documents.read_vector(edge, list);
        }
    }

    pub(super) fn vector_read(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        list: ListId,
        found: Result<NamedVector, SourceError>,
    ) {
        let purposes = self.vectors.answered(list);
        match found {
            Ok(ours) => {
                for purpose in purposes {
                    self.vector_known(edge, documents, list, &ours, purpose);
                }
            }
            // Everything else is asked again by those who want to know.
            Err(_) => self.differing.forget(list),
        }
    }

    fn vector_known(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        list: ListId,
        ours: &NamedVector,
        purpose: Purpose,
    ) {
        match purpose {
            Purpose::Serve {
                peer,
                theirs,
                most_bytes,
            } => self.answer_pull(edge, documents, (peer, list), ours, &theirs, most_bytes),
            Purpose::Pull(peer) => {
                if let Some(most) = self.pulls.ask(edge.now.instant, peer, list) {
                    let most_bytes = u32::try_from(most).unwrap_or(u32::MAX);
                    self.send_to(edge, peer, list, |protocol| {
                        Message::pull(protocol, list, &ours.vector, most_bytes)
                    });
                }
            }
            Purpose::Compare { peer, answer } => {
                self.send_to(edge, peer, list, |protocol| {
                    Message::compare(protocol, list, &ours.vector, answer)
                });
            }
            Purpose::Recheck => {
                if let Some(peer) = self.differing.recheck(list, &ours.vector) {
                    self.repair(edge, documents, peer, list);
                }
            }
            Purpose::Watch => {
                let answerable = self.watchers.committed_before(list, &ours.vector);
                self.answer_watchers(edge, list, answerable);
            }
            Purpose::Depart(peer) => {
                self.departure.asked(peer, list, ours.vector.clone());
                self.send_to(edge, peer, list, |protocol| {
                    Message::confirm(protocol, list, &ours.vector)
                });
            }
        }
    }
}
