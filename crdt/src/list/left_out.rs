//! Changes that a list is without: the way out of a fork.
//!
//! Of several changes of one actor with one number one stays: the one that the actor's owner has said to
//! be its own ([`Word`]), and without that word the one with the smallest hash. The others are left out,
//! and with them all that depends on them. What is known of that is a set for each list that replicas
//! tell each other, of which all follows ([`Settled`]). For each number it has at most one member that
//! shows two changes, and one that is the owner's word; of several the smallest one, by the change that
//! stays and then by the other one. So two replicas that have heard the same, in whatever order and
//! however often, have the same set; and a change that was left out for its hash comes back when its
//! owner's word comes.
//!
//! A member of the set is a [record](crate::record) of version 1, handed on as it was first written:
//!
//! | field | is |
//! | --- | --- |
//! | 1 | a change that is left out (raw), without field 3 |
//! | 2 | the change that stays in its place (raw), without field 3 |
//! | 3 | the [word](Word) of the actor's owner |
//!
//! It is its own evidence, which everybody checks for himself: two changes that show that there are two,
//! or the owner's signature. Any member can make a second change, but only the owner can say which is
//! its own.

use super::document::RawChange;
use super::judge::{hash_of, head_of, judge};
use super::word::Word;
use crate::record::{Record, RecordError, Writer};
use bytes::Bytes;
use names::{ChangeHash, ChangeId, NodeId};
use std::collections::BTreeMap;

/// The most numbers of one list that are settled by hashes; and as many by the words of each owner.
/// Those of the smallest actors and numbers stay, so that the set does not depend on what came first.
pub const MAX_LEFT_OUT: usize = 1_024;

const VERSION: u8 = 1;

/// What stays of the changes of one actor with one number. The derived order is that of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ruling {
    /// Of which actor and number.
    pub id: ChangeId,
    /// Why.
    pub basis: Basis,
    /// The change that stays.
    pub stays: ChangeHash,
    /// A change that is left out, where hashes show that there are two.
    pub goes: Option<ChangeHash>,
}

/// By what it is settled which change stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// This node has said so, whose actor it is.
    Owner(NodeId),
    /// It has the smaller hash.
    Hashes,
}

impl Ruling {
    /// That of a record that was checked before.
    pub fn of_checked(bytes: &[u8]) -> Option<Self> {
        let record = Record::read(VERSION, bytes).ok()?;
        if let Some(word) = record.fields().bytes(3) {
            let word = Word::read(Bytes::copy_from_slice(word)).ok()?;
            return Some(Self::of_word(&word));
        }
        let (goes, stays) = (record.fields().bytes(1)?, record.fields().bytes(2)?);
        Some(Self {
            id: head_of(stays)?.id,
            basis: Basis::Hashes,
            stays: hash_of(stays),
            goes: Some(hash_of(goes)),
        })
    }

    fn of_word(word: &Word) -> Self {
        Self {
            id: word.id(),
            basis: Basis::Owner(word.owner()),
            stays: word.hash(),
            goes: None,
        }
    }

    /// Before all about a number.
    pub(super) fn first(id: ChangeId) -> Self {
        Self {
            id,
            basis: Basis::Owner(NodeId([0; 16])),
            stays: ChangeHash([0; 32]),
            goes: None,
        }
    }

    /// Whether that change is left out.
    pub fn is_against(&self, id: ChangeId, hash: ChangeHash) -> bool {
        self.id == id && self.stays != hash
    }
}

/// What a list is without at one number of an actor, with the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    ruling: Ruling,
    /// The change that stays, if that is part of the evidence.
    stays: Option<RawChange>,
    word: Option<Word>,
    bytes: Bytes,
}

impl LeftOut {
    /// Of two changes with one number, the one that is left out as long as their actor's owner has not
    /// spoken; `None` if they are one, or their numbers are two.
    pub fn of_two(one: &RawChange, other: &RawChange) -> Option<Self> {
        if one.id != other.id || one.hash == other.hash {
            return None;
        }
        let (stays, goes) = if one.hash < other.hash {
            (one, other)
        } else {
            (other, one)
        };
        let mut writer = Writer::new(VERSION);
        writer.put_bytes(1, &goes.bytes).put_bytes(2, &stays.bytes);
        let ruling = Ruling {
            id: stays.id,
            basis: Basis::Hashes,
            stays: stays.hash,
            goes: Some(goes.hash),
        };
        Some(Self {
            ruling,
            stays: Some(stays.clone()),
            word: None,
            bytes: writer.finish().ok()?.into(),
        })
    }

