//! A simulated host: a disk, a clock that may be wrong, and sometimes a process with the real
//! machines in it.

use crate::chance::Chance;
use crate::check::events::Story;
use crate::disk::Disk;
use crate::os::Os;
use crate::queue::{Input, Place};
use crate::world::KILL_AFTER;
use bytes::Bytes;
use crdt::roster::{Pace, Profile};
use crdt::vector::Sums;
use names::{ListId, Shard};
use node::cluster::{self, Cluster, RosterView, StopReason};
use node::lists::{self, Lists};
use node::machine::Machine as _;
use node::preference::Preference;
use node::proof::Proofs;
use node::proof::testing::Cheap;
use node::registry;
use node::time::{Instant, Now, Wall};
use node::wire::Peer;
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// The wall clock at the beginning of the simulation, in milliseconds since the epoch.
pub const EPOCH_MS: i64 = 1_790_000_000_000;

/// What one of a process's machines wants done.
#[derive(Debug)]
pub enum Output {
    /// The cluster machine.
    Cluster(cluster::Output),
    /// A lists machine.
    Lists(lists::Output),
}

#[derive(Debug)]
enum Machine {
    Cluster(Box<Cluster>),
    Lists(Box<Lists>),
}

/// One machine with the queue before it.
#[derive(Debug)]
struct Worker {
    machine: Machine,
    shards: (Shard, Shard),
    stalled_until: Instant,
    inbox: VecDeque<Input>,
    /// When its last planned input arrives: later ones come after it.
    last_input: Instant,
    /// Lists about which a job is under way.
    working: BTreeSet<ListId>,
}

/// A running daemon: its machines, in the order of [`Place::machine`].
#[derive(Debug)]
pub struct Process {
    /// Which process of its host.
    pub epoch: u64,
    /// When it started.
    pub started: Instant,
    /// The newest view of its cluster machine.
    pub view: Option<Arc<RosterView>>,
    /// What its registry has told.
    pub story: Story,
    /// Whether its registry acts upon it that a node was not in sight since the start.
    pub looked_out: bool,
    /// Until when it was stopped last.
    pub paused_until: Instant,
    /// Which of several connections to a peer its machines use.
    pub preference: Preference,
    workers: Vec<Worker>,
}

/// A host, whether its daemon runs or not.
#[derive(Debug)]
pub struct Host {
    /// Who it is, by its certificate.
    pub peer: Peer,
    /// With what it signs, and by what it judges.
    pub proofs: Arc<dyn Proofs>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whom its configuration tells it to join.
    pub seeds: Vec<String>,
    /// What its links cost.
    pub pace: Pace,
    /// Its operating system.
    pub os: Os,
    /// Its disk.
    pub disk: Disk,
    /// How wrong its wall clock is, in milliseconds.
    pub clock_error_ms: i64,
    /// Its daemon, while it runs.
    pub process: Option<Process>,
    /// Why its daemon ended last, if it ended in order.
    pub stopped: Option<StopReason>,
    /// Whether a backup of its disk was ever restored.
    pub restored: bool,
    /// How many processes it has had.
    pub epoch: u64,
    /// How many processes its daemon can watch.
    pub capacity: usize,
    /// How many names one user's processes may have.
    pub names_per_uid: usize,
    /// Whether it takes changes of lists by actors for which no node has signed.
    pub takes_unsigned: bool,
    chance: Chance,
}

impl Host {
    /// A host that does not run yet.
    pub fn new(
        peer: Peer,
        address: SocketAddr,
        seeds: Vec<String>,
        (os, disk): (Os, Disk),
        chance: Chance,
    ) -> Self {
        Self {
            proofs: Arc::new(Cheap(peer.clone())),
            peer,
            address,
            seeds,
            pace: Pace::Normal,
            os,
            disk,
            clock_error_ms: 0,
            process: None,
            stopped: None,
            restored: false,
            epoch: 0,
            capacity: 20_000,
            names_per_uid: 10_000,
            takes_unsigned: false,
            chance,
        }
    }

    /// What its clocks say.
    pub fn now(&self, instant: Instant) -> Now {
        let ms = i64::try_from(instant.as_nanos() / 1_000_000).unwrap_or(i64::MAX);
        Now {
            instant,
            wall: Wall(EPOCH_MS + ms + self.clock_error_ms),
        }
    }

