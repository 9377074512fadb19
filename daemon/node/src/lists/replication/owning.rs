//! Whose an actor is: each node tells its peers the salt of its actors when they connect and whenever it
//! has drawn another one, and asks who brings changes of actors whose salts it does not know.

use super::Replication;
use crate::lists::documents::{Documents, Unproved};
use crate::lists::edge::Edge;
use crate::lists::wire::{ANSWER_BYTES, Message};
use crate::time::Instant;
use crate::wire::{CloseReason, ConnId, Protocol};
use bytes::Bytes;
use crdt::list;
use names::{Actor, ListId, NodeId, SaltHint, Shard};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Actors that are asked for at once.
const MAX_ASKED: usize = 256;
/// So many salts were asked for lately, at most.
const MAX_ASKING: usize = 4_096;
/// Nobody is asked for a salt again before.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// So much that proves nothing is judged of each peer in a second: judging takes time.
const MAX_UNPROVED: u32 = 16;
const EVERYTHING: (Shard, Shard) = (Shard(0), Shard(255));

/// Of how many salts of its own a peer may tell at once, and how often of another one after that. A node
/// draws one at each start: each makes an actor in each list, which costs every change of it some more.
const OWN: Pace = Pace {
    at_once: 64,
    each: Duration::from_secs(600),
};
/// The same of salts of others, which it has taken at that pace itself.
const RELAYED: Pace = Pace {
    at_once: 4_096,
    each: Duration::from_millis(100),
};

#[derive(Clone, Copy, Debug)]
struct Pace {
    at_once: u32,
    each: Duration,
}

/// What is known of asking for salts, of what proved nothing, and of what was told.
#[derive(Debug, Default)]
pub(super) struct Owning {
    asked: BTreeMap<(NodeId, SaltHint), Instant>,
    unproved: BTreeMap<NodeId, u32>,
    /// When each peer has used up what it may tell of its own salts (`true`) and of others'.
    used_up: BTreeMap<(NodeId, bool), Instant>,
}

impl Owning {
    /// Another second begins.
    pub(super) fn tick(&mut self, now: Instant) {
        self.unproved.clear();
        self.asked.retain(|_, at| now.since(*at) < ASK_AGAIN);
        self.used_up.retain(|_, until| *until > now);
    }

    /// Whether a peer may tell of a new salt, its own or another node's.
    fn may_tell(&mut self, now: Instant, peer: NodeId, is_own: bool) -> bool {
        let pace = if is_own { OWN } else { RELAYED };
        let until = self.used_up.entry((peer, is_own)).or_insert(now);
        let next = (*until).max(now) + pace.each;
        let may = next.since(now) <= pace.each * pace.at_once;
        if may {
            *until = next;
        }
        may
    }

    /// Whether what that peer brings is judged.
    pub(super) fn may_prove(&self, peer: NodeId) -> bool {
        let unproved = self.unproved.get(&peer);
        unproved.is_none_or(|count| *count < MAX_UNPROVED)
    }

    pub(super) fn note_unproved(&mut self, peer: NodeId) {
        *self.unproved.entry(peer).or_default() += 1;
    }

    /// Whether a peer is to be asked now.
    fn asks(&mut self, now: Instant, peer: NodeId, hint: SaltHint) -> bool {
        let is_new = self.asked.len() < MAX_ASKING && !self.asked.contains_key(&(peer, hint));
        if is_new {
            self.asked.insert((peer, hint), now);
        }
        is_new
    }
}

impl Replication {
    /// Tells a peer by which salt this node writes.
    pub(super) fn tell_own_salt(&self, edge: &mut Edge, documents: &Documents, conn: ConnId) {
        if self.peers.protocol_of(conn) < Protocol::PROVED {
            return;
        }
        if let Some(salt) = documents.own_salt() {
            let message = Message::Salts(vec![salt]);
            edge.send(conn, EVERYTHING, &message);
        }
    }

