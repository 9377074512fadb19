//! How long a member takes to answer, as this node's own pings have shown.
//!
//! The estimate is that of RFC 6298: a smoothed round trip, and how far samples stray from it. A ping
//! has a number of its own, also when it repeats another one, so that each answer belongs to one
//! ping.
//!
//! An answer that comes after its time says less than it seems: a member that was stopped answers all
//! pings at once when it goes on. Of the late answers that come together only the youngest ping
//! counts, and it counts for at most [`MOST_GROWTH`] times what was expected, so that one pause does
//! not make the member's next crash hard to see, while a link that has become slow is learnt within
//! a few probes.

use crate::time::Instant;
use foca::ProbeNumber;
use names::NodeId;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// The bounds of the time for an answer.
const LEAST_LIMIT: Duration = Duration::from_millis(110);
const MOST_LIMIT: Duration = Duration::from_secs(15);
/// The time for an answer of a member that has never answered a ping: it may have to be dialled first.
const UNKNOWN_LIMIT: Duration = Duration::from_secs(5);
/// The least room above the smoothed round trip, which a steady link would come close to.
const LEAST_MARGIN: Duration = Duration::from_millis(50);
/// The shortest suspicion; and the one of a member that has never answered a ping.
pub(super) const LEAST_SUSPICION: Duration = Duration::from_secs(1);
const UNKNOWN_SUSPICION: Duration = Duration::from_secs(3);
/// A late answer counts for at most so many times the time that it had.
const MOST_GROWTH: u32 = 4;
/// Late answers that come within this time are of one burst.
const BURST: Duration = Duration::from_millis(250);
/// How many pings wait for their answers; then the oldest is given up.
const MAX_OPEN: usize = 16;

/// Late answers that came together.
#[derive(Debug)]
struct Burst {
    begun: Instant,
    /// The round trip of the youngest ping among them.
    shortest: Duration,
}

/// The link to one member.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// The smoothed round trip and its variation.
    estimate: Option<(Duration, Duration)>,
    last: ProbeNumber,
    open: VecDeque<(ProbeNumber, Instant)>,
    late: Option<Burst>,
    /// Members that were asked to probe this one and brought no answer since it last answered itself.
    pub(super) fruitless: BTreeSet<NodeId>,
    /// Members that have brought its answer since it last answered itself.
    pub(super) vouchers: BTreeSet<NodeId>,
}

impl Link {
    pub(super) fn is_measured(&self) -> bool {
        self.estimate.is_some()
    }

