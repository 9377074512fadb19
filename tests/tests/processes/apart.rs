//! What two sides of a partition write, and what becomes of it.

use crate::fleet::{Fleet, Node, eventually};
use anyhow::ensure;
use serde_json::{Value, json};

pub(crate) async fn cut(fleet: &Fleet) -> anyhow::Result<()> {
    fleet.split(&[2]).await?;
    for (index, verdict) in [(0, "majority"), (1, "majority"), (2, "alone")] {
        verdict_is(&fleet.nodes[index], verdict).await?;
    }
    Ok(())
}

pub(crate) async fn heal(fleet: &Fleet) -> anyhow::Result<()> {
    fleet.split(&[]).await?;
    fleet.whole().await?;
    fleet.agree().await.map(drop)
}

async fn verdict_is(node: &Node, verdict: &str) -> anyhow::Result<()> {
    eventually(&format!("{} says {verdict}", node.name), async || {
        let partition = node.get("/v1/partition").await?.json();
        ensure!(partition["verdict"] == verdict, "{partition}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_made_on_two_sides_is_one_list() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    cut(&fleet).await?;
    fleet.nodes[0].add("bob", "from one side").await?;
    fleet.nodes[2].add("bob", "from the other side").await?;
    heal(&fleet).await?;
    for node in &fleet.nodes {
        ensure!(
            node.entries("bob").await?.len() == 2,
            "{} hides a side",
            node.name
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_id_used_on_two_sides_is_one_entry_with_both_sides_fields() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    cut(&fleet).await?;
    let id = "01JB000000000000000000TEST";
    let path = "/v1/lists/bob/entries";
    let here = fleet.nodes[0]
        .call(
            "POST",
            path,
            Some(&json!({ "id": id, "title": "dentist", "due": "2026-12-19" })),
        )
        .await?;
    let there = fleet.nodes[2]
        .call(
            "POST",
            path,
            Some(&json!({ "id": id, "title": "dentist", "notes": "bring the card" })),
        )
        .await?;
    ensure!(
        here.status == 201 && there.status == 201,
        "{here:?} {there:?}"
    );
    heal(&fleet).await?;
    for node in &fleet.nodes {
        let entries = node.entries("bob").await?;
        ensure!(
            entries.len() == 1 && entries[0]["title"] == "dentist",
            "{entries:?}"
        );
        let conflicts = entries[0]["conflicts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let kept = |field: &str, value: &str| {
            entries[0][field] == value || conflicts.contains(&Value::from(field))
        };
        ensure!(
            kept("due", "2026-12-19") && kept("notes", "bring the card"),
            "{entries:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_on_one_side_and_edited_on_the_other_an_entry_stays_marked() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let id = fleet.nodes[0].add("bob", "old").await?;
    let gone = fleet.nodes[0].add("bob", "deleted only").await?;
    fleet.agree().await?;
    cut(&fleet).await?;
    let path = format!("/v1/lists/bob/entries/{id}");
    ensure!(fleet.nodes[0].call("DELETE", &path, None).await?.status == 204);
    ensure!(
        fleet.nodes[0]
            .call("DELETE", &format!("/v1/lists/bob/entries/{gone}"), None)
            .await?
            .status
            == 204
    );
    ensure!(
        fleet.nodes[2]
            .call("PATCH", &path, Some(&json!({ "title": "edited" })))
            .await?
            .status
            == 200
    );
    heal(&fleet).await?;
    for node in &fleet.nodes {
        let entries = node.entries("bob").await?;
        ensure!(
            entries.len() == 1 && entries[0]["title"] == "edited",
            "{}: {entries:?}",
            node.name
        );
        ensure!(entries[0]["conflicts"] == json!(["deleted"]), "{entries:?}");
    }
    // A later edit decides nothing about that.
    ensure!(
        fleet.nodes[1]
            .call("PATCH", &path, Some(&json!({ "title": "kept" })))
            .await?
            .status
            == 200
    );
    fleet.agree().await?;
    let marked = fleet.nodes[2].entries("bob").await?;
    ensure!(marked[0]["conflicts"] == json!(["deleted"]), "{marked:?}");
    ensure!(marked[0]["title"] == "kept", "{marked:?}");
    let kept = json!({ "entry": id, "field": "deleted", "value": "edited" });
    let resolve = "/v1/lists/bob/resolve";
    let answer = fleet.nodes[1].call("POST", resolve, Some(&kept)).await?;
    ensure!(answer.status == 200, "{answer:?}");
    fleet.agree().await?;
    ensure!(fleet.nodes[2].entries("bob").await?[0]["conflicts"] == json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_field_written_on_both_sides_has_one_winner_and_a_mark() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let id = fleet.nodes[0].add("bob", "old").await?;
    fleet.agree().await?;
    cut(&fleet).await?;
    let path = format!("/v1/lists/bob/entries/{id}");
    for (index, title) in [(0, "here"), (2, "there")] {
        ensure!(
            fleet.nodes[index]
                .call("PATCH", &path, Some(&json!({ "title": title })))
                .await?
                .status
                == 200
        );
    }
    heal(&fleet).await?;
    let mut titles = Vec::new();
    for node in &fleet.nodes {
        let entry = node.get(&path).await?.json();
        ensure!(entry["conflicts"] == json!(["title"]), "{entry}");
        titles.push(entry["title"].clone());
    }
    ensure!(
        titles.iter().all(|title| *title == titles[0])
            && (titles[0] == "here" || titles[0] == "there"),
        "{titles:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_waits_for_replicas_tells_who_has_it() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let entries = "/v1/lists/bob/entries";
    let all = fleet.nodes[0]
        .call(
            "POST",
            &format!("{entries}?replicas=all"),
            Some(&json!({ "title": "a" })),
        )
        .await?;
    ensure!(
        all.status == 201 && all.json()["replicas"]["reached"] == true,
        "{all:?}"
    );
    ensure!(
        all.json()["replicas"]["confirmed"].as_array().map(Vec::len) == Some(3),
        "{all:?}"
    );
    cut(&fleet).await?;
    let some = fleet.nodes[2]
        .call(
            "POST",
            &format!("{entries}?replicas=majority&timeout=500ms"),
            Some(&json!({ "title": "b" })),
        )
        .await?;
    ensure!(
        some.status == 202 && some.json()["replicas"]["confirmed"] == json!(["n3"]),
        "{some:?}"
    );
    let many = fleet.nodes[0]
        .call(
            "POST",
            &format!("{entries}?replicas=4"),
            Some(&json!({ "title": "c" })),
        )
        .await?;
    ensure!(many.status == 422, "{many:?}");
    heal(&fleet).await?;
    ensure!(
        fleet.nodes[0].entries("bob").await?.len() == 2,
        "the write that waited in vain must \
        stay"
    );
    Ok(())
}
