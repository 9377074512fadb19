//! Repairs of single lists: this node asks one peer for what it lacks, commits it, and asks again
//! until that was all. The peer keeps nothing between two questions, so there is nothing to clean
//! up on its side.

use super::flow::Flows;
use crate::lists::wire::{CHUNK_BYTES, Tail};
use crate::time::Instant;
use names::{ListId, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Lists that are repaired at once.
const MAX_ACTIVE: usize = 64;
/// Lists that wait for their repair with one peer; more are found again by the next round.
const MAX_QUEUED: usize = 16_384;
/// The most that one question asks for.
const MAX_CLAIM_BYTES: usize = 512 << 10;
/// Without progress for so long, a repair is given up; later on a link that is slow.
const STALL: Duration = Duration::from_secs(5);
/// A peer whose changes of a list brought nothing is not asked for that list again for so long.
const COOL_DOWN: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Our own vector is being looked up.
    Looking,
    /// The peer was asked.
    Asked,
    /// The answer is being applied and committed.
    Applying(Tail),
}

#[derive(Debug)]
struct Pull {
    peer: NodeId,
    stage: Stage,
    claim_bytes: usize,
    at: Instant,
    received: bool,
    /// Whether something new was committed since the last question, and since the first.
    advanced: bool,
    useful: bool,
}

/// What is to be done next about a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Look our vector up, to ask that peer.
    Look(NodeId),
    /// Nothing more: the repair is over.
    Over,
    /// It is to be tried again later.
    Wait,
}

/// All repairs, under way and waiting.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    active: BTreeMap<ListId, Pull>,
    queued: BTreeMap<NodeId, BTreeSet<ListId>>,
    cooling: BTreeMap<(NodeId, ListId), Instant>,
    begun: u64,
}

impl Pulls {
    /// Puts a list in line. False if that peer's line is full.
    pub(super) fn queue(&mut self, peer: NodeId, list: ListId) -> bool {
        if self.cooling.contains_key(&(peer, list))
            || self.active.get(&list).is_some_and(|pull| pull.peer == peer)
        {
            return true;
        }
        let queue = self.queued.entry(peer).or_default();
        if queue.len() >= MAX_QUEUED && !queue.contains(&list) {
            return false;
        }
        queue.insert(list);
        true
    }

    /// The next repair that can begin: look up our vector of that list.
    pub(super) fn next(&mut self, now: Instant, flows: &Flows) -> Option<(NodeId, ListId)> {
        if self.active.len() >= MAX_ACTIVE {
            return None;
        }
        let open = self
            .queued
            .iter()
            .filter(|(peer, _)| self.has_credit(**peer, flows));
        let mut ready = open.flat_map(|(peer, lists)| lists.iter().map(|list| (*peer, *list)));
        let (peer, list) = ready.find(|(_, list)| !self.active.contains_key(list))?;
        let queue = self.queued.get_mut(&peer)?;
        queue.remove(&list);
        if queue.is_empty() {
            self.queued.remove(&peer);
        }
        self.begun += 1;
        tracing::debug!(%peer, "repairs a list");
        let pull = Pull {
            peer,
            stage: Stage::Looking,
            claim_bytes: least_claim(peer, flows),
            at: now,
            received: false,
            advanced: false,
            useful: false,
        };
        self.active.insert(list, pull);
        Some((peer, list))
    }

