//! How much a connection may have under way: what CUBIC (RFC 9438) allows, and at most twice what its
//! path holds.
//!
//! CUBIC grows until packets are lost, and a thin link before which a router keeps many loses none for
//! long: seconds of bulk would stand before each probe. So the bytes in flight are bounded by two times
//! the bandwidth that was measured and the shortest round trip, as BBR does (Cardwell et al. 2016).
//!
//! It is told of each packet that is acknowledged or lost, and so counts what share of them was lost of
//! late: QUIC itself counts since the connection began, packets too that nobody acknowledges.

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many bytes may always be under way.
const LEAST_BYTES: u64 = 16 << 10;
/// A round trip that is shorter counts as this one: among near nodes their own haste makes most of it.
const LEAST_ROUND_TRIP: Duration = Duration::from_millis(50);
/// The bandwidth is measured over a round trip, and for so long at least.
const LEAST_ROUND: Duration = Duration::from_millis(10);
/// Of so many packets it is known how many are lost; at so many those of before count half.
const LEAST_PACKETS: u64 = 200;
const MOST_PACKETS: u64 = 1_000;
/// So many bytes that are lost together were a packet, or more of them that were small.
const PACKET_BYTES: u64 = 1_200;

/// What a path holds, as the acknowledgements show.
#[derive(Clone, Copy, Debug)]
struct Path {
    round_begun: Instant,
    round_bytes: u64,
    round_trip: Duration,
    /// Bytes a second: the largest measured of late.
    bandwidth: Option<u64>,
}

impl Path {
    fn new(now: Instant) -> Self {
        Self {
            round_begun: now,
            round_bytes: 0,
            round_trip: LEAST_ROUND_TRIP,
            bandwidth: None,
        }
    }

    /// Bytes were acknowledged. If there was nothing more to send, they show what the path holds at
    /// least, but not that it holds no more.
    fn acknowledged(&mut self, now: Instant, bytes: u64, is_all: bool, round_trip: Duration) {
        self.round_trip = round_trip.max(LEAST_ROUND_TRIP);
        self.round_bytes += bytes;
        let took = now.saturating_duration_since(self.round_begun);
        let is_over = took >= round_trip.max(LEAST_ROUND);
        if is_over {
            let micros = took.as_micros().max(1);
            let sample = u128::from(self.round_bytes) * 1_000_000 / micros;
            let sample = u64::try_from(sample).unwrap_or(u64::MAX);
            let before = self.bandwidth.unwrap_or(sample);
            let before = if is_all { before } else { before / 8 * 7 };
            self.bandwidth = Some(before.max(sample));
        }
        if is_over || is_all {
            (self.round_begun, self.round_bytes) = (now, 0);
        }
    }

    /// How many bytes may be under way; `None` before the first measurement.
    fn most_bytes(&self) -> Option<u64> {
        let bandwidth = u128::from(self.bandwidth?);
        let bytes = bandwidth * self.round_trip.as_micros() * 2 / 1_000_000;
        Some(u64::try_from(bytes).unwrap_or(u64::MAX).max(LEAST_BYTES))
    }
}

/// How many packets of late were acknowledged, and how many were lost.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    acknowledged: u64,
    lost: u64,
}

impl Losses {
    fn note(&mut self, acknowledged: u64, lost: u64) {
        self.acknowledged += acknowledged;
        self.lost += lost;
        if self.acknowledged + self.lost >= MOST_PACKETS {
            self.acknowledged /= 2;
            self.lost /= 2;
        }
    }

    fn percent(self) -> Option<u64> {
        let all = self.acknowledged + self.lost;
        (all >= LEAST_PACKETS).then(|| self.lost * 100 / all.max(1))
    }
}

/// How many of a hundred packets that were to be acknowledged were lost of late; `None` while there were
/// few.
pub(crate) fn lost_percent(controller: Box<dyn Controller>) -> Option<u64> {
    let bounded = controller.into_any().downcast::<BoundedCubic>().ok()?;
    bounded.losses.percent()
}

/// Makes the controller of each connection.
#[derive(Debug, Default)]
pub(crate) struct Bounded(Arc<CubicConfig>);

impl ControllerFactory for Bounded {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(BoundedCubic {
            cubic: self.0.clone().build(now, current_mtu),
            path: Path::new(now),
            losses: Losses::default(),
        })
    }
}

struct BoundedCubic {
    cubic: Box<dyn Controller>,
    path: Path,
    losses: Losses,
}

impl Controller for BoundedCubic {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.cubic.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &quinn_proto::RttEstimator,
    ) {
        self.losses.note(1, 0);
        self.path.acknowledged(now, bytes, app_limited, rtt.min());
        self.cubic.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.cubic
            .on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.losses.note(0, lost_bytes.div_ceil(PACKET_BYTES));
        self.cubic
            .on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.cubic.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        let most = self.path.most_bytes().unwrap_or(u64::MAX);
        self.cubic.window().min(most)
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = self.cubic.metrics();
        metrics.congestion_window = self.window();
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self {
            cubic: self.cubic.clone_box(),
            path: self.path,
            losses: self.losses,
        })
    }

    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path that is used as far as it may be: so many bytes a second, and that round trip.
    fn used(bandwidth: u64, round_trip_ms: u64) -> Path {
        let begun = Instant::now();
        let mut path = Path::new(begun);
        for ms in 1..=20_000 {
            let now = begun + Duration::from_millis(ms);
            let round_trip = Duration::from_millis(round_trip_ms);
            path.acknowledged(now, bandwidth / 1_000, false, round_trip);
        }
        path
    }

    #[test]
    fn a_thin_link_holds_little() {
        assert_eq!(used(8_000, 20).most_bytes(), Some(LEAST_BYTES));
        assert_eq!(used(8_000, 640).most_bytes(), Some(LEAST_BYTES));
    }

    #[test]
    fn a_long_and_fast_one_holds_two_round_trips() {
        assert_eq!(used(1_000_000, 640).most_bytes(), Some(2 * 640_000));
    }

    #[test]
    fn among_near_nodes_the_bound_does_not_matter() {
        let bound = used(100_000_000, 0).most_bytes().unwrap();
        assert!(bound >= 10_000_000, "{bound}");
    }

    #[test]
    fn a_connection_with_little_to_say_keeps_what_was_measured() {
        let mut path = used(1_000_000, 640);
        let before = path.most_bytes();
        let mut now = path.round_begun;
        for _ in 0..100 {
            now += Duration::from_secs(1);
            path.acknowledged(now, 100, true, Duration::from_millis(640));
        }
        assert_eq!(path.most_bytes(), before);
    }

    #[test]
    fn nothing_is_bounded_before_it_was_measured() {
        assert_eq!(Path::new(Instant::now()).most_bytes(), None);
    }
}
