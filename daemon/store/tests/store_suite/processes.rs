//! The process registry's rows: there after any end of this process.

use crate::{rows, writer};
use bytes::Bytes;
use node::registry::KeptRow;
use node::wire::WriteError;
use std::path::Path;
use std::sync::mpsc::channel;
use store::Store;

fn row(key: u64, value: Option<u64>) -> KeptRow {
    let value = value.map(|value| Bytes::from(format!("value {value} {}", "x".repeat(200))));
    KeptRow {
        key: Bytes::from(format!("p{key:03}")),
        value,
    }
}

fn keep(store: &Store, rows: Vec<KeptRow>) -> Result<(), WriteError> {
    let (tell, told) = channel();
    store.keep_processes(rows, Box::new(move |result| tell.send(result).unwrap()));
    told.recv().unwrap()
}

#[test]
fn kept_rows_are_there_after_a_restart_until_they_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, fresh, _) = rows::open(dir.path());
    assert_eq!(fresh.processes, []);
    keep(
        &store,
        vec![row(2, Some(1)), row(1, Some(1)), row(3, Some(1))],
    )
    .unwrap();
    keep(
        &store,
        vec![row(2, Some(2)), row(3, Some(9)), row(3, None), row(4, None)],
    )
    .unwrap();
    store.close();
    let (store, recovered, _) = rows::open(dir.path());
    assert_eq!(recovered.processes, [row(1, Some(1)), row(2, Some(2))]);
    store.close();
    assert_eq!(keep(&store_of(dir.path()), vec![row(1, None)]), Ok(()));
}

fn store_of(dir: &Path) -> Store {
    rows::open(dir).0
}

/// Keeps row `n % 50` with the value `n`, for ever.
fn keep_if_told() {
    let Some(dir) = std::env::var_os(writer::DIR) else {
        return;
    };
    let (store, recovered, _) = rows::open(Path::new(&dir));
    for n in next(&recovered.processes).. {
        writer::acknowledge(n, keep(&store, vec![row(n % 50, Some(n))]));
    }
}

fn values(kept: &[KeptRow]) -> Vec<u64> {
    let number = |row: &KeptRow| {
        std::str::from_utf8(row.value.as_ref()?)
            .ok()?
            .split(' ')
            .nth(1)?
            .parse()
            .ok()
    };
    kept.iter().map(|row| number(row).unwrap()).collect()
}

fn next(kept: &[KeptRow]) -> u64 {
    values(kept).into_iter().max().map_or(0, |last| last + 1)
}

#[test]
fn every_acknowledged_row_survives_kill_9_without_a_sync() {
    keep_if_told();
    let dir = tempfile::tempdir().unwrap();
    for kill in 1..=4 {
        let mut keeper = writer::Writer::start(
            "processes::every_acknowledged_row_survives_kill_9_without_a_sync",
            dir.path(),
        );
        let waited = keeper.wait_for(kill * 100);
        let last = keeper.kill().unwrap_or(waited);
        let (store, recovered, _) = rows::open(dir.path());
        let (count, mut kept) = (next(&recovered.processes), values(&recovered.processes));
        kept.sort();
        assert!(
            count > last,
            "{last} was acknowledged, but the last row is {count}"
        );
        assert_eq!(kept, (count.saturating_sub(50)..count).collect::<Vec<_>>());
        store.close();
    }
}
