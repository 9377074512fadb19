//! The process registry: names and groups of processes on all nodes, found without asking anybody.
//!
//! Part of the cluster machine. [`Input`], [`Output`] and [`Command`] are all that crosses the machine's edge for it.
//! Each node writes the log of its own registrations (`own`, kept on disk through `ledger`) and has a replica of every
//! other node's (`exchange`); from these logs, and from who is reachable, `names` makes the directory.

mod directory;
mod draft;
mod ends;
mod exchange;
mod io;
mod ledger;
mod message;
mod names;
mod own;
mod rows;

pub use directory::{Directory, Found, Holder, ProcessState};
pub use io::{
    Change, Command, Event, EventKind, Input, KeptRow, Lifetime, LinkTarget, LinkView, News, OnConflict, Output, Refusal, Registration,
    Reply, SessionId, Settings, Signal, Stats,
};

use super::edge::Edge;
use super::io::{MemberState, Output as ClusterOutput, Refusal as ClusterRefusal, Reply as ClusterReply};
use super::links::Links;
use crate::codec::Malformed;
use crate::time::Wall;
use crate::wire::{ConnId, Peer, RequestId, WriteError, WriteId};
use crdt::id::NodeId;
use crdt::name::{NodeName, ProcessName};
use crdt::registry::{Delta, Entry, Fault, Logs, Merged, Process, Reason, Shift, State};
use draft::Draft;
use exchange::{Exchange, Header};
use ledger::{Act, Ledger, Step};
use message::Message;
use names::Names;
use own::{Own, Registered};
use rows::{Row, RowKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Deadlines of the registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A failed write is tried again.
    Rewrite,
    /// Whoever reports how a process ended had the time to do so.
    Report(ProcessName, Process),
    /// Registrations of connections to an earlier start were not made anew.
    Orphans,
}

/// The registry of one node.
#[derive(Debug)]
pub(super) struct Registry {
    me: NodeId,
    own: Own,
    logs: Logs,
    names: Names,
    ledger: Ledger,
    exchange: Exchange,
    /// All nodes on the roster but this one, by the names that they bear.
    nodes: BTreeMap<NodeId, (NodeName, MemberState)>,
    /// Of nodes that have left or were forgotten: what they said up to this run is not listened to any more.
    gone: BTreeMap<NodeId, u64>,
    /// Connections that closed while requests are on their way.
    closed_sessions: BTreeSet<SessionId>,
    capacity: usize,
    /// The logical clock of claims: the latest that was seen.
    clock: u64,
    /// This node's log has changed since it was last published.
    changed: bool,
}

impl Registry {
    /// Takes over what the disk kept, as the log of `run`.
    pub(super) fn new(edge: &mut Edge, me: &Peer, run: u64, settings: Settings) -> Self {
        let mut registry = Self {
            me: me.id,
            own: Own::default(),
            logs: Logs::default(),
            names: Names::default(),
            ledger: Ledger::default(),
            exchange: Exchange::new(me.id),
            nodes: BTreeMap::new(),
            gone: BTreeMap::new(),
            closed_sessions: BTreeSet::new(),
            capacity: settings.capacity,
            clock: 0,
            changed: false,
        };
        registry.logs.begin(me.id, run);
        registry.names.see(edge, (me.id, &me.name), true, &[]);
        for row in settings.kept {
            registry.resume(edge, &row);
        }
        registry.await_orphans(edge);
        registry
    }

    fn resume(&mut self, edge: &mut Edge, row: &KeptRow) {
        let Some(Row::Entry(name, registered)) = rows::read(row) else {
            tracing::warn!("a kept row of the registry is not readable");
            return self.ledger.mark_junk(row.key.clone());
        };
        let (process, entry) = (registered.process, Arc::clone(&registered.entry));
        self.clock = self.clock.max(entry.claim);
        self.watch(edge, process);
        self.own.insert(name.clone(), registered);
        self.logs.put(self.me, name.clone(), process, State::Live(Arc::clone(&entry)));
        self.names.resume(self.me, &name, process, entry);
    }

    /// The node has another run: all is said anew in that one.
    pub(super) fn begin(&mut self, run: u64) {
        if self.logs.position(self.me).run != run {
            self.logs.begin(self.me, run);
            self.changed = true;
        }
    }

