//! Undoing changes, here and after others have seen them.

use super::*;
use crate::entry::{Due, Field, Priority};
use proptest::prelude::*;

impl Replica {
    /// The last change that it has made.
    fn last(&self) -> names::ChangeHash {
        self.changes.last().unwrap().hash
    }

    fn undo(&mut self, change: names::ChangeHash) -> Undone {
        self.edit(&Edit::Undo(change)).undone.unwrap()
    }

    /// Undoes its own last change, or makes the undone one anew; false if there is none.
    fn go(&mut self, way: Way) -> bool {
        let Some(change) = self.document.next_of(&self.author(), way, |_| true) else {
            return false;
        };
        match way {
            Way::Undo => self.edit(&Edit::Undo(change)),
            Way::Redo => self.edit(&Edit::Redo(change)),
        };
        true
    }
}

/// What people see of a list.
fn seen(document: &Document) -> Vec<Entry> {
    let entries = document.entries().into_iter();
    entries
        .map(|entry| Entry {
            modified_at: 0,
            modified_by: Author::default(),
            tag: 0,
            ..entry
        })
        .collect()
}

fn fields(skipped: &Undone) -> Vec<(&str, Why)> {
    let all = skipped.skipped.iter();
    all.map(|one| (one.field.as_str(), one.why)).collect()
}

fn notes(text: &str) -> EntryPatch {
    EntryPatch {
        notes: Some(text.to_owned()),
        ..EntryPatch::default()
    }
}

#[test]
fn each_kind_of_change_is_undone_also_elsewhere() {
    let (mut a, mut b, id) = two_with("milk");
    let bread = a.add("bread");
    b.pull(&a);
    for edit in [
        Edit::Patch(id, title("oat milk").into()),
        Edit::Patch(id, notes("of the market").into()),
        Edit::Patch(id, tags(&["shop"]).into()),
        Edit::Patch(id, done(true).into()),
        Edit::Patch(
            id,
            EntryPatch {
                place: Some(Place::After(bread)),
                ..EntryPatch::default()
            }
            .into(),
        ),
        Edit::Delete(id),
        Edit::DeleteAll,
        Edit::Add(vec![with_id(EntryId(77), "eggs")]),
    ] {
        let before = seen(&a.document);
        a.edit(&edit);
        b.pull(&a);
        assert_ne!(seen(&b.document), before, "{edit:?}");
        let undone = b.undo(a.last());
        assert_eq!((undone.change, fields(&undone)), (a.last(), vec![]));
        a.sync(&mut b);
        assert_eq!(seen(&a.document), before, "{edit:?}");
    }
}

#[test]
fn a_deleted_list_comes_back_whole() {
    let mut a = Replica::new(1);
    for number in 0..20 {
        let id = a.add(&format!("entry {number}"));
        a.patch(id, notes("with notes"));
    }
    let before = seen(&a.document);
    a.edit(&Edit::DeleteAll);
    assert_eq!(a.document.total(), 0);
    a.undo(a.last());
    assert_eq!(seen(&a.document), before);
}

#[test]
fn what_was_changed_since_stays_and_is_told() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(
        id,
        EntryPatch {
            notes: Some("of oats".to_owned()),
            ..title("oat milk")
        },
    );
    let change = a.last();
    b.pull(&a);
    b.patch(id, title("soy milk"));
    a.sync(&mut b);
    let undone = a.undo(change);
    assert_eq!(fields(&undone), [("title", Why::Changed)]);
    let entry = a.entry(id);
    assert_eq!(
        (entry.title.as_str(), entry.notes.as_str()),
        ("soy milk", "")
    );
}

#[test]
fn what_somebody_else_wrote_at_the_same_time_stays_alone() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(id, title("oat milk"));
    b.patch(id, title("soy milk"));
    a.sync(&mut b);
    assert_eq!(a.entry(id).conflicts, [Field::Title]);
    let undone = b.undo(a.last());
    assert_eq!(fields(&undone), []);
    a.sync(&mut b);
    let entry = a.entry(id);
    assert_eq!(
        (entry.title.as_str(), entry.conflicts),
        ("soy milk", vec![])
    );
}

