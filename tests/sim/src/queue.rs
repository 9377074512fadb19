//! Virtual time: what will happen, ordered by when, ties in the order in which they were planned.

use crate::check::spreading::What;
use crate::clients::Act;
use crate::faults::Fault;
use crate::network::{Arrival, Step};
use crate::registrants::{Deed, Key};
use node::cluster;
use node::lists::{self, Job};
use node::time::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// A machine of one process of one host; a later process of the same host has a later epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which host.
    pub host: usize,
    /// Which process of that host.
    pub epoch: u64,
    /// 0 is the cluster machine, the others are the lists machines.
    pub machine: usize,
}

/// An input of either machine.
#[derive(Debug)]
pub enum Input {
    /// For a cluster machine.
    Cluster(cluster::Input),
    /// For a lists machine.
    Lists(lists::Input),
    /// For either: its deadline has come.
    Wake,
}

/// What happens in the simulated world.
#[derive(Debug)]
pub enum Event {
    /// Inside the network.
    Network(Step),
    /// The network has something for a process.
    Arrival {
        /// Which host.
        host: usize,
        /// Which process of it.
        epoch: u64,
        /// What arrives.
        arrival: Arrival,
    },
    /// A machine's next input.
    Input(Place, Box<Input>),
    /// A machine that did not run runs again.
    Wake(Place),
    /// The disk finishes the batch that it writes.
    Committed {
        /// Which host.
        host: usize,
        /// Which process of it.
        epoch: u64,
    },
    /// The store was reopened.
    Reopened {
        /// Which host.
        host: usize,
        /// Which process of it.
        epoch: u64,
    },
    /// A job's thread begins.
    Work {
        /// For which machine.
        place: Place,
        /// About which list.
        list: names::ListId,
        /// What to do.
        job: Job,
    },
    /// Something breaks or is mended.
    Fault(Fault),
    /// A client acts.
    Client(Act),
    /// A program that uses the registry acts.
    Program(Deed),
    /// A write of the registry's rows is done.
    Kept {
        /// Which host.
        host: usize,
        /// Which process of it.
        epoch: u64,
    },
    /// A daemon's registry has waited long enough for nodes to come in sight.
    LookedOut {
        /// Which host.
        host: usize,
        /// Which process of it.
        epoch: u64,
    },
    /// Everybody must know of a registration, or its end, by now.
    Expected {
        /// What was expected.
        key: Key,
        /// That it is there, or not.
        what: What,
        /// Since when that is so.
        since: Instant,
    },
    /// A killed node must be known as down by now.
    Obituary {
        /// The host that was killed.
        host: usize,
        /// When the host was killed.
        killed: Instant,
    },
    /// The liar tells lies.
    Lie,
    /// A moment to compare a node's view with its documents.
    Inspect,
}

/// The seeded priority queue that stands in for the world's clock.
#[derive(Debug, Default)]
pub struct Queue {
    now: Instant,
    events: BTreeMap<(Instant, u64), Event>,
    sequence: u64,
}

impl Queue {
    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// When the next event happens.
    pub fn next_at(&self) -> Option<Instant> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    /// Moves the time on to `at`; it never goes back.
    pub fn advance(&mut self, at: Instant) {
        self.now = self.now.max(at);
    }

    /// Takes the next event and moves the time to it.
    pub fn pop(&mut self) -> Option<Event> {
        let ((at, _), event) = self.events.pop_first()?;
        self.advance(at);
        Some(event)
    }

    /// Plans an event; one in the past happens now.
    pub fn at(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        self.events.insert((at.max(self.now), self.sequence), event);
    }

    /// Plans an event for after `delay`.
    pub fn after(&mut self, delay: Duration, event: Event) {
        self.at(self.now + delay, event);
    }
}
