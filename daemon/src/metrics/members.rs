//! The families that have a series for each member on the roster but the node itself.
//!
//! The library keeps every series that it has ever had; members come, are forgotten, and take others'
//! names.

use super::Snapshot;
use std::collections::BTreeMap;
use std::fmt::Write;

const ROUND_TRIP: &str = "muster_member_round_trip_seconds";
const UP: &str = "muster_member_up";

/// Writes for each member how far it is, and whether this node reaches it. One that left is expected by
/// nobody.
pub(super) fn write(text: &mut String, snapshot: &Snapshot) {
    let view = &snapshot.views;
    let (mut trips, mut members) = (BTreeMap::new(), BTreeMap::new());
    for member in view.expected().filter(|member| member.id != view.me) {
        let is_up = member.state.is_reachable();
        let link = snapshot
            .links
            .get(&member.id)
            .filter(|_| member.conn.is_some() && is_up);
        if let Some(far) = link.and_then(|link| link.round_trip) {
            trips.insert(&member.profile.name, far.as_secs_f64());
        }
        // For a while two may have one name.
        *members.entry(&member.profile.name).or_insert(is_up) &= is_up;
    }
    // Writing to a string does not fail.
    let help =
        "The round trip to that member, as QUIC measures it; there is none without a connection";
    let _ = writeln!(
        text,
        "# HELP {ROUND_TRIP} {help}\n# TYPE {ROUND_TRIP} gauge"
    );
    for (name, seconds) in trips {
        let _ = writeln!(text, "{ROUND_TRIP}{{member=\"{name}\"}} {seconds}");
    }
    let help = "Whether this node reaches that member, 1 or 0; there is none for itself";
    let _ = writeln!(text, "# HELP {UP} {help}\n# TYPE {UP} gauge");
    for (name, is_up) in members {
        let up = u8::from(is_up);
        let _ = writeln!(text, "{UP}{{member=\"{name}\"}} {up}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Link;
    use crdt::roster::Profile;
    use names::{NodeId, NodeName, Role};
    use node::cluster::{MemberState, MemberView, RosterView, Verdict};
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
        }
    }

    #[test]
    fn who_is_reached_has_a_round_trip_and_who_is_down_has_none() {
        let states = [MemberState::Alive, MemberState::Alive, MemberState::Down];
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
        snapshot.links = (1..4).map(|id| (NodeId([id; 16]), link)).collect();
        let mut text = String::new();
        write(&mut text, &snapshot);
        let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "muster_member_round_trip_seconds{member=\"n2\"} 0.64",
            "muster_member_up{member=\"n2\"} 1",
            "muster_member_up{member=\"n3\"} 0",
        ];
        assert_eq!(series, expected);
    }
}