    /// Starts its daemon with that many lists machines, from what its disk holds.
    pub fn start(&mut self, now: Instant, machines: usize, resident_bytes: usize) {
        self.epoch += 1;
        self.stopped = None;
        self.disk.reopen();
        let kept = self.disk.image.cluster.as_ref();
        let kept = kept.map(|bytes| cluster::Kept::read(bytes).expect("what was written"));
        let kept = kept.unwrap_or_default();
        let run = kept.next_run();
        let profile = Profile {
            name: self.peer.name.clone(),
            address: self.address,
            version: "0.1.0".into(),
            tags: vec![],
        };
        let (nonce, seed) = (self.chance.bytes(), self.chance.bytes());
        let registry = self.registry_settings();
        let settings = cluster::Settings {
            me: self.peer.clone(),
            profile,
            seeds: self.seeds.clone(),
            kept,
            nonce,
            seed,
            proofs: Arc::clone(&self.proofs),
            accept_v1: false,
            pace: self.pace,
            registry,
        };
        let everything = (Shard(0), Shard(255));
        let cluster = Machine::Cluster(Box::new(Cluster::new(settings, self.now(now))));
        let mut workers = vec![Worker::new(cluster, everything)];
        let salt = self.chance.bytes();
        for shards in share_out(machines) {
            let settings = self.lists_settings(shards, resident_bytes, (run, salt));
            workers.push(Worker::new(
                Machine::Lists(Box::new(Lists::new(settings))),
                shards,
            ));
        }
        self.process = Some(Process {
            epoch: self.epoch,
            started: now,
            view: None,
            story: Story::default(),
            looked_out: false,
            paused_until: Instant::default(),
            preference: Preference::default(),
            workers,
        });
    }

    fn registry_settings(&self) -> registry::Settings {
        let row = |(key, value): (&Bytes, &Bytes)| registry::KeptRow {
            key: key.clone(),
            value: Some(value.clone()),
        };
        let kept: Vec<_> = self.disk.image.kept.iter().map(row).collect();
        registry::Settings {
            kept: registry::Rows::read(&kept).expect("what was written"),
            capacity: self.capacity,
            names_per_uid: self.names_per_uid,
            kill_after: KILL_AFTER,
        }
    }

    fn lists_settings(
        &mut self,
        shards: (Shard, Shard),
        resident_bytes: usize,
        (run, salt): (u64, [u8; 16]),
    ) -> lists::Settings {
        let salts = self.disk.image.salts.values();
        let salts = salts.map(|salt| salt.relayed().bytes().clone()).collect();
        lists::Settings {
            me: self.peer.id,
            shards,
            salt,
            run,
            proofs: Arc::clone(&self.proofs),
            salts,
            seed: self.chance.bytes(),
            resident_bytes,
            known: self.known(shards),
            compares_numbers: true,
            takes_unsigned: self.takes_unsigned,
            quarantined: self
                .disk
                .image
                .quarantined
                .keys()
                .copied()
                .filter(|list| owns(shards, *list))
                .collect(),
            remake: self
                .disk
                .image
                .remake
                .iter()
                .map(|(list, remake)| (*list, *remake))
                .filter(|(list, _)| owns(shards, *list))
                .collect(),
        }
    }

    fn known(&self, shards: (Shard, Shard)) -> Vec<(ListId, Sums)> {
        self.disk
            .image
            .known()
            .into_iter()
            .filter(|(list, _)| owns(shards, *list))
            .collect()
    }

    /// What to tell each lists machine when the store was reopened.
    pub fn reopened(&mut self) -> Vec<(usize, lists::Input)> {
        let Some(process) = &self.process else {
            return Vec::new();
        };
        let shards: Vec<(Shard, Shard)> = process
            .workers
            .iter()
            .skip(1)
            .map(|worker| worker.shards)
            .collect();
        let salt = self.chance.bytes();
        let tell = |(index, shards)| {
            (
                index + 1,
                lists::Input::Reopened {
                    salt,
                    known: self.known(shards),
                },
            )
        };
        shards.into_iter().enumerate().map(tell).collect()
    }

    /// The place of a machine of the running process.
    pub fn place(&self, host: usize, machine: usize) -> Option<Place> {
        self.process.as_ref().map(|process| Place {
            host,
            epoch: process.epoch,
            machine,
        })
    }
}

impl Worker {
    fn new(machine: Machine, shards: (Shard, Shard)) -> Self {
        let (stalled_until, last_input) = Default::default();
        Self {
            machine,
            shards,
            stalled_until,
            inbox: VecDeque::new(),
            last_input,
            working: BTreeSet::new(),
        }
    }
}

impl Process {
    /// How many machines it has.
    pub fn machines(&self) -> usize {
        self.workers.len()
    }

    /// The lists machine that owns a list.
    pub fn owner_of(&self, list: ListId) -> usize {
        self.owners((list.shard(), list.shard()))
            .next()
            .unwrap_or(1)
    }

    /// The lists machines that own one of these shards.
    pub fn owners(&self, (first, last): (Shard, Shard)) -> impl Iterator<Item = usize> {
        let shared = move |worker: &Worker| worker.shards.0 <= last && worker.shards.1 >= first;
        self.workers
            .iter()
            .enumerate()
            .skip(1)
            .filter(move |(_, worker)| shared(worker))
            .map(|(index, _)| index)
    }

    /// When an input that is sent now with such a delay reaches a machine: after all that was sent
    /// before.
    pub fn arrival(&mut self, machine: usize, at: Instant) -> Instant {
        let Some(worker) = self.workers.get_mut(machine) else {
            return at;
        };
        worker.last_input = at.max(worker.last_input);
        worker.last_input
    }

