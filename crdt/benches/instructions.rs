//! Counted instructions of what a node does most: the same number each time, whatever else the
//! machine does.
//!
//! `cargo bench -p crdt` runs each case under callgrind (Debian's package `valgrind`), which counts
//! only inside `measured`.
#![expect(clippy::expect_used, reason = "a benchmark ends at the first surprise")]

use crdt::entry::{Author, Edit, NewEntry};
use crdt::list::{CheckedChange, Document, judge};
use names::{Actor, ListName};
use std::hint::black_box;
use std::process::Command;

const CASES: &[(&str, usize)] = &[
    ("add", 10),
    ("add", 1_000),
    ("add", 10_000),
    ("judge", 10),
    ("apply-one", 10),
    ("apply-one", 10_000),
    ("apply-100", 10_000),
    ("load", 1_000),
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
            let changes: Vec<CheckedChange> = (0..if name == "apply-one" { 1 } else { 100 })
                .map(|_| writer.add(1))
                .collect();
            drop(measured(|| other.document.apply(changes)).expect("sound changes"));
        }
    }
}
