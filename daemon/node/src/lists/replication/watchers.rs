//! Peers that want to be told when this node has something on its disk.

use crate::lists::edge::Edge;
use crate::lists::event::NamedVector;
use crate::time::Instant;
use crdt::list::RawChange;
use crdt::vector::{Tip, VersionVector};
use names::{Actor, ChangeId, ListId, NodeId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Questions of all peers that are open at once.
const MAX_OPEN: usize = 16_384;
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
}

/// A question that can be answered: tell that peer that we have that.
pub(super) type Answerable = (NodeId, VersionVector);

impl Watchers {
    pub(super) fn add(&mut self, edge: &mut Edge, list: ListId, peer: NodeId, goal: VersionVector) {
        let asked_at = edge.now.instant;
        let watchers = self.lists.entry(list).or_default();
        if let Some(known) = watchers
            .iter_mut()
            .find(|known| known.peer == peer && known.goal == goal)
        {
            known.asked_at = asked_at;
        } else if self.open < MAX_OPEN {
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
        for watchers in self.lists.values_mut() {
            let before = watchers.len();
            watchers.retain(|watcher| now.since(watcher.asked_at) < FORGET_AFTER);
            self.open -= before - watchers.len();
        }
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
        self.open -= done.len();
        if watchers.is_empty() {
            self.lists.remove(&list);
        }
        done.into_iter()
            .map(|watcher| (watcher.peer, watcher.goal))
            .collect()
    }
}
