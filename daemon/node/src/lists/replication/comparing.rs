//! Comparing all lists with the peers: when rounds begin, and what is done about a difference.

use super::Replication;
use super::rounds::{self, Difference, Finished, Opening, Urgency};
use super::vectors::Purpose;
use crate::cluster::{METERED_COMPARE_EACH, RosterView};
use crate::lists::documents::Documents;
use crate::lists::edge::Edge;
use crate::lists::event::NamedVector;
use crate::lists::io::{Compared, Finding, Output};
use crate::lists::wire::{Message, most_rows};
use crate::wire::ConnId;
use crdt::vector::{PART_ROWS, Part, Span};
use names::{ListId, NodeId, Shard};
use rand::seq::IteratorRandom;
use std::collections::BTreeSet;

impl Replication {
    /// Rounds with all peers with which it is urgent; once their earlier repairs are over.
    pub(super) fn begin_rounds(&mut self, edge: &mut Edge, documents: &Documents) {
        if documents.failure().is_some() {
            return;
        }
        let departing = self.departure.is_wanted();
        let urgent =
            |peer: &NodeId| departing || self.fresh.contains(peer) && self.pulls.is_idle(*peer);
        let due: Vec<_> = self
            .peers
            .heard()
            .filter(|(peer, _)| !self.rounds.is_active(*peer) && urgent(peer))
            .collect();
        for to in due {
            self.begin_round(edge, documents, to, Urgency::Now);
        }
    }

    /// A round with one peer, with which it is not urgent; behind metered links with one a minute.
    pub(super) fn begin_random_round(&mut self, edge: &mut Edge, documents: &Documents) {
        let free: Vec<_> = self
            .peers
            .heard()
            .filter(|(peer, _)| !self.rounds.is_active(*peer) && !self.fresh.contains(peer))
            .collect();
        let view = self.view.as_deref();
        let line = |peer| view.and_then(|view: &RosterView| view.member(peer));
        let is_metered = |peer| line(peer).is_some_and(|line| line.is_metered);
        let (metered, others): (Vec<_>, Vec<_>) =
            free.into_iter().partition(|(peer, _)| is_metered(*peer));
        let now = edge.now.instant;
        let is_due = !metered.is_empty() && now >= self.metered_compared;
        if is_due {
            self.metered_compared = now + METERED_COMPARE_EACH;
        }
        let chosen = if is_due { metered } else { others };
        if let Some(to) = chosen.into_iter().choose(&mut self.rng) {
            self.begin_round(edge, documents, to, Urgency::Later);
        }
    }

    /// Rounds with the peers that are silent about a list: it turns out whether their links are slow.
    pub(super) fn begin_rounds_aside(&mut self, edge: &mut Edge, documents: &Documents) {
        for peer in self.pulls.silent(edge.now.instant) {
            if let Some(conn) = self.peers.conn_of(peer)
                && !self.rounds.is_active(peer)
            {
                self.begin_round(edge, documents, (peer, conn), Urgency::Later);
            }
        }
    }

    fn begin_round(
        &mut self,
        edge: &mut Edge,
        documents: &Documents,
        to: (NodeId, ConnId),
        urgency: Urgency,
    ) {
        self.forks.round_begins(to.0);
        // Said once: two that woke each other again and again would finish no round.
        let opening = Opening {
            urgency,
            wake: self.to_wake.remove(&to.0),
            record: self.departure.is_wanted(),
        };
        let digest = documents.digest_in(self.peers.protocol_of(to.1));
        self.rounds.begin(edge, digest, self.shards, to, opening);
    }

    /// A peer opens a round; with `wake` it wants one of this node, too.
    pub(super) fn answer_root(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        (peer, conn): (NodeId, ConnId),
        shards: (Shard, Shard),
        (sum, wake): (u64, bool),
    ) {
        let digest = documents.digest_in(self.peers.protocol_of(conn));
        let is_equal = rounds::answer_root(edge, digest, self.shards, conn, shards, sum);
        if is_equal && shards == self.shards {
            self.note_equal(edge, peer);
        }
        if wake && !self.peers.is_observer(peer) {
            self.fresh.insert(peer);
            self.rounds.cancel(peer);
            self.pulls.interrupted(peer);
            self.begin_repairs(edge, documents);
            self.begin_rounds(edge, documents);
        }
    }

    /// After a connection was made, repairs whatever differs at once; later only what is not here
    /// at all, and gives the rest a second look. What the peer lacks altogether it finds by its own
    /// rounds.
    pub(super) fn differ(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        (peer, conn): (NodeId, ConnId),
        (shard, buckets): (Shard, &BTreeSet<u8>),
        leaves: &[(ListId, u64)],
    ) {
        let urgency = self.rounds.urgency(peer);
        let digest = documents.digest_in(self.peers.protocol_of(conn));
        let differing = self
            .rounds
            .leaves(edge, digest, peer, shard, buckets, leaves);
        for Difference { list, ours, theirs } in differing.unwrap_or_default() {
            self.forks.differs(peer, list);
            if theirs.is_none() || documents.is_quarantined(list) {
                continue;
            }
            // One that is known and has nothing yet is being written for the first time, or what came of
            // it was of no use.
            let is_missing = ours.is_none() && !documents.is_known(list);
            if urgency == Urgency::Now || is_missing {
                if !self.queue_repair(documents, peer, list) {
                    self.rounds.truncate(peer);
                }
            } else if self.differing.note(edge, &self.flows, peer, list) {
                self.with_vector(edge, documents, list, Purpose::Compare { peer });
            }
        }
        self.begin_repairs(edge, documents);
    }

