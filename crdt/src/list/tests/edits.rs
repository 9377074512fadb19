//! What edits do on one node.

use super::*;
use crate::entry::Additions;
use crate::vector::Sums;
use automerge::transaction::Transactable;

/// All that an edit could leave behind.
fn state(replica: &Replica) -> (Vec<u8>, index::Index, Vec<names::ChangeHash>, Sums) {
    let document = &replica.document;
    (
        document.save(),
        document.index.clone(),
        document.heads(),
        document.sums(),
    )
}

fn refused(replica: &mut Replica, edit: &Edit) -> EditRefusal {
    let before = state(replica);
    let refusal = replica.try_edit(edit).unwrap_err();
    assert_eq!(state(replica), before);
    refusal
}

fn place(place: Place) -> EntryPatch {
    EntryPatch {
        place: Some(place),
        ..EntryPatch::default()
    }
}

#[test]
fn an_entry_reads_as_it_was_written() {
    let mut a = Replica::new(1);
    let new = NewEntry {
        id: Some(EntryId(7)),
        title: "milk".into(),
        due: Some(crate::entry::Due::Date("2026-02-03".parse().unwrap())),
        done: true,
        priority: Some(crate::entry::Priority::Low),
        tags: vec!["b".into(), "a".into(), "b".into()],
        notes: "two\nlitres".into(),
        assignee: Some("bob".into()),
        estimate: Some(30),
        wait: Some(crate::entry::Due::Instant(5)),
        every: Some("FREQ=WEEKLY".into()),
        place: None,
        ..NewEntry::default()
    };
    let edited = a.edit(&Edit::Add(vec![new.clone()]));
    let expected = Entry {
        title: new.title,
        due: new.due,
        done_at: Some(a.at_ms),
        priority: new.priority,
        tags: vec!["a".into(), "b".into()],
        notes: new.notes,
        assignee: new.assignee,
        estimate: new.estimate,
        wait: new.wait,
        every: new.every,
        order: a.entry(EntryId(7)).order,
        created_at: a.at_ms,
        created_by: a.author(),
        modified_at: a.at_ms,
        modified_by: a.author(),
        tag: a.entry(EntryId(7)).tag,
        ..Entry::new(EntryId(7))
    };
    assert_eq!(
        edited.touched,
        [Touched {
            id: EntryId(7),
            before: false,
            entry: Some(expected.clone())
        }]
    );
    assert_eq!(
        (
            a.document.entry(EntryId(7)),
            a.document.total(),
            a.document.open()
        ),
        (Some(expected), 1, 0)
    );
}

#[test]
fn clearing_leaves_nothing() {
    let mut a = Replica::new(1);
    let id = a.add("milk");
    let before = a.entry(id);
    let set = EntryPatch {
        notes: Some("n".into()),
        assignee: Some(Some("bob".into())),
        estimate: Some(Some(90)),
        due: Some(Some(crate::entry::Due::Instant(-1))),
        ..done(true)
    };
    a.patch(id, set);
    a.patch(
        id,
        EntryPatch {
            notes: Some(String::new()),
            assignee: Some(None),
            estimate: Some(None),
            due: Some(None),
            ..done(false)
        },
    );
    let entry = a.entry(id);
    assert_eq!(
        Entry {
            modified_at: before.modified_at,
            tag: before.tag,
            ..entry
        },
        before
    );
}

#[test]
fn a_retry_changes_nothing() {
    let mut a = Replica::new(1);
    let add = Edit::Add(vec![
        with_id(EntryId(1), "milk"),
        with_id(EntryId(2), "bread"),
    ]);
    let first = a.edit(&add);
    let again = a.edit(&add);
    assert_eq!(
        (again.change, again.touched, again.results),
        (None, vec![], first.results)
    );
}

