//! Several entries changed at once, by ids or by a filter.

use crate::fleet::{Fleet, Node, items};
use anyhow::ensure;
use serde_json::{Value, json};

const ENTRIES: &str = "/v1/lists/home/entries";

/// Adds these titles; gives their ids.
async fn three(node: &Node) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    for title in ["milk", "bread", "tea"] {
        ids.push(node.add("home", title).await?);
    }
    Ok(ids)
}

fn titles(entries: &[Value]) -> Vec<&str> {
    entries
        .iter()
        .filter_map(|entry| entry["title"].as_str())
        .collect()
}

async fn changes(node: &Node) -> anyhow::Result<usize> {
    let page = node.get("/v1/lists/home/history?limit=1000").await?.json();
    Ok(items(&page).len())
}

#[tokio::test(flavor = "multi_thread")]
async fn several_entries_are_changed_all_or_none() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let ids = three(node).await?;
    let before = changes(node).await?;
    let change =
        json!({ "ids": [ids[2], ids[0]], "patch": { "priority": "low" }, "tag": ["food"] });
    let answer = node.call("PATCH", ENTRIES, Some(&change)).await?;
    ensure!(answer.status == 200, "{answer:?}");
    ensure!(
        titles(items(&answer.json())) == ["tea", "milk"],
        "{answer:?}"
    );
    ensure!(changes(node).await? == before + 1, "more than one change");
    let nobodys = "01JB00000000000000000N0NE9";
    let change = json!({ "ids": [ids[0], nobodys], "delete": true });
    let answer = node.call("PATCH", ENTRIES, Some(&change)).await?;
    ensure!(answer.status == 404, "{answer:?}");
    ensure!(node.entries("home").await?.len() == 3, "one was deleted");
    for wrong in [json!({ "ids": [] }), json!({ "ids": [ids[0]] })] {
        let answer = node.call("PATCH", ENTRIES, Some(&wrong)).await?;
        ensure!(answer.status == 422, "{wrong}: {answer:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_change_what_a_filter_finds() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let ids = three(node).await?;
    let muster = |args: &[&str]| -> anyhow::Result<String> {
        let output = node.muster(args)?;
        ensure!(output.status.success(), "{args:?}: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    muster(&[
        "edit",
        "home",
        &ids[0],
        &ids[1],
        "--tag",
        "food",
        "--due",
        "yesterday",
    ])?;
    muster(&["edit", "home", "--where", "text=MILK", "--untag", "food"])?;
    let before = changes(node).await?;
    let told = muster(&["done", "home", "--where", "due=overdue", "--yes"])?;
    ensure!(told.lines().count() == 2, "{told}");
    ensure!(changes(node).await? == before + 1, "more than one change");
    let again = node.muster(&["done", "home", "--where", "due=overdue"])?;
    ensure!(again.status.code() == Some(3), "{again:?}");
    muster(&["reopen", "home", "--where", "tag=food"])?;
    muster(&["move", "home", &ids[2], &ids[1], "--before", &ids[0]])?;
    ensure!(titles(&node.entries("home").await?) == ["tea", "bread", "milk"]);
    muster(&["rm", "home", "--where", "state=open", "-y"])?;
    ensure!(titles(&node.entries("home").await?) == ["milk"]);
    Ok(())
}
