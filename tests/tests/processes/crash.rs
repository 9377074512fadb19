//! kill -9, pauses and restarts, while clients write.

use crate::fleet::{Fleet, PATIENCE, eventually, items};
use crate::load::{Writers, demand_all};
use anyhow::ensure;
use rustix::process::Signal;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_write_survives_kill_9_of_any_node_and_of_all() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
    let writers = Writers::start(&fleet.nodes, 6);
    for round in 0..6 {
        wait_for(&writers, 300 * (round + 1)).await?;
        let victims = match round % 3 {
            2 => vec![0, 1, 2],
            _ => vec![round % 3 + round / 3],
        };
        for victim in &victims {
            fleet.nodes[*victim].signal(Signal::KILL)?;
        }
        for victim in victims {
            fleet.nodes[victim].wait()?;
            fleet.nodes[victim].start()?;
        }
    }
    let acknowledged = writers.finish().await;
    ensure!(
        acknowledged.len() >= 1_800,
        "only {} writes were acknowledged",
        acknowledged.len()
    );
    demand_all(&fleet, &acknowledged).await
}

/// Waits until so many writes were acknowledged in all.
async fn wait_for(writers: &Writers, count: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    while writers.count() < count {
        ensure!(
            begun.elapsed() < PATIENCE,
            "only {} writes were acknowledged",
            writers.count()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_is_down_everywhere_and_alive_again_after_its_start() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
    fleet.nodes[1].kill()?;
    for index in [0, 2] {
        let node = &fleet.nodes[index];
        eventually("n2 is down", async || {
            let members = node.get("/v1/members").await?.json();
            let down = items(&members)
                .iter()
                .any(|member| member["name"] == "n2" && member["state"] == "down");
            ensure!(down, "{members}");
            Ok(())
        })
        .await?;
        let partition = node.get("/v1/partition").await?.json();
        ensure!(
            partition["verdict"] == "majority" && partition["missing"][0]["name"] == "n2",
            "{partition}"
        );
    }
    fleet.nodes[0].add("groceries", "bread").await?;
    fleet.nodes[1].start()?;
    fleet.whole().await?;
    fleet.agree().await?;
    ensure!(fleet.nodes[1].entries("groceries").await?.len() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_stopped_for_20_seconds_comes_back_with_everything() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let before = run_of(&fleet, "n3").await?;
    fleet.nodes[2].signal(Signal::STOP)?;
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < Duration::from_secs(20) {
        number += 1;
        fleet.nodes[number % 2]
            .add("watch", &format!("written while stopped {number}"))
            .await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    fleet.nodes[2].signal(Signal::CONT)?;
    fleet.whole().await?;
    fleet.agree().await?;
    ensure!(fleet.nodes[2].entries("watch").await?.len() == number);
    ensure!(
        run_of(&fleet, "n3").await? == before,
        "the node was restarted"
    );
    Ok(())
}

async fn run_of(fleet: &Fleet, name: &str) -> anyhow::Result<serde_json::Value> {
    let members = fleet.nodes[0].get("/v1/members").await?.json();
    Ok(items(&members)
        .iter()
        .find(|member| member["name"] == name)
        .map(|member| member["run"].clone())
        .unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_cluster_comes_back_by_itself_without_seeds() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
    fleet.nodes[0].add("groceries", "bread").await?;
    fleet.agree().await?;
    for node in &mut fleet.nodes {
        node.stop()?;
    }
    for node in &mut fleet.nodes {
        node.configure(&[])?;
        node.start()?;
    }
    fleet.whole().await?;
    for node in &fleet.nodes {
        ensure!(
            node.entries("groceries").await?.len() == 1,
            "{} lost the list",
            node.name
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_left_is_not_missed_and_may_come_back() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
    fleet.nodes[2]
        .add("groceries", "only here at first")
        .await?;
    let left = fleet.nodes[2].call("POST", "/v1/leave", None).await?;
    ensure!(left.status == 200, "{left:?}");
    ensure!(fleet.nodes[2].wait()?.success());
    fleet.whole().await?;
    ensure!(
        fleet.nodes[0].entries("groceries").await?.len() == 1,
        "it left before its list was \
        elsewhere"
    );
    fleet.nodes[2].start()?;
    fleet.whole().await
}