#[test]
fn of_a_batch_only_what_is_not_there_is_added_in_one_change() {
    let mut a = Replica::new(1);
    a.edit(&Edit::Add(vec![with_id(EntryId(1), "milk")]));
    let edited = a.edit(&Edit::Add(vec![
        with_id(EntryId(2), "bread"),
        with_id(EntryId(1), "other"),
        with_id(EntryId(2), "again"),
    ]));
    assert_eq!(edited.results, [EntryId(2), EntryId(1), EntryId(2)]);
    assert_eq!(
        (edited.touched.len(), a.titles(), a.changes.len()),
        (1, vec!["milk".to_owned(), "bread".to_owned()], 2)
    );
}

#[test]
fn adding_what_was_deleted_is_refused_with_the_whole_batch() {
    let mut a = Replica::new(1);
    let id = a.add("milk");
    a.edit(&Edit::Delete(id));
    let add = Edit::Add(vec![with_id(EntryId(5), "bread"), with_id(id, "milk")]);
    assert_eq!(refused(&mut a, &add), EditRefusal::Deleted(id));
}

#[test]
fn what_is_added_again_is_only_what_has_never_been_here() {
    let mut a = Replica::new(1);
    let (milk, bread) = (a.add("milk"), a.add("bread"));
    a.edit(&Edit::Delete(milk));
    let again = |entries| {
        Edit::AddAgain(Box::new(Additions {
            by: Author("carol@alpha".to_owned()),
            at_ms: 7,
            entries,
        }))
    };
    let old = vec![with_id(milk, "milk"), with_id(bread, "loaf")];
    let lost = with_id(EntryId(5), "tea");
    let edited = a.edit(&again([old.clone(), vec![lost.clone()]].concat()));
    assert!(edited.change.is_some());
    assert_eq!(a.titles(), ["bread", "tea"]);
    let tea = a.document.entry(EntryId(5)).unwrap();
    assert_eq!(
        (tea.created_by.0.as_str(), tea.created_at),
        ("carol@alpha", 7)
    );
    assert!(
        a.edit(&again(old)).change.is_none(),
        "nothing is to be done"
    );
}

#[test]
fn drawn_ids_rise_within_a_batch() {
    let mut document = Document::new(ListName::new("l").unwrap(), Actor([1; 16]));
    let mut draws = [9, 3, 3, u128::MAX, 0].into_iter().chain(1000..);
    let batch = Edit::Add(vec![NewEntry::default(); 5]);
    let edited = document
        .edit(&batch, &Author("a".into()), 1_790_000_000_000, &mut || {
            draws.next().unwrap()
        })
        .unwrap();
    assert!(
        edited.results.is_sorted_by(|a, b| a < b),
        "{:?}",
        edited.results
    );
    let order: Vec<EntryId> = document.entries().iter().map(|entry| entry.id).collect();
    assert_eq!(order, edited.results);
}

#[test]
fn entries_go_where_they_are_told_to() {
    let mut a = Replica::new(1);
    let ids: Vec<EntryId> = ["1", "2", "3"].iter().map(|title| a.add(title)).collect();
    let new = |title: &str, place| NewEntry {
        title: title.into(),
        place: Some(place),
        ..NewEntry::default()
    };
    a.edit(&Edit::Add(vec![
        new("0", Place::Before(ids[0])),
        new("2a", Place::After(ids[1])),
        new("4", Place::After(ids[2])),
    ]));
    assert_eq!(a.titles(), ["0", "1", "2", "2a", "3", "4"]);
    a.patch(ids[0], place(Place::After(ids[2])));
    assert_eq!(a.titles(), ["0", "2", "2a", "3", "1", "4"]);
    a.patch(ids[2], place(Place::Before(ids[1])));
    assert_eq!(a.titles(), ["0", "3", "2", "2a", "1", "4"]);
}

#[test]
fn a_batch_can_be_placed_relative_to_itself() {
    let mut a = Replica::new(1);
    let before = NewEntry {
        place: Some(Place::Before(EntryId(1))),
        ..with_id(EntryId(2), "first")
    };
    a.edit(&Edit::Add(vec![with_id(EntryId(1), "second"), before]));
    assert_eq!(a.titles(), ["first", "second"]);
}

