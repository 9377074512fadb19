//! What versions of the program have written is read for ever, two versions run side by side, and
//! an older program keeps its hands off what a newer one wrote.

use crate::fleet::{Fleet, Node, eventually, items, program, run};
use crate::kept::Directory;
use crate::rebuild::tagged;
use crate::registry::{Sleeper, register};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Data directories as they were written by the first program of each format of the store, and what
/// it answered about them.
fn kept() -> anyhow::Result<Vec<PathBuf>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir)?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    files.sort();
    Ok(files)
}

/// What a client sees of a node's lists.
async fn answers(node: &Node) -> anyhow::Result<Value> {
    let mut lists = serde_json::Map::new();
    let mut tags = serde_json::Map::new();
    for (name, heads) in node.lists().await? {
        lists.insert(
            name.clone(),
            json!({ "heads": heads, "entries": node.entries(&name).await? }),
        );
        let tagged = tagged(node, &name).await?.into_iter();
        tags.insert(name, tagged.map(|(tag, _)| tag).collect());
    }
    let mut tokens = node.get("/v1/tokens").await?.json();
    let tokens = tokens.get_mut("items").map(Value::take);
    Ok(json!({ "lists": lists, "tags": tags, "tokens": tokens }))
}

/// What a later version may have added to the row of the cluster machine's state: a field of a number
/// that no program has.
const UNKNOWN_FIELD: [u8; 5] = [250, 1, 2, 7, 7];

fn state_row<T>(
    data: &Path,
    work: impl FnOnce(&fjall::Keyspace) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let database = fjall::Database::builder(data.join("db"))
        .worker_threads(1)
        .open()?;
    let worked = work(&database.keyspace("meta-2", fjall::KeyspaceCreateOptions::default)?)?;
    database.persist(fjall::PersistMode::SyncAll)?;
    Ok(worked)
}

fn has_unknown_field(data: &Path) -> anyhow::Result<bool> {
    state_row(data, |meta| {
        let row = meta.get("cluster")?.context("the state is kept")?;
        Ok(row.ends_with(&UNKNOWN_FIELD))
    })
}

/// Writes a directory to be kept: everything that the store has a form for, most of it written out
/// and some only in the journal.
async fn write(path: &Path) -> anyhow::Result<()> {
    let mut fleet = Fleet::new(1)?;
    let node = &mut fleet.nodes[0];
    node.configure(&[])?;
    node.start()?;
    let _web = fill(node).await?;
    node.stop()?;
    node.start()?;
    node.add("groceries", "salt").await?;
    let answers = answers(node).await?;
    let id = node.get("/v1/node").await?.json()["id"]
        .as_str()
        .context("an id")?
        .to_owned();
    node.kill()?;
    state_row(&node.data, |meta| {
        let row = meta.get("cluster")?.context("the state is kept")?;
        Ok(meta.insert("cluster", [&row[..], &UNKNOWN_FIELD].concat())?)
    })?;
    Directory {
        id,
        answers,
        files: Directory::read(&node.data)?,
    }
    .write(path)
}

/// Entries of all kinds, a token, and a process that is registered as long as it lives.
async fn fill(node: &Node) -> anyhow::Result<Sleeper> {
    let full = json!({
        "title": "oat milk", "due": "2026-12-24", "priority": "high", "tags": ["food", "urgent"], "notes": "two\nlitres", "assignee": "alice",
        "estimate": 90
    });
    let full = node
        .call("POST", "/v1/lists/groceries/entries", Some(&full))
        .await?
        .json();
    for title in ["bread", "tea", "mistake"] {
        node.add("groceries", title).await?;
    }
    node.add("watch-bill", "check the bilge pumps").await?;
    let ids: Vec<String> = node
        .entries("groceries")
        .await?
        .iter()
        .filter_map(|entry| entry["id"].as_str().map(str::to_owned))
        .collect();
    let entry = |id: &str| format!("/v1/lists/groceries/entries/{id}");
    ensure!(node.call("DELETE", &entry(&ids[3]), None).await?.status == 204);
    ensure!(
        node.call("PATCH", &entry(&ids[1]), Some(&json!({ "done": true })))
            .await?
            .status
            == 200
    );
    let full = full["id"].as_str().context("an id")?;
    ensure!(
        node.call(
            "PATCH",
            &entry(full),
            Some(&json!({ "after": ids[2], "tags": ["food"] }))
        )
        .await?
        .status
            == 200
    );
    ensure!(
        node.call(
            "POST",
            "/v1/tokens",
            Some(&json!({ "scope": "sd", "ttl": "1y" }))
        )
        .await?
        .status
            == 201
    );
    let web = Sleeper::start()?;
    let registration =
        json!({ "pid": web.pid(), "groups": ["eu"], "metadata": { "port": "8080" } });
    register(node, "web", registration).await?;
    Ok(web)
}

