//! Which jobs run: one per list, few large ones, many small ones.

use crate::lists::edge::Edge;
use crate::lists::io::Output;
use crate::lists::job::Job;
use names::ListId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Loading takes ten times the document's memory while it lasts, and a core.
const MAX_HEAVY: usize = 4;
/// Reads of the store.
const MAX_LIGHT: usize = 64;
/// Documents that wait for their snapshot: they take memory, and a snapshot can be made later.
const MAX_SNAPSHOTS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Heavy,
    Light,
}

/// Jobs per list are run in the order in which they were pushed. The parts push at most one of a
/// kind per list (and per peer), which bounds the queues.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    queues: BTreeMap<ListId, VecDeque<Job>>,
    heavy: VecDeque<ListId>,
    light: VecDeque<ListId>,
    running: BTreeMap<ListId, Weight>,
    stale: BTreeSet<ListId>,
    /// How many of what is queued make snapshots.
    snapshots: usize,
}

impl Jobs {
    pub(super) fn push(&mut self, edge: &mut Edge, list: ListId, job: Job) {
        let weight = weigh(&job);
        self.snapshots += usize::from(matches!(job, Job::Save { .. }));
        let queue = self.queues.entry(list).or_default();
        queue.push_back(job);
        if queue.len() == 1 && !self.running.contains_key(&list) {
            self.line(weight).push_back(list);
        }
        self.start(edge);
    }

    /// Whether a document that leaves the memory can wait for its snapshot.
    pub(super) fn has_room_for_snapshot(&self) -> bool {
        self.snapshots < MAX_SNAPSHOTS
    }

    /// A job came back. False if it was started before [`Jobs::forget`]: its result means nothing
    /// any more.
    pub(super) fn done(&mut self, edge: &mut Edge, list: ListId) -> bool {
        let known = self.running.remove(&list).is_some();
        let stale = self.stale.remove(&list);
        if let Some(weight) = self.queues.get(&list).and_then(VecDeque::front).map(weigh) {
            self.line(weight).push_back(list);
        }
        self.start(edge);
        known && !stale
    }

    /// Drops what is queued, and the results of what runs.
    pub(super) fn forget(&mut self) {
        self.queues.clear();
        self.heavy.clear();
        self.light.clear();
        self.snapshots = 0;
        self.stale = self.running.keys().copied().collect();
    }

    fn line(&mut self, weight: Weight) -> &mut VecDeque<ListId> {
        match weight {
            Weight::Heavy => &mut self.heavy,
            Weight::Light => &mut self.light,
        }
    }

    fn start(&mut self, edge: &mut Edge) {
        for (weight, most) in [(Weight::Heavy, MAX_HEAVY), (Weight::Light, MAX_LIGHT)] {
            let mut free = most.saturating_sub(
                self.running
                    .values()
                    .filter(|running| **running == weight)
                    .count(),
            );
            while free > 0
                && let Some(list) = self.line(weight).pop_front()
            {
                free -= usize::from(self.start_one(edge, list, weight));
            }
        }
    }

    fn start_one(&mut self, edge: &mut Edge, list: ListId, weight: Weight) -> bool {
        let Some(queue) = self.queues.get_mut(&list) else {
            return false;
        };
        let job = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&list);
        }
        let Some(job) = job else { return false };
        self.snapshots -= usize::from(matches!(job, Job::Save { .. }));
        self.running.insert(list, weight);
        edge.put(Output::Work { list, job });
        true
    }
}

fn weigh(job: &Job) -> Weight {
    match job {
        Job::Load { .. }
        | Job::Apply { .. }
        | Job::CatchUp { .. }
        | Job::Save { .. }
        | Job::Rebuild { .. }
        | Job::LeaveOut { .. }
        | Job::Look { .. } => Weight::Heavy,
        Job::Vector { .. } | Job::Changes { .. } => Weight::Light,
    }
}
