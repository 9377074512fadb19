//! A data directory of format 1 is opened, and what interrupts that does no harm.

use crate::rows;
use names::{Actor, ListId};
use node::cluster::Kept;
use node::lists::{Done, Job, Remake, Row, Source};
use node::registry::Rows;
use std::path::Path;
use std::sync::Arc;
use store::{ReadError, Reader, Store};

/// The directory that the first program of format 1 has written, as the tests of whole programs
/// keep it; see `tests/tests/processes/kept.rs` for its form.
pub(crate) fn unpack(dir: &Path) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/store-1.txt");
    let text = std::fs::read_to_string(golden).unwrap();
    for line in text.lines() {
        let Some(file) = line.strip_prefix("file ") else {
            continue;
        };
        let words: Vec<&str> = file.split(' ').collect();
        let path = dir.join(words[0]);
        let digits = words.get(2).copied().unwrap_or_default();
        let mut bytes: Vec<u8> = (0..digits.len() / 2)
            .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        bytes.resize(words[1].parse().unwrap(), 0);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

pub(crate) fn format(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("format")).unwrap()
}

/// All that the directory has must be there.
pub(crate) fn check(dir: &Path) {
    let (store, recovered, _) = rows::open(dir);
    assert_eq!(recovered.lists.len(), 2);
    let kept = Kept::read(recovered.cluster.as_ref().unwrap()).unwrap();
    assert_ne!(kept, Kept::default());
    assert!(Rows::read(&recovered.processes).is_ok());
    assert_eq!(recovered.processes.len(), 1);
    let reader = store.reader();
    let tokens = reader.tokens().unwrap();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].1.scope, "sd");
    let mut titles = Vec::new();
    for list in reader.lists(None).map(Result::unwrap) {
        let list = names::ListId::of(&list.name);
        assert!(!reader.vector(list).unwrap().is_empty());
        titles.extend(reader.entries(list, None).map(|entry| entry.unwrap().title));
    }
    titles.sort();
    assert_eq!(
        titles,
        ["bread", "check the bilge pumps", "oat milk", "salt", "tea"]
    );
    assert_eq!(reader.agenda(None, None, None).count(), 5);
    store.close();
}

#[test]
fn a_directory_of_format_1_is_converted_with_all_that_it_has() {
    let dir = tempfile::tempdir().unwrap();
    unpack(dir.path());
    assert_eq!(format(dir.path()), "1\n");
    let (store, recovered, _) = rows::open(dir.path());
    assert_eq!(format(dir.path()), "2\n");
    assert!(
        recovered
            .remake
            .iter()
            .all(|(_, remake)| *remake == Remake::Converted)
    );
    assert_eq!(recovered.remake.len(), 2, "their rows have no tags yet");
    store.close();
    check(dir.path());
}

/// What the job that makes a list anew wants written.
fn remade(reader: &Reader, list: ListId) -> Row {
    let job = Job::Rebuild {
        actor: Actor([0; 16]),
        thorough: false,
    };
    let Done::Rebuilt(Ok(rebuilt)) = job.run(list, reader) else {
        unreachable!("it can be made anew");
    };
    Row::View {
        list,
        row: rebuilt.row,
        entries: rebuilt.entries,
        thorough: false,
    }
}

#[test]
fn an_entry_that_was_converted_is_read_with_its_tag_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    unpack(dir.path());
    let (store, recovered, _) = rows::open(dir.path());
    let reader = store.reader();
    for (list, _) in recovered.lists {
        let ids: Vec<_> = reader
            .entries(list, None)
            .map(|entry| entry.unwrap().id)
            .collect();
        assert!(!ids.is_empty());
        for id in &ids {
            assert_eq!(reader.entry(list, *id), Err(ReadError::Converted { list }));
        }
        rows::commit(&store, vec![remade(&reader, list)]).unwrap();
        for id in &ids {
            assert_ne!(reader.entry(list, *id).unwrap().unwrap().tag, 0);
        }
    }
    store.close();
}

