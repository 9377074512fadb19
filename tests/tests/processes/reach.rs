//! Two nodes that cannot reach each other, and a third one that reaches both.

use crate::fleet::{Fleet, Node, eventually, items};
use anyhow::{Context, ensure};
use serde_json::{Value, json};

/// From now on a node neither hears nor reaches these others.
async fn block(node: &Node, others: &[&Node]) -> anyhow::Result<()> {
    let addresses: Vec<String> = others.iter().map(|it| it.address.to_string()).collect();
    let fault = json!({ "block": addresses });
    let answer = node.call("PUT", "/v1/debug/fault", Some(&fault)).await?;
    ensure!(answer.status == 204, "{answer:?}");
    Ok(())
}

fn said(node: &Node, args: &[&str]) -> anyhow::Result<String> {
    Ok(String::from_utf8(node.muster(args)?.stdout)?)
}

async fn indirect_members(node: &Node) -> anyhow::Result<String> {
    let metrics = node.get("/metrics").await?.text;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("muster_cluster_indirect_members "));
    Ok(line.context("there is such a metric")?.to_owned())
}

async fn is_told_everywhere(n1: &Node) -> anyhow::Result<()> {
    ensure!(indirect_members(n1).await? == "1");
    let words = said(n1, &["partition"])?;
    ensure!(words.starts_with("whole: 3 of 3"), "{words}");
    ensure!(words.contains("no connection to n3 since"), "{words}");
    let status = n1.get("/v1/status").await?.json();
    let attention = status["attention"].to_string();
    let sentence = "this node cannot connect to n3, n2 can";
    ensure!(attention.contains(sentence), "{attention}");
    let members = n1.get("/v1/members").await?.json();
    let since = items(&members).iter().find(|one| one["name"] == "n3");
    ensure!(since.is_some_and(|one| one["indirect_since"].is_string() && one["state"] == "alive"));
    let events = n1.get("/v1/events?last=1000&until=0s&kinds=member").await?;
    ensure!(events.text.contains("\"type\":\"indirect\""), "{events:?}");

    // The one that cannot be asked is named with the reason.
    let matrix = n1.get("/v1/reach").await?.json();
    let silent = |name: &str| {
        items(&matrix)
            .iter()
            .find(|row| row["name"] == name)
            .map(|row| row["silent"].clone())
    };
    ensure!(silent("n2") == Some(Value::Null), "{matrix}");
    ensure!(
        silent("n3").is_some_and(|reason| reason.is_string()),
        "{matrix}"
    );
    let lines = said(n1, &["reach"])?;
    for expected in ["n1\tn3\tindirect\t", "n2\tn3\tdirect\t", "n1\tn2\tdirect\t"] {
        ensure!(lines.contains(expected), "{lines}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_only_others_reach_is_named_with_them() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let [n1, n2, n3] = &fleet.nodes[..] else {
        anyhow::bail!("three nodes");
    };
    block(n1, &[n3]).await?;
    block(n3, &[n1]).await?;
    eventually("n1 says that n2 alone reaches n3", async || {
        let partition = n1.get("/v1/partition").await?.json();
        let indirect = &partition["indirect"][0];
        ensure!(
            indirect["name"] == "n3" && indirect["by"] == json!(["n2"]),
            "{partition}"
        );
        Ok(())
    })
    .await?;
    is_told_everywhere(n1).await?;
    let matrix = n2.get("/v1/reach").await?.json();
    let told = items(&matrix).iter().filter(|row| row["silent"].is_null());
    ensure!(told.count() == 3, "{matrix}");

    block(n1, &[]).await?;
    block(n3, &[]).await?;
    eventually("n1 reaches n3 again", async || {
        let partition = n1.get("/v1/partition").await?.json();
        ensure!(partition["indirect"] == json!([]), "{partition}");
        ensure!(indirect_members(n1).await? == "0");
        Ok(())
    })
    .await
}
