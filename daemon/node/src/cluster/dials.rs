//! Which addresses are dialled, and how often.
//!
//! Anybody may say of itself that it is at some address, and where protocol 1 is accepted of others,
//! too. So an address at which its node has never proved itself, and which is no seed, is dialled
//! once, and then after 1 s, 2 s, 4 s and so on up to 128 s; of such attempts few run at once. A node
//! that was met there before may have been cut off a moment ago: it is dialled anew each 2 s, and two
//! round trips, while the older attempts run on, since the first packet of an attempt that began during
//! a cut is repeated too rarely to come through soon after the cut has healed.
//!
//! With the first connection all other attempts are given up: each that came through would be one more
//! handshake, and after a cut they all come through at once.
//!
//! An attempt runs for 15 s, which is enough on any link; at a stranger for 6 s at first, so that
//! addresses where nobody is do not keep others waiting.

use crate::time::Instant;
use crate::wire::DialId;
use names::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// After so long another attempt at a node that was met before joins those under way.
const BESIDE: Duration = Duration::from_secs(2);
/// The most attempts at one node that are under way: of those that begin each 2 s none has to wait for
/// the end of the oldest.
const MAX_BESIDE: usize = 8;
/// How long an attempt runs at most; and one at a stranger that is dialled often yet.
pub(super) const LONGEST: Duration = Duration::from_secs(15);
const STRANGERS_LIMIT: Duration = Duration::from_secs(6);
/// The most attempts at strangers that are under way, or failed within the last [`FIRST_PAUSE`].
const MAX_STRANGERS: usize = 8;
/// Between the first two attempts at a stranger; each further pause is twice as long, so many times.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const DOUBLINGS: u32 = 7;
/// The most strangers that are remembered. At eight a second the pauses of 2,048 are not over twice.
const MAX_REMEMBERED: usize = 4_096;

#[derive(Debug)]
struct Attempt {
    dial: DialId,
    to: SocketAddr,
    begun: Instant,
}

/// An address at which nobody has proved to be who was looked for there.
#[derive(Debug)]
struct Stranger {
    dialled: Instant,
    pause: Duration,
}

/// An attempt at a stranger: under way, or failed then.
#[derive(Debug)]
struct Slot {
    dial: DialId,
    failed: Option<Instant>,
}

/// The attempts to reach nodes, and what came of those before.
#[derive(Debug, Default)]
pub(super) struct Dials {
    last: u64,
    under_way: BTreeMap<NodeId, Vec<Attempt>>,
    /// When each node was dialled last that is not connected.
    dialled: BTreeMap<NodeId, Instant>,
    seeds: BTreeSet<SocketAddr>,
    /// Where each node has proved itself last.
    proved: BTreeMap<NodeId, SocketAddr>,
    strangers: BTreeMap<SocketAddr, Stranger>,
    slots: Vec<Slot>,
    /// The round trip to each peer that was ever measured.
    round_trips: BTreeMap<NodeId, Duration>,
}

/// An attempt that is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) dial: DialId,
    /// When it is to be given up.
    pub(super) limit: Duration,
    /// The round trip there, if it is known.
    pub(super) round_trip: Option<Duration>,
}

impl Dials {
    /// These addresses are seeds, which the configuration vouches for.
    pub(super) fn set_seeds(&mut self, seeds: impl Iterator<Item = SocketAddr>) {
        self.seeds = seeds.collect();
    }

    /// A node has proved itself at an address, or this node's disk says so.
    pub(super) fn prove(&mut self, node: NodeId, at: SocketAddr) {
        self.proved.insert(node, at);
        self.strangers.remove(&at);
    }

    /// The link to a peer was measured.
    pub(super) fn note_round_trip(&mut self, node: NodeId, round_trip: Duration) {
        self.round_trips.insert(node, round_trip);
    }

    /// The round trip to a peer that was measured last, if it ever was.
    pub(super) fn round_trip(&self, node: NodeId) -> Option<Duration> {
        self.round_trips.get(&node).copied()
    }

    /// The number of another attempt.
    pub(super) fn next(&mut self) -> DialId {
        self.last += 1;
        DialId(self.last)
    }

    /// The attempts to reach a node.
    pub(super) fn under_way(&self, node: NodeId) -> impl Iterator<Item = DialId> {
        let attempts = self.under_way.get(&node).into_iter().flatten();
        attempts.map(|attempt| attempt.dial)
    }

    pub(super) fn is_under_way(&self, node: NodeId) -> bool {
        self.under_way.contains_key(&node)
    }

