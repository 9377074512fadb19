//! Version vectors: what a replica of a list has, exactly.
//!
//! A number alone names a change only as long as nobody writes two changes with one number of one
//! actor. A member that lies can: so a vector says for each actor also which change its last one
//! is, by the first bytes of that change's hash. Changes name those that they depend on by their
//! hashes, the change of their actor before them among these: so equal last changes have equal
//! changes before them.

mod part;

pub use part::{PART_ROWS, Part, Span, Walk};

use crate::list::Ruling;
use names::{Actor, ChangeHash, ChangeId, ListId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The first bytes of a change's hash: enough that nobody finds two changes with equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark(pub [u8; 16]);

impl From<ChangeHash> for Mark {
    fn from(ChangeHash(hash): ChangeHash) -> Self {
        let mut mark = [0; 16];
        mark.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(mark)
    }
}

/// The last change of an actor that a replica has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its actor and number.
    pub id: ChangeId,
    /// Which change it is; `None` if that is told by a program that knows numbers only.
    pub mark: Option<Mark>,
}

impl Tip {
    /// The tip that a change is.
    pub fn of(id: ChangeId, hash: ChangeHash) -> Self {
        Self {
            id,
            mark: Some(hash.into()),
        }
    }

    /// Whether both have one number, and are known to be two changes.
    pub fn is_unlike(&self, other: &Self) -> bool {
        self.id == other.id
            && matches!((self.mark, other.mark), (Some(ours), Some(theirs)) if ours != theirs)
    }
}

/// For each actor its last change that a replica has; it then has all earlier ones, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionVector(BTreeMap<Actor, Last>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    seq: u64,
    mark: Option<Mark>,
}

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

/// Sums over a list's vector, equal for equal vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Of all that it says.
    pub content: u64,
    /// Of its numbers only, as protocol 1 compares lists.
    pub numbers: u64,
}

impl Sums {
    /// Takes into account what stays of several changes with one number.
    pub fn leave_out(&mut self, list: ListId, ruling: Ruling) {
        let (domain, ChangeHash(hash)) = match ruling.goes {
            Some(goes) => (&b"left out"[..], goes),
            None => (&b"own word"[..], ruling.stays),
        };
        let digest = Sha256::new()
            .chain_update(domain)
            .chain_update(list.0)
            .chain_update(hash)
            .finalize();
        self.content = self.content.wrapping_add(first_number(&digest));
    }

    /// What an actor's last change contributes to the sums of a list's vector.
    pub fn of(list: ListId, tip: Tip) -> Self {
        Self {
            content: VersionVector::term(list, tip),
            numbers: VersionVector::term(list, Tip { mark: None, ..tip }),
        }
    }

    /// Takes the next change of an actor into account, instead of its last one; of a new actor the
    /// latter is zero.
    pub fn advance(&mut self, last: Self, next: Self) {
        let replaced = |sum: u64, last: u64, next| sum.wrapping_sub(last).wrapping_add(next);
        self.content = replaced(self.content, last.content, next.content);
        self.numbers = replaced(self.numbers, last.numbers, next.numbers);
    }
}

impl VersionVector {
    /// The number of that actor's last change here; 0 for none.
    pub fn seq(&self, actor: Actor) -> u64 {
        self.0.get(&actor).map_or(0, |last| last.seq)
    }

    /// That actor's last change here.
    pub fn tip(&self, actor: Actor) -> Option<Tip> {
        self.0.get(&actor).map(|last| last.tip(actor))
    }

    /// Takes a change into account. Changes arrive in an actor's order; older ones change nothing.
    pub fn insert(&mut self, tip: Tip) {
        let Tip {
            id: ChangeId { actor, seq },
            mark,
        } = tip;
        if seq > self.seq(actor) {
            self.0.insert(actor, Last { seq, mark });
        }
    }

