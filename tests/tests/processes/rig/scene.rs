//! Daemons on the hosts of a network.

use super::network::Network;
use crate::fleet::Fleet;

/// As many daemons as hosts, node i on host i.
pub(crate) struct Rig {
    pub(crate) fleet: Fleet,
    pub(crate) network: Network,
}

impl Rig {
    /// Makes the hosts, and what their daemons need; none is started.
    pub(crate) fn new(hosts: usize, seed: u64) -> anyhow::Result<Self> {
        let network = Network::new(hosts, seed)?;
        let mut fleet = Fleet::new(hosts)?;
        network.place(&mut fleet)?;
        Ok(Self { fleet, network })
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
    use super::super::way::Way;
    use super::Rig;
    use crate::hosts::may_run;
    use anyhow::ensure;
    use std::time::Duration;

    #[tokio::test(flavor = "multi_thread")]
    async fn daemons_find_each_other_and_agree_over_bad_ways() -> anyhow::Result<()> {
        if !may_run() {
            return Ok(());
        }
        let mut rig = Rig::new(3, 7)?;
        rig.network
            .change_all(|way| way.delay = Duration::from_millis(100));
        let line = rig.network.line(64_000);
        let to_the_third = |way: &mut Way| way.line = Some(line);
        rig.network.change_both(0, 2, to_the_third);
        rig.network.change_both(1, 2, to_the_third);
        rig.start()?;
        rig.fleet.whole().await?;
        rig.fleet.nodes[2].add("groceries", "bread").await?;
        rig.fleet.agree().await?;
        let members = rig.fleet.nodes[0].get("/v1/members").await?.json();
        let trips = crate::fleet::items(&members).iter();
        let trips: Vec<f64> = trips.filter_map(|it| it["rtt_ms"].as_f64()).collect();
        ensure!(
            trips.len() == 2 && trips.iter().all(|trip| *trip >= 200.0),
            "{members}"
        );
        Ok(())
    }
}
