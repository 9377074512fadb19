//! Probing: who is asked whether it is there, when, and what follows from silence.
//!
//! One probe runs on each link, and each [`PERIOD`] the next member is probed on whose link none
//! runs, in an order that each node has drawn for itself and keeps: so no member has to wait for longer
//! than a pass through all. A probe of a far member runs for as
//! long as its link needs while others begin and end beside it, so a far member slows nobody down.
//!
//! A probe is a ping, repeated three times within the time that the member has for an answer
//! ([`Link::limit`]). Anything that comes from the member itself after the ping answers it. Then three
//! helpers are asked to ping it, near ones first, and last those that were asked in vain before. A
//! probe that nobody answers makes its member suspect. Suspicions of this node's own end in the
//! member's death after [`Link::suspicion`], times the local health of Lifeguard (Dadgar et al. 2018),
//! unless the member has refuted or something has come from it meanwhile.
//!
//! A node that was stopped, or gets no time, hears of its timers late. Whatever it had under way then
//! says nothing of others: it forgets its probes and its suspicions. Who is suspect yet is probed in turn,
//! and another probe that fails begins another suspicion.

use super::Identity;
use super::link::{LEAST_SUSPICION, Link};
use crate::time::Instant;
use foca::{Incarnation, ProbeNumber};
use names::{NodeId, Role};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How often a probe begins.
pub(super) const PERIOD: Duration = Duration::from_millis(250);
/// How often a ping is repeated within the time of its probe, and the longest pause before that.
const REPEATS: u32 = 3;
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_METERED_PAUSE: Duration = Duration::from_secs(3);
/// How many others are asked to help.
const HELPERS: usize = 3;
/// Members that answer within this time are near.
const NEAR: Duration = PERIOD;
/// A timer that is heard so late shows that this node itself was stopped.
const STOPPED: Duration = Duration::from_millis(500);
/// For so long after that it is called starved.
const STARVED_FOR: Duration = Duration::from_secs(60);
/// The worst local health: suspicions last this many times longer than usual.
const MAX_HEALTH: u32 = 6;

/// The prober's deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cluster) enum Timer {
    /// The next probe begins.
    Period,
    /// The next step of the probe of a member.
    Probe(NodeId),
    /// The time of a suspect is over.
    Suspicion(NodeId),
}

/// What this node itself has of a member.
#[derive(Clone, Copy, Debug)]
pub(in crate::cluster) struct Contact {
    /// When something came from it last.
    pub(in crate::cluster) last: Option<Instant>,
    pub(in crate::cluster) is_connected: bool,
    /// Whether its program knows pings of two bytes.
    pub(in crate::cluster) knows_small: bool,
    /// It is not probed before it has been silent for so long; nothing on a link that is not metered.
    pub(in crate::cluster) rest: Duration,
    pub(in crate::cluster) role: Role,
}

/// What the prober wants done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    Ping(NodeId, ProbeNumber),
    /// A ping of two bytes.
    SmallPing(NodeId, ProbeNumber),
    /// Ask a helper to ping a member.
    Ask {
        helper: NodeId,
        target: NodeId,
        number: ProbeNumber,
    },
    /// Nobody has answered a probe of this identity in this incarnation, which was due then.
    Suspect(Identity, Incarnation, Instant),
    /// The time of a suspicion is over.
    Declare(Identity, Incarnation),
    Set(Instant, Timer),
}

/// The members that are alive or suspect.
pub(super) type Members = BTreeMap<NodeId, (Identity, Incarnation)>;

#[derive(Debug)]
struct Probe {
    target: (Identity, Incarnation),
    number: ProbeNumber,
    begun: Instant,
    due: Instant,
    pings: u32,
    asked: bool,
}

#[derive(Debug)]
struct Suspicion {
    of: (Identity, Incarnation),
    begun: Instant,
    due: Instant,
}

/// How often probes were answered, and how often not; how often this node was stopped.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) stops: u64,
}

