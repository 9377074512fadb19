//! A lists machine alone, with peers that send it changes of very many lists.

use super::wire::{self, Message, Pushed};
use super::{Command, Input, Job, Lists, Output, Reply, Row, Settings, ask};
use crate::machine::Machine;
use crate::time::{Instant, Now, Wall};
use crate::wire::{ConnId, Protocol, RequestId, WriteId};
use bytes::Bytes;
use crdt::entry::{Author, Edit, NewEntry};
use crdt::list::Document;
use crdt::vector::Sums;
use names::{Actor, ListId, ListName, NodeId, Role, Shard};
use std::time::Duration;

const ALL: (Shard, Shard) = (Shard(0), Shard(255));
const CONN: ConnId = ConnId(1);

fn name(number: usize) -> ListName {
    ListName::new(&format!("list {number}")).unwrap()
}

fn addition() -> Edit {
    let title = "milk".to_owned();
    Edit::Add(vec![NewEntry {
        title,
        ..NewEntry::default()
    }])
}

/// The first change of another node in a list.
fn change(list: usize) -> Bytes {
    let mut document = Document::new(name(list), Actor([9; 16]));
    let by = Author("rogue".to_owned());
    let edited = document.edit(&addition(), &by, 0, &mut || 7).unwrap();
    edited.change.unwrap().bytes
}

fn list_of(row: &Row) -> Option<ListId> {
    if let Row::List { list, .. } = row {
        Some(*list)
    } else {
        None
    }
}

/// A machine with a peer, and what it wanted to be done.
struct Bench {
    lists: Lists,
    now: Now,
    writes: Vec<(WriteId, ListId)>,
    loads: usize,
    replies: usize,
    /// Whether each round that was opened wakes the peer, and on which connection.
    rounds: Vec<(ConnId, bool)>,
}

impl Bench {
    /// With room for so many bytes of documents, and these lists on the disk.
    fn new(resident_bytes: usize, known: Vec<(ListId, Sums)>) -> Self {
        let lists = Lists::new(Settings {
            me: NodeId([1; 16]),
            shards: ALL,
            salt: [2; 16],
            run: 1,
            proofs: super::testing::proofs(),
            salts: Vec::new(),
            seed: [3; 32],
            resident_bytes,
            known,
            compares_numbers: false,
            takes_unsigned: true,
            quarantined: Vec::new(),
            remake: Vec::new(),
        });
        let now = Now {
            instant: Instant::from_nanos(1),
            wall: Wall(1),
        };
        let mut bench = Self {
            lists,
            now,
            writes: Vec::new(),
            loads: 0,
            replies: 0,
            rounds: Vec::new(),
        };
        bench.connected(CONN);
        bench
    }

    /// The peer connects.
    fn connected(&mut self, conn: ConnId) {
        self.handle(Input::Connected {
            role: Role::Member,
            peer: NodeId([9; 16]),
            conn,
            protocol: Protocol::PROVED,
        });
    }

    fn handle(&mut self, input: Input) {
        self.lists.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.lists.poll_output() {
            if let Output::Write { id, rows } = output {
                self.writes
                    .push((id, rows.iter().find_map(list_of).unwrap()));
            } else if let Output::Work { job, .. } = output {
                self.loads += usize::from(matches!(job, Job::Load { .. }));
            } else if let Output::Reply { result, .. } = output {
                self.replies += usize::from(matches!(result, Ok(Reply::Edited(_))));
            } else if let Output::Send { conn, bytes, .. } = output
                && let Some((_, Message::Root { wake, .. })) = wire::decode(&bytes)
            {
                self.rounds.push((conn, wake));
            }
        }
    }

    /// Wakes the machine as long as it wants to be woken at once.
    fn settle(&mut self) {
        while self
            .lists
            .poll_timeout()
            .is_some_and(|at| at <= self.now.instant)
        {
            self.lists.wake(self.now);
            self.drain();
        }
    }

    /// The peer pushes a change of each of these lists.
    fn pushed(&mut self, lists: std::ops::Range<usize>) {
        let push = lists.map(|list| Pushed {
            name: name(list),
            changes: vec![change(list)],
            confirm: false,
        });
        let bytes = wire::encode(ALL, &Message::Push(push.collect())).unwrap();
        self.handle(Input::Message { conn: CONN, bytes });
    }

    fn ask(&mut self, list: usize) {
        let edit = ask::Edit {
            list: name(list),
            edit: addition(),
            expect: None,
            replicas: None,
            timeout: Duration::from_secs(5),
        };
        self.handle(Input::Request {
            id: RequestId(1),
            by: Author("ann".to_owned()),
            command: Command::Edit(edit),
        });
    }