    /// The smoothed round trip; `None` before the first answer.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.estimate.map(|(round_trip, _)| round_trip)
    }

    /// How long an answer may take.
    pub(super) fn limit(&self) -> Duration {
        let limit = self.estimate.map_or(UNKNOWN_LIMIT, |(round_trip, strays)| {
            round_trip + LEAST_MARGIN.max(strays * 4)
        });
        limit.clamp(LEAST_LIMIT, MOST_LIMIT)
    }

    /// How long a suspicion lasts on a node that is in good health.
    pub(super) fn suspicion(&self) -> Duration {
        self.estimate
            .map_or(UNKNOWN_SUSPICION, |(round_trip, strays)| {
                LEAST_SUSPICION.max(round_trip * 4 + strays * 8)
            })
    }

    /// The number of a ping that has to wait until its member is connected: how long its answer takes
    /// says nothing.
    pub(super) fn unmeasured_ping(&mut self) -> ProbeNumber {
        self.last = self.last.wrapping_add(1);
        self.last
    }

    /// A ping goes out; gives its number.
    pub(super) fn ping(&mut self, now: Instant) -> ProbeNumber {
        self.end_burst(now);
        self.unmeasured_ping();
        if self.open.len() == MAX_OPEN {
            self.open.pop_front();
        }
        self.open.push_back((self.last, now));
        self.last
    }

    /// A ping was answered.
    pub(super) fn answered(&mut self, now: Instant, number: ProbeNumber) {
        self.end_burst(now);
        let Some(position) = self.open.iter().position(|(open, _)| *open == number) else {
            return;
        };
        let Some((_, sent)) = self.open.remove(position) else {
            return;
        };
        let round_trip = now.since(sent).min(MOST_LIMIT);
        if !self.is_measured() || round_trip <= self.limit() {
            return self.learn(round_trip);
        }
        let burst = self.late.get_or_insert(Burst {
            begun: now,
            shortest: round_trip,
        });
        burst.shortest = burst.shortest.min(round_trip);
    }

    /// What was under way tells nothing, since this node itself was stopped.
    pub(super) fn forget_open(&mut self) {
        self.open.clear();
        self.late = None;
    }

    fn end_burst(&mut self, now: Instant) {
        if self
            .late
            .as_ref()
            .is_some_and(|burst| now.since(burst.begun) >= BURST)
            && let Some(burst) = self.late.take()
        {
            self.learn(burst.shortest.min(self.limit() * MOST_GROWTH));
        }
    }

    /// RFC 6298, section 2.
    fn learn(&mut self, sample: Duration) {
        self.estimate = Some(match self.estimate {
            None => (sample, sample / 2),
            Some((round_trip, strays)) => (
                (round_trip * 7 + sample) / 8,
                (strays * 3 + sample.abs_diff(round_trip)) / 4,
            ),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(0) + Duration::from_millis(ms)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Sends a ping that is answered after so long.
    fn answer(link: &mut Link, sent_ms: u64, round_trip_ms: u64) {
        let number = link.ping(at(sent_ms));
        link.answered(at(sent_ms + round_trip_ms), number);
    }

    /// A link on which that many pings, one each second, were answered after so long.
    fn measured(pings: u64, round_trip_ms: u64) -> Link {
        let mut link = Link::default();
        (0..pings).for_each(|ping| answer(&mut link, ping * 1_000, round_trip_ms));
        link
    }

    #[test]
    fn the_time_for_an_answer_follows_the_round_trip() {
        assert_eq!(Link::default().limit(), UNKNOWN_LIMIT);
        assert_eq!(measured(1, 40).limit(), ms(40 + 4 * 20));
        assert_eq!(measured(100, 1).limit(), LEAST_LIMIT);
        for far in [300, 640, 1_500] {
            let limit = measured(100, far).limit();
            assert!(limit > ms(far) && limit < ms(far + 100), "{far}: {limit:?}");
        }
        assert_eq!(measured(3, 14_999).limit(), MOST_LIMIT);
    }

    #[test]
    fn a_suspicion_lasts_four_round_trips_and_a_second_at_least() {
        assert_eq!(measured(100, 1).suspicion(), LEAST_SUSPICION);
        let far = measured(100, 640).suspicion();
        assert!(far >= ms(4 * 640) && far < ms(4 * 640 + 100), "{far:?}");
    }

    #[test]
    fn an_answer_counts_once_and_only_for_its_own_ping() {
        let mut link = measured(100, 60);
        let number = link.ping(at(200_000));
        link.answered(at(200_060), number);
        let before = link.estimate;
        link.answered(at(200_100), number);
        link.answered(at(200_100), number.wrapping_add(7));
        link.ping(at(201_000));
        assert_eq!(link.estimate, before);
    }

    #[test]
    fn a_member_that_was_stopped_for_long_is_not_taken_for_far() {
        let mut link = measured(100, 2);
        // All answers come at once, the oldest after 20 s and the youngest after 2 s.
        let pings: Vec<_> = (0..10)
            .map(|ping| link.ping(at(200_000 + ping * 2_000)))
            .collect();
        for number in pings {
            link.answered(at(220_000), number);
        }
        link.ping(at(221_000));
        assert!(link.limit() < ms(600), "{:?}", link.limit());
    }

    #[test]
    fn a_link_that_has_become_slow_is_learnt_from_a_few_late_answers() {
        let mut link = measured(100, 2);
        let mut probes = 0;
        while link.limit() < ms(1_500) {
            probes += 1;
            answer(&mut link, 200_000 + probes * 5_000, 1_500);
            link.ping(at(203_000 + probes * 5_000));
        }
        assert!(probes <= 4, "{probes}");
    }

    #[test]
    fn a_ping_that_waits_for_a_connection_measures_nothing() {
        let mut link = Link::default();
        let number = link.unmeasured_ping();
        link.answered(at(3_000), number);
        assert!(!link.is_measured());
    }

    #[test]
    fn few_pings_are_remembered() {
        let mut link = Link::default();
        let first = link.ping(at(0));
        (1..100).for_each(|ping| _ = link.ping(at(ping)));
        assert_eq!(link.open.len(), MAX_OPEN);
        link.answered(at(2_000), first);
        assert!(!link.is_measured());
    }
}
