//! The world: hosts, network, clients and time, in one thread, from one seed.

mod arriving;
mod breaking;
mod carrying;
mod looking;
mod lying;
mod registering;
mod registry;
mod scripting;

pub use registry::KILL_AFTER;
pub use scripting::Record;

use crate::chance::Chance;
use crate::check::membership::Watch;
use crate::check::{acknowledged, convergence, directory, links, spreading, views};
use crate::clients::{Act, Clients};
use crate::disk::Disk;
use crate::faults::Fault;
use crate::host::{Host, Output};
use crate::liar::Liar;
use crate::network::Network;
use crate::os::Os;
use crate::queue::{Event, Input, Place, Queue};
use crate::registrants::{Deed, Registrants};
use crate::scenario::Scenario;
use crate::trace::Trace;
use names::{NodeId, NodeName, Role};
use node::cluster;
use node::time::Instant;
use node::wire::Peer;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often a machine may see its deadline at one instant without moving it.
const MAX_TIMEOUTS_AT_ONCE: u32 = 1_000;
/// How often convergence is looked for after all was mended.
const LOOK: Duration = Duration::from_millis(250);
/// What is left to do after convergence before the last look.
const SETTLING: Duration = Duration::from_secs(10);

/// A whole cluster and its surroundings.
#[derive(Debug)]
pub struct World {
    /// What the seed decided.
    pub scenario: Scenario,
    /// What will happen.
    pub queue: Queue,
    /// The network.
    pub network: Network,
    /// The hosts.
    pub hosts: Vec<Host>,
    /// The clients.
    pub clients: Clients,
    /// Programs that use the registry.
    pub registrants: Registrants,
    /// The liar, if there is one.
    pub liar: Option<Liar>,
    /// What happened.
    pub trace: Trace,
    /// What broke and was mended, how often.
    pub struck: BTreeMap<&'static str, u64>,
    /// Who knows of whom.
    pub watch: Watch,
    /// Promises that were broken, in words.
    pub problems: Vec<String>,
    /// How many acknowledged changes some disk lacked in the end.
    pub lost: u64,
    /// Whether daemons with the same identity are about: one of them then stops.
    pub expects_clones: bool,
    /// Hosts that speak protocol 1 of lists.
    pub numbering: BTreeSet<usize>,
    /// What the machines said, if a script wants to know.
    pub record: Option<Record>,
    /// Whether a daemon that ends is started again at once.
    pub(crate) keep_running: bool,
    /// Commands to cluster machines that wait for an answer: which host's process.
    pub(crate) commands: BTreeMap<u64, (usize, u64, Instant)>,
    pub(crate) asked: u64,
    pub(crate) chance: Chance,
    timeouts_at_once: (Instant, u32),
}

impl World {
    /// A world in which nothing runs yet; `print` tells what happens, line by line.
    pub fn new(scenario: Scenario, print: bool) -> Self {
        let part = |name: &str| Chance::new(scenario.seed, name);
        let mut network = Network::new(scenario.weather.clone(), part("network"));
        let hosts: Vec<Host> = (0..scenario.hosts)
            .map(|index| new_host(scenario.seed, index, scenario.hosts))
            .collect();
        hosts
            .iter()
            .for_each(|host| network.add(host.peer.clone(), host.address));
        let (queue, clients, trace) = (
            Queue::default(),
            Clients::new(part("clients")),
            Trace::new(print),
        );
        let registrants = Registrants::new(part("registrants"));
        let (watch, chance) = (Watch::default(), part("world"));
        let (problems, lost, commands, timeouts_at_once, struck) = Default::default();
        let liar = scenario.liar.clone();
        let mut world = Self {
            scenario,
            queue,
            network,
            hosts,
            clients,
            registrants,
            liar: None,
            trace,
            struck,
            watch,
            problems,
            lost,
            expects_clones: false,
            numbering: BTreeSet::new(),
            record: None,
            keep_running: false,
            commands,
            asked: 1 << 40,
            chance,
            timeouts_at_once,
        };
        if let Some(habits) = liar {
            world.add_liar(habits);
        }
        world
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.queue.now()
    }