    /// Our vector is known: how many bytes to ask that peer for.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        flows: &mut Flows,
        peer: NodeId,
        list: ListId,
    ) -> Option<usize> {
        let share = flows.window(peer) / self.lists_of(peer).max(1);
        let is_first = !self.awaited_of(peer).any(|pull| pull.stage == Stage::Asked);
        let pull = self
            .active
            .get_mut(&list)
            .filter(|pull| pull.peer == peer && pull.stage == Stage::Looking)?;
        pull.claim_bytes = share.clamp(least_claim(peer, flows), MAX_CLAIM_BYTES);
        if is_first {
            flows.begin(now, peer);
        }
        (pull.stage, pull.at, pull.advanced) = (Stage::Asked, now, false);
        Some(pull.claim_bytes)
    }

    /// A part of a peer's answer came in, with `some` changes or none. After the last one the
    /// repair goes on when all of it is committed.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        peer: NodeId,
        list: ListId,
        some: bool,
        tail: Tail,
    ) {
        let Some(pull) = self
            .active
            .get_mut(&list)
            .filter(|pull| pull.peer == peer && pull.stage == Stage::Asked)
        else {
            return;
        };
        pull.at = now;
        pull.received |= some;
        if tail != Tail::Message {
            pull.stage = Stage::Applying(tail);
        }
    }

    /// A part of a large change came in, which may be larger than what was asked for.
    pub(super) fn is_alive(&mut self, now: Instant, peer: NodeId, list: ListId) {
        if let Some(pull) = self.active.get_mut(&list).filter(|pull| pull.peer == peer) {
            pull.at = now;
            pull.claim_bytes = pull.claim_bytes.max(CHUNK_BYTES);
        }
    }

    /// Something new of a list came from peers and was committed.
    pub(super) fn advanced(&mut self, now: Instant, list: ListId) {
        if let Some(pull) = self.active.get_mut(&list) {
            (pull.advanced, pull.useful, pull.at) = (true, true, now);
        }
    }

    /// Nothing of a list waits to be applied or committed any more.
    pub(super) fn all_committed(&mut self, now: Instant, list: ListId) -> Step {
        let Some(pull) = self.active.get_mut(&list) else {
            return Step::Wait;
        };
        let Stage::Applying(tail) = pull.stage else {
            return Step::Wait;
        };
        if tail == Tail::Pull && pull.advanced {
            (pull.stage, pull.at) = (Stage::Looking, now);
            return Step::Look(pull.peer);
        }
        if pull.received && !pull.useful {
            self.cooling.insert((pull.peer, list), now + COOL_DOWN);
        }
        self.end(list)
    }

    /// The peer has nothing of that list to give.
    pub(super) fn nothing(&mut self, peer: NodeId, list: ListId) -> Step {
        if self.active.get(&list).is_some_and(|pull| pull.peer == peer) {
            self.end(list)
        } else {
            Step::Wait
        }
    }

    fn end(&mut self, list: ListId) -> Step {
        if self.active.remove(&list).is_some() {
            Step::Over
        } else {
            Step::Wait
        }
    }

    /// Messages to or from a peer were lost. Questions or their answers may be among them: whatever
    /// does not come is found again by the comparison that follows.
    pub(super) fn interrupted(&mut self, peer: NodeId) {
        self.active
            .retain(|_, pull| pull.peer != peer || pull.stage != Stage::Asked);
    }

    /// A peer is gone.
    pub(super) fn gone(&mut self, peer: NodeId) {
        self.queued.remove(&peer);
        self.active.retain(|_, pull| pull.peer != peer);
        self.cooling.retain(|(other, _), _| *other != peer);
    }

    /// Gives up what makes no progress; gives the number of those.
    pub(super) fn expire(&mut self, now: Instant, flows: &mut Flows) -> usize {
        let before = self.active.len();
        let peers: BTreeSet<NodeId> = self.active.values().map(|pull| pull.peer).collect();
        for peer in peers {
            let limit = flows.limit(peer, STALL, self.awaited_bytes(peer));
            let is_stalled = |pull: &Pull| pull.peer == peer && now.since(pull.at) >= limit;
            let mut asked = self.active.values().filter(|pull| is_stalled(pull));
            if asked.any(|pull| pull.stage == Stage::Asked) {
                flows.stalled(peer);
            }
            self.active.retain(|_, pull| !is_stalled(pull));
        }
        self.cooling.retain(|_, until| *until > now);
        before - self.active.len()
    }

    /// Whether a list is being repaired.
    pub(super) fn is_active(&self, list: ListId) -> bool {
        self.active.contains_key(&list)
    }

    /// Whether nothing is under way or waiting with that peer.
    pub(super) fn is_idle(&self, peer: NodeId) -> bool {
        self.lists_of(peer) == 0
    }

    pub(super) fn clear(&mut self) {
        self.active.clear();
        self.queued.clear();
        self.cooling.clear();
    }

    /// Repairs under way, and begun since the start.
    pub(super) fn counts(&self) -> (usize, u64) {
        (self.active.len(), self.begun)
    }

    /// How many lists are under way or waiting with that peer.
    fn lists_of(&self, peer: NodeId) -> usize {
        self.queued.get(&peer).map_or(0, BTreeSet::len)
            + self
                .active
                .values()
                .filter(|pull| pull.peer == peer)
                .count()
    }

    /// What that peer has yet to send, in bytes, as far as it was asked for.
    pub(super) fn awaited_bytes(&self, peer: NodeId) -> usize {
        self.awaited_of(peer).map(|pull| pull.claim_bytes).sum()
    }

    fn awaited_of(&self, peer: NodeId) -> impl Iterator<Item = &Pull> {
        self.active
            .values()
            .filter(move |pull| pull.peer == peer && !matches!(pull.stage, Stage::Applying(_)))
    }

    fn has_credit(&self, peer: NodeId, flows: &Flows) -> bool {
        let left = flows.window(peer).saturating_sub(self.awaited_bytes(peer));
        left >= least_claim(peer, flows)
    }
}

/// The least that one question asks for: all repairs that may be under way fit that peer's window.
fn least_claim(peer: NodeId, flows: &Flows) -> usize {
    flows.window(peer) / MAX_ACTIVE
}
