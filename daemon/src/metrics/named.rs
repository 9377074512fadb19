//! The families that have a series for each member on the roster but the node itself, and for each
//! process that is expected.
//!
//! The library keeps every series that it has ever had; members come, are forgotten, and take others'
//! names.

use crate::process::Expected;
use names::ProcessName;
use node::cluster::RosterView;
use std::collections::BTreeMap;
use std::fmt::{Display, Write};

const UP: &str = "muster_member_up";
const EXPECTED: &str = "muster_processes_expected";

/// Writes for each member whether this node reaches it. One that left, or is away on purpose, is expected
/// by nobody.
pub(super) fn write_members(text: &mut String, view: &RosterView) {
    let mut members = BTreeMap::new();
    for member in view.expected().filter(|member| member.id != view.me) {
        let is_up = member.state.is_reachable();
        // For a while two may have one name.
        *members.entry(&member.profile.name).or_insert(is_up) &= is_up;
    }
    let help = "Whether this node reaches that member, 1 or 0; there is none for itself and for those that are away on purpose";
    write(text, (UP, help, "member"), members);
}

/// Writes for each process that is expected whether it is there.
pub(super) fn write_processes(text: &mut String, expected: &BTreeMap<ProcessName, Expected>) {
    let processes = expected.iter();
    let processes = processes.map(|(name, expected)| (name, expected.is_up));
    let help = "Whether a process has that name, 1 or 0: of those that [processes] expect names, and for an hour of those that ended with failure";
    write(text, (EXPECTED, help, "process"), processes);
}

fn write<N: Display>(
    text: &mut String,
    (family, help, label): (&str, &str, &str),
    series: impl IntoIterator<Item = (N, bool)>,
) {
    // No name has what would have a meaning in a label, and writing to a string does not fail.
    let _ = writeln!(text, "# HELP {family} {help}\n# TYPE {family} gauge");
    for (name, is_up) in series {
        let up = u8::from(is_up);
        let _ = writeln!(text, "{family}{{{label}=\"{name}\"}} {up}");
    }
}
