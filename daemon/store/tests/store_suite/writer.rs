//! A process that commits numbered rows until it is killed, and what must be there afterwards.
//!
//! Commit `n` writes change `n / LISTS + 1` of list `n % LISTS`, with the list's line and one of
//! its ten entries. Commits are answered in order, and a group is there as a whole or not at all:
//! whatever happens, what is there is a prefix.

use crate::rows;
use crdt::vector::{Range, Sums, VersionVector};
use node::lists::{Row, Source};
use node::wire::WriteError;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write, stdout};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use store::{Reader, Store};

const LISTS: u64 = 20;
const ENTRIES: u64 = 10;
/// Commits on their way at a time.
const IN_FLIGHT: usize = 64;
/// Tells a process of this test binary to be the writer, and where.
pub(crate) const DIR: &str = "MUSTER_TEST_WRITER_DIR";
const ACKNOWLEDGED: &str = "acknowledged ";

/// If this process is to be the writer, it is that and never returns. Called first by the tests
/// that start writers.
pub(crate) fn write_if_told() {
    if let Some(dir) = std::env::var_os(DIR) {
        write(Path::new(&dir));
    }
}

fn write(dir: &Path) -> ! {
    let (store, ..) = rows::open(dir);
    let (enter, leave) = sync_channel(IN_FLIGHT);
    let leave = Arc::new(Mutex::new(leave));
    for n in committed(&store.reader()).. {
        enter.send(()).unwrap();
        let leave = Arc::clone(&leave);
        store.commit(
            rows_of(n),
            Box::new(move |result| {
                acknowledge(n, result);
                leave.lock().unwrap().recv().unwrap();
            }),
        );
    }
    unreachable!("there is always a next number");
}

/// Tells the test that started this process.
pub(crate) fn acknowledge(n: u64, result: Result<(), WriteError>) {
    // A failed store must not be closed in order, nor go on: what it has now is what counts.
    result.unwrap_or_else(|_| std::process::exit(1));
    writeln!(stdout(), "{ACKNOWLEDGED}{n}")
        .and_then(|()| stdout().flush())
        .unwrap();
}

fn rows_of(n: u64) -> Vec<Row> {
    let (list, seq) = (n % LISTS, n / LISTS + 1);
    let entry = rows::entry(
        seq % ENTRIES,
        &format!("written {seq}"),
        &format!("{:03}", seq * 7 % 101),
        None,
    );
    vec![
        rows::change(list, seq),
        rows::list(list, seq.min(ENTRIES), &vector(list, seq)),
        rows::entry_row(list, entry),
    ]
}

fn vector(list: u64, seq: u64) -> VersionVector {
    if seq > 0 {
        rows::vector(list, seq)
    } else {
        VersionVector::default()
    }
}

/// A writer in a process of its own.
pub(crate) struct Writer {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Writer {
    /// Starts this test binary anew, with that test alone, which must begin with [`write_if_told`].
    pub(crate) fn start(test: &str, dir: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", test, "--nocapture"])
            .env(DIR, dir)
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Reads on until so many more commits were acknowledged, and returns the last of them.
    pub(crate) fn wait_for(&mut self, more: u64) -> u64 {
        let acknowledged = std::iter::from_fn(|| self.next_acknowledged());
        acknowledged
            .take(more.try_into().unwrap())
            .last()
            .expect("the writer works")
    }

    fn next_acknowledged(&mut self) -> Option<u64> {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            if let Some(n) = line.trim().strip_prefix(ACKNOWLEDGED) {
                return Some(n.parse().unwrap());
            }
            line.clear();
        }
        None
    }

    /// Kills it (SIGKILL) and returns the last number that it acknowledged after those waited for.
    pub(crate) fn kill(mut self) -> Option<u64> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.next_acknowledged()).last()
    }
}

/// How many commits the store has.
fn committed(reader: &Reader) -> u64 {
    (0..LISTS)
        .map(|list| reader.vector(rows::id(list)).unwrap().seq(rows::ACTOR))
        .sum()
}

/// Checks that the store has a prefix of the commits, whole and consistent, up to `acknowledged` at
/// least.
pub(crate) fn check(store: &Store, acknowledged: Option<u64>) {
    let reader = store.reader();
    let count = committed(&reader);
    assert!(
        acknowledged.is_none_or(|n| n < count),
        "{acknowledged:?} was acknowledged, but there \
        are {count} commits"
    );
    for list in 0..LISTS {
        let seq = count / LISTS + u64::from(list < count % LISTS);
        assert_eq!(reader.vector(rows::id(list)).unwrap(), vector(list, seq));
        let changes = reader
            .changes(
                rows::id(list),
                Range {
                    actor: rows::ACTOR,
                    from: 1,
                    to: u64::MAX,
                },
            )
            .unwrap();
        let expected: Vec<_> = (1..=seq).map(|seq| rows::change_bytes(list, seq)).collect();
        assert!(
            changes == expected,
            "the changes of list {list}: {} instead of \
            {seq}",
            changes.len()
        );
        let sum = reader
            .list(rows::id(list))
            .unwrap()
            .map_or(Sums::default(), |row| row.sums);
        assert_eq!(sum, vector(list, seq).sums(rows::id(list)));
        let titles: BTreeSet<_> = reader
            .entries(rows::id(list), None)
            .map(|entry| entry.unwrap().title)
            .collect();
        assert_eq!(
            titles,
            (seq.saturating_sub(ENTRIES) + 1..=seq)
                .map(|seq| format!("written {seq}"))
                .collect()
        );
    }
    assert_eq!(
        reader.agenda(None, None, None).count() as u64,
        count.min(LISTS * ENTRIES)
    );
}
