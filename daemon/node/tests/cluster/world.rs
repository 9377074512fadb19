//! A small world for cluster machines: virtual time, one seed, hosts with disks, connections that
//! must be dialled.
//!
//! Datagrams are delayed and lost. Messages are delayed and wait out a cut. A connection dies of
//! ten idle seconds, or when its peer's process is found to be another one. The second of two
//! connections between the same two nodes is closed after a second, unless the smaller id dialled
//! it: then the first is.

mod network;
pub(crate) mod processes;

use bytes::Bytes;
use crdt::roster::Profile;
use names::{NodeId, NodeName};
use network::{Pipe, conn, place};
use node::cluster::registry::KeptRow;
use node::cluster::{
    Cluster, Command, Event, EventKind, Input, MemberState, Output, Refusal, Reply, RosterView,
    Settings, StopReason, Target, Verdict,
};
use node::machine::Machine;
use node::time::{Instant, Now, Wall};
use node::wire::{Channel, ConnId, DialId, Peer, Protocol, RequestId, WriteError, WriteId};
use processes::Processes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

const MS: u64 = 1_000_000;
const DIAL_LIMIT: u64 = 1_500 * MS;

/// One machine with its disk.
pub(crate) struct Host {
    pub(crate) name: String,
    peer: Peer,
    pub(crate) address: SocketAddr,
    machine: Option<Cluster>,
    /// Counts its processes.
    process: u64,
    paused: bool,
    deferred: Vec<Input>,
    pub(crate) disk: Option<Bytes>,
    pub(crate) disk_works: bool,
    pub(crate) view: Option<Arc<RosterView>>,
    pub(crate) stopped: Option<StopReason>,
    timer: Option<u64>,
    pub(crate) processes: Processes,
}

/// One end of a connection: the host and which of its processes.
type End = (usize, u64);

enum Happening {
    Timer(usize, u64),
    Input(End, Input),
    Datagram {
        pipe: u64,
        from: usize,
        bytes: Bytes,
    },
    Pump {
        pipe: u64,
        from: usize,
        channel: Channel,
    },
    Dialled {
        end: End,
        dial: DialId,
        target: Target,
        given_up: u64,
    },
    Written(End, Input, Bytes),
    Kept {
        end: End,
        id: WriteId,
        result: Result<(), WriteError>,
        rows: Vec<KeptRow>,
    },
    Break(u64),
    Idle,
}

pub(crate) struct World {
    pub(crate) now: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    pub(crate) hosts: Vec<Host>,
    pipes: BTreeMap<u64, Pipe>,
    /// Directed: nothing goes from the first to the second.
    cuts: BTreeSet<(usize, usize)>,
    rng: ChaCha8Rng,
    pub(crate) loss: f64,
    /// Every third message of the registry finds no room.
    pub(crate) lossy_registry: bool,
    /// A host that gets each datagram one to two seconds late.
    pub(crate) laggard: Option<usize>,
    /// All events, of all hosts.
    pub(crate) told: Vec<Event>,
    pub(crate) replies: BTreeMap<u64, Result<Reply, Refusal>>,
    requests: u64,
    /// Of all that happened, in order.
    pub(crate) trace: u64,
}

impl World {
    pub(crate) fn new(seed: u64, loss: f64) -> Self {
        let mut world = Self {
            now: 0,
            sequence: 0,
            queue: BTreeMap::new(),
            hosts: Vec::new(),
            pipes: BTreeMap::new(),
            cuts: BTreeSet::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            loss,
            lossy_registry: false,
            laggard: None,
            told: Vec::new(),
            replies: BTreeMap::new(),
            requests: 0,
            trace: 0,
        };
        world.at(1_000 * MS, Happening::Idle);
        world
    }

    /// `count` hosts named node1…, none running.
    pub(crate) fn with_hosts(seed: u64, loss: f64, count: usize) -> Self {
        let mut world = Self::new(seed, loss);
        for i in 1..=count {
            world.host(&format!("node{i}"), u8::try_from(i).unwrap());
        }
        world
    }

    /// Running hosts that all have the first as their seed, given time to find each other.
    pub(crate) fn cluster(seed: u64, loss: f64, count: usize) -> Self {
        let mut world = Self::with_hosts(seed, loss, count);
        (0..count).for_each(|host| world.start(host, &[0]));
        world.run_ms(5_000);
        world.expect_whole(count);
        world
    }

