//! Before leaving: which of this node's lists are known to be whole on some other member.

use super::rounds::Record;
use crate::wire::RequestId;
use crdt::digest::Digest;
use crdt::vector::{Part, VersionVector, Walk};
use names::{ListId, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Lists that a peer is asked about at once.
const MAX_OPEN: usize = 256;

/// A peer that is asked whether it has all that this node has of a list, part by part.
#[derive(Debug)]
struct Asked {
    /// The sum that the list had here before its vector was read.
    sum: u64,
    walk: Walk,
    /// The part that the peer was asked for last, if it has not answered.
    open: Option<Part>,
}

/// What came of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// Nothing: it was not asked for.
    Nothing,
    /// The peer is to be asked for the next part.
    Part,
    /// The peer has all of the list.
    All,
}

/// Clients that wait for it, and what is known so far; nothing is kept while nobody waits.
#[derive(Debug, Default)]
pub(super) struct Departure {
    requests: BTreeSet<RequestId>,
    /// What of ours somebody has: the sum that the list had here.
    confirmed: BTreeMap<ListId, u64>,
    asked: BTreeMap<(NodeId, ListId), Asked>,
}

impl Departure {
    pub(super) fn begin(&mut self, request: RequestId) {
        self.requests.insert(request);
    }

    pub(super) fn is_wanted(&self) -> bool {
        !self.requests.is_empty()
    }

    pub(super) fn expects(&self, request: RequestId) -> bool {
        self.requests.contains(&request)
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// A round with a peer is over: what did not differ is there. Gives the lists to ask that peer
    /// about.
    pub(super) fn compared(
        &mut self,
        digest: &Digest,
        quarantined: &BTreeSet<ListId>,
        peer: NodeId,
        record: &Record,
    ) -> Vec<ListId> {
        if !self.is_wanted() {
            return Vec::new();
        }
        for (list, sum) in digest.iter() {
            if !record.differing.contains(&list) && !record.changed.contains(&list) {
                self.confirmed.insert(list, sum);
            }
        }
        self.asked.retain(|(other, _), _| *other != peer);
        let doubtful = record
            .differing
            .iter()
            .chain(&record.changed)
            .chain(quarantined)
            .copied();
        let lists: Vec<ListId> = doubtful
            .filter(|list| !self.is_confirmed(digest, *list))
            .take(MAX_OPEN)
            .collect();
        for list in &lists {
            let asked = Asked {
                sum: digest.get(*list).unwrap_or_default(),
                walk: Walk::default(),
                open: None,
            };
            self.asked.insert((peer, *list), asked);
        }
        lists
    }

    /// What that peer is to be asked for now.
    pub(super) fn next_part(
        &mut self,
        peer: NodeId,
        list: ListId,
        ours: &VersionVector,
        most: usize,
    ) -> Option<VersionVector> {
        let asked = self.asked.get_mut(&(peer, list))?;
        let part = asked.walk.part(ours, most);
        Some(asked.open.insert(part).vector.clone())
    }

    /// A peer has all of `vector`.
    pub(super) fn have(&mut self, peer: NodeId, list: ListId, vector: &VersionVector) -> Answered {
        let Some(asked) = self.asked.get_mut(&(peer, list)) else {
            return Answered::Nothing;
        };
        let Some(part) = asked.open.take_if(|part| vector.covers(&part.vector)) else {
            return Answered::Nothing;
        };
        if let Some(walk) = asked.walk.after(part.span) {
            asked.walk = walk;
            return Answered::Part;
        }
        self.confirmed.insert(list, asked.sum);
        self.asked.remove(&(peer, list));
        Answered::All
    }

    /// How many lists nobody else is known to have whole.
    pub(super) fn unconfirmed(&self, digest: &Digest, quarantined: &BTreeSet<ListId>) -> u64 {
        let open = digest
            .iter()
            .map(|(list, _)| list)
            .chain(quarantined.iter().copied());
        u64::try_from(
            open.filter(|list| !self.is_confirmed(digest, *list))
                .count(),
        )
        .unwrap_or(u64::MAX)
    }

    /// A client waits no longer.
    pub(super) fn expire(&mut self, request: RequestId) {
        self.requests.remove(&request);
        if self.requests.is_empty() {
            *self = Self::default();
        }
    }

    /// Takes all clients out, and forgets what is known.
    pub(super) fn finish(&mut self) -> impl Iterator<Item = RequestId> + use<> {
        let done = std::mem::take(self);
        done.requests.into_iter()
    }

    fn is_confirmed(&self, digest: &Digest, list: ListId) -> bool {
        let confirmed = self.confirmed.get(&list);
        match digest.get(list) {
            Some(sum) => confirmed == Some(&sum),
            None => confirmed.is_some(),
        }
    }
}