    /// Starts all daemons, one soon after the other.
    pub fn start_all(&mut self) {
        for host in 0..self.hosts.len() {
            let delay = self.chance.millis(0, 1_500);
            self.queue.after(delay, Event::Fault(Fault::Start { host }));
        }
    }

    /// Plans the scenario's faults and writes for its safety phase.
    pub fn plan(&mut self) {
        let end = self.now() + self.scenario.safety;
        for (at, fault) in self.scenario.mix.plan(
            &mut Chance::new(self.scenario.seed, "faults"),
            self.scenario.hosts,
            end,
        ) {
            self.queue.at(at, Event::Fault(fault));
        }
        for _ in 0..self.scenario.writes {
            let at = self.now()
                + self
                    .chance
                    .span(Duration::from_secs(1), self.scenario.safety);
            self.queue.at(at, Event::Client(Act::Write));
        }
        self.plan_registry(end);
        for _ in 0..6 {
            let at = self.now()
                + self
                    .chance
                    .span(Duration::from_secs(1), self.scenario.safety);
            self.queue.at(at, Event::Inspect);
        }
    }

    /// Plans what programs do with the registry, and the hosts that lose their power meanwhile or are declared
    /// away.
    fn plan_registry(&mut self, end: Instant) {
        let (begin, chance) = (self.queue.now(), &mut self.registrants.chance);
        for _ in 0..self.scenario.deeds {
            let at = begin + chance.span(Duration::from_secs(1), self.scenario.safety);
            self.queue.at(at, Event::Program(Deed::Anything));
        }
        for (at, fault) in self.scenario.mix.plan_reboots(
            &mut Chance::new(self.scenario.seed, "reboots"),
            self.scenario.hosts,
            end,
        ) {
            self.queue.at(at, Event::Fault(fault));
        }
        for (at, fault) in self.scenario.mix.plan_aways(
            &mut Chance::new(self.scenario.seed, "aways"),
            self.scenario.hosts,
            end,
        ) {
            self.queue.at(at, Event::Fault(fault));
        }
    }

    /// Adds a host with the identity, the configuration and a copy of the disk of another, at an
    /// address of its own.
    pub fn clone_host(&mut self, original: usize) -> usize {
        self.expects_clones = true;
        let index = self.hosts.len();
        let chance = Chance::new(self.scenario.seed, &format!("host {index}"));
        let mut disk = Disk::new(Chance::new(self.scenario.seed, &format!("disk {index}")));
        disk.image = self.hosts[original].disk.image.clone();
        let os = Os::new(Chance::new(self.scenario.seed, &format!("os {index}")));
        let (peer, seeds) = (
            self.hosts[original].peer.clone(),
            self.hosts[original].seeds.clone(),
        );
        self.network.add(peer.clone(), address(index));
        self.hosts
            .push(Host::new(peer, address(index), seeds, (os, disk), chance));
        index
    }

    /// Lets so much time pass.
    pub fn run(&mut self, span: Duration) {
        let end = self.now() + span;
        while self.problems.is_empty() && self.step(end) {}
        self.queue.advance(end);
    }

    /// Runs until everything agrees, at most so long. How long it took, or what does not agree.
    pub fn run_until_converged(&mut self, limit: Duration) -> Result<Duration, Vec<String>> {
        let begin = self.now();
        loop {
            let registry = directory::check(self);
            if registry.is_ok() && self.registrants.healing.is_none() {
                self.registrants.healing = Some(self.now().since(begin));
            }
            let differences = [convergence::check(self), registry]
                .into_iter()
                .filter_map(Result::err)
                .flatten()
                .collect::<Vec<_>>();
            if differences.is_empty() {
                return Ok(self.now().since(begin));
            }
            if self.now().since(begin) >= limit || !self.problems.is_empty() {
                return Err(differences);
            }
            self.run(LOOK);
        }
    }

