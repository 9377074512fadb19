//! The roster: who belongs to the cluster, whether reachable or not.
//!
//! SWIM knows only up and down; the roster says who is expected at all. It maps each node to a pair
//! (run, standing) and merges by taking the larger pair: replicas converge in any order, a new run
//! makes a node a member again, and anybody may forget one.

mod away;
mod line;
mod pace;
mod revocation;

pub use away::{Away, MAX_AWAY_MS, MAX_WHY_BYTES, Notice};
pub use line::{Author, Line};
pub use pace::Pace;
pub use revocation::{MAX_BYTES as MAX_REVOCATION_BYTES, Mark, Revocation, Told, mark};

use names::{NodeId, NodeName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How a node stands in the cluster; a later variant replaces an earlier one of the same run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Standing {
    /// It belongs, and is missed when it cannot be reached.
    Member,
    /// It left in order and is not missed.
    Left,
    /// Somebody declared it gone for good.
    Forgotten,
}

/// What a node says of itself, once a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Profile {
    /// Its name, as in its certificate.
    pub name: NodeName,
    /// Where its peers reach it (QUIC).
    pub address: SocketAddr,
    /// The version of its program.
    pub version: String,
    /// Its tags, sorted.
    pub tags: Vec<String>,
}

/// One node's line of the roster. The derived order is the order of merging.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RosterEntry {
    /// Which run of the node's daemon this is about: a counter that its disk keeps.
    pub run: u64,
    /// How it stands.
    pub standing: Standing,
    /// What it says of itself. Only the node itself writes it, so that it rarely decides a merge.
    pub profile: Profile,
}

/// All nodes that were ever heard of. `merge` commutes, associates and is idempotent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster(BTreeMap<NodeId, RosterEntry>);

impl Roster {
    /// Takes the larger of the known and the given line. True if that changed anything.
    pub fn merge_entry(&mut self, id: NodeId, entry: RosterEntry) -> bool {
        match self.0.get(&id) {
            Some(known) if *known >= entry => false,
            _ => {
                self.0.insert(id, entry);
                true
            }
        }
    }

    /// Puts a line in the place of another one, also of a higher one: for what a node itself has
    /// proved against what others said of it.
    pub fn replace(&mut self, id: NodeId, entry: RosterEntry) {
        self.0.insert(id, entry);
    }

    /// Takes a node off, as if it had never been heard of.
    pub fn remove(&mut self, id: NodeId) {
        self.0.remove(&id);
    }

    /// Merges all lines of another replica; gives the ids whose line changed.
    pub fn merge(&mut self, other: Self) -> Vec<NodeId> {
        other
            .0
            .into_iter()
            .filter_map(|(id, entry)| self.merge_entry(id, entry).then_some(id))
            .collect()
    }

    /// Moves a node's line to a later standing of the same run. False if it is unknown or already
    /// there.
    pub fn set_standing(&mut self, id: NodeId, standing: Standing) -> bool {
        let Some(entry) = self
            .0
            .get_mut(&id)
            .filter(|entry| entry.standing < standing)
        else {
            return false;
        };
        entry.standing = standing;
        true
    }

    /// The line of one node.
    pub fn get(&self, id: NodeId) -> Option<&RosterEntry> {
        self.0.get(&id)
    }

    /// All lines, in the order of ids.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &RosterEntry)> {
        self.0.iter().map(|(id, entry)| (*id, entry))
    }

    /// The nodes that belong to the cluster, in the order of ids.
    pub fn members(&self) -> impl Iterator<Item = (NodeId, &RosterEntry)> {
        self.iter()
            .filter(|(_, entry)| entry.standing == Standing::Member)
    }

    /// A hash that is equal for equal rosters.
    pub fn hash(&self) -> u64 {
        let mut hash = Sha256::new();
        for (id, entry) in &self.0 {
            hash.update(id.0);
            hash.update(entry.run.to_be_bytes());
            hash.update([entry.standing as u8]);
            hash.update(entry.profile.name.as_str());
            hash.update(entry.profile.address.to_string());
            hash.update(&entry.profile.version);
            entry.profile.tags.iter().for_each(|tag| hash.update(tag));
        }
        hash.finalize()
            .iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(run: u64, standing: Standing) -> RosterEntry {
        let name = NodeName::new("node1").expect("a valid name");
        let profile = Profile {
            name,
            address: ([127, 0, 0, 1], 6878).into(),
            version: "0.1.0".into(),
            tags: vec![],
        };
        RosterEntry {
            run,
            standing,
            profile,
        }
    }

    fn rosters() -> impl Strategy<Value = Roster> {
        let standing = prop_oneof![
            Just(Standing::Member),
            Just(Standing::Left),
            Just(Standing::Forgotten)
        ];
        proptest::collection::btree_map(0u8..4, (0u64..4, standing), 0..4).prop_map(|map| {
            Roster(
                map.into_iter()
                    .map(|(id, (run, s))| (NodeId([id; 16]), entry(run, s)))
                    .collect(),
            )
        })
    }

    proptest! {
        #[test]
        fn merging_commutes_associates_and_is_idempotent(a in rosters(), b in rosters(), c in rosters()) {
            let merge = |x: &Roster, y: &Roster| { let mut x = x.clone(); x.merge(y.clone()); x };
            prop_assert_eq!(merge(&a, &b), merge(&b, &a));
            prop_assert_eq!(merge(&merge(&a, &b), &c), merge(&a, &merge(&b, &c)));
            prop_assert_eq!(merge(&a, &a), a.clone());
            prop_assert_eq!(merge(&a, &b).hash(), merge(&b, &a).hash());
        }
    }

    #[test]
    fn a_new_run_makes_a_forgotten_node_a_member_again() {
        let id = NodeId([1; 16]);
        let mut roster = Roster::default();
        roster.merge_entry(id, entry(3, Standing::Member));
        assert!(roster.set_standing(id, Standing::Forgotten));
        assert!(!roster.merge_entry(id, entry(3, Standing::Member)));
        assert!(roster.merge_entry(id, entry(4, Standing::Member)));
        assert_eq!(roster.members().count(), 1);
    }
}
