//! The family that has a series for each member on the roster but the node itself.
//!
//! The library keeps every series that it has ever had; members come, are forgotten, and take others'
//! names.

use names::NodeId;
use node::cluster::{MemberState, RosterView};
use std::collections::BTreeMap;
use std::fmt::Write;

const UP: &str = "muster_member_up";

/// Writes for each member whether this node reaches it. One that left is expected by nobody.
pub(super) fn write(text: &mut String, view: &RosterView, me: NodeId) {
    let mut members = BTreeMap::new();
    for member in view.members.iter().filter(|member| member.id != me) {
        let is_up = match member.state {
            MemberState::Alive | MemberState::Suspect => 1,
            MemberState::Down | MemberState::Restarting => 0,
            MemberState::Left => continue,
        };
        // For a while two may have one name.
        let up = members.entry(&member.profile.name).or_insert(is_up);
        *up = is_up.min(*up);
    }
    // Writing to a string does not fail.
    let help = "Whether this node reaches that member, 1 or 0; there is none for itself";
    let _ = writeln!(text, "# HELP {UP} {help}\n# TYPE {UP} gauge");
    for (name, up) in members {
        let _ = writeln!(text, "{UP}{{member=\"{name}\"}} {up}");
    }
}
