//! What the questions to a peer have shown of the link to it: how soon an answer comes, and how many
//! bytes a second it brings. A repair gets the time that its bytes need, and on a thin link little is
//! asked for at once: what the link is busy with delays all else that goes over it.

use crate::time::Instant;
use names::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

/// What may be under way from a peer: about as much as comes within this time, or within two round trips,
/// within bounds.
const WINDOW_TIME: Duration = Duration::from_secs(2);
const LEAST_WINDOW: usize = 16 << 10;
const UNKNOWN_WINDOW: usize = 64 << 10;
const MOST_WINDOW: usize = 1 << 20;
/// The rate is measured over so many bytes.
const SAMPLE_BYTES: u64 = 16 << 10;
/// The rate of a link before anything was measured, in bytes a second: of a far one, of a near one, which
/// is seldom thin; and the lowest one that is believed.
const UNKNOWN_RATE: u64 = 8 << 10;
const NEAR_RATE: u64 = 1 << 20;
/// Who answers within this is near.
const NEAR: Duration = Duration::from_millis(250);
const LEAST_RATE: u64 = 1 << 10;
/// Nothing is waited for longer.
const LONGEST: Duration = Duration::from_secs(120);

/// The link to one peer.
#[derive(Debug, Default)]
struct Flow {
    /// How long an answer to a small question takes, smoothed.
    round_trip: Option<Duration>,
    /// Bytes a second, smoothed.
    rate: Option<u64>,
    /// Since when something has been awaited, or when the last part of it came.
    since: Instant,
    /// What has come since the last sample, and how long it was awaited.
    bytes: u64,
    awaited: Duration,
}

impl Flow {
    fn learn(&mut self, bytes: u64) {
        self.bytes += bytes;
        if self.bytes < SAMPLE_BYTES {
            return;
        }
        let micros = self.awaited.as_micros().max(1);
        let sample = u128::from(self.bytes) * 1_000_000 / micros;
        let sample = u64::try_from(sample).unwrap_or(u64::MAX);
        let before = self.rate.unwrap_or(sample);
        self.rate = Some((before / 4 * 3).saturating_add(sample / 4).max(LEAST_RATE));
        (self.bytes, self.awaited) = (0, Duration::ZERO);
    }

    fn rate(&self) -> u64 {
        let is_near = self.round_trip.is_some_and(|round_trip| round_trip < NEAR);
        let unmeasured = if is_near { NEAR_RATE } else { UNKNOWN_RATE };
        self.rate.unwrap_or(unmeasured)
    }

    fn limit(&self, least: Duration, bytes: usize) -> Duration {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let seconds = bytes.saturating_mul(2) / self.rate();
        let round_trips = self.round_trip.unwrap_or_default() * 4;
        (least + round_trips + Duration::from_secs(seconds.min(LONGEST.as_secs()))).min(LONGEST)
    }

    fn window(&self) -> usize {
        self.rate.map_or(UNKNOWN_WINDOW, |rate| {
            let time = WINDOW_TIME.max(self.round_trip.unwrap_or_default() * 2);
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            let bytes = rate.saturating_mul(millis) / 1_000;
            let bytes = usize::try_from(bytes).unwrap_or(MOST_WINDOW);
            bytes.clamp(LEAST_WINDOW, MOST_WINDOW)
        })
    }
}

/// The links to all peers.
#[derive(Debug, Default)]
pub(super) struct Flows(BTreeMap<NodeId, Flow>);

impl Flows {
    /// A peer that had nothing to answer is asked for changes.
    pub(super) fn begin(&mut self, now: Instant, peer: NodeId) {
        self.0.entry(peer).or_default().since = now;
    }

