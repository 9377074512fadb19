//! Daemons on the hosts of a network.

use super::clock;
use super::journal::Journal;
use super::network::Network;
use super::way::Way;
use crate::fleet::Fleet;
use anyhow::Context;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// How long a frame takes on a way that nothing is wrong with, in milliseconds.
const FAIR: std::ops::Range<u64> = 0..20;

/// As many daemons as hosts, node i on host i.
pub(crate) struct Rig {
    pub(crate) fleet: Fleet,
    pub(crate) network: Network,
    /// How long frames take while nothing is wrong, those from the first host first.
    delays: Vec<Duration>,
}

impl Rig {
    /// Makes the hosts, and what their daemons need; none is started.
    pub(crate) fn new(hosts: usize, seed: u64) -> anyhow::Result<Self> {
        let network = Network::new(hosts, seed)?;
        let mut fleet = Fleet::new(hosts)?;
        network.place(&mut fleet)?;
        clock::prepare(&mut fleet)?;
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let delays = (0..hosts * hosts).map(|_| Duration::from_millis(chance.random_range(FAIR)));
        let rig = Self {
            fleet,
            network,
            delays: delays.collect(),
        };
        rig.network.set_all(|from, to| rig.fair(from, to));
        Ok(rig)
    }

    /// The way from one host to another while nothing is wrong with it.
    pub(crate) fn fair(&self, from: usize, to: usize) -> Way {
        let delay = self.delays.get(from * self.network.hosts + to);
        Way {
            delay: delay.copied().unwrap_or_default(),
            ..Way::default()
        }
    }

    /// Sets the wall clock of a host ahead of this machine's.
    pub(crate) fn set_clock(
        &self,
        host: usize,
        seconds: i64,
        journal: &mut Journal,
    ) -> anyhow::Result<()> {
        let node = self.fleet.nodes.get(host).context("a node on each host")?;
        journal.clock(host, seconds * 1000);
        clock::set(&node.dir, seconds)
    }

    /// Starts all daemons.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        self.fleet
            .nodes
            .iter_mut()
            .try_for_each(|node| node.start())
    }
}

#[cfg(test)]
mod tests {
    use super::{Rig, Way};
    use crate::fleet::items;
    use crate::hosts::may_run;
    use anyhow::ensure;
    use std::time::Duration;

    #[tokio::test(flavor = "multi_thread")]
    async fn daemons_find_each_other_and_agree_over_bad_ways() -> anyhow::Result<()> {
        if !may_run() {
            return Ok(());
        }
        let mut rig = Rig::new(3, 7)?;
        let line = rig.network.line(64_000);
        rig.network.set_all(|from, to| Way {
            delay: Duration::from_millis(100),
            line: [from, to].contains(&2).then_some(line),
            ..Way::default()
        });
        rig.start()?;
        rig.fleet.whole().await?;
        rig.fleet.nodes[2].add("groceries", "bread").await?;
        rig.fleet.agree().await?;
        let members = rig.fleet.nodes[0].get("/v1/members").await?.json();
        let trips = items(&members).iter();
        let trips: Vec<f64> = trips.filter_map(|it| it["rtt_ms"].as_f64()).collect();
        ensure!(
            trips.len() == 2 && trips.iter().all(|trip| *trip >= 200.0),
            "{members}"
        );
        Ok(())
    }
}
