//! Carrying out faults, and mending them.

use super::World;
use crate::disk::Survival;
use crate::faults::Fault;
use crate::host::Host;
use crate::queue::{Event, Input, Place};
use crate::registrants::Cause;
use crdt::roster::Pace;
use names::ChangeHash;
use node::cluster::{self, Command, ask};
use node::time::Instant;
use node::wire::RequestId;
use std::time::Duration;

/// How long after a kill every node must know of it, and so many round trips of the longest link.
const DETECTION: Duration = Duration::from_secs(3);
const DETECTION_ROUND_TRIPS: u32 = 6;
/// By how much longer it may take where a link is metered.
const METERED: Duration = Duration::from_secs(27);
/// The most loss under which detection keeps its promises.
pub(crate) const CALM_LOSS: f64 = 0.05;

/// Who declares members away.
const BY: &str = "somebody";

/// How long a job takes at most on a host that is in order.
const MENDED_JOB: Duration = Duration::from_millis(40);

impl World {
    /// Lets a fault happen.
    pub fn strike(&mut self, fault: Fault) {
        let now = self.queue.now();
        self.trace.note(now, &format_args!("*** {fault:?}"));
        *self.struck.entry(fault.kind()).or_default() += 1;
        let disturbs = fault.disturbs_membership();
        match fault {
            Fault::Start { host } => self.start(host),
            Fault::Kill { host, survival } => self.kill(host, survival),
            Fault::Restore { host } => self.restore(host),
            Fault::Backup { host } => {
                self.hosts[host].disk.backup = Some(self.hosts[host].disk.image.clone())
            }
            Fault::Reboot { host, survival } => {
                self.kill(host, survival);
                self.reboot(host);
            }
            Fault::Shutdown { host } => self.ask(host, ask::Shutdown),
            Fault::Leave { host } => self.leave(host),
            Fault::Forget {
                host,
                member: other,
            } => {
                self.registrants.excuse_all(other, (now, Cause::Left));
                self.ask(
                    host,
                    ask::Forget(self.hosts[other].peer.name.as_str().to_owned()),
                );
            }
            Fault::Away { host, member, span } => self.declare_away(host, member, span),
            Fault::Back { host, member } => self.declare_back(host, member),
            Fault::FailCommit {
                host,
                error,
                survival,
            } => {
                if self.hosts[host].process.is_some() {
                    self.hosts[host].disk.failing = Some((error, survival));
                }
            }
            Fault::SlowDisk { host, most } => {
                self.hosts[host].disk.pace = (
                    Duration::from_micros(100),
                    most.max(Duration::from_millis(3)),
                )
            }
            Fault::Pause { host, span } => self.pause(host, span),
            Fault::Stall {
                host,
                machine,
                span,
            } => self.stall(host, machine, now + span),
            Fault::Split { side } => self.split(&side),
            Fault::CutOneWay { from, to } => self.network.cuts.one_way(from, to),
            Fault::Cut { a, b } => self.network.cuts.both_ways(a, b),
            Fault::Heal => self.network.cuts.heal(),
            Fault::Loss { share: loss } => {
                self.network.weather.loss = loss.max(self.scenario.weather.loss)
            }
            Fault::Jump { host, ms } => self.hosts[host].clock_error_ms += ms,
            Fault::Move { host } => self.move_away(host),
        }
        if disturbs {
            self.watch.trouble(now);
        }
    }

    fn leave(&mut self, host: usize) {
        if self.hosts[host].process.is_some() {
            let (now, os) = (self.queue.now(), &self.hosts[host].os);
            self.registrants
                .leaves(host, now, |process| os.runs(process));
        }
        self.ask(host, ask::Leave);
    }

    fn declare_away(&mut self, host: usize, member: usize, span: Duration) {
        let ask = ask::Away {
            member: self.hosts[member].peer.name.to_string(),
            span_ms: u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
            why: "in dry dock".to_owned(),
            by: BY.to_owned(),
            force: true,
        };
        self.ask(host, ask);
    }

    fn declare_back(&mut self, host: usize, member: usize) {
        let member = self.hosts[member].peer.name.to_string();
        let by = BY.to_owned();
        self.ask(host, ask::Back { member, by });
    }

    /// Mends everything, and lets every daemon run.
    pub fn mend(&mut self) {
        self.keep_running = true;
        let now = self.queue.now();
        self.trace.note(now, &"*** all is mended");
        self.network.cuts.heal();
        self.network.weather.loss = self.scenario.weather.loss;
        self.watch.trouble(now);
        self.mend_liar();
        for host in 0..self.hosts.len() {
            self.hosts[host].disk.failing = None;
            self.hosts[host].disk.pace.1 = Duration::from_millis(3);
            if !self.is_off(host) {
                self.start(host);
            }
        }
        // A host whose every read takes a second is broken, too.
        self.scenario.slowest_job = self.scenario.slowest_job.min(MENDED_JOB);
    }

    /// Whether the network and all processes are in order now.
    pub fn is_calm(&self) -> bool {
        self.network.cuts.is_empty() && self.network.weather.loss <= CALM_LOSS
    }

