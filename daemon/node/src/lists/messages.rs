//! What peers say, and what follows from it.

use super::Lists;
use super::incoming::Reception;
use super::resident::Place;
use super::rounds::{self, Difference, Finished, Urgency};
use super::vectors::Purpose;
use super::watchers::Answerable;
use super::wire::{self, Chunk, Message, Pushed, Tail};
use crate::wire::{CloseReason, ConnId};
use bytes::Bytes;
use crdt::vector::VersionVector;
use names::{ListId, ListName, NodeId, Shard};
use std::collections::BTreeSet;

/// How many buckets a shard has.
const BUCKETS: usize = 256;

/// How many shards a header names.
fn count((first, last): (Shard, Shard)) -> usize {
    usize::from(last.0.abs_diff(first.0)) + 1
}

impl Lists {
    pub(super) fn receive(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(peer) = self.peers.peer_of(conn) else {
            return;
        };
        let Some((shards, message)) = wire::decode(bytes) else {
            return self.sever(conn, CloseReason::Malformed);
        };
        // While the store is away nothing can be taken in, and what it has is not known for sure.
        if self.commits.failed().is_some() && !matches!(message, Message::Have { .. }) {
            return;
        }
        match message {
            Message::Push(items) => self.pushed(peer, items),
            Message::Chunk(chunk) => self.chunk(peer, conn, chunk),
            Message::Root { sum, wake } => {
                self.compare_root((peer, conn), shards, sum, wake);
            }
            Message::Equal(_) => self.end_round(peer, |lists| lists.rounds.equal(peer)),
            Message::Shards(sums) if sums.len() == count(shards) => {
                self.compare_shards((peer, conn), shards.0, &sums);
            }
            Message::Buckets { shard, sums } if sums.len() == BUCKETS => {
                if (self.shards.0..=self.shards.1).contains(&shard) {
                    rounds::answer_buckets(&mut self.edge, &self.digest, conn, shard, &sums);
                }
            }
            Message::Leaves {
                shard,
                buckets,
                leaves,
                last,
            } if buckets.len() <= BUCKETS => {
                self.differ(peer, shard, &buckets.into_iter().collect(), &leaves);
                if last {
                    self.finish_shard((peer, conn), shard);
                }
            }
            // A wrong number of sums is as malformed as wrong bytes.
            Message::Shards(_) | Message::Buckets { .. } | Message::Leaves { .. } => {
                self.sever(conn, CloseReason::Malformed)
            }
            Message::Compare { list, .. }
            | Message::Pull { list, .. }
            | Message::Nothing(list)
            | Message::Confirm { list, .. }
            | Message::Have { list, .. }
                if !self.owns(list) => {}
            Message::Compare {
                list,
                vector,
                answer,
            } => self.compared(peer, list, vector, answer),
            Message::Pull {
                list,
                vector,
                most_bytes,
            } => self.begin_serving(peer, list, vector, most_bytes),
            Message::Changes {
                name,
                changes,
                tail,
            } => self.receive_answer(peer, &name, changes, tail),
            Message::Nothing(list) => {
                let step = self.pulls.nothing(peer, list);
                self.repair_step(list, step);
            }
            Message::Confirm { list, vector } => {
                self.watchers.add(&mut self.edge, list, peer, vector);
                self.with_vector(list, Purpose::Watch);
            }
            Message::Have { list, vector } => self.have(peer, list, &vector),
        }
    }

    fn compare_root(
        &mut self,
        (peer, conn): (NodeId, ConnId),
        shards: (Shard, Shard),
        sum: u64,
        wake: bool,
    ) {
        rounds::answer_root(&mut self.edge, &self.digest, self.shards, conn, shards, sum);
        if wake {
            self.fresh.insert(peer);
            self.rounds.cancel(peer);
            self.pulls.interrupted(peer);
            self.pull_next();
            self.begin_rounds();
        }
    }

    fn compare_shards(&mut self, from: (NodeId, ConnId), first: Shard, sums: &[u64]) {
        self.end_round(from.0, |lists| {
            lists
                .rounds
                .shards(&mut lists.edge, &lists.digest, from, first, sums)
        });
    }

    fn finish_shard(&mut self, from: (NodeId, ConnId), shard: Shard) {
        self.end_round(from.0, |lists| {
            lists
                .rounds
                .shard_done(&mut lists.edge, &lists.digest, from, shard)
        });
    }

    /// Sends a peer what it lacks of a list.
    fn begin_serving(
        &mut self,
        peer: NodeId,
        list: ListId,
        theirs: VersionVector,
        most_bytes: u32,
    ) {
        let most_bytes = usize::try_from(most_bytes).unwrap_or(usize::MAX);
        self.with_vector(
            list,
            Purpose::Serve {
                peer,
                theirs,
                most_bytes,
            },
        );
    }

