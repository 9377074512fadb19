//! How much of the roster is reachable, and the signal that nobody is.

use super::io::Verdict;
use names::Role;
use std::time::Duration;

/// How often [`Silence::tick`] is to be called.
pub(super) const LISTEN: Duration = Duration::from_millis(250);
/// After so long without a word this node is isolated, if its nearest member is not far: seven probes, and
/// the next tick, so that it is known within two seconds.
const SILENT: Duration = Duration::from_millis(1_750);
/// The round trip of members of whom none has been measured.
const UNMEASURED: Duration = Duration::from_secs(1);

/// The verdict on `reachable` of `expected` nodes. A member counts itself in both, an observer in
/// neither.
pub(super) fn verdict(reachable: usize, expected: usize, role: Role) -> Verdict {
    let others = match role {
        Role::Member => reachable.saturating_sub(1),
        Role::Observer => reachable,
    };
    match (reachable, expected) {
        (r, e) if r >= e => Verdict::Whole,
        (r, e) if 2 * r > e => Verdict::Majority,
        (r, e) if 2 * r == e => Verdict::Even,
        _ if others == 0 => Verdict::Alone,
        _ => Verdict::Minority,
    }
}

/// Nobody acknowledges anything: SWIM would suspect one member after the other for many seconds,
/// although the one that is cut off is this node.
///
/// Ticks are counted, not time: a node that was paused has not listened meanwhile.
#[derive(Debug, Default)]
pub(super) struct Silence {
    ticks: u32,
    is_total: bool,
}

impl Silence {
    /// A peer has sent something.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Another quarter of a second has passed, in which members were probed or not. A member who lives
    /// answers within a round trip; the nearest one has to be silent for one and a half longer, since what
    /// was under way before a cut comes for half a one yet. Where all links are metered members rest
    /// between two probes.
    pub(super) fn tick(&mut self, probing: bool, nearest: Option<Duration>, rest: Duration) {
        if !probing {
            return self.end();
        }
        self.ticks = self.ticks.saturating_add(1);
        let limit = rest + SILENT + nearest.unwrap_or(UNMEASURED) * 3 / 2;
        self.is_total |= LISTEN * self.ticks >= limit;
    }

    /// Whether this node is cut off from everybody.
    pub(super) fn is_total(&self) -> bool {
        self.is_total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_the_reachable_share() {
        let cases = [
            (1, 1, Verdict::Whole),
            (3, 3, Verdict::Whole),
            (2, 3, Verdict::Majority),
            (1, 3, Verdict::Alone),
            (2, 4, Verdict::Even),
            (1, 2, Verdict::Even),
            (2, 5, Verdict::Minority),
            (3, 5, Verdict::Majority),
            (1, 5, Verdict::Alone),
        ];
        for (reachable, expected, want) in cases {
            assert_eq!(
                verdict(reachable, expected, Role::Member),
                want,
                "{reachable} of {expected}"
            );
        }
    }

    #[test]
    fn an_observer_does_not_count_itself() {
        let sees = |reachable, expected| verdict(reachable, expected, Role::Observer);
        assert_eq!(sees(0, 3), Verdict::Alone);
        assert_eq!(sees(1, 3), Verdict::Minority);
        assert_eq!(sees(2, 3), Verdict::Majority);
        assert_eq!(sees(3, 3), Verdict::Whole);
    }

    /// After how many ticks without a word a node is isolated.
    fn ticks(nearest_ms: u64, rest_ms: u64) -> usize {
        let mut silence = Silence::default();
        let nearest = Some(Duration::from_millis(nearest_ms));
        let is_total = |_: &usize| {
            silence.tick(true, nearest, Duration::from_millis(rest_ms));
            silence.is_total()
        };
        (1..1_000).find(is_total).unwrap()
    }

    #[test]
    fn silence_is_total_within_two_seconds_and_two_round_trips() {
        assert_eq!((ticks(1, 0), ticks(100, 0), ticks(1_500, 0)), (8, 8, 16));
        assert_eq!(ticks(1, 15_000), 68, "where members rest");
    }

    #[test]
    fn silence_is_broken_by_one_word_and_by_having_nobody_to_ask() {
        let nearest = Some(Duration::ZERO);
        for probing in [true, false] {
            let mut silence = Silence::default();
            (0..20).for_each(|_| silence.tick(true, nearest, Duration::ZERO));
            assert!(silence.is_total());
            if probing {
                silence.end();
            } else {
                silence.tick(false, nearest, Duration::ZERO);
            }
            assert!(!silence.is_total());
        }
    }
}
