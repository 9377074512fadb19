//! The process registry: names and groups of processes on all nodes, found without asking anybody.
//!
//! A small machine beside membership: [`Cluster`](crate::cluster::Cluster) hands it what concerns
//! it, lends it the connections that are in use, and passes on what it wants done. [`Input`],
//! [`Output`] and [`Command`] are all that crosses the edge of both for it. Each node writes the log
//! of its own registrations (`own`, kept on disk through `ledger`) and has a replica of every other
//! node's (`exchange`; `learning` decides what of it is believed); from these logs, and from who is
//! reachable, `names` makes the directory.
//!
//! # The protocol
//!
//! A log belongs to one node, and only that node writes it: replicas cannot disagree, only be
//! behind. A replica's position in a log is a run of the owner's daemon and the number of a change
//! in it. What follows a position travels as a part of the log
//! ([`ProvedDelta`](crdt::registry::ProvedDelta)): its records as the owner wrote them, byte for byte,
//! whatever this program understands of them. The messages are in `message`, on channel 1.
//!
//! ## What is proved
//!
//! With each push the owner signs its log's [head](crdt::registry::Head): (owner, run, number of the last
//! change, horizon, hash of the live records), in its cluster and as nothing else
//! ([`proof`](crate::proof)). The hash is one over the set of the records ([`crdt::lthash`]), so that a
//! registration costs the same in a log of any size. A replica puts parts together aside until the
//! last one comes, with the head, and then puts all in place as one: what it has is always what some head
//! proves, and it can pass that on.
//!
//! From its owner's connection a log is taken without a look at the signature, but it must come to its
//! head: one that does not is a breach of the protocol. From another node it must come to a head that the
//! owner has signed, by the certificates in the owner's line of the roster; else nothing changes, and it
//! is counted and logged with who sent it. What proves nothing in it is the tombstones, since replicas
//! drop them at times of their own: a relayed one says no reason. Where one was left out on the way, what
//! follows does not come to the head: then the log is asked for once more from its beginning, which
//! needs no tombstones. A node relays only what it could prove to itself. A node that has got another
//! certificate signs its head anew, with the next number.
//!
//! Two heads of one position and unlike hashes show that an owner tells one thing here and another there. Peers
//! tell the first bytes of the hashes with the positions, so they find it, count it and log it; the one
//! with the smaller hash stays everywhere.
//!
//! ## Who speaks first
//!
//! Either side, once it has accepted the other's hello: it tells how far all its logs are, and asks
//! the same. From then on an owner pushes each change to every peer that is connected, and each
//! second every node compares one number over all its logs with a peer chosen at random.
//!
//! ## Messages
//!
//! A connection comes into use, and then something is registered at `a`:
//!
//! ```text
//! a → b   Heads { heads, answer: true }          how far all logs are here, and there?
//! b → a   Heads { heads, answer: false }
//! a → b   Proved { delta, pushed: true }         what b lacks of a's own log
//! b → a   Ack { progress }                       how far a's log is at b now
//! a → b   Proved …                               what was registered meanwhile, all in one part
//! ```
//!
//! Later `c`, which is cut off from `a`, meets `b`:
//!
//! ```text
//! c → b   Hash { hash }                          over all positions and contents
//! b → c   Heads { heads, answer: true }          its hash is another one; else silence
//! c → b   Pull { owner: a, from }                b is ahead with a's log
//! b → c   Proved { delta, pushed: false }        pulled on, part by part, until the last with the head
//! ```
//!
//! On connections of protocol 1 `Vector` is spoken in place of `Heads`, and `Part` in place of `Proved`:
//! records without their owner's bytes or proof. A log that came so is used, since the node that sent it is
//! its owner, or since `accept_v1` is set; it is told on such connections only, and takes the place of
//! nothing that is proved in that run.
//!
//! `Probe` and `Probed` ask an owner how far its log is at this moment: a link to a process that is
//! not known here yet must not fire before the log has come so far.
//!
//! ## What may be lost
//!
//! Anything. A part that fits nowhere changes nothing, and its acknowledgement tells from where on
//! to send again. What is not answered within 5 s counts as lost: the owner asks how far the peer
//! is, and a pull goes to whoever is ahead then. Another node than the owner that was asked for a log in
//! vain is not asked for it again for 10 s, so that one that says to be ahead hinders nobody. Parts whose
//! rest does not come, as their sender's connection has closed, are dropped. Nothing is sent to a peer that has not spoken on
//! the connection: it may have yet to accept this node's hello, and listens to nothing before.
//!
//! A new run of an owner's daemon begins its log anew, with all that is still registered. Its
//! replica is put together aside, and replaces the one before when it is complete: a restart ends
//! nothing. A tombstone is dropped after an hour, or when there are 10,000; whoever has less than
//! the last one dropped (the *horizon*) gets the log from its beginning, in the same way.
//!
//! A disk that was restored from a backup takes a run a second time. Each start counts its changes
//! from a random origin, which is its first horizon, so that the two logs of that run never mix;
//! and an owner that hears of a position at which it never was takes a run above.
//!
//! ## Bounds
//!
//! A part has about 128 KiB, and one is on its way to a peer at a time; a log has at most 262,144
//! records that take 128 MiB, each as its bytes and decoded, those included that wait for their head. The logs of nodes that are not connected take some 256 MiB in all: then no more of them is
//! asked for. What of that one user and one process may take is in `room`. An entry is bounded by [`Entry::excess`](crdt::registry::Entry::excess), the waiting
//! requests by 4,096.
//!
//! ## Where it comes from
//!
//! Names, links and monitors are those of Erlang/OTP. One writer for each log and version vectors
//! between replicas are Bayou's (Petersen et al. 1997, "Flexible update propagation for weakly
//! consistent replication"), the comparison with a random peer is the anti-entropy of Demers et al.
//! (1987, "Epidemic algorithms for replicated database maintenance"). The claims that decide who
//! has a name are times of a hybrid logical clock (Kulkarni et al. 2014, "Logical physical clocks"):
//! milliseconds, and after every claim that the node has seen.

