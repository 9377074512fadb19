//! Changes of peers that wait, each with who sent it, and how much of them there may be.
//!
//! A peer can send as many changes as it likes, each of a list of its own. So what waits is counted
//! with what it takes besides its bytes, for each peer alone: what one of them sends leaves room for
//! the others.

use crdt::list::{self, CheckedChange};
use names::{Actor, ChangeHash, NodeId};
use std::collections::BTreeMap;

/// Changes of one list that wait to be applied, or for others; and their bytes.
const MAX_CHANGES_PER_LIST: usize = 10_000;
const MAX_BYTES_PER_LIST: usize = 16 << 20;
/// About what a change takes besides its bytes, decoded and with a list of its own around it.
const CHANGE_BYTES: usize = 2 << 10;
/// What all that waits may take.
const MAX_BYTES: usize = 128 << 20;
/// What that of one peer may take.
const MAX_BYTES_PER_PEER: usize = 32 << 20;

/// A change that waits.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) change: CheckedChange,
    /// Who sent it, the first one who did.
    pub(super) from: NodeId,
}

impl Held {
    fn cost(&self) -> usize {
        self.change.bytes().len().saturating_add(CHANGE_BYTES)
    }
}

/// What all changes that wait take, in bytes.
#[derive(Debug, Default)]
pub(super) struct Room {
    bytes: usize,
    peers: BTreeMap<NodeId, usize>,
}

impl Room {
    /// Whether another change of that peer may wait.
    pub(super) fn is_left_for(&self, peer: NodeId) -> bool {
        let of_peer = self.peers.get(&peer).copied().unwrap_or(0);
        self.bytes < MAX_BYTES && of_peer < MAX_BYTES_PER_PEER
    }

    fn take(&mut self, held: &Held) {
        self.bytes += held.cost();
        *self.peers.entry(held.from).or_default() += held.cost();
    }

    fn give_back(&mut self, held: &Held) {
        self.bytes = self.bytes.saturating_sub(held.cost());
        if let Some(of_peer) = self.peers.get_mut(&held.from) {
            *of_peer = of_peer.saturating_sub(held.cost());
            if *of_peer == 0 {
                self.peers.remove(&held.from);
            }
        }
    }
}

/// Changes of one list.
#[derive(Debug, Default)]
pub(super) struct Heap {
    changes: BTreeMap<ChangeHash, Held>,
    bytes: usize,
}

impl Heap {
    /// Adds a change that is not there yet.
    pub(super) fn add(&mut self, held: Held, room: &mut Room) {
        self.changes.entry(held.change.hash()).or_insert_with(|| {
            room.take(&held);
            self.bytes += held.change.bytes().len();
            held
        });
    }

    pub(super) fn is_full(&self) -> bool {
        self.changes.len() >= MAX_CHANGES_PER_LIST || self.bytes >= MAX_BYTES_PER_LIST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn senders(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.changes.values().map(|held| held.from)
    }

    pub(super) fn actors(&self) -> impl Iterator<Item = Actor> + '_ {
        self.changes.values().map(|held| held.change.id().actor)
    }

    /// Takes all changes out, in the order of their operations.
    pub(super) fn take(self, room: &mut Room) -> Vec<Held> {
        let taken: Vec<Held> = self.changes.into_values().collect();
        taken.iter().for_each(|held| room.give_back(held));
        list::in_order(taken, |held| held.change.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crdt::entry::{Author, Edit, NewEntry};
    use crdt::list::{Document, judge};
    use names::{Actor, ListName};

    fn held(from: NodeId) -> Held {
        let mut document = Document::new(ListName::new("bob").unwrap(), Actor([9; 16]));
        let (edit, by) = (Edit::Add(vec![NewEntry::default()]), Author::default());
        let edited = document.edit(&edit, &by, 0, &mut || 7).unwrap();
        let change = judge(edited.change.unwrap().bytes).unwrap();
        Held { change, from }
    }

    #[test]
    fn small_changes_of_one_peer_leave_room_for_others() {
        let (rogue, other) = (NodeId([9; 16]), NodeId([8; 16]));
        let (mut room, change) = (Room::default(), held(rogue));
        let mut count = 0;
        while room.is_left_for(rogue) {
            room.take(&change);
            count += 1;
        }
        assert!(
            change.change.bytes().len() < 300 && count < 17_000,
            "{count}"
        );
        assert!(room.is_left_for(other));
        room.give_back(&change);
        assert!(room.is_left_for(rogue));
    }

    #[test]
    fn all_peers_together_have_a_bound() {
        let mut room = Room::default();
        for peer in 0..4 {
            let change = held(NodeId([peer; 16]));
            while room.is_left_for(change.from) {
                room.take(&change);
            }
        }
        assert!(!room.is_left_for(NodeId([9; 16])));
    }

    #[test]
    fn a_change_that_comes_twice_takes_its_room_once() {
        let (mut room, mut heap) = (Room::default(), Heap::default());
        let peers = [NodeId([9; 16]), NodeId([8; 16])];
        for peer in peers {
            heap.add(held(peer), &mut room);
        }
        let cost = held(peers[0]).cost();
        assert_eq!(
            (room.bytes, &room.peers),
            (cost, &[(peers[0], cost)].into())
        );
        assert_eq!(heap.take(&mut room).len(), 1);
        assert_eq!((room.bytes, room.peers.len()), (0, 0));
    }
}
