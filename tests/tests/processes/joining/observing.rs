//! A host that joins as an observer sees the cluster and changes nothing in it.

use super::{Hosts, invite, join, whole, words};
use crate::fleet::{Node, eventually, items};
use crate::http::Events;
use crate::registry::{Sleeper, found, register};
use anyhow::{Context, ensure};
use serde_json::{Value, json};

/// Alpha, which is an authority, beta, and an observer.
async fn cluster(hosts: &Hosts) -> anyhow::Result<[Node; 3]> {
    let alpha = hosts.first("alpha")?;
    let beta = hosts.further("beta", &alpha)?;
    whole(&[&alpha, &beta]).await?;
    let mut told = Events::follow(&alpha.socket(), "/v1/events?kinds=member", None).await?;
    let mut watch = hosts.bare("watch")?;
    let token = invite(&alpha, &["--role", "observer"])?;
    let joined = join(&watch, &alpha, &token)?;
    ensure!(joined.status.success(), "{}", words(&joined));
    ensure!(
        words(&joined).contains("joined by alpha as an observer, as watch"),
        "{}",
        words(&joined)
    );
    watch.start()?;
    whole(&[&alpha, &beta, &watch]).await?;
    loop {
        let (_, _, event) = told.next().await?;
        if event["type"] == "joined" && event["name"] == "watch" {
            ensure!(event["role"] == "observer", "{event}");
            break;
        }
    }
    Ok([alpha, beta, watch])
}

/// What a node says that another one is.
async fn role(node: &Node, of: &str) -> anyhow::Result<Value> {
    let members = node.get("/v1/members").await?.json();
    let member = items(&members).iter().find(|member| member["name"] == of);
    Ok(member.context("it is on the roster")?["role"].clone())
}

/// Every call that changes the cluster, a list or a process.
const CHANGES: [(&str, &str); 13] = [
    ("POST", "/v1/lists/bob/entries"),
    ("PATCH", "/v1/lists/bob/entries/01K00000000000000000000000"),
    ("DELETE", "/v1/lists/bob/entries/01K00000000000000000000000"),
    ("DELETE", "/v1/lists/bob"),
    ("PUT", "/v1/processes/till"),
    ("DELETE", "/v1/processes/till"),
    ("POST", "/v1/processes/till/exit"),
    ("PUT", "/v1/processes/till/links/other"),
    ("PUT", "/v1/groups/tills/till"),
    ("POST", "/v1/invitations"),
    ("DELETE", "/v1/invitations/001122334455"),
    ("DELETE", "/v1/members/beta"),
    ("POST", "/v1/members/beta/revoke"),
];

async fn changes_nothing(watch: &Node) -> anyhow::Result<()> {
    for (method, path) in CHANGES {
        let body = (method != "DELETE").then(|| json!({ "title": "x" }));
        let refused = watch.call(method, path, body.as_ref()).await?;
        ensure!(refused.status == 403, "{method} {path}: {refused:?}");
        let problem = refused.json();
        ensure!(problem["type"] == "/problems/observer", "{problem}");
        let words = problem["detail"].as_str().context("in words")?;
        ensure!(words.contains("watch is an observer"), "{words}");
    }
    let said = watch.muster(&["add", "bob", "bread"])?;
    ensure!(!said.status.success());
    ensure!(
        words(&said).contains("watch is an observer"),
        "{}",
        words(&said)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_sees_all_counts_nowhere_and_changes_nothing() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let [alpha, beta, mut watch] = cluster(&hosts).await?;
    for node in [&alpha, &beta, &watch] {
        ensure!(role(node, "watch").await? == "observer");
        ensure!(role(node, "beta").await? == "member");
        let partition = node.get("/v1/partition").await?.json();
        ensure!(partition["expected"] == 2, "{partition}");
        ensure!(partition["verdict"] == "whole", "{partition}");
    }
    ensure!(watch.get("/v1/node").await?.json()["role"] == "observer");
    let shown = words(&alpha.muster(&["members"])?);
    let of_watch = shown.lines().find(|line| line.starts_with("watch\talive"));
    ensure!(
        of_watch.is_some_and(|line| line.ends_with("\tobserver")),
        "{shown}"
    );
    let status = words(&alpha.muster(&["status"])?);
    ensure!(status.contains("2 alive, 1 observing"), "{status}");
    let metrics = alpha.get("/metrics").await?.text;
    ensure!(metrics.contains("\nmuster_cluster_observers 1\n"));
    // It reads lists and sees processes, and confirms nothing.
    let body = json!({ "title": "milk" });
    let path = "/v1/lists/bob/entries?replicas=all";
    let added = alpha.call("POST", path, Some(&body)).await?;
    let replicas = added.json()["replicas"].clone();
    ensure!(
        replicas["confirmed"] == json!(["alpha", "beta"]),
        "{added:?}"
    );
    let sleeper = Sleeper::start()?;
    register(&alpha, "till", json!({ "pid": sleeper.pid() })).await?;
    found(&watch, "till").await?;
    eventually("the list is there", async || {
        let entries = watch.entries("bob").await?;
        ensure!(entries.len() == 1, "{entries:?}");
        Ok(())
    })
    .await?;
    changes_nothing(&watch).await?;
    // It stays what it is when its certificate is renewed, and when it starts again.
    let renewed = watch.call("POST", "/v1/authority/renew", None).await?;
    ensure!(renewed.status == 200, "{renewed:?}");
    watch.stop()?;
    eventually("it is missed by nobody", async || {
        let members = alpha.get("/v1/members").await?.json();
        let of_watch = items(&members).iter().find(|one| one["name"] == "watch");
        ensure!(
            of_watch.is_some_and(|one| one["state"] != "alive"),
            "{members}"
        );
        Ok(())
    })
    .await?;
    for node in [&alpha, &beta] {
        let partition = node.get("/v1/partition").await?.json();
        ensure!(partition["verdict"] == "whole", "{partition}");
    }
    watch.start()?;
    whole(&[&alpha, &beta, &watch]).await?;
    ensure!(role(&beta, "watch").await? == "observer");
    let listed = words(&alpha.muster(&["invitations"])?);
    ensure!(listed.contains("watch from 127.0.0.1:"), "{listed}");
    Ok(())
}
