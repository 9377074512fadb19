//! Rubbish in what a node shows of its lists: made anew from the changes, by itself where it is read,
//! and by `muster rebuild` with the daemon or without.

use crate::fleet::{Fleet, Node, items, program};
use crate::http::Client;
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output};

/// Rubbish as the value of every row of these kinds in a stopped node's data directory.
fn spoil(data: &Path, spaces: &[&str]) -> anyhow::Result<()> {
    let database = fjall::Database::builder(data.join("db"))
        .worker_threads(1)
        .open()?;
    for space in spaces {
        let space = database.keyspace(space, fjall::KeyspaceCreateOptions::default)?;
        let keys: Vec<_> = space
            .iter()
            .map(fjall::Guard::key)
            .collect::<Result<_, _>>()?;
        ensure!(!keys.is_empty());
        for key in keys {
            space.insert(key, "rubbish")?;
        }
    }
    Ok(database.persist(fjall::PersistMode::SyncAll)?)
}

/// Makes lists with one entry each that is due.
async fn fill(node: &Node, lists: usize) -> anyhow::Result<()> {
    for list in 0..lists {
        let entry = json!({ "title": "tea", "due": "2026-12-24", "estimate": 30 });
        let path = format!("/v1/lists/list{list}/entries");
        ensure!(node.call("POST", &path, Some(&entry)).await?.status == 201);
    }
    Ok(())
}

/// Each entry as it is shown alone, with its tag.
pub(crate) async fn tagged(node: &Node, list: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for entry in node.entries(list).await? {
        let id = entry["id"].as_str().context("an id")?;
        let answer = node.get(&format!("/v1/lists/{list}/entries/{id}")).await?;
        ensure!(answer.status == 200, "{answer:?}");
        all.push((answer.header("etag").to_owned(), answer.text));
    }
    Ok(all)
}

/// All that is shown of lists.
async fn shown(node: &Node) -> anyhow::Result<Value> {
    let mut lists = Vec::new();
    for (list, heads) in node.lists().await? {
        lists.push(json!([list, heads, tagged(node, &list).await?]));
    }
    let agenda = node.get("/v1/entries?limit=1000").await?;
    ensure!(agenda.status == 200, "{agenda:?}");
    Ok(json!([lists, agenda.json()]))
}

fn rebuild(args: &[&str], data: &Path) -> anyhow::Result<Output> {
    let mut muster = Command::new(program("muster"));
    muster
        .args(["rebuild", "--offline", "--data-dir"])
        .arg(data);
    Ok(muster.args(args).output()?)
}

/// What a command printed and how it ended.
fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let code = output.status.code().unwrap_or(-1);
    (code, text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_made_anew_without_a_daemon() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(1)?;
    let node = &mut fleet.nodes[0];
    node.start()?;
    fill(node, 3).await?;
    node.add("list1", "bread").await?;
    let before = shown(node).await?;
    let (code, _, words) = told(&rebuild(&[], &node.data)?);
    let pid = node.pid().context("it runs")?;
    let in_use = format!("is in use by the daemon with pid {pid}");
    ensure!(code == 1 && words.contains(&in_use), "{code} {words}");
    node.stop()?;

    spoil(&node.data, &["entries-2", "ids", "lists-2", "vectors-2"])?;
    let (code, _, words) = told(&rebuild(&["nosuch"], &node.data)?);
    ensure!(
        code == 3 && words == "muster: there is no list nosuch",
        "{code} {words}"
    );
    let nowhere = node.dir.join("nowhere");
    let (code, _, words) = told(&rebuild(&[], &nowhere)?);
    ensure!(
        code == 1 && words.contains("there is no data directory at") && !nowhere.exists(),
        "{code} {words}"
    );
    let asks_a_daemon = node.muster(&["rebuild", "--offline"])?;
    ensure!(asks_a_daemon.status.code() == Some(2), "{asks_a_daemon:?}");
    let (code, words, _) = told(&rebuild(&["list1"], &node.data)?);
    let expected = format!(
        "what is shown of 1 list was made anew, in {}",
        node.data.display()
    );
    ensure!(code == 0 && words == expected, "{code} {words}");
    // The place of the data is that of the daemon's configuration.
    let mut all = Command::new(program("muster"));
    all.args(["rebuild", "--offline", "--json", "--config"])
        .arg(node.config());
    let all = all.output()?;
    let answer: Value = serde_json::from_slice(&all.stdout).context(format!("{all:?}"))?;
    ensure!(answer == json!({ "lists": 3 }), "{answer}");

    node.start()?;
    ensure!(shown(node).await? == before);
    ensure!(!node.log().contains("damaged"), "{}", node.log());
    node.add("list2", "more").await?;
    Ok(())
}

