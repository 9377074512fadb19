//! Additions that Automerge gets later: the list is the same meanwhile.

use super::exchange::altered;
use super::*;
use crate::list::deferred::Late;
use bytes::Bytes;
use names::{ChangeHash, NodeId};

/// The same list, in a document that lacks nothing.
fn prompt(replica: &Replica, all: &[&Replica]) -> Document {
    let name = replica.document.name().clone();
    let mut prompt = Document::new(name, Actor([99; 16]));
    let mut changes: Vec<&RawChange> = all.iter().flat_map(|one| &one.changes).collect();
    changes.sort_by_key(|change| start_op(&change.bytes));
    for change in changes {
        prompt
            .apply(vec![judge(change.bytes.clone()).unwrap()])
            .unwrap();
        prompt.catch_up().unwrap();
    }
    prompt
}

#[test]
fn what_is_added_is_seen_before_automerge_has_it() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    for title in ["milk", "bread", "eggs"] {
        a.add(title);
    }
    let applied = b.pull(&a);
    assert_eq!((a.document.behind(), b.document.behind()), (3, 3));
    assert_eq!((applied.changes.len(), applied.touched.len()), (3, 3));
    assert_same(&b.document, &prompt(&b, &[&a]));
    assert_same(&a.document, &b.document);
    assert_eq!(b.pull(&a).duplicates, 3);
    let saved = b.document.save();
    let name = b.document.name().clone();
    let again = Document::load(name, Actor([9; 16]), Some(&saved), &[]).unwrap();
    assert_same(&b.document, &again);
    assert_eq!(b.document.behind(), 3);
    let history = b.document.history(None, None, 9);
    assert_eq!(history, again.history(None, None, 9));
    let last = a.changes[1].hash;
    assert_eq!(b.document.entries_at(last), again.entries_at(last));
}

#[test]
fn nodes_that_write_by_turns_defer_all_of_it() {
    let (mut a, mut b, mut c) = (Replica::new(1), Replica::new(2), Replica::new(3));
    for _ in 0..4 {
        a.add("milk");
        b.pull(&a);
        b.add("bread");
        c.pull(&a);
        c.pull(&b);
        c.add("eggs");
        a.pull(&b);
        a.pull(&c);
        b.pull(&c);
    }
    let behind = [&a, &b, &c].map(|one| one.document.behind());
    assert_eq!(behind, [12; 3]);
    assert_same(&a.document, &c.document);
    assert_same(&b.document, &prompt(&b, &[&a, &b, &c]));
}

#[test]
fn nodes_that_write_at_once_defer_all_of_it() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    for _ in 0..5 {
        a.add("milk");
        b.add("bread");
        a.add("more milk");
        a.pull(&b);
        b.pull(&a);
    }
    assert_eq!((a.document.behind(), b.document.behind()), (15, 15));
    assert_same(&a.document, &b.document);
}

#[test]
fn an_edit_is_made_on_all_that_was_added() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let id = a.add("milk");
    b.pull(&a);
    b.patch(id, title("oat milk"));
    assert_eq!(
        (b.document.behind(), b.entry(id).title),
        (0, "oat milk".to_owned())
    );
    // What comes then is applied on top of what was added meanwhile.
    a.add("bread");
    assert_eq!(a.document.behind(), 2);
    a.pull(&b);
    assert_eq!(a.document.behind(), 0);
    b.pull(&a);
    assert_same(&a.document, &b.document);
    let undone = a.changes[1].hash;
    a.add("eggs");
    a.edit(&Edit::Undo(undone));
    assert_eq!(a.titles(), ["oat milk", "eggs"]);
    assert_same(&a.document, &prompt(&a, &[&a, &b]));
}

#[test]
fn an_id_that_was_used_before_is_not_deferred() {
    let id = EntryId(7);
    for is_dead in [false, true] {
        let (mut a, mut b) = (Replica::new(1), Replica::new(2));
        a.edit(&Edit::Add(vec![with_id(id, "milk")]));
        if is_dead {
            a.edit(&Edit::Delete(id));
        }
        b.edit(&Edit::Add(vec![with_id(id, "bread")]));
        let other = b.add("eggs");
        a.add("tea");
        let applied = a.pull(&b);
        assert_eq!((a.document.behind(), applied.refused.len()), (0, 0));
        assert!(applied.touched.iter().any(|touched| touched.id == other));
        assert_same(&a.document, &prompt(&a, &[&a, &b]));
        b.pull(&a);
        assert_same(&a.document, &b.document);
    }
}

#[test]
fn two_additions_of_one_id_in_a_batch_are_not_deferred() {
    let (mut a, mut b, mut c) = (Replica::new(1), Replica::new(2), Replica::new(3));
    a.edit(&Edit::Add(vec![with_id(EntryId(7), "milk")]));
    b.edit(&Edit::Add(vec![with_id(EntryId(7), "bread")]));
    let both = a.changes.iter().chain(&b.changes);
    let both = both.map(|change| judge(change.bytes.clone()).unwrap());
    c.document.apply(both.collect()).unwrap();
    assert_eq!(c.document.behind(), 0);
    assert_same(&c.document, &prompt(&c, &[&a, &b]));
}

