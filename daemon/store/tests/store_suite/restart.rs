//! What a store has when it is opened again, and whom it refuses.

use crate::rows;
use bytes::Bytes;
use crdt::vector::{Numbers, Range, VersionVector};
use names::{Actor, NodeId};
use node::lists::{Row, Source};
use node::wire::WriteError;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use store::{OpenError, ReadError, Store, TokenRow};

fn vector(seq: u64) -> VersionVector {
    rows::vector(1, seq)
}

/// A vector as it is read from where only its numbers are kept.
fn numbered(vector: &VersionVector) -> VersionVector {
    Numbers::from(vector).into()
}

fn refusal(dir: &Path) -> OpenError {
    Store::open(dir, |_| {}, |_| {}).err().unwrap()
}

/// Commits rows of each kind.
fn fill(store: &Store) {
    let snapshot = Row::Snapshot {
        list: rows::id(1),
        covers: vector(2),
        bytes: Bytes::from_static(b"saved"),
    };
    rows::commit(
        store,
        vec![
            rows::list(1, 0, &vector(3)),
            rows::change(1, 1),
            rows::change(1, 2),
            rows::change(1, 3),
            snapshot,
        ],
    )
    .unwrap();
    rows::commit(
        store,
        vec![rows::list(2, 0, &rows::vector(2, 1)), rows::change(2, 1)],
    )
    .unwrap();
    rows::commit(
        store,
        vec![Row::Quarantine {
            list: rows::id(2),
            since_ms: 7,
            reason: "it is odd".to_owned(),
        }],
    )
    .unwrap();
    let (tell, told) = channel();
    store.keep_cluster(
        Bytes::from_static(b"roster"),
        Box::new(move |result| tell.send(result).unwrap()),
    );
    assert_eq!(told.recv().unwrap(), Ok(()));
}

#[test]
fn everything_committed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, fresh, _) = rows::open(dir.path());
    assert!(fresh.lists.is_empty() && fresh.cluster.is_none());
    fill(&store);
    store.close();

    let (store, mut recovered, _) = rows::open(dir.path());
    recovered.lists.sort_by_key(|(list, _)| *list);
    let mut lists = vec![
        (rows::id(1), vector(3).sums(rows::id(1))),
        (rows::id(2), rows::vector(2, 1).sums(rows::id(2))),
    ];
    lists.sort_by_key(|(list, _)| *list);
    assert_eq!(recovered.lists, lists);
    assert_eq!(recovered.quarantined, [rows::id(2)]);
    assert_eq!(recovered.cluster, Some(Bytes::from_static(b"roster")));
    let reader = store.reader();
    let row = reader.quarantine(rows::id(2)).unwrap().unwrap();
    assert_eq!((row.since_ms, row.reason.as_str()), (Some(7), "it is odd"));
    assert_eq!(row.name, Some(rows::name(2)));
    assert_eq!(reader.quarantines().unwrap(), [row]);
    assert_eq!(reader.name(rows::id(1)).unwrap(), Some(rows::name(1)));
    assert_eq!(reader.name(rows::id(9)).unwrap(), None);
    assert_eq!(reader.vector(rows::id(1)).unwrap(), vector(3));
    assert_eq!(
        reader.snapshot(rows::id(1)).unwrap(),
        Some((numbered(&vector(2)), Bytes::from_static(b"saved")))
    );
    let range = Range {
        actor: rows::ACTOR,
        from: 2,
        to: 9,
    };
    assert_eq!(
        reader.changes(rows::id(1), range).unwrap(),
        [rows::change_bytes(1, 2), rows::change_bytes(1, 3)]
    );
    assert_eq!(
        reader
            .changes(
                rows::id(1),
                Range {
                    actor: Actor([8; 16]),
                    ..range
                }
            )
            .unwrap(),
        Vec::<Bytes>::new()
    );
}

fn token(uid: u32) -> TokenRow {
    TokenRow {
        uid,
        scope: "sd".to_owned(),
        hash: [9; 32],
        expires_ms: 5,
    }
}

fn keep_token(store: &Store, id: u8, row: Option<TokenRow>) {
    let (tell, told) = channel();
    store.keep_token(
        [id; 8],
        row.as_ref(),
        Box::new(move |result| tell.send(result).unwrap()),
    );
    assert_eq!(told.recv().unwrap(), Ok(()));
}

#[test]
fn a_removed_token_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = rows::open(dir.path()).0;
    [1, 2, 3]
        .into_iter()
        .for_each(|id| keep_token(&store, id, Some(token(1))));
    keep_token(&store, 2, None);
    keep_token(&store, 3, Some(token(2)));
    let tokens = vec![([1; 8], token(1)), ([3; 8], token(2))];
    assert_eq!(store.reader().tokens().unwrap(), tokens);
    store.close();
    assert_eq!(rows::open(dir.path()).0.reader().tokens().unwrap(), tokens);
}

#[test]
fn lists_are_read_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = rows::open(dir.path()).0;
    rows::commit(
        &store,
        [3, 1, 2]
            .map(|list| rows::list(list, list, &vector(1)))
            .to_vec(),
    )
    .unwrap();
    let names = |after| {
        store
            .reader()
            .lists(after)
            .map(|row| row.unwrap().name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(None), [1, 2, 3].map(rows::name));
    assert_eq!(names(Some(&rows::name(1))), [2, 3].map(rows::name));
    assert_eq!(store.reader().list(rows::id(3)).unwrap().unwrap().total, 3);
}

