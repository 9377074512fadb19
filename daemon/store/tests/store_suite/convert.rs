//! A data directory of format 1 is opened, and what interrupts that does no harm.

use crate::rows;
use node::cluster::Kept;
use node::lists::{Remake, Source};
use node::registry::Rows;
use std::path::Path;
use store::Store;

/// The directory that the first program of format 1 has written, as the tests of whole programs
/// keep it; see `tests/tests/processes/kept.rs` for its form.
fn unpack(dir: &Path) {
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

fn format(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("format")).unwrap()
}

/// All that the directory has must be there.
fn check(dir: &Path) {
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
