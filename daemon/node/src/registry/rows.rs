//! The rows that the disk keeps, each a [record](crdt::record) of version 1.
//!
//! | key | field | is |
//! | --- | --- | --- |
//! | `e` name | | a registration of this node |
//! | | 1 | the process: boot id, pid and start |
//! | | 2 | whether it ends with a connection |
//! | | 3 | what a lost name means (`u8`): 1 it is told, 2 it is terminated |
//! | | 4 | whether its exit is reported |
//! | | 5 to 12 | its entry: uid, user, executable, groups, metadata, address, claim, since |
//! | `l` name 0 handle | | a link from the process of that name to that handle |
//! | | 1 | the process that would be signalled |
//! | | 2 | the other's node |
//! | | 3 | the mark: once the log of that node has come so far, it has the other; absent without |
//! | | 4 | whether it fires also when that node is merely out of sight |
//! | | 5 | since when, in milliseconds since the epoch |
//!
//! Rows with another first letter are a newer program's, and are left as they are. A row that
//! cannot be read is an error: without it this node would forget who is registered on it.

use super::links::Link;
use super::own::{Life, Registered};
use super::{KeptRow, OnConflict};
use crate::codec::{Malformed, decode};
use bytes::Bytes;
use crdt::record::{Number, Record, RecordError, Writer};
use crdt::registry::{Entry, Position, Process};
use names::{Handle, NodeId, ProcessName};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;

const VERSION: u8 = 1;
const ENTRY: u8 = b'e';
const LINK: u8 = b'l';

/// The highest field of a registration that this program knows.
const ENTRY_FIELDS: Number = 12;
/// The highest field of a link that this program knows.
const LINK_FIELDS: Number = 5;

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

    /// The name of a row that this program has a meaning for; `None` for another program's.
    ///
    /// # Errors
    /// It begins as such a name, and does not go on so.
    fn read(key: &[u8]) -> Result<Option<Self>, RecordError> {
        let damaged = RecordError::Damaged("its key is none");
        let (kind, text) = key.split_first().ok_or(damaged.clone())?;
        let text = || std::str::from_utf8(text).ok();
        let read = || match *kind {
            ENTRY => Some(Self::Entry(ProcessName::new(text()?).ok()?)),
            _ => {
                let (name, other) = text()?.split_once('\0')?;
                Some(Self::Link(
                    ProcessName::new(name).ok()?,
                    other.parse().ok()?,
                ))
            }
        };
        match *kind {
            ENTRY | LINK => read().map(Some).ok_or(damaged),
            _ => Ok(None),
        }
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(name) => write!(f, "the registration of {name}"),
            Self::Link(name, other) => write!(f, "the link from {name} to {other}"),
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

/// The rows that the disk kept, read.
#[derive(Clone, Debug, Default)]
pub struct Rows(pub(super) Vec<Row>);

/// A row that this program cannot read. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{row} cannot be read: {reason}")]
pub struct RowError {
    row: String,
    reason: RecordError,
}

impl Rows {
    /// Reads what [`Output::Keep`](super::Output::Keep) wanted kept. Rows that only another program
    /// has a meaning for are passed over; they stay on the disk.
    ///
    /// # Errors
    /// A row has a version that this program does not know, or is damaged: this node must not start
    /// without it, as it would forget who is registered on it.
    pub fn read(kept: &[KeptRow]) -> Result<Self, RowError> {
        let rows = kept.iter().map(|row| {
            read(row).map_err(|reason| RowError {
                row: title(row),
                reason,
            })
        });
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(Self(rows.into_iter().flatten().collect()))
    }
}

/// What a sentence calls a row.
fn title(row: &KeptRow) -> String {
    match RowKey::read(&row.key) {
        Ok(Some(key)) => key.to_string(),
        Ok(None) | Err(_) => "a row of the process registry".to_owned(),
    }
}

/// The row of a registration.
pub(super) fn entry_row(registered: &Registered) -> Option<Bytes> {
    let entry = &registered.entry;
    let on_conflict: u8 = match registered.on_conflict {
        OnConflict::Notify => 1,
        OnConflict::Terminate => 2,
    };
    let mut writer = writer(&registered.kept, ENTRY_FIELDS);
    writer
        .put(1, &registered.process)
        .put(2, &(registered.life != Life::Process))
        .put(3, &on_conflict)
        .put(4, &registered.reports_exit)
        .put(5, &entry.uid)
        .put_some(6, entry.user.as_ref())
        .put_some(7, entry.exe.as_ref())
        .put(8, &entry.groups)
        .put(9, &entry.metadata)
        .put_some(10, entry.address.as_ref())
        .put(11, &entry.claim)
        .put(12, &entry.since_ms);
    finished(writer)
}

/// The row of a link.
pub(super) fn link_row(link: &Link) -> Option<Bytes> {
    let mut writer = writer(&link.kept, LINK_FIELDS);
    writer
        .put(1, &link.process)
        .put(2, &link.owner)
        .put_some(3, link.mark.as_ref())
        .put(4, &link.unreachable)
        .put(5, &link.since_ms);
    finished(writer)
}

/// For a row that replaces the one that was read, if any was.
fn writer(kept: &Bytes, known: Number) -> Writer<'_> {
    match Record::read(VERSION, kept) {
        Ok(old) => Writer::over(VERSION, old, known),
        Err(_) => Writer::new(VERSION),
    }
}