    /// The disk has written what it was given: which lists.
    fn written(&mut self) -> Vec<ListId> {
        let (ids, lists): (Vec<_>, Vec<_>) = std::mem::take(&mut self.writes).into_iter().unzip();
        for id in ids {
            self.handle(Input::Written { id, result: Ok(()) });
        }
        lists
    }
}

#[test]
fn new_lists_of_a_peer_wait_while_the_documents_take_too_much() {
    let mut bench = Bench::new(1 << 20, Vec::new());
    bench.pushed(0..300);
    bench.settle();
    let stats = bench.lists.stats();
    assert!(stats.resident_bytes < (1 << 20) + (32 << 10), "{stats:?}");
    assert!(stats.in_line > 200 && stats.resident > 16, "{stats:?}");
    let mut done = Vec::new();
    while !bench.writes.is_empty() {
        done.extend(bench.written());
        bench.settle();
        assert!(bench.lists.stats().resident_bytes < (1 << 20) + (32 << 10));
    }
    let came: Vec<ListId> = (0..300).map(|list| ListId::of(&name(list))).collect();
    let mut sorted = came.clone();
    sorted.sort_unstable();
    assert_eq!(done, sorted, "all of them, in the order of one message");
    assert_eq!(bench.lists.stats().in_line, 0);
}

#[test]
fn what_came_first_is_done_first() {
    let mut bench = Bench::new(0, Vec::new());
    for list in 0..100 {
        bench.pushed(list..list + 1);
    }
    let mut done = Vec::new();
    loop {
        bench.settle();
        if bench.writes.is_empty() {
            break;
        }
        done.extend(bench.written());
    }
    let came: Vec<ListId> = (0..100).map(|list| ListId::of(&name(list))).collect();
    assert_eq!(done, came);
}

#[test]
fn a_document_that_stays_keeps_no_list_waiting_for_ever() {
    let mut bench = Bench::new(0, Vec::new());
    bench.ask(1000);
    // The client's write does not return: its document cannot leave.
    let stays = bench.writes.remove(0);
    bench.pushed(0..40);
    bench.settle();
    assert_eq!(bench.writes.len(), 16);
    let mut done = 0;
    while !bench.writes.is_empty() {
        done += bench.written().len();
        bench.settle();
    }
    assert_eq!((done, stays.1), (40, ListId::of(&name(1000))));
}

#[test]
fn clients_do_not_stand_in_line() {
    let mut bench = Bench::new(0, Vec::new());
    bench.pushed(0..300);
    bench.settle();
    bench.written();
    assert!(bench.lists.stats().in_line > 200);
    let in_line = ListId::of(&name(299));
    bench.writes.clear();
    for list in [1000, 299] {
        bench.ask(list);
        let wrote = bench.writes.iter().map(|(_, list)| *list);
        assert!(wrote.collect::<Vec<_>>().contains(&ListId::of(&name(list))));
    }
    // What the peer sent of that list goes on behind the client's write.
    assert_eq!(
        bench
            .writes
            .iter()
            .filter(|write| write.1 == in_line)
            .count(),
        2
    );
    let before = bench.replies;
    bench.written();
    assert_eq!(bench.replies, before + 2);
}

#[test]
fn one_call_takes_up_a_few_lists_only() {
    let mut bench = Bench::new(1 << 30, Vec::new());
    bench.pushed(0..300);
    assert!(bench.writes.is_empty(), "a message alone takes up none");
    bench.lists.wake(bench.now);
    bench.drain();
    assert_eq!(bench.writes.len(), 16);
    assert_eq!(bench.lists.poll_timeout(), Some(bench.now.instant));
    bench.settle();
    assert_eq!(bench.writes.len(), 300);
}

#[test]
fn lists_on_the_disk_are_loaded_a_few_at_a_time() {
    let sums = Sums {
        content: 1,
        numbers: 1,
    };
    let known = (0..300)
        .map(|list| (ListId::of(&name(list)), sums))
        .collect();
    let mut bench = Bench::new(1 << 30, known);
    bench.pushed(0..300);
    bench.settle();
    // Of those that were taken up four are loaded at once.
    assert_eq!((bench.loads, bench.lists.stats().in_line), (4, 284));
}

/// Of two connections either end may use either one: what the peer has said on the one that closes may be
/// lost, and what this node has said there, too.
#[test]
fn when_one_of_two_connections_closes_what_was_under_way_on_it_is_found() {
    let other = ConnId(2);
    for (closed, left, was_used) in [(CONN, other, false), (other, CONN, true)] {
        let mut bench = Bench::new(0, Vec::new());
        bench.connected(other);
        bench.rounds.clear();
        bench.handle(Input::Closed { conn: closed });
        assert_eq!(bench.rounds, [(left, was_used)]);
    }
}
