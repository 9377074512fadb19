//! The row of the table about a data directory of format 1. The store is opened in this process, as
//! a daemon would go on and make the lists anew.

use crate::kept::Directory;
use crate::table::value;
use crate::usage::cpu_seconds;
use anyhow::{Context, ensure};
use names::{ListId, ListName};
use std::path::Path;
use std::time::Instant;
use store::Store;

const LISTS: usize = 100_000;
const ENTRIES_EACH: usize = 3;

/// Opens a directory of format 1 that has many lists, whose rows are converted by that.
pub(crate) fn converting() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/store-1.txt");
    Directory::open(&golden)?.unpack(&data)?;
    multiply(&data)?;
    let (before, begun) = (cpu_seconds(std::process::id())?, Instant::now());
    let (store, recovered) = Store::open(&data, |_| {}, |_| {})?;
    let span = begun.elapsed().as_secs_f64();
    let cpu = cpu_seconds(std::process::id())? - before;
    store.close();
    ensure!(recovered.lists.len() > LISTS, "some lists are missing");
    value(
        dir.path(),
        &format!("{LISTS} lists of {ENTRIES_EACH} entries converted from format 1"),
        &format!("{span:.2} s, {cpu:.2} s of processor time"),
    )
}

/// Adds many lists to the view of a directory of format 1: copies of the rows that it has.
fn multiply(data: &Path) -> anyhow::Result<()> {
    let database = fjall::Database::builder(data.join("db"))
        .worker_threads(1)
        .open()?;
    let space = |name| database.keyspace(name, fjall::KeyspaceCreateOptions::default);
    let (vectors, lists, entries) = (space("vectors")?, space("lists")?, space("entries")?);
    let (vector, list, entry) = (first(&vectors)?, first(&lists)?, first(&entries)?);
    for number in 0..LISTS {
        let id = ListId::of(&ListName::new(&format!("list {number}"))?);
        vectors.insert([id.0, [7; 16]].concat(), vector.clone())?;
        lists.insert(id.0, list.clone())?;
        for entry_number in 0..ENTRIES_EACH {
            entries.insert(entry_key(id, entry_number), entry.clone())?;
        }
    }
    Ok(database.persist(fjall::PersistMode::SyncAll)?)
}

/// The value of the first row.
fn first(space: &fjall::Keyspace) -> anyhow::Result<fjall::Slice> {
    Ok(space.iter().next().context("it has rows")?.value()?)
}

/// The key of an entry: its list, its place, and its id.
fn entry_key(list: ListId, number: usize) -> Vec<u8> {
    let id = (number as u128).to_be_bytes();
    [&list.0[..], format!("{number:08}").as_bytes(), &[0, 0], &id].concat()
}
