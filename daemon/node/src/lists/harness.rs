//! A few machines with disks in memory and a network of a constant delay, in virtual time.

use super::ask;
use super::io::{Change, Command, Input, ListRow, Output, Refusal, Replicas, Reply, Row, Settings};
use super::job::{Job, Source, SourceError};
use super::wire::{self, Message};
use super::{Lists, Stats};
use crate::cluster::{MemberState, MemberView, RosterView, Verdict};
use crate::machine::Machine;
use crate::time::{Instant, Now, Wall};
use crate::wire::{CloseReason, ConnId, RequestId, WriteError, WriteId};
use bytes::Bytes;
use crdt::entry::{Author, Edit, Entry, NewEntry};
use crdt::list::Document;
use crdt::roster::Profile;
use crdt::vector::{Range, VersionVector};
use names::{Actor, ChangeId, EntryId, ListId, ListName, NodeId, NodeName, Shard};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(super) const NET: Duration = Duration::from_millis(10);
pub(super) const DISK: Duration = Duration::from_millis(2);
pub(super) const JOB: Duration = Duration::from_millis(1);

#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) changes: BTreeMap<(ListId, Actor, u64), Bytes>,
    pub(super) lists: BTreeMap<ListId, ListRow>,
    pub(super) entries: BTreeMap<(ListId, EntryId), Arc<Entry>>,
    pub(super) snapshots: BTreeMap<ListId, (VersionVector, Bytes)>,
    pub(super) quarantined: BTreeSet<ListId>,
}

impl Disk {
    fn commit(&mut self, row: Row) {
        match row {
            Row::Change { list, id, bytes } => {
                let before = self.changes.insert((list, id.actor, id.seq), bytes.clone());
                assert!(
                    before.is_none_or(|before| before == bytes),
                    "a change was overwritten"
                );
            }
            Row::Entry {
                list,
                id,
                entry: Some(entry),
            } => drop(self.entries.insert((list, id), entry)),
            Row::Entry {
                list,
                id,
                entry: None,
            } => drop(self.entries.remove(&(list, id))),
            Row::List { list, row } => drop(self.lists.insert(list, row)),
            Row::Snapshot {
                list,
                covers,
                bytes,
            } => drop(self.snapshots.insert(list, (covers, bytes))),
            Row::Quarantine { list, .. } => drop(self.quarantined.insert(list)),
        }
    }

    pub(super) fn known(&self) -> Vec<(ListId, u64)> {
        self.lists
            .iter()
            .map(|(list, row)| (*list, row.sum))
            .collect()
    }

    pub(super) fn titles(&self, list: &str) -> Vec<String> {
        let list = ListId::of(&name(list));
        let mut entries: Vec<_> = self
            .entries
            .iter()
            .filter(|((of, _), _)| *of == list)
            .map(|(_, entry)| entry)
            .collect();
        entries.sort_by_key(|entry| (entry.order.clone(), entry.id));
        entries
            .into_iter()
            .map(|entry| entry.title.clone())
            .collect()
    }

    /// The view must be what the changes make, of each list.
    pub(super) fn check(&self) {
        for (list, row) in &self.lists {
            let mut bytes: Vec<Bytes> = self
                .changes
                .iter()
                .filter(|((of, ..), _)| of == list)
                .map(|(_, bytes)| bytes.clone())
                .collect();
            bytes.sort_by_key(|bytes| crdt::list::start_op(bytes));
            let document = Document::load(row.name.clone(), Actor([9; 16]), None, &bytes)
                .expect("the rows make a document");
            assert_eq!(
                (document.total(), document.open(), document.sum()),
                (row.total, row.open, row.sum)
            );
            assert_eq!(
                (document.heads(), document.modified_at()),
                (row.heads.clone(), row.modified_at)
            );
            let entries: BTreeMap<EntryId, Entry> = document
                .entries()
                .into_iter()
                .map(|entry| (entry.id, entry))
                .collect();
            let view = self.entries.iter().filter(|((of, _), _)| of == list);
            assert_eq!(
                view.map(|((_, id), entry)| (*id, Entry::clone(entry)))
                    .collect::<BTreeMap<_, _>>(),
                entries
            );
        }
    }
}