/// A write makes the list's row and the entry's anew, but not those of the other entries.
#[test]
fn a_list_that_is_written_to_after_the_conversion_is_made_anew_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    unpack(dir.path());
    let (store, recovered, _) = rows::open(dir.path());
    let list = ListId::of(&names::ListName::new("groceries").unwrap());
    let reader = store.reader();
    let row = reader.list(list).unwrap().unwrap();
    let mut entries = reader.entries(list, None).map(Result::unwrap);
    let (written, other) = (entries.next().unwrap(), entries.next().unwrap());
    drop(entries);
    let written = crdt::entry::Entry { tag: 7, ..written };
    let row = node::lists::ListRow {
        has_unknown_keys: false,
        ..row
    };
    let rows = vec![
        Row::List { list, row },
        Row::Entry {
            list,
            id: written.id,
            entry: Some(Arc::new(written.clone())),
        },
    ];
    rows::commit(&store, rows).unwrap();
    store.close();
    let (store, again, _) = rows::open(dir.path());
    assert_eq!(again.remake, recovered.remake);
    let reader = store.reader();
    assert_eq!(reader.entry(list, written.id).unwrap().unwrap().tag, 7);
    let converted = Err(ReadError::Converted { list });
    assert_eq!(reader.entry(list, other.id), converted);
    rows::commit(&store, vec![remade(&reader, list)]).unwrap();
    assert_ne!(reader.entry(list, other.id).unwrap().unwrap().tag, 0);
    store.close();
    let (store, left, _) = rows::open(dir.path());
    assert_eq!(left.remake.len(), recovered.remake.len() - 1);
    store.close();
}

/// The state of a directory when the conversion is through but for the file `format`.
#[test]
fn a_conversion_that_was_interrupted_begins_again() {
    let (dir, converted) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    unpack(dir.path());
    // A database that has both forms of all rows, the new ones with rubbish.
    let database = |dir: &Path| {
        fjall::Database::builder(dir.join("db"))
            .worker_threads(1)
            .open()
            .unwrap()
    };
    let spaces = [
        "vectors-2",
        "lists-2",
        "entries-2",
        "snapshots-2",
        "processes-2",
        "meta-2",
    ];
    {
        let db = database(dir.path());
        for space in spaces {
            let space = db
                .keyspace(space, fjall::KeyspaceCreateOptions::default)
                .unwrap();
            for n in 0..2_000_u32 {
                space
                    .insert(n.to_be_bytes(), "left by an earlier attempt")
                    .unwrap();
            }
        }
        db.persist(fjall::PersistMode::SyncAll).unwrap();
    }
    check(dir.path());
    // What is left of format 1 once the file `format` says 2 goes with the next start.
    unpack(converted.path());
    rows::open(converted.path()).0.close();
    {
        let db = database(converted.path());
        db.keyspace("entries", fjall::KeyspaceCreateOptions::default)
            .unwrap();
    }
    check(converted.path());
    assert!(!database(converted.path()).keyspace_exists("entries"));
}

#[test]
fn a_row_that_must_not_be_lost_stops_the_conversion_in_words() {
    let dir = tempfile::tempdir().unwrap();
    unpack(dir.path());
    {
        let db = fjall::Database::builder(dir.path().join("db"))
            .worker_threads(1)
            .open()
            .unwrap();
        let meta = db
            .keyspace("meta", fjall::KeyspaceCreateOptions::default)
            .unwrap();
        meta.insert("cluster", "rubbish").unwrap();
        db.persist(fjall::PersistMode::SyncAll).unwrap();
    }
    let refused = Store::open(dir.path(), |_| {}, |_| {}).err().unwrap();
    let words = refused.to_string();
    assert!(
        words.contains(
            "cannot be converted from format 1 to format 2, and stays as it is: the state \
            of the cluster cannot be read"
        ),
        "{words}"
    );
    assert_eq!(format(dir.path()), "1\n");
}
