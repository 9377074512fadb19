//! Nodes that nobody answers: they say so, everywhere that people and programs look.

use crate::fleet::{Fleet, Node, eventually, program};
use anyhow::{Context, ensure};
use names::Role;
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;

/// What needs attention there, one finding a line: `critical: what`.
async fn attention(node: &Node) -> anyhow::Result<String> {
    let status = node.get("/v1/status").await?.json();
    let all = status["attention"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines = all
        .iter()
        .map(|one| format!("{}: {}\n", text(&one["severity"]), text(&one["what"])));
    Ok(lines.collect())
}

async fn seeds_unreached(node: &Node) -> anyhow::Result<String> {
    let metrics = node.get("/metrics").await?.text;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("muster_cluster_seeds_unreached "));
    Ok(line.context("there is such a metric")?.to_owned())
}

fn muster(node: &Node, args: &[&str]) -> anyhow::Result<(String, bool)> {
    let mut command = Command::new(program("muster"));
    let output = command
        .arg("--socket")
        .arg(node.socket())
        .args(args)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((said, output.status.success()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_joined_nobody_says_so_everywhere_until_a_seed_answers() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(2)?;
    let silent = fleet.nodes[0].address;
    fleet.nodes[1].start()?;
    let node = &fleet.nodes[1];
    eventually("what came of the attempts is told", async || {
        let told = attention(node).await?;
        ensure!(
            told.starts_with("critical: this node has joined nobody")
                && told.contains(&format!("{silent} (no answer")),
            "{told}"
        );
        Ok(())
    })
    .await?;
    let ready = node.get("/readyz").await?;
    ensure!(
        ready.status == 503 && ready.text.contains(&silent.to_string()),
        "{ready:?}"
    );
    ensure!(node.get("/healthz").await?.status == 200);
    ensure!(seeds_unreached(node).await? == "1");
    let (status, _) = muster(node, &["status"])?;
    ensure!(status.contains("cluster\tnot joined yet"), "{status}");
    let (found, is_good) = muster(node, &["doctor"])?;
    ensure!(
        !is_good && found.contains("critical\there\tseeds\t") && !found.contains("only member"),
        "{found}"
    );
    eventually("the log has a line", async || {
        let (log, seed) = (node.log(), format!("seed=\"{silent}\""));
        let warns = |line: &&str| line.contains("WARN") && line.contains(&seed);
        ensure!(log.lines().any(|line| warns(&line)), "{log}");
        Ok(())
    })
    .await?;
    fleet.nodes[0].start()?;
    fleet.whole().await?;
    let node = &fleet.nodes[1];
    eventually("the node is ready and well", async || {
        ensure!(node.get("/readyz").await?.status == 200);
        let told = attention(node).await?;
        ensure!(!told.contains("seed") && !told.contains("joined"), "{told}");
        ensure!(seeds_unreached(node).await? == "0");
        let (found, _) = muster(node, &["doctor"])?;
        ensure!(found.contains("good\there\tseeds\t"), "{found}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_none_and_a_missing_seed_of_a_member_are_told() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(2)?;
    let seed = fleet.nodes[0].address;
    let config = fleet.nodes[1].config();
    let text = std::fs::read_to_string(&config)?;
    let seeds = format!("seeds = [\"no-such-host.invalid:6878\", \"{seed}\"]");
    let text = text.replace(&format!("seeds = [\"{seed}\"]"), &seeds);
    std::fs::write(&config, text)?;
    for node in &mut fleet.nodes {
        node.start()?;
    }
    fleet.whole().await?;
    let node = &fleet.nodes[1];
    eventually("the name is told, and the node works", async || {
        let told = attention(node).await?;
        ensure!(
            told.contains("warning: seeds have never answered")
                && told.contains("no-such-host.invalid:6878 (cannot resolve the name"),
            "{told}"
        );
        ensure!(!told.contains(&seed.to_string()), "{told}");
        ensure!(node.get("/readyz").await?.status == 200);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_of_another_cluster_is_told_by_the_refused_node_and_is_one_line_of_the_others_log()
-> anyhow::Result<()> {
    let mut fleet = Fleet::new(2)?;
    let mut init = Command::new(program("muster"));
    init.args(["pki", "init", "--dir"])
        .arg(fleet.dir.path().join("ca2"));
    ensure!(init.output()?.status.success());
    let tls = fleet.nodes[1].dir.join("tls");
    std::fs::remove_dir_all(&tls)?;
    fleet.issue("ca2", ("n2", Role::Member), &tls)?;
    for node in &mut fleet.nodes {
        node.start()?;
    }
    let (one, foreign) = (&fleet.nodes[0], &fleet.nodes[1]);
    eventually("the refused node says why", async || {
        let told = attention(foreign).await?;
        ensure!(
            told.contains("(refused: its certificate is of another cluster"),
            "{told}"
        );
        let (log, why) = (foreign.log(), "its certificate is of another cluster");
        let warns = |line: &str| line.contains("WARN") && line.contains(why);
        ensure!(log.lines().any(warns), "{log}");
        Ok(())
    })
    .await?;
    eventually("it has knocked several times", async || {
        let metrics = one.get("/metrics").await?.text;
        let refused = metrics
            .lines()
            .filter(|line| line.starts_with("muster_transport_refused_total"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        ensure!(refused.sum::<u64>() >= 5, "{metrics}");
        Ok(())
    })
    .await?;
    let log = one.log();
    let lines = log.matches("a connection was refused").count();
    ensure!(lines == 1, "{lines} lines: {log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_while_all_others_are_down_is_told_with_their_names() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(2).await?;
    // Its disk knows the other one.
    let seeds: [SocketAddr; 0] = [];
    fleet.nodes[1].configure(&seeds)?;
    for node in &mut fleet.nodes {
        node.stop()?;
    }
    fleet.nodes[1].start()?;
    let (node, other) = (&fleet.nodes[1], fleet.nodes[0].address);
    eventually("the silent member is named", async || {
        let told = attention(node).await?;
        let expected = format!(
            "critical: no known member has answered since this node started: n1 at {other} (no answer"
        );
        ensure!(told.starts_with(&expected), "{told}");
        Ok(())
    })
    .await?;
    // It was in a cluster: its clients are served as before.
    ensure!(node.get("/readyz").await?.status == 200);
    let (found, is_good) = muster(node, &["doctor"])?;
    ensure!(
        !is_good && found.contains("no known member has answered"),
        "{found}"
    );
    let log = node.log();
    ensure!(log.contains("no known member has answered"), "{log}");
    // A script sees it by the exit code, and can wait.
    let (said, is_enough) = muster(node, &["partition", "--require", "majority"])?;
    ensure!(!is_enough && said.contains("1 of 2 nodes"), "{said}");
    fleet.nodes[0].start()?;
    let args = ["--timeout", "60s", "partition", "--wait", "whole"];
    let (said, is_whole) = muster(&fleet.nodes[1], &args)?;
    ensure!(is_whole && said.starts_with("whole: 2 of 2"), "{said}");
    Ok(())
}
