//! Where a node tells others that it is, on hosts whose names, addresses and interfaces are as they
//! are in the field.

use crate::fleet::{Fleet, Node, eventually};
use crate::hosts::{Hosts, configure, may_run};
use anyhow::{Context, ensure};
use serde_json::Value;

async fn members(node: &Node) -> anyhow::Result<Vec<Value>> {
    let page = node.get("/v1/members").await?.json();
    Ok(page["items"].as_array().cloned().unwrap_or_default())
}

/// Waits until one node sees another one alive at that address; gives its line.
async fn sees(node: &Node, name: &str, address: &str) -> anyhow::Result<Value> {
    eventually(&format!("{name} is seen at {address}"), async || {
        let all = members(node).await?;
        let seen = |one: &&Value| {
            one["name"] == name && one["state"] == "alive" && one["address"] == address
        };
        let found = all.iter().find(seen);
        found.cloned().with_context(|| format!("{all:?}"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_own_name_is_loopback_tells_its_address_on_the_network() -> anyhow::Result<()>
{
    if !may_run() {
        return Ok(());
    }
    let hosts = Hosts::new(2)?;
    let mut fleet = Fleet::new(2)?;
    // As the installers of Debian and Ubuntu write it.
    hosts.name(1, "127.0.1.1 h1.example h1\n10.78.0.2 h2\n")?;
    hosts.name(2, "10.78.0.1 h1\n10.78.0.2 h2\n")?;
    hosts.settle(&mut fleet, &["h1:6878"])?;
    for node in &mut fleet.nodes {
        node.start()?;
    }
    fleet.whole().await?;
    sees(&fleet.nodes[1], "n1", "10.78.0.1:6878").await?;
    sees(&fleet.nodes[0], "n1", "10.78.0.1:6878").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_started_before_its_network_tells_its_address_when_it_has_one()
-> anyhow::Result<()> {
    if !may_run() {
        return Ok(());
    }
    let hosts = Hosts::new(2)?;
    let mut fleet = Fleet::new(2)?;
    hosts.settle(&mut fleet, &["10.78.0.1:6878"])?;
    hosts.disconnect(2)?;
    for node in &mut fleet.nodes {
        node.start()?;
    }
    let late = &fleet.nodes[1];
    let own = late.get("/v1/node").await?.json();
    ensure!(own["address"] == "127.0.0.1:6878", "{own}");
    hosts.connect(2)?;
    sees(&fleet.nodes[0], "n2", "10.78.0.2:6878").await?;
    let own = late.get("/v1/node").await?.json();
    ensure!(own["address"] == "10.78.0.2:6878", "{own}");
    // Nobody has read of loopback.
    let log = fleet.nodes[0].log();
    ensure!(!log.contains("127.0.0.1:6878"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_address_is_told_without_a_restart_and_others_reach_the_node_there()
-> anyhow::Result<()> {
    if !may_run() {
        return Ok(());
    }
    let hosts = Hosts::new(3)?;
    let mut fleet = Fleet::new(3)?;
    hosts.settle(&mut fleet, &["10.78.0.1:6878"])?;
    for node in &mut fleet.nodes {
        node.start()?;
    }
    fleet.whole().await?;
    let before = sees(&fleet.nodes[0], "n2", "10.78.0.2:6878").await?;
    hosts.ip(2, "addr flush dev eth0")?;
    hosts.ip(2, "addr add 10.78.0.22/24 dev eth0")?;
    hosts.ip(2, "route replace default via 10.78.0.254")?;
    for other in [0, 2] {
        let after = sees(&fleet.nodes[other], "n2", "10.78.0.22:6878").await?;
        ensure!(after["run"] == before["run"], "{after}");
    }
    // Also by one that starts only now, and knows it by its line alone.
    fleet.nodes[2].stop()?;
    configure(&fleet.nodes[2], "seeds = []\n")?;
    fleet.nodes[2].start()?;
    fleet.whole().await?;
    sees(&fleet.nodes[2], "n2", "10.78.0.22:6878").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_is_waited_for_in_words_and_its_address_is_told() -> anyhow::Result<()> {
    if !may_run() {
        return Ok(());
    }
    let hosts = Hosts::new(2)?;
    let mut fleet = Fleet::new(2)?;
    hosts.settle(&mut fleet, &["10.78.0.1:6878"])?;
    let seeds = "seeds = [\"10.78.0.1:6878\"]\ninterface = \"wg0\"\n";
    configure(&fleet.nodes[1], seeds)?;
    fleet.nodes[0].start()?;
    let log = fleet.nodes[1].dir.join("log");
    let waits = |words: &str| {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let is_told = |line: &str| line.contains("the start waits") && line.contains(words);
        text.lines().any(is_told)
    };
    let last = &mut fleet.nodes[1];
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| last.start());
        let wait = |words: &str| {
            while !waits(words) && !starting.is_finished() {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        };
        wait("there is no interface wg0");
        hosts.plug(2, "wg0")?;
        wait("the interface wg0 ([quic] interface) has no address yet");
        ensure!(!starting.is_finished(), "it has started without an address");
        hosts.ip(2, "addr add 10.78.0.99/24 dev wg0")?;
        hosts.ip(2, "link set wg0 up")?;
        starting.join().unwrap_or_else(|_| Ok(()))
    })?;
    sees(&fleet.nodes[0], "n2", "10.78.0.99:6878").await?;
    Ok(())
}