    /// Whether every change of `other` is covered, as far as the two vectors tell: where `self` is
    /// ahead, it may have come there on another branch.
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|theirs| {
            self.tip(theirs.id.actor)
                .is_some_and(|ours| ours.id.seq >= theirs.id.seq && !ours.is_unlike(&theirs))
        })
    }

    /// The changes of `other` at whose numbers `self` is ahead: whether they are here, only the
    /// changes tell.
    pub fn behind<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Tip> + 'a {
        let is_behind = |theirs: &Tip| self.seq(theirs.id.actor) > theirs.id.seq;
        other.iter().filter(is_behind)
    }

    /// The changes of `self` in whose places `other` has others.
    pub fn unlike<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Tip> + 'a {
        let is_unlike = |ours: &Tip| {
            let theirs = other.tip(ours.id.actor);
            theirs.is_some_and(|theirs| ours.is_unlike(&theirs))
        };
        self.iter().filter(is_unlike)
    }

    /// Exactly the changes that `self` has and `other` lacks, by their numbers.
    pub fn missing_in(&self, other: &Self) -> Vec<Range> {
        let lacking = self.0.iter().map(|(&actor, last)| Range {
            actor,
            from: other.seq(actor).saturating_add(1),
            to: last.seq,
        });
        lacking.filter(|range| range.from <= range.to).collect()
    }

    /// The actors' last changes, in the order of actors.
    pub fn iter(&self) -> impl Iterator<Item = Tip> + '_ {
        self.0.iter().map(|(&actor, last)| last.tip(actor))
    }

    /// The same without some actors.
    pub fn without(&self, actors: impl IntoIterator<Item = Actor>) -> Self {
        let mut rest = self.clone();
        actors.into_iter().for_each(|actor| {
            rest.0.remove(&actor);
        });
        rest
    }

    /// How many actors it names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sums over all (list, last change), that can be kept up to date by [`Sums::advance`] alone
    /// when one actor advances.
    pub fn sums(&self, list: ListId) -> Sums {
        let mut sums = Sums::default();
        self.iter()
            .for_each(|tip| sums.advance(Sums::default(), Sums::of(list, tip)));
        sums
    }

    /// What one actor contributes to a sum.
    fn term(list: ListId, tip: Tip) -> u64 {
        let mark = tip.mark.as_ref().map_or(&[][..], |Mark(mark)| mark);
        let hash = Sha256::new()
            .chain_update(list.0)
            .chain_update(tip.id.actor.0)
            .chain_update(tip.id.seq.to_be_bytes())
            .chain_update(mark)
            .finalize();
        first_number(&hash)
    }
}