pub mod ask;
mod commits;
mod directory;
mod draft;
mod edge;
mod ends;
mod exchange;
#[cfg(test)]
mod golden;
mod io;
mod learning;
mod ledger;
mod links;
pub(crate) mod message;
mod names;
mod own;
mod peers;
mod room;
mod rows;
mod staged;
mod trust;

pub use directory::{Directory, Found, Holder, ProcessState};
pub use io::{
    Bound, Change, Command, Event, EventKind, Input, KeptRow, Lifetime, LinkTarget, LinkView, News,
    OnConflict, Output, Refusal, Registration, Reply, SessionId, Settings, Signal, Stats,
};
pub use rows::{RowError, Rows, convert_row};

use self::names::Names;
use crate::time::{Instant, Now, Wall};
use crate::wire::{Peer, RequestId};
use ::names::{NodeId, ProcessName};
use bytes::Bytes;
use crdt::registry::{Entry, Log, Logs, Position, Process, State};
use edge::{Edge, Timer};
pub(crate) use edge::{Effect, Routes};
use exchange::Exchange;
use ledger::Ledger;
use links::Table;
use own::{Own, Registered};
use peers::Known;
pub(crate) use peers::{OwnLog, Presence, Sight};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use room::Room;
use rows::Row;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
pub(crate) use trust::Trust;

/// How long tombstones are kept at least, and at most by [`AGING`] longer.
const TOMBSTONES: Duration = Duration::from_secs(3_600);
/// How often it is noted how far the logs are, so that their tombstones' age is known.
const AGING: Duration = Duration::from_secs(600);

/// The registry of one node.
#[derive(Debug)]
pub(crate) struct Registry {
    me: NodeId,
    edge: Edge,
    rng: ChaCha8Rng,
    own: Own,
    logs: Logs,
    names: Names,
    ledger: Ledger,
    exchange: Exchange,
    links: Table,
    trust: Trust,
    /// All nodes on the roster that are expected, but this one.
    nodes: BTreeMap<NodeId, Known>,
    /// The certificates by which what nodes sign is judged, as far as they are known.
    chains: BTreeMap<NodeId, Bytes>,
    /// The nodes that have left or were forgotten, each with the run in which it did: what it wrote
    /// up to that run is not accepted any more.
    gone: BTreeMap<NodeId, u64>,
    /// The sessions whose connection has closed. A registration for one of them may still wait for
    /// the disk, and has to end as soon as it is kept. Each comes with the number of the last
    /// request that arrived before it closed, and is dropped once that request is answered.
    closed_sessions: BTreeMap<SessionId, u64>,
    room: Room,
    kill_after: Duration,
    /// How far the logs were at some times within the last hour.
    ages: VecDeque<(Instant, Vec<(NodeId, Position)>)>,
    /// The clock of claims: the latest that was seen.
    clock: u64,
    /// Whether this node's log has changed since it was last proved and published.
    changed: bool,
    /// The certificates by which others judge its head.
    signed_by: Bytes,
    /// Processes that an earlier start has registered, until they end or are not registered any more.
    resumed: BTreeSet<Process>,
}

