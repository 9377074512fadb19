//! Changes that are well formed, and would spoil the document.

use super::exchange::{altered, checked};
use super::*;
use automerge::ExpandedChange;
use automerge::legacy::{Op, OpId};
use bytes::Bytes;

/// A change that says to overwrite an operation that never was.
fn spoiler(change: &RawChange) -> CheckedChange {
    altered(change, |change| {
        let actor = change.actor_id.clone();
        change.operations[0].pred = vec![OpId::new(1000, &actor)].into();
    })
}

/// A change as that one, with its first value written so many times.
fn repeated(change: &RawChange, times: usize, alter: impl Fn(usize, &mut Op)) -> Bytes {
    let mut expanded: ExpandedChange = checked(change).decoded().unwrap().decode();
    let op = expanded.operations[0].clone();
    let copies = (0..times).map(|number| {
        let mut copy = op.clone();
        copy.pred = vec![].into();
        alter(number, &mut copy);
        copy
    });
    expanded.operations = copies.collect();
    Bytes::copy_from_slice(automerge::Change::from(expanded).raw_bytes())
}

#[test]
fn a_key_is_written_once_and_not_inserted() {
    let (mut a, _, id) = two_with("milk");
    a.patch(id, title("oat milk"));
    let refusal = |times, insert_at| {
        let insert = |number, op: &mut Op| op.insert = number == insert_at;
        judge(repeated(&a.changes[1], times, insert)).unwrap_err()
    };
    assert_eq!(refusal(24, 0), Fault::Shape("inserts where it has to put"));
    assert_eq!(refusal(1, 0), Fault::Shape("inserts where it has to put"));
    assert_eq!(refusal(2, 9), Fault::Shape("writes a key twice"));
}

#[test]
fn an_entry_is_not_inserted() {
    let mut a = Replica::new(1);
    a.add("milk");
    let inserted = repeated(&a.changes[0], 1, |_, op| op.insert = true);
    assert_eq!(
        judge(inserted).unwrap_err(),
        Fault::Shape("inserts where it has to put")
    );
}

#[test]
fn a_change_that_spoils_is_refused_and_the_document_stays_as_it_was() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(id, title("oat milk"));
    let before = b.document.save();
    let spoiler = spoiler(&a.changes[1]);
    let applied = b.document.apply(vec![spoiler.clone()]).unwrap();
    assert!(
        matches!(applied.refused.as_slice(), [(change, Fault::Spoils(_))] if change.hash() == spoiler.hash()),
        "{applied:?}"
    );
    assert_eq!(b.document.save(), before);
    b.sync(&mut a);
    assert_eq!(b.titles(), ["oat milk"]);
}

#[test]
fn a_spoiler_does_not_keep_the_rest_of_its_batch_out() {
    let (mut a, mut b, id) = two_with("milk");
    let mut c = Replica::new(3);
    c.pull(&a);
    for number in 0..20 {
        a.patch(id, title(&format!("milk {number}")));
    }
    c.patch(id, title("spoilt"));
    let mut batch: Vec<CheckedChange> = a.changes.iter().map(checked).collect();
    batch.insert(9, spoiler(&c.changes[0]));
    let applied = b.document.apply(batch).unwrap();
    assert_eq!(
        (
            applied.changes.len(),
            applied.duplicates,
            applied.refused.len(),
            applied.orphans.len()
        ),
        (20, 1, 1, 0)
    );
    assert_eq!(applied.touched.len(), 1);
    assert_same(&a.document, &b.document);
}

#[test]
fn after_some_spoilers_the_rest_is_handed_back() {
    let (a, mut b, id) = two_with("milk");
    let spoilers = (10..60).map(|number| {
        let mut replica = Replica::new(number);
        replica.pull(&a);
        replica.patch(id, title("spoilt"));
        spoiler(&replica.changes[0])
    });
    let applied = b.document.apply(spoilers.collect()).unwrap();
    assert!(applied.changes.is_empty());
    assert_eq!((applied.refused.len(), applied.orphans.len()), (4, 46));
    assert_same(&a.document, &b.document);
}

#[test]
fn a_change_that_overwrites_what_its_writer_did_not_see_is_refused_wherever_that_is() {
    let (mut a, b, id) = two_with("milk");
    let mut c = Replica::new(3);
    c.pull(&a);
    c.patch(id, title("oat milk"));
    a.patch(id, title("rye milk"));
    // It builds on the same as a's change, and names what that has written.
    let seen = checked(&a.changes[1]);
    let forged = altered(&c.changes[0], |change| {
        let actor = seen.decoded().unwrap().actor_id().clone();
        let title = change.operations.iter_mut().find(|op| !op.pred.is_empty());
        title.unwrap().pred = vec![OpId::new(seen.start_op(), &actor)].into();
    });
    for (mut replica, changes) in [
        (b, vec![]),
        (Replica::new(4), vec![1]),
        (Replica::new(5), vec![]),
    ] {
        replica
            .document
            .apply(vec![checked(&a.changes[0])])
            .unwrap();
        for number in changes {
            replica
                .document
                .apply(vec![checked(&a.changes[number])])
                .unwrap();
        }
        let applied = replica.document.apply(vec![forged.clone()]).unwrap();
        assert!(
            matches!(applied.refused.as_slice(), [(_, Fault::Spoils(_))]),
            "{applied:?}"
        );
    }
}

#[test]
fn a_change_that_does_not_depend_on_its_actors_last_one_is_refused() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(id, title("oat milk"));
    let first = checked(&a.changes[0]);
    a.add("bread");
    // Of an edit, and of an addition, which refers to nothing.
    for number in [1, 2] {
        let forged = altered(&a.changes[number], |change| {
            change.seq = 2;
            change.deps = vec![automerge::ChangeHash(genesis::HASH.0)];
        });
        for together in [false, true] {
            let mut batch = vec![forged.clone()];
            if together {
                b = Replica::new(2);
                batch.push(first.clone());
            }
            let applied = b.document.apply(batch).unwrap();
            assert!(
                matches!(applied.refused.as_slice(), [(change, Fault::Spoils(_) | Fault::Shape(_))]
                    if change.hash() == forged.hash()),
                "{applied:?}"
            );
        }
    }
}
