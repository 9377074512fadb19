//! What registries say and keep, as it was first written.

use super::links::Link;
use super::message::{Claimed, Message};
use super::own::{Life, Registered};
use super::rows::{self, Row, RowKey};
use super::{KeptRow, OnConflict};
use crate::golden::{check, check_old, covers};
use crate::proof::Domain;
use crate::wire::Protocol;
use bytes::Bytes;
use crdt::registry::{
    Delta, Entry, Logs, Position, Process, Progress, ProvedDelta, Reason, Record, State,
};
use names::{Handle, NodeId, ProcessName};
use std::sync::Arc;

const NODE: NodeId = NodeId([7; 16]);
const PROCESS: Process = Process {
    boot: [3; 16],
    pid: 4711,
    start: 889_123,
};

fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

fn entry() -> Arc<Entry> {
    Arc::new(Entry {
        uid: 1000,
        user: Some("alice".to_owned()),
        exe: Some("/usr/bin/web".to_owned()),
        groups: ["eu", "web"].map(name).into(),
        metadata: [("port".to_owned(), "8080".to_owned())].into(),
        address: Some("10.0.0.7:8080".to_owned()),
        claim: 12,
        since_ms: 1_790_000_000_000,
    })
}

/// A part of a log with a record of each kind.
fn delta() -> Delta {
    let reasons = [
        Reason::ExitedWith(1),
        Reason::Killed(9),
        Reason::Exited,
        Reason::Unregistered,
        Reason::Left,
        Reason::Unknown,
    ];
    let states = std::iter::once(State::Live(entry())).chain(reasons.map(State::Gone));
    let records = states.zip(1..).map(|(state, version)| Record {
        name: name("web"),
        process: PROCESS,
        version,
        state,
    });
    Delta {
        owner: NODE,
        run: 3,
        after: 0,
        upto: 7,
        latest: 300,
        horizon: 2,
        records: records.collect(),
    }
}

const POSITION: Position = Position {
    run: 3,
    version: 300,
};

fn samples_of_1() -> Vec<(&'static str, Message)> {
    let position = POSITION;
    vec![
        (
            "part",
            Message::Part {
                delta: delta(),
                pushed: true,
            },
        ),
        (
            "ack",
            Message::Ack(Progress {
                position,
                horizon: 2,
            }),
        ),
        (
            "pull",
            Message::Pull {
                owner: NODE,
                from: Progress::from(position),
            },
        ),
        ("hash", Message::Hash(0x0123_4567_89ab_cdef)),
        (
            "vector",
            Message::Vector {
                positions: vec![(NODE, position)],
                answer: true,
            },
        ),
        ("probe", Message::Probe(5)),
        ("probed", Message::Probed { probe: 5, position }),
    ]
}

fn samples_since_2() -> Vec<(&'static str, Message)> {
    let claimed = Claimed {
        owner: NODE,
        position: POSITION,
        tag: 0x0123_4567_89ab_cdef,
    };
    vec![
        (
            "proved",
            Message::Proved {
                delta: proved_delta(),
                pushed: true,
            },
        ),
        (
            "heads",
            Message::Heads {
                heads: vec![claimed],
                answer: true,
            },
        ),
    ]
}

#[test]
fn messages_are_what_they_were() {
    let (of_1, since_2) = (samples_of_1(), samples_since_2());
    let all = of_1.iter().chain(&since_2);
    covers::<Message>(
        "registry",
        0,
        all.map(|(_, message)| message.bytes().to_vec()),
    );
    let files = [
        ("registry", of_1, Protocol::UNPROVED),
        ("registry-2", since_2, Protocol::PROVED),
    ];
    for (file, samples, protocol) in files {
        check(
            file,
            samples,
            |message| message.bytes().to_vec(),
            |bytes| Message::read(bytes, protocol).ok()?,
        );
    }
}

/// A log with a live record and a tombstone, with its head.
fn proved_delta() -> ProvedDelta {
    let mut logs = Logs::default();
    logs.begin(NODE, 3, 5);
    let states = [State::Live(entry()), State::Gone(Reason::Killed(9))];
    for (text, state) in ["web", "db"].into_iter().zip(states) {
        logs.put(NODE, name(text), PROCESS, state);
    }
    let sign = |said: &[u8]| {
        let proof = Domain::LogHead.message(NODE.0, said);
        Bytes::from(proof)
    };
    logs.prove(NODE, sign).unwrap();
    logs.proved_delta(NODE, Progress::default(), usize::MAX)
        .unwrap()
}

#[test]
fn rows_are_what_they_were() {
    let registered = |life, on_conflict| Registered {
        process: PROCESS,
        entry: entry(),
        life,
        on_conflict,
        reports_exit: true,
        reported: None,
        ended: false,
        kept: Bytes::new(),
    };
    let other: Handle = "db@beta#17.5".parse().unwrap();
    let link = Link::new(
        PROCESS,
        NODE,
        Some(Position {
            run: 3,
            version: 300,
        }),
        true,
        1_790_000_000_000,
    );
    let samples = || {
        vec![
            (
                "process",
                Row::Entry(name("web"), registered(Life::Process, OnConflict::Notify)),
            ),
            (
                "connection",
                Row::Entry(name("web"), registered(Life::Orphan, OnConflict::Terminate)),
            ),
            ("link", Row::Link(name("web"), other.clone(), link.clone())),
        ]
    };
    check_old("rows", samples(), |bytes| {
        let row = split(bytes)?;
        let value = rows::convert_row(&row.key, row.value.as_ref()?).ok()??;
        read(KeptRow {
            key: row.key,
            value: Some(value),
        })
    });
    check(
        "rows-2",
        samples(),
        |row| written(row).to_vec(),
        |bytes| read(split(bytes)?),
    );
}

/// The length of the key in one byte, the key, the value.
fn written(row: &Row) -> Bytes {
    let (key, value) = match row {
        Row::Entry(name, registered) => (RowKey::Entry(name.clone()), rows::entry_row(registered)),
        Row::Link(name, other, link) => (
            RowKey::Link(name.clone(), other.clone()),
            rows::link_row(link),
        ),
    };
    let key = key.bytes();
    [u8::try_from(key.len()).unwrap()]
        .into_iter()
        .chain(key)
        .chain(value.unwrap())
        .collect()
}

fn split(bytes: &[u8]) -> Option<KeptRow> {
    let (length, rest) = bytes.split_first()?;
    let (key, value) = rest.split_at_checked((*length).into())?;
    Some(KeptRow {
        key: Bytes::copy_from_slice(key),
        value: Some(Bytes::copy_from_slice(value)),
    })
}

/// A row, but for the bytes that it was read from.
fn read(row: KeptRow) -> Option<Row> {
    Some(match rows::Rows::read(&[row]).ok()?.0.pop()? {
        Row::Entry(name, registered) => Row::Entry(
            name,
            Registered {
                kept: Bytes::new(),
                ..registered
            },
        ),
        Row::Link(name, other, mut link) => {
            link.kept = Bytes::new();
            Row::Link(name, other, link)
        }
    })
}