    /// The node that an attempt is to reach.
    pub(super) fn sought(&self, dial: DialId) -> Option<NodeId> {
        let has_it = |attempts: &&Vec<Attempt>| attempts.iter().any(|one| one.dial == dial);
        let mut all = self.under_way.iter();
        all.find_map(|(node, attempts)| has_it(&attempts).then_some(*node))
    }

    /// When a node was dialled last; `None` if it was not since it was connected.
    pub(super) fn dialled(&self, node: NodeId) -> Option<Instant> {
        self.dialled.get(&node).copied()
    }

    /// Forgets when nodes were dialled, but for these.
    pub(super) fn keep(&mut self, sought: &BTreeSet<NodeId>) {
        self.dialled.retain(|node, _| sought.contains(node));
    }

    /// Forgets the round trips to nodes that are not known any more.
    pub(super) fn keep_round_trips(&mut self, is_known: impl Fn(NodeId) -> bool) {
        self.round_trips.retain(|node, _| is_known(*node));
    }

    /// The round trips to all peers that were ever measured.
    pub(super) fn round_trips(&self) -> impl Iterator<Item = (NodeId, Duration)> {
        self.round_trips.iter().map(|(node, far)| (*node, *far))
    }

    /// Begins an attempt to reach a node at an address, if it is time for one.
    pub(super) fn begin(&mut self, now: Instant, node: NodeId, to: SocketAddr) -> Option<Begun> {
        let attempts = self.under_way.get(&node).map_or(&[][..], Vec::as_slice);
        if attempts.len() >= MAX_BESIDE {
            return None;
        }
        let is_known = self.proved.get(&node) == Some(&to) || self.seeds.contains(&to);
        let round_trip = self.round_trip(node);
        let patience = if is_known {
            BESIDE + round_trip.unwrap_or_default() * 2
        } else {
            Duration::MAX
        };
        let is_early = |attempt: &Attempt| now.since(attempt.begun) < patience;
        if attempts.iter().any(|one| one.to == to && is_early(one)) {
            return None;
        }
        if !is_known && !self.may_meet(now, to) {
            return None;
        }
        let dial = self.next();
        let mut limit = LONGEST;
        if !is_known {
            self.slots.push(Slot { dial, failed: None });
            let pause = self.strangers.get(&to).map(|stranger| stranger.pause);
            limit = pause.unwrap_or_default().clamp(STRANGERS_LIMIT, LONGEST);
        }
        let attempt = Attempt {
            dial,
            to,
            begun: now,
        };
        self.under_way.entry(node).or_default().push(attempt);
        self.dialled.insert(node, now);
        Some(Begun {
            dial,
            limit,
            round_trip,
        })
    }

    /// Whether a stranger may be dialled now; if so, it has to wait for longer the next time.
    fn may_meet(&mut self, now: Instant, to: SocketAddr) -> bool {
        let is_recent = |failed: Instant| now.since(failed) < FIRST_PAUSE;
        self.slots.retain(|slot| slot.failed.is_none_or(is_recent));
        if self.slots.len() >= MAX_STRANGERS {
            return false;
        }
        if self.strangers.len() >= MAX_REMEMBERED {
            let is_fresh = |one: &Stranger| now.since(one.dialled) < one.pause * 2;
            self.strangers.retain(|_, stranger| is_fresh(stranger));
        }
        let before = self.strangers.get(&to);
        if before.is_some_and(|before| now.since(before.dialled) < before.pause) {
            return false;
        }
        let longest = FIRST_PAUSE * 2_u32.pow(DOUBLINGS);
        let pause = before.map_or(FIRST_PAUSE, |before| longest.min(before.pause * 2));
        let dialled = now;
        self.strangers.insert(to, Stranger { dialled, pause });
        true
    }

    /// An attempt has brought a connection with a node, which proves that it is there.
    pub(super) fn answered(&mut self, dial: DialId, node: NodeId, at: SocketAddr) {
        self.end(dial);
        self.slots.retain(|slot| slot.dial != dial);
        self.prove(node, at);
        self.dialled.remove(&node);
    }