impl Registry {
    /// Takes over what the disk kept, as the log of `run`.
    pub(crate) fn new(
        now: Now,
        me: &Peer,
        run: u64,
        (settings, rng, trust): (Settings, ChaCha8Rng, Trust),
    ) -> Self {
        let mut registry = Self {
            rng,
            me: me.id,
            edge: Edge::new(now),
            own: Own::default(),
            logs: Logs::default(),
            names: Names::default(),
            ledger: Ledger::default(),
            exchange: Exchange::new(me.id, trust.accept_v1),
            trust,
            nodes: BTreeMap::new(),
            chains: BTreeMap::new(),
            gone: BTreeMap::new(),
            closed_sessions: BTreeMap::new(),
            links: Table::default(),
            room: Room::new(settings.capacity, settings.names_per_uid),
            kill_after: settings.kill_after,
            ages: VecDeque::new(),
            clock: 0,
            changed: true,
            signed_by: Bytes::new(),
            resumed: BTreeSet::new(),
        };
        registry.begin_log(run);
        registry
            .names
            .note_node(&registry.edge, (me.id, &me.name), true, &[]);
        registry.resume(settings.kept);
        registry
    }

    fn resume(&mut self, kept: Rows) {
        let mut links = Vec::new();
        for row in kept.0 {
            match row {
                Row::Entry(name, registered) => self.resume_entry(name, registered),
                link @ Row::Link(..) => links.push(link),
            }
        }
        links.into_iter().for_each(|link| self.resume_link(link));
        self.await_orphans();
        self.begin_lookout();
        self.edge.after(AGING, Timer::Age);
    }

    fn resume_entry(&mut self, name: ProcessName, mut registered: Registered) {
        if registered.entry.claim > Entry::MAX_CLOCK {
            // A lie had driven the clock so far. Peers would refuse the whole log.
            let entry = Entry::clone(&registered.entry);
            let claim = Entry::MAX_CLOCK;
            registered.entry = Arc::new(Entry { claim, ..entry });
        }
        let (process, entry) = (registered.process, Arc::clone(&registered.entry));
        self.clock = self.clock.max(entry.claim);
        self.watch(process);
        self.resumed.insert(process);
        self.own.insert(name.clone(), registered);
        self.logs.put(
            self.me,
            name.clone(),
            process,
            State::Live(Arc::clone(&entry)),
        );
        self.names.resume(self.me, &name, process, entry);
    }

    /// The node has another run: all is said anew in that one.
    pub(crate) fn begin(&mut self, run: u64) {
        if self.logs.position(self.me).run != run {
            self.begin_log(run);
            self.changed = true;
        }
    }

    fn begin_log(&mut self, run: u64) {
        let wall_ms = u64::try_from(self.edge.now.wall.0).unwrap_or(0);
        let origin = Log::origin(wall_ms, self.rng.random());
        self.logs.begin(self.me, run, origin);
    }

    /// Answers what a client asks, at once or when it is kept.
    pub(crate) fn request(&mut self, request: RequestId, command: Command) {
        match command {
            Command::Report(ask::Report { name, reason, uid }) => {
                let result = self.report(&name, reason, uid);
                self.reply(request, result);
            }
            Command::Links(ask::Links { name }) => {
                let result = self.links_of(&name).map(Reply::Links);
                self.reply(request, result);
            }
            Command::Register(_)
            | Command::Unregister(_)
            | Command::Group(_)
            | Command::Link(_)
            | Command::Unlink(_) => {
                if !self.ledger.enqueue(request, command) {
                    let refusal = Refusal::Full {
                        what: "requests that wait for the \
                        disk",
                        limit: Ledger::limit(),
                    };
                    self.reply(request, Err(refusal));
                }
            }
        }
    }

    /// What the reply rests on is told first.
    fn reply(&mut self, id: RequestId, result: Result<Reply, Refusal>) {
        self.names.flush(&mut self.edge);
        self.edge.put(Effect::Reply { id, result });
    }

    pub(crate) fn set_now(&mut self, now: Now) {
        self.edge.now = now;
    }

