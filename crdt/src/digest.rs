//! Digests of all lists of a replica: 256 shards of 256 buckets, each the sum of its lists' hashes.
//!
//! Two replicas find the lists in which they differ by comparing the sum over their shards, then
//! the shards, then the buckets of those that differ, then these buckets' lists. Sums take a list
//! in or out without looking at the others.

use names::{ListId, Shard};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// What a replica has, in numbers that are equal for equal lists with equal version vectors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    lists: BTreeMap<ListId, u64>,
    shards: BTreeMap<Shard, Table>,
}

/// The buckets of a shard that has lists.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Table {
    buckets: Box<[u64; 256]>,
    sum: u64,
    lists: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            buckets: Box::new([0; 256]),
            sum: 0,
            lists: 0,
        }
    }
}

impl Table {
    fn add(&mut self, bucket: u8, leaf: u64) {
        self.sum = self.sum.wrapping_add(leaf);
        if let Some(sum) = self.buckets.get_mut(usize::from(bucket)) {
            *sum = sum.wrapping_add(leaf);
        }
    }
}

impl Digest {
    /// Notes the sum of a list's version vector, instead of the one before.
    pub fn set(&mut self, list: ListId, sum: u64) {
        let before = self.lists.insert(list, sum);
        let table = self.shards.entry(list.shard()).or_default();
        table.lists += usize::from(before.is_none());
        let before = before.map_or(0, |before| leaf(list, before));
        table.add(list.bucket(), leaf(list, sum).wrapping_sub(before));
    }

    /// Takes a list out; nothing happens if it is not there.
    pub fn remove(&mut self, list: ListId) {
        let Some(before) = self.lists.remove(&list) else {
            return;
        };
        let Some(table) = self.shards.get_mut(&list.shard()) else {
            return;
        };
        table.add(list.bucket(), leaf(list, before).wrapping_neg());
        table.lists -= 1;
        if table.lists == 0 {
            self.shards.remove(&list.shard());
        }
    }

    /// The sum that was noted for a list.
    pub fn get(&self, list: ListId) -> Option<u64> {
        self.lists.get(&list).copied()
    }

    /// The sum over some shards, both ends included.
    pub fn root(&self, first: Shard, last: Shard) -> u64 {
        if first > last {
            return 0;
        }
        self.shards
            .range(first..=last)
            .fold(0, |sum, (_, table)| sum.wrapping_add(table.sum))
    }

    /// The sum of each shard from `first` to `last`, both included; 0 for those without lists.
    pub fn shards(&self, first: Shard, last: Shard) -> Vec<u64> {
        (first.0..=last.0)
            .map(|shard| self.shards.get(&Shard(shard)).map_or(0, |table| table.sum))
            .collect()
    }

    /// The sums of a shard's 256 buckets.
    pub fn buckets(&self, shard: Shard) -> Vec<u64> {
        self.shards
            .get(&shard)
            .map_or_else(|| vec![0; 256], |table| table.buckets.to_vec())
    }

    /// The lists of a bucket and their sums, in the order of ids.
    pub fn leaves(&self, shard: Shard, bucket: u8) -> Vec<(ListId, u64)> {
        let end = |rest: u8| {
            let mut id = [rest; 16];
            id.iter_mut()
                .zip([shard.0, bucket])
                .for_each(|(to, from)| *to = from);
            ListId(id)
        };
        self.lists
            .range(end(0)..=end(0xff))
            .map(|(list, sum)| (*list, *sum))
            .collect()
    }

    /// All lists and their sums, in the order of ids.
    pub fn iter(&self) -> impl Iterator<Item = (ListId, u64)> + '_ {
        self.lists.iter().map(|(list, sum)| (*list, *sum))
    }

    /// How many lists it knows.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }
}

/// What a list contributes to the sums.
fn leaf(list: ListId, sum: u64) -> u64 {
    let hash = Sha256::new()
        .chain_update(list.0)
        .chain_update(sum.to_be_bytes())
        .finalize();
    hash.iter()
        .take(8)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(shard: u8, bucket: u8, rest: u8) -> ListId {
        let mut id = [rest; 16];
        (id[0], id[1]) = (shard, bucket);
        ListId(id)
    }

    fn operations() -> impl Strategy<Value = Vec<(ListId, Option<u64>)>> {
        let id = (0u8..3, 0u8..3, 0u8..3)
            .prop_map(|(shard, bucket, rest)| list(shard * 127, bucket * 127, rest * 127));
        proptest::collection::vec((id, proptest::option::weighted(0.7, 0u64..4)), 0..60)
    }

    proptest! {
        #[test]
        fn a_digest_depends_on_its_lists_alone(operations in operations()) {
            let mut kept = Digest::default();
            for (list, sum) in operations {
                match sum {
                    Some(sum) => kept.set(list, sum),
                    None => kept.remove(list),
                }
            }
            let mut anew = Digest::default();
            kept.iter().for_each(|(list, sum)| anew.set(list, sum));
            prop_assert_eq!(&kept, &anew);
        }

        #[test]
        fn each_level_sums_up_the_next(operations in operations()) {
            let mut digest = Digest::default();
            operations.into_iter().for_each(|(list, sum)| digest.set(list, sum.unwrap_or(9)));
            let sum = |sums: Vec<u64>| sums.into_iter().fold(0u64, u64::wrapping_add);
            prop_assert_eq!(digest.root(Shard(0), Shard(255)), sum(digest.shards(Shard(0), Shard(255))));
            for shard in 0..=255 {
                prop_assert_eq!(digest.root(Shard(shard), Shard(shard)), sum(digest.buckets(Shard(shard))));
            }
            let leaves: usize = [0, 127, 254].iter().flat_map(|shard| [0, 127, 254].map(|bucket| digest.leaves(Shard(*shard), bucket).len())).sum();
            prop_assert_eq!(leaves, digest.len());
        }
    }

    #[test]
    fn another_sum_of_one_list_shows_at_every_level() {
        let (mut a, id) = (Digest::default(), list(7, 9, 1));
        a.set(id, 1);
        let mut b = a.clone();
        b.set(id, 2);
        assert_ne!(a.root(Shard(0), Shard(255)), b.root(Shard(0), Shard(255)));
        assert_ne!(a.shards(Shard(7), Shard(7)), b.shards(Shard(7), Shard(7)));
        assert_ne!(a.buckets(Shard(7))[9], b.buckets(Shard(7))[9]);
        assert_eq!((a.leaves(Shard(7), 9), b.get(id)), (vec![(id, 1)], Some(2)));
    }
}