#[test]
fn there_is_no_place_beside_what_is_not_there() {
    let mut a = Replica::new(1);
    let (id, gone) = (a.add("milk"), a.add("bread"));
    a.edit(&Edit::Delete(gone));
    for beside in [id, gone, EntryId(9)] {
        assert_eq!(
            refused(&mut a, &Edit::Patch(id, place(Place::After(beside)).into())),
            EditRefusal::NoPlace(beside)
        );
    }
    let new = NewEntry {
        place: Some(Place::Before(gone)),
        ..NewEntry::default()
    };
    assert_eq!(
        refused(&mut a, &Edit::Add(vec![with_id(EntryId(1), "x"), new])),
        EditRefusal::NoPlace(gone)
    );
}

#[test]
fn what_is_not_there_cannot_be_edited() {
    let mut a = Replica::new(1);
    let gone = a.add("milk");
    a.edit(&Edit::Delete(gone));
    for id in [gone, EntryId(9)] {
        assert_eq!(
            refused(&mut a, &Edit::Patch(id, title("x").into())),
            EditRefusal::NoEntry(id)
        );
        assert_eq!(refused(&mut a, &Edit::Delete(id)), EditRefusal::NoEntry(id));
    }
}

#[test]
fn an_edit_without_effect_makes_no_change() {
    let mut a = Replica::new(1);
    assert_eq!(a.edit(&Edit::DeleteAll).change, None);
    assert_eq!(a.edit(&Edit::Add(vec![])).change, None);
    let id = a.add("milk");
    assert_eq!(a.patch(id, EntryPatch::default()).change, None);
    assert_eq!(a.document.vector().seq(Actor([1; 16])), 1);
}

#[test]
fn a_second_tick_keeps_the_time_of_the_first() {
    let mut a = Replica::new(1);
    let id = a.add("milk");
    a.patch(id, done(true));
    let done_at = a.entry(id).done_at;
    a.patch(id, done(true));
    assert_eq!((done_at.is_some(), a.entry(id).done_at), (true, done_at));
}

#[test]
fn a_change_that_peers_would_refuse_leaves_nothing() {
    let mut a = Replica::new(1);
    a.add("milk");
    let long = NewEntry {
        notes: "n".repeat(1 << 20),
        ..NewEntry::default()
    };
    assert!(matches!(
        refused(&mut a, &Edit::Add(vec![long; 5])),
        EditRefusal::TooLarge(_)
    ));
    assert!(matches!(
        refused_by(&mut a, &"x".repeat(5000)),
        EditRefusal::TooLarge(_)
    ));
    a.add("bread");
    judge(a.changes[1].bytes.clone()).unwrap();
}

fn refused_by(replica: &mut Replica, author: &str) -> EditRefusal {
    let add = Edit::Add(vec![NewEntry::default()]);
    replica
        .document
        .edit(&add, &Author(author.into()), 0, &mut || 1)
        .unwrap_err()
}

#[test]
fn the_largest_changes_are_let_pass_by_the_judge() {
    let mut a = Replica::new(1);
    let long = NewEntry {
        title: "t".repeat(4096),
        notes: "n".repeat(65_536),
        tags: vec!["a".repeat(64); 64],
        ..NewEntry::default()
    };
    a.edit(&Edit::Add(vec![long; 59]));
    assert!(
        a.changes[0].bytes.len() > MAX_CHANGE_BYTES - (200 << 10),
        "{}",
        a.changes[0].bytes.len()
    );
    judge(a.changes[0].bytes.clone()).unwrap();
}

#[test]
fn a_new_actor_counts_from_one() {
    let mut a = Replica::new(1);
    a.add("milk");
    a.document.set_actor(Actor([5; 16]));
    a.add("bread");
    assert_eq!(
        (a.changes[1].id.actor, a.changes[1].id.seq),
        (Actor([5; 16]), 1)
    );
    let mut b = Replica::new(2);
    b.pull(&a);
    assert_same(&a.document, &b.document);
}