    /// Asks a host's cluster machine for something; nothing happens if it is down.
    pub fn ask(&mut self, host: usize, command: impl Into<Command>) {
        let Some(place) = self.hosts[host].place(host, 0) else {
            return;
        };
        self.asked += 1;
        self.commands
            .insert(self.asked, (host, place.epoch, self.queue.now()));
        let input = Input::Cluster(cluster::Input::Request {
            id: RequestId(self.asked),
            command: command.into(),
        });
        self.queue
            .at(self.queue.now(), Event::Input(place, Box::new(input)));
    }

    fn start(&mut self, host: usize) {
        if self.hosts[host].process.is_some() || self.is_off(host) {
            return;
        }
        let now = self.queue.now();
        self.watch.trouble(now);
        self.watch.started(now, host);
        // A script's host has one lists machine: so it knows whom it asks.
        let machines = match self.record {
            Some(_) => 1,
            None => 1 + self.chance.below(2),
        };
        self.hosts[host].start(now, machines, self.scenario.resident_bytes);
        if let (Some(names), Some(process)) = (self.honest_names(), &mut self.hosts[host].process) {
            process.story.judge_only(names);
        }
        let (epoch, address) = (self.hosts[host].epoch, self.hosts[host].address);
        self.network.start(host, epoch, address);
        for machine in 0..=machines {
            let Some(process) = self.hosts[host].process.as_mut() else {
                return;
            };
            let outputs = process.outputs(machine);
            self.carry_all(
                Place {
                    host,
                    epoch,
                    machine,
                },
                outputs,
            );
        }
        self.registry_daemon_started(host);
    }

    fn kill(&mut self, host: usize, survival: Survival) {
        if self.hosts[host].process.is_none() {
            return;
        }
        let now = self.queue.now();
        let calm = self.is_calm();
        let honest = self
            .liar
            .as_ref()
            .map_or(self.hosts.len(), |liar| liar.host);
        if host < honest {
            self.watch.killed(&self.hosts[..honest], now, host, calm);
        }
        let far = self.network.links.longest_round_trip() * DETECTION_ROUND_TRIPS;
        let is_metered = |host: &Host| host.pace == Pace::Metered;
        let rest = if self.hosts.iter().any(is_metered) {
            METERED
        } else {
            Duration::ZERO
        };
        self.queue.after(
            DETECTION + far + rest,
            Event::Obituary { host, killed: now },
        );
        self.hosts[host].disk.settle(survival);
        self.end_process(host, false);
    }

    fn restore(&mut self, host: usize) {
        let Some(backup) = self.hosts[host].disk.backup.take() else {
            return;
        };
        self.kill(host, Survival::Nothing);
        let lost: Vec<_> = self.hosts[host]
            .disk
            .image
            .hashes()
            .difference(backup.hashes())
            .copied()
            .collect();
        let elsewhere = |hash: &ChangeHash| {
            self.honest()
                .iter()
                .enumerate()
                .any(|(other, h)| other != host && h.disk.image.has(hash))
        };
        let destroyed: Vec<_> = lost.into_iter().filter(|hash| !elsewhere(hash)).collect();
        self.clients.excused.extend(destroyed);
        self.hosts[host].disk.replace(backup);
        let (now, os) = (self.queue.now(), &self.hosts[host].os);
        self.registrants
            .restored(host, now, |process| os.runs(process));
        self.hosts[host].restored = true;
    }

    pub(super) fn end_process(&mut self, host: usize, orderly: bool) {
        let now = self.queue.now();
        let Some(process) = self.hosts[host].process.take() else {
            return;
        };
        self.watch.trouble(now);
        self.hosts[host].disk.failing = None;
        self.network.stop(&mut self.queue, host, orderly);
        if let Some(liar) = self.liar.as_mut().filter(|liar| liar.host == host) {
            liar.ended();
        }
        self.commands
            .retain(|_, (of, epoch, _)| (*of, *epoch) != (host, process.epoch));
        self.registry_daemon_ended(host, process.epoch);
        for number in self.clients.process_ended(host, process.epoch) {
            self.retry(number);
        }
    }

    fn pause(&mut self, host: usize, span: Duration) {
        let until = self.queue.now() + span;
        let Some(process) = self.hosts[host].process.as_mut() else {
            return;
        };
        process.paused_until = until.max(process.paused_until);
        let machines = process.machines();
        self.network.pause(host, until);
        (0..machines).for_each(|machine| self.stall(host, machine, until));
    }

    fn stall(&mut self, host: usize, machine: usize, until: Instant) {
        if machine == 0 {
            self.watch.trouble(until);
        }
        let Some(place) = self.hosts[host].place(host, machine) else {
            return;
        };
        if let Some(process) = self.hosts[host].process.as_mut() {
            process.stall(machine, until);
        }
        self.queue.at(until, Event::Wake(place));
    }

    fn split(&mut self, side: &[usize]) {
        self.network.cuts.heal();
        for a in 0..self.hosts.len() {
            for b in 0..a {
                if side.contains(&a) != side.contains(&b) {
                    self.network.cuts.both_ways(a, b);
                }
            }
        }
    }

    fn move_away(&mut self, host: usize) {
        // Others are configured with the addresses of hosts 0 and 1.
        if host >= 2 && self.hosts[host].process.is_none() {
            let port = self.hosts[host].address.port();
            self.hosts[host].address.set_port(port + 1);
        }
    }
}