    /// Tells all peers.
    pub(super) fn tell_all_own_salt(&self, edge: &mut Edge, documents: &Documents) {
        for (_, conn) in self.peers.iter() {
            self.tell_own_salt(edge, documents, conn);
        }
    }

    /// A peer tells of salts.
    pub(super) fn salts(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        peer: NodeId,
        salts: Vec<Bytes>,
    ) -> BTreeSet<ListId> {
        let mut lists = BTreeSet::new();
        for bytes in salts {
            if !self.owning.may_prove(peer) {
                break;
            }
            let now = edge.now.instant;
            let mut may_tell = |owner: NodeId| self.owning.may_tell(now, peer, owner == peer);
            match documents.learn_salt(edge, bytes, &mut may_tell) {
                Ok(waiting) => lists.extend(waiting),
                Err(Unproved) => {
                    tracing::debug!(%peer, "a salt that proves nothing");
                    self.owning.note_unproved(peer);
                }
            }
        }
        lists
    }

    /// Asks who brings changes whose they are, where that is not known.
    pub(super) fn ask_whose(
        &mut self,
        edge: &mut Edge,
        documents: &Documents,
        (peer, list): (NodeId, ListId),
        changes: &[Bytes],
    ) {
        let Some(conn) = self.peers.conn_of(peer) else {
            return;
        };
        if self.peers.protocol_of(conn) < Protocol::PROVED {
            return;
        }
        let heads = changes.iter().filter_map(|bytes| list::head_of(bytes));
        let actors: BTreeSet<Actor> = heads.map(|head| head.id.actor).collect();
        let unknown = actors.into_iter().filter(|actor| {
            documents.owner(list, *actor).is_none()
                && self.owning.asks(edge.now.instant, peer, actor.hint())
        });
        let actors: Vec<Actor> = unknown.take(MAX_ASKED).collect();
        if !actors.is_empty() {
            edge.send_about(conn, list, &Message::WhoseActors { list, actors });
        }
    }

    /// A peer asks whose actors these are.
    pub(super) fn tell_salts(
        &mut self,
        edge: &mut Edge,
        documents: &mut Documents,
        (conn, list): (ConnId, ListId),
        actors: &[Actor],
    ) {
        if !crate::lists::owns(self.shards, list) {
            return;
        }
        if actors.len() > MAX_ASKED {
            return self.sever(edge, documents, conn, CloseReason::Malformed);
        }
        let known = actors
            .iter()
            .filter_map(|actor| documents.salt(list, *actor));
        let known: BTreeSet<Bytes> = known.collect();
        let (mut salts, mut bytes) = (Vec::new(), 0);
        for salt in known {
            bytes += salt.len();
            salts.push(salt);
            if bytes > ANSWER_BYTES {
                bytes = 0;
                let message = Message::Salts(std::mem::take(&mut salts));
                edge.send(conn, EVERYTHING, &message);
            }
        }
        if !salts.is_empty() {
            edge.send(conn, EVERYTHING, &Message::Salts(salts));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_tells_of_few_salts_of_its_own_and_of_many_of_others() {
        let (mut owning, peer) = (Owning::default(), NodeId([7; 16]));
        let at = |seconds| Instant::from_nanos(1) + Duration::from_secs(seconds);
        let mut told = |seconds, is_own| {
            let may = (0..10_000).filter(|_| owning.may_tell(at(seconds), peer, is_own));
            let count = may.count();
            owning.tick(at(seconds));
            count
        };
        assert_eq!((told(0, true), told(0, false)), (64, 4_096));
        assert_eq!((told(599, true), told(600, true)), (0, 1));
        assert_eq!(told(600, false), 4_096);
        assert_eq!(told(1_200 + 600 * 63, true), 64);
        let other = NodeId([8; 16]);
        assert!(owning.may_tell(at(0), other, true));
    }
}