#[test]
fn a_list_can_be_read_as_it_was() {
    let mut a = Replica::new(1);
    let id = a.add("milk");
    let then = a.document.entries();
    a.patch(id, title("oat milk"));
    a.edit(&Edit::DeleteAll);
    assert_eq!(a.document.entries_at(a.changes[0].hash), Some(then));
    assert_eq!(a.document.entries_at(a.changes[2].hash), Some(vec![]));
    assert_eq!(a.document.entries_at(names::ChangeHash([7; 32])), None);
}

/// What the memory is bounded by: notes of 50 kB that are overwritten nine times.
#[test]
fn text_counts_as_memory_however_it_came_also_when_it_was_overwritten() {
    let (mut a, mut b, id) = two_with("milk");
    let small = a.document.bytes();
    for letter in 'a'..='j' {
        let notes = letter.to_string().repeat(50_000);
        a.patch(
            id,
            EntryPatch {
                notes: Some(notes),
                ..EntryPatch::default()
            },
        );
    }
    b.pull(&a);
    let saved = a.document.save();
    assert!(saved.len() < 10_000, "it is compressed");
    let name = ListName::new("groceries").unwrap();
    let loaded = Document::load(name, Actor([3; 16]), Some(&saved), &[]).unwrap();
    let grown = loaded.bytes() - small;
    assert!((500_000..600_000).contains(&grown), "{grown}");
    // With the room that writing between other values may have left.
    for document in [&a.document, &b.document] {
        let grown = document.bytes() - small;
        assert!((500_000..20_000_000).contains(&grown), "{grown}");
    }
}

#[test]
fn what_is_no_list_does_not_load() {
    let load = |snapshot: &[u8], changes: &[bytes::Bytes]| {
        Document::load(
            ListName::new("l").unwrap(),
            Actor([1; 16]),
            Some(snapshot),
            changes,
        )
        .unwrap_err()
    };
    let mut other = automerge::Automerge::new().with_actor(automerge::ActorId::from([9; 16]));
    let mut transaction = other.transaction();
    transaction
        .put_object(automerge::ROOT, genesis::KEY, automerge::ObjType::Map)
        .unwrap();
    transaction.commit();
    assert_eq!(load(&other.save(), &[]), LoadError::Genesis);
    assert!(matches!(load(b"rubbish", &[]), LoadError::Automerge(_)));
    assert_eq!(load(&[], &[]), LoadError::Genesis);
    let mut a = Replica::new(1);
    let snapshot = a.document.save();
    a.add("milk");
    a.add("bread");
    assert_eq!(
        load(&snapshot, &[a.changes[1].bytes.clone()]),
        LoadError::Incomplete(1)
    );
}

#[test]
fn room_that_edits_between_long_notes_leave_is_counted_and_given_back() {
    let mut a = Replica::new(1);
    let long = || NewEntry {
        title: "long".into(),
        notes: "n".repeat(40_000),
        ..NewEntry::default()
    };
    let ids = a
        .edit(&Edit::Add((0..25).map(|_| long()).collect()))
        .results;
    let before = a.document.bytes();
    let content = 25 * 40_000;
    assert!((content..2 * content).contains(&before), "{before}");
    for _ in 0..50 {
        a.add("behind all of them");
    }
    assert!(a.document.bytes() < 2 * content, "additions leave none");
    let mut highest = 0;
    for (nth, id) in ids.iter().cycle().take(100).enumerate() {
        a.patch(*id, done(nth % 2 == 0));
        highest = highest.max(a.document.bytes());
    }
    assert!(highest > before + 10 * content, "it is counted: {highest}");
    assert!(highest < 24 * content, "and given back: {highest}");
    a.edit(&Edit::DeleteAll);
    assert!(a.document.bytes() < 3 * content);
}
