//! Rubbish in the rows of a list's view: seen when it is read, and gone when the view is replaced.

use crate::rows;
use crdt::vector::VersionVector;
use names::ListId;
use node::lists::{Remake, Row, Source};
use std::path::Path;
use std::sync::Arc;
use store::{ReadError, Reader, Store};

/// Overwrites or adds a row while the store is closed.
pub(crate) fn spoil(dir: &Path, space: &str, change: impl Fn(&fjall::Keyspace)) {
    let db = fjall::Database::builder(dir.join("db"))
        .worker_threads(1)
        .open()
        .unwrap();
    let space = db
        .keyspace(space, fjall::KeyspaceCreateOptions::default)
        .unwrap();
    change(&space);
    db.persist(fjall::PersistMode::SyncAll).unwrap();
}

/// Rubbish as the value of every row.
fn in_all_rows(space: &fjall::Keyspace) {
    let keys: Vec<_> = space.iter().map(|row| row.key().unwrap()).collect();
    assert!(!keys.is_empty());
    for key in keys {
        space.insert(key, "rubbish").unwrap();
    }
}

fn vector() -> VersionVector {
    rows::vector(1, 2)
}

fn entries() -> Vec<Arc<crdt::entry::Entry>> {
    let due = Some(crdt::entry::Due::Instant(5));
    vec![
        Arc::new(rows::entry(1, "milk", "a", due)),
        Arc::new(rows::entry(2, "bread", "b", None)),
    ]
}

/// A list with two entries of which the agenda has a row.
fn fill(dir: &Path) {
    let store = rows::open(dir).0;
    let mut all = vec![
        rows::change(1, 1),
        rows::change(1, 2),
        rows::list(1, 2, &vector()),
    ];
    all.extend(
        entries()
            .iter()
            .map(|entry| rows::entry_row(1, entry.as_ref().clone())),
    );
    rows::commit(&store, all).unwrap();
    store.close();
}

fn replace(store: &Store) {
    let Row::List { list, row } = rows::list(1, 2, &vector()) else {
        unreachable!("it is a list's row")
    };
    let view = Row::View {
        list,
        row,
        entries: entries(),
        thorough: true,
    };
    rows::commit(store, vec![view]).unwrap();
}

fn assert_right(reader: &Reader) {
    let list = rows::id(1);
    let titles = |found: Vec<crdt::entry::Entry>| -> Vec<String> {
        found.into_iter().map(|entry| entry.title).collect()
    };
    assert_eq!(reader.lists(None).map(Result::unwrap).count(), 1);
    assert_eq!(reader.list(list).unwrap().unwrap().total, 2);
    assert_eq!(reader.vector(list).unwrap(), vector());
    let all = reader.entries(list, None).collect::<Result<_, _>>();
    assert_eq!(titles(all.unwrap()), ["milk", "bread"]);
    let due = reader.due_in(list, 0, 9).collect::<Result<_, _>>();
    assert_eq!(titles(due.unwrap()), ["milk"]);
    let agenda = reader.agenda(None, None, None).map(|row| Ok(row?.2));
    let agenda = agenda.collect::<Result<_, ReadError>>();
    assert_eq!(titles(agenda.unwrap()), ["milk", "bread"]);
    for entry in entries() {
        assert_eq!(
            reader.entry(list, entry.id).unwrap(),
            Some(entry.as_ref().clone())
        );
    }
}

/// Whether reading everything meets a damaged row of that list.
fn meets_damage(reader: &Reader, list: ListId) -> bool {
    let is_damage =
        |error: ReadError| matches!(error, ReadError::View { list: of, .. } if of == list);
    let entries = entries();
    let single = entries
        .iter()
        .filter_map(|entry| reader.entry(list, entry.id).err());
    let pages = reader.entries(list, None).filter_map(Result::err);
    let due = reader.due_in(list, 0, 9).filter_map(Result::err);
    let agenda = reader.agenda(None, None, None).filter_map(Result::err);
    let lists = reader.lists(None).filter_map(Result::err);
    let all = single.chain(pages).chain(due).chain(agenda).chain(lists);
    all.map(is_damage).collect::<Vec<_>>().contains(&true)
}

