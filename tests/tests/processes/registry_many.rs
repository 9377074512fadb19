//! Ten thousand processes on one node.

use crate::fleet::{Fleet, eventually, items};
use crate::http::Client;
use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const COUNT: usize = 10_000;
const CLIENTS: usize = 8;

/// A shell with many children that wait for its input to end.
struct Crowd {
    shell: Child,
    pids: Vec<u32>,
}

impl Crowd {
    fn start(count: usize) -> anyhow::Result<Self> {
        // In the background a shell has no standard input of its own; each waits on a copy of the
        // one that the test holds.
        let script = format!(
            "exec 3<&0; i=0; while [ $i -lt {count} ]; do (read line <&3) & echo \
            $!; i=$((i+1)); done; echo; wait"
        );
        let mut shell = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(shell.stdout.take().context("its output")?).lines();
        let mut crowd = Self {
            shell,
            pids: Vec::new(),
        };
        for line in lines.take(count) {
            crowd.pids.push(line?.parse()?);
        }
        Ok(crowd)
    }

    fn kill(&self) {
        for pid in self
            .pids
            .iter()
            .filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?))
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

async fn names(node: &crate::fleet::Node) -> anyhow::Result<usize> {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let page: Value = node
            .get(&format!("/v1/processes?limit=1000{cursor}"))
            .await?
            .json();
        count += items(&page).len();
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(count),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_processes_that_are_killed_leave_no_entry_on_any_node() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let crowd = Crowd::start(COUNT)?;
    let mut clients = tokio::task::JoinSet::new();
    for part in crowd.pids.chunks(COUNT.div_ceil(CLIENTS)) {
        let (part, socket) = (part.to_vec(), fleet.nodes[0].socket());
        clients.spawn(async move {
            let mut client = Client::connect(&socket).await?;
            for pid in part {
                let answer = client
                    .call(
                        "PUT",
                        &format!("/v1/processes/p{pid}"),
                        Some(&json!({ "pid": pid, "groups": ["crowd"] })),
                    )
                    .await?;
                ensure!(answer.status == 201, "{answer:?}");
            }
            Ok(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    for node in &fleet.nodes {
        eventually(&format!("{} knows all", node.name), async || {
            let count = names(node).await?;
            ensure!(count == COUNT, "{count} of {COUNT}");
            Ok(())
        })
        .await?;
    }
    crowd.kill();
    for node in &fleet.nodes {
        eventually(
            &format!("{} knows that all are gone", node.name),
            async || {
                let count = names(node).await?;
                ensure!(count == 0, "{count} are left");
                ensure!(node.get("/v1/groups").await?.json()["items"] == json!([]));
                Ok(())
            },
        )
        .await?;
    }
    let metrics = fleet.nodes[0].get("/metrics").await?.text;
    ensure!(
        metrics.contains(
            "muster_processes_registered \
        0\n"
        ) && metrics.contains("muster_processes_watched 0\n"),
        "{metrics}"
    );
    Ok(())
}
