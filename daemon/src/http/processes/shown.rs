//! Processes as the API writes them.

use api::processes::{ProcessState, RegisteredProcess};
use api::time::Millis;
use crdt::registry::Process;
use names::{NodeId, ProcessName};
use node::registry::{self, Found, Holder};

/// The one that has the name, as the node `me` shows it.
pub(crate) fn holder(name: &ProcessName, found: &Found, me: NodeId) -> RegisteredProcess {
    shown(name, found, &found.holder, me)
}

/// That registration under the name, if it is there.
pub(crate) fn registration(
    name: &ProcessName,
    found: &Found,
    (owner, process): (NodeId, Process),
    me: NodeId,
) -> Option<RegisteredProcess> {
    let holder = all(found).find(|holder| holder.owner == owner && holder.process == process)?;
    Some(shown(name, found, holder, me))
}

fn shown(name: &ProcessName, found: &Found, holder: &Holder, me: NodeId) -> RegisteredProcess {
    let entry = &holder.entry;
    RegisteredProcess {
        handle: holder.handle(name).to_string(),
        name: name.to_string(),
        node: holder.node.to_string(),
        pid: holder.process.pid,
        uid: entry.uid,
        user: entry.user.clone(),
        exe: entry.exe.clone(),
        state: state(found.state),
        local: holder.owner == me,
        since: Millis(entry.since_ms),
        groups: entry.groups.iter().map(ToString::to_string).collect(),
        metadata: entry.metadata.clone(),
        address: entry.address.clone(),
        others: all(found)
            .filter(|other| *other != holder)
            .map(|other| other.handle(name).to_string())
            .collect(),
    }
}

fn all(found: &Found) -> impl Iterator<Item = &Holder> {
    std::iter::once(&found.holder).chain(&found.others)
}

/// A state as the API names it.
pub(crate) fn state(state: registry::ProcessState) -> ProcessState {
    match state {
        registry::ProcessState::Up => ProcessState::Up,
        registry::ProcessState::Unreachable => ProcessState::Unreachable,
        registry::ProcessState::Contested => ProcessState::Contested,
    }
}
