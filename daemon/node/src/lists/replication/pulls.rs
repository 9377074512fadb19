//! Repairs of single lists: this node asks one peer for what it lacks, commits it, and asks again
//! until that was all. The peer keeps nothing between two questions, so there is nothing to clean
//! up on its side.
//!
//! A question says what this node has. Where that is more than a message holds it is asked about some
//! actors after the other, part by part. What the answer brings of these may depend on changes of others,
//! and waits for them; but the first change that is lacking depends on none that is. So each way through
//! all parts brings something, and where a part was left with more to pull, another way follows.
//!
//! A peer that does not answer for a list comes last among those that have it.

use super::flow::Flows;
use super::queue::Queue;
use super::reached::Reached;
use crate::lists::event::Newness;
use crate::lists::wire::{CHUNK_BYTES, Tail};
use crate::time::Instant;
use crdt::list::MAX_CHANGE_BYTES;
use crdt::vector::{Part, Span, VersionVector, Walk};
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
/// Who has been silent about a list for so long is asked something small beside it. If that is answered, it
/// is not the link that makes the repair wait.
const ASIDE: Duration = Duration::from_secs(4);
/// Who did not answer for a list comes last for so long.
const SILENT: Duration = Duration::from_secs(60);
/// What a message of an answer counts at least.
const MESSAGE_BYTES: usize = 4 << 10;
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
    /// What the answer may still bring.
    room_bytes: usize,
    at: Instant,
    /// When the last question was asked that the peer has answered instead.
    overtaken: Instant,
    received: bool,
    /// Whether something new was committed since the last question, since the way through all parts
    /// began, and since the first question.
    advanced: bool,
    advanced_on_way: bool,
    useful: bool,
    /// The way through the parts of our vector, and the part that was asked about last.
    walk: Walk,
    asked: Span,
    /// Whether there is more to pull of a part that lies behind.
    left_some: bool,
}

impl Pull {
    fn begin(peer: NodeId, walk: Walk, now: Instant, claim_bytes: usize) -> Self {
        Self {
            peer,
            stage: Stage::Looking,
            claim_bytes,
            room_bytes: 0,
            at: now,
            overtaken: now,
            received: false,
            advanced: false,
            advanced_on_way: false,
            useful: false,
            walk,
            asked: Span::ALL,
            left_some: false,
        }
    }

    /// Whether nothing has come for so long of what the peer was asked.
    fn is_silent(&self, now: Instant, long: Duration) -> bool {
        self.stage == Stage::Asked && now.since(self.at) >= long
    }

    /// Whether the question or its answer was lost: the peer has answered another one that was asked long
    /// after it, and all that it says comes in order.
    fn is_lost(&self, now: Instant) -> bool {
        self.is_silent(now, STALL) && self.overtaken.since(self.at) >= ASIDE
    }

    /// All that was told of a part is committed: goes on with the next one. False if there is nothing
    /// more to be had.
    fn goes_on(&mut self, tail: Tail) -> bool {
        let is_more = tail == Tail::Pull;
        if is_more && self.advanced {
            return true;
        }
        self.left_some |= is_more;
        if let Some(walk) = self.walk.after(self.asked) {
            self.walk = walk;
            return true;
        }
        let is_part = self.asked != Span::ALL;
        let is_again = is_part && self.left_some && self.advanced_on_way;
        (self.walk, self.left_some, self.advanced_on_way) = (Walk::default(), false, false);
        is_again
    }
}

/// An answer that brings more than was asked for, which no correct peer gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endless;

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
    queued: BTreeMap<NodeId, Queue>,
    cooling: BTreeMap<(NodeId, ListId), Instant>,
    silent: BTreeMap<(NodeId, ListId), Instant>,
    reached: Reached,
    begun: u64,
}

impl Pulls {
    /// Puts a list in line, behind those that are newer. False if that peer's line is full.
    pub(super) fn queue(&mut self, peer: NodeId, list: ListId, newness: Newness) -> bool {
        if self.cooling.contains_key(&(peer, list))
            || self.active.get(&list).is_some_and(|pull| pull.peer == peer)
        {
            return true;
        }
        let is_silent = |pull: &Pull| self.silent.contains_key(&(pull.peer, list));
        if !self.silent.contains_key(&(peer, list)) && self.active.get(&list).is_some_and(is_silent)
        {
            self.active.remove(&list);
        }
        let queue = self.queued.entry(peer).or_default();
        if queue.len() >= MAX_QUEUED && !queue.contains(list) {
            return false;
        }
        queue.insert(list, newness);
        true
    }

