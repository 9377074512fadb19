//! What recurs: ticked on nodes apart, un-ticked, undone, and with rules that differ.

use super::*;
use crate::entry::{Due, Field};
use jiff::civil::{Date, date};

/// A Monday; the replicas' clocks begin on it.
const MONDAY: Date = date(2026, 9, 21);

fn day(days: i8) -> Option<Due> {
    MONDAY
        .checked_add(jiff::Span::new().days(days))
        .ok()
        .map(Due::Date)
}

fn weekly(replica: &mut Replica) -> EntryId {
    let new = NewEntry {
        title: "bins".into(),
        due: day(0),
        wait: day(-1),
        every: Some("FREQ=WEEKLY".into()),
        tags: vec!["home".into()],
        ..NewEntry::default()
    };
    replica.edit(&Edit::Add(vec![new])).results[0]
}

/// The entries that are still to be done.
fn open(replica: &Replica) -> Vec<Entry> {
    let entries = replica.document.entries().into_iter();
    entries.filter(Entry::is_open).collect()
}

fn only(replica: &Replica) -> Entry {
    let mut open = open(replica);
    assert_eq!(open.len(), 1, "{open:?}");
    open.remove(0)
}

#[test]
fn ticking_makes_the_next_one() {
    let mut a = Replica::new(1);
    let id = weekly(&mut a);
    let edited = a.patch(id, done(true));
    assert_eq!((edited.touched.len(), edited.results), (2, vec![id]));
    let next = only(&a);
    assert_eq!(
        (next.due, next.planned, next.wait),
        (day(7), day(7), day(6))
    );
    assert_eq!(
        (next.title.as_str(), next.tags.as_slice()),
        ("bins", &["home".to_owned()][..])
    );
    assert_eq!(
        (next.every.as_deref(), next.series),
        (Some("FREQ=WEEKLY"), Some(id.to_string()))
    );
    // Put off, it keeps its place in the series.
    let put_off = EntryPatch {
        due: Some(day(9)),
        ..done(true)
    };
    a.patch(next.id, put_off);
    assert_eq!(only(&a).due, day(14));
    // Ticking what is ticked makes nothing more.
    a.patch(id, done(true));
    assert_eq!(a.document.total(), 3);
}

#[test]
fn the_id_of_the_next_one_is_what_it_always_was() {
    let mut a = Replica::new(1);
    let new = NewEntry {
        due: day(0),
        every: Some("FREQ=WEEKLY".into()),
        ..with_id(EntryId(7), "bins")
    };
    a.edit(&Edit::Add(vec![new]));
    a.patch(EntryId(7), done(true));
    let next = only(&a);
    assert_eq!(next.id.to_string(), "01M3JMZC00P671993C55A2V3N9");
    assert_eq!(next.id.0 >> 80, 1_790_553_600_000);
}

#[test]
fn three_that_tick_apart_make_the_same_one() {
    let mut a = Replica::new(1);
    let id = weekly(&mut a);
    a.add("after it");
    let (mut b, mut c) = (Replica::new(2), Replica::new(3));
    b.pull(&a);
    c.pull(&a);
    b.add("of b");
    c.at_ms += 86_400_000;
    for replica in [&mut a, &mut b, &mut c] {
        replica.patch(id, done(true));
    }
    a.pull(&b);
    a.pull(&c);
    b.pull(&c);
    b.pull(&a);
    c.pull(&a);
    c.pull(&b);
    assert_same(&a.document, &b.document);
    assert_same(&a.document, &c.document);
    let next: Vec<Entry> = open(&a)
        .into_iter()
        .filter(|entry| entry.every.is_some())
        .collect();
    assert_eq!(next.len(), 1, "{next:?}");
    assert_eq!((next[0].due, &next[0].conflicts), (day(7), &vec![]));
    // Directly after the one that it follows on.
    assert_eq!(a.titles()[..2], ["bins", "bins"]);
}

#[test]
fn unticking_takes_back_what_nobody_has_touched_and_ticking_again_brings_it() {
    let mut a = Replica::new(1);
    let id = weekly(&mut a);
    for _ in 0..3 {
        a.patch(id, done(true));
        assert_eq!(only(&a).due, day(7));
        a.patch(id, done(false));
        assert_eq!(only(&a).id, id);
    }
    a.patch(id, done(true));
    let next = only(&a);
    a.patch(next.id, title("bins, both"));
    a.patch(id, done(false));
    assert_eq!(open(&a).len(), 2);
}

#[test]
fn what_was_deleted_does_not_come_again() {
    let mut a = Replica::new(1);
    let id = weekly(&mut a);
    a.patch(id, done(true));
    let next = only(&a);
    a.edit(&Edit::Delete(next.id));
    a.patch(id, done(false));
    a.patch(id, done(true));
    assert!(open(&a).is_empty());
}

#[test]
fn undoing_a_tick_takes_the_next_one_back_and_ticking_again_brings_it() {
    let mut a = Replica::new(1);
    let id = weekly(&mut a);
    let ticked = a.patch(id, done(true)).change.unwrap();
    a.edit(&Edit::Undo(ticked.hash));
    assert_eq!(only(&a).id, id);
    a.patch(id, done(true));
    assert_eq!(only(&a).due, day(7));
}

#[test]
fn rules_that_were_edited_apart_give_two() {
    let mut a = Replica::new(1);
    let id = weekly(&mut a);
    let mut b = Replica::new(2);
    b.pull(&a);
    let every = |rule: &str| EntryPatch {
        every: Some(Some(rule.into())),
        ..EntryPatch::default()
    };
    a.patch(id, every("FREQ=DAILY"));
    b.patch(id, every("FREQ=MONTHLY"));
    a.patch(id, done(true));
    b.patch(id, done(true));
    a.sync(&mut b);
    let due: Vec<_> = open(&a).into_iter().map(|entry| entry.due).collect();
    assert_eq!(due.len(), 2, "{due:?}");
    assert!(a.entry(id).conflicts.contains(&Field::Every));
}

#[test]
fn what_was_missed_is_not_piled_up() {
    let mut a = Replica::new(1);
    let id = weekly(&mut a);
    a.at_ms += 30 * 86_400_000;
    a.patch(id, done(true));
    assert_eq!(only(&a).due, day(35));
}

#[test]
fn nothing_follows_on_a_rule_that_is_over_or_none() {
    for rule in ["FREQ=WEEKLY;UNTIL=20260925", "whenever"] {
        let mut a = Replica::new(1);
        let id = weekly(&mut a);
        let every = EntryPatch {
            every: Some(Some(rule.into())),
            ..done(true)
        };
        a.patch(id, every);
        assert!(open(&a).is_empty(), "{rule}");
    }
}
