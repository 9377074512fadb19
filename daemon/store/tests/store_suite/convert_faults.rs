//! Conversions of format 1 that are killed, or for which the disk has no room.

use crate::convert::{check, format, unpack};
use crate::full::fill;
use crate::mounts::{self, Mount};
use crate::rows;
use names::ListId;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write, stdout};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use store::Store;

/// Rows enough for a dozen commits of the conversion.
const MANY: usize = 80_000;
/// A list of which there are only entries, so that `check` does not see it.
const LIST: ListId = ListId([9; 16]);

/// The keyspaces of format 1 that are converted, by their names.
const OLD: [&str; 6] = [
    "vectors",
    "lists",
    "entries",
    "snapshots",
    "processes",
    "meta",
];

/// Works on the database of a directory that nobody has open.
fn database<T>(dir: &Path, work: impl FnOnce(&fjall::Database) -> T) -> T {
    let builder = fjall::Database::builder(dir.join("db")).worker_threads(1);
    let database = builder.open().unwrap();
    let worked = work(&database);
    database.persist(fjall::PersistMode::SyncAll).unwrap();
    worked
}

fn space(database: &fjall::Database, name: &str) -> fjall::Keyspace {
    let options = fjall::KeyspaceCreateOptions::default;
    database.keyspace(name, options).unwrap()
}

/// The value of the first row.
fn first(space: &fjall::Keyspace) -> fjall::Slice {
    space.iter().next().unwrap().value().unwrap()
}

/// The key of an entry in `entries`.
fn entry_key(list: ListId, number: usize) -> Vec<u8> {
    let id = (number as u128).to_be_bytes();
    [&list.0[..], format!("{number:08}").as_bytes(), &[0, 0], &id].concat()
}

/// A directory of format 1 with many more entries, all alike.
fn unpack_many(dir: &Path) {
    unpack(dir);
    database(dir, |database| {
        let entries = space(database, "entries");
        let row = first(&entries);
        for number in 0..MANY {
            entries
                .insert(entry_key(LIST, number), row.clone())
                .unwrap();
        }
    });
}

/// How many rows the conversion has made of entries.
fn converted(dir: &Path) -> usize {
    database(dir, |database| space(database, "entries-2").iter().count())
}

/// All rows of format 1 that are converted.
fn old_rows(dir: &Path) -> BTreeMap<(&'static str, Vec<u8>), Vec<u8>> {
    database(dir, |database| {
        let mut rows = BTreeMap::new();
        for name in OLD {
            for row in space(database, name).iter() {
                let (key, value) = row.into_inner().unwrap();
                rows.insert((name, key.to_vec()), value.to_vec());
            }
        }
        rows
    })
}

/// All that the directory had is there, of format 2.
fn check_many(dir: &Path) {
    check(dir);
    assert_eq!(format(dir), "2\n");
    let store = rows::open(dir).0;
    let entries = store.reader().entries(LIST, None);
    assert_eq!(entries.map(Result::unwrap).count(), MANY);
    store.close();
}

/// Tells a process of this test binary to convert, and where.
const DIR: &str = "MUSTER_TEST_CONVERT_DIR";
const BEGINS: &str = "the conversion begins";

/// Converts in a process of its own, which is killed after that time if it still runs. Gives how long
/// it ran.
fn convert_and_kill(dir: &Path, after: Duration) -> Duration {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = "convert_faults::a_conversion_that_is_killed_begins_again";
    command.args(["--exact", test, "--nocapture"]).env(DIR, dir);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(BEGINS)));
    let begun = Instant::now();
    while begun.elapsed() < after && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    begun.elapsed()
}

#[test]
fn a_conversion_that_is_killed_begins_again() {
    const KILLS: usize = 3;
    if let Some(dir) = std::env::var_os(DIR) {
        writeln!(stdout(), "{BEGINS}").unwrap();
        rows::open(Path::new(&dir)).0.close();
        std::process::exit(0);
    }
    let dir = tempfile::tempdir().unwrap();
    unpack_many(dir.path());
    let took = convert_and_kill(dir.path(), Duration::MAX);
    check_many(dir.path());

    // It is killed at several points. Where the conversion was through before the kill, all begins
    // again with another directory.
    let (mut interrupted, mut attempt) = (0, 0);
    let mut dir = tempfile::tempdir().unwrap();
    unpack_many(dir.path());
    let before = old_rows(dir.path());
    while interrupted < KILLS {
        attempt += 1;
        assert!(attempt < 50, "the conversion was met {interrupted} times");
        convert_and_kill(dir.path(), took * (1 + attempt % 7) / 8);
        if format(dir.path()) == "2\n" {
            check_many(dir.path());
            dir = tempfile::tempdir().unwrap();
            unpack_many(dir.path());
        } else if converted(dir.path()) > 0 {
            assert_eq!(old_rows(dir.path()), before);
            interrupted += 1;
        }
    }
    check_many(dir.path());
}

#[test]
fn a_full_disk_stops_a_conversion_in_words_and_harms_nothing() {
    let test = "convert_faults::a_full_disk_stops_a_conversion_in_words_and_harms_nothing";
    if !mounts::allowed(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let disk = Mount::new(
        &dir.path().join("mount"),
        &["-t", "tmpfs", "-o", "size=192m", "tmpfs"],
    );
    let (data, ballast) = (disk.path().join("data"), disk.path().join("ballast"));
    unpack_many(&data);
    let before = old_rows(&data);
    for leave in [0, 50_000, 1_000_000, 6_000_000] {
        fill(&ballast, leave);
        let refused = Store::open(&data, |_| {}, |_| {}).err();
        let words = refused.expect("it is not enough").to_string();
        println!("{leave}: {words}");
        assert!(
            words.contains("the disk is full: make room and start again"),
            "{words}"
        );
        std::fs::remove_file(&ballast).unwrap();
        assert_eq!(format(&data), "1\n");
        assert_eq!(old_rows(&data), before, "{leave}");
    }
    check_many(&data);
    disk.unmount();
}
