//! What nodes report of a cut when it is over.

use crate::fleet::{Fleet, Node, eventually, items};
use crate::registry::{Sleeper, register};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::time::Duration;

/// The reports of a node that are closed, once there is one.
async fn closed(node: &Node) -> anyhow::Result<Vec<Value>> {
    eventually(&format!("{} has a closed report", node.name), async || {
        let page = node.get("/v1/heals").await?.json();
        let is_closed = |report: &Value| report["state"] == "closed";
        ensure!(items(&page).iter().any(is_closed), "{page}");
        Ok(items(&page).to_vec())
    })
    .await
}

fn names(members: &Value) -> Vec<&str> {
    let members = members.as_array().into_iter().flatten();
    let mut names: Vec<&str> = members.filter_map(|one| one["name"].as_str()).collect();
    names.sort_unstable();
    names
}

async fn verdict(node: &Node, verdict: &str) -> anyhow::Result<()> {
    eventually(&format!("{} says {verdict}", node.name), async || {
        let partition = node.get("/v1/partition").await?.json();
        ensure!(partition["verdict"] == verdict, "{partition}");
        Ok(())
    })
    .await
}

async fn change(node: &Node, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<()> {
    let answer = node.call(method, path, body.as_ref()).await?;
    ensure!((200..300).contains(&answer.status), "{answer:?}");
    Ok(())
}

/// Cuts n3 off, has both sides write the same two lists and claim the same name, and heals the cut. Gives
/// the handle that has the name then, and the other one.
async fn apart(fleet: &Fleet) -> anyhow::Result<([String; 2], [Sleeper; 2])> {
    let milk = fleet.nodes[0].add("groceries", "milk").await?;
    let bread = fleet.nodes[0].add("groceries", "bread").await?;
    fleet.agree().await?;
    fleet.split(&[2]).await?;
    verdict(&fleet.nodes[0], "majority").await?;
    verdict(&fleet.nodes[1], "majority").await?;
    verdict(&fleet.nodes[2], "alone").await?;
    let page = fleet.nodes[2].get("/v1/heals").await?.json();
    ensure!(items(&page)[0]["state"] == "open", "{page}");

    let (near, far) = (&fleet.nodes[0], &fleet.nodes[2]);
    let path = |id: &str| format!("/v1/lists/groceries/entries/{id}");
    let title = |title: &str| Some(json!({ "title": title }));
    change(near, "PATCH", &path(&milk), title("oat milk")).await?;
    change(far, "PATCH", &path(&milk), title("soy milk")).await?;
    change(near, "DELETE", &path(&bread), None).await?;
    change(far, "PATCH", &path(&bread), title("rye bread")).await?;
    near.add("work", "from one side").await?;
    far.add("work", "from the other side").await?;
    near.add("one-sided", "by one side only").await?;
    let sleepers = [Sleeper::start()?, Sleeper::start()?];
    let kept = register(near, "leader", json!({ "pid": sleepers[0].pid() })).await?;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let lost = register(far, "leader", json!({ "pid": sleepers[1].pid() })).await?;
    fleet.split(&[]).await?;
    fleet.whole().await?;
    Ok(([kept, lost], sleepers))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_node_reports_a_cut_once_with_all_that_both_sides_wrote() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
    let ([kept, lost], _sleepers) = apart(&fleet).await?;
    let name = json!([{ "name": "leader", "kept": kept, "lost": [lost] }]);
    for node in &fleet.nodes {
        let reports = closed(node).await?;
        ensure!(reports.len() == 1, "{}: {reports:?}", node.name);
        let report = &reports[0];
        let away: &[&str] = match node.name.as_str() {
            "n3" => &["n1", "n2"],
            _ => &["n3"],
        };
        ensure!(names(&report["members"]) == away, "{report}");
        ensure!(report["lists"] == json!(["groceries", "work"]), "{report}");
        ensure!(report["agreed_at"].is_string(), "{report}");
        told(report, "title", &["oat milk", "soy milk"])?;
        told(report, "deleted", &["deleted", "edited"])?;
        ensure!(report["names"] == name, "{report}");
        let received = report["received"]["changes"].as_u64();
        ensure!(received > Some(0), "{report}");
        in_words(node, report["id"].as_str().context("an id")?).await?;
    }
    let all = fleet.nodes[1].get("/v1/heals/members").await?.json();
    ensure!(
        items(&all).len() == 3 && all["silent"] == json!([]),
        "{all}"
    );
    let mut nodes: Vec<&str> = items(&all)
        .iter()
        .filter_map(|one| one["node"].as_str())
        .collect();
    nodes.sort_unstable();
    ensure!(nodes == ["n1", "n2", "n3"], "{all}");
    ensure!(fleet.nodes[1].muster(&["heals", "--all"])?.status.success());
    let before = fleet.nodes[2].get("/v1/heals").await?.json();
    fleet.nodes[2].stop()?;
    fleet.nodes[2].start()?;
    let after = fleet.nodes[2].get("/v1/heals").await?.json();
    ensure!(before == after, "{before} {after}");
    Ok(())
}

/// The events name that report, and the command tells it.
async fn in_words(node: &Node, id: &str) -> anyhow::Result<()> {
    let events = "/v1/events?last=1000&until=0s&kinds=partition";
    let events = node.get(events).await?;
    let named = format!("\"heal\":\"{id}\"");
    ensure!(events.text.contains(&named), "{events:?}");
    let words = String::from_utf8(node.muster(&["heals", id])?.stdout)?;
    let lists = "2 lists were written on both sides: groceries, work";
    for expected in ["was apart from", lists] {
        ensure!(words.contains(expected), "{words}");
    }
    Ok(())
}

/// A report has that conflict with these values.
fn told(report: &Value, field: &str, values: &[&str]) -> anyhow::Result<()> {
    let conflicts = report["conflicts"].as_array().context("conflicts")?;
    let found = conflicts.iter().find(|one| one["field"] == field);
    let found = found.with_context(|| format!("no conflict of {field}: {report}"))?;
    let told = found["values"].as_array().into_iter().flatten();
    let mut told: Vec<&str> = told.filter_map(|one| one["value"].as_str()).collect();
    told.sort_unstable();
    ensure!(told == values, "{report}");
    Ok(())
}