    /// What follows from the word of an actor's owner.
    ///
    /// # Errors
    /// It is too large.
    pub fn of_word(word: Word) -> Result<Self, RecordError> {
        let mut writer = Writer::new(VERSION);
        writer.put_bytes(3, word.relayed().bytes());
        Ok(Self {
            ruling: Ruling::of_word(&word),
            stays: None,
            word: Some(word),
            bytes: writer.finish()?.into(),
        })
    }

    /// Reads one that was written or told, and checks its evidence. The signature of a word is left
    /// to the caller.
    ///
    /// # Errors
    /// It is damaged, or its evidence shows nothing.
    pub fn read(bytes: Bytes) -> Result<Self, RecordError> {
        let record = Record::read(VERSION, &bytes)?;
        if let Some(word) = record.fields().bytes(3) {
            let word = Word::read(bytes.slice_ref(word))?;
            return Ok(Self {
                bytes,
                ..Self::of_word(word)?
            });
        }
        let raw = |number| {
            let raw = record.fields().bytes(number);
            let raw = bytes.slice_ref(raw.ok_or(RecordError::Missing(number))?);
            let change = judge(raw).map_err(|_| RecordError::Damaged("its evidence is none"))?;
            Ok(RawChange {
                id: change.id(),
                hash: change.hash(),
                bytes: change.bytes().clone(),
            })
        };
        let (goes, stays) = (raw(1)?, raw(2)?);
        if goes.id != stays.id || goes.hash <= stays.hash {
            return Err(RecordError::Damaged("its evidence shows nothing"));
        }
        let ruling = Ruling {
            id: stays.id,
            basis: Basis::Hashes,
            stays: stays.hash,
            goes: Some(goes.hash),
        };
        Ok(Self {
            ruling,
            stays: Some(stays),
            word: None,
            bytes,
        })
    }

    /// What it says.
    pub fn ruling(&self) -> Ruling {
        self.ruling
    }

    /// The change that stays, if that is part of the evidence.
    pub fn stays(&self) -> Option<&RawChange> {
        self.stays.as_ref()
    }

    /// The change that is left out, if that is part of the evidence.
    pub fn goes(&self) -> Option<RawChange> {
        let record = Record::read(VERSION, &self.bytes).ok()?;
        let bytes = self.bytes.slice_ref(record.fields().bytes(1)?);
        let (id, hash) = (self.ruling.id, self.ruling.goes?);
        Some(RawChange { id, hash, bytes })
    }

    /// The word of the actor's owner, if it has spoken.
    pub fn word(&self) -> Option<&Word> {
        self.word.as_ref()
    }

    /// As it was first written.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Names it among those of its list: the hash of a change, and one byte more if it is its owner's
    /// word.
    pub fn key(&self) -> Vec<u8> {
        match self.ruling.goes {
            Some(goes) => goes.0.to_vec(),
            None => [self.ruling.stays.0.as_slice(), b"w"].concat(),
        }
    }
}

/// What came of joining a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It was there, or something that goes before it.
    Known,
    /// The set is another one now.
    New,
    /// This node has said of two changes that they are its own, which no honest one does.
    Contradicts(NodeId),
}

/// All that was told of a list, of which what it is without is a function: the order in which that came
/// does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    by_owners: BTreeMap<ChangeId, LeftOut>,
    by_hashes: BTreeMap<ChangeId, LeftOut>,
}