/// What root makes anew must be readable for the daemon's user afterwards.
#[test]
fn what_root_makes_anew_belongs_to_the_daemons_user() -> anyhow::Result<()> {
    const OWNER: u32 = 12_345;
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: becoming another user needs root");
        return Ok(());
    }
    let mut fleet = Fleet::new(1)?;
    let node = &mut fleet.nodes[0];
    node.start()?;
    tokio::runtime::Runtime::new()?.block_on(fill(node, 1))?;
    node.stop()?;
    // Where that user can get to, with the program.
    let open = tempfile::tempdir()?;
    std::fs::set_permissions(open.path(), std::fs::Permissions::from_mode(0o755))?;
    let (data, muster) = (open.path().join("data"), open.path().join("muster"));
    std::fs::rename(&node.data, &data)?;
    std::fs::copy(program("muster"), &muster)?;
    let mut files = vec![data.clone()];
    while let Some(path) = files.pop() {
        chown(&path, Some(OWNER), Some(OWNER))?;
        if path.is_dir() {
            let inside = std::fs::read_dir(&path)?.map(|file| Ok(file?.path()));
            files.extend(inside.collect::<std::io::Result<Vec<_>>>()?);
        }
    }
    let mut rebuild = Command::new(&muster);
    rebuild
        .args(["rebuild", "--offline", "--data-dir"])
        .arg(&data);
    let (code, words, error) = told(&rebuild.arg("list0").output()?);
    ensure!(
        code == 0 && words.contains("1 list"),
        "{code} {words} {error}"
    );
    let mut files = vec![data];
    while let Some(path) = files.pop() {
        ensure!(path.metadata()?.uid() == OWNER, "{}", path.display());
        if path.is_dir() {
            let inside = std::fs::read_dir(&path)?.map(|file| Ok(file?.path()));
            files.extend(inside.collect::<std::io::Result<Vec<_>>>()?);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_a_request_meets_is_mended_before_it_is_answered() -> anyhow::Result<()> {
    const FEW: usize = 5;
    const MANY: usize = 20;
    let mut fleet = Fleet::new(1)?;
    let node = &mut fleet.nodes[0];
    node.start()?;
    fill(node, FEW).await?;
    let before = shown(node).await?;
    node.stop()?;
    spoil(&node.data, &["entries-2"])?;
    node.start()?;
    let agenda = node.get("/v1/entries?limit=1000").await?;
    ensure!(agenda.status == 200, "{agenda:?}");
    ensure!(agenda.json() == before[1], "{agenda:?}");
    ensure!(shown(node).await? == before);

    // More than for one request: each goes on from where the last one got.
    fill(node, MANY).await?;
    let before = shown(node).await?;
    node.stop()?;
    spoil(&node.data, &["entries-2"])?;
    node.start()?;
    let refused = node.get("/v1/entries?limit=1000").await?;
    ensure!(
        refused.status == 503
            && refused.header("retry-after") == "1"
            && refused
                .text
                .contains("rows of more than 16 lists are damaged"),
        "{refused:?}"
    );
    ensure!(shown(node).await.is_ok_and(|now| now == before));

    // What a write depends on is mended, too.
    let (tag, entry) = tagged(node, "list0").await?.remove(0);
    let id = serde_json::from_str::<Value>(&entry)?["id"].take();
    let id = id.as_str().context("an id")?;
    node.stop()?;
    spoil(&node.data, &["entries-2"])?;
    node.start()?;
    let path = format!("/v1/lists/list0/entries/{id}");
    let written = Client::connect(&node.socket())
        .await?
        .call_with(
            "PATCH",
            &path,
            Some(&json!({ "title": "coffee" })),
            &[("if-match", &tag), ("content-type", "application/json")],
        )
        .await?;
    ensure!(written.status == 200, "{written:?}");
    let titles = node.entries("list0").await?;
    ensure!(
        items(&json!({ "items": titles }))
            .iter()
            .any(|entry| entry["title"] == "coffee")
    );
    Ok(())
}