    /// The whole standard run: breaks things for a while, mends everything, demands agreement. How
    /// long that took.
    pub fn live_through(&mut self) -> Duration {
        self.start_all();
        self.plan();
        self.run(self.scenario.safety);
        if !self.problems.is_empty() {
            return Duration::ZERO;
        }
        self.mend();
        let took = match self.run_until_converged(self.scenario.liveness) {
            Ok(took) => took,
            Err(_) if !self.problems.is_empty() => return Duration::ZERO,
            Err(differences) => {
                self.problems.extend(
                    differences
                        .into_iter()
                        .map(|text| format!("not converged: {text}")),
                );
                self.scenario.liveness
            }
        };
        self.run(SETTLING);
        self.await_last_ends();
        self.examine();
        if self.liar.is_some() && self.problems.is_empty() {
            self.live_again();
        }
        took
    }

    /// What an orphan's end sets off takes a while after all has agreed: the processes linked to it
    /// are signalled, end, and set off more ends. Runs until none of this is under way, each end
    /// having the time that [`spreading`] gives it; at most as long as convergence may take.
    fn await_last_ends(&mut self) {
        let latest = self.now() + self.scenario.liveness;
        while self.problems.is_empty() && self.now() < latest {
            let signalled = self.registrants.last_signal;
            let all_ended = signalled
                .is_none_or(|signalled| self.now() >= signalled + KILL_AFTER + spreading::BOUND);
            if all_ended && self.registrants.spreading.is_done() {
                return;
            }
            self.run(LOOK);
        }
    }

    /// All that must hold when everything has agreed.
    pub fn examine(&mut self) {
        if !self.problems.is_empty() {
            return;
        }
        let mut found = Vec::new();
        // Where somebody lies on, all have agreed, but may be put in doubt again for a moment.
        if !self.liar_goes_on() {
            found.extend(convergence::check(self).err().into_iter().flatten());
            found.extend(directory::check(self).err().into_iter().flatten());
        }
        found.extend(links::check(self));
        found.extend(convergence::check_rest(self));
        let lost = acknowledged::check(self);
        self.lost = lost.len() as u64;
        found.extend(lost);
        found.extend(crate::check::meaning::check(self));
        (0..self.honest().len()).for_each(|host| found.extend(views::check(self, host)));
        self.problems.extend(found);
    }

    /// One event or deadline before `end`; false if there is none.
    fn step(&mut self, end: Instant) -> bool {
        let now = self.now();
        let event = self.queue.next_at();
        let deadlines = self.hosts.iter().enumerate().filter_map(|(host, h)| {
            let (at, machine) = h.process.as_ref()?.next_timeout(now)?;
            Some((at, host, machine))
        });
        let deadline = deadlines.min();
        let next = [event, deadline.map(|(at, ..)| at)]
            .into_iter()
            .flatten()
            .min();
        if next.is_none_or(|next| next > end) {
            return false;
        }
        // What has come in is handled before the deadlines of the same moment, as the shell does.
        match deadline {
            Some((at, host, machine)) if event.is_none_or(|event| at < event) => {
                self.queue.advance(at);
                self.time_out(host, machine);
            }
            _ => {
                if let Some(event) = self.queue.pop() {
                    self.happen(event);
                }
            }
        }
        self.collect_violations();
        true
    }

