//! What the network does to packets: delay, loss, cuts.

use crate::chance::Chance;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The state of the whole network.
#[derive(Clone, Debug)]
pub struct Weather {
    /// The shortest way of a packet.
    pub least: Duration,
    /// The longest way of an ordinary packet.
    pub most: Duration,
    /// How often a packet is late.
    pub spikes: f64,
    /// By how much at most.
    pub spike: Duration,
    /// How often a packet is lost.
    pub loss: f64,
    /// How often a datagram comes twice.
    pub duplication: f64,
    /// Bytes per second of one channel of one connection.
    pub bandwidth: u64,
    /// How many bytes wait on one channel before messages are dropped.
    pub queue_bytes: usize,
}

impl Weather {
    /// A good local network.
    pub fn fair() -> Self {
        Self {
            least: Duration::from_micros(100),
            most: Duration::from_millis(2),
            spikes: 0.0,
            spike: Duration::ZERO,
            loss: 0.0,
            duplication: 0.0,
            bandwidth: 10_000_000,
            queue_bytes: 4 << 20,
        }
    }

    /// How long a packet takes.
    pub(super) fn latency(&self, chance: &mut Chance) -> Duration {
        let most = if chance.happens(self.spikes) {
            self.most + self.spike
        } else {
            self.most
        };
        chance.span(self.least, most)
    }
}

/// What one link does to packets beside the weather that all have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// By how much longer a packet takes, each way.
    pub latency: Duration,
    /// By how much more at most, drawn for each packet.
    pub jitter: Duration,
    /// How often a packet is lost.
    pub loss: f64,
    /// Bytes per second each way of all connections together; `None`: as many as the weather allows.
    pub bandwidth: Option<u64>,
}

impl Link {
    /// A link with that round trip.
    pub fn of_round_trip(round_trip: Duration) -> Self {
        Self {
            latency: round_trip / 2,
            ..Self::default()
        }
    }
}

/// The links that are unlike the others, by their two hosts.
#[derive(Clone, Debug, Default)]
pub struct Links(BTreeMap<(usize, usize), Link>);

impl Links {
    /// From now on the link between two hosts is like that.
    pub fn set(&mut self, a: usize, b: usize, link: Link) {
        self.0.insert((a.min(b), a.max(b)), link);
    }

    /// The longest round trip of those links, without jitter.
    pub fn longest_round_trip(&self) -> Duration {
        let latencies = self.0.values().map(|link| link.latency);
        latencies.max().unwrap_or_default() * 2
    }

    /// The link between two hosts.
    pub fn get(&self, a: usize, b: usize) -> Link {
        let link = self.0.get(&(a.min(b), a.max(b)));
        link.copied().unwrap_or_default()
    }
}

/// Which hosts' packets do not reach which others.
#[derive(Clone, Debug, Default)]
pub struct Cuts(BTreeSet<(usize, usize)>);

impl Cuts {
    /// Cuts one direction.
    pub fn one_way(&mut self, from: usize, to: usize) {
        self.0.insert((from, to));
    }

    /// Cuts both directions.
    pub fn both_ways(&mut self, a: usize, b: usize) {
        self.one_way(a, b);
        self.one_way(b, a);
    }

    /// Mends everything.
    pub fn heal(&mut self) {
        self.0.clear();
    }

    /// Whether packets pass.
    pub fn passes(&self, from: usize, to: usize) -> bool {
        !self.0.contains(&(from, to))
    }

    /// Whether nothing is cut.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
