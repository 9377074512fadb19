//! The README's story, by its own words, on the cluster that `muster dev` makes.

use crate::fleet::{PATIENCE, program};
use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A cluster that `muster dev` runs, and which ends with the test.
pub(crate) struct Dev {
    dir: TempDir,
    child: Child,
}

impl Dev {
    /// Three nodes that see each other.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("dev")?;
        let child = Self::spawn(&dir)?;
        let dev = Self { dir, child };
        dev.whole()?;
        Ok(dev)
    }

    fn spawn(dir: &TempDir) -> anyhow::Result<Child> {
        let out = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(dir.path().join("out"))?;
        let mut dev = Command::new(program("muster"));
        dev.arg("dev")
            .arg("--dir")
            .arg(dir.path().join("d"))
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        Ok(dev.spawn()?)
    }

    /// Waits until each node sees all three.
    fn whole(&self) -> anyhow::Result<()> {
        for node in ["node1", "node2", "node3"] {
            self.until(&["--node", node, "partition"], "whole: 3 of 3")?;
        }
        Ok(())
    }

    /// The cluster's directory.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.dir.path().join("d")
    }

    /// What it has printed.
    pub(crate) fn out(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("out")).unwrap_or_default()
    }

    fn pid_of(&self, node: &str) -> anyhow::Result<i32> {
        let file: PathBuf = self.cluster().join(node).join("musterd.pid");
        Ok(std::fs::read_to_string(&file)
            .with_context(|| file.display().to_string())?
            .trim()
            .parse()?)
    }

    /// Runs `muster` with these words; gives its exit code and what it printed.
    fn muster(&self, words: &[&str]) -> anyhow::Result<(i32, String)> {
        let mut muster = Command::new(program("muster"));
        muster
            .env("MUSTER_DEV_DIR", self.cluster())
            .args(words)
            .stdin(Stdio::null());
        let output = muster.output()?;
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok((output.status.code().unwrap_or(-1), text))
    }

    fn good(&self, words: &[&str]) -> anyhow::Result<String> {
        let (code, text) = self.muster(words)?;
        ensure!(
            code == 0,
            "muster {words:?}: exit code {code}: {text}\n{}",
            self.out()
        );
        Ok(text)
    }

    /// Repeats a command until it prints that.
    fn until(&self, words: &[&str], expected: &str) -> anyhow::Result<String> {
        let begun = Instant::now();
        loop {
            let (_, text) = self.muster(words)?;
            if text.contains(expected) {
                return Ok(text);
            }
            if begun.elapsed() > PATIENCE {
                bail!(
                    "muster {words:?} never printed {expected:?}, but {text}\n{}",
                    self.out()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), signal)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn running(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status
        .rsplit(')')
        .next()
        .is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}

fn gone(pids: &[i32]) -> anyhow::Result<()> {
    let begun = Instant::now();
    while let Some(pid) = pids.iter().find(|pid| running(**pid)) {
        ensure!(begun.elapsed() < PATIENCE, "process {pid} still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn an_instant_is_rfc_3339_in_a_pipe(dev: &Dev) -> anyhow::Result<()> {
    let at = ["--node", "node1"];
    let add = ["add", "bills", "rent", "--due", "2026-12-01T14:00"];
    dev.good(&[&at[..], &add[..]].concat())?;
    let rent = dev.good(&[&at[..], &["show", "bills"]].concat())?;
    ensure!(rent.contains("T14:00:00"), "not RFC 3339: {rent}");
    Ok(())
}

#[test]
fn the_story_of_the_readme_happens() -> anyhow::Result<()> {
    let mut dev = Dev::start()?;
    dev.good(&[
        "--node",
        "node1",
        "add",
        "groceries",
        "oat milk",
        "--due",
        "tomorrow",
        "--tag",
        "food",
    ])?;
    let shown = dev.until(&["--node", "node3", "show", "groceries"], "oat milk")?;
    let json = dev.good(&["--node", "node3", "--json", "show", "groceries"])?;
    let page: serde_json::Value = serde_json::from_str(json.lines().next().unwrap_or_default())?;
    let milk = page["items"][0]["id"]
        .as_str()
        .with_context(|| json.clone())?
        .to_owned();
    ensure!(shown.contains("food"), "{shown}");
    an_instant_is_rfc_3339_in_a_pipe(&dev)?;

    dev.good(&["dev", "split", "node3"])?;
    dev.until(&["--node", "node3", "partition"], "alone")?;
    dev.until(&["--node", "node1", "partition"], "majority")?;
    dev.good(&["--node", "node1", "add", "groceries", "bread"])?;
    dev.good(&["--node", "node3", "add", "groceries", "coffee"])?;
    dev.good(&["--node", "node3", "done", "groceries", &milk])?;
    let apart = dev.good(&["--node", "node2", "show", "groceries"])?;
    ensure!(!apart.contains("coffee"), "{apart}");

    dev.good(&["dev", "heal"])?;
    dev.until(&["--node", "node2", "show", "groceries"], "coffee")?;
    dev.until(&["--node", "node3", "show", "groceries"], "bread")?;
    let json = dev.good(&["--node", "node2", "--json", "show", "groceries", "--done"])?;
    ensure!(json.contains("oat milk"), "{json}");

    let pid = dev.pid_of("node2")?;
    dev.good(&["dev", "kill", "node2"])?;
    gone(&[pid])?;
    dev.until(&["--node", "node1", "members"], "down")?;
    ensure!(dev.muster(&["--node", "node2", "lists"])?.0 == 6);
    dev.good(&["--node", "node1", "add", "groceries", "tea"])?;
    dev.good(&["dev", "start", "node2"])?;
    let back = dev.until(&["--node", "node2", "show", "groceries"], "tea")?;
    ensure!(
        ["oat milk", "bread", "coffee"]
            .iter()
            .all(|title| back.contains(title)),
        "{back}"
    );

    let begun = Instant::now();
    while !dev.out().contains("node3 is down") {
        ensure!(
            begun.elapsed() < PATIENCE,
            "it does not tell what happens: {}",
            dev.out()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let pids = [
        dev.pid_of("node1")?,
        dev.pid_of("node2")?,
        dev.pid_of("node3")?,
    ];
    dev.end(Signal::INT)?;
    gone(&pids)
}

#[test]
fn nodes_end_with_a_muster_dev_that_is_killed_and_keep_their_lists() -> anyhow::Result<()> {
    let mut dev = Dev::start()?;
    dev.good(&["--node", "node2", "add", "groceries", "bread"])?;
    let (code, text) = dev.muster(&["dev", "--dir", &dev.cluster().display().to_string()])?;
    ensure!(
        code == 4,
        "a second one in the same directory: {code} {text}"
    );
    let pids = [
        dev.pid_of("node1")?,
        dev.pid_of("node2")?,
        dev.pid_of("node3")?,
    ];
    dev.end(Signal::KILL)?;
    gone(&pids)?;
    dev.child = Dev::spawn(&dev.dir)?;
    dev.until(&["--node", "node2", "show", "groceries"], "bread")?;
    dev.whole()
}
