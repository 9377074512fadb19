//! The running cluster: starts the nodes, carries out orders, tells what happens, and ends them
//! all.

use super::child::{self, End, Ended, Running};
use super::control::{self, Waiting};
use super::layout::Layout;
use super::mark::Mark;
use super::news::{self, say};
use super::order::{Answer, Order};
use super::prepare::Prepared;
use super::split::Split;
use super::{hints, ready};
use crate::failure::Failure;
use crate::text::printable;
use client::{ApiPath, Client};
use hyper::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// How long a node may take until it answers at its socket.
const START_LIMIT: Duration = Duration::from_secs(15);
/// How long the nodes may take to find each other before that is told.
const READY_LIMIT: Duration = Duration::from_secs(15);
/// How long they may take to end in order.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How long a node may take to put a split into effect.
const FAULT_LIMIT: Duration = Duration::from_secs(5);

/// Runs the cluster until Ctrl-C, SIGTERM or SIGHUP.
pub(super) async fn run(prepared: Prepared) -> Result<(), Failure> {
    let mut interrupts = Interrupts::new()?;
    let orders = control::listen(&prepared.layout)?;
    let (ended, ends) = mpsc::unbounded_channel();
    let program = child::program();
    let mut cluster = Cluster {
        prepared,
        program,
        split: Split::default(),
        nodes: BTreeMap::new(),
        ended,
        ends,
    };
    let outcome = tokio::select! {
        outcome = cluster.live(orders) => outcome,
        () = interrupts.next() => Ok(()),
    };
    cluster.stop(&mut interrupts).await;
    Split::forget(&cluster.prepared.layout)?;
    let _ = std::fs::remove_file(cluster.prepared.layout.control());
    outcome
}

/// What asks this process to end.
struct Interrupts {
    int: Signal,
    term: Signal,
    hup: Signal,
}

impl Interrupts {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            int: signal(SignalKind::interrupt())?,
            term: signal(SignalKind::terminate())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
            _ = self.hup.recv() => {}
        }
    }
}

struct Cluster {
    prepared: Prepared,
    program: PathBuf,
    split: Split,
    nodes: BTreeMap<String, Running>,
    ended: mpsc::UnboundedSender<Ended>,
    ends: mpsc::UnboundedReceiver<Ended>,
}

impl Cluster {
    fn layout(&self) -> &Layout {
        &self.prepared.layout
    }

    fn mark(&self) -> &Mark {
        &self.prepared.mark
    }

    /// Starts all, then takes orders for ever. Dropped half-way it leaves nodes that
    /// [`Cluster::stop`] ends.
    async fn live(&mut self, mut orders: mpsc::Receiver<Waiting>) -> Result<(), Failure> {
        say(&format!(
            "starting {} nodes in {}",
            self.mark().nodes.len(),
            self.layout().dir().display()
        ));
        for name in self.mark().names() {
            self.spawn(&name)?;
            tokio::spawn(news::follow(
                name.clone(),
                self.layout().node(&name).socket(),
            ));
        }
        tokio::spawn(greet(
            self.layout().clone(),
            self.mark().clone(),
            self.program.clone(),
        ));
        loop {
            tokio::select! {
                Some(ended) = self.ends.recv() => self.report(&ended),
                Some(Waiting { order, answer }) = orders.recv() => {
                    let done = self.carry_out(order).await;
                    // Whoever gave the order may have gone.
                    let _ = answer.send(done.unwrap_or_else(|failure| Answer { code: failure.code(), words: failure.words() }));
                }
            }
        }
    }

    fn spawn(&mut self, name: &str) -> anyhow::Result<()> {
        let block = self.split.blocked(self.mark(), name);
        let running = child::start(
            &self.program,
            name,
            &self.layout().node(name),
            &block,
            self.ended.clone(),
        )?;
        self.nodes.insert(name.to_owned(), running);
        Ok(())
    }

    async fn carry_out(&mut self, order: Order) -> Result<Answer, Failure> {
        let words = match order {
            Order::Split { nodes } => {
                let split = Split::of(self.mark(), &nodes)?;
                let words = format!("split: {}", split.describe(self.mark()));
                self.put_into_effect(split).await?;
                words
            }
            Order::Heal => {
                self.put_into_effect(Split::default()).await?;
                "healed: nothing is cut".to_owned()
            }
            Order::Kill { node } => self.kill(&node).await?,
            Order::Start { node } => self.start(&node).await?,
        };
        say(&words);
        Ok(Answer { code: 0, words })
    }

    /// Kept before any node is told: a node that is started meanwhile, or later, begins with it.
    async fn put_into_effect(&mut self, split: Split) -> Result<(), Failure> {
        if split == Split::default() {
            Split::forget(self.layout())?
        } else {
            split.keep(self.layout())?
        }
        self.split = split;
        let mut deaf = Vec::new();
        for name in self.nodes.keys() {
            let client = Client::new(self.layout().node(name).socket(), FAULT_LIMIT);
            let block = self.split.blocked(self.mark(), name);
            let told = client
                .call(
                    Method::PUT,
                    &ApiPath::new(&["debug", "fault"]),
                    Some(&json!({ "block": block })),
                    None,
                )
                .await;
            deaf.extend(
                told.err()
                    .map(|error| format!("{name} could not be told: {error}")),
            );
        }
        if deaf.is_empty() {
            Ok(())
        } else {
            Err(Failure::Failed(deaf.join("; ")))
        }
    }