#[test]
fn a_second_daemon_is_refused_and_told_who_has_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ..) = rows::open(dir.path());
    let refused = refusal(dir.path());
    assert!(
        matches!(&refused, OpenError::InUse { pid, .. } if *pid == std::process::id().to_string()),
        "{refused}"
    );
    assert!(
        refused
            .to_string()
            .contains("in use by the daemon with pid"),
        "{refused}"
    );
    store.close();
    rows::open(dir.path());
}

/// A child has a copy of the lock's descriptor from its fork until it executes its program.
#[test]
fn a_closed_store_is_free_also_while_children_are_being_started() {
    let dir = tempfile::tempdir().unwrap();
    let busy = Arc::new(AtomicBool::new(true));
    let children = std::thread::spawn({
        let busy = Arc::clone(&busy);
        move || {
            while busy.load(Ordering::Relaxed) {
                std::process::Command::new("true").status().unwrap();
            }
        }
    });
    for _ in 0..60 {
        let (store, ..) = rows::open(dir.path());
        store.close();
    }
    busy.store(false, Ordering::Relaxed);
    children.join().unwrap();
}

#[test]
fn the_directory_of_another_node_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ..) = rows::open(dir.path());
    store.claim(NodeId([1; 16])).unwrap();
    store.claim(NodeId([1; 16])).unwrap();
    store.close();
    let (store, ..) = rows::open(dir.path());
    let refused = store.claim(NodeId([2; 16])).unwrap_err();
    assert!(
        matches!(
            refused,
            OpenError::OtherNode {
                owner: NodeId([1, ..]),
                node: NodeId([2, ..]),
                ..
            }
        ),
        "{refused}"
    );
}

#[test]
fn a_newer_format_is_refused_and_nothing_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("format"), "3\n").unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o750)).unwrap();
    let refused = refusal(dir.path());
    assert!(
        matches!(refused, OpenError::Newer { found: 3, .. }),
        "{refused}"
    );
    let files: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(files, ["format"]);
    assert_eq!(
        std::fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777,
        0o750
    );
}

#[test]
fn the_data_directory_is_for_its_owner_only() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/b");
    let (store, ..) = rows::open(&dir);
    assert_eq!(
        std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
        0o700
    );
    store.close();
}

#[test]
fn a_closed_store_refuses_commits_and_reads() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ..) = rows::open(dir.path());
    let reader = store.reader();
    store.clone().close();
    assert_eq!(
        rows::commit(&store, vec![rows::change(1, 1)]),
        Err(WriteError::Failed)
    );
    assert_eq!(reader.list(rows::id(1)), Err(ReadError::Reopening));
    assert_eq!(
        reader.lists(None).collect::<Vec<_>>(),
        [Err(ReadError::Reopening)]
    );
    store.close();
}

const LISTS: u64 = 200;
const ROUNDS: u64 = 100;

/// Writes entries that move around in their lists, and ones that come and go.
fn overwrite(store: &Store) {
    let (tell, told) = channel();
    for round in 1..=ROUNDS {
        for list in 0..LISTS {
            // Ten entries that move around in their list, and one that comes and goes.
            let order = format!("{:03}", (round * 7 + list) % 101);
            let moved = rows::entry(
                round % 10,
                &format!("round {round} {}", "x".repeat(300)),
                &order,
                None,
            );
            let fickle = rows::entry(99, "now and then", &order, None);
            let fickle = Row::Entry {
                list: rows::id(list),
                id: fickle.id,
                entry: (round % 2 == 0).then(|| fickle.into()),
            };
            let row = rows::list(list, 11, &vector(round));
            let tell = tell.clone();
            let done = Box::new(move |result: Result<(), WriteError>| tell.send(result).unwrap());
            store.commit(
                vec![
                    row,
                    rows::change(list, round),
                    rows::entry_row(list, moved),
                    fickle,
                ],
                done,
            );
        }
    }
    drop(tell);
    assert!(told.iter().all(|result| result.is_ok()));
}

/// Each list has what the last rounds wrote, and all changes.
fn has_the_last_rounds(store: &Store) {
    for list in 0..LISTS {
        let mut expected: Vec<_> = (ROUNDS - 9..=ROUNDS)
            .map(|round| {
                (
                    format!("{:03}", (round * 7 + list) % 101),
                    u128::from(round % 10),
                )
            })
            .collect();
        expected.push((format!("{:03}", (ROUNDS * 7 + list) % 101), 99));
        expected.sort();
        let found: Vec<_> = store
            .reader()
            .entries(rows::id(list), None)
            .map(Result::unwrap)
            .map(|entry| (entry.order, entry.id.0))
            .collect();
        assert_eq!(found, expected);
        let changes = store
            .reader()
            .changes(
                rows::id(list),
                Range {
                    actor: rows::ACTOR,
                    from: 1,
                    to: ROUNDS,
                },
            )
            .unwrap();
        assert!(
            changes
                .iter()
                .zip(1..)
                .all(|(bytes, seq)| *bytes == rows::change_bytes(list, seq))
                && changes.len() as u64 == ROUNDS
        );
        assert_eq!(
            store.reader().vector(rows::id(list)).unwrap(),
            rows::vector(list, ROUNDS)
        );
    }
    assert_eq!(
        store
            .reader()
            .agenda(None, None, None)
            .map(Result::unwrap)
            .count() as u64,
        LISTS * 11
    );
}

#[test]
fn many_overwritten_rows_are_right_after_compaction_and_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ..) = rows::open(dir.path());
    overwrite(&store);
    has_the_last_rounds(&store);
    store.close();
    has_the_last_rounds(&rows::open(dir.path()).0);
}