#[derive(Debug)]
pub(super) struct Prober {
    rng: ChaCha8Rng,
    links: BTreeMap<NodeId, Link>,
    probes: BTreeMap<NodeId, Probe>,
    suspicions: BTreeMap<NodeId, Suspicion>,
    /// The members, whose turn comes first in front.
    turns: VecDeque<NodeId>,
    next_period: Option<Instant>,
    health: u32,
    counts: Counts,
    last_stop: Option<Instant>,
    acts: Vec<Act>,
}

impl Prober {
    pub(super) fn new(rng: ChaCha8Rng) -> Self {
        Self {
            rng,
            links: BTreeMap::new(),
            probes: BTreeMap::new(),
            suspicions: BTreeMap::new(),
            turns: VecDeque::new(),
            next_period: None,
            health: 0,
            counts: Counts::default(),
            last_stop: None,
            acts: Vec::new(),
        }
    }

    pub(super) fn start(&mut self, now: Instant) {
        self.plan_period(now);
    }

    pub(super) fn take_acts(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }

    pub(super) fn health(&self) -> u32 {
        self.health
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether this node was stopped within the last minute.
    pub(super) fn is_starved(&self, now: Instant) -> bool {
        self.last_stop
            .is_some_and(|stop| now.since(stop) < STARVED_FOR)
    }

    pub(super) fn link(&self, node: NodeId) -> Option<&Link> {
        self.links.get(&node)
    }

    /// How long a member has for an answer.
    pub(super) fn limit(&self, node: NodeId) -> Duration {
        let link = self.links.get(&node);
        link.map_or_else(|| Link::default().limit(), Link::limit)
    }

    /// Forgets what it has under way, since this node goes on as another identity.
    pub(super) fn begin_anew(&mut self) {
        self.probes.clear();
        self.suspicions.clear();
    }

    /// Forgets members that are not known any more.
    pub(super) fn retain(&mut self, is_known: impl Fn(NodeId) -> bool) {
        self.links.retain(|node, _| is_known(*node));
    }

    /// Sends a ping to a member whose link was never measured.
    pub(super) fn measure(&mut self, now: Instant, node: NodeId) {
        let link = self.links.entry(node).or_default();
        if !link.is_measured() {
            self.acts.push(Act::Ping(node, link.ping(now)));
        }
    }

    /// A member has answered a ping.
    pub(super) fn acknowledged(&mut self, now: Instant, node: NodeId, number: ProbeNumber) {
        let due = self.next_period.unwrap_or(now);
        if !self.was_stopped(now, due)
            && let Some(link) = self.links.get_mut(&node)
        {
            link.answered(now, number);
        }
    }

    /// A helper says that a member has answered it.
    pub(super) fn vouched(&mut self, helper: NodeId, target: NodeId, number: ProbeNumber) {
        let Some(link) = self.links.get_mut(&target) else {
            return;
        };
        // Of several that were asked the first one ends the probe; the others were no less fruitful.
        if !link.fruitless.remove(&helper) {
            return;
        }
        link.vouchers.insert(helper);
        let is_asked = |probe: &Probe| probe.asked && probe.number == number;
        if self.probes.get(&target).is_some_and(is_asked) {
            self.end_probe(target, true);
        }
    }

    /// The next probe begins.
    pub(super) fn period(
        &mut self,
        now: Instant,
        members: &Members,
        contact: &impl Fn(NodeId) -> Contact,
    ) {
        let Some(due) = self.next_period.filter(|due| *due <= now) else {
            return;
        };
        if self.was_stopped(now, due) {
            return;
        }
        self.plan_period(now);
        self.line_up(members);
        let is_rested = |node: NodeId| {
            let contact = contact(node);
            let silent = contact
                .last
                .is_none_or(|last| now.since(last) >= contact.rest);
            contact.rest.is_zero() || silent
        };
        let is_free = |node: &NodeId| !self.probes.contains_key(node) && is_rested(*node);
        let next = self.turns.iter().position(is_free);
        let Some(node) = next.and_then(|next| self.turns.remove(next)) else {
            return;
        };
        self.turns.push_back(node);
        if let Some(target) = members.get(&node) {
            self.begin(now, *target, contact);
        }
    }

    /// Gives each member a turn; newcomers get theirs at any place, so that not all nodes probe the same
    /// member at once.
    fn line_up(&mut self, members: &Members) {
        self.turns.retain(|node| members.contains_key(node));
        if self.turns.len() == members.len() {
            return;
        }
        let before: BTreeSet<NodeId> = self.turns.iter().copied().collect();
        for node in members.keys().filter(|node| !before.contains(node)) {
            let place = self.rng.random_range(0..=self.turns.len());
            self.turns.insert(place, *node);
        }
    }

    fn begin(
        &mut self,
        now: Instant,
        target: (Identity, Incarnation),
        contact: &impl Fn(NodeId) -> Contact,
    ) {
        let node = target.0.node;
        let probe = Probe {
            target,
            number: 0,
            begun: now,
            due: now,
            pings: 0,
            asked: false,
        };
        self.probes.insert(node, probe);
        self.step(now, node, contact);
    }

    /// The next step of a probe is due.
    pub(super) fn probe(
        &mut self,
        now: Instant,
        target: Option<Identity>,
        node: NodeId,
        contact: &impl Fn(NodeId) -> Contact,
    ) {
        let Some(probe) = self.probes.get(&node).filter(|probe| probe.due <= now) else {
            return;
        };
        let (due, begun) = (probe.due, probe.begun);
        if target != Some(probe.target.0) {
            self.probes.remove(&node);
        } else if self.was_stopped(now, due) {
            // It is forgotten by now.
        } else if contact(node).last.is_some_and(|last| last > begun) {
            if let Some(link) = self.links.get_mut(&node) {
                link.fruitless.clear();
                link.vouchers.clear();
            }
            self.end_probe(node, true);
        } else {
            self.step(now, node, contact);
        }
    }

    /// Pings, asks helpers, or ends in vain.
    fn step(&mut self, now: Instant, node: NodeId, contact: &impl Fn(NodeId) -> Contact) {
        let limit = self.limit(node);
        let contact_now = contact(node);
        let pause = if contact_now.rest.is_zero() {
            LONGEST_PAUSE.min(limit / (REPEATS + 1))
        } else {
            // The ping is paid for: it is repeated only once its answer is late.
            limit.min(LONGEST_METERED_PAUSE)
        };
        let Some(probe) = self.probes.get_mut(&node) else {
            return;
        };
        if probe.asked {
            let (begun, (identity, incarnation)) = (probe.begun, probe.target);
            self.end_probe(node, false);
            let overdue = begun + limit;
            self.acts.push(Act::Suspect(identity, incarnation, overdue));
            return;
        }
        let link = self.links.entry(node).or_default();
        let number = if contact_now.is_connected {
            link.ping(now)
        } else {
            link.unmeasured_ping()
        };
        let is_small = contact_now.is_connected && contact_now.knows_small;
        let ping = if is_small { Act::SmallPing } else { Act::Ping };
        self.acts.push(ping(node, number));
        probe.pings += 1;
        probe.number = number;
        probe.due = if probe.pings <= REPEATS {
            now + pause
        } else {
            probe.begun + limit.max(pause * (REPEATS + 1))
        };
        if probe.pings > REPEATS + 1 {
            probe.asked = true;
            let asked = self.ask_helpers(node, number, contact);
            let slowest = asked.into_iter().map(|helper| self.limit(helper)).max();
            // Without helpers only the repeated pings have yet to get as much time as the first one.
            let wait = slowest.map_or(LONGEST_PAUSE * REPEATS, |helper| helper + limit);
            if let Some(probe) = self.probes.get_mut(&node) {
                probe.due = now + wait;
            }
        }
        if let Some(probe) = self.probes.get(&node) {
            self.acts.push(Act::Set(probe.due, Timer::Probe(node)));
        }
    }

    /// Asks the best helpers that there are; gives them.
    fn ask_helpers(
        &mut self,
        target: NodeId,
        number: ProbeNumber,
        contact: &impl Fn(NodeId) -> Contact,
    ) -> Vec<NodeId> {
        let measured = self.links.iter().filter(|(_, link)| link.is_measured());
        let mut helpers: Vec<NodeId> = measured.map(|(node, _)| *node).collect();
        helpers.retain(|node| {
            let contact = contact(*node);
            *node != target && contact.is_connected && contact.role == Role::Member
        });
        helpers.shuffle(&mut self.rng);
        let link = self.links.get(&target);
        let is_fruitless = |node: &NodeId| link.is_some_and(|link| link.fruitless.contains(node));
        let is_far = |node: &NodeId| self.limit(*node) > NEAR;
        helpers.sort_by_key(|node| (is_fruitless(node), is_far(node)));
        helpers.truncate(HELPERS);
        // Where a near one may help, a far one would only prolong the probe.
        let is_good = |node: &NodeId| !is_fruitless(node) && !is_far(node);
        if helpers.iter().any(is_good) {
            helpers.retain(is_good);
        }
        for helper in helpers.iter().copied() {
            self.links
                .entry(target)
                .or_default()
                .fruitless
                .insert(helper);
            self.acts.push(Act::Ask {
                helper,
                target,
                number,
            });
        }
        helpers
    }

    fn end_probe(&mut self, node: NodeId, is_answered: bool) {
        self.probes.remove(&node);
        if is_answered {
            self.health = self.health.saturating_sub(1);
            self.counts.answered += 1;
        } else {
            self.health = (self.health + 1).min(MAX_HEALTH);
            self.counts.failed += 1;
        }
    }

    /// A member has become suspect here, or was already, and has not answered a probe when that was due.
    pub(super) fn suspect(&mut self, now: Instant, of: (Identity, Incarnation), overdue: Instant) {
        let node = of.0.node;
        if self
            .suspicions
            .get(&node)
            .is_some_and(|suspicion| suspicion.of == of)
        {
            return;
        }
        // While far helpers were asked the member had its time, too; it has yet to hear the accusation.
        let rest = self.suspicion(node).saturating_sub(now.since(overdue));
        let least = LEAST_SUSPICION * self.health.max(1);
        let due = now + rest.max(least).max(self.limit(node) * 2);
        let begun = now;
        self.suspicions.insert(node, Suspicion { of, begun, due });
        self.acts.push(Act::Set(due, Timer::Suspicion(node)));
    }

    fn suspicion(&self, node: NodeId) -> Duration {
        let link = self.links.get(&node);
        let healthy = link.map_or_else(|| Link::default().suspicion(), Link::suspicion);
        healthy * self.health.max(1)
    }

    /// The time of a suspicion is over.
    pub(super) fn suspicion_over(
        &mut self,
        now: Instant,
        node: NodeId,
        contact: &impl Fn(NodeId) -> Contact,
    ) {
        let Some(suspicion) = self.suspicions.get(&node) else {
            return;
        };
        if suspicion.due > now || self.was_stopped(now, suspicion.due) {
            return;
        }
        if let Some(suspicion) = self.suspicions.remove(&node)
            && contact(node)
                .last
                .is_none_or(|last| last <= suspicion.begun)
        {
            let (identity, incarnation) = suspicion.of;
            self.acts.push(Act::Declare(identity, incarnation));
        }
    }

    fn plan_period(&mut self, now: Instant) {
        let at = now + PERIOD;
        self.next_period = Some(at);
        self.acts.push(Act::Set(at, Timer::Period));
    }

    /// Whether this node was stopped, as something that was due then shows. If so, nothing that was
    /// under way counts.
    fn was_stopped(&mut self, now: Instant, due: Instant) -> bool {
        if now.since(due) < STOPPED {
            return false;
        }
        self.counts.stops += 1;
        self.last_stop = Some(now);
        self.health = (self.health + 1).min(MAX_HEALTH);
        self.probes.clear();
        self.links.values_mut().for_each(Link::forget_open);
        self.suspicions.clear();
        self.plan_period(now);
        true
    }
}

#[cfg(test)]
mod tests;
