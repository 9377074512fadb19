//! The rows that the disk keeps, of [`VERSION`] 1.
//!
//! | key | value |
//! | --- | --- |
//! | `e` name | version (`u8`), then a registration of this node: process, entry, whether it ends with a connection, what a lost name means, whether its exit is reported |
//! | `l` name 0 handle | version, then a link from the process of that name to that handle: process, the other's node, mark, whether unreachable is enough, since when |
//!
//! Rows of another version, or that do not read, count as lost and are removed.

use super::links::Link;
use super::own::{Life, Registered};
use super::{KeptRow, OnConflict};
use crate::codec::{decode, encode};
use bytes::Bytes;
use crdt::registry::{Entry, Process};
use names::{Handle, ProcessName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const VERSION: u8 = 1;
const ENTRY: u8 = b'e';
const LINK: u8 = b'l';

/// Names a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowKey {
    /// A registration.
    Entry(ProcessName),
    /// A link from a registration to another one.
    Link(ProcessName, Handle),
}

impl RowKey {
    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Self::Entry(name) => std::iter::once(ENTRY)
                .chain(name.as_str().bytes())
                .collect(),
            Self::Link(name, other) => {
                let other = other.to_string();
                [LINK]
                    .into_iter()
                    .chain(name.as_str().bytes())
                    .chain([0])
                    .chain(other.bytes())
                    .collect()
            }
        }
    }
}

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// A registration.
    Entry(ProcessName, Registered),
    /// A link.
    Link(ProcessName, Handle, Link),
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
    let Registered {
        process,
        entry,
        life,
        on_conflict,
        reports_exit,
        ..
    } = registered;
    let connection = *life != Life::Process;
    let entry = Arc::clone(entry);
    value(&KeptEntry {
        process: *process,
        entry,
        connection,
        on_conflict: *on_conflict,
        reports_exit: *reports_exit,
    })
}

/// The row of a link.
pub(super) fn link_row(link: &Link) -> Option<Bytes> {
    value(link)
}

fn value<T: Serialize>(kept: &T) -> Option<Bytes> {
    // What the limits of an entry admit is never too large.
    encode(&(VERSION, kept))
        .inspect_err(|error| tracing::error!(%error, "a row of ours is too large"))
        .ok()
        .map(Bytes::from)
}

/// Reads a row.
pub(super) fn read(row: &KeptRow) -> Option<Row> {
    let (kind, key) = row.key.split_first()?;
    let (key, value) = (std::str::from_utf8(key).ok()?, row.value.as_ref()?);
    match *kind {
        ENTRY => Some(Row::Entry(
            ProcessName::new(key).ok()?,
            registered(current(value)?),
        )),
        LINK => {
            let (name, other) = key.split_once('\0')?;
            Some(Row::Link(
                ProcessName::new(name).ok()?,
                other.parse().ok()?,
                current(value)?,
            ))
        }
        _ => None,
    }
}

/// A value of this version.
fn current<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    let (version, kept) = decode::<(u8, T)>(value).ok()?;
    (version == VERSION).then_some(kept)
}

fn registered(kept: KeptEntry) -> Registered {
    let KeptEntry {
        process,
        entry,
        connection,
        on_conflict,
        reports_exit,
    } = kept;
    let life = if connection {
        Life::Orphan
    } else {
        Life::Process
    };
    Registered {
        process,
        entry,
        life,
        on_conflict,
        reports_exit,
        reported: None,
        ended: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use names::NodeId;
    use proptest::prelude::*;

    #[test]
    fn a_row_reads_as_it_was_written() {
        let name = ProcessName::new("web").unwrap();
        let entry = Entry {
            uid: 1,
            user: Some("alice".into()),
            exe: None,
            groups: [name.clone()].into(),
            metadata: [("key".into(), "value".into())].into(),
            address: None,
            claim: 3,
            since_ms: 4,
        };
        let process = Process {
            boot: [1; 16],
            pid: 2,
            start: 3,
        };
        let kept = KeptEntry {
            process,
            entry: Arc::new(entry),
            connection: false,
            on_conflict: OnConflict::Terminate,
            reports_exit: true,
        };
        let registered = registered(kept);
        let row = KeptRow {
            key: RowKey::Entry(name.clone()).bytes(),
            value: entry_row(&registered),
        };
        assert_eq!(read(&row), Some(Row::Entry(name.clone(), registered)));

        let other: Handle = "db@node2#7.8".parse().unwrap();
        let link = Link::new(process, NodeId([2; 16]), None, true, 5);
        let row = KeptRow {
            key: RowKey::Link(name.clone(), other.clone()).bytes(),
            value: link_row(&link),
        };
        assert_eq!(read(&row), Some(Row::Link(name, other, link)));
    }

    proptest! {
        #[test]
        fn rubbish_counts_as_lost_or_reads(
            kind in prop_oneof![Just(ENTRY), Just(LINK), any::<u8>()], key in "[a-z@#0-9.\\x00]{0,12}",
            value in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let key = std::iter::once(kind).chain(key.bytes()).collect();
            let _ = read(&KeptRow { key, value: Some(value.into()) });
        }
    }
}