impl Source for Disk {
    fn name(&self, list: ListId) -> Result<Option<ListName>, SourceError> {
        Ok(self.lists.get(&list).map(|row| row.name.clone()))
    }

    fn vector(&self, list: ListId) -> Result<VersionVector, SourceError> {
        let all = (list, Actor([0; 16]), 0)..=(list, Actor([255; 16]), u64::MAX);
        Ok(self
            .changes
            .range(all)
            .map(|((_, actor, seq), _)| ChangeId {
                actor: *actor,
                seq: *seq,
            })
            .collect())
    }

    fn snapshot(&self, list: ListId) -> Result<Option<(VersionVector, Bytes)>, SourceError> {
        Ok(self.snapshots.get(&list).cloned())
    }

    fn changes(&self, list: ListId, range: Range) -> Result<Vec<Bytes>, SourceError> {
        let these = (list, range.actor, range.from)..=(list, range.actor, range.to);
        Ok(self
            .changes
            .range(these)
            .map(|(_, bytes)| bytes.clone())
            .collect())
    }
}

#[derive(Debug)]
pub(super) enum Event {
    Message(ConnId, Bytes),
    Commit(WriteId, Vec<Row>),
    Work(ListId, Job),
}

pub(super) struct Node {
    pub(super) lists: Lists,
    pub(super) disk: Disk,
    pub(super) changed: Vec<Change>,
    pub(super) closed: Vec<(ConnId, CloseReason)>,
    /// Commits fail: `Some(true)` leaves the rows on disk all the same.
    pub(super) failing: Option<bool>,
    generation: u64,
}

/// The nodes, what is under way, and what clients were told.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) nodes: Vec<Node>,
    queue: BTreeMap<(Instant, u64), (usize, u64, Event)>,
    links: BTreeMap<ConnId, (usize, usize)>,
    pub(super) replies: BTreeMap<RequestId, (Instant, Result<Reply, Refusal>)>,
    pub(super) messages: u64,
    pub(super) bytes: usize,
    /// How many times each node told another that it has something.
    pub(super) haves: BTreeMap<usize, u64>,
    /// Drops the next so many messages.
    pub(super) lose: u64,
    sequence: u64,
}

pub(super) fn name(text: &str) -> ListName {
    ListName::new(text).expect("a valid name")
}

fn node_id(index: usize) -> NodeId {
    NodeId([index as u8 + 1; 16])
}

pub(super) fn settings(index: usize, salt: u8, disk: &Disk) -> Settings {
    Settings {
        me: node_id(index),
        shards: (Shard(0), Shard(255)),
        salt: [salt; 16],
        seed: [index as u8; 32],
        resident_bytes: 64 << 20,
        known: disk.known(),
        quarantined: disk.quarantined.iter().copied().collect(),
    }
}

impl World {
    /// Nodes that are all connected.
    pub(super) fn new(count: usize) -> Self {
        let mut world = Self::apart(count);
        (0..count).for_each(|a| (0..a).for_each(|b| world.connect(a, b)));
        world
    }

    /// Nodes that know of each other, but are not connected.
    pub(super) fn apart(count: usize) -> Self {
        let node = |index| {
            let lists = Lists::new(settings(index, 7, &Disk::default()));
            Node {
                lists,
                disk: Disk::default(),
                changed: vec![],
                closed: vec![],
                failing: None,
                generation: 0,
            }
        };
        let nodes = (0..count).map(node).collect();
        let mut world = Self {
            now: Instant::default(),
            nodes,
            queue: BTreeMap::new(),
            links: BTreeMap::new(),
            replies: BTreeMap::new(),
            messages: 0,
            bytes: 0,
            haves: BTreeMap::new(),
            lose: 0,
            sequence: 0,
        };
        for index in 0..count {
            let view = Input::Cluster(Arc::new(roster(index, count)));
            world.handle(index, view);
        }
        world
    }

    /// Replaces a node's machine by one with other settings, with nothing in memory.
    pub(super) fn restart(&mut self, index: usize, change: impl FnOnce(&mut Settings)) {
        let links: Vec<_> = self
            .links
            .iter()
            .filter(|(_, (a, b))| *a == index || *b == index)
            .map(|(_, link)| *link)
            .collect();
        let count = self.nodes.len();
        links.iter().for_each(|(a, b)| self.cut(*a, *b));
        let node = &mut self.nodes[index];
        node.generation += 1;
        let mut settings = settings(index, node.generation as u8 + 7, &node.disk);
        change(&mut settings);
        node.lists = Lists::new(settings);
        node.failing = None;
        self.handle(index, Input::Cluster(Arc::new(roster(index, count))));
        links.iter().for_each(|(a, b)| self.connect(*a, *b));
    }