    /// Takes in what was pulled from a peer.
    fn receive_answer(&mut self, peer: NodeId, name: &ListName, changes: Vec<Bytes>, tail: Tail) {
        let (list, some) = (ListId::of(name), !changes.is_empty());
        self.receive_changes(peer, list, name, changes, false);
        self.pulls
            .answered(self.edge.now.instant, peer, list, some, tail);
        self.run_waiting(list);
    }

    pub(super) fn sever(&mut self, conn: ConnId, reason: CloseReason) {
        self.edge.stats.malformed += 1;
        self.edge.close(conn, reason);
        self.closed(conn);
    }

    fn pushed(&mut self, peer: NodeId, items: Vec<Pushed>) {
        let mut lists = BTreeSet::new();
        for Pushed {
            name,
            changes,
            confirm,
        } in items
        {
            let list = ListId::of(&name);
            lists.insert(list);
            self.receive_changes(peer, list, &name, changes, confirm);
        }
        lists.into_iter().for_each(|list| self.run_waiting(list));
    }

    fn chunk(&mut self, peer: NodeId, conn: ConnId, chunk: Chunk) {
        self.pulls
            .is_alive(self.edge.now.instant, peer, ListId::of(&chunk.name));
        match self.assemblies.add(conn, chunk) {
            Ok(None) => {}
            Ok(Some((name, change))) => {
                let list = ListId::of(&name);
                self.receive_changes(peer, list, &name, vec![change], false);
                self.run_waiting(list);
            }
            Err(_) => self.sever(conn, CloseReason::Abuse),
        }
    }

    /// Takes changes in; with `confirm` their sender wants to know when they are on this node's
    /// disk.
    fn receive_changes(
        &mut self,
        peer: NodeId,
        list: ListId,
        name: &ListName,
        changes: Vec<Bytes>,
        confirm: bool,
    ) {
        if !self.owns(list) {
            return;
        }
        if self.resident.place(list) == Place::Quarantined {
            self.edge.stats.changes_refused += u64::try_from(changes.len()).unwrap_or(0);
            return;
        }
        let (mut goal, mut known) = (VersionVector::default(), false);
        for change in changes {
            let document = self.resident.get(list);
            match self
                .incoming
                .receive(&mut self.edge, (list, name), change, peer, document)
            {
                Reception::Waits(id) => goal.insert(id),
                Reception::Known(id) => {
                    known = true;
                    goal.insert(id);
                }
                Reception::Dropped => {}
            }
        }
        if confirm && !goal.is_empty() {
            self.watchers.add(&mut self.edge, list, peer, goal);
            if known {
                self.with_vector(list, Purpose::Watch);
            }
        }
    }

    /// A message may have been the last one of a round.
    fn end_round(&mut self, peer: NodeId, step: impl FnOnce(&mut Self) -> Option<Finished>) {
        if let Some(finished) = step(self) {
            self.round_finished(peer, finished);
        }
    }

    /// After a connection was made, repairs whatever differs at once; later only what is not here
    /// at all, and gives the rest a second look. What the peer lacks altogether it finds by its own
    /// rounds.
    fn differ(
        &mut self,
        peer: NodeId,
        shard: Shard,
        buckets: &BTreeSet<u8>,
        leaves: &[(ListId, u64)],
    ) {
        let urgency = self.rounds.urgency(peer);
        let differing = self
            .rounds
            .leaves(&self.edge, &self.digest, peer, shard, buckets, leaves);
        for Difference { list, ours, theirs } in differing.unwrap_or_default() {
            if theirs.is_none() || ours.is_none() && self.is_known(list) {
                continue;
            }
            if urgency == Urgency::Now || ours.is_none() {
                if !self.queue_repair(peer, list) {
                    self.rounds.truncate(peer);
                }
            } else if self.differing.note(&mut self.edge, peer, list) {
                self.with_vector(
                    list,
                    Purpose::Compare {
                        peer,
                        answer: false,
                    },
                );
            }
        }
        self.pull_next();
    }

    /// A peer saw that a list differs, and tells what it has.
    fn compared(&mut self, peer: NodeId, list: ListId, theirs: VersionVector, answer: bool) {
        if self.resident.place(list) == Place::Quarantined {
            return;
        }
        self.differing.theirs(&mut self.edge, peer, list, theirs);
        if !answer {
            self.with_vector(list, Purpose::Compare { peer, answer: true });
        }
    }

    fn have(&mut self, peer: NodeId, list: ListId, vector: &VersionVector) {
        if let Some(view) = &self.view {
            self.waits.have(&mut self.edge, view, peer, list, vector);
        }
        if self.departure.have(peer, list, vector) {
            self.check_departure();
        }
    }

    /// Tells peers that what they asked for is on this node's disk.
    pub(super) fn answer_watchers(&mut self, list: ListId, answerable: Vec<Answerable>) {
        for (peer, vector) in answerable {
            if let Some(conn) = self.peers.conn_of(peer) {
                self.edge
                    .send_about(conn, list, &Message::Have { list, vector });
            }
        }
    }
}
