//! `muster verify` reads all that a node has of its lists, and names what the disk has damaged.

use crate::fleet::{Fleet, Node};
use crate::quarantine::replace_first;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;

/// What it prints as JSON, and whether all is well.
fn verify(node: &Node) -> anyhow::Result<(Value, bool)> {
    let Output { status, stdout, .. } = node.muster(&["--json", "verify"])?;
    let found = serde_json::from_slice(&stdout).context(String::from_utf8(stdout)?)?;
    ensure!([Some(0), Some(1)].contains(&status.code()), "{status}");
    Ok((found, status.success()))
}

async fn two_with_lists() -> anyhow::Result<Fleet> {
    let fleet = Fleet::started(2).await?;
    for list in ["errands", "groceries", "plans"] {
        for number in 0..30 {
            let title = format!("number {number} of {list}, which nobody else is called");
            fleet.nodes[number % 2].add(list, &title).await?;
        }
    }
    fleet.agree().await?;
    Ok(fleet)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_node_is_told_to_be_so_and_a_bad_change_is_found() -> anyhow::Result<()> {
    let mut fleet = two_with_lists().await?;
    let node = &mut fleet.nodes[0];
    let (found, is_well) = verify(node)?;
    ensure!(is_well, "{found}");
    ensure!(found["lists"] == 3 && found["changes"] == 90, "{found}");
    ensure!(found["members"][0]["node"] == "n2", "{found}");
    // A part at a time, each after the one before.
    let mut path = "/v1/verify?limit=2".to_owned();
    let first = node.call("POST", &path, None).await?.json();
    path += &format!(
        "&cursor={}",
        first["next"].as_str().context("more follows")?
    );
    let second = node.call("POST", &path, None).await?.json();
    let counts = [&first["lists"], &second["lists"], &second["next"]];
    ensure!(
        counts == [&2.into(), &1.into(), &Value::Null],
        "{first} {second}"
    );

    node.stop()?;
    replace_first(node, "groceries", None)?;
    node.start()?;
    let (found, is_well) = verify(node)?;
    let fault = &found["faults"][0];
    ensure!(!is_well && found["faults"][1].is_null(), "{found}");
    ensure!(
        fault["list"] == "groceries" && fault["quarantined"] == true,
        "{found}"
    );
    ensure!(
        fault["remedy"] == "muster quarantine why groceries",
        "{found}"
    );
    ensure!(node.add("groceries", "refused").await.is_err());
    node.add("plans", "taken").await?;
    let (again, is_well) = verify(node)?;
    ensure!(
        !is_well && again["faults"][0]["quarantined"] == true,
        "{again}"
    );
    fleet.whole().await?;
    let node = &fleet.nodes[0];
    let replaced = node.muster(&["quarantine", "replace", "groceries"])?;
    ensure!(replaced.status.success(), "{replaced:?}");
    let (found, is_well) = verify(node)?;
    ensure!(is_well, "{found}");
    Ok(())
}

/// All files below a directory.
fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in dir.read_dir()? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Flips a bit in the tables of a node that does not run, wherever the words stand; gives how often.
fn spoil_tables(node: &Node, words: &[u8]) -> anyhow::Result<usize> {
    let mut flipped = 0;
    for file in files(&node.data.join("db"))? {
        if file.extension().is_some_and(|extension| extension == "jnl") {
            continue;
        }
        let mut bytes = std::fs::read(&file)?;
        let at = bytes.windows(words.len()).position(|at| at == words);
        if let Some(byte) = at.and_then(|at| bytes.get_mut(at)) {
            *byte ^= 1;
            flipped += 1;
            std::fs::write(&file, bytes)?;
        }
    }
    Ok(flipped)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_table_is_found_and_its_lists_are_named() -> anyhow::Result<()> {
    let mut fleet = two_with_lists().await?;
    fleet.nodes[0].stop()?;
    let flipped = spoil_tables(&fleet.nodes[0], b"number 0 of groceries")?;
    ensure!(flipped > 0, "the words are in no table");
    fleet.nodes[0].start()?;
    let node = &fleet.nodes[0];
    let (found, is_well) = verify(node)?;
    ensure!(!is_well, "{found}");
    let faults = found["faults"].as_array().context("faults")?;
    let of_groceries = faults.iter().filter(|fault| fault["list"] == "groceries");
    ensure!(of_groceries.clone().count() > 0, "{found}");
    let is_quarantined = |fault: &Value| fault["quarantined"] == true;
    ensure!(of_groceries.clone().any(is_quarantined), "{found}");
    let says_what_to_do =
        |fault: &Value| fault["remedy"].to_string().contains("empty data directory");
    ensure!(of_groceries.clone().any(says_what_to_do), "{found}");
    let refused = node.muster(&["quarantine", "replace", "groceries"])?;
    ensure!(refused.status.code() == Some(4), "{refused:?}");
    // What can be read is saved, and what could not be is named.
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("muster.backup").display().to_string();
    let saved = node.muster(&["backup", &file])?;
    let told = String::from_utf8_lossy(&saved.stderr);
    ensure!(
        saved.status.code() == Some(1) && told.contains("groceries"),
        "{told}"
    );
    let restored = fleet.nodes[1].muster(&["restore", &file])?;
    ensure!(restored.status.success(), "{restored:?}");
    // A new beginning with the same identity.
    fleet.nodes[0].kill()?;
    std::fs::remove_dir_all(&fleet.nodes[0].data)?;
    fleet.nodes[0].start()?;
    fleet.whole().await?;
    fleet.agree().await?;
    let (found, is_well) = verify(&fleet.nodes[0])?;
    ensure!(is_well && found["changes"] == 90, "{found}");
    Ok(())
}
