//! What becomes of edits that did not know of each other.

use super::*;
use crate::entry::{Due, Field, Priority};

#[test]
fn lists_begun_apart_are_one_list() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    a.add("milk");
    b.add("bread");
    a.sync(&mut b);
    assert_eq!(a.document.total(), 2);
}

#[test]
fn an_edit_wins_over_a_concurrent_deletion_and_says_so() {
    let (mut a, mut b, id) = two_with("milk");
    a.edit(&Edit::Delete(id));
    b.patch(id, title("oat milk"));
    a.sync(&mut b);
    let entry = a.entry(id);
    assert_eq!(
        (entry.title.as_str(), entry.conflicts),
        ("oat milk", vec![Field::Deleted])
    );
    a.edit(&Edit::Resolve(id, Decision::Keep));
    a.sync(&mut b);
    assert_eq!(b.entry(id).conflicts, []);
}

#[test]
fn an_edit_that_changes_no_field_still_wins_over_a_concurrent_deletion() {
    let (mut a, mut b, id) = two_with("milk");
    a.edit(&Edit::Delete(id));
    b.patch(id, title("milk"));
    a.sync(&mut b);
    assert_eq!(a.entry(id).conflicts, [Field::Deleted]);
}

#[test]
fn a_deletion_of_a_kept_entry_is_final() {
    let (mut a, mut b, id) = two_with("milk");
    a.edit(&Edit::Delete(id));
    b.patch(id, title("oat milk"));
    a.sync(&mut b);
    b.edit(&Edit::Delete(id));
    a.sync(&mut b);
    assert_eq!(
        (a.document.standing(id), a.document.total()),
        (Standing::Dead, 0)
    );
}

#[test]
fn two_deletions_agree() {
    let (mut a, mut b, id) = two_with("milk");
    a.edit(&Edit::Delete(id));
    b.edit(&Edit::DeleteAll);
    a.sync(&mut b);
    assert_eq!(a.document.standing(id), Standing::Dead);
}

#[test]
fn deleting_a_list_brings_back_only_what_was_added_or_edited_meanwhile() {
    let (mut a, mut b, id) = two_with("milk");
    let gone = a.add("bread");
    b.pull(&a);
    a.edit(&Edit::DeleteAll);
    b.patch(id, title("oat milk"));
    let new = b.add("eggs");
    a.sync(&mut b);
    assert_eq!(a.document.entry(gone), None);
    assert_eq!(
        (a.entry(id).conflicts, a.entry(new).conflicts),
        (vec![Field::Deleted], vec![])
    );
}

