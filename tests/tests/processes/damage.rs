//! A block of a node's disk goes bad: what is intact behind it is not lost, and the node says so.

use crate::fleet::{Fleet, Node, eventually};
use anyhow::{Context, ensure};
use serde_json::Value;
use std::path::PathBuf;

/// The journal that a killed node has left.
fn journal(node: &Node) -> anyhow::Result<PathBuf> {
    let files = std::fs::read_dir(node.data.join("db"))?;
    let files: Vec<PathBuf> = files
        .map(|file| file.map(|file| file.path()))
        .collect::<Result<_, _>>()?;
    let journals = files.into_iter();
    let mut journals = journals.filter(|path| path.extension().is_some_and(|it| it == "jnl"));
    journals.next().context("a journal")
}

/// Changes one bit of each place where those words stand in a node's journal.
fn spoil(node: &Node, words: &str) -> anyhow::Result<()> {
    let path = journal(node)?;
    let mut bytes = std::fs::read(&path)?;
    let found = bytes.windows(words.len()).enumerate();
    let places: Vec<usize> = found
        .filter(|(_, window)| *window == words.as_bytes())
        .map(|(at, _)| at)
        .collect();
    ensure!(!places.is_empty(), "{words:?} is not in the journal");
    for place in places {
        let byte = bytes.get_mut(place).context("it was found")?;
        *byte ^= 1;
    }
    Ok(std::fs::write(path, bytes)?)
}

async fn titles(node: &Node) -> anyhow::Result<Vec<String>> {
    let entries = node.entries("groceries").await?;
    let title = |entry: &Value| entry["title"].as_str().unwrap_or_default().to_owned();
    Ok(entries.iter().map(title).collect())
}

async fn id_of(node: &Node, title: &str) -> anyhow::Result<String> {
    let entries = node.entries("groceries").await?;
    let found = entries.iter().find(|entry| entry["title"] == title);
    let id = found.and_then(|entry| entry["id"].as_str());
    Ok(id.context("an entry of that title")?.to_owned())
}

fn muster(node: &Node, args: &[&str]) -> anyhow::Result<String> {
    Ok(String::from_utf8(node.muster(args)?.stdout)?)
}

/// Whether status, doctor and a metric tell of it.
async fn is_told(node: &Node) -> anyhow::Result<bool> {
    let status = node.get("/v1/status").await?.text;
    let metrics = node.get("/metrics").await?.text;
    let doctor = node.get("/v1/debug/doctor").await?.json();
    let words = "a journal of the store was damaged";
    let told = [
        status.contains(words),
        doctor["healthy"] == false && doctor.to_string().contains(words),
        metrics.contains("muster_store_damaged_journals 1"),
    ];
    ensure!(told[0] == told[1] && told[1] == told[2], "{told:?}");
    Ok(told[0])
}

async fn fill(node: &Node) -> anyhow::Result<()> {
    for number in 1..=9 {
        node.add("groceries", &format!("number {number}")).await?;
    }
    Ok(())
}

fn all_but(lost: u32) -> Vec<String> {
    let numbers = (1..=9).filter(|number| *number != lost);
    numbers.map(|number| format!("number {number}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_node_has_all_but_what_was_damaged() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(1).await?;
    let node = &mut fleet.nodes[0];
    fill(node).await?;
    ensure!(!is_told(node).await?);
    node.kill()?;
    spoil(node, "number 4")?;
    node.start()?;
    ensure!(
        titles(node).await? == all_but(4),
        "{:?}",
        titles(node).await?
    );
    ensure!(is_told(node).await?);
    let history = node.get("/v1/lists/groceries/history").await?.json();
    let again = &history["items"][0];
    ensure!(again["summary"] == "added number 9", "{history}");
    ensure!(
        again["by"].as_str().is_some_and(|by| by.ends_with("@n1")),
        "{history}"
    );
    node.add("groceries", "number 10").await?;
    let shown = muster(node, &["repair"])?;
    let counts: Vec<&str> = shown.split_whitespace().skip(1).collect();
    ensure!(counts == ["5", "0", "5", "0"], "{shown}");
    // What is deleted of that is not missing, and stays deleted.
    let gone = id_of(node, "number 6").await?;
    let gone = format!("/v1/lists/groceries/entries/{gone}");
    ensure!(node.call("DELETE", &gone, None).await?.status == 204);
    // It is told until somebody says that he has seen it, over restarts too.
    node.stop()?;
    node.start()?;
    ensure!(is_told(node).await? && titles(node).await?.len() == 8);
    let shown = muster(node, &["repair"])?;
    let counts: Vec<&str> = shown.split_whitespace().skip(1).collect();
    ensure!(counts == ["5", "0", "5", "0"], "{shown}");
    let said = muster(node, &["repair", "--acknowledge"])?;
    ensure!(said.starts_with("1 damaged journals"), "{said}");
    ensure!(!is_told(node).await?);
    ensure!(node.data.join("damaged").read_dir()?.count() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_damaged_node_lacks_comes_from_another_or_is_added_anew() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(2).await?;
    fill(&fleet.nodes[0]).await?;
    fleet.agree().await?;
    for number in 0..2 {
        fleet.nodes[number].kill()?;
    }
    spoil(&fleet.nodes[0], "number 4")?;
    fleet.nodes[0].start()?;
    let node = &fleet.nodes[0];
    // Somebody else may have the change: nothing is made up.
    ensure!(titles(node).await?.len() == 3, "{:?}", titles(node).await?);
    let shown = muster(node, &["repair"])?;
    ensure!(shown.split_whitespace().next_back() == Some("5"), "{shown}");
    fleet.nodes[1].start()?;
    fleet.whole().await?;
    fleet.agree().await?;
    let node = &fleet.nodes[0];
    ensure!(titles(node).await? == all_but(0));
    eventually("nothing is missing", async || {
        let damage = node.get("/v1/damage").await?.json();
        let one = &damage["items"][0];
        ensure!(one["restored"] == 5 && one["missing"] == 0, "{damage}");
        Ok(())
    })
    .await?;
    ensure!(muster(node, &["repair", "--acknowledge"])?.starts_with('1'));

    // The other one is gone for good.
    node.add("groceries", "number 10").await?;
    node.add("groceries", "number 11").await?;
    fleet.nodes[1].kill()?;
    eventually("the other one is forgotten", async || {
        muster(&fleet.nodes[0], &["forget", "n2"]).map(drop)
    })
    .await?;
    fleet.nodes[0].kill()?;
    spoil(&fleet.nodes[0], "number 10")?;
    fleet.nodes[0].start()?;
    let node = &fleet.nodes[0];
    // It may have the change all the same, wherever it is.
    ensure!(titles(node).await? == all_but(0));
    let said = muster(node, &["repair", "--reissue"])?;
    ensure!(
        said == "1 entries were added anew; 0 changes are still in no list\n",
        "{said}"
    );
    let mut expected = all_but(0);
    expected.push("number 11".to_owned());
    ensure!(titles(node).await? == expected);
    Ok(())
}
