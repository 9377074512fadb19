//! All links of this node's registrations.

use bytes::Bytes;
use crdt::registry::{Position, Process};
use names::{Handle, NodeId, ProcessName};
use std::collections::{BTreeMap, BTreeSet};

/// The most links of one process.
pub(in crate::registry) const MAX_LINKS: usize = 256;

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) struct Link {
    /// Who would be signalled.
    pub(in crate::registry) process: Process,
    /// The other's node.
    pub(in crate::registry) owner: NodeId,
    /// Once the log of that node has come so far, it has the other, unless that has ended.
    pub(in crate::registry) mark: Option<Position>,
    /// Whether it fires also when that node is merely out of sight.
    pub(in crate::registry) unreachable: bool,
    /// In milliseconds since the epoch.
    pub(in crate::registry) since_ms: i64,
    /// It is of an earlier start, and the other was not seen since.
    pub(in crate::registry) resumed: bool,
    pub(super) fired: bool,
    /// Its row as an earlier start kept it, for the fields that this program does not know.
    pub(in crate::registry) kept: Bytes,
}

impl Link {
    pub(in crate::registry) fn new(
        process: Process,
        owner: NodeId,
        mark: Option<Position>,
        unreachable: bool,
        since_ms: i64,
    ) -> Self {
        Self {
            process,
            owner,
            mark,
            unreachable,
            since_ms,
            resumed: false,
            fired: false,
            kept: Bytes::new(),
        }
    }
}

/// The links of this node's processes.
#[derive(Debug, Default)]
pub(in crate::registry) struct Table {
    pub(super) count: usize,
    pub(super) by_name: BTreeMap<ProcessName, BTreeMap<Handle, Link>>,
    /// By the other's node and handle: the names of those that would be signalled.
    pub(super) by_other: BTreeMap<NodeId, BTreeMap<Handle, BTreeSet<ProcessName>>>,
    /// By the other's node: links whose other was not seen alive since they were made, or since the
    /// start.
    pub(super) unseen: BTreeMap<NodeId, BTreeSet<(ProcessName, Handle)>>,
    /// Nodes that were asked how far their log is, for marks.
    pub(super) probes: BTreeMap<NodeId, u64>,
    pub(super) last_probe: u64,
    /// Processes that got SIGTERM, and will get SIGKILL, each with the user as whose it is
    /// registered.
    pub(super) doomed: BTreeSet<(Process, u32)>,
}

impl Table {
    pub(in crate::registry) fn of(
        &self,
        name: &ProcessName,
    ) -> impl Iterator<Item = (&Handle, &Link)> {
        self.by_name.get(name).into_iter().flatten()
    }

    pub(in crate::registry) fn get(&self, name: &ProcessName, other: &Handle) -> Option<&Link> {
        self.by_name.get(name)?.get(other)
    }

    pub(in crate::registry) fn iter(&self) -> impl Iterator<Item = (&ProcessName, &Handle)> {
        self.by_name
            .iter()
            .flat_map(|(name, links)| links.keys().map(move |other| (name, other)))
    }

    pub(in crate::registry) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn insert(&mut self, name: ProcessName, other: Handle, link: Link) {
        self.remove(&name, &other);
        let owner = link.owner;
        self.by_other
            .entry(owner)
            .or_default()
            .entry(other.clone())
            .or_default()
            .insert(name.clone());
        self.unseen
            .entry(owner)
            .or_default()
            .insert((name.clone(), other.clone()));
        self.by_name.entry(name).or_default().insert(other, link);
        self.count += 1;
    }

    pub(super) fn remove(&mut self, name: &ProcessName, other: &Handle) -> Option<Link> {
        let links = self.by_name.get_mut(name)?;
        let link = links.remove(other)?;
        self.count -= 1;
        if links.is_empty() {
            self.by_name.remove(name);
        }
        self.note_seen(link.owner, name, other);
        self.disarm(link.owner, name, other);
        Some(link)
    }

    pub(super) fn note_seen(&mut self, owner: NodeId, name: &ProcessName, other: &Handle) {
        let Some(unseen) = self.unseen.get_mut(&owner) else {
            return;
        };
        unseen.remove(&(name.clone(), other.clone()));
        if unseen.is_empty() {
            self.unseen.remove(&owner);
            self.probes.remove(&owner);
        }
    }

    pub(super) fn disarm(&mut self, owner: NodeId, name: &ProcessName, other: &Handle) {
        let Some(others) = self.by_other.get_mut(&owner) else {
            return;
        };
        if let Some(names) = others.get_mut(other) {
            names.remove(name);
            if names.is_empty() {
                others.remove(other);
            }
        }
        if others.is_empty() {
            self.by_other.remove(&owner);
        }
    }

    pub(super) fn waiting_for(&self, owner: NodeId, other: &Handle) -> Vec<ProcessName> {
        self.by_other
            .get(&owner)
            .and_then(|others| others.get(other))
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    pub(super) fn unseen(&self, owner: NodeId) -> Vec<(ProcessName, Handle)> {
        self.unseen
            .get(&owner)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }
}
