//! Counted instructions of what a node does most: the same number each time, whatever else the
//! machine does.
//!
//! `cargo bench -p crdt` runs each case under callgrind (Debian's package `valgrind`), which counts
//! only inside `measured`.
#![expect(clippy::expect_used, reason = "a benchmark ends at the first surprise")]

use crdt::entry::{Author, Edit, NewEntry};
use crdt::list::{CheckedChange, Document, judge};
use crdt::registry::{Entry, Logs, Process, Progress, State};
use names::{Actor, ListName, NodeId, ProcessName};
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;

const CASES: &[(&str, usize)] = &[
    ("add", 10),
    ("add", 1_000),
    ("add", 10_000),
    ("judge", 1),
    ("judge", 10),
    ("replica", 10),
    ("replica", 10_000),
    ("apply-100", 10_000),
    ("catch-up-1", 10),
    ("catch-up-1", 10_000),
    ("catch-up-100", 10_000),
    ("catch-up-1000", 10),
    ("catch-up-1000", 10_000),
    ("load", 1_000),
    ("register", 10_000),
    ("pushed", 10_000),
    ("relayed", 10_000),
    ("unproved", 10_000),
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--case") {
        let (name, size) = (
            args.get(at + 1).expect("a case"),
            args.get(at + 2).expect("a size"),
        );
        return run(name, size.parse().expect("a number"));
    }
    println!("{:<12} {:>8} {:>14}", "case", "entries", "instructions");
    for (name, size) in CASES {
        match count(name, *size) {
            Some(count) => println!("{name:<12} {size:>8} {count:>14}"),
            None => {
                return eprintln!(
                    "valgrind is needed to count instructions: install Debian's \
                package valgrind"
                );
            }
        }
    }
}

fn count(name: &str, size: usize) -> Option<u64> {
    let this = std::env::current_exe().expect("this program has a path");
    let options = [
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        "--toggle-collect=*measured*",
    ];
    let output = Command::new("valgrind")
        .args(options)
        .arg(this)
        .args(["--case", name, &size.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines()
        .find_map(|line| line.split("Collected : ").nth(1))?
        .trim()
        .parse()
        .ok()
}

/// Only what runs in here is counted.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

struct Writer {
    document: Document,
    drawn: u128,
}

impl Writer {
    fn new(actor: u8) -> Self {
        let name = ListName::new("groceries").expect("a valid name");
        Self {
            document: Document::new(name, Actor([actor; 16])),
            drawn: u128::from(actor),
        }
    }

    /// Adds entries in one change; gives its bytes, judged.
    fn add(&mut self, count: usize) -> CheckedChange {
        let entry = NewEntry {
            title: "call the plumber about the leaking \
            tap"
            .to_owned(),
            ..NewEntry::default()
        };
        let drawn = &mut self.drawn;
        let mut draw = || {
            *drawn = drawn
                .wrapping_mul(0x2d99_787e_9c6a_5f45_1c8e_63f2_a8d1_0b0d)
                .wrapping_add(1);
            *drawn
        };
        let edit = Edit::Add(vec![entry; count]);
        let edited = self
            .document
            .edit(
                &edit,
                &Author("kim@node1".to_owned()),
                1_790_000_000_000,
                &mut draw,
            )
            .expect("an edit");
        judge(edited.change.expect("a change").bytes).expect("a sound change")
    }
}

fn run(name: &str, size: usize) {
    let mut writer = Writer::new(1);
    let filled = writer.add(size);
    match name {
        "add" => drop(measured(|| writer.add(1))),
        "judge" => drop(measured(|| judge(filled.bytes().clone()))),
        "register" | "pushed" | "relayed" | "unproved" => registry(name, size),
        "load" => {
            let (name, bytes) = (writer.document.name().clone(), filled.bytes().clone());
            drop(
                measured(|| Document::load(name, Actor([3; 16]), None, &[bytes]))
                    .expect("a document"),
            );
        }
        _ => {
            let mut other = Writer::new(2);
            other.document.apply(vec![filled]).expect("a sound change");
            other.document.catch_up().expect("a sound change");
            replica(name, writer, other.document);
        }
    }
}

/// What single additions cost a replica: with `replica` one is judged and taken, with `apply-…` several
/// are taken that were judged, with `catch-up-…` Automerge's document gets several that were taken.
fn replica(name: &str, mut writer: Writer, mut document: Document) {
    if name == "replica" {
        // As in a list to which others were added just before.
        document.apply(vec![writer.add(1)]).expect("a sound change");
        let changes = [writer.add(1)];
        let bytes: Vec<_> = changes.iter().map(|one| one.bytes().clone()).collect();
        return measured(|| {
            let judged = bytes.into_iter().map(judge).collect::<Result<_, _>>();
            drop(document.apply(judged.expect("a sound change")));
        });
    }
    let count = name.rsplit('-').next().and_then(|count| count.parse().ok());
    let changes = (0..count.expect("a number")).map(|_| writer.add(1));
    let changes: Vec<CheckedChange> = changes.collect();
    if name.starts_with("apply") {
        return drop(measured(|| document.apply(changes)).expect("sound changes"));
    }
    document.apply(changes).expect("sound changes");
    assert_eq!(Some(document.behind()), count);
    measured(|| document.catch_up()).expect("sound changes");
}

const OWNER: NodeId = NodeId([1; 16]);
const RELAY: NodeId = NodeId([2; 16]);

/// A log of so many registrations, and one more: `register` writes that and the log's head, but for the
/// signature; with `pushed` a replica takes it from its owner. With `relayed` a replica takes the log from
/// another node, and with `unproved` in the form of protocol 1.
fn registry(name: &str, size: usize) {
    let mut owner = Logs::default();
    owner.begin(OWNER, 1, 0);
    (0..size).for_each(|n| register(&mut owner, n));
    let prove = |logs: &mut Logs| logs.prove(OWNER, |_| vec![0; 64].into()).expect("a head");
    prove(&mut owner);
    let whole = owner.proved_delta(OWNER, Progress::default(), usize::MAX);
    let whole = whole.expect("a log");
    let (end, mut replica) = (whole.end(), Logs::default());
    let take = |replica: &mut Logs, delta| {
        drop(replica.take(RELAY, delta, |_| true).expect("it is proved"));
    };
    match name {
        "register" => measured(|| {
            register(&mut owner, size);
            prove(&mut owner);
        }),
        "pushed" => {
            take(&mut replica, whole);
            register(&mut owner, size);
            prove(&mut owner);
            let next = owner.proved_delta(OWNER, Progress::from(end), usize::MAX);
            measured(|| take(&mut replica, next.expect("a part")));
        }
        "relayed" => measured(|| take(&mut replica, whole)),
        _ => {
            let delta = owner.delta(OWNER, Progress::default(), usize::MAX);
            let delta = delta.expect("a log");
            drop(measured(|| replica.merge(delta)).expect("a sound part"));
        }
    }
}

fn register(logs: &mut Logs, n: usize) {
    let process = Process {
        boot: [3; 16],
        pid: 7,
        start: n as u64,
    };
    let entry = Entry {
        uid: 1000,
        user: Some("alice".to_owned()),
        exe: Some("/usr/bin/web".to_owned()),
        groups: [].into(),
        metadata: [("port".to_owned(), "8080".to_owned())].into(),
        address: Some("10.0.0.7:8080".to_owned()),
        claim: 12,
        since_ms: 1_790_000_000_000,
    };
    let name = ProcessName::new(&format!("web{n}")).expect("a valid name");
    logs.put(OWNER, name, process, State::Live(Arc::new(entry)));
}