    /// A host with a certificate for that name and id; the address is its own.
    pub(crate) fn host(&mut self, name: &str, id: u8) -> usize {
        let host = self.hosts.len();
        self.hosts.push(Host {
            name: name.to_owned(),
            peer: Peer {
                id: NodeId([id; 16]),
                name: NodeName::new(name).unwrap(),
            },
            address: ([10, 0, 0, u8::try_from(host).unwrap() + 1], 6878).into(),
            machine: None,
            process: 0,
            paused: false,
            deferred: Vec::new(),
            disk: None,
            disk_works: true,
            view: None,
            stopped: None,
            timer: None,
            processes: Processes::default(),
        });
        host
    }

    pub(crate) fn start(&mut self, host: usize, seeds: &[usize]) {
        let seeds = seeds
            .iter()
            .map(|seed| self.hosts[*seed].address.to_string())
            .collect();
        let (nonce, seed) = (self.rng.random(), self.rng.random());
        let now = self.clock();
        let it = &mut self.hosts[host];
        let profile = Profile {
            name: it.peer.name.clone(),
            address: it.address,
            version: "test".into(),
            tags: vec![],
        };
        let registry = it.processes.settings();
        let settings = Settings {
            me: it.peer.clone(),
            profile,
            seeds,
            kept: it.disk.clone(),
            nonce,
            seed,
            registry,
        };
        (it.process, it.stopped, it.timer, it.paused) = (it.process + 1, None, None, false);
        it.machine = Some(Cluster::new(settings, now));
        self.drain(host);
    }

    /// As `kill -9`: what is not on disk is gone, and nobody is told.
    pub(crate) fn kill(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        (it.machine, it.view) = (None, None);
        it.deferred.clear();
        it.processes.forget();
    }

    pub(crate) fn pause(&mut self, host: usize) {
        self.hosts[host].paused = true;
    }

    pub(crate) fn resume(&mut self, host: usize) {
        self.hosts[host].paused = false;
        for input in std::mem::take(&mut self.hosts[host].deferred) {
            self.give(host, input);
        }
        self.wake(host);
    }

    pub(crate) fn cut(&mut self, left: &[usize], right: &[usize]) {
        for l in left {
            for r in right {
                self.cuts.extend([(*l, *r), (*r, *l)]);
            }
        }
    }

    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(crate) fn request(&mut self, host: usize, command: impl Into<Command>) -> u64 {
        self.requests += 1;
        self.give(
            host,
            Input::Request {
                id: RequestId(self.requests),
                command: command.into(),
            },
        );
        self.requests
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        let until = self.now + ms * MS;
        while let Some(entry) = self
            .queue
            .first_entry()
            .filter(|entry| entry.key().0 <= until)
        {
            let ((at, _), happening) = entry.remove_entry();
            self.now = at;
            self.happen(happening);
        }
        self.now = until;
    }

    /// Runs until it is so; gives the milliseconds that took.
    pub(crate) fn run_until(
        &mut self,
        limit_ms: u64,
        what: &str,
        mut is_so: impl FnMut(&Self) -> bool,
    ) -> u64 {
        for ms in (0..limit_ms).step_by(10) {
            if is_so(self) {
                return ms;
            }
            self.run_ms(10);
        }
        let seen: Vec<String> = (0..self.hosts.len())
            .map(|host| self.describe(host))
            .collect();
        panic!("not within {limit_ms} ms: {what}\n{}", seen.join("\n"));
    }

    fn describe(&self, host: usize) -> String {
        let it = &self.hosts[host];
        let lines = it.view.iter().flat_map(|view| &view.members);
        let lines: Vec<String> = lines
            .map(|m| format!("{}={}/{}", m.profile.name, m.state.as_str(), m.run))
            .collect();
        format!(
            "{}: {:?} {:?} {}",
            it.name,
            it.view.as_ref().map(|view| view.verdict),
            it.stopped,
            lines.join(" ")
        )
    }

    pub(crate) fn is_running(&self, host: usize) -> bool {
        self.hosts[host].machine.is_some()
    }

