//! A list whose document cannot be made leaves quarantine by a command, and nothing of it is lost.

use crate::fleet::{Fleet, Node};
use anyhow::{Context, ensure};
use bytes::Bytes;
use crdt::list::hash_of;
use crdt::vector::Range;
use names::{ChangeId, ListId, ListName};
use node::lists::{Row, Source};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;
use std::sync::mpsc::channel;
use store::Store;

/// Puts other bytes in the place of the first of a list's changes on the disk of a node that does not run; gives
/// the bytes that were there.
pub(crate) fn replace_first(
    node: &Node,
    list: &str,
    bytes: Option<&Bytes>,
) -> anyhow::Result<Bytes> {
    let (store, _) = Store::open(&node.data, |_| (), |_| ())?;
    let list = ListId::of(&ListName::new(list)?);
    let reader = store.reader();
    let vector = reader.vector(list)?;
    let actor = vector.iter().next().context("a change")?.id.actor;
    let first = Range {
        actor,
        from: 1,
        to: 1,
    };
    let before = reader.changes(list, first)?.pop().context("a change")?;
    drop(reader);
    let bytes = bytes.map_or_else(|| Bytes::from_static(b"rubbish"), Bytes::clone);
    let row = Row::Change {
        list,
        id: ChangeId { actor, seq: 1 },
        hash: hash_of(&before),
        bytes,
    };
    let (tell, told) = channel();
    let done = Box::new(move |result| tell.send(result).unwrap_or_default());
    store.commit(vec![row], done);
    told.recv()??;
    store.close();
    Ok(before)
}

/// Spoils a list on the disk of a node, and starts it: with the next write the list is in quarantine.
async fn quarantined(node: &mut Node, list: &str) -> anyhow::Result<Bytes> {
    node.stop()?;
    let before = replace_first(node, list, None)?;
    node.start()?;
    let refused = node.add(list, "refused").await;
    let words = format!("{:?}", refused.err().context("it takes no changes")?);
    ensure!(words.contains("muster quarantine why LIST"), "{words}");
    Ok(before)
}

fn done(output: Output) -> anyhow::Result<String> {
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn refused(output: &Output, code: i32, words: &str) -> anyhow::Result<()> {
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(code), "{output:?}");
    ensure!(told.contains(words), "{told}");
    Ok(())
}

async fn titles(node: &Node) -> anyhow::Result<Vec<String>> {
    let entries = node.entries("groceries").await?;
    let title = |entry: &Value| entry["title"].as_str().unwrap_or_default().to_owned();
    Ok(entries.iter().map(title).collect())
}

async fn two_with_a_list() -> anyhow::Result<Fleet> {
    let fleet = Fleet::started(2).await?;
    for title in ["milk", "bread", "eggs"] {
        fleet.nodes[0].add("groceries", title).await?;
    }
    fleet.agree().await?;
    Ok(fleet)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_released_once_its_document_can_be_made() -> anyhow::Result<()> {
    let mut fleet = two_with_a_list().await?;
    let node = &mut fleet.nodes[0];
    ensure!(done(node.muster(&["quarantine"])?)?.is_empty());
    let code = node.muster(&["quarantine", "why", "groceries"])?;
    refused(&code, 3, "is not quarantined")?;
    let before = quarantined(node, "groceries").await?;
    let shown = done(node.muster(&["quarantine"])?)?;
    ensure!(
        shown.starts_with("groceries\t20") && shown.contains("\t3\t"),
        "{shown}"
    );
    let why = done(node.muster(&["quarantine", "why", "groceries"])?)?;
    ensure!(
        why.contains("change 1 of the actor") && why.contains("n2 has 3 changes"),
        "{why}"
    );
    let status = node.get("/v1/status").await?.text;
    let doctor = node.get("/v1/debug/doctor").await?.text;
    ensure!(status.contains("muster quarantine") && doctor.contains("muster quarantine"));
    let release = ["quarantine", "release", "groceries"];
    refused(&node.muster(&release)?, 4, "stays in quarantine")?;
    // It is told over restarts too, since when above all.
    node.stop()?;
    node.start()?;
    ensure!(done(node.muster(&["quarantine"])?)? == shown);
    ensure!(titles(node).await? == ["milk", "bread", "eggs"]);
    node.stop()?;
    replace_first(node, "groceries", Some(&before))?;
    node.start()?;
    refused(&node.muster(&["add", "groceries", "tea"])?, 1, "quarantine")?;
    let said = done(node.muster(&release)?)?;
    ensure!(
        said == "groceries is out of quarantine: its document could be made, with 3 entries\n",
        "{said}"
    );
    node.add("groceries", "tea").await?;
    node.stop()?;
    node.start()?;
    fleet.whole().await?;
    fleet.nodes[1].add("groceries", "salt").await?;
    fleet.agree().await?;
    let expected = ["milk", "bread", "eggs", "tea", "salt"];
    ensure!(titles(&fleet.nodes[0]).await? == expected);
    Ok(())
}

/// The files in which lists are that were replaced.
fn put_aside(node: &Node) -> anyhow::Result<Vec<PathBuf>> {
    let files = node.data.join("replaced").read_dir()?;
    files.map(|file| Ok(file?.path())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_replaced_by_what_another_member_has() -> anyhow::Result<()> {
    let mut fleet = two_with_a_list().await?;
    let replace = ["quarantine", "replace", "groceries"];
    fleet.nodes[1].stop()?;
    quarantined(&mut fleet.nodes[0], "groceries").await?;
    refused(&fleet.nodes[0].muster(&replace)?, 4, "no connected member")?;
    fleet.nodes[1].start()?;
    fleet.whole().await?;
    fleet.nodes[1].add("groceries", "salt").await?;
    let node = &mut fleet.nodes[0];
    let said = done(node.muster(&replace)?)?;
    ensure!(
        said.starts_with("3 changes were put aside in ")
            && said.ends_with("groceries is here again, from n2\n"),
        "{said}"
    );
    ensure!(titles(node).await? == ["milk", "bread", "eggs", "salt"]);
    let files = put_aside(node)?;
    let [file] = files.as_slice() else {
        anyhow::bail!("{files:?}");
    };
    ensure!(file.metadata()?.permissions().mode() & 0o777 == 0o600);
    let bytes = std::fs::read(file)?;
    let holds = |words: &[u8]| bytes.windows(words.len()).any(|at| at == words);
    ensure!(holds(b"rubbish") && holds(b"groceries"));
    node.add("groceries", "tea").await?;
    node.stop()?;
    node.start()?;
    fleet.whole().await?;
    fleet.agree().await?;
    ensure!(done(fleet.nodes[0].muster(&["quarantine"])?)?.is_empty());

    // What nobody else has is not given up unasked.
    fleet.nodes[1].stop()?;
    fleet.nodes[0].add("groceries", "only here").await?;
    quarantined(&mut fleet.nodes[0], "groceries").await?;
    fleet.nodes[1].start()?;
    fleet.whole().await?;
    let node = &fleet.nodes[0];
    refused(
        &node.muster(&replace)?,
        4,
        "1 changes of the list \"groceries\" are on this node only",
    )?;
    let forced = ["quarantine", "replace", "groceries", "--force"];
    let said = done(node.muster(&forced)?)?;
    ensure!(said.contains("1 of them are on no other"), "{said}");
    let expected = ["milk", "bread", "eggs", "salt", "tea"];
    ensure!(titles(node).await? == expected, "{:?}", titles(node).await?);
    ensure!(put_aside(node)?.len() == 2);
    node.add("groceries", "after it").await?;
    fleet.agree().await?;
    Ok(())
}
