//! Processes as the API writes them.

use crate::api::shown::text;
use crate::api::time::Millis;
use crdt::registry::Process;
use names::{Handle, NodeId, ProcessName};
use node::cluster::registry::{Found, Holder, ProcessState};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// A registered process.
#[derive(Serialize, ToSchema)]
#[schema(as = Process)]
pub(crate) struct ShownProcess<'a> {
    /// `name@node#pid.start`: this very registration, the same on every node.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String)]
    handle: Handle,
    /// The name.
    name: &'a str,
    /// The node that it runs on.
    node: &'a str,
    /// Its process id there.
    pid: u32,
    /// Its user there.
    uid: u32,
    /// That user's name; null without.
    #[schema(required = true)]
    user: Option<&'a str>,
    /// Its executable; null where the kernel does not tell.
    #[schema(required = true)]
    exe: Option<&'a str>,
    /// How the name stands: `up`, `unreachable` (all that have it are out of sight) or `contested`
    /// (several reachable ones claim it; this one has it, unless the call was about another one).
    #[schema(pattern = "^(up|unreachable|contested)$")]
    state: &'a str,
    /// Whether it runs on the node that answers.
    local: bool,
    /// When it claimed the name.
    #[schema(value_type = String, format = DateTime)]
    since: Millis,
    /// The groups that it is in, sorted.
    #[schema(value_type = Vec<String>)]
    groups: &'a BTreeSet<ProcessName>,
    /// What its registrant says of it.
    metadata: &'a BTreeMap<String, String>,
    /// Where it serves; null if it does not say.
    #[schema(required = true)]
    address: Option<&'a str>,
    /// The handles of all others that claim the name, also of those out of sight, the earliest
    /// claim first.
    others: Vec<String>,
}

impl<'a> ShownProcess<'a> {
    /// The one that has the name, as the node `me` shows it.
    pub(crate) fn holder(name: &'a ProcessName, found: &'a Found, me: NodeId) -> Self {
        Self::new(name, found, &found.holder, me)
    }

    /// That registration under the name, if it is there.
    pub(crate) fn of(
        name: &'a ProcessName,
        found: &'a Found,
        (owner, process): (NodeId, Process),
        me: NodeId,
    ) -> Option<Self> {
        let holder =
            all(found).find(|holder| holder.owner == owner && holder.process == process)?;
        Some(Self::new(name, found, holder, me))
    }

    fn new(name: &'a ProcessName, found: &'a Found, holder: &'a Holder, me: NodeId) -> Self {
        let entry = &holder.entry;
        Self {
            handle: holder.handle(name),
            name: name.as_str(),
            node: holder.node.as_str(),
            pid: holder.process.pid,
            uid: entry.uid,
            user: entry.user.as_deref(),
            exe: entry.exe.as_deref(),
            state: state(found.state),
            local: holder.owner == me,
            since: Millis(entry.since_ms),
            groups: &entry.groups,
            metadata: &entry.metadata,
            address: entry.address.as_deref(),
            others: all(found)
                .filter(|other| *other != holder)
                .map(|other| other.handle(name).to_string())
                .collect(),
        }
    }
}

fn all(found: &Found) -> impl Iterator<Item = &Holder> {
    std::iter::once(&found.holder).chain(&found.others)
}

/// A state as the API names it.
pub(crate) fn state(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Up => "up",
        ProcessState::Unreachable => "unreachable",
        ProcessState::Contested => "contested",
    }
}

/// A group that somebody is in.
#[derive(Serialize, ToSchema)]
#[schema(as = Group)]
pub(crate) struct ShownGroup<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// How many names are in it, also those whose process is out of sight.
    pub(super) members: usize,
}
