//! A node as a child process.

use super::layout::NodeLayout;
use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// A log of this size is begun anew at the node's next start.
const MAX_LOG_BYTES: u64 = 16 << 20;

/// So much of a log's last line is told.
const MAX_WORDS: usize = 300;

/// How to end a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// SIGTERM: in order.
    Term,
    Kill,
}

/// A node that runs. Dropping this does not end it.
#[derive(Debug)]
pub(super) struct Running {
    ends: mpsc::UnboundedSender<End>,
}

/// The news that a node has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) name: String,
    pub(super) status: std::io::Result<ExitStatus>,
}

impl Running {
    /// Ends the node, if it still runs; [`Ended`] follows.
    pub(super) fn end(&self, how: End) {
        let _ = self.ends.send(how);
    }
}

/// The program to execute: this one. Where its file was replaced since (by a new build), the
/// running one all the same.
pub(super) fn program() -> PathBuf {
    std::env::current_exe()
        .ok()
        .filter(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}

/// Starts a node that is cut off from the blocked addresses from its first packet on.
pub(super) fn start(
    program: &Path,
    name: &str,
    node: &NodeLayout,
    block: &[SocketAddr],
    ended: mpsc::UnboundedSender<Ended>,
) -> anyhow::Result<Running> {
    let log =
        open_log(&node.log()).with_context(|| format!("cannot open {}", node.log().display()))?;
    let mut command = Command::new(program);
    command
        .arg0("muster")
        .arg("daemon")
        .arg("--config")
        .arg(node.config())
        .args(["--dev-faults", "--parent-pipe"]);
    if !block.is_empty() {
        let addresses: Vec<String> = block.iter().map(ToString::to_string).collect();
        command.arg("--dev-block").arg(addresses.join(","));
    }
    for (variable, _) in std::env::vars_os() {
        // What is meant for the system's daemon must not make all nodes use one data directory.
        if variable
            .to_str()
            .is_some_and(|name| name.starts_with("MUSTERD_") && name != "MUSTERD_LOG__LEVEL")
        {
            command.env_remove(variable);
        }
    }
    // A group of its own: Ctrl-C at the terminal reaches this process only, which then ends the
    // nodes in order.
    command
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true);
    let child = command
        .spawn()
        .with_context(|| format!("cannot execute {}", program.display()))?;
    if let Some(pid) = child.id() {
        std::fs::write(node.pid(), format!("{pid}\n"))
            .with_context(|| format!("cannot write {}", node.pid().display()))?;
    }
    let (ends, orders) = mpsc::unbounded_channel();
    tokio::spawn(tend(child, name.to_owned(), node.pid(), orders, ended));
    Ok(Running { ends })
}

fn open_log(path: &Path) -> std::io::Result<File> {
    let log = File::options().append(true).create(true).open(path)?;
    if log.metadata()?.len() > MAX_LOG_BYTES {
        log.set_len(0)?;
    }
    Ok(log)
}

/// Owns the child, and with it the pipe on its standard input, until it has ended.
async fn tend(
    mut child: Child,
    name: String,
    pid_file: PathBuf,
    mut orders: mpsc::UnboundedReceiver<End>,
    ended: mpsc::UnboundedSender<Ended>,
) {
    let _pipe = child.stdin.take();
    let mut open = true;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            order = orders.recv(), if open => match order {
                Some(how) => signal(&child, how),
                None => open = false,
            },
        }
    };
    let _ = std::fs::remove_file(pid_file);
    let _ = ended.send(Ended { name, status });
}

/// The child was not waited for yet, so that its pid is still its own.
fn signal(child: &Child, how: End) {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself a moment ago.
        let _ = kill_process(
            pid,
            if how == End::Kill {
                Signal::KILL
            } else {
                Signal::TERM
            },
        );
    }
}

/// The last line of a node's log, which most likely says why it ended.
pub(super) fn last_words(node: &NodeLayout) -> Option<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut log = File::open(node.log()).ok()?;
    let length = log.metadata().ok()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(4096)))
        .ok()?;
    let mut end = Vec::new();
    log.take(4096).read_to_end(&mut end).ok()?;
    String::from_utf8_lossy(&end)
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .map(|line| line.trim().chars().take(MAX_WORDS).collect())
}
