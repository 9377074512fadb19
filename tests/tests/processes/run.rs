//! The command line of the process registry, as people and scripts use it: `muster run`.

mod seen;

use crate::fleet::{Fleet, Node, PATIENCE, eventually, program};
use crate::registry::gone;
use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A `muster` that runs beside the test; killed with it.
struct Running {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(node: &Node, words: &[&str]) -> anyhow::Result<Self> {
        let mut muster = Command::new(program("muster"));
        muster
            .arg("--socket")
            .arg(node.socket())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = muster.spawn()?;
        let output = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        Ok(Self {
            input: child.stdin.take(),
            child,
            output,
        })
    }

    /// Starts a command that has said that it is ready.
    fn ready(node: &Node, words: &[&str]) -> anyhow::Result<Self> {
        let mut running = Self::start(node, words)?;
        let line = running.line()?;
        ensure!(line == "ready", "{words:?} says {line:?}");
        Ok(running)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end_matches('\n').to_owned())
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn code(&mut self) -> anyhow::Result<i32> {
        let status = self.wait()?;
        status
            .code()
            .with_context(|| format!("ended with {status}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A script that lives until its input ends or somebody kills it.
const LIVING: &str = "echo ready; read line; exit 0";

fn good(node: &Node, words: &[&str]) -> anyhow::Result<String> {
    let output = node.muster(words)?;
    ensure!(output.status.success(), "muster {words:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn code(node: &Node, words: &[&str]) -> anyhow::Result<i32> {
    let output = node.muster(words)?;
    output
        .status
        .code()
        .with_context(|| format!("muster {words:?}: {output:?}"))
}

/// Waits until the node knows the name; gives the fields of the first line of `whereis`.
async fn whereis(node: &Node, name: &str) -> anyhow::Result<Vec<String>> {
    eventually(&format!("{} finds {name}", node.name), async || {
        let text = good(node, &["whereis", name])?;
        Ok(text
            .lines()
            .next()
            .unwrap_or_default()
            .split('\t')
            .map(str::to_owned)
            .collect())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn run_exits_as_its_command_does() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let plain = fleet.dir.path().join("plain");
    std::fs::write(&plain, "no program")?;
    let plain = plain.display().to_string();
    let tries: Vec<(Vec<&str>, i32)> = vec![
        (vec!["--", "true"], 0),
        (vec!["--", "sh", "-c", "exit 3"], 3),
        (vec!["--", "sh", "-c", "kill -KILL $$"], 128 + 9),
        (vec!["--", "/nonexistent/command"], 127),
        (vec!["--", "no-such-command-anywhere"], 127),
        (vec!["--", &plain], 126),
        (vec!["--bind-to", "nobody", "--", "true"], 125),
        (vec!["--group", "not a name", "--", "true"], 2),
        (vec!["true"], 2),
    ];
    for (words, expected) in tries {
        let words = [&["run", "job"], words.as_slice()].concat();
        ensure!(
            code(node, &words)? == expected,
            "muster {words:?} does not exit with {expected}"
        );
    }
    let alone = Command::new(program("muster"))
        .args(["--socket", "/nonexistent/s", "run", "job", "--", "true"])
        .output()?;
    ensure!(alone.status.code() == Some(125), "{alone:?}");
    ensure!(
        String::from_utf8_lossy(&alone.stderr).contains("/nonexistent/s"),
        "{alone:?}"
    );
    gone(node, "job").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_the_terminal_and_the_signals() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let script = "trap 'echo told; exit 5' TERM; trap 'echo one' USR1; echo ready; read line; \
        echo \"read \
            $line\"; while :; do sleep 0.05; done";
    let mut job = Running::ready(node, &["run", "job", "--", "sh", "-c", script])?;
    writeln!(job.input.as_mut().context("it has an input")?, "milk")?;
    ensure!(job.line()? == "read milk");
    job.signal(Signal::USR1)?;
    ensure!(job.line()? == "one");
    job.signal(Signal::TERM)?;
    ensure!(job.line()? == "told");
    ensure!(job.code()? == 5);
    gone(node, "job").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_name_is_taken_is_not_run() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let _web = Running::ready(&fleet.nodes[1], &["run", "web", "--", "sh", "-c", LIVING])?;
    whereis(&fleet.nodes[0], "web").await?;
    let mark = fleet.dir.path().join("mark");
    let output = fleet.nodes[0].muster(&[
        "run",
        "web",
        "--restart",
        "on-failure",
        "--",
        "touch",
        &mark.display().to_string(),
    ])?;
    ensure!(output.status.code() == Some(4), "{output:?}");
    ensure!(
        String::from_utf8_lossy(&output.stderr).contains("web@n2#"),
        "it names the holder: {output:?}"
    );
    ensure!(!mark.exists(), "the command was run");
    Ok(())
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file)
        .unwrap_or_default()
        .lines()
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_is_started_again_within_limits() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let starts = fleet.dir.path().join("starts");
    let failing = format!("echo start >> {}; exit 3", starts.display());
    ensure!(
        code(
            node,
            &[
                "run",
                "job",
                "--restart",
                "on-failure:2/1m",
                "--",
                "sh",
                "-c",
                &failing
            ]
        )? == 3
    );
    ensure!(lines(&starts) == 3, "two restarts, not {}", lines(&starts));
    let mended = format!(
        "echo start >> {0}; test $(wc -l < {0}) -ge 5",
        starts.display()
    );
    ensure!(
        code(
            node,
            &[
                "run",
                "job",
                "--restart",
                "on-failure",
                "--",
                "sh",
                "-c",
                &mended
            ]
        )? == 0
    );
    ensure!(
        lines(&starts) == 5,
        "no restart after success: {}",
        lines(&starts)
    );

    let told = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let mut job = Running::ready(
        node,
        &[
            "run",
            "job",
            "--restart",
            "on-failure",
            "--",
            "sh",
            "-c",
            told,
        ],
    )?;
    job.signal(Signal::TERM)?;
    ensure!(job.code()? == 7);
    ensure!(job.line()?.is_empty(), "it was started again");
    gone(node, "job").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_ends_with_the_one_it_is_bound_to_on_another_node() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let (a, b) = (&fleet.nodes[0], &fleet.nodes[1]);
    let mut db = Running::ready(a, &["run", "db", "--", "sh", "-c", LIVING])?;
    whereis(b, "db").await?;
    let mut web = Running::ready(
        b,
        &["run", "web", "--bind-to", "db", "--", "sh", "-c", LIVING],
    )?;
    executable_is_the_commands(b, "web").await?;
    let links = good(b, &["links", "web"])?;
    ensure!(
        links.starts_with("db@n1#") && links.contains("\tdown\t"),
        "{links}"
    );
    let refused = a.muster(&["link", "web", "db"])?;
    ensure!(
        refused.status.code() == Some(4) && String::from_utf8_lossy(&refused.stderr).contains("n2"),
        "{refused:?}"
    );
    db.input = None;
    ensure!(db.code()? == 0);
    ensure!(web.code()? == 128 + 15);
    gone(a, "web").await
}

/// `muster run` is registered before it executes the command; what is shown is the command all the
/// same.
async fn executable_is_the_commands(node: &Node, name: &str) -> anyhow::Result<()> {
    eventually("the executable is the command's", async || {
        let json: serde_json::Value =
            serde_json::from_str(&good(node, &["--json", "whereis", name])?)?;
        let exe = json["exe"].as_str().unwrap_or_default().to_owned();
        ensure!(!exe.is_empty() && !exe.ends_with("/muster"), "{exe}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_goes_on_without_the_daemon() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(1).await?;
    let script = "echo ready; while read line; do echo \"$line\"; done; exit 4";
    let mut job = Running::ready(&fleet.nodes[0], &["run", "job", "--", "sh", "-c", script])?;
    let before = whereis(&fleet.nodes[0], "job").await?;
    fleet.nodes[0].kill()?;
    writeln!(job.input.as_mut().context("it has an input")?, "alone")?;
    ensure!(job.line()? == "alone");
    fleet.nodes[0].start()?;
    ensure!(
        whereis(&fleet.nodes[0], "job").await? == before,
        "it is registered as before"
    );
    fleet.nodes[0].kill()?;
    job.input = None;
    ensure!(job.code()? == 4);
    fleet.nodes[0].start()?;
    gone(&fleet.nodes[0], "job").await
}