    pub(super) fn connect(&mut self, a: usize, b: usize) {
        self.sequence += 1;
        let conn = ConnId(self.sequence);
        self.links.insert(conn, (a, b));
        self.handle(
            a,
            Input::Connected {
                peer: node_id(b),
                conn,
            },
        );
        self.handle(
            b,
            Input::Connected {
                peer: node_id(a),
                conn,
            },
        );
    }

    pub(super) fn cut(&mut self, a: usize, b: usize) {
        let between = |link: &(usize, usize)| *link == (a, b) || *link == (b, a);
        let conns: Vec<ConnId> = self
            .links
            .iter()
            .filter(|(_, link)| between(link))
            .map(|(conn, _)| *conn)
            .collect();
        for conn in conns {
            self.links.remove(&conn);
            self.handle(a, Input::Closed { conn });
            self.handle(b, Input::Closed { conn });
        }
    }

    pub(super) fn conn(&self, a: usize, b: usize) -> ConnId {
        *self
            .links
            .iter()
            .find(|(_, link)| **link == (a, b) || **link == (b, a))
            .expect("a link")
            .0
    }

    pub(super) fn conns(&self, index: usize) -> Vec<ConnId> {
        self.links
            .iter()
            .filter(|(_, (a, b))| *a == index || *b == index)
            .map(|(conn, _)| *conn)
            .collect()
    }

    pub(super) fn request(&mut self, index: usize, command: impl Into<Command>) -> RequestId {
        self.sequence += 1;
        let id = RequestId(self.sequence);
        self.handle(
            index,
            Input::Request {
                id,
                by: Author(format!("test@node{index}")),
                command: command.into(),
            },
        );
        id
    }

    pub(super) fn edit(&mut self, index: usize, list: &str, edit: Edit) -> RequestId {
        self.request(index, command(list, edit))
    }

    pub(super) fn add(&mut self, index: usize, list: &str, title: &str) -> RequestId {
        self.edit(index, list, Edit::Add(vec![entry(title)]))
    }

    pub(super) fn reply(&self, id: RequestId) -> Option<&Result<Reply, Refusal>> {
        self.replies.get(&id).map(|(_, reply)| reply)
    }

    pub(super) fn stats(&self, index: usize) -> Stats {
        self.nodes[index].lists.stats()
    }

    fn clock(&self) -> Now {
        Now {
            instant: self.now,
            wall: Wall(1_790_000_000_000 + self.now.as_nanos() as i64 / 1_000_000),
        }
    }

    pub(super) fn handle(&mut self, index: usize, input: Input) {
        let now = self.clock();
        self.nodes[index].lists.handle(now, input);
        self.drain(index);
    }

    fn drain(&mut self, index: usize) {
        while let Some(output) = self.nodes[index].lists.poll_output() {
            self.carry_out(index, output);
        }
    }

    fn carry_out(&mut self, index: usize, output: Output) {
        match output {
            Output::Send { conn, bytes, .. } => {
                assert!(bytes.len() <= 1 << 20, "a message of {} bytes", bytes.len());
                self.messages += 1;
                if matches!(wire::decode(&bytes), Some((_, Message::Have { .. }))) {
                    *self.haves.entry(index).or_default() += 1;
                }
                self.bytes += bytes.len();
                let Some((a, b)) = self.links.get(&conn).copied() else {
                    return;
                };
                if self.lose > 0 {
                    self.lose -= 1;
                    return;
                }
                let to = if a == index { b } else { a };
                self.schedule(NET, to, Event::Message(conn, bytes));
            }
            Output::Close { conn, reason } => {
                self.nodes[index].closed.push((conn, reason));
                if let Some((a, b)) = self.links.get(&conn).copied() {
                    self.cut(a, b);
                }
            }
            Output::Write { id, rows } => self.schedule(DISK, index, Event::Commit(id, rows)),
            Output::Work { list, job } => self.schedule(JOB, index, Event::Work(list, job)),
            Output::Reply { id, result } => {
                assert!(
                    self.replies.insert(id, (self.now, result)).is_none(),
                    "a second reply"
                );
            }
            Output::Changed(change) => self.nodes[index].changed.push(change),
        }
    }

