//! Many clients that write and remember what was acknowledged.

use crate::fleet::{Fleet, Node};
use crate::http::Client;
use anyhow::ensure;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Clients at work. Each writes titles that nobody else writes, to lists that all share.
pub(crate) struct Writers {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
    tasks: Vec<JoinHandle<()>>,
}

/// How many sets of writers there were, so that no two write the same title.
static STARTS: AtomicUsize = AtomicUsize::new(0);

/// How many lists the writers share.
pub(crate) const LISTS: usize = 7;

impl Writers {
    /// Starts `each` clients on every node.
    pub(crate) fn start(nodes: &[Node], each: usize) -> Self {
        let (stop, acknowledged) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(Mutex::new(BTreeSet::new())),
        );
        let start = STARTS.fetch_add(1, Ordering::Relaxed);
        let mut tasks = Vec::new();
        for node in nodes {
            for client in 0..each {
                let label = format!("{}-{client}-{start}", node.name);
                tasks.push(tokio::spawn(write(
                    node.socket(),
                    label,
                    Arc::clone(&stop),
                    Arc::clone(&acknowledged),
                )));
            }
        }
        Self {
            stop,
            acknowledged,
            tasks,
        }
    }

    /// The titles of all writes that were acknowledged so far.
    pub(crate) fn so_far(&self) -> BTreeSet<String> {
        self.acknowledged
            .lock()
            .map(|titles| titles.clone())
            .unwrap_or_default()
    }

    /// How many these are.
    pub(crate) fn count(&self) -> usize {
        self.acknowledged
            .lock()
            .map(|titles| titles.len())
            .unwrap_or_default()
    }

    /// Ends them all; gives the titles of all writes that were acknowledged.
    pub(crate) async fn finish(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            let _ = task.await;
        }
        self.acknowledged
            .lock()
            .map(|mut titles| std::mem::take(&mut *titles))
            .unwrap_or_default()
    }
}

async fn write(
    socket: PathBuf,
    label: String,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
) {
    let (mut client, mut number) = (None, 0_usize);
    while !stop.load(Ordering::Relaxed) {
        let Some(open) = &mut client else {
            client = Client::connect(&socket).await.ok();
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        number += 1;
        let title = format!("{label}-{number}");
        let path = format!("/v1/lists/load{}/entries", number % LISTS);
        match tokio::time::timeout(
            Duration::from_secs(30),
            open.call("POST", &path, Some(&json!({ "title": title }))),
        )
        .await
        {
            Ok(Ok(answer)) if answer.status == 201 => {
                if let Ok(mut titles) = acknowledged.lock() {
                    titles.insert(title);
                }
            }
            Ok(Ok(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Ok(Err(_)) | Err(_) => client = None,
        }
    }
}

/// Waits until all nodes agree, and demands every acknowledged title exactly once on each of them.
pub(crate) async fn demand_all(
    fleet: &Fleet,
    acknowledged: &BTreeSet<String>,
) -> anyhow::Result<()> {
    fleet.agree().await?;
    for node in fleet.nodes.iter().filter(|node| node.pid().is_some()) {
        let mut titles = Vec::new();
        for list in 0..LISTS {
            titles.extend(
                node.entries(&format!("load{list}"))
                    .await?
                    .iter()
                    .map(|e| e["title"].as_str().unwrap_or_default().to_owned()),
            );
        }
        let found: BTreeSet<String> = titles.iter().cloned().collect();
        ensure!(
            found.len() == titles.len(),
            "{} shows an entry twice",
            node.name
        );
        let lost: Vec<&String> = acknowledged.difference(&found).collect();
        ensure!(
            lost.is_empty(),
            "{} lost {} of {} acknowledged writes: \
            {lost:?}",
            node.name,
            lost.len(),
            acknowledged.len()
        );
    }
    Ok(())
}
