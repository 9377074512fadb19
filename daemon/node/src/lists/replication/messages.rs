//! What peers say.

use super::Replication;
use super::rounds;
use super::vectors::Purpose;
use crate::lists::documents::Documents;
use crate::lists::edge::Edge;
use crate::lists::owns;
use crate::lists::wire::{self, Chunk, Message, Pushed, Tail};
use crate::wire::{CloseReason, ConnId};
use bytes::Bytes;
use names::{ListId, ListName, NodeId, Shard};
use std::collections::BTreeSet;

/// How many buckets a shard has.
const BUCKETS: usize = 256;

/// How many shards a header names.
fn count((first, last): (Shard, Shard)) -> usize {
    usize::from(last.0.abs_diff(first.0)) + 1
}

impl Replication {
    /// A message came in. Gives the lists of which it brought changes: what waits for those may go
    /// on now.
    pub(in crate::lists) fn receive(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        conn: ConnId,
        bytes: &[u8],
    ) -> BTreeSet<ListId> {
        let Some(peer) = self.peers.peer_of(conn) else {
            return BTreeSet::new();
        };
        let Some((shards, message)) = wire::decode(bytes) else {
            self.sever(edge, documents, conn, CloseReason::Malformed);
            return BTreeSet::new();
        };
        // While the store is away nothing can be taken in, and what it has is not known for sure.
        if documents.failure().is_some() && !matches!(message, Message::Have { .. }) {
            return BTreeSet::new();
        }
        self.act_on(edge, documents, (peer, conn), shards, message)
    }

    fn act_on(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        from: (NodeId, ConnId),
        shards: (Shard, Shard),
        message: Message,
    ) -> BTreeSet<ListId> {
        let (peer, conn) = from;
        let mut changed = BTreeSet::new();
        match message {
            Message::Push(items) => changed = self.pushed(edge, documents, peer, items),
            Message::Chunk(chunk) => changed.extend(self.chunk(edge, documents, from, chunk)),
            Message::Changes {
                name,
                changes,
                tail,
            } => {
                changed.insert(self.answered(edge, documents, peer, &name, (changes, tail)));
            }
            Message::Root { sum, wake } => {
                self.answer_root(edge, documents, from, shards, (sum, wake));
            }
            Message::Equal(_) => self.equal(edge, documents, peer),
            Message::Shards(sums) if sums.len() == count(shards) => {
                self.compare_shards(edge, documents, from, shards.0, &sums);
            }
            Message::Buckets { shard, sums } if sums.len() == BUCKETS => {
                if (self.shards.0..=self.shards.1).contains(&shard) {
                    rounds::answer_buckets(edge, documents.digest(), conn, shard, &sums);
                }
            }
            Message::Leaves {
                shard,
                buckets,
                leaves,
                last,
            } if buckets.len() <= BUCKETS => {
                let buckets = buckets.into_iter().collect();
                self.differ(edge, documents, peer, (shard, &buckets), &leaves);
                if last {
                    self.finish_shard(edge, documents, from, shard);
                }
            }
            // A wrong number of sums is as malformed as wrong bytes.
            Message::Shards(_) | Message::Buckets { .. } | Message::Leaves { .. } => {
                self.sever(edge, documents, conn, CloseReason::Malformed)
            }
            Message::Compare { list, .. }
            | Message::Pull { list, .. }
            | Message::Nothing(list)
            | Message::Confirm { list, .. }
            | Message::Have { list, .. }
                if !owns(self.shards, list) => {}
            Message::Compare {
                list,
                vector,
                answer,
            } => self.compared(edge, documents, (peer, list), vector, answer),
            Message::Pull {
                list,
                vector,
                most_bytes,
            } => self.begin_serving(edge, documents, (peer, list), vector, most_bytes),
            Message::Nothing(list) => {
                let step = self.pulls.nothing(peer, list);
                self.repair_step(edge, documents, list, step);
            }
            Message::Confirm { list, vector } => {
                self.watch(edge, documents, (peer, list), vector);
            }
            Message::Have { list, vector } => self.have(edge, documents, (peer, list), &vector),
        }
        changed
    }

    fn pushed(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        peer: NodeId,
        items: Vec<Pushed>,
    ) -> BTreeSet<ListId> {
        let mut lists = BTreeSet::new();
        for Pushed {
            name,
            changes,
            confirm,
        } in items
        {
            lists.insert(ListId::of(&name));
            self.receive_changes(edge, documents, peer, &name, changes, confirm);
        }
        lists
    }

    /// A part of a large change came in. Gives its list if the part was the last one.
    fn chunk(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        (peer, conn): (NodeId, ConnId),
        chunk: Chunk,
    ) -> Option<ListId> {
        self.pulls
            .is_alive(edge.now.instant, peer, ListId::of(&chunk.name));
        match self.assemblies.add(conn, chunk) {
            Ok(None) => None,
            Ok(Some((name, change))) => {
                self.receive_changes(edge, documents, peer, &name, vec![change], false);
                Some(ListId::of(&name))
            }
            Err(_) => {
                self.sever(edge, documents, conn, CloseReason::Abuse);
                None
            }
        }
    }

    /// What was pulled from a peer came in, or a part of it.
    fn answered(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        peer: NodeId,
        name: &ListName,
        (changes, tail): (Vec<Bytes>, Tail),
    ) -> ListId {
        let (list, some) = (ListId::of(name), !changes.is_empty());
        self.receive_changes(edge, documents, peer, name, changes, false);
        self.pulls
            .answered(edge.now.instant, peer, list, some, tail);
        list
    }

    /// Hands changes to the documents. With `confirm` their sender wants to hear when they are on
    /// this node's disk.
    fn receive_changes(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        peer: NodeId,
        name: &ListName,
        changes: Vec<Bytes>,
        confirm: bool,
    ) {
        let list = ListId::of(name);
        if !owns(self.shards, list) {
            return;
        }
        let received = documents.receive(edge, peer, (list, name), changes);
        if confirm && !received.accepted.is_empty() {
            self.watchers.add(edge, list, peer, received.accepted);
            if received.some_known {
                self.with_vector(edge, documents, list, Purpose::Watch);
            }
        }
    }
}