    /// An attempt has brought no connection; gives the node to which no other one is under way now.
    pub(super) fn failed(&mut self, now: Instant, dial: DialId) -> Option<NodeId> {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.dial == dial) {
            slot.failed = Some(now);
        }
        self.end(dial)
    }

    fn end(&mut self, dial: DialId) -> Option<NodeId> {
        let mut all = self.under_way.iter_mut();
        let (node, attempts) = all.find(|(_, of)| of.iter().any(|one| one.dial == dial))?;
        let node = *node;
        attempts.retain(|one| one.dial != dial);
        if !attempts.is_empty() {
            return None;
        }
        self.under_way.remove(&node);
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u16) -> NodeId {
        let [high, low] = n.to_be_bytes();
        let mut id = [7; 16];
        (id[0], id[1]) = (high, low);
        NodeId(id)
    }

    fn address(n: u16) -> SocketAddr {
        ([10, 0, 0, 1], n).into()
    }

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(0) + Duration::from_millis(ms)
    }

    /// At which seconds within ten minutes an address is dialled that is tried each 100 ms, if each
    /// attempt lasts for so long.
    fn dialled(dials: &mut Dials, lasts_ms: u64) -> Vec<u64> {
        let (mut begun, mut open) = (Vec::new(), Vec::new());
        for now in (0..600_000).step_by(100) {
            let over = |(_, since): &(DialId, u64)| since + lasts_ms <= now;
            for (dial, _) in open.extract_if(.., |one| over(one)) {
                dials.failed(at(now), dial);
            }
            if let Some(attempt) = dials.begin(at(now), node(1), address(1)) {
                begun.push(now / 1_000);
                open.push((attempt.dial, now));
            }
        }
        begun
    }

    #[test]
    fn who_never_proved_itself_is_dialled_ever_more_rarely() {
        let begun = dialled(&mut Dials::default(), 500);
        assert_eq!(begun, [0, 1, 3, 7, 15, 31, 63, 127, 255, 383, 511]);
    }

    #[test]
    fn who_was_met_is_dialled_anew_beside_the_older_attempt() {
        let mut met = Dials::default();
        met.prove(node(1), address(1));
        let mut seed = Dials::default();
        seed.set_seeds([address(1)].into_iter());
        for mut dials in [met, seed] {
            let begun = dialled(&mut dials, 15_000);
            assert!(begun.windows(2).all(|pair| pair[1] - pair[0] <= 3));
            assert!(begun.len() > 200);
            assert!(dials.under_way[&node(1)].len() <= MAX_BESIDE);
        }
    }

    #[test]
    fn who_is_far_has_two_round_trips_more_before_it_is_dialled_anew() {
        let mut dials = Dials::default();
        dials.prove(node(1), address(1));
        dials.note_round_trip(node(1), Duration::from_millis(1_500));
        let begun = dialled(&mut dials, 15_000);
        let far = begun.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(far.clone().all(|pause| pause == 5), "{begun:?}");
        assert_eq!(
            dials
                .begin(at(700_000), node(1), address(1))
                .unwrap()
                .round_trip,
            Some(Duration::from_millis(1_500))
        );
    }

    #[test]
    fn a_strangers_time_grows_with_its_pauses() {
        let mut dials = Dials::default();
        let mut limits = Vec::new();
        for now in (0..100_000).step_by(1_000) {
            if let Some(attempt) = dials.begin(at(now), node(1), address(1)) {
                limits.push(attempt.limit.as_secs());
                dials.failed(at(now), attempt.dial);
            }
        }
        assert_eq!(limits, [6, 6, 6, 8, 15, 15, 15]);
        dials.prove(node(1), address(1));
        let known = dials.begin(at(200_000), node(1), address(1)).unwrap();
        assert_eq!(known.limit, LONGEST);
    }

    #[test]
    fn few_strangers_are_dialled_at_once_and_few_are_remembered() {
        let mut dials = Dials::default();
        let mut begun = 0;
        for second in 0..600_u64 {
            let mut open = Vec::new();
            for n in 0..1_000 {
                let n = u16::try_from(second * 100 % 60_000).unwrap() + n;
                open.extend(dials.begin(at(second * 1_000), node(n), address(n)));
            }
            assert!(open.len() <= MAX_STRANGERS);
            begun += open.len();
            for attempt in open {
                dials.failed(at(second * 1_000), attempt.dial);
            }
        }
        assert!(begun > 1_000 && dials.strangers.len() <= MAX_REMEMBERED);
        // Another one than those named is not kept waiting by them.
        dials.prove(node(1), address(1));
        assert!(dials.begin(at(599_000), node(1), address(1)).is_some());
    }

    #[test]
    fn an_answer_proves_an_address_for_its_node_alone() {
        let mut dials = Dials::default();
        let dial = dials.begin(at(0), node(1), address(1)).unwrap().dial;
        dials.answered(dial, node(1), address(1));
        assert!(!dials.is_under_way(node(1)));
        for n in [1, 2] {
            let dial = dials.begin(at(0), node(n), address(1)).unwrap().dial;
            dials.failed(at(0), dial);
        }
        assert!(dials.begin(at(0), node(1), address(1)).is_some());
        assert!(dials.begin(at(0), node(2), address(1)).is_none());
    }
}