    /// Takes a client's wish.
    pub(super) fn ask(&mut self, edge: &mut Edge, request: RequestId, command: Command) {
        match command {
            Command::Report { name, reason, uid } => {
                let result = self.report(edge, &name, reason, uid);
                self.reply(edge, request, result);
            }
            Command::Links { .. } => self.reply(edge, request, Ok(Reply::Links(Vec::new()))),
            Command::Register(_) | Command::Unregister { .. } | Command::Group { .. } | Command::Link { .. } | Command::Unlink { .. } => {
                if !self.ledger.ask(request, command) {
                    let refusal = Refusal::Full { what: "requests that wait for the disk", limit: Ledger::limit() };
                    self.reply(edge, request, Err(refusal));
                }
            }
        }
    }

    /// What the reply rests on is told first.
    fn reply(&mut self, edge: &mut Edge, id: RequestId, result: Result<Reply, Refusal>) {
        self.names.flush(edge);
        edge.put(ClusterOutput::Reply { id, result: result.map(ClusterReply::Registry).map_err(ClusterRefusal::Registry) });
    }

    pub(super) fn fire(&mut self, edge: &mut Edge, timer: Timer) {
        match timer {
            Timer::Rewrite => self.ledger.rested(),
            Timer::Report(name, process) => self.unreported(edge, &name, process),
            Timer::Orphans => self.end_orphans(edge),
        }
    }

    pub(super) fn kept(&mut self, edge: &mut Edge, id: WriteId, result: Result<(), WriteError>) {
        let Some(steps) = self.ledger.landed(id) else { return };
        match result {
            Ok(()) => {
                if self.ledger.recovered() {
                    self.own.iter().for_each(|(name, _)| self.ledger.mark(RowKey::Entry(name.clone())));
                }
                self.commit(edge, steps);
            }
            Err(error) => self.refuse(edge, steps, error),
        }
    }

    /// What the failed write was to change may be on disk all the same: it is written as it was.
    fn refuse(&mut self, edge: &mut Edge, steps: Vec<Step>, error: WriteError) {
        self.ledger.failed(edge);
        for Step { request, act, .. } in steps {
            match act {
                Act::Put { name, .. } | Act::Remove { name, .. } => self.ledger.mark(RowKey::Entry(name)),
                Act::Nothing => {}
            }
            self.reply(edge, request, Err(Refusal::Write(error)));
        }
    }

    /// Judges what was asked meanwhile, and writes what of it is to be kept.
    fn write(&mut self, edge: &mut Edge) {
        while self.ledger.wants_write() {
            let due = self.ledger.due();
            self.make_way(edge, &due);
            let mut draft = Draft::new(self, edge.now.wall);
            let steps: Vec<Step> = due.into_iter().map(|(request, command)| draft.step(request, command)).collect();
            let (clock, rows) = (draft.clock, draft.rows);
            self.clock = clock;
            let own = &self.own;
            let current = |key: &RowKey| match key {
                RowKey::Entry(name) => own.get(name).and_then(rows::entry_row),
            };
            if let Some(steps) = self.ledger.write(edge, steps, rows, current) {
                self.commit(edge, steps);
            }
        }
        if !self.ledger.is_busy() {
            self.closed_sessions.clear();
        }
    }

    /// Carries out what is kept now, then answers.
    fn commit(&mut self, edge: &mut Edge, steps: Vec<Step>) {
        let mut replies = Vec::new();
        for Step { request, reply, act } in steps {
            let reply = match act {
                Act::Nothing => reply,
                Act::Put { name, registered, fresh } => self.put(edge, name, registered, fresh).and(reply),
                Act::Remove { name, process } => {
                    if self.own.of(&name, process).is_some() {
                        self.end(edge, &name, Reason::Unregistered);
                    }
                    reply
                }
            };
            replies.push((request, reply));
        }
        replies.into_iter().for_each(|(request, reply)| self.reply(edge, request, reply));
    }