/// The first eight bytes of a hash.
fn first_number(hash: &[u8]) -> u64 {
    hash.iter()
        .take(8)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

impl Last {
    fn tip(self, actor: Actor) -> Tip {
        let Self { seq, mark } = self;
        Tip {
            id: ChangeId { actor, seq },
            mark,
        }
    }
}

impl FromIterator<Tip> for VersionVector {
    fn from_iter<I: IntoIterator<Item = Tip>>(tips: I) -> Self {
        let mut vector = Self::default();
        tips.into_iter().for_each(|tip| vector.insert(tip));
        vector
    }
}

/// A vector as programs wrote and spoke it that know numbers only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers(BTreeMap<Actor, u64>);

impl From<&VersionVector> for Numbers {
    fn from(vector: &VersionVector) -> Self {
        Self(
            vector
                .0
                .iter()
                .map(|(actor, last)| (*actor, last.seq))
                .collect(),
        )
    }
}

impl From<Numbers> for VersionVector {
    fn from(Numbers(numbers): Numbers) -> Self {
        let last = |seq| Last { seq, mark: None };
        Self(
            numbers
                .into_iter()
                .map(|(actor, seq)| (actor, last(seq)))
                .collect(),
        )
    }
}

/// A vector as it is spoken from protocol 2 on: nothing in it is without its mark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked(BTreeMap<Actor, (u64, Mark)>);

impl From<&VersionVector> for Marked {
    /// Leaves out what has no mark, which is nothing of this node's own.
    fn from(vector: &VersionVector) -> Self {
        Self(
            vector
                .0
                .iter()
                .filter_map(|(actor, last)| Some((*actor, (last.seq, last.mark?))))
                .collect(),
        )
    }
}

impl From<Marked> for VersionVector {
    fn from(Marked(marked): Marked) -> Self {
        let last = |(seq, mark)| Last {
            seq,
            mark: Some(mark),
        };
        Self(
            marked
                .into_iter()
                .map(|(actor, marked)| (actor, last(marked)))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const LIST: ListId = ListId([7; 16]);

    fn tip(actor: u8, seq: u64, branch: u8) -> Tip {
        Tip {
            id: ChangeId {
                actor: Actor([actor; 16]),
                seq,
            },
            mark: Some(Mark([branch; 16])),
        }
    }

    fn vector(tips: &[(u8, u64)]) -> VersionVector {
        tips.iter()
            .map(|&(actor, seq)| tip(actor, seq, actor))
            .collect()
    }

    /// Changes of a few actors, of which nobody writes two with one number.
    fn histories() -> impl Strategy<Value = Vec<Tip>> {
        vec((0u8..4, 1u64..6), 0..12).prop_map(|changes| {
            let mark = |seq: u64| u8::try_from(seq).unwrap();
            changes
                .into_iter()
                .map(|(actor, seq)| tip(actor, seq, mark(seq)))
                .collect()
        })
    }

    /// Changes of a few actors that may have written two with one number.
    fn forks() -> impl Strategy<Value = VersionVector> {
        vec((0u8..4, 1u64..4, 0u8..3), 0..6).prop_map(|changes| {
            changes
                .into_iter()
                .map(|(actor, seq, branch)| tip(actor, seq, branch))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn a_vector_is_the_same_in_whatever_order_its_changes_came(a in histories(), b in histories()) {
            let (ab, ba) = ([a.clone(), b.clone()].concat(), [b.clone(), a.clone()].concat());
            let (ab, ba): (VersionVector, VersionVector) = (ab.into_iter().collect(), ba.into_iter().collect());
            prop_assert_eq!(&ab, &ba);
            let a: VersionVector = a.into_iter().collect();
            prop_assert!(ab.covers(&a) && ab.sums(LIST) == ba.sums(LIST));
        }

        #[test]
        fn what_covers_another_lacks_nothing_of_it(a in forks(), b in forks()) {
            let lacks = !b.missing_in(&a).is_empty();
            prop_assert_eq!(a.covers(&b), !lacks && a.unlike(&b).next().is_none());
            prop_assert_eq!(a.unlike(&b).count(), b.unlike(&a).count());
        }

        #[test]
        fn vectors_are_equal_if_their_sums_are(a in forks(), b in forks()) {
            prop_assert_eq!(a == b, a.sums(LIST).content == b.sums(LIST).content);
            prop_assert_eq!(
                Numbers::from(&a) == Numbers::from(&b),
                a.sums(LIST).numbers == b.sums(LIST).numbers
            );
        }

        #[test]
        fn each_actor_is_ahead_behind_or_level(a in forks(), b in forks()) {
            for theirs in b.iter() {
                let ours = a.seq(theirs.id.actor);
                let is_behind = a.behind(&b).any(|tip| tip == theirs);
                prop_assert_eq!(is_behind, ours > theirs.id.seq);
            }
        }

        #[test]
        fn spoken_forms_keep_what_they_can_say(a in forks()) {
            prop_assert_eq!(&VersionVector::from(Marked::from(&a)), &a);
            let numbered = VersionVector::from(Numbers::from(&a));
            prop_assert!(a.covers(&numbered) && numbered.covers(&a));
            prop_assert_eq!(numbered.sums(LIST).numbers, a.sums(LIST).numbers);
            prop_assert_eq!(numbered.sums(LIST).content, a.sums(LIST).numbers);
        }
    }

    #[test]
    fn what_is_missing_is_the_difference() {
        let (ours, theirs) = (vector(&[(1, 5), (2, 3)]), vector(&[(1, 2), (3, 9)]));
        let missing = ours.missing_in(&theirs);
        let range = |actor: u8, from, to| Range {
            actor: Actor([actor; 16]),
            from,
            to,
        };
        assert_eq!(missing, [range(1, 3, 5), range(2, 1, 3)]);
        assert!(!ours.covers(&theirs) && ours.missing_in(&ours).is_empty());
    }

    #[test]
    fn another_branch_is_not_covered() {
        let ours: VersionVector = [tip(1, 5, 0), tip(2, 3, 0)].into_iter().collect();
        let theirs: VersionVector = [tip(1, 5, 1), tip(2, 3, 0)].into_iter().collect();
        assert!(!ours.covers(&theirs) && ours.missing_in(&theirs).is_empty());
        assert_eq!(ours.unlike(&theirs).collect::<Vec<_>>(), [tip(1, 5, 0)]);
        assert_ne!(ours.sums(LIST).content, theirs.sums(LIST).content);
        assert_eq!(ours.sums(LIST).numbers, theirs.sums(LIST).numbers);
    }

    #[test]
    fn sums_advance_with_their_vector() {
        let mut sums = vector(&[(1, 5), (2, 3)]).sums(LIST);
        let of = |actor, seq, mark| Sums::of(LIST, tip(actor, seq, mark));
        sums.advance(of(1, 5, 1), of(1, 6, 1));
        assert_eq!(sums, vector(&[(1, 6), (2, 3)]).sums(LIST));
        sums.advance(Sums::default(), of(3, 1, 3));
        assert_eq!(sums, vector(&[(1, 6), (2, 3), (3, 1)]).sums(LIST));
    }
}