#[test]
fn the_same_id_made_apart_is_one_entry_with_the_fields_of_both() {
    let (mut a, mut b, id) = (Replica::new(1), Replica::new(2), EntryId(77));
    let due = Some(Due::Date("2026-02-03".parse().unwrap()));
    a.edit(&Edit::Add(vec![NewEntry {
        due,
        tags: vec!["a".into()],
        ..with_id(id, "milk")
    }]));
    b.edit(&Edit::Add(vec![NewEntry {
        notes: "2 litres".into(),
        tags: vec!["b".into()],
        ..with_id(id, "oat milk")
    }]));
    a.sync(&mut b);
    let entry = a.entry(id);
    assert_eq!(
        (entry.due, entry.notes.as_str(), entry.tags),
        (due, "2 litres", vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(entry.conflicts, [Field::Title]);
    // Writes reach both maps: nothing of either is left beside them.
    b.patch(
        id,
        EntryPatch {
            due: Some(None),
            notes: Some(String::new()),
            ..tags(&["c"])
        },
    );
    b.patch(id, title("milk"));
    a.sync(&mut b);
    let entry = a.entry(id);
    assert_eq!(
        (
            entry.title.as_str(),
            entry.due,
            entry.notes.as_str(),
            entry.conflicts
        ),
        ("milk", None, "", vec![])
    );
    assert_eq!(entry.tags, ["c"]);
    a.edit(&Edit::Delete(id));
    a.sync(&mut b);
    assert_eq!(b.document.standing(id), Standing::Dead);
}

#[test]
fn of_an_entry_made_apart_the_last_write_wins_and_the_first_maker_made_it() {
    let (mut a, mut b, id) = (Replica::new(1), Replica::new(2), EntryId(77));
    a.edit(&Edit::Add(vec![with_id(id, "milk")]));
    let made_at = a.at_ms;
    b.at_ms += 60_000;
    // The map that Automerge shows is this one, its actor being the higher one.
    b.edit(&Edit::Add(vec![with_id(id, "bread")]));
    a.add("something else");
    a.patch(id, title("oat milk"));
    a.sync(&mut b);
    let entry = a.entry(id);
    assert_eq!(
        (entry.title.as_str(), entry.created_by, entry.created_at),
        ("oat milk", a.author(), made_at)
    );
    assert_eq!(entry.modified_by, a.author());
}

#[test]
fn a_retry_on_another_node_is_no_conflict() {
    let (mut a, mut b, _) = two_with("milk");
    let add = Edit::Add(vec![NewEntry {
        tags: vec!["a".into()],
        ..with_id(EntryId(77), "bread")
    }]);
    a.edit(&add);
    b.edit(&add);
    a.sync(&mut b);
    assert_eq!(
        (a.titles(), a.entry(EntryId(77)).conflicts),
        (vec!["milk".to_owned(), "bread".to_owned()], vec![])
    );
}

#[test]
fn an_entry_made_again_apart_from_its_deletion_lives() {
    let (mut a, mut b, id) = (Replica::new(1), Replica::new(2), EntryId(77));
    a.edit(&Edit::Add(vec![with_id(id, "milk")]));
    a.edit(&Edit::Delete(id));
    b.edit(&Edit::Add(vec![with_id(id, "milk")]));
    a.sync(&mut b);
    assert_eq!(a.entry(id).conflicts, [Field::Deleted]);
}

#[test]
fn different_fields_do_not_conflict() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(id, title("oat milk"));
    b.patch(
        id,
        EntryPatch {
            priority: Some(Some(Priority::High)),
            ..EntryPatch::default()
        },
    );
    a.sync(&mut b);
    let entry = a.entry(id);
    assert_eq!(
        (entry.title.as_str(), entry.priority, entry.conflicts),
        ("oat milk", Some(Priority::High), vec![])
    );
}

#[test]
fn two_values_of_a_field_conflict_until_somebody_writes_it_again() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(id, title("oat milk"));
    b.patch(id, title("soy milk"));
    a.sync(&mut b);
    let entry = a.entry(id);
    assert_eq!(entry.conflicts, [Field::Title]);
    // Also with the value that won already.
    a.patch(id, title(&entry.title));
    a.sync(&mut b);
    assert_eq!(
        (b.entry(id).title, b.entry(id).conflicts),
        (entry.title, vec![])
    );
}

#[test]
fn equal_values_do_not_conflict() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(id, title("oat milk"));
    b.patch(id, title("oat milk"));
    a.sync(&mut b);
    assert_eq!(a.entry(id).conflicts, []);
}

#[test]
fn clearing_a_field_conflicts_with_writing_it() {
    let (mut a, mut b, id) = two_with("milk");
    let due = |due| EntryPatch {
        due: Some(due),
        ..EntryPatch::default()
    };
    a.patch(id, due(Some(Due::Instant(1000))));
    b.pull(&a);
    a.patch(id, due(None));
    b.patch(id, due(Some(Due::Instant(2000))));
    a.sync(&mut b);
    assert_eq!(a.entry(id).conflicts, [Field::Due]);
}

#[test]
fn two_that_tick_an_entry_agree_and_one_that_unticks_it_does_not() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(id, done(true));
    b.at_ms += 5000;
    b.patch(id, done(true));
    a.sync(&mut b);
    assert_eq!(
        (
            a.entry(id).is_open(),
            a.entry(id).conflicts,
            a.document.open()
        ),
        (false, vec![], 0)
    );
    a.patch(id, done(false));
    b.patch(
        id,
        EntryPatch {
            done: Some(true),
            ..title("oat milk")
        },
    );
    a.sync(&mut b);
    assert_eq!(a.entry(id).conflicts, []);
    b.patch(id, done(true));
    a.pull(&b);
    a.patch(id, done(false));
    b.patch(id, done(false));
    b.patch(id, done(true));
    a.sync(&mut b);
    assert_eq!(a.entry(id).conflicts, [Field::Done]);
    let done_at = a.entry(id).done_at;
    a.patch(id, done(done_at.is_some()));
    a.sync(&mut b);
    assert_eq!(
        (b.entry(id).done_at, b.entry(id).conflicts),
        (done_at, vec![])
    );
}

#[test]
fn tags_added_apart_are_all_there() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(id, tags(&["home"]));
    b.patch(id, tags(&["work"]));
    a.sync(&mut b);
    assert_eq!(
        (a.entry(id).tags, a.entry(id).conflicts),
        (vec!["home".to_owned(), "work".to_owned()], vec![])
    );
}

