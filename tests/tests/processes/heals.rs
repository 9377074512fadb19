//! What nodes report of a cut when it is over.

use crate::fleet::{Fleet, Node, eventually, items};
use crate::registry::{Sleeper, register};
use anyhow::{Context, ensure};
use serde_json::{Value, json};

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

#[tokio::test(flavor = "multi_thread")]
async fn each_node_reports_a_cut_once_with_all_that_both_sides_wrote() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
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
    change(
        near,
        "PATCH",
        &path(&milk),
        Some(json!({ "title": "oat milk" })),
    )
    .await?;
    change(
        far,
        "PATCH",
        &path(&milk),
        Some(json!({ "title": "soy milk" })),
    )
    .await?;
    change(near, "DELETE", &path(&bread), None).await?;
    change(far, "PATCH", &path(&bread), Some(json!({ "notes": "rye" }))).await?;
    near.add("work", "from one side").await?;
    far.add("work", "from the other side").await?;
    near.add("one-sided", "by one side only").await?;
    let (one, other) = (Sleeper::start()?, Sleeper::start()?);
    let kept = register(near, "leader", json!({ "pid": one.pid() })).await?;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let lost = register(far, "leader", json!({ "pid": other.pid() })).await?;
    fleet.split(&[]).await?;
    fleet.whole().await?;

    for node in &fleet.nodes {
        let reports = closed(node).await?;
        ensure!(reports.len() == 1, "{}: {reports:?}", node.name);
        let report = &reports[0];
        let away: &[&str] = if node.name == "n3" {
            &["n1", "n2"]
        } else {
            &["n3"]
        };
        ensure!(names(&report["members"]) == away, "{report}");
        ensure!(report["lists"] == json!(["groceries", "work"]), "{report}");
        ensure!(report["agreed_at"].is_string(), "{report}");
        told(report, "title", &["oat milk", "soy milk"])?;
        told(report, "deleted", &["deleted", "edited"])?;
        let name = json!([{ "name": "leader", "kept": kept, "lost": [lost] }]);
        ensure!(report["names"] == name, "{report}");
        ensure!(report["received"]["changes"].as_u64() > Some(0), "{report}");
        let healed = node
            .get("/v1/events?last=1000&until=0s&kinds=partition")
            .await?;
        let id = report["id"].as_str().context("an id")?;
        ensure!(
            healed.text.contains(&format!("\"heal\":\"{id}\"")),
            "{healed:?}"
        );
        let words = node.muster(&["heals", id])?;
        let words = String::from_utf8(words.stdout)?;
        for expected in [
            "was apart from",
            "2 lists were written on both sides: groceries, work",
        ] {
            ensure!(words.contains(expected), "{words}");
        }
    }
    let before = fleet.nodes[2].get("/v1/heals").await?.json();
    fleet.nodes[2].stop()?;
    fleet.nodes[2].start()?;
    let after = fleet.nodes[2].get("/v1/heals").await?.json();
    ensure!(before == after, "{before} {after}");
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