    /// Some of what was asked for has come from a peer.
    pub(super) fn came(&mut self, now: Instant, peer: NodeId, bytes: usize) {
        let flow = self.0.entry(peer).or_default();
        flow.awaited += now.since(flow.since);
        flow.since = now;
        flow.learn(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// What was asked for has not come in its time, nor has an answer to anything else: the link may have become
    /// slower.
    pub(super) fn stalled(&mut self, peer: NodeId) {
        let flow = self.0.entry(peer).or_default();
        flow.rate = Some((flow.rate() / 4).max(LEAST_RATE));
        (flow.bytes, flow.awaited) = (0, Duration::ZERO);
    }

    /// A small question was answered after that time.
    pub(super) fn answered(&mut self, peer: NodeId, took: Duration) {
        let round_trip = &mut self.0.entry(peer).or_default().round_trip;
        *round_trip = Some(round_trip.map_or(took, |before| (before * 7 + took) / 8));
    }

    /// How long so many bytes may take that a peer is to send: `least` on a link that is near.
    pub(super) fn limit(&self, peer: NodeId, least: Duration, bytes: usize) -> Duration {
        self.0.get(&peer).map_or_else(
            || Flow::default().limit(least, bytes),
            |flow| flow.limit(least, bytes),
        )
    }

    /// How many bytes a peer may have under way to this node.
    pub(super) fn window(&self, peer: NodeId) -> usize {
        self.0.get(&peer).map_or(UNKNOWN_WINDOW, Flow::window)
    }

    /// How long a change may be under way that has yet to come from whichever of these peers is the
    /// slowest: `least` where all are near.
    pub(super) fn slowest(&self, peers: impl Iterator<Item = NodeId>, least: Duration) -> Duration {
        let round_trips = peers.filter_map(|peer| self.0.get(&peer)?.round_trip);
        least
            .max(round_trips.max().unwrap_or_default())
            .min(LONGEST)
    }

    /// A peer is gone. How fast it was says little of the connection that comes next.
    pub(super) fn gone(&mut self, peer: NodeId) {
        self.0.remove(&peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId([7; 16]);
    const STALL: Duration = Duration::from_secs(5);

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(0) + Duration::from_millis(ms)
    }

    /// The flows after `parts` of 8 KiB, each of which has taken so long.
    fn after(parts: u64, each_ms: u64) -> Flows {
        let mut flows = Flows::default();
        flows.begin(at(0), PEER);
        for part in 1..=parts {
            flows.came(at(part * each_ms), PEER, 8 << 10);
        }
        flows
    }

    #[test]
    fn a_thin_link_has_little_under_way_and_a_fast_one_much() {
        assert_eq!(after(8, 1_000).window(PEER), LEAST_WINDOW);
        assert_eq!(after(8, 1).window(PEER), MOST_WINDOW);
        assert_eq!(Flows::default().window(PEER), UNKNOWN_WINDOW);
    }

    #[test]
    fn what_is_awaited_gets_the_time_that_its_bytes_need() {
        let near = after(8, 1);
        assert_eq!(near.limit(PEER, STALL, 512 << 10), STALL);
        let thin = after(8, 1_000);
        let bytes_need = Duration::from_secs(16);
        assert!(thin.limit(PEER, STALL, 128 << 10) > STALL + bytes_need);
        let unknown = Flows::default().limit(PEER, STALL, UNKNOWN_WINDOW);
        assert!(unknown > STALL + Duration::from_secs(8), "{unknown:?}");
        let mut near = Flows::default();
        near.answered(PEER, Duration::from_millis(1));
        assert!(near.limit(PEER, STALL, UNKNOWN_WINDOW) < STALL * 2);
    }

    #[test]
    fn who_is_far_has_its_round_trips() {
        let mut far = after(8, 1);
        far.answered(PEER, Duration::from_millis(1_500));
        assert_eq!(far.limit(PEER, STALL, 0), STALL + Duration::from_secs(6));
        let least = Duration::from_millis(250);
        let peers = || [PEER].into_iter();
        assert_eq!(far.slowest(peers(), least), Duration::from_millis(1_500));
        far.gone(PEER);
        assert_eq!(far.slowest(peers(), least), least);
    }

    #[test]
    fn a_link_that_has_become_thin_is_learnt_by_what_does_not_come() {
        let mut flows = after(8, 1);
        for _ in 0..12 {
            flows.stalled(PEER);
        }
        assert_eq!(flows.window(PEER), LEAST_WINDOW);
        assert!(flows.limit(PEER, STALL, LEAST_WINDOW) > STALL * 4);
    }

    #[test]
    fn a_near_link_that_nothing_was_measured_of_is_not_taken_for_thin_at_once() {
        let mut near = Flows::default();
        near.answered(PEER, Duration::from_millis(200));
        near.stalled(PEER);
        assert_eq!(near.window(PEER), 512 << 10);
    }

    #[test]
    fn a_pause_between_two_questions_is_no_part_of_the_rate() {
        let mut flows = Flows::default();
        for question in 0..8 {
            flows.begin(at(question * 10_000), PEER);
            flows.came(at(question * 10_000 + 1), PEER, 8 << 10);
        }
        assert_eq!(flows.window(PEER), MOST_WINDOW);
    }
}