#[test]
fn a_tag_put_back_wins_over_its_removal_and_says_so() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(id, tags(&["home"]));
    b.pull(&a);
    a.patch(id, tags(&[]));
    b.patch(id, tags(&[]));
    b.patch(id, tags(&["home"]));
    a.sync(&mut b);
    assert_eq!(
        (a.entry(id).tags, a.entry(id).conflicts),
        (vec!["home".to_owned()], vec![Field::Tags])
    );
    a.patch(id, tags(&["home"]));
    a.sync(&mut b);
    assert_eq!(
        (b.entry(id).tags, b.entry(id).conflicts),
        (vec!["home".to_owned()], vec![])
    );
}

#[test]
fn two_moves_leave_the_entry_in_one_place() {
    let (mut a, mut b, id) = two_with("milk");
    let last = a.add("bread");
    b.pull(&a);
    let to = |place| EntryPatch {
        place: Some(place),
        ..EntryPatch::default()
    };
    a.patch(last, to(Place::Before(id)));
    b.patch(last, to(Place::After(id)));
    a.sync(&mut b);
    assert_eq!(
        (a.document.total(), a.entry(last).conflicts),
        (2, vec![Field::Order])
    );
}

#[test]
fn maker_and_last_writer_are_the_same_everywhere() {
    let (mut a, mut b, id) = two_with("milk");
    let made_at = a.at_ms;
    a.patch(id, title("oat milk"));
    b.at_ms += 60_000;
    b.patch(id, title("soy milk"));
    b.patch(id, done(true));
    a.sync(&mut b);
    let entry = a.entry(id);
    assert_eq!(
        (entry.created_by.0.as_str(), entry.created_at),
        ("user@node1", made_at)
    );
    // A change's time is kept in whole seconds.
    assert_eq!(
        (entry.modified_by.0.as_str(), entry.modified_at),
        ("user@node2", b.at_ms / 1000 * 1000)
    );
}

#[test]
fn what_was_written_apart_has_all_its_values_and_their_writers() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(id, title("oat milk"));
    b.patch(id, title("soy milk"));
    a.sync(&mut b);
    let disputes = a.document.disputes(id);
    assert_eq!(disputes, b.document.disputes(id));
    assert_eq!(disputes.len(), 1, "{disputes:?}");
    assert_eq!(disputes[0].field, Field::Title);
    let values: Vec<&str> = texts(&disputes[0]);
    assert_eq!(
        values[0],
        a.entry(id).title,
        "the one that is shown is first"
    );
    let sorted: std::collections::BTreeSet<&str> = values.into_iter().collect();
    assert_eq!(sorted, ["oat milk", "soy milk"].into());
    a.patch(id, title("milk"));
    assert_eq!(a.document.disputes(id), []);
}

#[test]
fn a_deletion_beside_an_edit_says_who_did_which() {
    let (mut a, mut b, id) = two_with("milk");
    a.edit(&Edit::Delete(id));
    b.patch(id, title("oat milk"));
    a.sync(&mut b);
    let disputes = a.document.disputes(id);
    assert_eq!(disputes[0].field, Field::Deleted);
    let mut words = texts(&disputes[0]);
    words.sort_unstable();
    assert_eq!(words, ["deleted", "edited"]);
}

#[test]
fn who_decides_that_a_deleted_entry_stays_changes_nothing_else_of_it() {
    let (mut a, mut b, id) = two_with("milk");
    a.edit(&Edit::Delete(id));
    b.patch(id, title("oat milk"));
    a.sync(&mut b);
    let before = a.entry(id);
    // Two that decide unlike each other make one conflict of their two decisions.
    a.edit(&Edit::Resolve(id, Decision::Delete));
    b.edit(&Edit::Resolve(id, Decision::Keep));
    a.sync(&mut b);
    assert_eq!(a.document.disputes(id).len(), 1);
    assert_eq!(a.document.disputes(id)[0].values.len(), 2);
    a.edit(&Edit::Resolve(id, Decision::Keep));
    a.sync(&mut b);
    for replica in [&a, &b] {
        let entry = replica.entry(id);
        assert_eq!(replica.document.disputes(id), []);
        assert_eq!(
            (entry.title, entry.order),
            (before.title.clone(), before.order.clone())
        );
    }
    let field = Field::Deleted;
    let refused = b.try_edit(&Edit::Resolve(id, Decision::Keep));
    assert_eq!(refused, Err(EditRefusal::Settled { id, field }));
}