fn finished(writer: Writer<'_>) -> Option<Bytes> {
    // What the limits of an entry admit is never too large.
    let row = writer.finish();
    row.inspect_err(|error| tracing::error!(%error, "a row of ours is too large"))
        .ok()
        .map(Bytes::from)
}

/// Reads a row; `None` if only another program has a meaning for it.
fn read(row: &KeptRow) -> Result<Option<Row>, RecordError> {
    let value = row.value.clone().unwrap_or_default();
    Ok(match RowKey::read(&row.key)? {
        Some(RowKey::Entry(name)) => Some(Row::Entry(name, registered(value)?)),
        Some(RowKey::Link(name, other)) => Some(Row::Link(name, other, link(value)?)),
        None => None,
    })
}

fn registered(kept: Bytes) -> Result<Registered, RecordError> {
    let record = Record::read(VERSION, &kept)?;
    let entry = Entry {
        uid: record.need(5)?,
        user: record.get(6)?,
        exe: record.get(7)?,
        groups: record.need(8)?,
        metadata: record.need(9)?,
        address: record.get(10)?,
        claim: record.need(11)?,
        since_ms: record.need(12)?,
    };
    Ok(Registered {
        process: record.need(1)?,
        entry: Arc::new(entry),
        life: life(record.need(2)?),
        on_conflict: on_conflict(record.need(3)?)?,
        reports_exit: record.need(4)?,
        reported: None,
        ended: false,
        kept,
    })
}

fn life(ends_with_connection: bool) -> Life {
    if ends_with_connection {
        Life::Orphan
    } else {
        Life::Process
    }
}

fn on_conflict(number: u8) -> Result<OnConflict, RecordError> {
    match number {
        1 => Ok(OnConflict::Notify),
        2 => Ok(OnConflict::Terminate),
        _ => Err(RecordError::Value {
            number: 3,
            reason: format!("{number} is no such choice"),
        }),
    }
}

fn link(kept: Bytes) -> Result<Link, RecordError> {
    let record = Record::read(VERSION, &kept)?;
    let mut link = Link::new(
        record.need(1)?,
        record.need(2)?,
        record.get(3)?,
        record.need(4)?,
        record.need(5)?,
    );
    link.kept = kept;
    Ok(link)
}

/// What a program of the store's format 1 kept under that key, as this program keeps it; `None` for
/// a row that had no meaning for that program either.
///
/// # Errors
/// It is not what such a program kept.
pub fn convert_row(key: &[u8], value: &[u8]) -> Result<Option<Bytes>, Malformed> {
    let rule = |error: RecordError| Malformed::rule(&error.to_string());
    match RowKey::read(key).map_err(rule)? {
        Some(RowKey::Entry(_)) => {
            let kept: Entry1 = format_1(value)?;
            Ok(entry_row(&kept.registered()))
        }
        Some(RowKey::Link(..)) => {
            let kept: Link1 = format_1(value)?;
            let Link1 {
                process,
                owner,
                mark,
                unreachable,
                since_ms,
            } = kept;
            Ok(link_row(&Link::new(
                process,
                owner,
                mark,
                unreachable,
                since_ms,
            )))
        }
        None => Ok(None),
    }
}

