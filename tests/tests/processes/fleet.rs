//! Nodes as processes of this machine, each with its own directory, ended when the test ends.

use crate::http::{self, Answer};
use anyhow::{Context, bail, ensure};
use names::Role;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take on a busy machine before a test gives up on it. Not a claim about
/// speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program under one of its names.
pub(crate) fn program(name: &str) -> PathBuf {
    match std::env::var_os("MUSTER_BIN") {
        Some(dir) => PathBuf::from(dir).join(name),
        None => {
            let test = std::env::current_exe().unwrap_or_default();
            test.ancestors().nth(2).unwrap_or(Path::new(".")).join(name)
        }
    }
}

/// A set of nodes with one certificate authority.
pub(crate) struct Fleet {
    pub(crate) dir: TempDir,
    pub(crate) nodes: Vec<Node>,
}

/// One node: its directory, and its process while it runs.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) data: PathBuf,
    /// Which of the programs it runs.
    pub(crate) daemon: &'static str,
    /// What starts the daemon: nothing, or a program with its arguments that executes another one.
    pub(crate) launcher: Vec<OsString>,
    /// Variables of its process besides those of the test.
    pub(crate) env: Vec<(&'static str, OsString)>,
    child: Option<Child>,
}

impl Fleet {
    /// Makes `size` nodes, `n1` first; each has the first one as its seed. None is started.
    pub(crate) fn new(size: usize) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("muster")?;
        run(Command::new(program("muster"))
            .arg("pki")
            .arg("init")
            .arg("--dir")
            .arg(dir.path().join("ca")))?;
        let mut fleet = Self {
            dir,
            nodes: Vec::new(),
        };
        for number in 1..=size {
            fleet.add(&format!("n{number}"))?;
        }
        Ok(fleet)
    }

    /// The same, all started and seeing each other.
    pub(crate) async fn started(size: usize) -> anyhow::Result<Self> {
        let mut fleet = Self::new(size)?;
        for node in &mut fleet.nodes {
            node.start()?;
        }
        fleet.whole().await?;
        Ok(fleet)
    }

    /// Makes one more node.
    pub(crate) fn add(&mut self, name: &str) -> anyhow::Result<&mut Node> {
        let node = Node::bare(self.dir.path(), name)?;
        let seed = self
            .nodes
            .first()
            .map_or(node.address, |first| first.address);
        self.issue("ca", (name, Role::Member), &node.dir.join("tls"))?;
        node.configure(&[seed])?;
        self.nodes.push(node);
        self.nodes.last_mut().context("a node was added")
    }

    /// Issues a certificate by the authority in that directory.
    pub(crate) fn issue(
        &self,
        ca: &str,
        (name, role): (&str, Role),
        out: &Path,
    ) -> anyhow::Result<()> {
        run(Command::new(program("muster"))
            .args(["pki", "issue", name, "--role", role.as_str(), "--dir"])
            .arg(self.dir.path().join(ca))
            .arg("--out")
            .arg(out))?;
        Ok(())
    }

    /// Renews a node's certificate for so many days.
    pub(crate) fn renew(&self, node: &Node, days: u16) -> anyhow::Result<()> {
        let mut renew = Command::new(program("muster"));
        renew
            .args([
                "pki",
                "issue",
                &node.name,
                "--renew",
                "--days",
                &days.to_string(),
                "--dir",
            ])
            .arg(self.dir.path().join("ca"));
        run(renew.arg("--out").arg(node.dir.join("tls"))).map(drop)
    }

    /// Waits until every running node reaches every other running one, and nobody else is expected.
    pub(crate) async fn whole(&self) -> anyhow::Result<()> {
        let running: Vec<&Node> = self
            .nodes
            .iter()
            .filter(|node| node.child.is_some())
            .collect();
        for node in &running {
            let alive = async || {
                let members = node
                    .get("/v1/members")
                    .await
                    .map(|answer| answer.json())
                    .unwrap_or_default();
                let alive = items(&members)
                    .iter()
                    .filter(|member| member["state"] == "alive")
                    .count();
                let partition = node
                    .get("/v1/partition")
                    .await
                    .map(|answer| answer.json())
                    .unwrap_or_default();
                (alive == running.len() && partition["verdict"] == "whole")
                    .then_some(())
                    .with_context(|| format!("{members}"))
            };
            eventually(&format!("{} sees all", node.name), alive).await?;
        }
        Ok(())
    }

    /// Cuts the nodes in `side` off from all others, or heals all cuts when it is empty.
    pub(crate) async fn split(&self, side: &[usize]) -> anyhow::Result<()> {
        for (index, node) in self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.child.is_some())
        {
            let other = |(other, _): &(usize, &Node)| {
                !side.is_empty() && side.contains(other) != side.contains(&index)
            };
            let blocked: Vec<String> = self
                .nodes
                .iter()
                .enumerate()
                .filter(other)
                .map(|(_, node)| node.address.to_string())
                .collect();
            let answer = node
                .call(
                    "PUT",
                    "/v1/debug/fault",
                    Some(&serde_json::json!({ "block": blocked })),
                )
                .await?;
            ensure!(answer.status == 204, "{answer:?}");
        }
        Ok(())
    }

    /// Waits until all running nodes have the same heads for each list; gives the names of the
    /// lists.
    pub(crate) async fn agree(&self) -> anyhow::Result<BTreeSet<String>> {
        let running: Vec<&Node> = self
            .nodes
            .iter()
            .filter(|node| node.child.is_some())
            .collect();
        eventually("all nodes agree on all lists", async || {
            let mut seen = Vec::new();
            for node in &running {
                seen.push(node.lists().await?);
            }
            ensure!(
                seen.windows(2).all(|pair| pair.first() == pair.last()),
                "{seen:?}"
            );
            Ok(seen.into_iter().flatten().map(|(name, _)| name).collect())
        })
        .await
    }
}

