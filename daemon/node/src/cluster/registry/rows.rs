//! The rows that the disk keeps, of [`VERSION`] 1.
//!
//! | key | value |
//! | --- | --- |
//! | `e` name | version (`u8`), then a registration of this node: process, entry, whether it ends with a connection, what a lost name means, whether its exit is reported |
//!
//! Rows of another version, or that do not read, count as lost and are removed.

use super::own::{Life, Registered};
use super::{KeptRow, OnConflict};
use crate::codec::{decode, encode};
use bytes::Bytes;
use crdt::name::ProcessName;
use crdt::registry::{Entry, Process};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const VERSION: u8 = 1;
const ENTRY: u8 = b'e';

/// Names a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowKey {
    /// A registration.
    Entry(ProcessName),
}

impl RowKey {
    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Self::Entry(name) => std::iter::once(ENTRY).chain(name.as_str().bytes()).collect(),
        }
    }
}

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// A registration.
    Entry(ProcessName, Registered),
}

#[derive(Serialize, Deserialize)]
struct KeptEntry {
    process: Process,
    entry: Arc<Entry>,
    connection: bool,
    on_conflict: OnConflict,
    reports_exit: bool,
}

/// The row of a registration.
pub(super) fn entry_row(registered: &Registered) -> Option<Bytes> {
    let Registered { process, entry, life, on_conflict, reports_exit, .. } = registered;
    let connection = *life != Life::Process;
    let entry = Arc::clone(entry);
    value(&KeptEntry { process: *process, entry, connection, on_conflict: *on_conflict, reports_exit: *reports_exit })
}

fn value<T: Serialize>(kept: &T) -> Option<Bytes> {
    // What the limits of an entry admit is never too large.
    encode(&(VERSION, kept)).inspect_err(|error| tracing::error!(%error, "a row of ours is too large")).ok().map(Bytes::from)
}

/// Reads a row.
pub(super) fn read(row: &KeptRow) -> Option<Row> {
    let (kind, key) = row.key.split_first()?;
    let name = ProcessName::new(std::str::from_utf8(key).ok()?).ok()?;
    if *kind != ENTRY {
        return None;
    }
    let (version, kept) = decode::<(u8, KeptEntry)>(row.value.as_ref()?).ok()?;
    let KeptEntry { process, entry, connection, on_conflict, reports_exit } = kept;
    let life = if connection { Life::Orphan } else { Life::Process };
    let registered = Registered { process, entry, life, on_conflict, reports_exit, reported: None, ended: false };
    (version == VERSION).then_some(Row::Entry(name, registered))
}
