//! Several entries changed at once.

use super::*;
use crate::entry::Bulk;

fn four() -> (Replica, Vec<EntryId>) {
    let mut a = Replica::new(1);
    let ids = ["a", "b", "c", "d"].map(|title| a.add(title));
    (a, ids.to_vec())
}

fn bulk(patch: EntryPatch, tag: &[&str], untag: &[&str]) -> Bulk {
    let all = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
    Bulk::Patch {
        patch: Box::new(patch),
        tag: all(tag),
        untag: all(untag),
    }
}

#[test]
fn several_are_changed_by_one_change() {
    let (mut a, ids) = four();
    a.patch(ids[0], tags(&["old", "mine"]));
    let before = a.changes.len();
    let some = vec![ids[0], ids[2]];
    let edited = a.edit(&Edit::Several(
        some.clone(),
        bulk(done(true), &["new"], &["old"]),
    ));
    assert_eq!(
        (a.changes.len(), edited.results),
        (before + 1, some.clone())
    );
    assert_eq!(a.entry(ids[0]).tags, ["mine", "new"]);
    assert_eq!(a.entry(ids[2]).tags, ["new"]);
    assert!(!a.entry(ids[2]).is_open() && a.entry(ids[1]).is_open());
    let edited = a.edit(&Edit::Several(some, Bulk::Delete));
    assert_eq!(
        (a.titles().concat(), edited.touched.len()),
        ("bd".to_owned(), 2)
    );
}

#[test]
fn they_are_moved_in_their_order() {
    let (mut a, ids) = four();
    let place = |place| EntryPatch {
        place: Some(place),
        ..EntryPatch::default()
    };
    let moved = vec![ids[3], ids[1]];
    a.edit(&Edit::Several(
        moved.clone(),
        bulk(place(Place::Before(ids[0])), &[], &[]),
    ));
    assert_eq!(a.titles().concat(), "dbac");
    a.edit(&Edit::Several(
        moved.clone(),
        bulk(place(Place::After(ids[0])), &[], &[]),
    ));
    assert_eq!(a.titles().concat(), "adbc");
    let refused = a.try_edit(&Edit::Several(
        moved,
        bulk(place(Place::After(ids[1])), &[], &[]),
    ));
    assert_eq!(refused, Err(EditRefusal::NoPlace(ids[1])));
}

#[test]
fn nothing_is_changed_if_one_is_not_there() {
    let (mut a, ids) = four();
    let heads = a.document.heads();
    for what in [Bulk::Delete, bulk(done(true), &[], &[])] {
        let refused = a.try_edit(&Edit::Several(vec![ids[0], EntryId(1)], what));
        assert_eq!(refused, Err(EditRefusal::NoEntry(EntryId(1))));
    }
    assert_eq!(a.document.heads(), heads);
}

#[test]
fn what_recurs_is_written_once_by_a_change() {
    let mut a = Replica::new(1);
    let new = NewEntry {
        every: Some("FREQ=WEEKLY".into()),
        ..with_id(EntryId(7), "bins")
    };
    a.edit(&Edit::Add(vec![new]));
    a.patch(EntryId(7), done(true));
    let ids: Vec<EntryId> = a.document.entries().iter().map(|entry| entry.id).collect();
    assert_eq!(ids.len(), 2);
    for is_done in [false, true, false] {
        let change = a.edit(&Edit::Several(ids.clone(), bulk(done(is_done), &[], &[])));
        judge(change.change.unwrap().bytes).unwrap();
    }
    let mut b = Replica::new(2);
    b.pull(&a);
    assert_same(&a.document, &b.document);
}
