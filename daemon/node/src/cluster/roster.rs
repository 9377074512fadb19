//! This node's replica of the roster.

use super::message::{MAX_RUN, is_sound};
use super::swim::MAX_MEMBERS;
use crdt::roster::{Roster, RosterEntry, Standing};
use names::{NodeId, NodeName};

/// The roster with its hash at hand.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    roster: Roster,
    hash: u64,
}

impl Replica {
    pub(super) fn new(roster: Roster) -> Self {
        let hash = roster.hash();
        Self { roster, hash }
    }

    pub(super) fn roster(&self) -> &Roster {
        &self.roster
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn lines(&self) -> Vec<(NodeId, RosterEntry)> {
        self.roster
            .iter()
            .map(|(id, entry)| (id, entry.clone()))
            .collect()
    }

    pub(super) fn run(&self, node: NodeId) -> u64 {
        self.roster.get(node).map_or(0, |entry| entry.run)
    }

    pub(super) fn is_member(&self, node: NodeId) -> bool {
        self.roster
            .get(node)
            .is_some_and(|entry| entry.standing == Standing::Member)
    }

    /// Takes lines of another replica; gives the nodes whose line changed. Lines beyond the bounds
    /// are passed over.
    pub(super) fn merge(&mut self, lines: Vec<(NodeId, RosterEntry)>) -> Vec<NodeId> {
        let mut count = self.roster.iter().count();
        let mut changed = Vec::new();
        for (node, entry) in lines {
            let fresh = self.roster.get(node).is_none();
            if entry.run < MAX_RUN && is_sound(&entry.profile) && (!fresh || count < MAX_MEMBERS) {
                count += usize::from(fresh);
                changed.extend(self.roster.merge_entry(node, entry).then_some(node));
            }
        }
        if !changed.is_empty() {
            self.hash = self.roster.hash();
        }
        changed
    }

    /// Moves a line to a later standing of the same run.
    pub(super) fn set_standing(&mut self, node: NodeId, standing: Standing) -> bool {
        let changed = self.roster.set_standing(node, standing);
        self.hash = self.roster.hash();
        changed
    }

    /// The members of that name: more than one only if a machine was replaced and the old one not
    /// forgotten.
    pub(super) fn bearers<'a>(&'a self, name: &'a NodeName) -> impl Iterator<Item = NodeId> + 'a {
        self.roster
            .members()
            .filter(move |(_, entry)| entry.profile.name == *name)
            .map(|(node, _)| node)
    }
}