    fn put(&mut self, edge: &mut Edge, name: ProcessName, mut registered: Registered, fresh: bool) -> Result<(), Refusal> {
        if fresh && let Err(refusal) = self.is_free_elsewhere(&name) {
            self.ledger.mark(RowKey::Entry(name));
            return Err(refusal);
        }
        match self.own.of(&name, registered.process) {
            Some(known) => (registered.reported, registered.ended) = (known.reported, known.ended),
            None if fresh => {}
            // It has ended while this was written.
            None => return Ok(()),
        }
        let (process, entry, life) = (registered.process, Arc::clone(&registered.entry), registered.life);
        self.watch(edge, process);
        self.own.insert(name.clone(), registered);
        self.say(edge, name.clone(), process, State::Live(entry));
        self.end_if_closed(edge, &name, life);
        Ok(())
    }

    /// Writes this node's log.
    fn say(&mut self, edge: &mut Edge, name: ProcessName, process: Process, state: State) {
        let before = self.logs.get(self.me).and_then(|log| log.get(&name, process)).and_then(State::entry).cloned();
        self.logs.put(self.me, name.clone(), process, state.clone());
        self.names.shift(edge, self.me, Shift { name, process, before, after: state });
        self.changed = true;
    }

    fn watch(&mut self, edge: &mut Edge, process: Process) {
        let is_watched = |name: &ProcessName| self.own.get(name).is_some_and(|registered| !registered.ended);
        if !self.own.names(process).iter().any(is_watched) {
            edge.put(ClusterOutput::Registry(Output::Watch(process)));
        }
    }

    /// Why a name that this node does not have cannot be changed here.
    fn not_here(&self, name: &ProcessName) -> Refusal {
        let elsewhere = self.names.directory().whereis(name).map(|found| found.holder.node);
        elsewhere.map_or_else(|| Refusal::Unknown(name.clone()), |node| Refusal::Elsewhere { name: name.clone(), node })
    }

    fn is_free_elsewhere(&self, name: &ProcessName) -> Result<(), Refusal> {
        let others = self.names.directory().holders(name).filter(|(owner, .., reachable)| *reachable && *owner != self.me);
        match others.min_by_key(|(owner, _, entry, _)| (entry.claim, *owner)) {
            Some((owner, process, entry, _)) => Err(self.held(owner, name, process, entry)),
            None => Ok(()),
        }
    }

    fn held(&self, owner: NodeId, name: &ProcessName, process: Process, entry: &Entry) -> Refusal {
        let handle = self.names.handle(owner, name, process);
        handle.map_or_else(|| Refusal::Unknown(name.clone()), |holder| Refusal::Held { holder, since: Wall(entry.since_ms) })
    }

    /// A connection has come into use.
    pub(super) fn accepted(&mut self, edge: &mut Edge, conn: ConnId, node: NodeId) {
        self.exchange.accepted(edge, &self.logs, conn, node);
    }

    pub(super) fn closed(&mut self, edge: &mut Edge, links: &Links, conn: ConnId) {
        self.exchange.closed(edge, links, &self.logs, conn);
    }

    pub(super) fn overflowed(&mut self, conn: ConnId, node: NodeId) {
        self.exchange.overflowed(conn, node);
    }

    pub(super) fn round(&mut self, edge: &mut Edge, links: &Links, random: Option<ConnId>) {
        self.exchange.round(edge, links, &self.logs, random);
    }

    /// Takes what a peer says.
    ///
    /// # Errors
    /// It breaks the protocol.
    pub(super) fn hear(&mut self, edge: &mut Edge, links: &Links, from: (NodeId, ConnId), bytes: &[u8]) -> Result<(), Malformed> {
        let (node, conn) = from;
        match Message::read(bytes)? {
            Message::Part { delta, pushed: true } if delta.owner != node => return Err(Malformed::rule("another node's log was pushed")),
            Message::Part { delta, pushed } => self.learn(edge, conn, delta, pushed)?,
            Message::Ack(position) => self.exchange.acknowledged(edge, links, &self.logs, node, position),
            Message::Pull { owner, from } => self.exchange.answer(edge, &self.logs, conn, owner, from),
            Message::Hash(hash) if hash != self.logs.hash() => edge.tell(conn, exchange::vector(&self.logs, true)),
            Message::Hash(_) => {}
            Message::Vector { mut positions, answer } => {
                positions.retain(|(owner, position)| *owner == self.me || self.is_listened_to(*owner, position.run));
                self.exchange.compare(edge, links, &self.logs, from, &positions);
                if answer {
                    edge.tell(conn, exchange::vector(&self.logs, false));
                }
            }
        }
        Ok(())
    }

