//! What goes between the documents and their replication.
//!
//! Replication is lent [`Documents`](super::documents::Documents) and calls them. Some calls are
//! answered at once: by what became of a peer's changes ([`Received`]), or by a list's vector
//! ([`NamedVector`]) if the disk need not be read for it. What else follows from a call, and what
//! happens in the documents by themselves, is an [`Event`]: the router hands the events on after
//! each step of the documents, in their order.

use super::io::{Change, Refusal, Reply};
use super::job::{Answer, Progress, SourceError};
use crate::time::Instant;
use crate::wire::RequestId;
use bytes::Bytes;
use crdt::list::RawChange;
use crdt::vector::{Mark, Tip, VersionVector};
use names::{ChangeId, ListId, ListName, NodeId};
use std::collections::BTreeMap;

/// What happened in the documents, for replication.
#[derive(Debug)]
pub(super) enum Event {
    /// A write is on the disk: now everybody may learn of it.
    Committed(Committed),
    /// What a client asked for was on the disk already; it waits until other nodes have it, too.
    Answer { list: ListId, verdict: Verdict },
    /// Changes came that the document had already: who asked for their confirmation may get it now.
    Repeated(ListId),
    /// Changes of a list came that lack others, the first ones of that list.
    Orphaned(ListId),
    /// That peer sent a change that would have spoiled a document.
    Spoiling(NodeId),
    /// That peer sent a change whose number is taken by another one.
    Forking {
        peer: NodeId,
        list: ListId,
        id: ChangeId,
    },
    /// In the place of a change that this peer sent this one is, or was until a moment ago.
    Unlike {
        peer: NodeId,
        list: ListId,
        ours: Tip,
    },
    /// No changes of peers wait for this list any more, neither to be applied nor to be committed.
    Idle(ListId),
    /// A list's vector was read, as
    /// [`Documents::read_vector`](super::documents::Documents::read_vector) asked.
    VectorRead {
        list: ListId,
        found: Result<NamedVector, SourceError>,
    },
    /// Changes were read for a peer, as
    /// [`Documents::read_changes`](super::documents::Documents::read_changes) asked; `None` if
    /// there is no such list.
    ChangesRead {
        list: ListId,
        to: NodeId,
        found: Result<Option<Answer>, SourceError>,
    },
    /// This node derives its actors from another salt: peers are to know it.
    Salted,
    /// What stays of changes with one number was settled, and is on the disk: peers are to know it, and
    /// what this node has written anew.
    Settled {
        list: ListId,
        name: ListName,
        settled: Vec<Bytes>,
        changes: Vec<RawChange>,
    },
    /// Nothing of that list is here any more: it is to be taken from the peers.
    Dropped(ListId),
    /// That node has said of two changes with one number that they are its own.
    Contradicting { node: NodeId, list: ListId },
    /// A commit failed: the documents forgot all that was not on the disk, and all that was to be
    /// read.
    Failed,
}

/// A write that is on the disk.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) list: ListId,
    /// The answers that waited for it, in their order.
    pub(super) verdicts: Vec<Verdict>,
    /// What it changed in the list, if it did.
    pub(super) changed: Option<Changed>,
}

/// What a write changed in a list.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) origin: Origin,
    pub(super) changes: Vec<RawChange>,
    /// For those who watch the list.
    pub(super) shown: Change,
}

/// Who made the changes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Clients of this node: they are pushed to the peers.
    Local,
    /// Others: they came from peers.
    Remote,
}

/// What a client is told once all that it could reveal is on disk.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) request: RequestId,
    pub(super) result: Result<Reply, Refusal>,
    /// Other nodes that shall have it first.
    pub(super) wish: Option<Wish>,
}

/// On how many nodes in all a change shall be, and until when the client waits.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) asked: usize,
    pub(super) goal: VersionVector,
    pub(super) deadline: Instant,
    /// Whether the push itself asks the peers to confirm it.
    pub(super) pushed: bool,
}

/// How far a list is on the disk.
#[derive(Debug, Default)]
pub(super) struct NamedVector {
    /// `None` if there is no such list.
    pub(super) name: Option<ListName>,
    pub(super) vector: VersionVector,
    /// Which changes are before its last ones, as far as somebody wanted to know.
    pub(super) earlier: BTreeMap<ChangeId, Mark>,
    /// What the list is without, as records.
    pub(super) left_out: Vec<Bytes>,
}

impl NamedVector {
    /// Whether it is known what is here at all those numbers that are here.
    pub(super) fn knows(&self, ids: &[ChangeId]) -> bool {
        let is_known = |id: &ChangeId| {
            self.vector.seq(id.actor) <= id.seq || id.seq == 0 || self.earlier.contains_key(id)
        };
        ids.iter().all(is_known)
    }

    /// The change that is here at that number, if that is known.
    fn at(&self, id: ChangeId) -> Option<Tip> {
        let last = self.vector.tip(id.actor).filter(|last| last.id == id);
        let earlier = || {
            let mark = Some(*self.earlier.get(&id)?);
            Some(Tip { id, mark })
        };
        last.or_else(earlier)
    }

    /// Whether that change is here. A peer that knows numbers only is answered by the number.
    pub(super) fn has(&self, theirs: Tip) -> bool {
        match theirs.mark {
            None => self.vector.seq(theirs.id.actor) >= theirs.id.seq,
            Some(_) => self
                .at(theirs.id)
                .is_some_and(|ours| !ours.is_unlike(&theirs)),
        }
    }

    /// The changes that are here in the places of those.
    pub(super) fn unlike(&self, theirs: impl IntoIterator<Item = Tip>) -> VersionVector {
        theirs
            .into_iter()
            .filter_map(|theirs| self.at(theirs.id).filter(|ours| ours.is_unlike(&theirs)))
            .collect()
    }
}

impl From<Option<Progress>> for NamedVector {
    fn from(found: Option<Progress>) -> Self {
        let Some(Progress {
            name,
            vector,
            earlier,
            left_out,
        }) = found
        else {
            return Self::default();
        };
        let earlier = earlier
            .into_iter()
            .filter_map(|tip| Some((tip.id, tip.mark?)));
        Self {
            name: Some(name),
            vector,
            earlier: earlier.collect(),
            left_out,
        }
    }
}

/// What became of changes that a peer sent.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// Those that were accepted, or are in the document already.
    pub(super) accepted: VersionVector,
    /// Whether some of them are in the document already.
    pub(super) some_known: bool,
}

/// When a list was used last, for the order of repairs: a larger one is newer. A list of which nothing is
/// here at all is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Newness(pub(super) u64);

impl Newness {
    pub(super) const UNKNOWN: Self = Self(u64::MAX);
    pub(super) const OLD: Self = Self(0);
}