    /// The next repair that can begin: look up our vector of that list.
    pub(super) fn next(&mut self, now: Instant, flows: &Flows) -> Option<(NodeId, ListId)> {
        if self.active.len() >= MAX_ACTIVE {
            return None;
        }
        let (peer, list) = self.first_ready(flows)?;
        let queue = self.queued.get_mut(&peer)?;
        queue.remove(list);
        if queue.is_empty() {
            self.queued.remove(&peer);
        }
        self.begun += 1;
        tracing::debug!(%peer, "repairs a list");
        let walk = self.reached.walk(peer, list);
        self.active
            .insert(list, Pull::begin(peer, walk, now, least_claim(peer, flows)));
        Some((peer, list))
    }

    /// The first list in line that can be repaired; those with peers that were silent about it come last.
    fn first_ready(&self, flows: &Flows) -> Option<(NodeId, ListId)> {
        let queued = self.queued.iter();
        let open = queued.filter(|(peer, _)| self.has_credit(**peer, flows));
        let ready = open.flat_map(|(peer, lists)| lists.iter().map(|list| (*peer, list)));
        let mut ready = ready.filter(|(_, list)| !self.active.contains_key(list));
        let is_silent = |key: &(NodeId, ListId)| self.silent.contains_key(key);
        let first = ready.next()?;
        if is_silent(&first) {
            Some(ready.find(|key| !is_silent(key)).unwrap_or(first))
        } else {
            Some(first)
        }
    }

