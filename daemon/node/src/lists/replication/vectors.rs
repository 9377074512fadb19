//! Questions that a list's *committed* version vector answers. A document in memory may be ahead of
//! the disk: then, or when there is none, the store is read.

use super::Replication;
use crate::lists::documents::Documents;
use crate::lists::edge::Edge;
use crate::lists::event::NamedVector;
use crate::lists::job::SourceError;
use crate::lists::wire::{Message, most_rows};
use crdt::vector::{PART_ROWS, Part, VersionVector};
use names::{ChangeId, ListId, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Questions that can be open at once.
const MAX_OPEN: usize = 16_384;
/// Of how many actors they can speak, each of some hundred bytes: those of one peer, and all.
const MAX_ROWS_OF_PEER: usize = 16 * PART_ROWS;
const MAX_ROWS: usize = 256 * PART_ROWS;

/// What a vector is wanted for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// To send a peer what it lacks.
    Serve {
        peer: NodeId,
        theirs: Part,
        most_bytes: usize,
    },
    /// To ask that peer for what this node lacks.
    Pull(NodeId),
    /// To tell a peer, because our sums differed.
    Compare { peer: NodeId },
    /// To compare it with what a peer has, which says so because our sums differed, or as the answer to
    /// that.
    Compared {
        peer: NodeId,
        theirs: Part,
        answer: bool,
    },
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
            Self::Watch { open } => open.clone(),
            Self::Serve { .. }
            | Self::Compared { .. }
            | Self::Check { .. }
            | Self::Pull(_)
            | Self::Compare { .. }
            | Self::Recheck
            | Self::Depart(_) => {
                let theirs = self.theirs().into_iter();
                let tips = theirs.flat_map(|(_, theirs)| theirs.iter());
                let marked = tips.filter(|tip| tip.mark.is_some());
                marked.map(|tip| tip.id).collect()
            }
        }
    }

    /// What a peer has said, if it is about that.
    fn theirs(&self) -> Option<(NodeId, &VersionVector)> {
        match self {
            Self::Serve { peer, theirs, .. } | Self::Compared { peer, theirs, .. } => {
                Some((*peer, &theirs.vector))
            }
            Self::Check { peer, theirs } => Some((*peer, theirs)),
            Self::Watch { .. }
            | Self::Pull(_)
            | Self::Compare { .. }
            | Self::Recheck
            | Self::Depart(_) => None,
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
    /// Of how many actors the questions of each peer speak.
    rows: BTreeMap<NodeId, usize>,
}

impl Vectors {
    /// Notes a question. True if it is the list's first, for which the store is to be read.
    fn add(&mut self, edge: &mut Edge, list: ListId, purpose: Purpose) -> bool {
        if self.count >= MAX_OPEN || !self.has_room(&purpose) {
            edge.stats.dropped += 1;
            return false;
        }
        self.count += 1;
        if let Some((peer, theirs)) = purpose.theirs() {
            *self.rows.entry(peer).or_default() += theirs.len();
        }
        let is_first = !self.open.contains_key(&list);
        self.open.entry(list).or_default().next.push(purpose);
        is_first
    }

    fn has_room(&self, purpose: &Purpose) -> bool {
        let Some((peer, theirs)) = purpose.theirs() else {
            return true;
        };
        let of_peer = self.rows.get(&peer).copied().unwrap_or_default();
        let all: usize = self.rows.values().sum();
        // One question always has room, also a whole vector of a peer that knows no parts.
        of_peer == 0 || of_peer + theirs.len() <= MAX_ROWS_OF_PEER && all + theirs.len() <= MAX_ROWS
    }

    fn give_back(&mut self, purpose: &Purpose) {
        if let Some((peer, theirs)) = purpose.theirs()
            && let Some(rows) = self.rows.get_mut(&peer)
        {
            *rows = rows.saturating_sub(theirs.len());
            if *rows == 0 {
                self.rows.remove(&peer);
            }
        }
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
        read.iter().for_each(|purpose| self.give_back(purpose));
        (read, is_more)
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.rows.clear();
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
            Purpose::Pull(peer) => self.ask(edge, (peer, list), ours),
            Purpose::Compare { peer } => self.say_part(edge, (peer, list), ours),
            Purpose::Compared {
                peer,
                theirs,
                answer,
            } => self.compare_with(edge, documents, (peer, list), ours, (&theirs, answer)),
            Purpose::Recheck => {
                let forks = &self.forks;
                let is_forked = |peer| forks.any(peer, list);
                let lost =
                    self.differing
                        .recheck(edge, &self.flows, (list, &ours.vector), is_forked);
                if let Some(peer) = lost {
                    self.repair(edge, documents, peer, list);
                }
            }
            Purpose::Check { peer, theirs } => {
                self.check(edge, documents, (peer, list), ours, &theirs);
            }
            Purpose::Watch { .. } => self.check_watchers(edge, documents, list, ours),
            Purpose::Depart(peer) => {
                if let Some(conn) = self.peers.conn_of(peer) {
                    let protocol = self.peers.protocol_of(conn);
                    let most = most_rows(protocol);
                    let part = self.departure.next_part(peer, list, &ours.vector, most);
                    if let Some(part) = part {
                        let message = Message::confirm(protocol, list, &part);
                        edge.send_about(conn, list, &message);
                    }
                }
            }
        }
    }
}
