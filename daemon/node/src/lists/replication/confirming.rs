//! Who has what on the disk: peers ask this node, clients wait for other nodes, and a node that is
//! to leave asks whether others have all that it has.

use super::Replication;
use super::departure::Answered;
use super::replicas;
use super::rounds::Record;
use super::vectors::Purpose;
use super::watchers::Answerable;
use crate::lists::documents::Documents;
use crate::lists::edge::{Edge, Timer};
use crate::lists::event::{NamedVector, Verdict};
use crate::lists::io::{Refusal, Replicas, Reply};
use crate::lists::wire::Message;
use crate::wire::RequestId;
use crdt::vector::VersionVector;
use names::{ListId, NodeId};
use std::time::Duration;

impl Replication {
    /// On how many nodes in all a change shall be, if its client waits for that.
    pub(in crate::lists) fn asked(
        &self,
        replicas: Option<Replicas>,
    ) -> Result<Option<usize>, Refusal> {
        let Some(replicas) = replicas else {
            return Ok(None);
        };
        // Without a roster nobody can say how many nodes there are: it comes within the first
        // moments.
        let view = self
            .view
            .as_ref()
            .filter(|_| !self.waits.is_full())
            .ok_or(Refusal::Busy)?;
        replicas::asked(view, replicas).map(Some)
    }

    /// Answers a client, now or when enough other nodes have what it asked for.
    pub(super) fn answer(&mut self, edge: &mut Edge, list: ListId, verdict: Verdict) {
        let Verdict {
            request,
            result,
            wish,
        } = verdict;
        match (result, wish, &self.view) {
            (Ok(reply), Some(wish), Some(view)) => {
                let wait = (list, wish, reply);
                self.waits.begin(edge, view, &self.peers, request, wait);
            }
            (result, _, _) => edge.reply(request, result),
        }
    }

    /// A peer asks to be told when this node has all of that on its disk.
    pub(super) fn watch(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        (peer, list): (NodeId, ListId),
        goal: VersionVector,
    ) {
        self.watchers.add(edge, list, peer, goal);
        self.answer_watchers_now(edge, documents, list);
    }

    /// Tells peers what they asked for if it is on this node's disk already.
    pub(super) fn answer_watchers_now(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        list: ListId,
    ) {
        let open = self.watchers.open(list);
        if !open.is_empty() {
            self.with_vector(edge, documents, list, Purpose::Watch { open });
        }
    }

    /// It is known how far the list is on the disk.
    pub(super) fn check_watchers(
        &mut self,
        edge: &mut Edge,
        documents: &Documents,
        list: ListId,
        ours: &NamedVector,
    ) {
        for (peer, unlike) in self.watchers.unlike(list, ours) {
            self.note_forks(edge, documents, (peer, list), &unlike);
        }
        let answerable = self.watchers.committed_before(list, ours);
        self.answer_watchers(edge, list, answerable);
    }

    /// Tells peers that what they asked for is on this node's disk; not those that have another branch
    /// of the list.
    pub(super) fn answer_watchers(
        &self,
        edge: &mut Edge,
        list: ListId,
        answerable: Vec<Answerable>,
    ) {
        let is_like = |(peer, _): &Answerable| !self.forks.any(*peer, list);
        for (peer, vector) in answerable.into_iter().filter(is_like) {
            self.send_to(edge, peer, list, |protocol| {
                Message::have(protocol, list, &vector)
            });
        }
    }

    /// A peer has all of that on its disk. Where it has another branch of the list, nothing of it is
    /// counted.
    pub(super) fn have(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        (peer, list): (NodeId, ListId),
        vector: &VersionVector,
    ) {
        if self.forks.any(peer, list) {
            return;
        }
        if let Some(view) = &self.view {
            self.waits
                .have(edge, view, &self.peers, (peer, list), vector);
        }
        match self.departure.have(peer, list, vector) {
            Answered::Nothing => {}
            Answered::Part => self.with_vector(edge, documents, list, Purpose::Depart(peer)),
            Answered::All => self.check_departure(edge, documents),
        }
    }

    /// A client waits until other members have all that this node has.
    pub(in crate::lists) fn depart(
        &mut self,
        edge: &mut Edge,
        documents: &Documents,
        request: RequestId,
        timeout: Duration,
    ) {
        self.departure.begin(request);
        edge.after(timeout, Timer::Deadline(request));
        self.check_departure(edge, documents);
        if self.departure.is_wanted() {
            // A round under way keeps no record of what the peer has: begin it again.
            self.rounds.clear();
            self.begin_rounds(edge, documents);
        }
    }

    /// A round showed what a peer has: asks it about what is in doubt, if it is a member.
    pub(super) fn count_confirmed(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        peer: NodeId,
        record: &Record,
    ) {
        let is_member = self
            .view
            .as_ref()
            .is_none_or(|view| view.all().any(|member| member.id == peer));
        if !is_member {
            return;
        }
        let (digest, quarantined) = (documents.digest(), documents.quarantined());
        let doubtful = self.departure.compared(digest, quarantined, peer, record);
        for list in doubtful {
            self.with_vector(edge, documents, list, Purpose::Depart(peer));
        }
        self.check_departure(edge, documents);
    }

    fn check_departure(&mut self, edge: &mut Edge, documents: &Documents) {
        if documents.failure().is_none() && self.unconfirmed(documents) == 0 {
            for request in self.departure.finish() {
                edge.reply(request, Ok(Reply::Unconfirmed(0)));
            }
        }
    }

    fn unconfirmed(&self, documents: &Documents) -> u64 {
        self.departure
            .unconfirmed(documents.digest(), documents.quarantined())
    }

    /// Answers a request whose deadline has passed with what is known by now, if it waits here.
    pub(in crate::lists) fn expire(
        &mut self,
        edge: &mut Edge,
        documents: &Documents,
        request: RequestId,
    ) {
        if self.surveys.finish(edge, request) {
            // It has been answered with what was told by now.
        } else if self.departure.expects(request) {
            let left = self.unconfirmed(documents);
            self.departure.expire(request);
            edge.reply(request, Ok(Reply::Unconfirmed(left)));
        } else if let Some(view) = &self.view {
            self.waits.expire(edge, view, request);
        }
    }
}