#[test]
fn rubbish_in_rows_is_seen_on_reading_and_gone_when_the_view_is_replaced() {
    for space in ["entries-2", "ids", "lists-2"] {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        spoil(dir.path(), space, in_all_rows);
        let (store, recovered, _) = rows::open(dir.path());
        let expected = if space == "lists-2" {
            vec![(rows::id(1), Remake::Damaged)]
        } else {
            Vec::new()
        };
        assert_eq!(recovered.remake, expected, "{space}");
        assert_eq!(
            recovered.lists,
            [(rows::id(1), vector().sums(rows::id(1)))],
            "{space}"
        );
        assert!(meets_damage(&store.reader(), rows::id(1)), "{space}");
        assert_eq!(store.reader().name(rows::id(1)), Ok(Some(rows::name(1))));
        replace(&store);
        assert_right(&store.reader());
        store.close();
        let (store, recovered, _) = rows::open(dir.path());
        assert_eq!(recovered.remake, [], "{space}");
        assert_right(&store.reader());
        store.close();
    }
}

/// What these rows hold follows from their keys, or from the changes.
#[test]
fn rubbish_in_rows_that_follow_from_others_does_no_harm() {
    for space in ["names", "dues", "agenda", "vectors-2"] {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        spoil(dir.path(), space, in_all_rows);
        let store = rows::open(dir.path()).0;
        assert_right(&store.reader());
        replace(&store);
        assert_right(&store.reader());
        store.close();
    }
}

#[test]
fn rows_that_nothing_leads_to_are_found() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    spoil(dir.path(), "agenda", |agenda| {
        let key = agenda.iter().next().unwrap().key().unwrap();
        let mut stray = key.to_vec();
        stray[8] = stray[8].wrapping_add(1);
        agenda.insert(stray, "").unwrap();
        agenda.insert("no key of the agenda", "").unwrap();
    });
    let store = rows::open(dir.path()).0;
    assert!(meets_damage(&store.reader(), rows::id(1)));
    replace(&store);
    assert_right(&store.reader());
    store.close();
}

/// One list's turn is enough for rows of all lists, and takes none from a list whose own rows do not
/// say which are right.
#[test]
fn rows_that_nothing_of_other_lists_leads_to_are_found() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let store = rows::open(dir.path()).0;
    let due = Some(crdt::entry::Due::Instant(6));
    for list in [2, 3] {
        let entry = rows::entry_row(list, rows::entry(9, "salt", "a", due));
        let row = rows::list(list, 1, &VersionVector::default());
        rows::commit(&store, vec![row, entry]).unwrap();
    }
    store.close();
    spoil(dir.path(), "agenda", |agenda| {
        let keys: Vec<_> = agenda.iter().map(|row| row.key().unwrap()).collect();
        let of_list = b"list 2\0";
        let find = |key: &fjall::Slice| key.windows(of_list.len()).any(|part| part == of_list);
        let mut stray = keys.into_iter().find(find).unwrap().to_vec();
        stray[8] = stray[8].wrapping_add(1);
        agenda.insert(stray, "").unwrap();
    });
    spoil(dir.path(), "ids", |ids| {
        let of_list = rows::id(3).0;
        let keys = ids.iter().map(|row| row.key().unwrap());
        let keys: Vec<_> = keys.filter(|key| key.starts_with(&of_list)).collect();
        for key in keys {
            ids.insert(key, "rubbish which is long enough for a place")
                .unwrap();
        }
    });
    let store = rows::open(dir.path()).0;
    assert!(meets_damage(&store.reader(), rows::id(2)));
    replace(&store);
    let reader = store.reader();
    let agenda = reader.agenda(None, None, None).map(|row| {
        let (_, list, entry) = row.unwrap();
        (list, entry.title)
    });
    let titles: Vec<(names::ListName, String)> = agenda.collect();
    let expected = [(1, "milk"), (2, "salt"), (3, "salt"), (1, "bread")];
    let expected = expected.map(|(list, title)| (rows::name(list), title.to_owned()));
    assert_eq!(titles, expected);
    store.close();
}

#[test]
fn a_row_of_a_token_of_another_version_is_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    spoil(dir.path(), "meta-2", |meta| {
        meta.insert([b"token/".as_slice(), &[1; 8]].concat(), [2])
            .unwrap();
    });
    let store = rows::open(dir.path()).0;
    let error = store.reader().tokens().unwrap_err().to_string();
    assert_eq!(
        error,
        "the row of the token 0101010101010101 cannot be read: it has version 2, but this program \
         knows only version 1"
    );
    store.close();
}
