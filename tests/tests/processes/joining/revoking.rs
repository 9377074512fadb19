//! A host that was stolen is shut out by one command.

use super::{Hosts, invite, join, whole, words};
use crate::fleet::{Node, eventually, items, program, run};
use crate::http::Events;
use crate::registry::{Sleeper, found, register};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::process::Command;

/// What the log of a node says that was shut out.
const WHY: &str = "has revoked this node";

/// Waits until exactly those are members in that node's eyes.
pub(super) async fn has_members(node: &Node, names: &[&str]) -> anyhow::Result<()> {
    eventually(&format!("{} has {names:?}", node.name), async || {
        let members = node.get("/v1/members").await?.json();
        let known: Vec<&str> = items(&members)
            .iter()
            .filter_map(|member| member["name"].as_str())
            .collect();
        ensure!(known == names, "{members}");
        Ok(())
    })
    .await
}

/// Waits until a node is alone, and its log says why.
pub(super) async fn is_shut_out(node: &Node) -> anyhow::Result<()> {
    eventually("it is alone and says why", async || {
        let partition = node.get("/v1/partition").await?.json();
        ensure!(partition["verdict"] == "alone", "{partition}");
        ensure!(node.log().contains(WHY), "{}", node.log());
        Ok(())
    })
    .await
}

/// Alpha, which is an authority, beta and gamma, where `till` runs and from where a list is.
async fn cluster(hosts: &Hosts) -> anyhow::Result<([Node; 3], Sleeper)> {
    let alpha = hosts.first("alpha")?;
    let beta = hosts.further("beta", &alpha)?;
    let gamma = hosts.further("gamma", &alpha)?;
    whole(&[&alpha, &beta, &gamma]).await?;
    gamma.add("bob", "of gamma").await?;
    let sleeper = Sleeper::start()?;
    register(&gamma, "till", json!({ "pid": sleeper.pid() })).await?;
    found(&alpha, "till").await?;
    Ok(([alpha, beta, gamma], sleeper))
}

/// Has alpha shut gamma out, and waits for all that follows on the two.
async fn revoke(alpha: &Node, gamma: &Node) -> anyhow::Result<()> {
    let mut told = Events::follow(&alpha.socket(), "/v1/events", None).await?;
    let revoked = alpha.muster(&["revoke", "gamma", "--reason", "stolen from the van"])?;
    ensure!(revoked.status.success(), "{}", words(&revoked));
    ensure!(
        words(&revoked).trim() == "gamma is revoked",
        "{}",
        words(&revoked)
    );
    has_members(alpha, &["alpha", "beta"]).await?;
    let (mut is_told, mut has_ended) = (false, false);
    while !(is_told && has_ended) {
        let (_, _, event) = told.next().await?;
        is_told |= event["type"] == "revoked" && event["name"] == "gamma";
        has_ended |= event["type"] == "down" && event["reason"] == "revoked";
    }
    ensure!(alpha.get("/v1/processes/till").await?.status == 404);
    is_shut_out(gamma).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_revoke_or_revokes_nobody_is_told_so() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let ([alpha, beta, gamma], _sleeper) = cluster(&hosts).await?;
    let no_authority = gamma.muster(&["revoke", "alpha"])?;
    ensure!(words(&no_authority).contains("is no authority"));
    let itself = alpha.muster(&["revoke", "alpha"])?;
    ensure!(words(&itself).contains("cannot revoke itself"));
    let nobody = alpha.muster(&["revoke", "delta"])?;
    ensure!(words(&nobody).contains("no node \"delta\""), "{nobody:?}");
    ensure!(
        ![no_authority, itself, nobody]
            .iter()
            .any(|output| output.status.success())
    );
    whole(&[&alpha, &beta, &gamma]).await
}

