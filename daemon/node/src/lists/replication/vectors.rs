//! Questions that a list's *committed* version vector answers. A document in memory may be ahead of
//! the disk: then, or when there is none, the store is read.

use super::Replication;
use crate::lists::documents::Documents;
use crate::lists::edge::Edge;
use crate::lists::event::NamedVector;
use crate::lists::job::SourceError;
use crate::lists::wire::Message;
use crdt::vector::VersionVector;
use names::{ChangeId, ListId, NodeId};
use std::collections::{BTreeMap, BTreeSet};

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
    /// To see whether a peer that has this has another branch.
    Check { peer: NodeId, theirs: VersionVector },
    /// To look again at a list that differed.
    Recheck,
    /// To answer peers that asked whether these changes are here.
    Watch { open: Vec<ChangeId> },
    /// To ask that peer whether it has all that this node has.
    Depart(NodeId),
}

impl Purpose {
    /// The changes of a peer that are to be told from others with their numbers.
    fn earlier(&self) -> Vec<ChangeId> {
        match self {
            Self::Serve { theirs, .. } | Self::Check { theirs, .. } => {
                let marked = theirs.iter().filter(|tip| tip.mark.is_some());
                marked.map(|tip| tip.id).collect()
            }
            Self::Watch { open } => open.clone(),
            Self::Pull(_) | Self::Compare { .. } | Self::Recheck | Self::Depart(_) => Vec::new(),
        }
    }
}

/// Questions about one list.
#[derive(Debug, Default)]
struct Open {
    /// Those that the read under way answers.
    read: Vec<Purpose>,
    /// Those that came since it began.
    next: Vec<Purpose>,
}

/// Open questions; one read of the store answers all of a list that there were when it began.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    open: BTreeMap<ListId, Open>,
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
        let is_first = !self.open.contains_key(&list);
        self.open.entry(list).or_default().next.push(purpose);
        is_first
    }

    /// The store is read for all questions that wait: the changes that these need to know.
    fn begin(&mut self, list: ListId) -> Vec<ChangeId> {
        let Some(open) = self.open.get_mut(&list) else {
            return Vec::new();
        };
        open.read.append(&mut open.next);
        let earlier: BTreeSet<ChangeId> = open.read.iter().flat_map(Purpose::earlier).collect();
        earlier.into_iter().collect()
    }

    /// The vector was read: these are the questions that it answers. The flag: whether others came
    /// meanwhile, for which the store is to be read again.
    fn answered(&mut self, list: ListId) -> (Vec<Purpose>, bool) {
        let Some(open) = self.open.get_mut(&list) else {
            return (Vec::new(), false);
        };
        let read = std::mem::take(&mut open.read);
        let is_more = !open.next.is_empty();
        if !is_more {
            self.open.remove(&list);
        }
        self.count -= read.len();
        (read, is_more)
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
        let ours = documents.vector(list);
        match ours.filter(|ours| ours.knows(&purpose.earlier())) {
            Some(ours) => self.vector_known(edge, documents, list, &ours, purpose),
            None if self.vectors.add(edge, list, purpose) => {
                documents.read_vector(edge, list, self.vectors.begin(list));
            }
            None => {}
        }
    }

    pub(super) fn vector_read(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        list: ListId,
        found: Result<NamedVector, SourceError>,
    ) {
        let (purposes, is_more) = self.vectors.answered(list);
        if is_more {
            documents.read_vector(edge, list, self.vectors.begin(list));
        }
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
                let now = edge.now.instant;
                if let Some(most) = self.pulls.ask(now, &mut self.flows, peer, list) {
                    let most_bytes = u32::try_from(most).unwrap_or(u32::MAX);
                    // Where the peer's branch leaves ours is not known.
                    let vector = ours.vector.without(self.forks.of(peer, list));
                    self.send_to(edge, peer, list, |protocol| {
                        Message::pull(protocol, list, &vector, most_bytes)
                    });
                }
            }
            Purpose::Compare { peer, answer } => {
                self.tell_left_out(edge, (peer, list), &ours.left_out);
                self.send_to(edge, peer, list, |protocol| {
                    Message::compare(protocol, list, &ours.vector, answer)
                });
            }
            Purpose::Recheck => {
                let forks = &self.forks;
                let is_forked = |peer| forks.any(peer, list);
                if let Some(peer) = self.differing.recheck(list, &ours.vector, is_forked) {
                    self.repair(edge, documents, peer, list);
                }
            }
            Purpose::Check { peer, theirs } => {
                self.check(edge, documents, (peer, list), ours, &theirs);
            }
            Purpose::Watch { .. } => self.check_watchers(edge, documents, list, ours),
            Purpose::Depart(peer) => {
                self.departure.asked(peer, list, ours.vector.clone());
                self.send_to(edge, peer, list, |protocol| {
                    Message::confirm(protocol, list, &ours.vector)
                });
            }
        }
    }
}
