//! Before leaving: which of this node's lists are known to be whole on some other member.

use super::rounds::Record;
use crate::wire::RequestId;
use crdt::digest::Digest;
use crdt::vector::VersionVector;
use names::{ListId, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Lists that a peer is asked about at once.
const MAX_OPEN: usize = 256;

/// Clients that wait for it, and what is known so far; nothing is kept while nobody waits.
#[derive(Debug, Default)]
pub(super) struct Departure {
    requests: BTreeSet<RequestId>,
    /// What of ours somebody has: the sum that the list had here.
    confirmed: BTreeMap<ListId, u64>,
    asked: BTreeMap<(NodeId, ListId), VersionVector>,
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
        doubtful
            .filter(|list| !self.is_confirmed(digest, *list))
            .take(MAX_OPEN)
            .collect()
    }

    /// That peer is being asked whether it has all of that.
    pub(super) fn asked(&mut self, peer: NodeId, list: ListId, vector: VersionVector) {
        if self.is_wanted() {
            self.asked.insert((peer, list), vector);
        }
    }

    /// A peer has all of `vector`. True if that was the last open question.
    pub(super) fn have(&mut self, peer: NodeId, list: ListId, vector: &VersionVector) -> bool {
        let Some(asked) = self
            .asked
            .get(&(peer, list))
            .filter(|asked| vector.covers(asked))
        else {
            return false;
        };
        self.confirmed.insert(list, asked.sums(list).content);
        self.asked.remove(&(peer, list));
        self.asked.is_empty()
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