    fn schedule(&mut self, after: Duration, index: usize, event: Event) {
        self.sequence += 1;
        let generation = self.nodes[index].generation;
        self.queue.insert(
            (self.now + after, self.sequence),
            (index, generation, event),
        );
    }

    /// Lets time pass; timers fire when they are due.
    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let timer = (0..self.nodes.len())
                .filter_map(|index| Some((self.nodes[index].lists.poll_timeout()?, index)))
                .min();
            let event = self.queue.keys().next().map(|(at, _)| *at);
            match (event, timer) {
                (Some(at), timer) if at <= end && timer.is_none_or(|(due, _)| at <= due) => {
                    self.step()
                }
                (_, Some((due, index))) if due <= end => {
                    self.now = self.now.max(due);
                    let now = self.clock();
                    self.nodes[index].lists.wake(now);
                    self.drain(index);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn step(&mut self) {
        let Some(((at, _), (index, generation, event))) = self.queue.pop_first() else {
            return;
        };
        self.now = self.now.max(at);
        let node = &mut self.nodes[index];
        if node.generation != generation {
            return;
        }
        let input = match event {
            Event::Message(conn, _) if !self.links.contains_key(&conn) => return,
            Event::Message(conn, bytes) => Input::Message { conn, bytes },
            Event::Commit(id, rows) => {
                if node.failing.is_none_or(|survives| survives) {
                    rows.into_iter().for_each(|row| node.disk.commit(row));
                }
                Input::Written {
                    id,
                    result: if node.failing.is_some() {
                        Err(WriteError::Full)
                    } else {
                        Ok(())
                    },
                }
            }
            Event::Work(list, job) => Input::Worked {
                list,
                done: job.run(list, &node.disk),
            },
        };
        self.handle(index, input);
    }

    /// The store is back.
    pub(super) fn reopen(&mut self, index: usize, salt: u8) {
        self.nodes[index].failing = None;
        let known = self.nodes[index].disk.known();
        self.handle(
            index,
            Input::Reopened {
                salt: [salt; 16],
                known,
            },
        );
    }

    /// All nodes have the same changes and the same view, and each view is what its changes make.
    pub(super) fn assert_agreed(&self) {
        for node in &self.nodes {
            node.disk.check();
            let first = &self.nodes[0].disk;
            assert!(
                node.disk.changes.keys().eq(first.changes.keys()),
                "{} of {} changes",
                node.disk.changes.len(),
                first.changes.len()
            );
            assert!(
                node.disk.known() == first.known()
                    && node.disk.changes == first.changes
                    && node.disk.entries == first.entries
            );
            assert_eq!(
                (
                    node.lists.stats().orphans,
                    node.lists.stats().requests_waiting
                ),
                (0, 0)
            );
        }
    }
}

pub(super) fn entry(title: &str) -> NewEntry {
    NewEntry {
        title: title.to_owned(),
        ..NewEntry::default()
    }
}

pub(super) fn command(list: &str, edit: Edit) -> Command {
    Command::Edit(ask::Edit {
        list: name(list),
        edit,
        expect: None,
        replicas: None,
        timeout: Duration::from_secs(5),
    })
}

pub(super) fn replicated(list: &str, edit: Edit, replicas: Replicas, timeout: Duration) -> Command {
    Command::Edit(ask::Edit {
        list: name(list),
        edit,
        expect: None,
        replicas: Some(replicas),
        timeout,
    })
}

pub(super) fn roster(me: usize, count: usize) -> RosterView {
    let member = |index: usize| MemberView {
        id: node_id(index),
        profile: Profile {
            name: NodeName::new(&format!("node{index}")).expect("a valid name"),
            address: ([127, 0, 0, 1], 7000).into(),
            version: "0".into(),
            tags: vec![],
        },
        state: MemberState::Alive,
        run: 1,
        since: Wall(0),
        conn: None,
        protocol: None,
    };
    RosterView {
        me: node_id(me),
        members: (0..count).map(member).collect(),
        verdict: Verdict::Whole,
        since: Wall(0),
    }
}
