//! Who holds which name, as one node knows it: what lookups read.

use super::Change;
use crdt::registry::{Entry, Process};
use names::{Handle, NodeId, NodeName, ProcessName};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// How a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProcessState {
    /// One reachable process has it.
    Up,
    /// All that have it are out of sight.
    Unreachable,
    /// Several reachable processes claim it; all nodes that see the same pick the same one.
    Contested,
}

/// One registration under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The node that it is on.
    pub owner: NodeId,
    /// That node's name.
    pub node: NodeName,
    /// Its process.
    pub process: Process,
    /// What it says of itself.
    pub entry: Arc<Entry>,
    /// Whether its node can be reached.
    pub reachable: bool,
}

impl Holder {
    /// Its handle under the name that it holds.
    pub fn handle(&self, name: &ProcessName) -> Handle {
        Handle {
            name: name.clone(),
            node: self.node.clone(),
            pid: self.process.pid,
            start: self.process.start,
        }
    }
}

/// What a lookup found: the one that has the name, then the others that claim it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How the name stands.
    pub state: ProcessState,
    /// Who has it: the reachable one with the earliest claim, or, with none reachable, the earliest
    /// of all.
    pub holder: Holder,
    /// All others, by claim.
    pub others: Vec<Holder>,
}

/// A replica of the directory. Equal changes in equal order give equal replicas; reading costs a
/// few map lookups.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    names: BTreeMap<ProcessName, BTreeMap<(NodeId, Process), Arc<Entry>>>,
    /// With how many of a name's registrations say to be in the group.
    groups: BTreeMap<ProcessName, BTreeMap<ProcessName, u32>>,
    nodes: BTreeMap<NodeId, (NodeName, bool)>,
}

impl Directory {
    /// Takes a change over.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Node {
                owner,
                name,
                reachable,
            } => drop(self.nodes.insert(*owner, (name.clone(), *reachable))),
            Change::Holder {
                name,
                owner,
                process,
                entry,
            } => {
                let holders = self.names.entry(name.clone()).or_default();
                let before = match entry {
                    Some(entry) => holders.insert((*owner, *process), Arc::clone(entry)),
                    None => holders.remove(&(*owner, *process)),
                };
                if holders.is_empty() {
                    self.names.remove(name);
                }
                self.regroup(name, before.as_deref(), entry.as_deref());
            }
        }
    }

    fn regroup(&mut self, name: &ProcessName, before: Option<&Entry>, after: Option<&Entry>) {
        for group in after.iter().flat_map(|entry| &entry.groups) {
            *self
                .groups
                .entry(group.clone())
                .or_default()
                .entry(name.clone())
                .or_default() += 1;
        }
        for group in before.iter().flat_map(|entry| &entry.groups) {
            let Some(names) = self.groups.get_mut(group) else {
                continue;
            };
            if let Some(count) = names.get_mut(name) {
                *count -= 1;
            }
            names.retain(|_, count| *count > 0);
            if names.is_empty() {
                self.groups.remove(group);
            }
        }
    }

    /// How many names are known.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Who has a name.
    pub fn whereis(&self, name: &ProcessName) -> Option<Found> {
        let holders = self
            .names
            .get(name)?
            .iter()
            .filter_map(|((owner, process), entry)| {
                let (node, reachable) = self.nodes.get(owner)?;
                Some(Holder {
                    owner: *owner,
                    node: node.clone(),
                    process: *process,
                    entry: Arc::clone(entry),
                    reachable: *reachable,
                })
            });
        let mut holders: Vec<Holder> = holders.collect();
        holders.sort_by_key(|holder| {
            (
                !holder.reachable,
                holder.entry.claim,
                holder.owner,
                holder.process,
            )
        });
        let reachable = holders.iter().filter(|holder| holder.reachable).count();
        let state = match reachable {
            0 => ProcessState::Unreachable,
            1 => ProcessState::Up,
            _ => ProcessState::Contested,
        };
        let mut holders = holders.into_iter();
        Some(Found {
            state,
            holder: holders.next()?,
            others: holders.collect(),
        })
    }

    /// All registrations under a name: node, process, what it says of itself, whether the node can
    /// be reached.
    pub(super) fn holders<'a>(
        &'a self,
        name: &ProcessName,
    ) -> impl Iterator<Item = (NodeId, Process, &'a Arc<Entry>, bool)> + use<'a> {
        let holders = self.names.get(name).into_iter().flatten();
        holders.filter_map(|((owner, process), entry)| {
            Some((*owner, *process, entry, self.node(*owner)?.1))
        })
    }

    /// A node's name, and whether it can be reached.
    pub(super) fn node(&self, owner: NodeId) -> Option<(&NodeName, bool)> {
        self.nodes
            .get(&owner)
            .map(|(name, reachable)| (name, *reachable))
    }

    /// The names after `after`, or all, in order.
    pub fn names(&self, after: Option<&ProcessName>) -> impl Iterator<Item = &ProcessName> {
        self.names
            .range((
                after.map_or(Bound::Unbounded, Bound::Excluded),
                Bound::Unbounded,
            ))
            .map(|(name, _)| name)
    }

    /// The groups after `after`, or all, in order.
    pub fn groups(&self, after: Option<&ProcessName>) -> impl Iterator<Item = &ProcessName> {
        self.groups
            .range((
                after.map_or(Bound::Unbounded, Bound::Excluded),
                Bound::Unbounded,
            ))
            .map(|(group, _)| group)
    }

    /// The names in a group after `after`, or all, in order; none if nobody is in it.
    pub fn group(
        &self,
        group: &ProcessName,
        after: Option<&ProcessName>,
    ) -> impl Iterator<Item = &ProcessName> {
        let bounds = (
            after.map_or(Bound::Unbounded, Bound::Excluded),
            Bound::Unbounded,
        );
        self.groups
            .get(group)
            .into_iter()
            .flat_map(move |names| names.range::<ProcessName, _>(bounds))
            .map(|(name, _)| name)
    }
}