#[test]
fn where_several_others_wrote_the_conflict_stays() {
    let (mut a, mut b, id) = two_with("milk");
    let mut c = Replica::new(3);
    c.pull(&a);
    for (replica, text) in [
        (&mut a, "oat milk"),
        (&mut b, "soy milk"),
        (&mut c, "rice milk"),
    ] {
        replica.patch(id, title(text));
    }
    a.pull(&b);
    a.pull(&c);
    let undone = a.undo(a.last());
    assert_eq!(fields(&undone), [("title", Why::Conflict)]);
    assert_eq!(a.entry(id).conflicts, [Field::Title]);
}

#[test]
fn two_undos_of_one_change_apart_are_no_conflict() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(
        id,
        EntryPatch {
            tags: Some(vec!["shop".to_owned()]),
            ..title("oat milk")
        },
    );
    let change = a.last();
    b.pull(&a);
    a.undo(change);
    b.undo(change);
    a.sync(&mut b);
    let entry = a.entry(id);
    assert_eq!((entry.title.as_str(), entry.conflicts), ("milk", vec![]));
    assert_eq!(entry.tags, Vec::<String>::new());
}

#[test]
fn an_addition_that_others_wrote_to_is_undone_with_a_mark() {
    let (mut a, mut b, id) = two_with("milk");
    let change = a.changes[0].hash;
    b.patch(id, notes("of oats"));
    a.sync(&mut b);
    a.undo(change);
    a.sync(&mut b);
    let entry = b.entry(id);
    assert_eq!(
        (entry.notes.as_str(), entry.conflicts),
        ("of oats", vec![Field::Deleted])
    );
    // Undoing that takes the mark off.
    b.undo(a.last());
    assert_eq!(b.entry(id).conflicts, []);
}

#[test]
fn an_addition_that_only_its_author_wrote_to_is_gone() {
    let (mut a, _, id) = two_with("milk");
    let change = a.last();
    a.patch(id, notes("of oats"));
    a.undo(change);
    assert_eq!(a.document.standing(id), Standing::Dead);
}

#[test]
fn an_edit_of_an_entry_that_was_deleted_since_stays_undone() {
    let (mut a, _, id) = two_with("milk");
    a.patch(id, title("oat milk"));
    let change = a.last();
    a.edit(&Edit::Delete(id));
    let edited = a.edit(&Edit::Undo(change));
    assert_eq!((edited.results, edited.touched), (vec![], vec![]));
    assert_eq!(fields(&edited.undone.unwrap()), [("deleted", Why::Deleted)]);
}

#[test]
fn ones_own_changes_are_undone_one_by_one_and_made_anew() {
    let (mut a, mut b, id) = two_with("milk");
    for number in 0..3 {
        a.patch(id, title(&format!("milk {number}")));
    }
    b.pull(&a);
    b.patch(id, notes("by another one"));
    a.pull(&b);
    for wanted in ["milk 1", "milk 0", "milk"] {
        assert!(a.go(Way::Undo));
        assert_eq!(a.entry(id).title, wanted);
    }
    for wanted in ["milk 0", "milk 1", "milk 2"] {
        assert!(a.go(Way::Redo));
        assert_eq!(a.entry(id).title, wanted);
    }
    assert!(!a.go(Way::Redo), "all is there again");
    assert!(a.go(Way::Undo));
    assert_eq!(a.entry(id).title, "milk 1");
    a.patch(id, title("bread"));
    assert!(!a.go(Way::Redo), "something was written since");
    assert_eq!(a.entry(id).notes, "by another one");
    assert!(
        a.document
            .next_of(&a.author(), Way::Undo, |_| false)
            .is_none()
    );
}

#[test]
fn only_what_undid_something_is_made_anew() {
    let (mut a, _, _) = two_with("milk");
    let change = a.last();
    let refused = a.try_edit(&Edit::Redo(change)).unwrap_err();
    assert_eq!(refused, EditRefusal::NoUndo(change));
    let unknown = names::ChangeHash([9; 32]);
    for edit in [Edit::Undo(unknown), Edit::Redo(unknown)] {
        let refused = a.try_edit(&edit).unwrap_err();
        assert_eq!(refused, EditRefusal::NoChange(unknown));
    }
}