    pub(crate) fn stats(&self, host: usize) -> node::cluster::Stats {
        self.hosts[host]
            .machine
            .as_ref()
            .map(Cluster::stats)
            .unwrap_or_default()
    }

    pub(crate) fn verdict(&self, host: usize) -> Verdict {
        self.hosts[host].view.as_ref().unwrap().verdict
    }

    /// What `host` says of `other`; `None` if it is not on its roster.
    pub(crate) fn state(&self, host: usize, other: usize) -> Option<MemberState> {
        self.hosts[host]
            .view
            .as_ref()?
            .member(self.hosts[other].peer.id)
            .map(|member| member.state)
    }

    pub(crate) fn run_of(&self, host: usize, other: usize) -> u64 {
        self.hosts[host]
            .view
            .as_ref()
            .and_then(|view| view.member(self.hosts[other].peer.id))
            .map_or(0, |member| member.run)
    }

    pub(crate) fn all_say(&self, hosts: &[usize], other: usize, state: MemberState) -> bool {
        hosts
            .iter()
            .filter(|host| **host != other)
            .all(|host| self.state(*host, other) == Some(state))
    }

    pub(crate) fn is_whole(&self, count: usize) -> bool {
        (0..count).all(|host| {
            (0..count).all(|other| self.state(host, other) == Some(MemberState::Alive))
                && self.verdict(host) == Verdict::Whole
        })
    }

    pub(crate) fn expect_whole(&mut self, count: usize) {
        self.run_until(5_000, "all see all", |world| world.is_whole(count));
    }

    /// For how long anybody has suspected anybody.
    pub(crate) fn longest_suspicion_ms(&self) -> i64 {
        let lines = self
            .hosts
            .iter()
            .flat_map(|host| &host.view)
            .flat_map(|view| &view.members);
        let suspects = lines.filter(|member| member.state == MemberState::Suspect);
        suspects
            .map(|member| self.clock().wall.0 - member.since.0)
            .max()
            .unwrap_or(0)
    }

    /// How often hosts told this kind of event of that host.
    pub(crate) fn count(&self, kind: &str, of: usize) -> usize {
        let is_it = |told: &&Event| matches!(&told.kind, EventKind::Member { kind: k, id, .. } if *k == kind && *id == self.hosts[of].peer.id);
        self.told.iter().filter(is_it).count()
    }

    /// A number below `bound`, of the world's seed.
    pub(crate) fn draw(&mut self, bound: usize) -> usize {
        self.rng.random_range(0..bound)
    }

    fn clock(&self) -> Now {
        Now {
            instant: Instant::from_nanos(self.now),
            wall: Wall(i64::try_from(self.now / MS).unwrap()),
        }
    }