    fn time_out(&mut self, host: usize, machine: usize) {
        let now = self.now();
        self.timeouts_at_once = if self.timeouts_at_once.0 == now {
            (now, self.timeouts_at_once.1 + 1)
        } else {
            (now, 0)
        };
        if self.timeouts_at_once.1 > MAX_TIMEOUTS_AT_ONCE {
            self.problems.push(format!(
                "machine {} does not move its \
                deadline",
                crate::trace::machine_name(host, machine)
            ));
        }
        let Some(place) = self.hosts[host].place(host, machine) else {
            return;
        };
        self.handle(place, Input::Wake);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Network(step) => self.network.step(&mut self.queue, step),
            Event::Arrival {
                host,
                epoch,
                arrival,
            } => self.arrive(host, epoch, arrival),
            Event::Input(place, input) => self.admit(place, *input),
            Event::Wake(place) => self.wake(place),
            Event::Committed { host, epoch } => self.committed(host, epoch),
            Event::Reopened { host, epoch } => self.reopened(host, epoch),
            Event::Work { place, list, job } => self.work(place, list, job),
            Event::Fault(fault) => self.strike(fault),
            Event::Client(act) => self.act(act),
            Event::Obituary { host, killed } => {
                let found = self.watch.obituary(self.honest(), host, killed);
                self.problems.extend(found);
            }
            Event::Program(deed) => self.deed(deed),
            Event::Kept { host, epoch } => self.kept(host, epoch),
            Event::LookedOut { host, epoch } => self.looked_out(host, epoch),
            Event::Expected { key, what, since } => self.expected(&key, what, since),
            Event::Lie => self.lie(),
            Event::Inspect => {
                let host = self.chance.below(self.scenario.hosts);
                let found = views::check(self, host);
                self.problems.extend(found);
            }
        }
    }

    /// The process that a place is in, if it still runs.
    pub(crate) fn process(&mut self, place: Place) -> Option<&mut crate::host::Process> {
        self.hosts
            .get_mut(place.host)?
            .process
            .as_mut()
            .filter(|process| process.epoch == place.epoch)
    }

    fn admit(&mut self, place: Place, input: Input) {
        let now = self.now();
        let Some(process) = self.process(place) else {
            return;
        };
        if let Some(input) = process.admit(place.machine, now, input) {
            self.handle(place, input);
        }
    }

    fn wake(&mut self, place: Place) {
        let now = self.now();
        while let Some(input) = self
            .process(place)
            .and_then(|process| process.waiting(place.machine, now))
        {
            self.handle(place, input);
        }
    }

    fn handle(&mut self, place: Place, input: Input) {
        let at = self.now();
        let Some(host) = self.hosts.get_mut(place.host) else {
            return;
        };
        let now = host.now(at);
        let Some(process) = host
            .process
            .as_mut()
            .filter(|process| process.epoch == place.epoch)
        else {
            return;
        };
        self.trace.input(at, place.host, place.machine, &input);
        if let Input::Cluster(cluster::Input::Registry(input)) = &input
            && let node::registry::Input::SessionEnded { session } = input
        {
            self.registrants.close_handled(*session, at);
        }
        let outputs = process.handle(place.machine, now, input);
        self.carry_all(place, outputs);
    }

    pub(crate) fn carry_all(&mut self, place: Place, outputs: Vec<Output>) {
        for output in outputs {
            // After a stop nothing more of that process counts.
            if self.process(place).is_none() {
                break;
            }
            match output {
                Output::Cluster(output) => self.carry_cluster(place, output),
                Output::Lists(output) => self.carry_lists(place, output),
            }
        }
        self.judge_signals(place);
    }

    fn collect_violations(&mut self) {
        self.problems.append(&mut self.network.violations);
        for host in &mut self.hosts {
            self.problems.append(&mut host.disk.violations);
        }
    }
}

fn new_host(seed: u64, index: usize, hosts: usize) -> Host {
    let mut chance = Chance::new(seed, &format!("host {index}"));
    let name = NodeName::new(&format!("node{index}")).expect("a valid name");
    let peer = Peer {
        id: NodeId(chance.bytes()),
        name,
        role: Role::Member,
    };
    // Everybody is told of host 0 or 1, or of both, and these two of each other: one cluster, not
    // islands.
    let mut seeds: Vec<usize> = if chance.happens(0.5) {
        vec![0, 1]
    } else {
        vec![chance.below(2)]
    };
    if index < 2 {
        seeds = vec![0, 1];
    }
    if chance.happens(0.3) {
        seeds.push(chance.below(hosts));
    }
    let seeds = seeds
        .into_iter()
        .map(|seed| address(seed).to_string())
        .collect();
    let disk = Disk::new(Chance::new(seed, &format!("disk {index}")));
    let os = Os::new(Chance::new(seed, &format!("os {index}")));
    Host::new(peer, address(index), seeds, (os, disk), chance)
}

/// Where a host listens at first.
pub fn address(host: usize) -> std::net::SocketAddr {
    ([10, 0, 0, u8::try_from(host + 1).unwrap_or(u8::MAX)], 6878).into()
}
