//! Processes that are expected, and that end.

use crate::fleet::{Fleet, Node, eventually};
use crate::registry::{Sleeper, register};
use anyhow::ensure;
use serde_json::{Value, json};

fn is_expected(metrics: &str, process: &str) -> Option<bool> {
    let series = format!("muster_processes_expected{{process=\"{process}\"}} ");
    let mut lines = metrics.lines();
    lines.find_map(|line| Some(line.strip_prefix(&series)? == "1"))
}

async fn metric(node: &Node, process: &str, expected: Option<bool>) -> anyhow::Result<()> {
    eventually(&format!("{process} is {expected:?}"), async || {
        let metrics = node.get("/metrics").await?.text;
        let found = is_expected(&metrics, process);
        ensure!(found == expected, "{}: {found:?}", node.name);
        Ok(())
    })
    .await
}

/// The state of a process as Prometheus finds it.
async fn target(node: &Node, process: &str) -> anyhow::Result<Option<String>> {
    let targets = node.get("/v1/sd/prometheus").await?.json();
    let mut labels = targets.as_array().into_iter().flatten();
    let found = labels.find(|one| one["labels"]["__meta_muster_name"] == process);
    let state = |one: &Value| Some(one["labels"]["__meta_muster_state"].as_str()?.to_owned());
    Ok(found.and_then(state))
}

fn examined(node: &Node, part: &str) -> anyhow::Result<bool> {
    let output = node.muster(&["doctor"])?;
    Ok(String::from_utf8_lossy(&output.stdout).contains(part))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_expected_does_not_vanish_in_silence() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let [n1, n2] = &fleet.nodes[..] else {
        anyhow::bail!("two nodes")
    };
    let web = Sleeper::start()?;
    let job = Sleeper::start()?;
    let body = |process: &Sleeper| json!({ "pid": process.pid(), "address": "127.0.0.1:9" });
    register(n1, "web", body(&web)).await?;
    register(n1, "job", body(&job)).await?;
    metric(n2, "web", None).await?;
    // At a reload, by the other node.
    let text = std::fs::read_to_string(n2.config())?;
    std::fs::write(
        n2.config(),
        format!("{text}\n[processes]\nexpect = [\"web\", \"db\"]\n"),
    )?;
    ensure!(n2.muster(&["reload"])?.status.success());
    metric(n2, "web", Some(true)).await?;
    metric(n2, "db", Some(false)).await?;
    ensure!(examined(n2, "db is down")?, "doctor does not name db");
    ensure!(target(n2, "web").await?.as_deref() == Some("up"));
    // Killed by a signal that nobody sends to ask: a failure, which any node expects for a while.
    drop(job);
    metric(n1, "job", Some(false)).await?;
    ensure!(target(n1, "job").await?.as_deref() == Some("down"));
    // Unregistered is no failure, and yet it is missed where it is expected.
    ensure!(n1.muster(&["unregister", "web"])?.status.success());
    metric(n2, "web", Some(false)).await?;
    ensure!(target(n2, "web").await?.as_deref() == Some("down"));
    metric(n1, "web", None).await?;
    ensure!(target(n1, "web").await?.is_none());
    register(n2, "web", body(&web)).await?;
    metric(n2, "web", Some(true)).await?;
    ensure!(target(n2, "web").await?.as_deref() == Some("up"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn members_tell_from_which_address_they_see_a_node() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let seen = "it sees this node at 127.0.0.1";
    ensure!(
        examined(&fleet.nodes[0], seen)?,
        "doctor says nothing of it"
    );
    Ok(())
}
