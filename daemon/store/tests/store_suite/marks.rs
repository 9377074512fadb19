//! Directories of programs that knew an actor's last change by its number only.

use crate::damage::spoil;
use crate::rows;
use names::ListId;
use node::lists::{Row, Source};
use std::path::Path;

const LISTS: u64 = 5;
const CHANGES: u64 = 3;
/// A list's row that such a program wrote ends before this field.
const CONTENT_SUM: u8 = 8;

fn fill(dir: &Path) {
    let (store, ..) = rows::open(dir);
    for list in 1..=LISTS {
        let changes = (1..=CHANGES).map(|seq| rows::change(list, seq));
        let vector = rows::vector(list, CHANGES);
        let all: Vec<Row> = changes.chain([rows::list(list, 0, &vector)]).collect();
        rows::commit(&store, all).unwrap();
    }
    store.close();
}

/// Makes the rows of lists what such a program wrote.
fn forget_marks(dir: &Path, is_old: impl Fn(ListId) -> bool) {
    let is_of_old = |key: &[u8]| {
        let list: [u8; 16] = key[..16].try_into().unwrap();
        is_old(ListId(list))
    };
    for space in ["lists-2", "vectors-2"] {
        spoil(dir, space, |space| {
            let all: Vec<_> = space.iter().map(|row| row.into_inner().unwrap()).collect();
            for (key, value) in all.into_iter().filter(|(key, _)| is_of_old(key)) {
                space.insert(key, cut(&value)).unwrap();
            }
        });
    }
}

/// A row without the fields that such a program did not write.
fn cut(row: &[u8]) -> Vec<u8> {
    let record = crdt::record::Record::read(1, row).unwrap();
    let is_list = record.fields().bytes(6).is_some();
    let newer = if is_list { CONTENT_SUM.into() } else { 2 };
    let mut writer = crdt::record::Writer::new(1);
    for (number, value) in record.fields().take_while(|(number, _)| *number < newer) {
        writer.put_bytes(number, value);
    }
    writer.finish().unwrap()
}

/// Opens the store, and demands that all lists are known by what they hold.
fn assert_complete(dir: &Path) {
    let (store, recovered, _) = rows::open(dir);
    let sums: std::collections::BTreeMap<_, _> = recovered.lists.into_iter().collect();
    for list in 1..=LISTS {
        let (id, vector) = (rows::id(list), rows::vector(list, CHANGES));
        assert_eq!(sums.get(&id), Some(&vector.sums(id)));
        let reader = store.reader();
        assert_eq!(reader.vector(id).as_ref(), Ok(&vector));
        assert_eq!(reader.list(id).unwrap().unwrap().sums, vector.sums(id));
    }
    store.close();
}

/// Whether a row of a keyspace is one that such a program would have written.
fn has_old_rows(dir: &Path) -> bool {
    let found = std::cell::Cell::new(false);
    for space in ["lists-2", "vectors-2"] {
        spoil(dir, space, |space| {
            let rows = space.iter().map(|row| row.into_inner().unwrap().1);
            rows.for_each(|row| found.set(found.get() || cut(&row) == *row));
        });
    }
    found.get()
}

#[test]
fn rows_without_hashes_are_completed_when_they_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    assert_complete(dir.path());
    forget_marks(dir.path(), |_| true);
    assert!(has_old_rows(dir.path()));
    assert_complete(dir.path());
    assert!(!has_old_rows(dir.path()), "the work is done once");
    assert_complete(dir.path());
}

#[test]
fn what_a_crash_left_undone_is_done_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    // Each list is completed in one write: a crash leaves some as they are.
    forget_marks(dir.path(), |list| list >= rows::id(3));
    assert!(has_old_rows(dir.path()));
    assert_complete(dir.path());
    assert!(!has_old_rows(dir.path()));
}

#[test]
fn an_older_program_may_have_written_to_some_lists_since() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    // It writes the list's row and those of the actors that went on; the others stay complete.
    let lists = |space: &fjall::Keyspace| {
        let all: Vec<_> = space.iter().map(|row| row.into_inner().unwrap()).collect();
        for (key, value) in all {
            space.insert(key, cut(&value)).unwrap();
        }
    };
    spoil(dir.path(), "lists-2", lists);
    assert_complete(dir.path());
    assert!(!has_old_rows(dir.path()));
}
