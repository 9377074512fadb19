//! What was written apart is shown with all its values, and settled by a decision.

use crate::apart::{cut, heal};
use crate::fleet::{Fleet, Node, items};
use anyhow::{Context, ensure};
use serde_json::{Value, json};

fn path(id: &str) -> String {
    format!("/v1/lists/bob/entries/{id}")
}

/// Two entries: one with a title that two sides wrote and a tag that one of them took off, and one that
/// one side deleted and the other one edited.
async fn written_apart(fleet: &Fleet) -> anyhow::Result<[String; 2]> {
    let (near, far) = (&fleet.nodes[0], &fleet.nodes[2]);
    let milk = near.add("bob", "milk").await?;
    let bread = near.add("bob", "bread").await?;
    fleet.agree().await?;
    cut(fleet).await?;
    let change = async |node: &Node, id: &str, body: Value| {
        let answer = node.call("PATCH", &path(id), Some(&body)).await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    };
    change(near, &milk, json!({ "title": "oat milk" })).await?;
    change(far, &milk, json!({ "title": "soy milk" })).await?;
    change(far, &bread, json!({ "title": "rye bread" })).await?;
    ensure!(near.call("DELETE", &path(&bread), None).await?.status == 204);
    heal(fleet).await?;
    Ok([milk, bread])
}

fn field<'a>(page: &'a Value, id: &str, field: &str) -> anyhow::Result<&'a Value> {
    let entry = items(page).iter().find(|one| one["id"] == id);
    let fields = entry.with_context(|| format!("{id}: {page}"))?["fields"].as_array();
    let found = fields
        .into_iter()
        .flatten()
        .find(|one| one["field"] == field);
    found.with_context(|| format!("{field}: {page}"))
}

fn values(of: &Value) -> Vec<(&str, &str)> {
    let values = of["values"].as_array().into_iter().flatten();
    values
        .filter_map(|one| Some((one["value"].as_str()?, one["by"].as_str()?)))
        .collect()
}

async fn resolve(node: &Node, decision: Value) -> anyhow::Result<u16> {
    let answer = node
        .call("POST", "/v1/lists/bob/resolve", Some(&decision))
        .await?;
    Ok(answer.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_value_that_lost_is_seen_and_can_be_chosen() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let [milk, bread] = written_apart(&fleet).await?;
    let first = fleet.nodes[0].get("/v1/lists/bob/conflicts").await?.json();
    for node in &fleet.nodes {
        let page = node.get("/v1/lists/bob/conflicts").await?.json();
        ensure!(page == first, "{}: {page} {first}", node.name);
    }
    let titles = values(field(&first, &milk, "title")?);
    let shown = fleet.nodes[1].get(&path(&milk)).await?.json();
    ensure!(
        titles.len() == 2 && shown["title"] == titles[0].0,
        "{titles:?}"
    );
    for (title, node) in [("oat milk", "n1"), ("soy milk", "n3")] {
        let by = titles.iter().find(|(value, _)| *value == title);
        ensure!(
            by.is_some_and(|(_, by)| by.ends_with(&format!("@{node}"))),
            "{titles:?}"
        );
    }
    let mut fates: Vec<&str> = values(field(&first, &bread, "deleted")?)
        .iter()
        .map(|one| one.0)
        .collect();
    fates.sort_unstable();
    ensure!(fates == ["deleted", "edited"], "{fates:?}");

    // A person sees both in the table, and takes the one that lost.
    let n2 = &fleet.nodes[1];
    let table = String::from_utf8(n2.muster(&["conflicts"])?.stdout)?;
    for expected in ["oat milk", "soy milk", "rye bread", "deleted"] {
        ensure!(table.contains(expected), "{table}");
    }
    let lost = titles[1].0;
    let settled = n2.muster(&["resolve", "bob", &milk, "title", lost])?;
    ensure!(settled.status.success(), "{settled:?}");
    fleet.agree().await?;
    for node in &fleet.nodes {
        let entry = node.get(&path(&milk)).await?.json();
        ensure!(
            entry["title"] == lost && entry["conflicts"] == json!([]),
            "{entry}"
        );
    }
    let again = json!({ "entry": milk, "field": "title", "value": lost });
    ensure!(resolve(n2, again).await? == 409);
    let soon = json!({ "entry": bread, "field": "deleted", "value": "perhaps" });
    ensure!(resolve(n2, soon).await? == 422);
    let kept = json!({ "entry": bread, "field": "deleted", "value": "edited" });
    ensure!(resolve(n2, kept).await? == 200);
    fleet.agree().await?;
    let page = fleet.nodes[0].get("/v1/lists/bob/conflicts").await?.json();
    ensure!(items(&page).is_empty(), "{page}");
    let entry = fleet.nodes[2].get(&path(&bread)).await?.json();
    ensure!(entry["title"] == "rye bread", "{entry}");
    Ok(())
}
