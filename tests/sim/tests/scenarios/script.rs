//! A world for scenarios: hosts by their names, what goes wrong with them, and what they say.

use names::{NodeId, Role};
use node::cluster::{self, Command, Input};
use node::proof::testing::{Below, Cheap};
use node::wire::{ConnId, Peer, Protocol, WriteError};
use sim::disk::Survival;
use sim::faults::Fault;
use sim::network::Weather;
use sim::world::World;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

/// A scripted world. What the simulator itself demands of any run it demands of this one, too.
pub(crate) struct Script(World);

impl Deref for Script {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl DerefMut for Script {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.0
    }
}

impl Script {
    pub(crate) fn new(seed: u64, loss: f64) -> Self {
        Self(World::scripted(
            seed,
            Weather {
                loss,
                ..Weather::fair()
            },
        ))
    }

    /// `count` hosts named node1…, none running.
    pub(crate) fn with_hosts(seed: u64, loss: f64, count: usize) -> Self {
        let mut world = Self::new(seed, loss);
        for id in 1..=count {
            world.host(&format!("node{id}"), u8::try_from(id).unwrap());
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
        self.add_host(name, NodeId([id; 16]), Role::Member)
    }

    /// A host with an observer's certificate.
    pub(crate) fn observer(&mut self, name: &str, id: u8) -> usize {
        self.add_host(name, NodeId([id; 16]), Role::Observer)
    }

    /// The certificate of a host was signed by an authority of that name, below the cluster's own.
    pub(crate) fn certified_by(&mut self, host: usize, authority: &str) {
        let host = &mut self.hosts[host];
        let cheap = Cheap(host.peer.clone());
        host.proofs = Arc::new(Below(cheap, authority.to_owned()));
    }

    pub(crate) fn start(&mut self, host: usize, seeds: &[usize]) {
        let addresses = seeds
            .iter()
            .map(|seed| self.hosts[*seed].address.to_string());
        self.hosts[host].seeds = addresses.collect();
        self.strike(Fault::Start { host });
    }

    /// As `kill -9`: what is not on disk is gone, and nobody is told.
    pub(crate) fn kill(&mut self, host: usize) {
        self.strike(Fault::Kill {
            host,
            survival: Survival::Nothing,
        });
    }

    /// Stops a daemon (SIGSTOP) for so long.
    pub(crate) fn pause_ms(&mut self, host: usize, ms: u64) {
        self.strike(Fault::Pause {
            host,
            span: Duration::from_millis(ms),
        });
    }

    pub(crate) fn cut(&mut self, left: &[usize], right: &[usize]) {
        for a in left {
            for b in right {
                self.strike(Fault::Cut { a: *a, b: *b });
            }
        }
    }

    /// Every write of a host fails from now on.
    pub(crate) fn break_disk(&mut self, host: usize) {
        self.hosts[host].disk.broken = Some(WriteError::Full);
    }

    pub(crate) fn mend_disk(&mut self, host: usize) {
        self.hosts[host].disk.broken = None;
    }

    /// Each commit of a host takes so long.
    pub(crate) fn slow_disk_ms(&mut self, host: usize, ms: u64) {
        self.hosts[host].disk.pace = (Duration::from_millis(ms), Duration::from_millis(ms));
    }

    /// Gives a host a copy of another one's data directory.
    pub(crate) fn copy_disk(&mut self, from: usize, to: usize) {
        self.expects_clones = true;
        let image = self.hosts[from].disk.image.clone();
        self.hosts[to].disk.replace(image);
    }

    pub(crate) fn heal(&mut self) {
        self.strike(Fault::Heal);
    }

    /// Asks a host's cluster machine; names the request.
    pub(crate) fn request(&mut self, host: usize, command: impl Into<Command>) -> u64 {
        self.ask(host, command);
        self.last_request()
    }

    pub(crate) fn reply(&self, request: u64) -> Option<&Result<cluster::Reply, cluster::Refusal>> {
        self.record().replies.get(&request)
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        self.0.run(Duration::from_millis(ms));
        assert!(self.problems.is_empty(), "{:?}", self.problems);
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
        let view = self.view(host);
        let lines = view.iter().flat_map(|view| &view.members);
        let lines: Vec<String> = lines
            .map(|m| format!("{}={}/{}", m.profile.name, m.state.as_str(), m.run))
            .collect();
        let verdict = view.map(|view| view.verdict);
        format!(
            "{}: {verdict:?} {:?} {}",
            it.peer.name,
            it.stopped,
            lines.join(" ")
        )
    }

    pub(crate) fn is_running(&self, host: usize) -> bool {
        self.hosts[host].process.is_some()
    }

    pub(crate) fn stats(&self, host: usize) -> cluster::Stats {
        let process = self.hosts[host].process.as_ref();
        process
            .map(|process| process.cluster_stats())
            .unwrap_or_default()
    }

    pub(crate) fn run_of(&self, host: usize, other: usize) -> u64 {
        let view = self.view(host);
        view.and_then(|view| view.member(self.hosts[other].peer.id))
            .map_or(0, |member| member.run)
    }

    pub(crate) fn expect_whole(&mut self, count: usize) {
        self.run_until(5_000, "all see all", |world| world.is_whole(count));
    }

    /// As a peer of that host that is no node of Muster's: what it says arrives as from a node of
    /// that name and id.
    pub(crate) fn intrude(
        &mut self,
        host: usize,
        (id, name): (u8, &str),
        inputs: impl Fn(ConnId) -> Vec<Input>,
    ) {
        // The network numbers its connections from 1.
        let conn = ConnId(u64::MAX - u64::from(id));
        let peer = Peer {
            id: NodeId([id; 16]),
            name: names::NodeName::new(name).unwrap(),
            role: names::Role::Member,
        };
        self.tell(
            host,
            Input::Connected {
                peer,
                conn,
                dial: None,
                remote: ([10, 0, 1, id], 6878).into(),
                protocol: Protocol(1),
            },
        );
        inputs(conn)
            .into_iter()
            .for_each(|input| self.tell(host, input));
        self.run_ms(1);
    }
}
