//! What happened is kept over restarts of the daemon, and can be asked for later.

use crate::fleet::{Fleet, Node, eventually};
use crate::http::Events;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::Write;

/// Runs `muster --json events` to its end; gives what it printed.
fn events(node: &Node, args: &[&str]) -> anyhow::Result<Vec<Value>> {
    let all = [&["--json", "events"], args].concat();
    let output = node.muster(&all)?;
    ensure!(output.status.success(), "{args:?}: {output:?}");
    let lines = std::str::from_utf8(&output.stdout)?.lines();
    Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// The lists of which the events tell.
fn lists(events: &[Value]) -> Vec<&str> {
    let of_lists = events.iter().filter(|event| event["kind"] == "list");
    of_lists
        .filter_map(|event| event["name"].as_str())
        .collect()
}

/// Waits until an event of that list is on the disk, from where a killed daemon reads it.
async fn kept(node: &Node, list: &str) -> anyhow::Result<()> {
    let file = node.dir.join("data/events/current");
    eventually("the event is on the disk", async || {
        ensure!(std::fs::read_to_string(&file)?.contains(&format!("\"{list}\"")));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_before_the_daemon_was_killed_can_be_asked_for() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(1).await?;
    let node = &mut fleet.nodes[0];
    node.add("first", "x").await?;
    node.add("second", "x").await?;
    kept(node, "second").await?;
    node.kill()?;
    let file = node.dir.join("data/events/current");
    // A power cut tears the last line.
    let mut torn = OpenOptions::new().append(true).open(&file)?;
    torn.write_all(b"{\"event\":\"19a-9\",\"at\":\"20")?;
    node.start()?;
    node.add("third", "x").await?;
    let all = events(node, &["--since", "1h", "--until", "now"])?;
    ensure!(lists(&all) == ["first", "second", "third"], "{all:?}");
    let times = all
        .iter()
        .map(|event| event["at"].as_str())
        .collect::<Option<Vec<_>>>();
    let times = times.context("each event has a time")?;
    ensure!(times.is_sorted(), "{times:?}");
    let one = events(node, &["--last", "1", "--kinds", "list", "--until", "now"])?;
    ensure!(lists(&one) == ["third"], "{one:?}");
    let older = ["--last", "1", "--name", "first", "--until", "now"];
    let older = events(node, &older)?;
    ensure!(
        lists(&older) == ["first"],
        "the last of those that are wanted: {older:?}"
    );
    let none = events(node, &["--since", "1h", "--until", "30m"])?;
    ensure!(none.is_empty(), "{none:?}");
    let wrong = node.muster(&["events", "--since", "soon"])?;
    ensure!(wrong.status.code() == Some(2), "{wrong:?}");
    Ok(())
}

/// Reads a stream until an event of that list came; gives the ids of all that came.
async fn read_until(events: &mut Events, list: &str) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    loop {
        let (name, id, data) = events.next().await?;
        ensure!(name.is_empty(), "only what happened comes: {name} {data}");
        ids.push(id);
        if data["name"] == list {
            return Ok(ids);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_goes_on_over_several_restarts_and_misses_nothing() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(1).await?;
    let node = &mut fleet.nodes[0];
    let path = "/v1/events";
    let mut events = Events::follow(&node.socket(), path, None).await?;
    let (name, ..) = events.next().await?;
    ensure!(name == "snapshot", "{name}");
    node.add("seen", "x").await?;
    let seen = read_until(&mut events, "seen").await?;
    let last = seen.last().context("an event has an id")?;
    node.add("missed", "x").await?;
    kept(node, "missed").await?;
    node.kill()?;
    node.start()?;
    node.add("meanwhile", "x").await?;
    node.stop()?;
    node.start()?;
    node.add("now", "x").await?;
    let mut events = Events::follow(&node.socket(), path, Some(last)).await?;
    let mut followed = Vec::new();
    for list in ["missed", "meanwhile", "now"] {
        followed.extend(read_until(&mut events, list).await?);
    }
    ensure!(!followed.contains(last), "{followed:?}");
    // What comes first by `last` is before the snapshot.
    let mut events = Events::follow(&node.socket(), "/v1/events?last=1", None).await?;
    let (name, _, data) = events.next().await?;
    ensure!(name.is_empty() && data["name"] == "now", "{name} {data}");
    let (name, ..) = events.next().await?;
    ensure!(name == "snapshot", "{name}");
    Ok(())
}
