//! What is done about lists of which a peer has another branch.
//!
//! Whoever hears a vector compares it with what it has, also at the numbers where it is ahead itself,
//! and says so where the two are unlike: so both sides know, whichever of them is ahead. Then each pulls
//! the other's branch; where the two changes meet, the documents leave one of them out (`leaving`).

use super::Replication;
use super::forks::Fork;
use crate::lists::documents::Documents;
use crate::lists::edge::Edge;
use crate::lists::event::NamedVector;
use crate::lists::io::Output;
use crate::lists::owns;
use crate::lists::wire::{ANSWER_BYTES, Message};
use crate::wire::{CloseReason, ConnId, Protocol};
use bytes::Bytes;
use crdt::list::{LeftOut, RawChange};
use crdt::vector::VersionVector;
use names::{ChangeId, ListId, ListName, NodeId};

impl Replication {
    /// Compares what a peer has with what is here: notes where they are unlike, and tells the peer.
    pub(super) fn check(
        &mut self,
        edge: &mut Edge,
        documents: &Documents,
        (peer, list): (NodeId, ListId),
        ours: &NamedVector,
        theirs: &VersionVector,
    ) {
        let unlike = ours.unlike(theirs.iter());
        self.note_forks(edge, documents, (peer, list), &unlike);
    }

    /// Notes that a peer has other changes than these, and tells it.
    pub(super) fn note_forks(
        &mut self,
        edge: &mut Edge,
        documents: &Documents,
        (peer, list): (NodeId, ListId),
        unlike: &VersionVector,
    ) {
        if self.peers.is_observer(peer) {
            return;
        }
        let mut is_to_tell = false;
        for ours in unlike.iter() {
            self.note_fork(edge, documents, (peer, list), ours.id);
            is_to_tell |= self.forks.is_to_tell(peer, list, ours.id.actor);
        }
        if is_to_tell && let Some(conn) = self.peers.conn_of(peer) {
            let message = Message::Unlike {
                list,
                vector: unlike.into(),
            };
            edge.send_about(conn, list, &message);
        }
    }

    /// A change of a peer was refused, or another one of its number is here: the alarm is raised even if
    /// it is settled in a moment which of the two stays.
    pub(super) fn note_fork(
        &mut self,
        edge: &mut Edge,
        documents: &Documents,
        (peer, list): (NodeId, ListId),
        id: ChangeId,
    ) {
        if !self.peers.is_observer(peer) && self.forks.note(peer, list, id) {
            self.report(edge, documents, (peer, list), id);
            // Its changes of that actor are asked for, too: one of the two branches stays.
            self.queue_repair(documents, peer, list);
        }
    }

    /// A peer says what a list is without. Gives the list if something is to be done with it.
    pub(super) fn left_out(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        (peer, conn): (NodeId, ConnId),
        list: ListId,
        left_out: Vec<Bytes>,
    ) -> Option<ListId> {
        if !owns(self.shards, list) || documents.is_quarantined(list) {
            return None;
        }
        let mut told = Vec::new();
        for bytes in left_out {
            if !self.owning.may_prove(peer) {
                break;
            }
            match LeftOut::read(bytes) {
                Ok(one) if documents.is_proved(list, &one) => told.push(one),
                Ok(_) => self.owning.note_unproved(peer),
                // No version of this program says so.
                Err(error) if !error.is_newer() => {
                    self.sever(edge, documents, conn, CloseReason::Abuse);
                    return None;
                }
                Err(_) => {}
            }
        }
        documents.leave_out(list, told, peer);
        Some(list)
    }

    /// What stays of changes with one number was settled here: tells all peers what they could not find
    /// out themselves, and what was written anew.
    pub(super) fn settled(
        &mut self,
        edge: &mut Edge,
        (list, name): (ListId, &ListName),
        settled: &[Bytes],
        changes: &[RawChange],
    ) {
        let peers: Vec<NodeId> = self.peers.iter().map(|(peer, _)| peer).collect();
        for peer in peers {
            self.tell_left_out(edge, (peer, list), settled);
        }
        for change in changes {
            self.outbox
                .push(edge, &self.peers, name, &change.bytes, false);
        }
    }

    /// Tells a peer what a list is without, in as many messages as it takes.
    pub(super) fn tell_left_out(
        &self,
        edge: &mut Edge,
        (peer, list): (NodeId, ListId),
        left_out: &[Bytes],
    ) {
        let Some(conn) = self.peers.conn_of(peer) else {
            return;
        };
        if self.peers.protocol_of(conn) < Protocol::PROVED {
            return;
        }
        let (mut told, mut bytes) = (Vec::new(), 0);
        for one in left_out {
            if bytes + one.len() > ANSWER_BYTES && !told.is_empty() {
                let left_out = std::mem::take(&mut told);
                bytes = 0;
                edge.send_about(conn, list, &Message::LeftOut { list, left_out });
            }
            bytes += one.len();
            told.push(one.clone());
        }
        if !told.is_empty() {
            let left_out = told;
            edge.send_about(conn, list, &Message::LeftOut { list, left_out });
        }
    }

    /// All that is noted.
    pub(in crate::lists) fn forks(&self, documents: &Documents) -> Vec<Fork> {
        let all = self.forks.iter();
        all.map(|(peer, list, id)| self.fork(documents, (peer, list), id))
            .collect()
    }

    fn fork(&self, documents: &Documents, (peer, list): (NodeId, ListId), id: ChangeId) -> Fork {
        let member = self.view.as_ref().and_then(|view| view.member(peer));
        Fork {
            list,
            actor: id.actor,
            seq: id.seq,
            peer,
            member: member.map(|member| member.profile.name.clone()),
            is_own: documents.is_own(list, id.actor),
        }
    }

    /// Raises the alarm.
    fn report(
        &self,
        edge: &mut Edge,
        documents: &Documents,
        (peer, list): (NodeId, ListId),
        id: ChangeId,
    ) {
        let fork = self.fork(documents, (peer, list), id);
        tracing::error!(%peer, %list, actor = %id.actor, change = id.seq, own = fork.is_own,
            "a list is forked: a peer has another change of that actor and number");
        edge.put(Output::Forked(fork));
    }
}