    fn is_listened_to(&self, owner: NodeId, run: u64) -> bool {
        self.nodes.contains_key(&owner) && self.gone.get(&owner).is_none_or(|gone| run > *gone)
    }

    fn learn(&mut self, edge: &mut Edge, conn: ConnId, delta: Delta, pushed: bool) -> Result<(), Malformed> {
        let header = Header::of(&delta);
        let mut was_of_use = false;
        if self.is_listened_to(delta.owner, delta.run) {
            let before = self.logs.progress(header.owner);
            let merged = self.logs.merge(delta).map_err(|fault: Fault| Malformed::rule(&fault.to_string()))?;
            was_of_use = self.logs.progress(header.owner) != before;
            if let Merged::News(shifts) = merged {
                shifts.into_iter().for_each(|shift| self.take(edge, header.owner, shift));
            }
        }
        if pushed {
            edge.tell(conn, Message::Ack(self.logs.progress(header.owner)).bytes());
        } else {
            self.exchange.pulled(edge, &self.logs, conn, &header, was_of_use);
        }
        Ok(())
    }

    fn take(&mut self, edge: &mut Edge, owner: NodeId, shift: Shift) {
        self.clock = self.clock.max(shift.after.entry().map_or(0, |entry| entry.claim));
        self.names.shift(edge, owner, shift);
    }

    /// Looks at who can be reached. Costs nothing for nodes of which nothing changed.
    pub(super) fn look<'a>(&mut self, edge: &mut Edge, seen: impl Iterator<Item = (NodeId, &'a NodeName, MemberState)>) {
        let mut missing: BTreeSet<NodeId> = self.nodes.keys().copied().collect();
        let me = self.me;
        for (node, name, state) in seen.filter(|(node, _, state)| *node != me && *state != MemberState::Left) {
            missing.remove(&node);
            self.see(edge, node, name, state);
        }
        for node in missing {
            self.drop_node(edge, node);
        }
    }

    fn see(&mut self, edge: &mut Edge, node: NodeId, name: &NodeName, state: MemberState) {
        let known = self.nodes.insert(node, (name.clone(), state));
        if known.is_some_and(|(known, before)| known == *name && before.is_reachable() == state.is_reachable()) {
            return;
        }
        let held = self.logs.get(node).into_iter().flat_map(|log| log.iter());
        let held: Vec<(ProcessName, Process)> =
            held.filter(|(.., state)| state.entry().is_some()).map(|(name, process, _)| (name.clone(), process)).collect();
        self.names.see(edge, (node, name), state.is_reachable(), &held);
    }

    /// A node has left, or was forgotten.
    fn drop_node(&mut self, edge: &mut Edge, node: NodeId) {
        self.nodes.remove(&node);
        self.gone.insert(node, self.logs.progress(node).run);
        for (name, process, entry) in self.logs.remove(node) {
            self.take(edge, node, Shift { name, process, before: Some(entry), after: State::Gone(Reason::Left) });
        }
    }

    /// Carries on until nothing is left to carry; then writes, publishes and tells.
    pub(super) fn settle(&mut self, edge: &mut Edge, links: &Links) {
        while self.names.poll_fact().is_some() {}
        self.write(edge);
        if std::mem::take(&mut self.changed) {
            self.exchange.publish(edge, links, &self.logs);
        }
        self.names.flush(edge);
        self.count(edge);
    }

    fn count(&self, edge: &mut Edge) {
        let stats = &mut edge.stats.registry;
        stats.registered = self.own.len() as u64;
        stats.names = self.names.directory().len() as u64;
        stats.contested = self.names.contested();
    }
}

/// A caller may change processes of its own user; root those of all.
fn may_change(name: &ProcessName, registered: &Registered, uid: u32) -> Result<(), Refusal> {
    let owner = registered.entry.uid;
    if uid == 0 || uid == owner { Ok(()) } else { Err(Refusal::NotYours { name: name.clone(), owner }) }
}
