//! Clients that register processes and end them, and note which live.

use super::ledger::Ledger;
use crate::fleet::Node;
use crate::http::call;
use crate::registry::Sleeper;
use anyhow::Context;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Names that processes of all nodes claim.
const SHARED: usize = 3;
/// At most so many processes of a node live at once.
const LIVE: usize = 8;
/// How long a client rests between two requests, in milliseconds.
const RESTS: std::ops::Range<u64> = 200..1_200;
const PATIENCE: Duration = Duration::from_secs(15);

/// Clients at work, one on each node.
pub(crate) struct Registrants {
    stop: Arc<AtomicBool>,
    registered: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<anyhow::Result<Vec<Registered>>>>,
}

/// A process that lives, whose registration was acknowledged.
pub(crate) struct Registered {
    name: String,
    handle: String,
    /// It lives for as long as this does.
    _process: Sleeper,
}

/// What became of all.
pub(crate) struct Done {
    pub(crate) registered: usize,
    pub(crate) ended: usize,
    live: Vec<Registered>,
}

impl Done {
    /// The handles of all registrations that must be there.
    pub(crate) fn handles(&self) -> BTreeSet<String> {
        self.live.iter().map(|it| it.handle.clone()).collect()
    }
}

impl Registrants {
    pub(crate) fn start(nodes: &[Node], seed: u64, ledger: &Ledger) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (registered, ended) = (Arc::default(), Arc::default());
        let start = |(node, number): (&Node, u64)| {
            let registrant = Registrant {
                socket: node.socket(),
                node: node.name.clone(),
                chance: ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000) + 500 + number),
                ledger: ledger.clone(),
                registered: Arc::clone(&registered),
                ended: Arc::clone(&ended),
                live: Vec::new(),
                drawn: 0,
            };
            tokio::spawn(registrant.run(Arc::clone(&stop)))
        };
        let tasks = nodes.iter().zip(0..).map(start).collect();
        Self {
            stop,
            registered,
            ended,
            tasks,
        }
    }

    pub(crate) async fn finish(self) -> anyhow::Result<Done> {
        self.stop.store(true, Ordering::Relaxed);
        let mut live = Vec::new();
        for task in self.tasks {
            live.extend(task.await??);
        }
        Ok(Done {
            registered: self.registered.load(Ordering::Relaxed),
            ended: self.ended.load(Ordering::Relaxed),
            live,
        })
    }
}

struct Registrant {
    socket: PathBuf,
    node: String,
    chance: ChaCha8Rng,
    ledger: Ledger,
    registered: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    live: Vec<Registered>,
    drawn: usize,
}

impl Registrant {
    async fn run(mut self, stop: Arc<AtomicBool>) -> anyhow::Result<Vec<Registered>> {
        while !stop.load(Ordering::Relaxed) {
            let rest = self.chance.random_range(RESTS);
            tokio::time::sleep(Duration::from_millis(rest)).await;
            if self.live.len() < LIVE && self.chance.random_bool(0.6) {
                self.register().await?;
            } else if !self.live.is_empty() {
                self.end().await;
            }
        }
        Ok(self.live)
    }

    /// A process whose registration is not acknowledged ends at once, so that no doubt remains.
    async fn register(&mut self) -> anyhow::Result<()> {
        self.drawn += 1;
        let name = if self.chance.random_bool(0.3) {
            format!("shared{}", self.chance.random_range(0..SHARED))
        } else {
            format!("{}-{}", self.node, self.drawn)
        };
        if self.live.iter().any(|it| it.name == name) {
            return Ok(());
        }
        let process = Sleeper::start()?;
        let body = json!({ "pid": process.pid() });
        let path = format!("/v1/processes/{name}");
        let call = call(&self.socket, "PUT", &path, Some(&body));
        let answer = tokio::time::timeout(PATIENCE, call).await;
        let Some(answer) = answer.ok().and_then(Result::ok) else {
            return Ok(());
        };
        if answer.status == 201 {
            let answer = answer.json();
            let handle = answer["handle"]
                .as_str()
                .context("a process has a handle")?;
            self.registered.fetch_add(1, Ordering::Relaxed);
            self.live.push(Registered {
                name,
                handle: handle.to_owned(),
                _process: process,
            });
        } else {
            self.ledger.refused("register", answer.status);
        }
        Ok(())
    }

    /// Some say that they end, all do.
    async fn end(&mut self) {
        let index = self.chance.random_range(0..self.live.len());
        let Registered { name, _process, .. } = self.live.swap_remove(index);
        if self.chance.random_bool(0.5) {
            let path = format!("/v1/processes/{name}");
            let call = call(&self.socket, "DELETE", &path, None);
            let _ = tokio::time::timeout(PATIENCE, call).await;
        }
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}
