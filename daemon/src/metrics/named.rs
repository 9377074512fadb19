//! The families that have a series for each member on the roster but the node itself, and for each
//! process that is expected.
//!
//! The library keeps every series that it has ever had; members come, are forgotten, and take others'
//! names.

use super::Snapshot;
use crate::process::Expected;
use names::ProcessName;
use node::cluster::MemberState;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write};

const ROUND_TRIP: &str = "muster_member_round_trip_seconds";
const UP: &str = "muster_member_up";
const AWAY: &str = "muster_member_away";
const EXPECTED: &str = "muster_processes_expected";

/// Writes for each member how far it is, and whether this node reaches it. One that left, or is away on
/// purpose, is expected by nobody.
pub(super) fn write_members(text: &mut String, snapshot: &Snapshot) {
    let view = &snapshot.views;
    let (mut trips, mut members) = (BTreeMap::new(), BTreeMap::new());
    for member in view.expected().filter(|member| member.id != view.me) {
        let is_up = member.state.is_reachable();
        let link = snapshot.links.get(&member.id);
        let link = link.filter(|_| member.conn.is_some() && is_up);
        if let Some(far) = link.and_then(|link| link.round_trip) {
            trips.insert(&member.profile.name, far.as_secs_f64());
        }
        // For a while two may have one name.
        *members.entry(&member.profile.name).or_insert(is_up) &= is_up;
    }
    let help =
        "The round trip to that member, as QUIC measures it; there is none without a connection";
    write(text, (ROUND_TRIP, help, "member"), trips);
    let members = members
        .into_iter()
        .map(|(name, is_up)| (name, u8::from(is_up)));
    let help = "Whether this node reaches that member, 1 or 0; there is none for itself and for those that are away on purpose";
    write(text, (UP, help, "member"), members);
    write_away(text, snapshot);
}

/// Writes who is away on purpose, and where it was: so a rule can be quiet about a target that cannot answer.
fn write_away(text: &mut String, snapshot: &Snapshot) {
    let members = snapshot.views.members.iter();
    let away = members.filter(|member| member.state == MemberState::Away);
    let places: BTreeSet<_> = away
        .map(|member| (&member.profile.name, member.profile.address.ip()))
        .collect();
    let _ = writeln!(
        text,
        "# HELP {AWAY} Constant 1, of each member that is away on purpose; host is the address that it has told\n\
         # TYPE {AWAY} gauge"
    );
    for (name, host) in places {
        let _ = writeln!(text, "{AWAY}{{member=\"{name}\",host=\"{host}\"}} 1");
    }
}

/// Writes for each process that is expected whether it is there.
pub(super) fn write_processes(text: &mut String, expected: &BTreeMap<ProcessName, Expected>) {
    let processes = expected.iter();
    let processes = processes.map(|(name, expected)| (name, u8::from(expected.is_up)));
    let help = "Whether a process has that name, 1 or 0: of those that [processes] expect names, and for an hour of those that ended with failure";
    write(text, (EXPECTED, help, "process"), processes);
}

fn write<N: Display, V: Display>(
    text: &mut String,
    (family, help, label): (&str, &str, &str),
    series: impl IntoIterator<Item = (N, V)>,
) {
    // No name has what would have a meaning in a label, and writing to a string does not fail.
    let _ = writeln!(text, "# HELP {family} {help}\n# TYPE {family} gauge");
    for (name, value) in series {
        let _ = writeln!(text, "{family}{{{label}=\"{name}\"}} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Link;
    use crdt::roster::Profile;
    use names::{NodeId, NodeName, Role};
    use node::cluster::{MemberView, RosterView, Verdict};
    use node::time::Wall;
    use node::wire::ConnId;
    use std::time::Duration;

    fn member(id: u8, state: MemberState) -> MemberView {
        MemberView {
            id: NodeId([id; 16]),
            role: Role::Member,
            profile: Profile {
                name: NodeName::new(&format!("n{id}")).unwrap(),
                address: ([127, 0, 0, 1], 6878).into(),
                version: "1".into(),
                tags: Vec::new(),
            },
            state,
            run: 1,
            since: Wall(0),
            last_round_trip: None,
            is_metered: false,
            conn: Some(ConnId(1)),
            protocol: None,
            indirect: None,
            breach: None,
            away: None,
        }
    }

    #[test]
    fn who_is_reached_has_a_round_trip_and_who_is_away_is_missed_by_nobody() {
        let states = [
            MemberState::Alive,
            MemberState::Alive,
            MemberState::Down,
            MemberState::Away,
        ];
        let members = (1..)
            .zip(states)
            .map(|(id, state)| member(id, state))
            .collect();
        let mut snapshot = Snapshot::of(RosterView {
            me: NodeId([1; 16]),
            members,
            verdict: Verdict::Majority,
            since: Wall(0),
        });
        let link = Link {
            round_trip: Some(Duration::from_millis(640)),
            lost_percent: None,
        };
        snapshot.links = (1..5).map(|id| (NodeId([id; 16]), link)).collect();
        let mut text = String::new();
        write_members(&mut text, &snapshot);
        let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "muster_member_round_trip_seconds{member=\"n2\"} 0.64",
            "muster_member_up{member=\"n2\"} 1",
            "muster_member_up{member=\"n3\"} 0",
            "muster_member_away{member=\"n4\",host=\"127.0.0.1\"} 1",
        ];
        assert_eq!(series, expected);
    }
}