    async fn kill(&mut self, name: &str) -> Result<String, Failure> {
        self.mark().find(name)?;
        let Some(running) = self.nodes.get(name) else {
            return Err(Failure::Conflict(format!(
                "{name} does not run; start it with: muster dev \
                start {name}"
            )));
        };
        running.end(End::Kill);
        while self.nodes.contains_key(name) {
            let Some(ended) = self.ends.recv().await else {
                break;
            };
            if ended.name == name {
                self.nodes.remove(name);
            } else {
                self.report(&ended);
            }
        }
        Ok(format!("{name} was killed"))
    }

    async fn start(&mut self, name: &str) -> Result<String, Failure> {
        self.mark().find(name)?;
        let socket = self.layout().node(name).socket();
        if self.nodes.contains_key(name) {
            if ready::stays(&socket).await {
                return Ok(format!("{name} runs already"));
            }
            self.until_ended(name).await?;
        }
        self.spawn(name)?;
        let answers = ready::answers(&socket, START_LIMIT);
        tokio::pin!(answers);
        loop {
            tokio::select! {
                answered = &mut answers => {
                    let late = format!("{name} does not answer at its socket within \
                        {START_LIMIT:?}");
                    return if answered { Ok(format!("{name} runs")) } else { Err(Failure::Timeout(late)) };
                }
                Some(ended) = self.ends.recv() => {
                    self.report(&ended);
                    if ended.name == name {
                        return Err(Failure::Failed(format!("{name} ended at once{}", self.last_words(name))));
                    }
                }
            }
        }
    }

    /// Waits for a node that answers no more, as after `muster leave`.
    async fn until_ended(&mut self, name: &str) -> Result<(), Failure> {
        let deadline = tokio::time::Instant::now() + STOP_LIMIT;
        while self.nodes.contains_key(name) {
            match tokio::time::timeout_at(deadline, self.ends.recv()).await {
                Ok(Some(ended)) => self.report(&ended),
                Ok(None) | Err(_) => {
                    return Err(Failure::Conflict(format!(
                        "{name} runs, but does not answer; end \
                        it with: muster dev kill {name}"
                    )));
                }
            }
        }
        Ok(())
    }

    /// A node has ended though nobody told it to. It is not started again: whoever develops wants
    /// to see it.
    fn report(&mut self, ended: &Ended) {
        let name = &ended.name;
        self.nodes.remove(name);
        let how = ended
            .status
            .as_ref()
            .map_or_else(|error| error.to_string(), |status| ending(*status));
        // A node that fails by itself says why at the end of its log; one that is killed has no
        // time to.
        let failed = ended
            .status
            .as_ref()
            .is_ok_and(|status| status.code().is_some_and(|code| code != 0));
        let why = if failed {
            self.last_words(name)
        } else {
            String::new()
        };
        say(&format!(
            "{name} {how}{why}; its log is {}; to start it again: muster dev start {name}",
            self.layout().node(name).log().display()
        ));
    }

    fn last_words(&self, name: &str) -> String {
        child::last_words(&self.layout().node(name))
            .map(|line| format!(": {}", printable(&line)))
            .unwrap_or_default()
    }

    /// Ends all nodes in order; those that take too long, and all when asked a second time, at
    /// once.
    async fn stop(&mut self, interrupts: &mut Interrupts) {
        say("stopping");
        self.nodes.values().for_each(|node| node.end(End::Term));
        tokio::select! {
            () = self.all_ended() => return,
            () = interrupts.next() => {}
            () = tokio::time::sleep(STOP_LIMIT) => say(&format!("killing what did not end: \
                {}", self.names())),
        }
        self.nodes.values().for_each(|node| node.end(End::Kill));
        self.all_ended().await;
    }

    fn names(&self) -> String {
        self.nodes.keys().cloned().collect::<Vec<_>>().join(", ")
    }

    async fn all_ended(&mut self) {
        while !self.nodes.is_empty() {
            let Some(ended) = self.ends.recv().await else {
                break;
            };
            self.nodes.remove(&ended.name);
        }
    }
}

/// Waits until the cluster is one, says so, and what to try.
async fn greet(layout: Layout, mark: Mark, program: PathBuf) {
    match ready::all_see_all(&layout, &mark, READY_LIMIT).await {
        Ok(()) => say("ready: all nodes see each other"),
        Err(complaints) => complaints
            .iter()
            .for_each(|complaint| say(&format!("not ready: {complaint}"))),
    }
    let cwd = std::env::current_dir().unwrap_or_default();
    let path: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    news::print(&format!(
        "\n{}\n",
        hints::text(&layout, &mark, &program, &cwd, &path)
    ));
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "ended in order".to_owned(),
        (Some(code), _) => format!("failed with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
