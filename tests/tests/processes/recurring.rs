//! What recurs, and what waits until its day.

use crate::apart::heal;
use crate::fleet::{Fleet, Node, items};
use anyhow::{Context, ensure};
use serde_json::{Value, json};

async fn open(node: &Node) -> anyhow::Result<Vec<Value>> {
    let page = node.get("/v1/lists/home/entries?state=open").await?.json();
    Ok(items(&page).to_vec())
}

async fn tick(node: &Node, id: &str, done: bool) -> anyhow::Result<()> {
    let path = format!("/v1/lists/home/entries/{id}");
    let answer = node
        .call("PATCH", &path, Some(&json!({ "done": done })))
        .await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_apart_make_the_same_next_one() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let bins = json!({ "title": "bins", "due": "2090-01-02", "wait": "2090-01-01", "every": "freq=weekly" });
    let added = fleet.nodes[0]
        .call("POST", "/v1/lists/home/entries", Some(&bins))
        .await?;
    let id = added.json()["id"].as_str().context("an id")?.to_owned();
    fleet.agree().await?;
    fleet.split(&[0]).await?;
    tick(&fleet.nodes[0], &id, true).await?;
    tick(&fleet.nodes[1], &id, true).await?;
    fleet.split(&[1]).await?;
    tick(&fleet.nodes[2], &id, true).await?;
    heal(&fleet).await?;
    for node in &fleet.nodes {
        let open = open(node).await?;
        ensure!(open.len() == 1, "{open:?}");
        let next = &open[0];
        ensure!(
            next["due"] == "2090-01-09" && next["planned"] == "2090-01-09",
            "{next}"
        );
        ensure!(
            next["wait"] == "2090-01-08" && next["every"] == "FREQ=WEEKLY",
            "{next}"
        );
        ensure!(
            next["series"] == id.as_str() && next["conflicts"] == json!([]),
            "{next}"
        );
    }
    tick(&fleet.nodes[1], &id, false).await?;
    fleet.agree().await?;
    let open = open(&fleet.nodes[2]).await?;
    ensure!(open.len() == 1 && open[0]["id"] == id.as_str(), "{open:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_say_how_often_and_see_the_next_one() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let muster = |args: &[&str]| -> anyhow::Result<String> {
        let output = node.muster(args)?;
        ensure!(output.status.success(), "{args:?}: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    muster(&[
        "add",
        "home",
        "bins",
        "--every",
        "mon,thu",
        "--until",
        "2090-12-31",
    ])?;
    let first = open(node).await?;
    ensure!(
        first[0]["every"] == "FREQ=WEEKLY;BYDAY=MO,TH;UNTIL=20901231",
        "{first:?}"
    );
    ensure!(first[0]["due"].is_string(), "{first:?}");
    let id = first[0]["id"].as_str().context("an id")?;
    muster(&["done", "home", id])?;
    let next = open(node).await?;
    ensure!(
        next.len() == 1 && next[0]["due"].as_str() > first[0]["due"].as_str(),
        "{next:?}"
    );
    let shown = muster(&["show", "home", next[0]["id"].as_str().context("an id")?])?;
    ensure!(shown.contains("every\tFREQ=WEEKLY"), "{shown}");
    for wrong in ["often", "FREQ=HOURLY", "FREQ=WEEKLY;COUNT=2"] {
        let refused = node.muster(&["add", "home", "x", "--every", wrong])?;
        ensure!(refused.status.code() == Some(2), "{wrong}: {refused:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_shown_when_asked_for() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    node.add("home", "now").await?;
    let added = node.muster(&["add", "home", "later", "--wait", "+3d", "--due", "+5d"])?;
    ensure!(added.status.success(), "{added:?}");
    for (args, lines) in [
        (&["show", "home"][..], 1),
        (&["show", "home", "--waiting"], 2),
        (&["agenda"], 1),
        (&["agenda", "--waiting"], 2),
    ] {
        let shown = String::from_utf8(node.muster(args)?.stdout)?;
        ensure!(shown.lines().count() == lines, "{args:?}: {shown}");
    }
    for (query, count) in [("", 2), ("?waiting=hide", 1), ("?waiting=only", 1)] {
        let page = node.get(&format!("/v1/lists/home/entries{query}")).await?;
        ensure!(items(&page.json()).len() == count, "{query}: {page:?}");
    }
    Ok(())
}