#[test]
fn a_decision_about_one_tag_leaves_the_others_as_they_are() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(id, tags(&["shop"]));
    b.pull(&a);
    a.patch(id, tags(&[]));
    a.patch(id, tags(&["home"]));
    b.edit(&Edit::Delete(id));
    a.sync(&mut b);
    // The tag is given anew where it has just been taken off.
    let mut c = Replica::new(3);
    a.patch(id, tags(&["home", "shop"]));
    c.pull(&a);
    c.pull(&b);
    a.patch(id, tags(&["home"]));
    c.patch(id, tags(&["home"]));
    c.patch(id, tags(&["home", "shop"]));
    a.sync(&mut c);
    let torn = a.entry(id).conflicts;
    assert_eq!(torn, [Field::Deleted, Field::Tags]);
    let decide = |stays| {
        let tag = "shop".to_owned();
        Edit::Resolve(id, Decision::Tag { tag, stays })
    };
    a.edit(&decide(false));
    let entry = a.entry(id);
    assert_eq!(
        (entry.tags, entry.conflicts),
        (vec!["home".to_owned()], vec![Field::Deleted])
    );
    let field = Field::Tags;
    let refused = a.try_edit(&decide(true));
    assert_eq!(refused, Err(EditRefusal::Settled { id, field }));
}

#[test]
fn a_place_in_conflict_is_told_by_its_neighbour_and_settled_by_a_place() {
    let (mut a, mut b, id) = two_with("milk");
    let bread = a.add("bread");
    let eggs = a.add("eggs");
    b.pull(&a);
    let to = |place| EntryPatch {
        place: Some(place),
        ..EntryPatch::default()
    };
    a.patch(eggs, to(Place::Before(id)));
    b.patch(eggs, to(Place::Before(bread)));
    a.sync(&mut b);
    let disputes = b.document.disputes(eggs);
    let mut words = texts(&disputes[0]);
    words.sort_unstable();
    assert_eq!(words, [&format!("after {id}"), "first"]);
    b.edit(&Edit::Resolve(eggs, Decision::First));
    a.sync(&mut b);
    assert_eq!(a.titles(), ["eggs", "milk", "bread"]);
    assert_eq!(a.entry(eggs).conflicts, []);
}

#[test]
fn two_that_move_an_entry_into_one_gap_agree() {
    let (mut a, mut b, id) = two_with("milk");
    let bread = a.add("bread");
    let eggs = a.add("eggs");
    b.pull(&a);
    let to = |place| EntryPatch {
        place: Some(place),
        ..EntryPatch::default()
    };
    a.patch(eggs, to(Place::Before(bread)));
    b.patch(eggs, to(Place::After(id)));
    a.sync(&mut b);
    assert_eq!(
        (a.entry(eggs).conflicts, b.document.disputes(eggs)),
        (vec![], vec![])
    );
    assert_eq!(a.titles(), ["milk", "eggs", "bread"]);
}

#[test]
fn what_one_side_puts_into_one_place_stays_together() {
    let (mut a, mut b, _) = two_with("first");
    let last = a.add("last");
    b.pull(&a);
    for replica in [&mut a, &mut b] {
        // As one types them: at the end, and into the middle, before the same entry each time.
        for place in [None, Some(Place::Before(last))] {
            for number in 1..4 {
                let title = format!("{} {number}", replica.number);
                let new = NewEntry {
                    title,
                    place,
                    ..NewEntry::default()
                };
                replica.edit(&Edit::Add(vec![new]));
            }
        }
    }
    a.sync(&mut b);
    let titles = a.titles();
    let end = titles.iter().position(|title| title == "last").unwrap();
    let side = |title: &String| title.split(' ').next().unwrap().to_owned();
    for part in [&titles[1..end], &titles[end + 1..]] {
        assert_eq!(part.len(), 6);
        let sides: Vec<String> = part.iter().map(side).collect();
        let (one, other) = sides.split_at(3);
        assert!(one.iter().all(|side| *side == one[0]), "{titles:?}");
        assert!(other.iter().all(|side| *side == other[0]), "{titles:?}");
        let numbers: Vec<&str> = part.iter().map(|title| &title[2..3]).collect();
        assert_eq!(numbers, ["1", "2", "3", "1", "2", "3"]);
    }
}

fn texts(dispute: &crate::list::Dispute) -> Vec<&str> {
    dispute.values.iter().map(|value| &*value.text).collect()
}
