//! Lists of which this node and a peer have two branches: one actor, one number, two changes.
//!
//! No honest node writes such, and no node takes both. So what such a peer says to have of the list
//! is not what this node has, and neither confirms it to the other. What is noted here is known of
//! connected peers only: rounds find it again after each new connection.

use names::{Actor, ChangeId, ListId, NodeId, NodeName};
use std::collections::BTreeMap;

/// Forks that are noted at once: the others are found when these are gone.
const MAX_FORKS: usize = 1_024;

/// A list in which a peer has another change than this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// Which list.
    pub list: ListId,
    /// Whose changes.
    pub actor: Actor,
    /// The number of this node's change at which that was seen.
    pub seq: u64,
    /// Who has the other one.
    pub peer: NodeId,
    /// Its name, if the roster has it.
    pub member: Option<NodeName>,
    /// Whether the actor is one of this node's own.
    pub is_own: bool,
}

#[derive(Clone, Copy, Debug)]
struct Note {
    seq: u64,
    /// Whether the list has differed in the round that is under way with the peer, or was noted
    /// since its beginning.
    is_fresh: bool,
    /// Whether the peer was told.
    is_told: bool,
}

/// All that is noted.
#[derive(Debug, Default)]
pub(super) struct Forks(BTreeMap<(NodeId, ListId, Actor), Note>);

impl Forks {
    /// Notes that a peer has another change than this node. True if that is news.
    pub(super) fn note(&mut self, peer: NodeId, list: ListId, id: ChangeId) -> bool {
        let key = (peer, list, id.actor);
        let is_new = !self.0.contains_key(&key);
        if is_new && self.0.len() >= MAX_FORKS {
            return false;
        }
        let seq = id.seq;
        let note = self.0.entry(key).or_insert(Note {
            seq,
            is_fresh: true,
            is_told: false,
        });
        note.seq = note.seq.min(seq);
        note.is_fresh = true;
        is_new
    }

    /// Whether the peer is to be told of a fork that is noted: once.
    pub(super) fn is_to_tell(&mut self, peer: NodeId, list: ListId, actor: Actor) -> bool {
        let note = self.0.get_mut(&(peer, list, actor));
        note.is_some_and(|note| !std::mem::replace(&mut note.is_told, true))
    }

    /// Whether a peer has another branch of something in that list.
    pub(super) fn any(&self, peer: NodeId, list: ListId) -> bool {
        self.of(peer, list).next().is_some()
    }

    /// The actors of whose changes a peer has another branch in that list.
    pub(super) fn of(&self, peer: NodeId, list: ListId) -> impl Iterator<Item = Actor> + '_ {
        let all = (peer, list, Actor([0; 16]))..=(peer, list, Actor([0xff; 16]));
        self.0.range(all).map(|((_, _, actor), _)| *actor)
    }

    /// A round with a peer begins.
    pub(super) fn round_begins(&mut self, with: NodeId) {
        for ((peer, ..), note) in &mut self.0 {
            note.is_fresh &= *peer != with;
        }
    }

    /// A list differs from the peer's in the round with it.
    pub(super) fn differs(&mut self, peer: NodeId, list: ListId) {
        let all = (peer, list, Actor([0; 16]))..=(peer, list, Actor([0xff; 16]));
        for (_, note) in self.0.range_mut(all) {
            note.is_fresh = true;
        }
    }

    /// A round with a peer saw all that differs: where nothing did, the branches are one.
    pub(super) fn round_ends(&mut self, with: NodeId) {
        self.0
            .retain(|(peer, ..), note| *peer != with || note.is_fresh);
    }

    /// A peer is gone.
    pub(super) fn gone(&mut self, with: NodeId) {
        self.0.retain(|(peer, ..), _| *peer != with);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// In how many lists some peer has another branch.
    pub(super) fn lists(&self) -> usize {
        let lists = self.0.keys().map(|(_, list, _)| *list);
        lists.collect::<std::collections::BTreeSet<_>>().len()
    }

    /// All of them: who has another change of which list than this one, of which only the number is
    /// known any more.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, ListId, ChangeId)> + '_ {
        let id = |actor, note: &Note| ChangeId {
            actor,
            seq: note.seq,
        };
        self.0
            .iter()
            .map(move |((peer, list, actor), note)| (*peer, *list, id(*actor, note)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const PEERS: [NodeId; 2] = [NodeId([1; 16]), NodeId([2; 16])];
    const LIST: ListId = ListId([7; 16]);

    fn id(seq: u64) -> ChangeId {
        let actor = Actor([9; 16]);
        ChangeId { actor, seq }
    }

    #[test]
    fn a_fork_is_news_once_and_its_first_number_counts() {
        let mut forks = Forks::default();
        assert!(forks.note(PEERS[0], LIST, id(4)));
        assert!(!forks.note(PEERS[0], LIST, id(3)) && !forks.note(PEERS[0], LIST, id(5)));
        assert!(forks.note(PEERS[1], LIST, id(3)));
        assert!(forks.iter().all(|(_, _, first)| first == id(3)));
        let tells = |forks: &mut Forks, peer| forks.is_to_tell(peer, LIST, id(3).actor);
        assert!(tells(&mut forks, PEERS[0]) && !tells(&mut forks, PEERS[0]));
        assert!(!tells(&mut forks, NodeId([3; 16])), "it has none");
        assert_eq!((forks.lists(), forks.iter().count()), (1, 2));
    }

    #[test]
    fn what_a_round_finds_equal_is_no_fork_any_more() {
        let mut forks = Forks::default();
        PEERS.iter().for_each(|peer| {
            forks.note(*peer, LIST, id(1));
        });
        forks.round_begins(PEERS[0]);
        forks.differs(PEERS[0], LIST);
        forks.round_ends(PEERS[0]);
        assert!(forks.any(PEERS[0], LIST));
        forks.round_begins(PEERS[0]);
        forks.note(PEERS[0], LIST, id(1));
        forks.round_ends(PEERS[0]);
        assert!(forks.any(PEERS[0], LIST), "it was seen meanwhile");
        forks.round_begins(PEERS[0]);
        forks.round_ends(PEERS[0]);
        assert!(!forks.any(PEERS[0], LIST) && forks.any(PEERS[1], LIST));
    }
}