#[test]
fn an_edit_that_decides_nothing_leaves_the_mark_of_a_deletion() {
    let (mut a, mut b, id) = two_with("milk");
    a.edit(&Edit::Delete(id));
    b.patch(id, title("oat milk"));
    a.sync(&mut b);
    b.patch(id, tags(&["shop"]));
    a.sync(&mut b);
    assert_eq!(a.entry(id).conflicts, [Field::Deleted]);
    // It wins over a decision to delete that did not know of it, and is marked again.
    a.patch(id, tags(&["home"]));
    b.edit(&Edit::Delete(id));
    a.sync(&mut b);
    assert_eq!(b.entry(id).conflicts, [Field::Deleted]);
    b.edit(&Edit::Resolve(id, Decision::Keep));
    a.sync(&mut b);
    assert_eq!(a.entry(id).conflicts, []);
}

/// Edits of a few entries by their numbers.
fn edits() -> impl Strategy<Value = Vec<(usize, u8)>> {
    prop::collection::vec((0..4_usize, 0..8_u8), 1..12)
}

fn carry_out(replica: &mut Replica, (entry, kind): (usize, u8)) {
    let ids: Vec<EntryId> = replica
        .document
        .entries()
        .iter()
        .map(|entry| entry.id)
        .collect();
    let text = format!("text {}", replica.changes.len());
    let patch = match kind {
        0 => {
            replica.add(&text);
            return;
        }
        1 => title(&text),
        2 => notes(&text),
        3 => tags(&[["a", "b", "c", "d"][entry]]),
        4 => done(entry % 2 == 0),
        5 => EntryPatch {
            due: Some(Some(Due::Instant(entry as i64))),
            priority: Some(Some(Priority::High)),
            ..EntryPatch::default()
        },
        6 => EntryPatch {
            place: ids.first().copied().map(Place::Before),
            ..EntryPatch::default()
        },
        _ => {
            if let Some(id) = ids.get(entry) {
                replica.edit(&Edit::Delete(*id));
            }
            return;
        }
    };
    if let Some(id) = ids.get(entry) {
        // Nothing is placed next to itself.
        let _ = replica.try_edit(&Edit::Patch(*id, patch.into()));
    }
}

proptest! {
    #[test]
    fn undoing_all_and_making_it_anew_comes_to_the_same(all in edits()) {
        let mut a = Replica::new(1);
        let mut states = vec![seen(&a.document)];
        for one in all {
            let changes = a.changes.len();
            carry_out(&mut a, one);
            if a.changes.len() > changes {
                states.push(seen(&a.document));
            }
        }
        for state in states.iter().rev().skip(1) {
            prop_assert!(a.go(Way::Undo));
            prop_assert_eq!(&seen(&a.document), state);
        }
        for state in states.iter().skip(1) {
            prop_assert!(a.go(Way::Redo));
            prop_assert_eq!(&seen(&a.document), state);
        }
    }

    #[test]
    fn replicas_that_edit_and_undo_apart_are_the_same_once_they_met(
        rounds in prop::collection::vec((edits(), edits(), any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4),
    ) {
        let (mut a, mut b, _) = two_with("milk");
        for (of_a, of_b, undone_by_a, undone_by_b) in rounds {
            of_a.into_iter().for_each(|one| carry_out(&mut a, one));
            of_b.into_iter().for_each(|one| carry_out(&mut b, one));
            a.sync(&mut b);
            let all: Vec<_> = a.changes.iter().chain(&b.changes).map(|change| change.hash).collect();
            a.undo(*undone_by_a.get(&all));
            b.undo(*undone_by_b.get(&all));
            a.sync(&mut b);
            let loaded: Vec<_> = a.document.history(None, None, 1000);
            prop_assert_eq!(loaded, b.document.history(None, None, 1000));
        }
    }

    #[test]
    fn two_that_undo_one_change_apart_need_no_decision(of_a in edits(), of_b in edits(), undone in any::<prop::sample::Index>()) {
        let (mut a, mut b, _) = two_with("milk");
        of_a.into_iter().for_each(|one| carry_out(&mut a, one));
        b.pull(&a);
        of_b.into_iter().for_each(|one| carry_out(&mut b, one));
        a.sync(&mut b);
        let all: Vec<_> = a.changes.iter().chain(&b.changes).map(|change| change.hash).collect();
        let change = *undone.get(&all);
        a.undo(change);
        let alone = seen(&a.document);
        b.undo(change);
        a.sync(&mut b);
        prop_assert_eq!(seen(&a.document), alone);
    }
}
