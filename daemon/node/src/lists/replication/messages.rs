//! What peers say.

use super::Replication;
use super::pulls::Endless;
use super::rounds;
use super::vectors::Purpose;
use crate::lists::documents::Documents;
use crate::lists::edge::Edge;
use crate::lists::owns;
use crate::lists::wire::{self, About, Chunk, Message, OfObserver, Pushed, Tail};
use crate::wire::{CloseReason, ConnId, Protocol};
use bytes::Bytes;
use crdt::vector::Part;
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
        let protocol = self.peers.protocol_of(conn);
        if protocol >= Protocol::PROVED && wire::is_unknown(bytes) {
            return BTreeSet::new();
        }
        let decoded = wire::decode(bytes);
        let spoken = decoded.filter(|(_, message)| message.is_spoken_in(protocol));
        let Some((shards, message)) = spoken else {
            self.sever(edge, documents, conn, CloseReason::Malformed);
            return BTreeSet::new();
        };
        if self.peers.is_observer(peer) {
            match message.of_observer() {
                OfObserver::Answered => {}
                OfObserver::PassedOver => return BTreeSet::new(),
                OfObserver::Breach => {
                    tracing::warn!(%peer, "an observer sends changes of lists");
                    self.sever(edge, documents, conn, CloseReason::Abuse);
                    return BTreeSet::new();
                }
            }
        }
        // While the store is away nothing can be taken in, and what it has is not known for sure.
        let is_have = matches!(message, Message::Have { .. } | Message::HaveMarked { .. });
        if documents.failure().is_some() && !is_have {
            return BTreeSet::new();
        }
        match message.about_vector() {
            // No program says more of a vector at once.
            Ok((_, part, _)) if protocol >= Protocol::PROVED && !part.is_sound() => {
                tracing::warn!(%peer, "a part of a vector that breaks the rules");
                self.sever(edge, documents, conn, CloseReason::Abuse);
                BTreeSet::new()
            }
            Ok((list, part, about)) => {
                if owns(self.shards, list) {
                    self.act_on_vector(edge, documents, (peer, list), part, about);
                }
                BTreeSet::new()
            }
            Err(message) => self.act_on(edge, documents, (peer, conn), shards, message),
        }
    }

    fn act_on_vector(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        about: (NodeId, ListId),
        part: Part,
        what: About,
    ) {
        match what {
            About::Compare { answer } => self.compared(edge, documents, about, part, answer),
            About::Pull { most_bytes } => {
                self.begin_serving(edge, documents, about, part, most_bytes);
            }
            About::Confirm => self.watch(edge, documents, about, part.vector),
            About::Have => self.have(edge, documents, about, &part.vector),
            About::Unlike => {
                let ((peer, list), theirs) = (about, part.vector);
                let purpose = Purpose::Check { peer, theirs };
                self.with_vector(edge, documents, list, purpose);
            }
        }
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
                    let digest = documents.digest_in(self.peers.protocol_of(conn));
                    rounds::answer_buckets(edge, digest, conn, shard, &sums);
                }
            }
            Message::Leaves {
                shard,
                buckets,
                leaves,
                last,
            } if buckets.len() <= BUCKETS => {
                let buckets = buckets.into_iter().collect();
                self.differ(edge, documents, from, (shard, &buckets), &leaves);
                if last {
                    self.finish_shard(edge, documents, from, shard);
                }
            }
            // A wrong number of sums is as malformed as wrong bytes.
            Message::Shards(_) | Message::Buckets { .. } | Message::Leaves { .. } => {
                self.sever(edge, documents, conn, CloseReason::Malformed)
            }
            Message::LeftOut { list, left_out } => {
                changed.extend(self.left_out(edge, documents, from, list, left_out));
            }
            Message::Salts(salts) => changed = self.salts(edge, documents, peer, salts),
            Message::WhoseActors { list, actors } => {
                self.tell_salts(edge, documents, (conn, list), &actors);
            }
            Message::Nothing(list) => {
                if owns(self.shards, list) {
                    let step = self.pulls.nothing(peer, list);
                    self.repair_step(edge, documents, list, step);
                }
            }
            // What is about a vector was taken out before.
            Message::Compare { .. }
            | Message::CompareMarked { .. }
            | Message::Pull { .. }
            | Message::PullMarked { .. }
            | Message::Confirm { .. }
            | Message::ConfirmMarked { .. }
            | Message::Have { .. }
            | Message::HaveMarked { .. }
            | Message::ComparePart { .. }
            | Message::PullPart { .. }
            | Message::Unlike { .. } => {}
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
        let (list, bytes) = (ListId::of(&chunk.name), chunk.bytes.len());
        self.flows.came(edge.now.instant, peer, bytes);
        self.pulls.is_alive(edge.now.instant, (peer, list), bytes);
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
        let list = ListId::of(name);
        let bytes: Vec<usize> = changes.iter().map(Bytes::len).collect();
        self.flows.came(edge.now.instant, peer, bytes.iter().sum());
        self.receive_changes(edge, documents, peer, name, changes, false);
        let answered = self
            .pulls
            .answered(edge.now.instant, (peer, list), &bytes, tail);
        if let Err(Endless) = answered
            && let Some(conn) = self.peers.conn_of(peer)
        {
            tracing::warn!(%peer, %list, "an answer of changes without end");
            self.sever(edge, documents, conn, CloseReason::Abuse);
        }
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
        self.ask_whose(edge, documents, (peer, list), &changes);
        let received = documents.receive(edge, peer, (list, name), changes);
        if confirm && !received.accepted.is_empty() {
            self.watchers.add(edge, list, peer, received.accepted);
            if received.some_known {
                self.answer_watchers_now(edge, documents, list);
            }
        }
    }
}