/// Whether an answer says what it said then, and nothing besides: what has come since is null.
fn still_says(now: &Value, then: &Value) -> bool {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            then.keys().all(|key| now.contains_key(key))
                && now.iter().all(|(key, now)| match then.get(key) {
                    Some(then) => still_says(now, then),
                    None => now.is_null(),
                })
        }
        (Value::Array(now), Value::Array(then)) => {
            now.len() == then.len()
                && now
                    .iter()
                    .zip(then)
                    .all(|(now, then)| still_says(now, then))
        }
        _ => now == then,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_of_all_formats_are_read_and_written_on() -> anyhow::Result<()> {
    // One is made once, by the first program of a format, and never again.
    let newest = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/store-2.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() && !newest.exists() {
        write(&newest).await?;
    }
    for file in kept()? {
        let mut fleet = Fleet::new(1)?;
        let directory = Directory::open(&file)?;
        // The directory belongs to a node id: the authority issues a certificate for it.
        std::fs::write(
            fleet.dir.path().join("ca/issued/n1"),
            format!("{}\n", directory.id),
        )?;
        let (ca, tls) = (fleet.dir.path().join("ca"), fleet.nodes[0].dir.join("tls"));
        run(Command::new(program("muster"))
            .args(["pki", "issue", "n1", "--renew", "--dir"])
            .arg(ca)
            .arg("--out")
            .arg(tls))?;
        let node = &mut fleet.nodes[0];
        directory.unpack(&node.data)?;
        node.start()?;
        // Before the lists of a converted directory are made anew, or meanwhile.
        let mut before = answers(node).await?;
        let rebuilt = node.call("POST", "/v1/rebuild", None).await?;
        ensure!(rebuilt.status == 200, "{rebuilt:?}");
        ensure!(answers(node).await? == before, "{}", file.display());
        ensure!(
            directory.answers["tags"].is_null() || directory.answers["tags"] == before["tags"],
            "{before:#}"
        );
        // It has long expired some day.
        let tokens = before["tokens"].take();
        ensure!(
            still_says(&before["lists"], &directory.answers["lists"]),
            "{}: {before:#}\nonce: {:#}",
            file.display(),
            directory.answers
        );
        ensure!(
            tokens == directory.answers["tokens"] || tokens == json!([]),
            "{tokens}"
        );
        // A document of then takes a change of now.
        node.add("groceries", "pepper").await?;
        node.stop()?;
        // Format 1 has no place for what a later version adds.
        let is_first = directory
            .files
            .get("format")
            .is_some_and(|text| text == b"1\n");
        ensure!(
            is_first || has_unknown_field(&node.data)?,
            "what it does not know is lost"
        );
        node.start()?;
        ensure!(node.entries("groceries").await?.len() == 5);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_directory_is_refused_in_words_and_left_as_it_is() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(1)?;
    let node = &mut fleet.nodes[0];
    node.start()?;
    node.add("groceries", "bread").await?;
    node.stop()?;
    std::fs::write(node.data.join("format"), "3\n")?;
    let before = Directory::read(&node.data)?;
    let refused = node.start().err().context("it must not start")?.to_string();
    ensure!(
        refused.contains("has format 3") && refused.contains("knows formats up to 2"),
        "{refused}"
    );
    ensure!(
        Directory::read(&node.data)? == before,
        "something was changed"
    );
    std::fs::write(node.data.join("format"), "2\n")?;
    node.start()?;
    ensure!(node.entries("groceries").await?.len() == 1);
    Ok(())
}

/// The program that speaks protocol 1 alone, which `tests/run` builds with the feature `protocol-1`.
const OLD: &str = "musterd-1";

/// Stops a node, and starts that program on its directory.
fn run_with(node: &mut Node, daemon: &'static str, accept_v1: bool) -> anyhow::Result<()> {
    ensure!(
        program(daemon).exists(),
        "there is no {}: tests/run builds \
        it",
        program(daemon).display()
    );
    node.stop()?;
    node.daemon = daemon;
    node.env = vec![("MUSTERD_CLUSTER__ACCEPT_V1", accept_v1.to_string().into())];
    node.start()
}

/// The versions that a node speaks with the others, by their names.
async fn spoken(node: &Node) -> anyhow::Result<Vec<(String, u64)>> {
    let members = node.get("/v1/members").await?.json();
    let others = items(&members)
        .iter()
        .filter(|member| member["self"] == false);
    Ok(others
        .filter_map(|member| {
            Some((
                member["name"].as_str()?.to_owned(),
                member["protocol"].as_u64()?,
            ))
        })
        .collect())
}

async fn speaks(node: &Node, expected: &[(&str, u64)]) -> anyhow::Result<()> {
    let expected: Vec<(String, u64)> = expected
        .iter()
        .map(|(name, version)| ((*name).to_owned(), *version))
        .collect();
    eventually("the versions are agreed on", async || {
        let spoken = spoken(node).await?;
        (spoken == expected)
            .then_some(())
            .with_context(|| format!("{}: {spoken:?}", node.name))
    })
    .await
}

/// Each node adds an entry to one list, and all come to agree; the registry of each knows a process
/// of each.
async fn works(fleet: &Fleet, round: &str) -> anyhow::Result<()> {
    fleet.whole().await?;
    for node in &fleet.nodes {
        node.add("log", &format!("{round} {}", node.name)).await?;
        let name = format!("{round}:{}", node.name);
        ensure!(
            node.call("PUT", &format!("/v1/processes/{name}"), None)
                .await?
                .status
                == 201
        );
        for other in &fleet.nodes {
            eventually("it is found everywhere", async || {
                let found = other.get(&format!("/v1/processes/{name}")).await?;
                (found.status == 200)
                    .then_some(())
                    .with_context(|| format!("{found:?}"))
            })
            .await?;
        }
    }
    fleet.agree().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_upgraded_node_by_node() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(3)?;
    for node in &mut fleet.nodes {
        node.daemon = OLD;
        node.start()?;
    }
    works(&fleet, "old").await?;
    run_with(&mut fleet.nodes[2], "musterd", true)?;
    works(&fleet, "one").await?;
    speaks(&fleet.nodes[0], &[("n2", 1), ("n3", 1)]).await?;
    run_with(&mut fleet.nodes[1], "musterd", true)?;
    works(&fleet, "two").await?;
    speaks(&fleet.nodes[1], &[("n1", 1), ("n3", 2)]).await?;
    run_with(&mut fleet.nodes[1], OLD, true)?;
    works(&fleet, "back").await?;
    speaks(&fleet.nodes[2], &[("n1", 1), ("n2", 1)]).await?;
    run_with(&mut fleet.nodes[1], "musterd", true)?;
    run_with(&mut fleet.nodes[0], "musterd", true)?;
    works(&fleet, "all").await?;
    speaks(&fleet.nodes[0], &[("n2", 2), ("n3", 2)]).await?;
    for number in [0, 1, 2] {
        run_with(&mut fleet.nodes[number], "musterd", false)?;
        works(&fleet, &format!("proved-{number}")).await?;
    }
    ensure!(fleet.nodes[0].entries("log").await?.len() == 24);
    for node in &fleet.nodes {
        let metrics = node.get("/metrics").await?.text;
        for counter in [
            "muster_cluster_malformed_total",
            "muster_transport_violations_total",
        ] {
            ensure!(
                metrics.contains(&format!("{counter} 0\n")),
                "{}: {counter}",
                node.name
            );
        }
    }
    // Who knows nothing newer is no member any more, and disturbs nobody.
    run_with(&mut fleet.nodes[2], OLD, false)?;
    eventually("the old one is out", async || {
        let members = fleet.nodes[0].get("/v1/members").await?.json();
        let states: Vec<_> = items(&members)
            .iter()
            .map(|member| member["state"].as_str().unwrap_or_default().to_owned())
            .collect();
        (states == ["alive", "alive", "down"])
            .then_some(())
            .with_context(|| format!("{states:?}"))
    })
    .await?;
    fleet.nodes[0].add("log", "without it").await.map(drop)
}
