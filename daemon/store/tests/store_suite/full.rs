//! A disk that fills up: refused in words, nothing acknowledged is lost, and all goes on by itself
//! once there is room.

use crate::mounts::{self, Mount};
use crate::rows;
use crdt::vector::{Range, VersionVector};
use node::lists::Source;
use node::wire::WriteError;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;
use store::{Notice, Store};

const DEADLINE: Duration = Duration::from_secs(60);

/// Takes all space but this much.
pub(crate) fn fill(path: &Path, leave: u64) {
    let stat = rustix::fs::statvfs(path.parent().unwrap()).unwrap();
    let mut file = File::create(path).unwrap();
    for _ in 0..(stat.f_bavail * stat.f_frsize).saturating_sub(leave) / 4096 {
        file.write_all(&[1; 4096]).unwrap();
    }
}

/// Commits changes from `seq` on, several at a time, until one fails; returns the last acknowledged
/// one and the error.
fn commit_until_full(store: &Store, mut seq: u64) -> (u64, WriteError) {
    loop {
        let (tell, told) = channel();
        for seq in seq..seq + 10 {
            let tell = tell.clone();
            let change = vec![
                rows::list(1, 0, &VersionVector::default()),
                rows::change(1, seq),
            ];
            store.commit(change, Box::new(move |result| tell.send(result).unwrap()));
        }
        drop(tell);
        let results: Vec<_> = told.iter().collect();
        seq += results.iter().take_while(|result| result.is_ok()).count() as u64;
        if let Some(error) = results.into_iter().find_map(Result::err) {
            return (seq - 1, error);
        }
    }
}

fn check(store: &Store, last: u64) {
    let found = store
        .reader()
        .changes(
            rows::id(1),
            Range {
                actor: rows::ACTOR,
                from: 1,
                to: last,
            },
        )
        .unwrap();
    assert_eq!(found.len() as u64, last, "all that was acknowledged");
    assert!(
        (1..)
            .zip(&found)
            .all(|(seq, bytes)| *bytes == rows::change_bytes(1, seq))
    );
}

#[test]
fn a_full_disk_loses_nothing_and_is_recovered_from_when_there_is_room() {
    if !mounts::allowed("full::a_full_disk_loses_nothing_and_is_recovered_from_when_there_is_room")
    {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let disk = Mount::new(
        &dir.path().join("mount"),
        &["-t", "tmpfs", "-o", "size=64m", "tmpfs"],
    );
    let ballast = disk.path().join("ballast");
    let (store, _, notices) = rows::open(&disk.path().join("data"));
    let mut last = 0;
    for leave in [300_000, 100_000, 1_000_000] {
        fill(&ballast, leave);
        let (acknowledged, error) = commit_until_full(&store, last + 1);
        last = acknowledged;
        assert_eq!(error, WriteError::Full);
        assert_eq!(
            notices.recv_timeout(DEADLINE),
            Ok(Notice::Failed(WriteError::Full))
        );
        assert_eq!(
            rows::commit(&store, vec![rows::change(1, last + 100_000)]),
            Err(WriteError::Full),
            "at once, and not queued"
        );
        check(&store, last);

        std::fs::remove_file(&ballast).unwrap();
        let reopened = notices.recv_timeout(DEADLINE).unwrap();
        assert!(
            matches!(&reopened, Notice::Reopened(recovered) if recovered.lists.len() == 1),
            "{reopened:?}"
        );
        check(&store, last);
        rows::commit(&store, vec![rows::change(1, last + 1)]).unwrap();
        last += 1;
    }
    assert_eq!(store.stats().reopens, 3);
    store.close();
    let (store, ..) = rows::open(&disk.path().join("data"));
    check(&store, last);
    store.close();
    disk.unmount();
}
