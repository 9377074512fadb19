//! Who is believed on a log of the process registry, and how far a claim moves the clock.

use crate::time::Wall;
use crdt::registry::Entry;
use names::{NodeId, Role};

/// How far ahead of the time others' claims move this node's clock of claims, in milliseconds. Nobody
/// registers so much, and it leaves room for later claims.
pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// A part of a log, and the circumstances in which it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogPart {
    /// The node that sent it.
    pub(crate) speaker: (NodeId, Role),
    /// The node whose log it is.
    pub(crate) owner: (NodeId, Role),
    /// Whether it has registrations, or ends of such.
    pub(crate) has_records: bool,
    /// Whether the speaker pushed it, rather than answered with it.
    pub(crate) is_pushed: bool,
    /// Whether this node has asked the speaker for that log and waits for the answer.
    pub(crate) was_asked: bool,
    /// Whether the owner speaks for itself on a connection that is in use.
    pub(crate) owner_speaks: bool,
    /// Whether a log of that owner in that run is expected: see [`is_log_expected`].
    pub(crate) is_expected: bool,
    /// Whether it proves itself, or this node accepts from others what does not.
    pub(crate) is_credible: bool,
}

/// What becomes of a part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It is merged; what proves itself, if its proof is good.
    Merge,
    /// It is answered, but changes nothing.
    AnswerOnly,
    /// Nobody has asked for it: it is passed over.
    Ignore,
    /// It breaks the protocol: only its owner pushes a log, and an observer has no registrations.
    Breach,
}

/// Decides what becomes of a part of a log.
///
/// Where another node than the owner was asked while the owner could not be, and the owner speaks
/// for itself by now, the owner's word goes first. What others keep may be the log of a start that the
/// owner's disk, restored from a backup, knows nothing of: in the same run, and with a higher number.
pub(crate) fn log_part(part: LogPart) -> Use {
    let ((speaker, role), (owner, owner_role)) = (part.speaker, part.owner);
    let is_hearsay = speaker != owner;
    let is_unheard =
        is_hearsay && (role == Role::Observer || part.owner_speaks || !part.is_credible);
    let is_observers = owner_role == Role::Observer && part.has_records;
    if part.is_pushed && (is_hearsay || is_observers) {
        Use::Breach
    } else if is_hearsay && !part.was_asked {
        Use::Ignore
    } else if is_observers || is_unheard || !part.is_expected {
        Use::AnswerOnly
    } else {
        Use::Merge
    }
}

/// Decides whether a node can have a log of that run: not of a later run than the roster has
/// (`None` if the node is not expected at all), nor of one up to the run in which it left.
pub(crate) fn is_log_expected(run: u64, rostered: Option<u64>, left_in: Option<u64>) -> bool {
    rostered.is_some_and(|rostered| run <= rostered) && left_in.is_none_or(|left| run > left)
}

/// When a process claims its name: the time in milliseconds, but later than all claims that this
/// node has seen (a hybrid logical clock, Kulkarni et al. 2014). So the earlier of two claims wins
/// after a partition, too, as far as the hosts' clocks are right.
pub(crate) fn next_claim(latest_seen: u64, now: Wall) -> u64 {
    let wall_ms = u64::try_from(now.0).unwrap_or(0);
    wall_ms.min(Entry::MAX_CLOCK).max(latest_seen + 1)
}

