//! How much of the roster is reachable, and the signal that nobody is.

use super::io::Verdict;
use names::Role;
use std::time::Duration;

/// How often [`Silence::tick`] is to be called.
pub(super) const LISTEN: Duration = Duration::from_millis(250);
/// After so many ticks without a word this node is isolated: 2 s, eight probes.
const SILENT_TICKS: u32 = 8;

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
}

impl Silence {
    /// A peer has sent something.
    pub(super) fn end(&mut self) {
        self.ticks = 0;
    }

    /// Another quarter of a second has passed, in which members were probed or not.
    pub(super) fn tick(&mut self, probing: bool) {
        self.ticks = if probing {
            self.ticks.saturating_add(1).min(SILENT_TICKS)
        } else {
            0
        };
    }

    /// Whether this node is cut off from everybody.
    pub(super) fn is_total(&self) -> bool {
        self.ticks >= SILENT_TICKS
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

    #[test]
    fn silence_is_total_after_two_seconds_and_broken_by_one_word() {
        let mut silence = Silence::default();
        (0..7).for_each(|_| silence.tick(true));
        assert!(!silence.is_total());
        silence.tick(true);
        assert!(silence.is_total());
        silence.end();
        assert!(!silence.is_total());
    }
}
