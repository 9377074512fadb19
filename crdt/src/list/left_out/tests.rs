//! What is settled of forks, and its evidence.

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
    assert_eq!(settled.join(said(5), None), Joined::New);
    assert_eq!(settled.join(said(5), None), Joined::Known);
    assert_eq!(settled.join(said(6), None), Joined::Contradicts(OWNER));
    assert_eq!(settled.get(said(5).ruling().id), Some(said(5).ruling()));
    assert_eq!(settled.join(said(4), None), Joined::Contradicts(OWNER));
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
        let settled = settled_of(told.iter().cloned());
        let mut other = told.clone();
        other.rotate_left(rotated % told.len().max(1));
        let again = settled_of(other.iter().rev().chain(&told).cloned());
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
        let settled = settled_of(told.iter().cloned());
        let mut all: Vec<LeftOut> = settled.iter().cloned().collect();
        all.reverse();
        prop_assert_eq!(list(&settled), list(&settled_of(all.iter().cloned())));
        if !all.is_empty() {
            all.remove(last.index(all.len()));
            prop_assert_ne!(list(&settled), list(&settled_of(all)));
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

/// All of that, of actors whose owners are not known.
fn settled_of(all: impl IntoIterator<Item = LeftOut>) -> Settled {
    Settled::of(all, |_| None)
}

/// Two changes of an actor with that number.
fn pair(actor: Actor, seq: u64) -> LeftOut {
    let change = |hash: u8| RawChange {
        id: ChangeId { actor, seq },
        hash: ChangeHash([hash; 32]),
        bytes: Bytes::from_static(b"change"),
    };
    LeftOut::of_two(&change(1), &change(2)).unwrap()
}

#[test]
fn who_makes_very_many_forks_leaves_room_for_those_of_others() {
    let full = u64::try_from(MAX_LEFT_OUT).unwrap() + 1;
    let (invented, of_liar, of_others) = (Actor([0; 16]), Actor([1; 16]), Actor([2; 16]));
    let owner = |actor: Actor| (actor != invented).then_some(NodeId([actor.0[0]; 16]));
    let mut settled = Settled::default();
    for actor in [invented, of_liar] {
        for seq in 1..full {
            assert_eq!(settled.join(pair(actor, seq), owner(actor)), Joined::New);
        }
        let last = pair(actor, full);
        assert_eq!(
            settled.join(last, owner(actor)),
            Joined::Known,
            "it is full"
        );
    }
    assert_eq!(
        settled.join(pair(of_others, 7), owner(of_others)),
        Joined::New
    );
    assert_eq!(settled.iter().count(), 2 * MAX_LEFT_OUT + 1);
    let all: Vec<LeftOut> = settled.iter().rev().cloned().collect();
    assert!(
        Settled::of(all, owner).iter().eq(settled.iter()),
        "in any order"
    );
}

#[test]
fn a_liar_leaves_room_for_the_words_of_others() {
    let list = ListId::of(&name());
    let mut settled = Settled::default();
    let number = |seq: u64| word(list, 0, seq, ChangeHash([1; 32]));
    for seq in 2..=u64::try_from(MAX_LEFT_OUT).unwrap() + 1 {
        assert_eq!(settled.join(number(seq), None), Joined::New);
    }
    let last = u64::try_from(MAX_LEFT_OUT).unwrap() + 2;
    assert_eq!(
        settled.join(number(last), None),
        Joined::Known,
        "it is full"
    );
    assert_eq!(
        settled.join(number(1), None),
        Joined::New,
        "the smaller ones stay"
    );
    assert_eq!(settled.iter().count(), MAX_LEFT_OUT);
    let other = NodeId([8; 16]);
    let actor = Actor::derive(list, other, [9; 16], 0);
    let about = (list, ChangeId { actor, seq: last }, ChangeHash([1; 32]));
    let word = Word::write((other, b"chain"), [9; 16], about, |_| Bytes::new());
    let other = LeftOut::of_word(word.unwrap()).unwrap();
    assert_eq!(settled.join(other, None), Joined::New);
}