    fn at(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), happening);
    }

    fn delay(&mut self) -> u64 {
        self.rng.random_range(MS / 2..=3 * MS)
    }

    fn is_lost(&mut self) -> bool {
        self.loss > 0.0 && self.rng.random_bool(self.loss)
    }

    fn lives(&self, end: End) -> bool {
        self.hosts[end.0].process == end.1 && self.hosts[end.0].machine.is_some()
    }

    fn note(&mut self, what: u64) {
        self.trace = (self.trace ^ self.now ^ what)
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(17);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Timer(host, at) => {
                if self.hosts[host].timer == Some(at) {
                    self.hosts[host].timer = None;
                    self.wake(host);
                }
            }
            Happening::Input(end, input) => {
                if self.lives(end) {
                    self.give(end.0, input);
                }
            }
            Happening::Written(end, input, bytes) => {
                if self.lives(end) {
                    self.hosts[end.0].disk = Some(bytes);
                    self.give(end.0, input);
                }
            }
            Happening::Kept {
                end,
                id,
                result,
                rows,
            } => self.kept(end, id, result, rows),
            Happening::Datagram { pipe, from, bytes } => self.arrive(pipe, from, bytes),
            Happening::Pump {
                pipe,
                from,
                channel,
            } => self.pump(pipe, from, channel),
            Happening::Dialled {
                end,
                dial,
                target,
                given_up,
            } => self.dialled(end, dial, target, given_up),
            Happening::Break(pipe) => self.break_pipe(pipe),
            Happening::Idle => self.idle(),
        }
    }

    fn give(&mut self, host: usize, input: Input) {
        if self.hosts[host].paused {
            if self.hosts[host].deferred.len() < 10_000 {
                self.hosts[host].deferred.push(input);
            }
            return;
        }
        let now = self.clock();
        let Some(machine) = self.hosts[host].machine.as_mut() else {
            return;
        };
        machine.handle(now, input);
        self.drain(host);
    }

    fn wake(&mut self, host: usize) {
        let now = self.clock();
        let it = &mut self.hosts[host];
        if let Some(machine) = it.machine.as_mut().filter(|_| !it.paused) {
            machine.wake(now);
            self.drain(host);
        }
    }

    fn drain(&mut self, host: usize) {
        while let Some(output) = self.hosts[host]
            .machine
            .as_mut()
            .and_then(Cluster::poll_output)
        {
            self.note(host as u64);
            self.put(host, output);
        }
        let due = self.hosts[host]
            .machine
            .as_ref()
            .and_then(Cluster::poll_timeout)
            .map(|at| at.as_nanos().max(self.now));
        if due != self.hosts[host].timer {
            self.hosts[host].timer = due;
            if let Some(at) = due {
                self.at(at, Happening::Timer(host, at));
            }
        }
    }

    fn put(&mut self, host: usize, output: Output) {
        let end = (host, self.hosts[host].process);
        match output {
            Output::Dial { dial, target } => {
                let at = self.now + 3 * self.delay();
                let given_up = self.now + DIAL_LIMIT;
                self.at(
                    at,
                    Happening::Dialled {
                        end,
                        dial,
                        target,
                        given_up,
                    },
                );
            }
            Output::Datagram { conn, bytes } => {
                self.note(bytes.len() as u64);
                assert!(bytes.len() <= 1150);
                let (pipe, from) = place(conn);
                let at = self.now + self.delay() + self.lag(pipe, from);
                if !self.is_lost() {
                    self.at(at, Happening::Datagram { pipe, from, bytes });
                }
            }
            Output::Send {
                conn,
                channel,
                bytes,
            } => self.send(conn, channel, bytes),
            Output::KeepAlive { conn, on } => {
                let (pipe, from) = place(conn);
                if let Some(pipe) = self.pipes.get_mut(&pipe) {
                    pipe.keep_alive[from] = on;
                }
            }
            Output::Close { conn, .. } => self.break_pipe(place(conn).0),
            Output::Write { id, bytes } => {
                let result = if self.hosts[host].disk_works {
                    Ok(())
                } else {
                    Err(WriteError::Full)
                };
                let kept = if result.is_ok() {
                    bytes
                } else {
                    self.hosts[host].disk.clone().unwrap_or_default()
                };
                self.at(
                    self.now + MS,
                    Happening::Written(end, Input::Written { id, result }, kept),
                );
            }
            Output::View(view) => self.hosts[host].view = Some(view),
            Output::Event(event) => self.told.push(event),
            Output::Reply { id, result } => drop(self.replies.insert(id.0, result)),
            Output::Registry(output) => self.put_registry(host, output),
            Output::Stop(reason) => {
                self.hosts[host].stopped = Some(reason);
                self.hosts[host].machine = None;
                self.hosts[host].processes.forget();
                let ended: Vec<u64> = self
                    .pipes
                    .iter()
                    .filter(|(_, pipe)| pipe.ends.contains(&end))
                    .map(|(id, _)| *id)
                    .collect();
                ended.into_iter().for_each(|pipe| self.break_pipe(pipe));
            }
        }
    }

    /// As a peer of that host that is no `Cluster`: what it says arrives as from a node of that
    /// name and id.
    pub(crate) fn intrude(
        &mut self,
        host: usize,
        id: u8,
        name: &str,
        inputs: impl Fn(ConnId) -> Vec<Input>,
    ) {
        self.sequence += 1;
        let conn = conn(self.sequence, 1);
        let peer = Peer {
            id: NodeId([id; 16]),
            name: NodeName::new(name).unwrap(),
        };
        self.give(
            host,
            Input::Connected {
                peer,
                conn,
                dial: None,
                remote: ([10, 0, 1, id], 6878).into(),
                protocol: Protocol(1),
            },
        );
        for input in inputs(conn) {
            self.give(host, input);
        }
    }
}