impl Settled {
    /// Takes in what was told or found.
    pub fn join(&mut self, one: LeftOut) -> Joined {
        let ruling = one.ruling;
        let all = match ruling.basis {
            Basis::Owner(_) => &mut self.by_owners,
            Basis::Hashes => &mut self.by_hashes,
        };
        let before = all.get(&ruling.id).map(LeftOut::ruling);
        let mut joined = Joined::Known;
        if before.is_none_or(|before| ruling < before) {
            all.insert(ruling.id, one);
            joined = Joined::New;
        }
        match (before, ruling.basis) {
            (Some(before), Basis::Owner(owner)) if before.stays != ruling.stays => {
                Joined::Contradicts(owner)
            }
            (None, _) if is_overfull(all, ruling.basis) => drop_last(all, ruling),
            (Some(_) | None, Basis::Owner(_) | Basis::Hashes) => joined,
        }
    }

    /// What is settled of a number, if it is.
    pub fn get(&self, id: ChangeId) -> Option<Ruling> {
        let settled = self.by_owners.get(&id).or_else(|| self.by_hashes.get(&id));
        settled.map(LeftOut::ruling)
    }

    /// Whether that change is left out.
    pub fn is_against(&self, id: ChangeId, hash: ChangeHash) -> bool {
        let ruling = self.get(id);
        ruling.is_some_and(|ruling| ruling.is_against(id, hash))
    }

    /// All of it.
    pub fn iter(&self) -> impl Iterator<Item = &LeftOut> {
        self.by_owners.values().chain(self.by_hashes.values())
    }
}

impl FromIterator<LeftOut> for Settled {
    fn from_iter<I: IntoIterator<Item = LeftOut>>(all: I) -> Self {
        let mut settled = Self::default();
        for one in all {
            settled.join(one);
        }
        settled
    }
}

/// Whether there are more on that basis than there may be.
fn is_overfull(all: &BTreeMap<ChangeId, LeftOut>, basis: Basis) -> bool {
    let of_basis = all.values().filter(|one| one.ruling.basis == basis);
    all.len() > MAX_LEFT_OUT && of_basis.count() > MAX_LEFT_OUT
}

