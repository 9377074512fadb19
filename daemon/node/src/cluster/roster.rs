//! The roster: who belongs to the cluster, whether reachable or not. This node's replica of it.
//!
//! A line for each node that was ever a member: the run in which it was last seen to join, its
//! standing in that run, and its profile (name, address, version, tags).
//!
//! | standing | means | who writes it |
//! | --- | --- | --- |
//! | `Member` | it belongs to the cluster | the node itself, with each new run |
//! | `Left` | it has left, and counts no more | the node itself |
//! | `Forgotten` | it is gone for good, and is not shown any more | any other node, when a client asks |
//!
//! Lines merge alike in any order: the higher run wins, within a run the later standing. So the
//! roster is a CRDT, a map of registers that only grow ([`crdt::roster`]). A node that reads of its
//! own line that it left, or was forgotten, takes a higher run, and thereby is a member again.
//!
//! # Messages
//!
//! On channel 0, between nodes that have accepted each other's hello:
//!
//! ```text
//! a → b   Roster { lines }           on each new connection, and when a client has changed a line
//! a → b   RosterHash(h)              each second to one peer, chosen at random
//! b → a   Roster { lines, answer }   b's hash differs: its lines, and
//! a → b   Roster { lines }           a's lines in return
//! a → b   Goodbye { restart }        a goes: for good, or to be back within 60 s, and not down till then
//! ```
//!
//! A change that a client asked for is on this node's disk before it is said to anybody and before
//! it is answered.
//!
//! # What may be lost
//!
//! A line that was lost with its connection comes with the next differing hash: with n nodes after
//! about log₂ n seconds. A `Goodbye` that was lost makes a node `down` instead of `restarting`, and
//! SWIM finds that out by itself; `Left` is in the roster and comes from anybody.
//!
//! # Bounds
//!
//! 10,000 lines; further nodes are not taken in. 200 lines a message. 64 clients that wait for a
//! change. A run is below 2³¹. How far others are believed on a node's run, and on its end, is decided
//! in [`belief`](crate::belief).

use super::message::is_sound;
use super::swim::MAX_MEMBERS;
use crate::belief::{Runs, run_beside_proof};
use crdt::roster::{Roster, RosterEntry, Standing};
use names::{NodeId, NodeName};

/// The roster with its hash at hand.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    roster: Roster,
    hash: u64,
    runs: Runs,
}

impl Replica {
    pub(super) fn new(roster: Roster) -> Self {
        let hash = roster.hash();
        let runs = Runs::kept(roster.iter().map(|(node, entry)| (node, entry.run)));
        Self { runs, roster, hash }
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

    /// The run that others have told of a node, as far as it can be believed of one that proves `run`.
    pub(super) fn run_beside(&self, node: NodeId, run: u64) -> u64 {
        run_beside_proof(self.run(node), run)
    }

    /// Takes a line that its node itself has said; true if that changed anything.
    pub(super) fn prove(&mut self, node: NodeId, entry: RosterEntry) -> bool {
        let told = self.run(node);
        if self.runs.prove(node, entry.run, told) {
            tracing::warn!(%node, run = entry.run, told,
                "others have told a run of a node that it never had");
            self.roster.replace(node, entry);
            self.hash = self.roster.hash();
            return true;
        }
        !self.merge(vec![(node, entry)]).is_empty()
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
            let has_room = !fresh || count < MAX_MEMBERS;
            if has_room && is_sound(&entry.profile) && self.runs.is_credible(node, entry.run) {
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
