//! Backups: of a running node, checked, and put back into a living cluster and a new one.

use crate::fleet::{Fleet, Node};
use anyhow::ensure;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

fn done(output: Output) -> anyhow::Result<String> {
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn failed(output: &Output, code: i32, words: &str) -> anyhow::Result<()> {
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(code), "{output:?}");
    ensure!(told.contains(words), "{told}");
    Ok(())
}

fn back_up(node: &Node, file: &Path) -> anyhow::Result<String> {
    done(node.muster(&["backup", &file.display().to_string()])?)
}

fn restore(node: &Node, file: &Path) -> anyhow::Result<String> {
    done(node.muster(&["restore", &file.display().to_string()])?)
}

async fn titles(node: &Node, list: &str) -> anyhow::Result<Vec<String>> {
    let entries = node.entries(list).await?;
    let title = |entry: &Value| entry["title"].as_str().unwrap_or_default().to_owned();
    Ok(entries.iter().map(title).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_whole_or_is_not_there() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let (node, dir) = (&fleet.nodes[0], tempfile::tempdir()?);
    for number in 0..3 {
        node.add("groceries", &format!("number {number}")).await?;
    }
    node.add("errands", "post").await?;
    let file = dir.path().join("muster.backup");
    let said = back_up(node, &file)?;
    ensure!(
        said.contains("is whole: 2 lists with 4 changes, of n1"),
        "{said}"
    );
    ensure!(file.metadata()?.permissions().mode() & 0o777 == 0o600);
    let name = file.display().to_string();
    failed(&node.muster(&["backup", &name])?, 4, "--force replaces it")?;
    done(node.muster(&["backup", &name, "--force"])?)?;
    ensure!(
        dir.path().read_dir()?.count() == 1,
        "nothing is left beside it"
    );

    let whole = std::fs::read(&file)?;
    let verify = ["backup", "--verify", &name];
    done(node.muster(&verify)?)?;
    std::fs::write(&file, whole.split_last().map_or(&[][..], |(_, rest)| rest))?;
    failed(&node.muster(&verify)?, 1, "it is cut off")?;
    failed(&node.muster(&["restore", &name])?, 1, "it is cut off")?;
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 4;
    std::fs::write(&file, &flipped)?;
    failed(&node.muster(&verify)?, 1, "it is damaged")?;
    std::fs::write(&file, "a shopping list of old")?;
    failed(&node.muster(&verify)?, 1, "no backup of muster")?;
    failed(
        &node.muster(&["backup", "--verify", "/no/such"])?,
        3,
        "there is no file",
    )?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn restoring_merges_into_a_living_cluster() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let (node, dir) = (&fleet.nodes[0], tempfile::tempdir()?);
    let milk = node.add("groceries", "milk").await?;
    node.add("groceries", "bread").await?;
    node.add("errands", "post").await?;
    let file = dir.path().join("muster.backup");
    back_up(node, &file)?;
    node.call(
        "DELETE",
        &format!("/v1/lists/groceries/entries/{milk}"),
        None,
    )
    .await?;
    node.call("DELETE", "/v1/lists/errands", None).await?;
    node.add("groceries", "eggs").await?;
    fleet.agree().await?;
    // All that is in it is known: what was deleted since stays deleted.
    for node in &fleet.nodes {
        let said = restore(node, &file)?;
        ensure!(said == "errands\t0\t1\t0\ngroceries\t0\t2\t0\n", "{said}");
        ensure!(titles(node, "groceries").await? == ["bread", "eggs"]);
        ensure!(titles(node, "errands").await?.is_empty());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_cluster_comes_back_from_a_backup() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(2).await?;
    let dir = tempfile::tempdir()?;
    for number in 0..20 {
        let node = &fleet.nodes[number % 2];
        node.add("groceries", &format!("number {number}")).await?;
    }
    fleet.nodes[1].add("errands", "post").await?;
    let before = fleet.agree().await?;
    let file = dir.path().join("muster.backup");
    back_up(&fleet.nodes[0], &file)?;
    for node in &mut fleet.nodes {
        node.kill()?;
        std::fs::remove_dir_all(&node.data)?;
    }
    fleet.nodes[0].start()?;
    let node = &fleet.nodes[0];
    ensure!(titles(node, "groceries").await?.is_empty());
    let name = file.display().to_string();
    let one = done(node.muster(&["restore", &name, "--list", "errands"])?)?;
    ensure!(one == "errands\t1\t0\t0\n", "{one}");
    let said = restore(node, &file)?;
    ensure!(said == "errands\t0\t1\t0\ngroceries\t20\t0\t0\n", "{said}");
    let again = restore(node, &file)?;
    ensure!(
        again == "errands\t0\t1\t0\ngroceries\t0\t20\t0\n",
        "{again}"
    );
    node.add("groceries", "after it").await?;
    fleet.nodes[1].start()?;
    fleet.whole().await?;
    let after = fleet.agree().await?;
    ensure!(after.len() == before.len(), "{after:?} {before:?}");
    ensure!(titles(&fleet.nodes[1], "groceries").await?.len() == 21);
    fleet.nodes[0].stop()?;
    fleet.nodes[0].start()?;
    ensure!(titles(&fleet.nodes[0], "groceries").await?.len() == 21);
    Ok(())
}
