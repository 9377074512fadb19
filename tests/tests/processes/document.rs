//! The document of a list, as the libraries of Automerge read it, edit it and give it back.

use crate::clients::npm;
use crate::fleet::{Fleet, items, run};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn javascript_opens_edits_and_merges_back() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let node = &fleet.nodes[0];
    for title in ["milk", "bread", "tea"] {
        node.add("home", title).await?;
    }
    let script = npm("automerge")?.join("edit.mjs");
    let printed = run(Command::new("node")
        .arg(script)
        .arg(node.socket())
        .arg("home"))?;
    let told: Value = serde_json::from_str(&printed)?;
    ensure!(told["titles"] == json!(["bread", "milk", "tea"]), "{told}");
    let counts: Vec<_> = told["merged"]
        .as_array()
        .context("three answers")?
        .iter()
        .map(|one| {
            (
                one["status"].clone(),
                one["added"].clone(),
                one["changed"].clone(),
                one["deleted"].clone(),
            )
        })
        .collect();
    let expected = [(200, 1, 1, 1), (200, 0, 1, 0), (200, 0, 0, 0)];
    let expected = expected.map(|(status, added, changed, deleted)| {
        (json!(status), json!(added), json!(changed), json!(deleted))
    });
    ensure!(counts == expected, "{told}");
    let refused = told["refused"].as_array().context("two answers")?;
    ensure!(refused.iter().all(|one| one["status"] == 422), "{told}");
    ensure!(
        told.to_string().contains("first change of every list"),
        "{told}"
    );
    let entries = node.entries("home").await?;
    let find = |title: &str| entries.iter().find(|entry| entry["title"] == title);
    let (milk, salt) = (
        find("oat milk").context("milk")?,
        find("salt").context("salt")?,
    );
    ensure!(entries.len() == 3 && find("tea").is_some(), "{entries:?}");
    ensure!(
        milk["tags"] == json!(["food"]) && salt["notes"] == "a big pinch",
        "{entries:?}"
    );
    // Nobody's word but this node's: who brought it.
    let by = salt["created_by"].as_str().context("an author")?;
    ensure!(
        by.starts_with("via ") && by.ends_with(&format!("@{}", node.name)),
        "{by}"
    );
    let history = node.get("/v1/lists/home/history").await?.json();
    ensure!(!history.to_string().contains("eve@nowhere"), "{history}");
    ensure!(items(&history).len() == 5, "{history}");
    fleet.agree().await?;
    ensure!(
        fleet.nodes[1].entries("home").await? == entries,
        "the other node"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_goes_from_one_cluster_to_another_by_the_command() -> anyhow::Result<()> {
    let (one, other) = (Fleet::started(1).await?, Fleet::started(1).await?);
    let (from, to) = (&one.nodes[0], &other.nodes[0]);
    from.add("home", "milk").await?;
    let exported = from.muster(&["export", "home", "--format", "automerge"])?;
    ensure!(exported.status.success(), "{exported:?}");
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("home.automerge");
    std::fs::write(&file, &exported.stdout)?;
    let file = file.to_str().context("a path")?;
    for expected in [
        "1 added, 0 changed, 0 deleted",
        "0 added, 0 changed, 0 deleted",
    ] {
        let imported = to.muster(&["import", "home", file])?;
        let words = String::from_utf8_lossy(&imported.stderr).into_owned();
        ensure!(words.contains(expected), "{imported:?}");
    }
    let found = to.entries("home").await?;
    let ids = |entries: &[Value]| {
        entries
            .iter()
            .map(|entry| entry["id"].clone())
            .collect::<Vec<_>>()
    };
    ensure!(
        ids(&found) == ids(&from.entries("home").await?),
        "{found:?}"
    );
    Ok(())
}
