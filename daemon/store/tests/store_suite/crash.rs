//! What kill -9 must not take away.

use crate::{rows, writer};
use names::ChangeId;
use node::lists::{Row, Source};
use rand::RngExt;
use std::path::Path;

const KILLS: u64 = 8;

#[test]
fn every_acknowledged_commit_survives_kill_9() {
    writer::write_if_told();
    let dir = tempfile::tempdir().unwrap();
    let mut last = None;
    for kill in 1..=KILLS {
        let mut writer = writer::Writer::start(
            "crash::every_acknowledged_commit_survives_kill_9",
            dir.path(),
        );
        writer.wait_for(rand::rng().random_range(1..600));
        last = writer.kill().or(last);
        // Every other time the next writer finds the store as the kill left it.
        if kill % 2 == 0 {
            let (store, ..) = rows::open(dir.path());
            writer::check(&store, last);
            store.close();
        }
    }
}

/// Copies a store as it is on the disk now.
pub(crate) fn image(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let copy = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            image(&file.path(), &copy);
        } else {
            std::fs::copy(file.path(), copy).unwrap();
        }
    }
}

#[test]
fn a_torn_commit_at_the_end_does_not_keep_the_store_from_opening() {
    const COMMITS: u64 = 5;
    let (dir, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, ..) = rows::open(dir.path());
    let commit = |seq| {
        let bytes: Vec<u8> = rand::random_iter().take(20_000).collect();
        let id = ChangeId {
            actor: rows::ACTOR,
            seq,
        };
        rows::commit(
            &store,
            vec![Row::Change {
                list: rows::id(1),
                id,
                hash: crdt::list::hash_of(&bytes),
                bytes: bytes.into(),
            }],
        )
        .unwrap();
    };
    (1..=COMMITS).for_each(commit);
    image(dir.path(), crashed.path());
    store.close();

    // Its last block was written, one before it was not.
    let journal = crashed.path().join("db/0.jnl");
    let mut bytes = std::fs::read(&journal).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 8192..end - 4096].fill(0);
    std::fs::write(&journal, bytes).unwrap();

    for _ in 0..2 {
        let (store, ..) = rows::open(crashed.path());
        let seq = store.reader().vector(rows::id(1)).unwrap().seq(rows::ACTOR);
        assert!(seq >= COMMITS - 1);
        rows::commit(&store, vec![rows::change(1, seq + 1)]).unwrap();
        store.close();
    }
}

#[test]
fn a_commit_torn_between_two_lengths_does_not_keep_the_store_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ..) = rows::open(dir.path());
    rows::commit(&store, vec![rows::change(1, 1)]).unwrap();
    store.close();
    // A batch of one item with a key of 4 bytes: the length of the value was written, and what follows
    // it was not.
    let start = [&[1][..], &1_u32.to_le_bytes(), &99_u64.to_le_bytes()].concat();
    let item = [&[2, 0, 0][..], &1_u64.to_le_bytes(), &4_u16.to_le_bytes()].concat();
    let torn = [start, item, 180_u32.to_le_bytes().to_vec()].concat();
    let journal = dir.path().join("db/0.jnl");
    let mut bytes = std::fs::read(&journal).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    bytes.truncate(used);
    bytes.extend(torn);
    bytes.resize(used + 4096, 0);
    std::fs::write(&journal, bytes).unwrap();

    for seq in 2..4 {
        let (store, ..) = rows::open(dir.path());
        let vector = store.reader().vector(rows::id(1)).unwrap();
        assert_eq!(vector.seq(rows::ACTOR), seq - 1);
        rows::commit(&store, vec![rows::change(1, seq)]).unwrap();
        store.close();
    }
}
