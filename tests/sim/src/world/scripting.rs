//! Runs that a script decides and not a seed: hosts as the script names them, requests as it makes
//! them, and a record of what the machines said, on which it makes its own demands.

use super::{World, address};
use crate::chance::Chance;
use crate::disk::Disk;
use crate::host::Host;
use crate::network::Weather;
use crate::os::Os;
use crate::queue::{Event, Input};
use crate::scenario::Scenario;
use crdt::entry::Author;
use crdt::registry::{Process, Reason};
use names::{ListId, NodeId, NodeName, Role};
use node::cluster;
use node::lists;
use node::registry::{self, Signal};
use node::wire::{CloseReason, ConnId, Peer, RequestId};
use std::collections::BTreeMap;

/// What the machines of a scripted run said, in order; each with its host.
///
/// The drawn clients and programs are not there, so that their oracle has nothing to judge.
#[derive(Debug, Default)]
pub struct Record {
    /// The cluster machines' answers, by request.
    pub replies: BTreeMap<u64, Result<cluster::Reply, cluster::Refusal>>,
    /// The lists machines' answers, by request.
    pub lists_replies: BTreeMap<u64, Result<lists::Reply, lists::Refusal>>,
    /// What happened to members.
    pub events: Vec<(usize, cluster::Event)>,
    /// What happened to registrations.
    pub registry_events: Vec<(usize, registry::Event)>,
    /// Signals that processes felt.
    pub signals: Vec<(usize, Process, Signal)>,
    /// Changes of lists that are on disk.
    pub changes: Vec<(usize, lists::Change)>,
    /// Other branches of lists that peers were found to have.
    pub forks: Vec<(usize, lists::Fork)>,
    /// Nodes that have signed two changes with one number.
    pub contradictions: Vec<(usize, lists::Contradiction)>,
    /// Changes that have left lists.
    pub left: Vec<(usize, lists::Left)>,
    /// Connections that a lists machine closed.
    pub closed: Vec<(usize, ConnId, CloseReason)>,
    /// Messages that lists machines sent.
    pub messages: Vec<(usize, bytes::Bytes)>,
}

impl World {
    /// A world without hosts and without anybody who does anything by himself.
    pub fn scripted(seed: u64, weather: Weather) -> Self {
        let scenario = Scenario {
            hosts: 0,
            writes: 0,
            deeds: 0,
            weather,
            ..Scenario::calm(seed)
        };
        Self {
            record: Some(Record::default()),
            ..Self::new(scenario, false)
        }
    }

    /// Adds a host that does not run yet, with a certificate for that name, id and role.
    pub fn add_host(&mut self, name: &str, id: NodeId, role: Role) -> usize {
        let (host, seed) = (self.hosts.len(), self.scenario.seed);
        let chance = |part: &str| Chance::new(seed, &format!("{part} {host}"));
        let peer = Peer {
            id,
            name: NodeName::new(name).expect("a valid name"),
            role,
        };
        let mut os = Os::new(chance("os"));
        os.tells = true;
        let parts = (os, Disk::new(chance("disk")));
        self.network.add(peer.clone(), address(host));
        self.hosts.push(Host::new(
            peer,
            address(host),
            Vec::new(),
            parts,
            chance("host"),
        ));
        self.scenario.hosts = self.hosts.len();
        host
    }

    /// What the machines said.
    pub fn record(&self) -> &Record {
        self.record.as_ref().expect("a scripted run")
    }

    /// Asks the lists machine that owns a list; names the request, which nobody takes if the daemon
    /// is down.
    pub fn ask_lists(
        &mut self,
        host: usize,
        list: ListId,
        command: impl Into<lists::Command>,
    ) -> u64 {
        self.asked += 1;
        let owner = self.hosts[host]
            .process
            .as_ref()
            .map(|it| it.owner_of(list));
        if let Some(machine) = owner {
            self.tell_lists(
                host,
                machine,
                lists::Input::Request {
                    id: RequestId(self.asked),
                    by: Author(format!("test@{}", self.hosts[host].peer.name)),
                    command: command.into(),
                },
            );
        }
        self.asked
    }

    /// Has a lists machine take an input now, as if its driver had it.
    pub fn tell_lists(&mut self, host: usize, machine: usize, input: lists::Input) {
        self.tell_machine(host, machine, Input::Lists(input));
    }

    /// Has a cluster machine take an input now, as if its driver had it.
    pub fn tell(&mut self, host: usize, input: cluster::Input) {
        self.tell_machine(host, 0, Input::Cluster(input));
    }

    fn tell_machine(&mut self, host: usize, machine: usize, input: Input) {
        if let Some(place) = self.hosts[host].place(host, machine) {
            self.queue
                .at(self.now(), Event::Input(place, Box::new(input)));
        }
    }

    /// The number of the request that was made last.
    pub fn last_request(&self) -> u64 {
        self.asked
    }

    /// A process ends; its daemon hears of it if it watches.
    pub fn end_program(&mut self, host: usize, process: Process, how: Reason) {
        self.end(host, process, how);
    }
}