impl Node {
    /// One below that directory of which nothing is made yet.
    pub(crate) fn bare(below: &Path, name: &str) -> anyhow::Result<Self> {
        let dir = below.join(name);
        Ok(Self {
            name: name.to_owned(),
            data: dir.join("data"),
            dir,
            address: UdpSocket::bind("127.0.0.1:0")?.local_addr()?,
            daemon: "musterd",
            launcher: Vec::new(),
            env: Vec::new(),
            child: None,
        })
    }

    /// Writes the configuration, with these seeds.
    pub(crate) fn configure(&self, seeds: &[SocketAddr]) -> anyhow::Result<()> {
        let seeds: Vec<String> = seeds.iter().map(|seed| format!("\"{seed}\"")).collect();
        let tls = self.dir.join("tls");
        let text = format!(
            "data_dir = {:?}\n[api]\nsocket = {:?}\n[quic]\nlisten = \"{}\"\nseeds = \
                [{}]\n[tls]\nca = {:?}\ncert = {:?}\nkey = {:?}\n[http]\nlisten \
                = \"127.0.0.1:0\"\nopen = true\n",
            self.data,
            self.socket(),
            self.address,
            seeds.join(", "),
            tls.join("ca.pem"),
            tls.join("node.pem"),
            tls.join("node.key"),
        );
        Ok(std::fs::write(self.config(), text)?)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("muster.toml")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("s")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Starts the daemon and waits until its socket answers.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.name);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.join("log"))?;
        let words: Vec<OsString> = self
            .launcher
            .iter()
            .cloned()
            .chain([program(self.daemon).into()])
            .collect();
        let mut daemon = Command::new(&words[0]);
        daemon
            .args(&words[1..])
            .arg("--config")
            .arg(self.config())
            .arg("--dev-faults")
            .envs(self.env.iter().cloned());
        let child = daemon
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        let begun = Instant::now();
        while std::os::unix::net::UnixStream::connect(self.socket()).is_err() {
            if let Some(status) = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten())
            {
                self.child = None;
                bail!(
                    "{} ended at its start with {status}: {}",
                    self.name,
                    self.log()
                );
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "{} does not answer: {}",
                self.name,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let child = self
            .child
            .as_ref()
            .with_context(|| format!("{} does not run", self.name))?;
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    /// kill -9, and wait for the end.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::KILL)?;
        self.wait().map(drop)
    }

    /// SIGTERM, and wait for the end, which must be an orderly one.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let status = self.wait()?;
        ensure!(
            status.success(),
            "{} ended with {status}: {}",
            self.name,
            self.log()
        );
        Ok(())
    }

    /// Waits for the daemon's end.
    pub(crate) fn wait(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        let mut child = self
            .child
            .take()
            .with_context(|| format!("{} does not run", self.name))?;
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if begun.elapsed() > PATIENCE {
                let _ = child.kill();
                bail!("{} does not end: {}", self.name, self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        http::call(&self.socket(), method, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.call("GET", path, None).await
    }

    /// Adds an entry of that title; gives its id.
    pub(crate) async fn add(&self, list: &str, title: &str) -> anyhow::Result<String> {
        let answer = self
            .call(
                "POST",
                &format!("/v1/lists/{list}/entries"),
                Some(&serde_json::json!({ "title": title })),
            )
            .await?;
        ensure!(answer.status == 201, "{answer:?}");
        Ok(answer.json()["id"]
            .as_str()
            .context("an entry has an id")?
            .to_owned())
    }

    /// All entries of a list, page by page; none when there is no such list.
    pub(crate) async fn entries(&self, list: &str) -> anyhow::Result<Vec<Value>> {
        self.pages(&format!("/v1/lists/{list}/entries?limit=1000"))
            .await
    }

    /// Each list's name and heads.
    pub(crate) async fn lists(&self) -> anyhow::Result<BTreeSet<(String, String)>> {
        let lists = self.pages("/v1/lists?limit=1000").await?;
        Ok(lists
            .iter()
            .map(|list| {
                (
                    list["name"].as_str().unwrap_or_default().to_owned(),
                    list["heads"].to_string(),
                )
            })
            .collect())
    }

    async fn pages(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (mut all, mut next) = (Vec::new(), String::new());
        loop {
            let answer = self.get(&format!("{path}{next}")).await?;
            if answer.status == 404 {
                return Ok(all);
            }
            ensure!(answer.status == 200, "{answer:?}");
            let page = answer.json();
            all.extend(items(&page).iter().cloned());
            match page["next"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => return Ok(all),
            }
        }
    }

    /// Runs `muster` against this node.
    pub(crate) fn muster(&self, args: &[&str]) -> anyhow::Result<Output> {
        Ok(Command::new(program("muster"))
            .arg("--socket")
            .arg(self.socket())
            .args(args)
            .stdin(Stdio::null())
            .output()?)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("---- log of {}\n{}", self.name, self.log());
        }
    }
}

/// The items of a page.
pub(crate) fn items(page: &Value) -> &[Value] {
    page["items"].as_array().map_or(&[], Vec::as_slice)
}

/// Runs a program that must succeed; gives what it printed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Tries until it succeeds; gives up, with the last error, when patience ends.
pub(crate) async fn eventually<T>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if begun.elapsed() > PATIENCE => {
                return Err(error.context(format!("in vain: {what}")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