#[test]
fn what_lacks_others_waits_for_them_beside_what_is_deferred() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    for title in ["milk", "bread", "eggs"] {
        a.add(title);
    }
    let judged = |at: usize| judge(a.changes[at].bytes.clone()).unwrap();
    let applied = b.document.apply(vec![judged(0), judged(2)]).unwrap();
    assert_eq!((applied.changes.len(), applied.orphans.len()), (1, 1));
    assert_eq!(b.document.behind(), 1);
    let rest = applied.orphans.into_iter().chain([judged(1)]);
    b.document.apply(rest.collect()).unwrap();
    assert_eq!(b.document.behind(), 3);
    assert_same(&a.document, &b.document);
}

#[test]
fn additions_wait_within_bounds() {
    let mut a = Replica::new(1);
    let before = a.document.bytes();
    let mut most = 0;
    for _ in 0..2_100 {
        a.add("milk");
        most = most.max(a.document.behind());
    }
    assert_eq!(most, 1_000);
    assert!(a.document.bytes() > before);
    let new = |bytes: usize| NewEntry {
        title: "milk".into(),
        notes: "x".repeat(bytes),
        ..NewEntry::default()
    };
    let mut largest = 0;
    for _ in 0..140 {
        a.edit(&Edit::Add(vec![new(15_000)]));
        largest = largest.max(a.document.behind());
    }
    // A megabyte of them, and what was there before.
    assert!((60..=170).contains(&largest), "{largest}");
    // What has many entries, or a large one, is not left for later.
    a.edit(&Edit::Add(vec![new(0); 1_000]));
    assert_eq!(a.document.behind(), 0);
    a.add("milk");
    a.edit(&Edit::Add(vec![new(60_000)]));
    assert_eq!(a.document.behind(), 0);
    assert_same(&a.document, &prompt(&a, &[&a]));
}

#[test]
fn a_list_that_leaves_something_out_defers_nothing() {
    let (mut a, mut other) = (Replica::new(1), Replica::new(1));
    a.add("milk");
    other.at_ms += 60_000;
    other.add("bread");
    let fork = LeftOut::of_two(&a.changes[0], &other.changes[0]).unwrap();
    let stays = fork.stays().unwrap();
    let word = Ruling {
        id: stays.id,
        basis: Basis::Owner(NodeId([1; 16])),
        stays: stays.hash,
        goes: None,
    };
    let check = |leaves: &dyn Fn(&mut Document)| {
        let mut b = Replica::new(2);
        leaves(&mut b.document);
        let stays = judge(stays.bytes.clone()).unwrap();
        assert!(!b.document.defers(std::slice::from_ref(&stays)));
        b.document.apply(vec![stays]).unwrap();
        b.add("eggs");
        assert_eq!((b.document.behind(), b.document.total()), (0, 2));
    };
    check(&|document| document.leave_out([fork.ruling()]));
    check(&|document| document.leave_out([word]));
    check(&|document| document.leave_aside([ChangeHash([9; 32])]));
}

/// A change that does not depend on its actor's change before it applies, and never loads again.
#[test]
fn an_addition_that_does_not_build_on_its_actors_last_change_is_refused() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    a.add("milk");
    a.add("bread");
    b.pull(&a);
    b.add("eggs");
    let before = b.document.heads();
    a.add("tea");
    let forged = altered(&a.changes[2], |change| {
        change.deps = vec![automerge::ChangeHash(genesis::HASH.0)];
    });
    let applied = b.document.apply(vec![forged]).unwrap();
    assert!(
        matches!(applied.refused.as_slice(), [(_, Fault::Spoils(_))]),
        "{applied:?}"
    );
    assert_eq!(b.titles(), ["milk", "bread", "eggs"]);
    assert_eq!(b.document.heads(), before);
}

#[test]
fn a_change_that_automerge_fails_on_is_named() {
    let mut a = Replica::new(1);
    a.add("milk");
    a.document.catch_up().unwrap();
    a.add("bread");
    let bad = Late {
        hash: ChangeHash([5; 32]),
        deps: a.document.heads(),
        start_op: 99,
        max_op: 99,
        bytes: Bytes::from_static(b"no change"),
    };
    a.document.defer(bad, []);
    let name = a.document.name().clone();
    assert_eq!(
        a.document.catch_up(),
        Err(ApplyError::Late(ChangeHash([5; 32])))
    );
    // What is on the disk is whole.
    let raw: Vec<Bytes> = a
        .changes
        .iter()
        .map(|change| change.bytes.clone())
        .collect();
    assert_eq!(
        Document::load(name, Actor([9; 16]), None, &raw)
            .unwrap()
            .total(),
        2
    );
}