    /// A peer has what this node has.
    pub(super) fn equal(&mut self, edge: &mut Edge, documents: &mut Documents, peer: NodeId) {
        self.note_answer(edge, peer);
        let finished = self.rounds.equal(peer);
        self.end_round(edge, documents, peer, finished);
    }

    /// A peer answers the root of a round: how long that took is what its link needs.
    fn note_answer(&mut self, edge: &Edge, peer: NodeId) {
        if let Some(asked) = self.rounds.unanswered(peer) {
            self.flows.answered(peer, edge.now.instant.since(asked));
            self.pulls.overtaken(peer, asked);
        }
    }

    /// A peer said the sums of some shards.
    pub(super) fn compare_shards(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        from: (NodeId, ConnId),
        first: Shard,
        sums: &[u64],
    ) {
        self.note_answer(edge, from.0);
        let digest = documents.digest_in(self.peers.protocol_of(from.1));
        let finished = self.rounds.shards(edge, digest, from, first, sums);
        self.end_round(edge, documents, from.0, finished);
    }

    /// A peer said all its lists of the buckets of a shard that differ.
    pub(super) fn finish_shard(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        from: (NodeId, ConnId),
        shard: Shard,
    ) {
        let digest = documents.digest_in(self.peers.protocol_of(from.1));
        let finished = self.rounds.shard_done(edge, digest, from, shard);
        self.end_round(edge, documents, from.0, finished);
    }

    /// A message may have been the last one of a round.
    fn end_round(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        peer: NodeId,
        finished: Option<Finished>,
    ) {
        let Some(finished) = finished else {
            return;
        };
        if finished.urgency == Urgency::Now && !finished.truncated {
            self.fresh.remove(&peer);
        }
        if !finished.truncated {
            self.forks.round_ends(peer);
        }
        if finished.is_equal {
            self.note_equal(edge, peer);
        }
        if let Some(record) = finished.record {
            self.count_confirmed(edge, documents, peer, &record);
        }
    }

    /// A peer has all lists of this machine's shards as they are here.
    fn note_equal(&self, edge: &mut Edge, peer: NodeId) {
        let (first, last) = self.shards;
        let finding = Finding::Equal(first, last);
        edge.put(Output::Compared(Compared { peer, finding }));
    }

    /// A peer saw that a list differs, and says what it has; or it answers that.
    pub(super) fn compared(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        (peer, list): (NodeId, ListId),
        theirs: Part,
        answer: bool,
    ) {
        if answer && self.surveyed(edge, (peer, list), &theirs.vector) {
            return;
        }
        if documents.is_quarantined(list) {
            return;
        }
        let purpose = Purpose::Compared {
            peer,
            theirs,
            answer,
        };
        self.with_vector(edge, documents, list, purpose);
    }

    /// It is known what this node has of that: notes what it lacks, and answers, or says the next part.
    pub(super) fn compare_with(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        (peer, list): (NodeId, ListId),
        ours: &NamedVector,
        (theirs, answer): (&Part, bool),
    ) {
        if !self.peers.is_observer(peer) {
            let lacking = theirs.vector.ahead_of(&ours.vector, PART_ROWS);
            self.differing
                .lacking(edge, &self.flows, (peer, list), &lacking);
            self.check(edge, documents, (peer, list), ours, &theirs.vector);
        }
        if !answer {
            if theirs.span.from == Span::ALL.from {
                self.tell_left_out(edge, (peer, list), &ours.left_out);
            }
            let apart = ours.vector.apart_from(theirs, PART_ROWS);
            self.send_to(edge, peer, list, |protocol| {
                Message::compared(protocol, list, &apart)
            });
        } else if self.differing.goes_on(peer, list) {
            self.with_vector(edge, documents, list, Purpose::Compare { peer });
        }
    }

    /// Says what this node has of a list that differs, or the next part of that.
    pub(super) fn say_part(
        &mut self,
        edge: &mut Edge,
        (peer, list): (NodeId, ListId),
        ours: &NamedVector,
    ) {
        let Some(conn) = self.peers.conn_of(peer) else {
            return;
        };
        let protocol = self.peers.protocol_of(conn);
        let most = most_rows(protocol);
        let Some(part) = self.differing.next_part(peer, list, &ours.vector, most) else {
            return;
        };
        if part.span.from == Span::ALL.from {
            self.tell_left_out(edge, (peer, list), &ours.left_out);
        }
        edge.send_about(conn, list, &Message::compare(protocol, list, &part));
    }
}