/// Drops the last one on the same basis.
fn drop_last(all: &mut BTreeMap<ChangeId, LeftOut>, added: Ruling) -> Joined {
    let mut rulings = all.values().rev().map(LeftOut::ruling);
    let last = rulings.find(|ruling| ruling.basis == added.basis);
    last.inspect(|last| drop(all.remove(&last.id)));
    if last.is_some_and(|last| last.id == added.id) {
        Joined::Known
    } else {
        Joined::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Author, Edit, NewEntry};
    use crate::list::{Document, Fault};
    use names::{Actor, ListId, ListName};
    use proptest::prelude::*;

    fn name() -> ListName {
        ListName::new("groceries").unwrap()
    }

    /// Changes of one actor, each after the one before it.
    fn branch(above: &[Bytes], drawn: u128, count: usize) -> Vec<RawChange> {
        let mut document = Document::load(name(), Actor([1; 16]), None, above).unwrap();
        let mut drawn = drawn;
        let mut draw = || {
            drawn += 1;
            drawn
        };
        let entry = NewEntry {
            title: "milk".to_owned(),
            ..NewEntry::default()
        };
        let by = Author("ann".to_owned());
        let next = |_| {
            let edited = document.edit(&Edit::Add(vec![entry.clone()]), &by, 0, &mut draw);
            edited.unwrap().change.unwrap()
        };
        (0..count).map(next).collect()
    }

    const OWNER: NodeId = NodeId([7; 16]);

    /// What a node says of a change of its actor.
    fn word(list: ListId, nth: u8, seq: u64, hash: ChangeHash) -> LeftOut {
        let actor = Actor::derive(list, OWNER, [9; 16], nth);
        let about = (list, ChangeId { actor, seq }, hash);
        let word = Word::write((OWNER, b"chain"), [9; 16], about, |_| Bytes::new());
        LeftOut::of_word(word.unwrap()).unwrap()
    }

    fn judged(change: &RawChange) -> crate::list::CheckedChange {
        judge(change.bytes.clone()).unwrap()
    }

    #[test]
    fn the_smaller_hash_stays_whoever_asks() {
        let (one, other) = (branch(&[], 1, 1).remove(0), branch(&[], 9, 1).remove(0));
        let left = LeftOut::of_two(&one, &other).unwrap();
        assert_eq!(LeftOut::of_two(&other, &one).as_ref(), Some(&left));
        assert!(Some(left.ruling().stays) < left.ruling().goes);
        assert_eq!(Ruling::of_checked(left.bytes()), Some(left.ruling()));
        assert_eq!(LeftOut::read(left.bytes().clone()).as_ref(), Ok(&left));
        assert_eq!(LeftOut::of_two(&one, &one), None);
        let larger = [&one, &other].into_iter().max_by_key(|one| one.hash);
        assert_eq!(left.goes().as_ref(), larger);
    }

    #[test]
    fn what_shows_nothing_is_refused() {
        let all = branch(&[], 1, 2);
        assert_eq!(LeftOut::of_two(&all[0], &all[1]), None);
        let (one, other) = (branch(&[], 1, 1).remove(0), branch(&[], 9, 1).remove(0));
        let left = LeftOut::of_two(&one, &other).unwrap();
        let written = |goes: &Bytes, stays: &Bytes| {
            let mut writer = Writer::new(VERSION);
            writer.put_bytes(1, goes).put_bytes(2, stays);
            LeftOut::read(writer.finish().unwrap().into())
        };
        let goes = [&one, &other]
            .into_iter()
            .max_by_key(|one| one.hash)
            .unwrap();
        let (goes, stays) = (&goes.bytes, &left.stays().unwrap().bytes);
        assert!(written(goes, stays).is_ok());
        assert!(written(stays, goes).is_err(), "the larger one goes");
        assert!(written(goes, goes).is_err());
        assert!(
            written(&all[1].bytes, stays).is_err(),
            "its number is another"
        );
        assert!(written(&Bytes::from_static(b"x"), stays).is_err());
    }

    #[test]
    fn what_is_left_out_and_what_depends_on_it_is_not_taken() {
        let (short, long) = (branch(&[], 1, 1), branch(&[], 9, 3));
        let mut document = Document::new(name(), Actor([2; 16]));
        let left = LeftOut::of_two(&short[0], &long[0]).unwrap();
        let (short, long) = if left.ruling().goes == Some(long[0].hash) {
            (short, long)
        } else {
            (branch(&[], 9, 1), branch(&[], 1, 3))
        };
        document.leave_out([left.ruling()]);
        let applied = document.apply(long.iter().map(judged).collect()).unwrap();
        let faults = applied.refused.iter().map(|(_, fault)| fault);
        assert!(faults.clone().all(|fault| *fault == Fault::LeftOut));
        assert_eq!((faults.count(), applied.orphans.len()), (3, 0));
        let applied = document.apply(short.iter().map(judged).collect()).unwrap();
        assert_eq!(applied.changes.len(), 1);
    }

    #[test]
    fn an_owners_word_goes_before_hashes_and_is_its_own_evidence() {
        let list = ListId::of(&name());
        let own = word(list, 0, 4, ChangeHash([9; 32]));
        assert_eq!(LeftOut::read(own.bytes().clone()).as_ref(), Ok(&own));
        assert_eq!(Ruling::of_checked(own.bytes()), Some(own.ruling()));
        assert!(
            own.ruling()
                .is_against(own.ruling().id, ChangeHash([1; 32]))
        );
        assert!(
            !own.ruling()
                .is_against(own.ruling().id, ChangeHash([9; 32]))
        );
        let (one, other) = (branch(&[], 1, 1).remove(0), branch(&[], 9, 1).remove(0));
        assert_ne!(own.key(), LeftOut::of_two(&one, &other).unwrap().key());
    }

    #[test]
    fn two_unlike_words_show_a_liar() {
        let list = ListId::of(&name());
        let mut settled = Settled::default();
        let said = |hash| word(list, 0, 4, ChangeHash([hash; 32]));
        assert_eq!(settled.join(said(5)), Joined::New);
        assert_eq!(settled.join(said(5)), Joined::Known);
        assert_eq!(settled.join(said(6)), Joined::Contradicts(OWNER));
        assert_eq!(settled.get(said(5).ruling().id), Some(said(5).ruling()));
        assert_eq!(settled.join(said(4)), Joined::Contradicts(OWNER));
        assert_eq!(settled.get(said(5).ruling().id), Some(said(4).ruling()));
    }

    /// Two changes of each of some numbers, and their owner's words, some of them unlike.
    fn told() -> impl Strategy<Value = Vec<LeftOut>> {
        let one = (0..3_u8, 1..3_u64, 0..4_u8, any::<bool>());
        proptest::collection::vec(one, 0..12).prop_map(|all| {
            let list = ListId::of(&name());
            let told = |(nth, seq, hash, by_owner)| {
                let own = word(list, nth, seq, ChangeHash([hash; 32]));
                let (ruling, hash) = (own.ruling, |hash: u8| ChangeHash([hash; 32]));
                if by_owner {
                    return own;
                }
                LeftOut {
                    ruling: Ruling {
                        basis: Basis::Hashes,
                        stays: hash(ruling.stays.0[0]),
                        goes: Some(hash(ruling.stays.0[0] + 1 + nth)),
                        ..ruling
                    },
                    stays: None,
                    word: None,
                    bytes: Bytes::new(),
                }
            };
            all.into_iter().map(told).collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_settled_follows_from_what_was_told_in_any_order(told in told(), rotated: usize) {
            let settled: Settled = told.iter().cloned().collect();
            let mut other = told.clone();
            other.rotate_left(rotated % told.len().max(1));
            let again: Settled = other.iter().rev().chain(&told).cloned().collect();
            prop_assert_eq!(&settled, &again);
            for one in &told {
                let ruling = settled.get(one.ruling.id).unwrap();
                let words = told.iter().filter(|word| word.ruling.id == ruling.id && word.ruling.goes.is_none());
                let smallest = words.map(|word| word.ruling.stays).min();
                prop_assert!(smallest.is_none_or(|smallest| ruling.stays == smallest));
                prop_assert!(smallest.is_some() || ruling.stays <= one.ruling.stays);
            }
        }

        #[test]
        fn what_is_left_out_counts_in_the_sum(told in told(), last: prop::sample::Index) {
            let list = |all: &Settled| {
                let mut document = Document::new(name(), Actor([1; 16]));
                document.leave_out(all.iter().map(LeftOut::ruling));
                document.leave_out(all.iter().map(LeftOut::ruling));
                document.sums()
            };
            let settled: Settled = told.iter().cloned().collect();
            let mut all: Vec<LeftOut> = settled.iter().cloned().collect();
            all.reverse();
            prop_assert_eq!(list(&settled), list(&all.iter().cloned().collect()));
            if !all.is_empty() {
                all.remove(last.index(all.len()));
                prop_assert_ne!(list(&settled), list(&all.into_iter().collect()));
            }
        }

        #[test]
        fn damaged_records_are_refused_without_a_panic(at: prop::sample::Index, to: u8) {
            let (one, other) = (branch(&[], 1, 1).remove(0), branch(&[], 9, 1).remove(0));
            let left = LeftOut::of_two(&one, &other).unwrap();
            let mut bytes = left.bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(read) = LeftOut::read(bytes.into()) {
                prop_assert!(Some(read.ruling().stays) < read.ruling().goes);
            }
        }
    }

    #[test]
    fn a_liar_leaves_room_for_the_words_of_others() {
        let list = ListId::of(&name());
        let mut settled = Settled::default();
        let number = |seq: u64| word(list, 0, seq, ChangeHash([1; 32]));
        for seq in 2..=u64::try_from(MAX_LEFT_OUT).unwrap() + 1 {
            assert_eq!(settled.join(number(seq)), Joined::New);
        }
        let last = u64::try_from(MAX_LEFT_OUT).unwrap() + 2;
        assert_eq!(settled.join(number(last)), Joined::Known, "it is full");
        assert_eq!(
            settled.join(number(1)),
            Joined::New,
            "the smaller ones stay"
        );
        assert_eq!(settled.iter().count(), MAX_LEFT_OUT);
        let other = NodeId([8; 16]);
        let actor = Actor::derive(list, other, [9; 16], 0);
        let about = (list, ChangeId { actor, seq: last }, ChangeHash([1; 32]));
        let word = Word::write((other, b"chain"), [9; 16], about, |_| Bytes::new());
        let other = LeftOut::of_word(word.unwrap()).unwrap();
        assert_eq!(settled.join(other), Joined::New);
    }
}