    /// Our vector is known: the part of it to ask that peer about, and for how many bytes.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        flows: &mut Flows,
        (peer, list): (NodeId, ListId),
        (ours, most_rows): (&VersionVector, usize),
    ) -> Option<(Part, usize)> {
        let share = flows.window(peer) / self.lists_of(peer).max(1);
        let is_first = !self.awaited_of(peer).any(|pull| pull.stage == Stage::Asked);
        let pull = self
            .active
            .get_mut(&list)
            .filter(|pull| pull.peer == peer && pull.stage == Stage::Looking)?;
        pull.claim_bytes = share.clamp(least_claim(peer, flows), MAX_CLAIM_BYTES);
        pull.room_bytes = pull.claim_bytes + MAX_CHANGE_BYTES + CHUNK_BYTES;
        if is_first {
            flows.begin(now, peer);
        }
        (pull.stage, pull.at, pull.advanced) = (Stage::Asked, now, false);
        let part = pull.walk.part(ours, most_rows);
        pull.asked = part.span;
        Some((part, pull.claim_bytes))
    }

    /// A message of a peer's answer came in, with changes of so many bytes each. After the last one the
    /// repair goes on when all of it is committed.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        (peer, list): (NodeId, ListId),
        changes: &[usize],
        tail: Tail,
    ) -> Result<(), Endless> {
        let Some(pull) = self
            .active
            .get_mut(&list)
            .filter(|pull| pull.peer == peer && pull.stage == Stage::Asked)
        else {
            return Ok(());
        };
        let bytes = changes.iter().sum::<usize>().max(MESSAGE_BYTES);
        let Some(room_bytes) = pull.room_bytes.checked_sub(bytes) else {
            self.active.remove(&list);
            return Err(Endless);
        };
        self.silent.remove(&(peer, list));
        (pull.room_bytes, pull.at) = (room_bytes, now);
        pull.received |= !changes.is_empty();
        if tail != Tail::Message {
            pull.stage = Stage::Applying(tail);
        }
        Ok(())
    }

    /// A part of a large change came in, of the answer or of something new: so long as there is room for
    /// it in the answer, the peer is waited for.
    pub(super) fn is_alive(&mut self, now: Instant, (peer, list): (NodeId, ListId), bytes: usize) {
        if let Some(pull) = self.active.get_mut(&list).filter(|pull| pull.peer == peer)
            && pull.room_bytes >= pull.claim_bytes + CHUNK_BYTES + bytes
        {
            pull.room_bytes -= bytes;
            pull.at = now;
            pull.claim_bytes = pull.claim_bytes.max(CHUNK_BYTES);
        }
    }

    /// Something new of a list came from peers and was committed.
    pub(super) fn advanced(&mut self, now: Instant, list: ListId) {
        if let Some(pull) = self.active.get_mut(&list) {
            (pull.advanced, pull.useful, pull.at) = (true, true, now);
            pull.advanced_on_way = true;
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
        if pull.goes_on(tail) {
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
        self.end_all(|pull| pull.peer == peer && pull.stage == Stage::Asked);
    }

    /// Ends repairs before their time; where they have come is remembered. Gives which ones.
    fn end_all(&mut self, is_over: impl Fn(&Pull) -> bool) -> Vec<(NodeId, ListId)> {
        let mut ended = Vec::new();
        self.active.retain(|list, pull| {
            let is_over = is_over(pull);
            if is_over {
                self.reached.note(pull.peer, *list, pull.walk);
                ended.push((pull.peer, *list));
            }
            !is_over
        });
        ended
    }

    fn note_silent(&mut self, now: Instant, silent: &[(NodeId, ListId)]) {
        let until = now + SILENT;
        self.silent.extend(silent.iter().map(|key| (*key, until)));
    }

    /// A peer is gone. If it comes back at once and goes again, others are asked before it.
    pub(super) fn gone(&mut self, now: Instant, peer: NodeId) {
        self.queued.remove(&peer);
        let silent = self.end_all(|pull| pull.peer == peer && pull.stage == Stage::Asked);
        self.end_all(|pull| pull.peer == peer);
        self.note_silent(now, &silent);
        self.cooling.retain(|(other, _), _| *other != peer);
    }

    /// The peers that are silent about some list: they are to be asked something small.
    pub(super) fn silent(&self, now: Instant) -> BTreeSet<NodeId> {
        let silent = self
            .active
            .values()
            .filter(|pull| pull.is_silent(now, ASIDE));
        silent.map(|pull| pull.peer).collect()
    }

    /// A peer has answered something small that it was asked at that time.
    pub(super) fn overtaken(&mut self, peer: NodeId, asked: Instant) {
        let pulls = self.active.values_mut().filter(|pull| pull.peer == peer);
        pulls.for_each(|pull| pull.overtaken = asked);
    }

    /// Gives up what makes no progress; gives the number of those.
    pub(super) fn expire(&mut self, now: Instant, flows: &mut Flows) -> usize {
        let peers: BTreeSet<NodeId> = self.active.values().map(|pull| pull.peer).collect();
        let limits = peers.into_iter().map(|peer| {
            let limit = flows.limit(peer, STALL, self.awaited_bytes(peer));
            (peer, limit)
        });
        let limits: BTreeMap<NodeId, Duration> = limits.collect();
        let is_stalled = |pull: &Pull| {
            let limit = limits.get(&pull.peer).copied().unwrap_or(STALL);
            now.since(pull.at) >= limit
        };
        let mut silent = self.end_all(|pull| pull.is_lost(now));
        let slow = self.end_all(|pull| is_stalled(pull) && pull.stage == Stage::Asked);
        let others = self.end_all(is_stalled);
        let peers: BTreeSet<NodeId> = slow.iter().map(|(peer, _)| *peer).collect();
        peers.into_iter().for_each(|peer| flows.stalled(peer));
        silent.extend(slow);
        self.note_silent(now, &silent);
        self.cooling.retain(|_, until| *until > now);
        self.silent.retain(|_, until| *until > now);
        silent.len() + others.len()
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
        self.silent.clear();
    }

    /// Repairs under way, and begun since the start.
    pub(super) fn counts(&self) -> (usize, u64) {
        (self.active.len(), self.begun)
    }

    /// How many lists are under way or waiting with that peer.
    fn lists_of(&self, peer: NodeId) -> usize {
        self.queued.get(&peer).map_or(0, Queue::len)
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

#[cfg(test)]
mod tests;
