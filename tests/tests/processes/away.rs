//! A member that is away on purpose, by three daemons.

use crate::fleet::{Fleet, Node, eventually, items};
use anyhow::{Context, ensure};
use serde_json::{Value, json};

async fn member(node: &Node, name: &str) -> anyhow::Result<Value> {
    let members = node.get("/v1/members").await?.json();
    let found = items(&members).iter().find(|one| one["name"] == name);
    found.cloned().context("it is no member")
}

pub(crate) async fn is_in_state(nodes: &[&Node], name: &str, state: &str) -> anyhow::Result<()> {
    eventually(&format!("{name} is {state}"), async || {
        for node in nodes {
            let member = member(node, name).await?;
            ensure!(member["state"] == state, "{}: {member}", node.name);
        }
        Ok(())
    })
    .await
}

fn says(node: &Node, args: &[&str], status: i32, parts: &[&str]) -> anyhow::Result<()> {
    let output = node.muster(args)?;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let said = format!("{out}{err}");
    ensure!(output.status.code() == Some(status), "{args:?}: {said}");
    for part in parts {
        ensure!(said.contains(part), "{args:?}: {said:?} lacks {part:?}");
    }
    Ok(())
}

async fn event_types(node: &Node, name: &str) -> anyhow::Result<Vec<String>> {
    let path = format!("/v1/events?kinds=member&name={name}&since=1h&until=0s");
    let text = node.get(&path).await?.text;
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let types = events.filter_map(|event| Some(event["type"].as_str()?.to_owned()));
    Ok(types.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_away_until_its_time_is_ended_or_it_is_seen() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
    let away = ["away", "n3", "--for", "30d", "--why", "dry dock"];
    says(&fleet.nodes[0], &away, 4, &["n3 is reachable"])?;
    fleet.nodes[2].kill()?;
    let [n1, n2, _] = &fleet.nodes[..] else {
        anyhow::bail!("three nodes")
    };
    is_in_state(&[n1, n2], "n3", "down").await?;
    says(n1, &["back", "n3"], 3, &["n3 is not away"])?;
    says(n1, &away, 0, &["n3 is away until", "dry dock"])?;
    is_in_state(&[n1, n2], "n3", "away").await?;
    let told = member(n2, "n3").await?;
    ensure!(
        told["away"]["why"] == "dry dock" && told["away"]["node"] == "n1",
        "{told}"
    );
    says(
        n2,
        &["partition"],
        0,
        &["whole", "2 of 2", ", 1 away", "2 of all 3"],
    )?;
    says(n2, &["status"], 0, &["complete, 2 of 2, 1 away"])?;
    says(n2, &["members", "--state", "away"], 0, &["n3"])?;
    says(n2, &["partition", "--require", "majority"], 0, &[])?;
    let metrics = n2.get("/metrics").await?.text;
    ensure!(
        metrics.contains("muster_cluster_away_members 1"),
        "{metrics}"
    );
    ensure!(
        !metrics.contains("muster_member_up{member=\"n3\"}")
            && metrics.contains("muster_member_away{member=\"n3\",host=\"127.0.0.1\"} 1"),
        "{metrics}"
    );
    says(n2, &["back", "n3"], 0, &["expected again"])?;
    is_in_state(&[n1, n2], "n3", "down").await?;
    says(n2, &away, 0, &[])?;
    is_in_state(&[n1, n2], "n3", "away").await?;
    let types = event_types(n1, "n3").await?;
    let count = |what: &str| types.iter().filter(|one| *one == what).count();
    ensure!((count("away"), count("back")) == (2, 1), "{types:?}");
    // Over a restart of all that know of it, and until it is seen.
    for node in &mut fleet.nodes[..2] {
        node.kill()?;
    }
    for node in &mut fleet.nodes[..2] {
        node.start()?;
    }
    is_in_state(&[&fleet.nodes[0], &fleet.nodes[1]], "n3", "away").await?;
    fleet.nodes[2].start()?;
    fleet.whole().await?;
    let last = event_types(&fleet.nodes[0], "n3").await?;
    ensure!(
        last.ends_with(&["back".to_owned(), "alive".to_owned()]),
        "{last:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_majority_is_of_all_members_also_of_those_that_are_away() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
    for node in &mut fleet.nodes[1..] {
        node.kill()?;
    }
    let n1 = &fleet.nodes[0];
    is_in_state(&[n1], "n2", "down").await?;
    is_in_state(&[n1], "n3", "down").await?;
    let path = "/v1/members/n2/away";
    let body = json!({ "for": "30d" });
    let refused = n1.call("POST", path, Some(&body)).await?;
    ensure!(refused.status == 409, "{refused:?}");
    ensure!(refused.text.contains("force=true"), "{refused:?}");
    says(
        n1,
        &["away", "n2", "--for", "30d"],
        4,
        &["1 of 3", "--force"],
    )?;
    says(n1, &["away", "n2", "--for", "30d", "--force"], 0, &[])?;
    says(n1, &["away", "n3", "--for", "30d", "--force"], 0, &[])?;
    is_in_state(&[n1], "n3", "away").await?;
    says(n1, &["partition"], 0, &["whole", "1 of 1", ", 2 away"])?;
    let words = "a majority is 2 of all 3 members";
    says(n1, &["partition", "--require", "majority"], 4, &[words])?;
    let body = json!({ "title": "milk" });
    let path = "/v1/lists/groceries/entries?replicas=majority&timeout=500ms";
    let waited = n1.call("POST", path, Some(&body)).await?;
    ensure!(waited.status == 202, "{waited:?}");
    let replicas = &waited.json()["replicas"];
    ensure!(
        replicas["asked"] == 2 && replicas["reached"] == false,
        "{waited:?}"
    );
    Ok(())
}