    pub(crate) fn next_effect(&mut self) -> Option<Effect> {
        self.edge.next_output()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.edge.next_deadline()
    }

    /// Does one thing that is due; `false` if nothing is.
    pub(crate) fn fire_next_due(&mut self) -> bool {
        let Some(timer) = self.edge.next_due() else {
            return false;
        };
        match timer {
            Timer::Rewrite => self.ledger.end_rest(),
            Timer::Report(name, process) => self.unreported(&name, process),
            Timer::Orphans => self.end_orphans(),
            Timer::Lookout => self.end_lookout(),
            Timer::Kill(process, uid) => self.kill(process, uid),
            Timer::Age => self.drop_old_tombstones(),
        }
        true
    }

    /// Drops the tombstones that were there an hour ago.
    fn drop_old_tombstones(&mut self) {
        self.edge.after(AGING, Timer::Age);
        let now = self.edge.instant();
        self.ages.push_back((now, self.logs.vector().collect()));
        while self
            .ages
            .front()
            .is_some_and(|(then, _)| now.since(*then) >= TOMBSTONES)
        {
            let Some((_, positions)) = self.ages.pop_front() else {
                return;
            };
            positions
                .into_iter()
                .for_each(|(owner, position)| self.logs.forget(owner, position));
        }
    }

    /// Why a name that this node does not have cannot be changed here.
    fn not_here(&self, name: &ProcessName) -> Refusal {
        let elsewhere = self
            .names
            .directory()
            .whereis(name)
            .map(|found| found.holder.node);
        elsewhere.map_or_else(
            || Refusal::Unknown(name.clone()),
            |node| Refusal::Elsewhere {
                name: name.clone(),
                node,
            },
        )
    }

    fn is_free_elsewhere(&self, name: &ProcessName) -> Result<(), Refusal> {
        let others = self
            .names
            .directory()
            .holders(name)
            .filter(|(owner, .., reachable)| *reachable && *owner != self.me);
        match others.min_by_key(|(owner, _, entry, _)| (entry.claim, *owner)) {
            Some((owner, process, entry, _)) => Err(self.held(owner, name, process, entry)),
            None => Ok(()),
        }
    }

    fn held(&self, owner: NodeId, name: &ProcessName, process: Process, entry: &Entry) -> Refusal {
        let handle = self.names.handle(owner, name, process);
        handle.map_or_else(
            || Refusal::Unknown(name.clone()),
            |holder| Refusal::Held {
                holder,
                since: Wall(entry.since_ms),
            },
        )
    }

    /// What follows from what has just happened: signals, writes, what peers are sent, news. To be
    /// called at the end of each step.
    pub(crate) fn finish_step(&mut self, connections: &dyn Routes) {
        self.act_on_facts();
        self.judge_requests();
        self.act_on_facts();
        self.send_probes(connections, false);
        if std::mem::take(&mut self.changed) {
            self.prove_log();
            self.exchange
                .publish(&mut self.edge, connections, &self.logs);
        }
        self.names.flush(&mut self.edge);
    }

    /// Whatever goes out from here on proves what it says.
    fn prove_log(&mut self) {
        self.signed_by = self.trust.chain();
        let trust = &self.trust;
        let proved = self.logs.prove(self.me, |said| trust.sign(said));
        if let Err(error) = proved {
            tracing::error!(%error, "this node's registrations cannot be proved");
        }
    }

    /// A key may have come with new certificates, by which nobody can judge what an earlier one has
    /// signed.
    fn renew_proof(&mut self) {
        if self.trust.chain() != self.signed_by {
            self.logs.advance(self.me);
            self.changed = true;
        }
    }

    /// How far the log of a node has come here.
    #[cfg(test)]
    pub(crate) fn position(&self, owner: NodeId) -> crdt::registry::Position {
        self.logs.position(owner)
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            registered: self.own.len() as u64,
            processes: self.own.processes() as u64,
            names: self.names.directory().len() as u64,
            contested: self.names.contested(),
            tombstones: self.logs.tombstones() as u64,
            links: self.links.len() as u64,
            ..self.edge.stats
        }
    }
}

/// A caller may change processes of its own user; root those of all.
fn may_change(name: &ProcessName, registered: &Registered, uid: u32) -> Result<(), Refusal> {
    let owner = registered.entry.uid;
    if uid == 0 || uid == owner {
        Ok(())
    } else {
        Err(Refusal::NotYours {
            name: name.clone(),
            owner,
        })
    }
}
