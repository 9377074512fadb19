//! A host that was stolen is shut out by one command.

use super::{Hosts, invite, join, whole, words};
use crate::fleet::{Node, eventually, items};
use crate::http::Events;
use crate::registry::{Sleeper, found, register};
use anyhow::{Context, ensure};
use serde_json::json;
use std::process::Command;

/// Waits until exactly those are members in that node's eyes.
async fn has_members(node: &Node, names: &[&str]) -> anyhow::Result<()> {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_host_reaches_nobody_any_more() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let mut alpha = hosts.first("alpha")?;
    let mut beta = hosts.further("beta", &alpha)?;
    let mut gamma = hosts.further("gamma", &alpha)?;
    whole(&[&alpha, &beta, &gamma]).await?;
    let id = items(&alpha.get("/v1/members").await?.json())
        .iter()
        .find(|member| member["name"] == "gamma")
        .and_then(|member| member["id"].as_str().map(str::to_owned))
        .context("gamma is a member")?;
    gamma.add("bob", "of gamma").await?;
    let sleeper = Sleeper::start()?;
    register(&gamma, "till", json!({ "pid": sleeper.pid() })).await?;
    found(&alpha, "till").await?;
    let mut told = Events::follow(&alpha.socket(), "/v1/events", None).await?;
    // Beta is away when it happens.
    beta.stop()?;

    let no_authority = gamma.muster(&["revoke", "alpha"])?;
    ensure!(words(&no_authority).contains("is no authority"));
    let itself = alpha.muster(&["revoke", "alpha"])?;
    ensure!(words(&itself).contains("cannot revoke itself"));
    let nobody = alpha.muster(&["revoke", "delta"])?;
    ensure!(nobody.status.code() == Some(3), "{nobody:?}");

    let revoked = alpha.muster(&["revoke", "gamma", "--reason", "stolen from the van"])?;
    ensure!(revoked.status.success(), "{}", words(&revoked));
    ensure!(
        words(&revoked).trim() == "gamma is revoked",
        "{}",
        words(&revoked)
    );
    has_members(&alpha, &["alpha", "beta"]).await?;
    let (mut is_told, mut has_ended) = (false, false);
    while !(is_told && has_ended) {
        let (_, _, event) = told.next().await?;
        is_told |= event["type"] == "revoked" && event["name"] == "gamma";
        has_ended |= event["type"] == "down" && event["reason"] == "revoked";
    }
    ensure!(alpha.get("/v1/processes/till").await?.status == 404);
    eventually("gamma is alone and says why", async || {
        let partition = gamma.get("/v1/partition").await?.json();
        ensure!(partition["verdict"] == "alone", "{partition}");
        ensure!(
            gamma.log().contains("has revoked this node"),
            "{}",
            gamma.log()
        );
        Ok(())
    })
    .await?;

    // Who was away, and knows the host from its disk, learns of it from whomever it meets first.
    beta.start()?;
    has_members(&beta, &["alpha", "beta"]).await?;
    let known = beta.get("/v1/revocations").await?.json();
    let [known] = &items(&known)[..] else {
        anyhow::bail!("{known}")
    };
    ensure!(
        known["id"] == id.as_str() && known["name"] == "gamma",
        "{known}"
    );
    ensure!(known["reason"] == "stolen from the van", "{known}");
    ensure!(
        known["by"]
            .as_str()
            .is_some_and(|by| by.ends_with("@alpha")),
        "{known}"
    );
    let shown = beta.muster(&["revocations"])?;
    ensure!(
        words(&shown).contains("stolen from the van"),
        "{}",
        words(&shown)
    );

    // A thief starts it from a copy of the disk, and all others were started anew.
    gamma.kill()?;
    let stolen = hosts.dir.path().join("stolen");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(&gamma.dir)
        .arg(&stolen)
        .status()?;
    ensure!(copied.success());
    alpha.kill()?;
    beta.kill()?;
    alpha.start()?;
    beta.start()?;
    let mut thief = Node::bare(hosts.dir.path(), "stolen")?;
    let config = std::fs::read_to_string(thief.config())?;
    let moved = config.replace(
        &gamma.dir.display().to_string(),
        &thief.dir.display().to_string(),
    );
    std::fs::write(thief.config(), moved)?;
    thief.start()?;
    whole(&[&alpha, &beta]).await?;
    eventually("the thief hears why", async || {
        ensure!(
            thief.log().contains("has revoked this node"),
            "{}",
            thief.log()
        );
        Ok(())
    })
    .await?;
    thief.add("bob", "of the thief").await?;
    let partition = thief.get("/v1/partition").await?.json();
    ensure!(partition["verdict"] == "alone", "{partition}");
    has_members(&alpha, &["alpha", "beta"]).await?;
    has_members(&beta, &["alpha", "beta"]).await?;
    for node in [&alpha, &beta] {
        let titles = node.entries("bob").await?;
        ensure!(titles.len() == 1, "what it wrote before stays: {titles:?}");
    }

    // Its name is free: a new host has it, under a new id.
    let mut replacement = hosts.bare("gamma2")?;
    replacement.name = "gamma".to_owned();
    let token = invite(&alpha, &[])?;
    let joined = join(&replacement, &alpha, &token)?;
    ensure!(joined.status.success(), "{}", words(&joined));
    replacement.start()?;
    whole(&[&alpha, &beta, &replacement]).await
}
