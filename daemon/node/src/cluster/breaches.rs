//! Peers that have broken the protocol: this node cuts them off, and takes no connection of theirs for
//! a while.
//!
//! The first time it is for a second, so that a mishap costs little; each further time it is for twice
//! as long, up to a minute, so that a peer that goes on costs a handshake now and then, and nobody waits
//! for answers of its which do not come. Who has kept the protocol for ten minutes begins anew.

use crate::time::Instant;
use crate::wire::CloseReason;
use names::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const FORGIVEN_AFTER: Duration = Duration::from_secs(600);
/// How many are remembered. Each has a certificate of the cluster; if there are more, the one that has
/// kept the protocol for longest is forgotten.
const MAX_REMEMBERED: usize = 1_024;

#[derive(Debug)]
struct Breach {
    at: Instant,
    pause: Duration,
    reason: CloseReason,
}

/// The peers that have broken the protocol of late.
#[derive(Debug, Default)]
pub(super) struct Breaches(BTreeMap<NodeId, Breach>);

impl Breaches {
    /// A peer has broken the protocol; gives for how long it stays cut off.
    pub(super) fn note(&mut self, now: Instant, node: NodeId, reason: CloseReason) -> Duration {
        self.forgive(now);
        let before = self.0.get(&node).map(|before| before.pause * 2);
        let pause = before.map_or(FIRST_PAUSE, |doubled| LONGEST_PAUSE.min(doubled));
        if self.0.len() >= MAX_REMEMBERED && !self.0.contains_key(&node) {
            let oldest = self.0.iter().min_by_key(|(_, breach)| breach.at);
            if let Some(oldest) = oldest.map(|(node, _)| *node) {
                self.0.remove(&oldest);
            }
        }
        let at = now;
        self.0.insert(node, Breach { at, pause, reason });
        pause
    }

    /// Why a peer is to be cut off if it connects now.
    pub(super) fn is_cut_off(&self, now: Instant, node: NodeId) -> Option<CloseReason> {
        let breach = self.0.get(&node);
        let breach = breach.filter(|breach| now.since(breach.at) < breach.pause);
        breach.map(|breach| breach.reason)
    }

    /// How a peer has broken the protocol of late.
    pub(super) fn last(&self, node: NodeId) -> Option<CloseReason> {
        self.0.get(&node).map(|breach| breach.reason)
    }

    /// Forgets those that have kept the protocol since; gives whether there were any.
    pub(super) fn forgive(&mut self, now: Instant) -> bool {
        let before = self.0.len();
        let is_recent = |breach: &Breach| now.since(breach.at) < FORGIVEN_AFTER;
        self.0.retain(|_, breach| is_recent(breach));
        before != self.0.len()
    }

    /// Whom this node believes has changed: what was refused may be right now.
    pub(super) fn forget_all(&mut self) {
        self.0.clear();
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

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn who_goes_on_is_cut_off_for_longer_each_time_and_begins_anew_when_it_stops() {
        let mut breaches = Breaches::default();
        let mut cut_off = Vec::new();
        let mut tries = 0;
        for second in 0..600 {
            if breaches.is_cut_off(at(second), node(1)).is_none() {
                tries += 1;
                let pause = breaches.note(at(second), node(1), CloseReason::Malformed);
                cut_off.push(pause.as_secs());
            }
        }
        assert_eq!(cut_off[..7], [1, 2, 4, 8, 16, 32, 60]);
        assert!(tries < 20, "{tries} handshakes in ten minutes");
        assert!(breaches.is_cut_off(at(599), node(1)).is_some());
        assert_eq!(breaches.is_cut_off(at(599), node(2)), None);

        assert!(!breaches.forgive(at(1_000)));
        assert_eq!(breaches.last(node(1)), Some(CloseReason::Malformed));
        assert!(breaches.forgive(at(1_200)));
        assert_eq!(breaches.last(node(1)), None);
        let pause = breaches.note(at(1_200), node(1), CloseReason::Abuse);
        assert_eq!(pause, FIRST_PAUSE);
    }

    #[test]
    fn few_are_remembered() {
        let mut breaches = Breaches::default();
        for n in 0..3_000 {
            breaches.note(at(u64::from(n) / 10), node(n), CloseReason::Abuse);
        }
        assert_eq!(breaches.0.len(), MAX_REMEMBERED);
        assert!(breaches.last(node(2_999)).is_some());
    }
}
