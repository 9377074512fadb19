//! What was written on top of a change that leaves its list is written anew.

use super::*;
use crate::entry::Field;
use bytes::Bytes;

/// Replica 1 has begun a list with an entry; 9 has written on, which is to leave the list; 2 has all.
struct Fork {
    base: Replica,
    first: EntryId,
    forged: EntryId,
    gone: Replica,
    top: Replica,
}

impl Fork {
    fn new() -> Self {
        let (base, mut top, first) = two_with("first");
        let mut gone = Replica::new(9);
        gone.pull(&base);
        let forged = gone.add("forged");
        top.pull(&gone);
        Self {
            base,
            first,
            forged,
            gone,
            top,
        }
    }

    /// What stays, with what a node has written on top of what leaves, by another actor of its own.
    fn anew_by(&self, top: &Replica, actor: Actor) -> (Document, Vec<Anew>) {
        let parts = [&self.base, &self.gone, top];
        let all = parts.iter().flat_map(|part| &part.changes);
        let mut all: Vec<Bytes> = all.map(|change| change.bytes.clone()).collect();
        all.sort_by_cached_key(|bytes| start_op(bytes));
        let stays = self.base.changes.iter().map(|change| change.bytes.clone());
        let stays: Vec<Bytes> = stays.collect();
        let name = self.base.document.name().clone();
        let mut document = Document::load(name, actor, None, &stays).unwrap();
        let lost = top.changes.iter().map(|change| change.hash).collect();
        let anew = document.write_anew(&all, &lost).unwrap();
        (document, anew)
    }

    fn anew(&self) -> (Document, Vec<Anew>) {
        self.anew_by(&self.top, Actor([7; 16]))
    }

    fn titles(&self) -> Vec<String> {
        let entries = self.anew().0.entries();
        entries.into_iter().map(|entry| entry.title).collect()
    }
}

#[test]
fn an_addition_comes_back_as_a_change_of_its_author_at_its_time() {
    let mut fork = Fork::new();
    let id = fork.top.add("on top");
    let (document, anew) = fork.anew();
    assert_eq!(fork.titles(), ["first", "on top"]);
    let [
        Anew {
            instead_of,
            changes,
        },
    ] = anew.as_slice()
    else {
        panic!("{anew:?}");
    };
    let [change] = changes.as_slice() else {
        panic!("{changes:?}");
    };
    let (old, new) = (&fork.top.changes[0], judge(change.bytes.clone()).unwrap());
    let old_change = judge(old.bytes.clone()).unwrap();
    assert_eq!((*instead_of, change.id.actor), (old.hash, Actor([7; 16])));
    assert_eq!(new.author(), Author("user@node2".to_owned()));
    assert_eq!(new.at_ms(), old_change.at_ms());
    assert!(document.has(&change.hash) && !document.has(&old.hash));
    assert_eq!(document.standing(id), Standing::Alive);
}

#[test]
fn what_was_not_kept_is_made_again_as_it_was() {
    let mut fork = Fork::new();
    fork.top.add("on top");
    let (first, forged) = (fork.first, fork.forged);
    fork.top.patch(first, title("mine"));
    fork.top.patch(forged, title("mine, too"));
    assert_eq!(fork.anew().1, fork.anew().1);
}

#[test]
fn edits_and_deletions_come_back_and_nothing_else_of_what_left() {
    let mut fork = Fork::new();
    let second = fork.base.add("second");
    fork.top.pull(&fork.base);
    fork.top.patch(
        fork.first,
        EntryPatch {
            done: Some(true),
            tags: Some(vec!["red".to_owned()]),
            ..EntryPatch::default()
        },
    );
    fork.top.edit(&Edit::Delete(second));
    let document = fork.anew().0;
    let entry = document.entry(fork.first).unwrap();
    assert_eq!((entry.title.as_str(), entry.is_open()), ("first", false));
    assert_eq!(entry.tags, ["red"]);
    assert_eq!(document.standing(second), Standing::Dead);
    assert_eq!(document.standing(fork.forged), Standing::Unknown);
}

#[test]
fn an_entry_that_left_comes_back_as_it_was_edited() {
    let mut fork = Fork::new();
    fork.top.patch(fork.forged, title("corrected"));
    assert_eq!(fork.titles(), ["first", "corrected"]);
}

#[test]
fn where_nothing_is_left_to_say_nothing_is_said() {
    let mut fork = Fork::new();
    fork.top.edit(&Edit::Delete(fork.forged));
    let (document, anew) = fork.anew();
    assert_eq!(anew.len(), 1);
    assert_eq!(anew[0].changes, []);
    assert_eq!(document.total(), 1);
}

#[test]
fn an_edit_that_is_written_anew_wins_over_a_deletion_that_did_not_know_of_it() {
    let mut fork = Fork::new();
    fork.top.patch(fork.first, title("edited"));
    fork.base.edit(&Edit::Delete(fork.first));
    let entry = fork.anew().0.entry(fork.first).unwrap();
    assert_eq!((entry.title.as_str(), entry.conflicts), ("edited", vec![]));
}

#[test]
fn entries_come_back_to_their_places() {
    let mut fork = Fork::new();
    let add = |title: &str, place| NewEntry {
        title: title.to_owned(),
        place: Some(place),
        ..NewEntry::default()
    };
    let additions = vec![
        add("before all", Place::Before(fork.first)),
        add("behind the first", Place::After(fork.first)),
    ];
    fork.top.edit(&Edit::Add(additions));
    fork.top.add("at the end");
    let titles = ["before all", "first", "behind the first", "at the end"];
    assert_eq!(fork.titles(), titles);
    let anew = fork.anew().1;
    assert!(anew.iter().all(|anew| anew.changes.len() == 1), "{anew:?}");
    let place = Some(Place::After(fork.forged));
    let moved = EntryPatch {
        place,
        ..EntryPatch::default()
    };
    fork.top.patch(fork.first, moved);
    let titles = ["before all", "behind the first", "first", "at the end"];
    assert_eq!(fork.titles(), titles);
}

#[test]
fn what_two_nodes_write_anew_of_one_entry_is_one_entry() {
    let mut fork = Fork::new();
    fork.top.patch(fork.forged, title("one"));
    let mut other = Replica::new(3);
    other.pull(&fork.base);
    other.pull(&fork.gone);
    other.patch(fork.forged, title("other"));
    let (mut document, _) = fork.anew();
    let (_, anew) = fork.anew_by(&other, Actor([8; 16]));
    let changes = anew.iter().flat_map(|anew| &anew.changes);
    let changes = changes.map(|change| judge(change.bytes.clone()).unwrap());
    document.apply(changes.collect()).unwrap();
    assert_eq!(document.total(), 2);
    let conflicts = document.entry(fork.forged).unwrap().conflicts;
    assert_eq!(conflicts, [Field::Title]);
}