/// A value of the store's format 1, where every row of the registry had version 1.
fn format_1<T: DeserializeOwned>(value: &[u8]) -> Result<T, Malformed> {
    match decode::<(u8, T)>(value)? {
        (1, kept) => Ok(kept),
        _ => Err(Malformed::rule("it has another version than 1")),
    }
}

/// A registration as format 1 kept it.
#[derive(Deserialize)]
struct Entry1 {
    process: Process,
    entry: Arc<Entry>,
    connection: bool,
    on_conflict: OnConflict,
    reports_exit: bool,
}

impl Entry1 {
    fn registered(self) -> Registered {
        Registered {
            process: self.process,
            entry: self.entry,
            life: life(self.connection),
            on_conflict: self.on_conflict,
            reports_exit: self.reports_exit,
            reported: None,
            ended: false,
            kept: Bytes::new(),
        }
    }
}

/// A link as format 1 kept it.
#[derive(Deserialize)]
struct Link1 {
    process: Process,
    owner: NodeId,
    mark: Option<Position>,
    unreachable: bool,
    since_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> Entry {
        Entry {
            uid: 1,
            user: Some("alice".into()),
            exe: None,
            groups: [name()].into(),
            metadata: [("key".into(), "value".into())].into(),
            address: None,
            claim: 3,
            since_ms: 4,
        }
    }

    fn name() -> ProcessName {
        ProcessName::new("web").unwrap()
    }

    const PROCESS: Process = Process {
        boot: [1; 16],
        pid: 2,
        start: 3,
    };

    fn one() -> Registered {
        Registered {
            process: PROCESS,
            entry: Arc::new(entry()),
            life: Life::Orphan,
            on_conflict: OnConflict::Terminate,
            reports_exit: true,
            reported: None,
            ended: false,
            kept: Bytes::new(),
        }
    }

    fn row_of(registered: &Registered) -> KeptRow {
        KeptRow {
            key: RowKey::Entry(name()).bytes(),
            value: entry_row(registered),
        }
    }

    #[test]
    fn a_row_reads_as_it_was_written() {
        let row = row_of(&one());
        let kept = row.value.clone().unwrap();
        let registered = Registered { kept, ..one() };
        assert_eq!(read(&row), Ok(Some(Row::Entry(name(), registered))));

        let other: Handle = "db@node2#7.8".parse().unwrap();
        let mut link = Link::new(PROCESS, NodeId([2; 16]), None, true, 5);
        let row = KeptRow {
            key: RowKey::Link(name(), other.clone()).bytes(),
            value: link_row(&link),
        };
        link.kept = row.value.clone().unwrap();
        assert_eq!(read(&row), Ok(Some(Row::Link(name(), other, link))));
    }

    #[test]
    fn fields_that_are_not_known_stay_in_a_row_that_is_written_anew() {
        let row = row_of(&one()).value.unwrap();
        let later = Bytes::from([&row[..], &[200, 1, 2, 7, 7]].concat());
        let row = KeptRow {
            key: RowKey::Entry(name()).bytes(),
            value: Some(later.clone()),
        };
        let Ok(Some(Row::Entry(_, registered))) = read(&row) else {
            panic!("no registration")
        };
        assert_eq!(entry_row(&registered), Some(later));
    }

    #[test]
    fn another_version_is_an_error_in_words_and_another_kind_of_row_is_left_alone() {
        let mut row = row_of(&one());
        let mut value = row.value.take().unwrap().to_vec();
        value[0] = 2;
        row.value = Some(value.into());
        let error = Rows::read(std::slice::from_ref(&row)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the registration of web cannot be read: it has version 2, but this program knows only \
             version 1"
        );
        row.key = Bytes::from_static(b"mailbox");
        assert!(Rows::read(&[row]).unwrap().0.is_empty());
    }

    proptest! {
        #[test]
        fn rubbish_is_refused_or_reads(
            kind in prop_oneof![Just(ENTRY), Just(LINK), any::<u8>()], key in "[a-z@#0-9.\\x00]{0,12}",
            value in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let key: Bytes = std::iter::once(kind).chain(key.bytes()).collect();
            let _ = convert_row(&key, &value);
            let _ = Rows::read(&[KeptRow { key, value: Some(value.into()) }]);
        }
    }
}
