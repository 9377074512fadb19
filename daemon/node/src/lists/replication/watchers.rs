//! Peers that want to be told when this node has something on its disk.

use crate::lists::edge::Edge;
use crate::lists::event::NamedVector;
use crate::time::Instant;
use crdt::list::RawChange;
use crdt::vector::{PART_ROWS, Tip, VersionVector};
use names::{Actor, ChangeId, ListId, NodeId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Questions of all peers that are open at once.
const MAX_OPEN: usize = 16_384;
/// Of how many changes they can speak, each of some hundred bytes: those of one peer, and all.
const MAX_ROWS_OF_PEER: usize = 16 * PART_ROWS;
const MAX_ROWS: usize = 256 * PART_ROWS;
/// A peer that still waits asks again each second; what nobody repeats is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Watcher {
    peer: NodeId,
    goal: VersionVector,
    /// What of it is not known to be on the disk.
    open: BTreeMap<Actor, Tip>,
    asked_at: Instant,
}

/// All open questions, by list.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    lists: BTreeMap<ListId, Vec<Watcher>>,
    open: usize,
    /// Of how many changes the questions of each peer speak.
    rows: BTreeMap<NodeId, usize>,
}

/// A question that can be answered: tell that peer that we have that.
pub(super) type Answerable = (NodeId, VersionVector);

impl Watchers {
    pub(super) fn add(&mut self, edge: &mut Edge, list: ListId, peer: NodeId, goal: VersionVector) {
        let asked_at = edge.now.instant;
        let has_room = self.open < MAX_OPEN && self.has_room(peer, goal.len());
        let watchers = self.lists.entry(list).or_default();
        if let Some(known) = watchers
            .iter_mut()
            .find(|known| known.peer == peer && known.goal == goal)
        {
            known.asked_at = asked_at;
        } else if has_room {
            *self.rows.entry(peer).or_default() += goal.len();
            let open = goal.iter().map(|tip| (tip.id.actor, tip)).collect();
            watchers.push(Watcher {
                peer,
                goal,
                open,
                asked_at,
            });
            self.open += 1;
        } else {
            edge.stats.dropped += 1;
        }
    }

    fn has_room(&self, peer: NodeId, rows: usize) -> bool {
        let of_peer = self.rows.get(&peer).copied().unwrap_or_default();
        let all: usize = self.rows.values().sum();
        // One question always has room, also a whole vector of a peer that knows no parts.
        of_peer == 0 || of_peer + rows <= MAX_ROWS_OF_PEER && all + rows <= MAX_ROWS
    }

    fn closed(&mut self, closed: &[Watcher]) {
        self.open -= closed.len();
        for watcher in closed {
            if let Some(rows) = self.rows.get_mut(&watcher.peer) {
                *rows = rows.saturating_sub(watcher.goal.len());
            }
        }
        self.rows.retain(|_, rows| *rows > 0);
    }

    /// The changes of that list that somebody asks about, and that are not known to be on the disk.
    pub(super) fn open(&self, list: ListId) -> Vec<ChangeId> {
        let watchers = self.lists.get(&list).into_iter().flatten();
        let open = watchers.flat_map(|watcher| watcher.open.values());
        open.map(|tip| tip.id).collect()
    }

    /// Who asks about changes of that list in whose places this node has others, and which.
    pub(super) fn unlike(&self, list: ListId, ours: &NamedVector) -> Vec<(NodeId, VersionVector)> {
        let watchers = self.lists.get(&list).into_iter().flatten();
        let unlike =
            watchers.map(|watcher| (watcher.peer, ours.unlike(watcher.open.values().copied())));
        unlike.filter(|(_, unlike)| !unlike.is_empty()).collect()
    }

    /// Those changes of a list were committed.
    pub(super) fn committed(&mut self, list: ListId, changes: &[RawChange]) -> Vec<Answerable> {
        self.advance(list, |watcher| {
            for change in changes {
                let tip = Tip::of(change.id, change.hash);
                let open = watcher.open.get(&tip.id.actor);
                if open.is_some_and(|open| open.id == tip.id && !open.is_unlike(&tip)) {
                    watcher.open.remove(&tip.id.actor);
                }
            }
        })
    }

    /// All of that was committed some time before.
    pub(super) fn committed_before(&mut self, list: ListId, ours: &NamedVector) -> Vec<Answerable> {
        self.advance(list, |watcher| {
            watcher.open.retain(|_, open| !ours.has(*open));
        })
    }

    /// Forgets questions that nobody repeated.
    pub(super) fn forget_old(&mut self, now: Instant) {
        let is_old = |watcher: &mut Watcher| now.since(watcher.asked_at) >= FORGET_AFTER;
        let old: Vec<Watcher> = self
            .lists
            .values_mut()
            .flat_map(|watchers| watchers.extract_if(.., is_old))
            .collect();
        self.closed(&old);
        self.lists.retain(|_, watchers| !watchers.is_empty());
    }

    fn advance(&mut self, list: ListId, update: impl Fn(&mut Watcher)) -> Vec<Answerable> {
        let Some(watchers) = self.lists.get_mut(&list) else {
            return Vec::new();
        };
        watchers.iter_mut().for_each(update);
        let done: Vec<Watcher> = watchers
            .extract_if(.., |watcher| watcher.open.is_empty())
            .collect();
        if watchers.is_empty() {
            self.lists.remove(&list);
        }
        self.closed(&done);
        done.into_iter()
            .map(|watcher| (watcher.peer, watcher.goal))
            .collect()
    }
}
