//! Which processes should be there, and whether they are.

use super::{Fall, Replica};
use names::ProcessName;
use node::cluster::{MemberState, RosterView};
use node::registry::{Found, ProcessState};
use std::collections::{BTreeMap, BTreeSet};

/// A name that some process should have.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// Whether a process that this node reaches has it.
    pub(crate) is_up: bool,
    /// What had it last and ended within the last hour, if nobody has it now.
    pub(crate) fall: Option<Fall>,
}

/// All names that are expected: those of the configuration, and for an hour those of registrations that
/// ended with failure. What was on a node that is away on purpose is expected no more than that node.
pub(crate) fn expected(
    replica: &Replica,
    configured: &[ProcessName],
    view: &RosterView,
) -> BTreeMap<ProcessName, Expected> {
    let mut fallen = replica.fallen();
    let failed = fallen.iter().filter(|(_, fall)| fall.is_failure);
    let failed = failed.map(|(name, _)| name.clone());
    let names: BTreeSet<ProcessName> = configured.iter().cloned().chain(failed).collect();
    let named = names.into_iter().filter_map(|name| {
        let found = replica.read(|directory| directory.whereis(&name));
        let fall = fallen.remove(&name);
        let expected = judge(found.as_ref(), fall, view)?;
        Some((name, expected))
    });
    named.collect()
}

fn judge(found: Option<&Found>, fall: Option<Fall>, view: &RosterView) -> Option<Expected> {
    let owner = found.map(|found| found.holder.owner);
    let owner = owner.or(fall.as_ref().map(|fall| fall.holder.owner));
    let is_up = found.is_some_and(|found| match found.state {
        ProcessState::Up | ProcessState::Contested => true,
        ProcessState::Unreachable => false,
    });
    let node = owner.and_then(|owner| view.member(owner));
    let is_away = node.is_some_and(|node| node.state == MemberState::Away);
    let fall = fall.filter(|_| found.is_none());
    (is_up || !is_away).then_some(Expected { is_up, fall })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventLog, Past};
    use crate::process::testing::{ends, registers, view};
    use crdt::registry::Reason;

    fn name(text: &str) -> ProcessName {
        ProcessName::new(text).unwrap()
    }

    fn told(replica: &Replica, configured: &[&str], view: &RosterView) -> Vec<(String, bool)> {
        let configured: Vec<ProcessName> = configured.iter().map(|one| name(one)).collect();
        let all = expected(replica, &configured, view).into_iter();
        all.map(|(name, one)| (name.to_string(), one.is_up))
            .collect()
    }

    #[test]
    fn a_name_is_expected_by_the_configuration_or_after_a_failure() {
        let (replica, log) = (Replica::default(), EventLog::new(Past::default(), 7));
        let here = view(MemberState::Alive);
        for one in ["web", "db", "job"] {
            registers(&replica, &log, one);
        }
        assert_eq!(told(&replica, &[], &here), []);
        let up = |one: &str| (one.to_owned(), true);
        let down = |one: &str| (one.to_owned(), false);
        assert_eq!(
            told(&replica, &["web", "none"], &here),
            [down("none"), up("web")]
        );
        ends(&replica, &log, "db", Reason::ExitedWith(1));
        ends(&replica, &log, "job", Reason::ExitedWith(0));
        assert_eq!(told(&replica, &[], &here), [down("db")]);
        assert_eq!(told(&replica, &["job"], &here), [down("db"), down("job")]);
        let all = expected(&replica, &[name("job")], &here);
        assert!(all[&name("job")].fall.is_some());
        registers(&replica, &log, "db");
        assert_eq!(told(&replica, &[], &here), []);
    }

    #[test]
    fn what_was_on_a_node_that_is_away_is_not_expected() {
        let (replica, log) = (Replica::default(), EventLog::new(Past::default(), 7));
        registers(&replica, &log, "web");
        ends(&replica, &log, "web", Reason::Killed(9));
        for (state, count) in [(MemberState::Down, 1), (MemberState::Away, 0)] {
            assert_eq!(told(&replica, &["web"], &view(state)).len(), count);
        }
    }
}
