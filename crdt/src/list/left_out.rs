//! Changes that a list is without: the way out of a fork.
//!
//! Of two changes of one actor with one number the one with the smaller hash stays. The other one is
//! left out, and with it all that depends on it. Which changes are left out is a set for each list that
//! only grows, and that replicas tell each other: so a replica's document follows from the changes and
//! the set that it has, in whatever order they came.
//!
//! A member of the set is a [record](crate::record) of version 1, handed on as it was first written:
//!
//! | field | is |
//! | --- | --- |
//! | 1 | the change that is left out (raw) |
//! | 2 | the change that stays in its place (raw) |
//!
//! Both are the evidence, which everybody checks for himself. Fields above are kept and passed on: a
//! proof of which of the two its actor's node has made is to be one. Without it the two show only that
//! there are two, and any member can make a second one.

use super::document::RawChange;
use super::judge::judge;
use crate::record::{Record, RecordError, Writer};
use bytes::Bytes;

/// The most changes of one list that are left out, beside those that depend on them.
pub const MAX_LEFT_OUT: usize = 1_024;

const VERSION: u8 = 1;

/// A change that a list is without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    goes: RawChange,
    stays: RawChange,
    bytes: Bytes,
}

impl LeftOut {
    /// Of two changes with one number, the one that is left out; `None` if they are one, or their
    /// numbers are two.
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
        Some(Self {
            goes: goes.clone(),
            stays: stays.clone(),
            bytes: writer.finish().ok()?.into(),
        })
    }

    /// Reads one that was written or told, and checks its evidence.
    ///
    /// # Errors
    /// It is damaged, or its evidence shows nothing.
    pub fn read(bytes: Bytes) -> Result<Self, RecordError> {
        let record = Record::read(VERSION, &bytes)?;
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
        Ok(Self { goes, stays, bytes })
    }

    /// The change that the list is without.
    pub fn goes(&self) -> &RawChange {
        &self.goes
    }

    /// The change that stays in its place.
    pub fn stays(&self) -> &RawChange {
        &self.stays
    }

    /// As it was first written.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Author, Edit, NewEntry};
    use crate::list::{Document, Fault};
    use names::{Actor, ChangeHash, ListName};
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

    fn judged(change: &RawChange) -> crate::list::CheckedChange {
        judge(change.bytes.clone()).unwrap()
    }

    #[test]
    fn the_smaller_hash_stays_whoever_asks() {
        let (one, other) = (branch(&[], 1, 1).remove(0), branch(&[], 9, 1).remove(0));
        let left = LeftOut::of_two(&one, &other).unwrap();
        assert_eq!(LeftOut::of_two(&other, &one).as_ref(), Some(&left));
        assert!(left.stays().hash < left.goes().hash);
        assert_eq!(LeftOut::read(left.bytes().clone()).as_ref(), Ok(&left));
        assert_eq!(LeftOut::of_two(&one, &one), None);
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
        let (goes, stays) = (&left.goes().bytes, &left.stays().bytes);
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
        document.leave_out([long[0].hash]);
        let applied = document.apply(long.iter().map(judged).collect()).unwrap();
        let faults = applied.refused.iter().map(|(_, fault)| fault);
        assert!(faults.clone().all(|fault| *fault == Fault::LeftOut));
        assert_eq!((faults.count(), applied.orphans.len()), (3, 0));
        let applied = document.apply(short.iter().map(judged).collect()).unwrap();
        assert_eq!(applied.changes.len(), 1);
    }

    proptest! {
        #[test]
        fn what_is_left_out_counts_in_the_sum(hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..5), last: prop::sample::Index) {
            let mut one = Document::new(name(), Actor([1; 16]));
            let mut other = Document::new(name(), Actor([1; 16]));
            one.leave_out(hashes.iter().map(|hash| ChangeHash(*hash)));
            other.leave_out(hashes.iter().rev().chain(&hashes).map(|hash| ChangeHash(*hash)));
            prop_assert_eq!(one.sums(), other.sums());
            if !hashes.is_empty() {
                let mut less = Document::new(name(), Actor([1; 16]));
                let skipped = last.index(hashes.len());
                let rest = hashes.iter().filter(|hash| **hash != hashes[skipped]);
                less.leave_out(rest.map(|hash| ChangeHash(*hash)));
                prop_assert_ne!(one.sums(), less.sums());
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
                prop_assert!(read.stays().hash < read.goes().hash);
            }
        }
    }
}
