//! Changes that come out of order, twice, or not at all.

use super::edit::Stamp;
use super::*;
use automerge::ExpandedChange;
use bytes::Bytes;

pub(super) fn checked(change: &RawChange) -> CheckedChange {
    judge(change.bytes.clone()).unwrap()
}

/// A change like that one, but different.
pub(super) fn altered(
    change: &RawChange,
    alter: impl FnOnce(&mut ExpandedChange),
) -> CheckedChange {
    let mut expanded = checked(change).decoded().unwrap().decode();
    alter(&mut expanded);
    judge(Bytes::copy_from_slice(
        automerge::Change::from(expanded).raw_bytes(),
    ))
    .unwrap()
}

#[test]
fn a_change_tells_what_its_writer_put_in() {
    let mut a = Replica::new(1);
    a.add("milk");
    a.add("bread");
    let (first, second) = (checked(&a.changes[0]), checked(&a.changes[1]));
    assert_eq!(
        (first.id(), first.hash(), first.deps()),
        (
            a.changes[0].id,
            a.changes[0].hash,
            [genesis::HASH].as_slice()
        )
    );
    assert_eq!(
        (second.author(), second.at_ms()),
        (a.author(), a.at_ms / 1000 * 1000)
    );
    assert_eq!(
        (second.deps(), start_op(second.bytes())),
        ([first.hash()].as_slice(), Some(second.start_op()))
    );
    assert_eq!((first.start_op(), start_op(b"rubbish")), (2, None));
}

#[test]
fn a_change_without_its_dependencies_is_handed_back_until_they_are_there() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    a.add("milk");
    a.add("bread");
    let applied = b.document.apply(vec![checked(&a.changes[1])]).unwrap();
    assert_eq!(
        (
            applied.orphans.len(),
            applied.changes.len(),
            b.document.total()
        ),
        (1, 0, 0)
    );
    let mut batch = applied.orphans;
    batch.push(checked(&a.changes[0]));
    let applied = b.document.apply(batch).unwrap();
    assert_eq!(applied.changes, a.changes);
    assert_same(&a.document, &b.document);
}

#[test]
fn what_is_there_already_is_counted_and_skipped() {
    let (mut a, _, _) = two_with("milk");
    let own = a.changes.clone();
    let applied = a
        .document
        .apply(vec![checked(&own[0]), checked(&own[0])])
        .unwrap();
    assert_eq!(
        (
            applied.duplicates,
            applied.changes.len(),
            applied.touched.len()
        ),
        (2, 0, 0)
    );
}

#[test]
fn a_change_is_had_once_it_is_applied() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    a.add("milk");
    assert!(a.document.has(&a.changes[0].hash) && a.document.has(&genesis::HASH));
    assert!(!b.document.has(&a.changes[0].hash));
    b.pull(&a);
    assert!(b.document.has(&a.changes[0].hash));
}

#[test]
fn a_change_that_skips_its_actors_numbers_is_refused() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    a.add("milk");
    let applied = b
        .document
        .apply(vec![altered(&a.changes[0], |change| change.seq = 3)])
        .unwrap();
    assert_eq!(applied.refused[0].1, Fault::Gap { seq: 3 });
}

#[test]
fn operations_that_are_not_numbered_above_what_they_depend_on_are_refused() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    a.add("milk");
    b.pull(&a);
    b.add("bread");
    let number = |start_op| altered(&b.changes[0], |change| renumber(change, start_op));
    let after = checked(&a.changes[0]).max_op();
    for start_op in [1, after, after + (1 << 16) + 1] {
        let applied = a.document.apply(vec![number(start_op)]).unwrap();
        assert_eq!(applied.refused[0].1, Fault::Numbering { start_op, after });
    }
    assert_eq!(
        a.document
            .apply(vec![number(after + (1 << 16))])
            .unwrap()
            .changes
            .len(),
        1
    );
}

/// Moves a change's operations to other numbers, with what they say of each other.
fn renumber(change: &mut ExpandedChange, start_op: u64) {
    use automerge::legacy::{ObjectId, OpId};
    let old = change.start_op.get();
    for op in &mut change.operations {
        if let ObjectId::Id(object) = &mut op.obj
            && *object.actor() == change.actor_id
            && object.counter() >= old
        {
            *object = OpId::new(object.counter() - old + start_op, &change.actor_id);
        }
    }
    change.start_op = start_op.try_into().unwrap();
}

#[test]
fn a_change_to_an_object_that_is_not_there_is_refused() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(id, title("oat milk"));
    let spoilt = altered(&a.changes[1], |change| {
        let actor = change.actor_id.clone();
        change.operations[0].obj =
            automerge::legacy::ObjectId::Id(automerge::legacy::OpId::new(1000, &actor));
    });
    let applied = b.document.apply(vec![spoilt]).unwrap();
    assert_eq!(
        applied.refused[0].1,
        Fault::Shape("writes to an object that is not there")
    );
}

