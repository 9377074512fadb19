//! What is done about lists of which a peer has another branch.
//!
//! Whoever hears a vector compares it with what it has, also at the numbers where it is ahead itself,
//! and says so where the two are unlike: so both sides know, whichever of them is ahead.

use super::Replication;
use super::forks::Fork;
use crate::lists::documents::Documents;
use crate::lists::edge::Edge;
use crate::lists::event::NamedVector;
use crate::lists::io::Output;
use crate::lists::wire::Message;
use crdt::vector::VersionVector;
use names::{ChangeId, ListId, NodeId};

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
        let mut is_news = false;
        for ours in unlike.iter() {
            if self.forks.note(peer, list, ours) {
                is_news = true;
                self.report(edge, documents, (peer, list), ours.id);
            }
        }
        if is_news && let Some(conn) = self.peers.conn_of(peer) {
            let message = Message::Unlike {
                list,
                vector: unlike.into(),
            };
            edge.send_about(conn, list, &message);
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
            is_own: documents.actor(list) == id.actor,
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
