//! Sending peers what they pull. Nothing is kept of a peer between two of its questions.

use super::Replication;
use super::vectors::Purpose;
use crate::lists::documents::Documents;
use crate::lists::edge::Edge;
use crate::lists::event::NamedVector;
use crate::lists::io::{Compared, Finding, Output};
use crate::lists::job::{Answer, SourceError};
use crate::lists::wire::{ANSWER_BYTES, CHUNK_BYTES, Message, Tail};
use crdt::vector::Part;
use names::{ListId, NodeId};

/// The most that one answer to a pull holds.
const MAX_ANSWER_BYTES: usize = 1 << 20;

impl Replication {
    /// A peer asks for what it lacks of a list.
    pub(super) fn begin_serving(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        (peer, list): (NodeId, ListId),
        theirs: Part,
        most_bytes: u32,
    ) {
        let purpose = Purpose::Serve {
            peer,
            theirs,
            most_bytes: usize::try_from(most_bytes).unwrap_or(usize::MAX),
        };
        self.with_vector(edge, documents, list, purpose);
    }

    /// It is known what the peer lacks: reads that. If the peer has something that this node lacks,
    /// this node asks back.
    pub(super) fn answer_pull(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        (peer, list): (NodeId, ListId),
        ours: &NamedVector,
        theirs: &Part,
        most_bytes: usize,
    ) {
        let Some(conn) = self.peers.conn_of(peer) else {
            return;
        };
        self.check(edge, documents, (peer, list), ours, &theirs.vector);
        let is_lacking = !theirs.vector.missing_in(&ours.vector).is_empty();
        if is_lacking {
            self.repair(edge, documents, peer, list);
        }
        let ours_of_them = ours.vector.within(theirs.span);
        let ranges = ours_of_them.missing_in(&theirs.vector);
        let name = ours.name.as_ref();
        if let Some(name) = name.filter(|_| is_lacking && !ranges.is_empty()) {
            let finding = Finding::Diverged(name.clone());
            edge.put(Output::Compared(Compared { peer, finding }));
        }
        match name.filter(|_| !documents.is_quarantined(list)) {
            None => edge.send_about(conn, list, &Message::Nothing(list)),
            Some(name) if ranges.is_empty() => {
                let message = Message::Changes {
                    name: name.clone(),
                    changes: Vec::new(),
                    tail: Tail::End,
                };
                edge.send_about(conn, list, &message);
            }
            Some(_) if self.serving.insert((list, peer)) => {
                let most_bytes = most_bytes.min(MAX_ANSWER_BYTES);
                documents.read_changes(edge, list, ranges, most_bytes, peer);
            }
            Some(_) => edge.stats.dropped += 1,
        }
    }

    /// Sends what was read for a peer, in messages that leave room for others between them.
    pub(super) fn serve(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        to: NodeId,
        found: Result<Option<Answer>, SourceError>,
    ) {
        self.serving.remove(&(list, to));
        let Some(conn) = self.peers.conn_of(to) else {
            return;
        };
        let Ok(Some(Answer {
            name,
            changes,
            complete,
        })) = found
        else {
            return edge.send_about(conn, list, &Message::Nothing(list));
        };
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let finding = Finding::Sent {
            changes: count(changes.len()),
            bytes: count(changes.iter().map(bytes::Bytes::len).sum()),
        };
        edge.put(Output::Compared(Compared { peer: to, finding }));
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for change in changes {
            let is_large = change.len() > CHUNK_BYTES;
            if is_large || bytes + change.len() > ANSWER_BYTES {
                let message = Message::Changes {
                    name: name.clone(),
                    changes: std::mem::take(&mut batch),
                    tail: Tail::Message,
                };
                bytes = 0;
                edge.send_about(conn, list, &message);
            }
            if is_large {
                self.outbox.send_large(edge, &[conn], &name, &change);
            } else {
                bytes += change.len();
                batch.push(change);
            }
        }
        let tail = if complete { Tail::End } else { Tail::Pull };
        let message = Message::Changes {
            name,
            changes: batch,
            tail,
        };
        edge.send_about(conn, list, &message);
    }
}
