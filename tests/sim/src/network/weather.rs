//! What the network does to packets: delay, loss, cuts.

use crate::chance::Chance;
use std::collections::BTreeSet;
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
