//! The family that has a series for each member on the roster but the node itself.
//!
//! The library keeps every series that it has ever had; members come, are forgotten, and take others'
//! names.

use node::cluster::RosterView;
use std::collections::BTreeMap;
use std::fmt::Write;

const UP: &str = "muster_member_up";

/// Writes for each member whether this node reaches it. One that left, or is away on purpose, is expected
/// by nobody.
pub(super) fn write(text: &mut String, view: &RosterView) {
    let mut members = BTreeMap::new();
    for member in view.expected().filter(|member| member.id != view.me) {
        let is_up = member.state.is_reachable();
        // For a while two may have one name.
        *members.entry(&member.profile.name).or_insert(is_up) &= is_up;
    }
    // Writing to a string does not fail.
    let help = "Whether this node reaches that member, 1 or 0; there is none for itself and for those that are away on purpose";
    let _ = writeln!(text, "# HELP {UP} {help}\n# TYPE {UP} gauge");
    for (name, is_up) in members {
        let up = u8::from(is_up);
        let _ = writeln!(text, "{UP}{{member=\"{name}\"}} {up}");
    }
}