#[test]
fn a_change_that_names_an_unknown_actor_is_refused() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(id, title("oat milk"));
    let spoilt = altered(&a.changes[1], |change| {
        change.operations[0].pred = vec![automerge::legacy::OpId::new(
            3,
            &automerge::ActorId::from([8; 16]),
        )]
        .into();
    });
    let applied = b.document.apply(vec![spoilt]).unwrap();
    assert_eq!(
        applied.refused[0].1,
        Fault::Shape("names an actor that is not there")
    );
}

/// Very many at once are put into a new document; a few into the one that is there.
#[test]
fn a_batch_of_many_new_actors_gives_the_same_document() {
    let from_actor = |number: u16| {
        let mut actor = [0; 16];
        // In another order than that in which they come.
        actor[..2].copy_from_slice(&number.wrapping_mul(0x9e37).to_be_bytes());
        let name = ListName::new("groceries").unwrap();
        let (mut document, mut drawn) = (Document::new(name, Actor(actor)), 1 << 40);
        let mut draw = || {
            drawn += u128::from(number) + 1;
            drawn
        };
        let entry = NewEntry {
            title: format!("by {number}"),
            ..NewEntry::default()
        };
        let by = Author("a".into());
        let edited = document.edit(&Edit::Add(vec![entry]), &by, 0, &mut draw);
        checked(&edited.unwrap().change.unwrap())
    };
    let changes: Vec<CheckedChange> = (1..=300).map(from_actor).collect();
    let (mut at_once, mut in_parts) = (Replica::new(1), Replica::new(2));
    at_once.add("milk");
    in_parts.pull(&at_once);
    let applied = at_once.document.apply(changes.clone()).unwrap();
    assert_eq!(applied.changes.len(), 300);
    for part in changes.chunks(50) {
        in_parts.document.apply(part.to_vec()).unwrap();
    }
    assert_same(&at_once.document, &in_parts.document);
    // Both go on, each as its own actor.
    in_parts.add("bread");
    at_once.pull(&in_parts);
    at_once.add("butter");
    in_parts.pull(&at_once);
    assert_same(&at_once.document, &in_parts.document);
    assert_eq!(at_once.document.total(), 303);
}

/// A replica whose actor is the `nth` of very many.
fn one_of_many(nth: u16) -> Replica {
    let mut actor = [9; 16];
    actor[..2].copy_from_slice(&nth.to_be_bytes());
    let name = ListName::new("groceries").unwrap();
    Replica {
        document: Document::new(name, Actor(actor)),
        drawn: u128::from(nth) << 64,
        ..Replica::new(1)
    }
}

#[test]
fn heads_of_any_number_are_taken_and_the_next_write_merges_them() {
    let mut all = Replica::new(2);
    let writers = 0..1_500;
    let changes = writers.clone().flat_map(|nth| {
        let mut writer = one_of_many(nth);
        writer.add("at the same time");
        writer.changes
    });
    let applied = all
        .document
        .apply(changes.map(|raw| checked(&raw)).collect());
    assert!(applied.unwrap().orphans.is_empty());
    assert_eq!(all.document.heads().len(), writers.len());
    let id = all.add("after all of them");
    assert_eq!(all.document.heads().len(), 1);
    let merged = checked(&all.changes[0]);
    assert_eq!(merged.deps().len(), writers.len(), "its peers take it");
    all.patch(id, done(true));
    assert_eq!(checked(&all.changes[1]).deps().len(), 1);
}

#[test]
fn changes_that_write_nothing_come_before_those_that_depend_on_them() {
    let (mut a, mut b, _) = two_with("milk");
    let by = Author("user".into());
    let stamp = Stamp {
        by: &by,
        at_ms: 1_790_000_000_000,
        act: Act::Edit,
    };
    for _ in 0..2 {
        let empty = a.document.commit_empty(stamp).unwrap();
        a.changes.push(empty);
        b.pull(&a);
        let empty = b.document.commit_empty(stamp).unwrap();
        b.changes.push(empty);
        a.pull(&b);
    }
    b.add("bread");
    let all: Vec<Bytes> = a
        .changes
        .iter()
        .chain(&b.changes)
        .map(|raw| raw.bytes.clone())
        .collect();
    let starts: std::collections::BTreeSet<_> = all.iter().map(|bytes| start_op(bytes)).collect();
    assert_eq!(
        (all.len(), starts.len()),
        (6, 2),
        "all but the first begin alike"
    );
    for rotated in 0..all.len() {
        for reversed in [false, true] {
            let mut shuffled = all.clone();
            shuffled.rotate_left(rotated);
            if reversed {
                shuffled.reverse();
            }
            let mut there = vec![genesis::HASH];
            for bytes in in_order(shuffled, |bytes| bytes) {
                let change = judge(bytes).unwrap();
                assert!(change.deps().iter().all(|dep| there.contains(dep)));
                there.push(change.hash());
            }
        }
    }
}
