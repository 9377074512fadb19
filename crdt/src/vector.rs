//! Version vectors: what a replica of a list has, exactly.

use names::{Actor, ChangeId, ListId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// For each actor the number of its last change that a replica has; it then has all earlier ones
/// too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionVector(BTreeMap<Actor, u64>);

/// A run of one actor's changes, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Range {
    /// Whose changes.
    pub actor: Actor,
    /// The first sequence number.
    pub from: u64,
    /// The last sequence number, at least `from`.
    pub to: u64,
}

impl VersionVector {
    /// The number of that actor's last change here; 0 for none.
    pub fn seq(&self, actor: Actor) -> u64 {
        self.0.get(&actor).copied().unwrap_or(0)
    }

    /// Takes a change into account. Changes arrive in an actor's order; older ones change nothing.
    pub fn insert(&mut self, id: ChangeId) {
        let seq = self.0.entry(id.actor).or_default();
        *seq = (*seq).max(id.seq);
    }

    /// Whether that change is covered.
    pub fn contains(&self, id: ChangeId) -> bool {
        self.seq(id.actor) >= id.seq
    }

    /// Whether every change of `other` is covered.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(actor, seq)| self.seq(*actor) >= *seq)
    }

    /// Exactly the changes that `self` has and `other` lacks.
    pub fn missing_in(&self, other: &Self) -> Vec<Range> {
        let lacking = self.0.iter().map(|(&actor, &to)| Range {
            actor,
            from: other.seq(actor).saturating_add(1),
            to,
        });
        lacking.filter(|range| range.from <= range.to).collect()
    }

    /// The actors and their last numbers, in the order of actors.
    pub fn iter(&self) -> impl Iterator<Item = ChangeId> + '_ {
        self.0.iter().map(|(&actor, &seq)| ChangeId { actor, seq })
    }

    /// How many actors it names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A sum over all (list, actor, seq), equal for equal vectors, that can be kept up to date by
    /// [`VersionVector::term`] alone when one actor advances.
    pub fn sum(&self, list: ListId) -> u64 {
        self.iter()
            .fold(0, |sum, id| sum.wrapping_add(Self::term(list, id)))
    }

    /// What one actor contributes to [`VersionVector::sum`].
    pub fn term(list: ListId, id: ChangeId) -> u64 {
        let hash = Sha256::new()
            .chain_update(list.0)
            .chain_update(id.actor.0)
            .chain_update(id.seq.to_be_bytes())
            .finalize();
        hash.iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

impl FromIterator<ChangeId> for VersionVector {
    fn from_iter<I: IntoIterator<Item = ChangeId>>(ids: I) -> Self {
        let mut vector = Self::default();
        ids.into_iter().for_each(|id| vector.insert(id));
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(pairs: &[(u8, u64)]) -> VersionVector {
        pairs
            .iter()
            .map(|&(actor, seq)| ChangeId {
                actor: Actor([actor; 16]),
                seq,
            })
            .collect()
    }

    #[test]
    fn what_is_missing_is_the_difference() {
        let (ours, theirs) = (vector(&[(1, 5), (2, 3)]), vector(&[(1, 2), (3, 9)]));
        let missing = ours.missing_in(&theirs);
        assert_eq!(
            missing,
            [
                Range {
                    actor: Actor([1; 16]),
                    from: 3,
                    to: 5
                },
                Range {
                    actor: Actor([2; 16]),
                    from: 1,
                    to: 3
                }
            ]
        );
        assert!(!ours.covers(&theirs) && ours.missing_in(&ours).is_empty());
    }

    #[test]
    fn the_sum_advances_by_terms() {
        let list = ListId([7; 16]);
        let (before, after) = (vector(&[(1, 5), (2, 3)]), vector(&[(1, 6), (2, 3)]));
        let term = |seq| {
            VersionVector::term(
                list,
                ChangeId {
                    actor: Actor([1; 16]),
                    seq,
                },
            )
        };
        assert_eq!(
            before.sum(list).wrapping_sub(term(5)).wrapping_add(term(6)),
            after.sum(list)
        );
    }
}