/// Gamma is, among those whom the authority has given certificates, and beta is not; which needs a
/// node of that cluster to be known.
fn is_listed_as_revoked(alpha: &Node) -> anyhow::Result<()> {
    let authority = alpha.data.join("authority");
    let list = |args: &[&str]| {
        let mut command = Command::new(program("muster"));
        let all = command.args(["pki", "list", "--dir"]).arg(&authority);
        run(all.args(args).arg("--socket").arg(alpha.socket()))
    };
    let told: Value = serde_json::from_str(&list(&["--json"])?)?;
    let revoked: Vec<_> = items(&told)
        .iter()
        .map(|one| (&one["name"], &one["revoked"]))
        .collect();
    let (beta, gamma) = (json!("beta"), json!("gamma"));
    ensure!(
        revoked == [(&beta, &json!(false)), (&gamma, &json!(true))],
        "{told}"
    );
    let rows = list(&[])?;
    let last: Vec<&str> = rows
        .lines()
        .filter_map(|row| row.split('\t').nth(4))
        .collect();
    ensure!(last.len() == 2 && last[0].is_empty(), "{rows}");
    ensure!(last[1].starts_with("20"), "{rows}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_learns_of_it_from_whom_it_meets() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let ([alpha, mut beta, gamma], _sleeper) = cluster(&hosts).await?;
    let members = alpha.get("/v1/members").await?.json();
    let id = items(&members)
        .iter()
        .find(|member| member["name"] == "gamma")
        .and_then(|member| member["id"].as_str())
        .context("gamma is a member")?;
    beta.stop()?;
    revoke(&alpha, &gamma).await?;
    beta.start()?;
    has_members(&beta, &["alpha", "beta"]).await?;
    let known = beta.get("/v1/revocations").await?.json();
    let [known] = items(&known) else {
        anyhow::bail!("{known}")
    };
    ensure!(known["id"] == id && known["name"] == "gamma", "{known}");
    ensure!(known["reason"] == "stolen from the van", "{known}");
    is_listed_as_revoked(&alpha)?;
    let is_of_alpha = known["by"]
        .as_str()
        .is_some_and(|by| by.ends_with("@alpha"));
    ensure!(is_of_alpha, "{known}");
    let shown = words(&beta.muster(&["revocations"])?);
    ensure!(shown.contains("stolen from the van"), "{shown}");
    Ok(())
}

/// Starts a daemon from a copy of that node's disk.
fn steal(hosts: &Hosts, node: &mut Node) -> anyhow::Result<Node> {
    node.kill()?;
    let mut thief = Node::bare(hosts.dir.path(), "stolen")?;
    let copied = Command::new("cp")
        .arg("-a")
        .args([&node.dir, &thief.dir])
        .status()?;
    ensure!(copied.success());
    let config = std::fs::read_to_string(thief.config())?;
    let moved = config.replace(
        &node.dir.display().to_string(),
        &thief.dir.display().to_string(),
    );
    std::fs::write(thief.config(), moved)?;
    std::fs::remove_file(thief.dir.join("log"))?;
    thief.start()?;
    Ok(thief)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_host_reaches_nobody_any_more() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let ([mut alpha, mut beta, mut gamma], _sleeper) = cluster(&hosts).await?;
    revoke(&alpha, &gamma).await?;
    has_members(&beta, &["alpha", "beta"]).await?;
    for node in [&mut alpha, &mut beta] {
        node.kill()?;
        node.start()?;
    }
    let thief = steal(&hosts, &mut gamma)?;
    whole(&[&alpha, &beta]).await?;
    is_shut_out(&thief).await?;
    thief.add("bob", "of the thief").await?;
    has_members(&alpha, &["alpha", "beta"]).await?;
    has_members(&beta, &["alpha", "beta"]).await?;
    for node in [&alpha, &beta] {
        let entries = node.entries("bob").await?;
        ensure!(
            entries.len() == 1,
            "what it wrote before stays: {entries:?}"
        );
    }
    // Its name is free: a new host has it, under a new id.
    let mut replacement = hosts.bare("gamma2")?;
    replacement.name = "gamma".to_owned();
    let joined = join(&replacement, &alpha, &invite(&alpha, &[])?)?;
    ensure!(joined.status.success(), "{}", words(&joined));
    replacement.start()?;
    whole(&[&alpha, &beta, &replacement]).await
}
