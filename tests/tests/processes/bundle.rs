//! `muster debug bundle`: what a maintainer gets, and what not.

use crate::fleet::{Fleet, Node, eventually, run};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn bundle(node: &Node, name: &str) -> anyhow::Result<PathBuf> {
    let (out, config) = (node.dir.join(name), node.config().display().to_string());
    let output = node.muster(&[
        "debug",
        "bundle",
        "--config",
        &config,
        "--out",
        &out.display().to_string(),
    ])?;
    ensure!(output.status.success(), "{output:?}");
    Ok(out)
}

/// One file of the bundle.
fn part(bundle: &Path, name: &str) -> anyhow::Result<String> {
    run(Command::new("tar")
        .arg("-xzOf")
        .arg(bundle)
        .args(["--wildcards", &format!("*/{name}")]))
}

fn json_part(bundle: &Path, name: &str) -> anyhow::Result<Value> {
    serde_json::from_str(&part(bundle, name)?).with_context(|| format!("{name} is no JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_tells_what_happened_and_no_secret() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(2).await?;
    fleet.nodes[0]
        .add("secret%20plans", "burn the letters")
        .await?;
    let token = fleet.nodes[0]
        .call("POST", "/v1/tokens", Some(&json!({ "scope": "read" })))
        .await?
        .json();
    let token = token["token"].as_str().context("no token")?.to_owned();
    fleet.nodes[1].kill()?;
    let node = &fleet.nodes[0];
    eventually("the recorder has that n2 is down", async || {
        let recorded = node.get("/v1/debug/events").await?.json().to_string();
        ensure!(
            recorded.contains(
                "a member changed member=n2 \
            role=member state=\\\"down\\\""
            ) || recorded.contains("state=down"),
            "{recorded}"
        );
        Ok(())
    })
    .await?;
    let bundle = bundle(node, "bundle.tar.gz")?;
    ensure!(json_part(&bundle, "status.json")?["node"]["name"] == "n1");
    ensure!(json_part(&bundle, "about.json")?["missing"] == json!([]));
    ensure!(json_part(&bundle, "doctor.json")?["healthy"] == false);
    ensure!(
        json_part(&bundle, "members.json")?["items"]
            .as_array()
            .is_some_and(|all| all.len() == 2)
    );
    let settings = part(&bundle, "configuration.json")?;
    ensure!(
        settings.contains("quic.listen") && settings.contains("node.key"),
        "{settings}"
    );
    let recorder = part(&bundle, "recorder.txt")?;
    for decision in [
        "a peer's hello is accepted",
        "connected",
        "a member changed",
    ] {
        ensure!(
            recorder.contains(decision),
            "{decision:?} is not in {recorder}"
        );
    }
    ensure!(part(&bundle, "metrics.txt")?.contains("muster_cluster_expected_members 2"));
    ensure!(
        part(&bundle, "host.txt")?.contains("Linux version")
            && part(&bundle, "log.txt")?.contains("a member changed")
    );
    let all = part(&bundle, "*")?;
    let key = std::fs::read_to_string(node.dir.join("tls/node.key"))?;
    let key_bytes = key.lines().nth(1).context("a key has lines")?;
    for secret in [
        "secret plans",
        "secret%20plans",
        "burn the letters",
        token.as_str(),
        key_bytes,
        "PRIVATE KEY",
    ] {
        ensure!(!all.contains(secret), "{secret:?} is in the bundle");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_a_bundle_has_what_can_be_had() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(1).await?;
    fleet.nodes[0].kill()?;
    let node = &fleet.nodes[0];
    let first = bundle(node, "bundle.tar.gz")?;
    ensure!(
        json_part(&first, "about.json")?["missing"]
            .as_array()
            .is_some_and(|missing| missing.len() == 8)
    );
    ensure!(json_part(&first, "doctor.json")?["items"][0]["check"] == "daemon");
    ensure!(part(&first, "log.txt")?.contains("this node has a new run"));
    let again = node.muster(&["debug", "bundle", "--out", &first.display().to_string()])?;
    ensure!(
        again.status.code() == Some(1) && String::from_utf8_lossy(&again.stderr).contains("exists"),
        "{again:?}"
    );
    Ok(())
}