    /// Until when a machine is off the processor, or was.
    pub fn stalled_until(&self, machine: usize) -> Instant {
        self.workers
            .get(machine)
            .map_or_else(Instant::default, |worker| worker.stalled_until)
    }

    /// Takes a machine off the processor until then.
    pub fn stall(&mut self, machine: usize, until: Instant) {
        if let Some(worker) = self.workers.get_mut(machine) {
            worker.stalled_until = until.max(worker.stalled_until);
        }
    }

    /// The earliest deadline of the machines that run, with whose it is.
    pub fn next_timeout(&self, now: Instant) -> Option<(Instant, usize)> {
        let running = self
            .workers
            .iter()
            .enumerate()
            .filter(|(_, worker)| worker.stalled_until <= now && worker.inbox.is_empty());
        running
            .filter_map(|(index, worker)| worker.machine.poll_timeout().map(|at| (at, index)))
            .min()
    }

    /// Whether a machine takes inputs now; if not, the input waits before it.
    pub fn admit(&mut self, machine: usize, now: Instant, input: Input) -> Option<Input> {
        let worker = self.workers.get_mut(machine)?;
        if worker.stalled_until <= now && worker.inbox.is_empty() {
            return Some(input);
        }
        worker.inbox.push_back(input);
        None
    }

    /// The next input that waits before a machine that runs again.
    pub fn waiting(&mut self, machine: usize, now: Instant) -> Option<Input> {
        let worker = self.workers.get_mut(machine)?;
        if worker.stalled_until <= now {
            worker.inbox.pop_front()
        } else {
            None
        }
    }

    /// Lets a machine handle an input.
    pub fn handle(&mut self, machine: usize, now: Now, input: Input) -> Vec<Output> {
        let Some(worker) = self.workers.get_mut(machine) else {
            return Vec::new();
        };
        if let Input::Lists(lists::Input::Worked { list, .. }) = &input {
            worker.working.remove(list);
        }
        match (&mut worker.machine, input) {
            (Machine::Cluster(cluster), Input::Cluster(input)) => cluster.handle(now, input),
            (Machine::Lists(lists), Input::Lists(input)) => lists.handle(now, input),
            (Machine::Cluster(cluster), Input::Wake) => cluster.wake(now),
            (Machine::Lists(lists), Input::Wake) => lists.wake(now),
            (machine, input) => panic!("{input:?} was sent to the wrong machine {machine:?}"),
        }
        self.outputs(machine)
    }

    /// Drains what a machine wants done.
    pub fn outputs(&mut self, machine: usize) -> Vec<Output> {
        let Some(worker) = self.workers.get_mut(machine) else {
            return Vec::new();
        };
        let outputs = std::iter::from_fn(|| match &mut worker.machine {
            Machine::Cluster(cluster) => cluster.poll_output().map(Output::Cluster),
            Machine::Lists(lists) => lists.poll_output().map(Output::Lists),
        });
        outputs.collect()
    }

    /// Notes that a job begins; an error if one about the same list is under way.
    pub fn begin_job(&mut self, machine: usize, list: ListId) -> Result<(), String> {
        let Some(worker) = self.workers.get_mut(machine) else {
            return Ok(());
        };
        if worker.working.insert(list) {
            Ok(())
        } else {
            Err(format!(
                "a second job about {list} \
            while one is under way"
            ))
        }
    }

    /// The plain numbers of the lists machines.
    pub fn lists_stats(&self) -> Vec<lists::Stats> {
        let stats = |worker: &Worker| match &worker.machine {
            Machine::Lists(lists) => Some(lists.stats()),
            Machine::Cluster(_) => None,
        };
        self.workers.iter().filter_map(stats).collect()
    }

    /// The plain numbers of the cluster machine.
    pub fn cluster_stats(&self) -> cluster::Stats {
        match self.workers.first().map(|worker| &worker.machine) {
            Some(Machine::Cluster(cluster)) => cluster.stats(),
            Some(Machine::Lists(_)) | None => cluster::Stats::default(),
        }
    }
}

impl Machine {
    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Cluster(cluster) => cluster.poll_timeout(),
            Self::Lists(lists) => lists.poll_timeout(),
        }
    }
}

fn owns((first, last): (Shard, Shard), list: ListId) -> bool {
    (first..=last).contains(&list.shard())
}

/// All 256 shards in that many ranges.
fn share_out(machines: usize) -> Vec<(Shard, Shard)> {
    let bound =
        |index: usize| u8::try_from((index * 256 / machines.max(1)).min(255)).unwrap_or(255);
    let last = |index: usize| {
        if index + 1 >= machines {
            255
        } else {
            bound(index + 1) - 1
        }
    };
    (0..machines.max(1))
        .map(|index| (Shard(bound(index)), Shard(last(index))))
        .collect()
}