/// The latest time of a claim that may move this node's clock of claims.
pub(crate) fn latest_claim(now: Wall) -> u64 {
    let wall_ms = u64::try_from(now.0).unwrap_or(0);
    wall_ms.saturating_add(DAY_MS).min(Entry::MAX_CLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWNER: NodeId = NodeId([2; 16]);
    const OTHER: NodeId = NodeId([3; 16]);

    #[test]
    fn a_claim_is_made_at_its_time_and_after_all_that_were_seen() {
        assert_eq!(next_claim(5, Wall(1_000)), 1_000);
        assert_eq!(next_claim(1_000, Wall(1_000)), 1_001);
        // A clock that is wrong, and claims of a time before they were made at a time.
        assert_eq!(next_claim(7, Wall(-1)), 8);
        assert_eq!(next_claim(7, Wall(i64::MAX)), Entry::MAX_CLOCK);
    }

    fn part(speaker: NodeId) -> LogPart {
        LogPart {
            speaker: (speaker, Role::Member),
            owner: (OWNER, Role::Member),
            has_records: true,
            is_pushed: false,
            was_asked: true,
            owner_speaks: false,
            is_expected: true,
            is_credible: true,
        }
    }

    #[test]
    fn another_node_is_heard_on_a_log_only_when_asked_and_while_its_owner_is_silent() {
        let by_other = part(OTHER);
        let cases = [
            (by_other, Use::Merge),
            (
                LogPart {
                    was_asked: false,
                    ..by_other
                },
                Use::Ignore,
            ),
            (
                LogPart {
                    owner_speaks: true,
                    ..by_other
                },
                Use::AnswerOnly,
            ),
            (
                LogPart {
                    is_credible: false,
                    ..by_other
                },
                Use::AnswerOnly,
            ),
            (
                LogPart {
                    is_credible: false,
                    ..part(OWNER)
                },
                Use::Merge,
            ),
            (
                LogPart {
                    is_pushed: true,
                    ..by_other
                },
                Use::Breach,
            ),
            (
                LogPart {
                    is_pushed: true,
                    was_asked: false,
                    owner_speaks: true,
                    ..part(OWNER)
                },
                Use::Merge,
            ),
            (
                LogPart {
                    is_expected: false,
                    ..part(OWNER)
                },
                Use::AnswerOnly,
            ),
        ];
        for (case, use_of_it) in cases {
            assert_eq!(log_part(case), use_of_it, "{case:?}");
        }
    }

    #[test]
    fn an_observer_has_no_registrations_and_tells_of_no_others() {
        let by_observer = LogPart {
            speaker: (OTHER, Role::Observer),
            ..part(OTHER)
        };
        let own = LogPart {
            owner: (OWNER, Role::Observer),
            ..part(OWNER)
        };
        let pushed = LogPart {
            is_pushed: true,
            ..own
        };
        let empty = |part| LogPart {
            has_records: false,
            ..part
        };
        let relayed = LogPart {
            speaker: (OTHER, Role::Member),
            ..own
        };
        for (case, use_of_it) in [
            (by_observer, Use::AnswerOnly),
            (empty(by_observer), Use::AnswerOnly),
            (own, Use::AnswerOnly),
            (relayed, Use::AnswerOnly),
            (pushed, Use::Breach),
            (empty(pushed), Use::Merge),
            (empty(own), Use::Merge),
        ] {
            assert_eq!(log_part(case), use_of_it, "{case:?}");
        }
    }

    #[test]
    fn a_log_is_expected_between_the_run_of_leaving_and_the_rosters() {
        assert!(!is_log_expected(1, None, None));
        assert!(is_log_expected(3, Some(3), None) && !is_log_expected(4, Some(3), None));
        assert!(is_log_expected(3, Some(3), Some(2)) && !is_log_expected(2, Some(3), Some(2)));
    }

    proptest! {
        /// Whatever claims others make, and whatever the clock says.
        #[test]
        fn a_claim_of_this_node_is_later_than_it_must_be_and_taken_by_all(
            heard in proptest::collection::vec(any::<u64>(), 0..5),
            walls in proptest::collection::vec(any::<i64>(), 1..50),
        ) {
            let mut clock = 0;
            for wall in walls.into_iter().map(Wall) {
                for claim in heard.iter().map(|claim| claim % (2 * Entry::MAX_CLOCK)) {
                    clock = clock.max(claim.min(latest_claim(wall)));
                }
                let claim = next_claim(clock, wall);
                let entry = Entry {
                    uid: 0,
                    user: None,
                    exe: None,
                    groups: [].into(),
                    metadata: [].into(),
                    address: None,
                    claim,
                    since_ms: 0,
                };
                prop_assert!(claim > clock && entry.is_sound(), "{claim}");
                clock = claim;
            }
        }
    }
}
