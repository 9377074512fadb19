//! The command line of the process registry, as people and scripts use it: `muster run` and what
//! others see of it.

use crate::fleet::{Fleet, Node, PATIENCE, eventually, program};
use crate::registry::{Sleeper, gone};
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

/// Lives until its input ends, or somebody ends it.
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

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_on_another_node_tells_the_end_and_why() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let (a, b) = (&fleet.nodes[0], &fleet.nodes[1]);
    ensure!(code(b, &["monitor", "web", "--once"])? == 3);
    let mut monitor = Running::start(b, &["monitor", "web", "--once", "--wait"])?;
    let mut web = Running::ready(
        a,
        &[
            "run",
            "web",
            "--",
            "sh",
            "-c",
            "echo ready; read line; exit 3",
        ],
    )?;
    let handle = whereis(b, "web").await?[0].clone();
    let mut next = || -> anyhow::Result<Vec<String>> {
        Ok(monitor.line()?.split('\t').map(str::to_owned).collect())
    };
    ensure!(next()?[1..] == [handle.as_str(), "up", ""]);
    web.input = None;
    ensure!(web.code()? == 3);
    let down = next()?;
    ensure!(
        down[1..] == [handle.as_str(), "down", "exited code=3"],
        "{down:?}"
    );
    ensure!(monitor.code()? == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_scripts_read_has_a_fixed_form() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let (a, b) = (&fleet.nodes[0], &fleet.nodes[1]);
    let words = [
        "run",
        "web",
        "--group",
        "front",
        "--group",
        "all",
        "--meta",
        "port=8080",
        "--meta",
        "v=2",
        "--address",
        "127.0.0.1:8080",
    ];
    let _web = Running::ready(a, &[&words[..], &["--", "sh", "-c", LIVING]].concat())?;
    let _db = Running::ready(b, &["run", "db", "--", "sh", "-c", LIVING])?;
    let place = whereis(b, "web").await?;
    ensure!(
        place[0].starts_with("web@n1#")
            && place[1..] == ["n1", "up", "127.0.0.1:8080", "port=8080,v=2"],
        "{place:?}"
    );
    whereis(a, "db").await?;
    let web = ps_has_a_fixed_form(b)?;
    ensure!(
        place[0].starts_with(&format!("web@n1#{}.", web[2])),
        "{web:?}"
    );
    groups_have_a_fixed_form(b)?;
    let json: serde_json::Value = serde_json::from_str(&good(b, &["--json", "whereis", "web"])?)?;
    ensure!(
        json["handle"] == place[0].as_str() && json["metadata"]["port"] == "8080",
        "{json}"
    );
    executable_is_the_commands(b, "db").await
}

/// The lines that a command prints, each by its columns.
fn listed(node: &Node, words: &[&str]) -> anyhow::Result<Vec<Vec<String>>> {
    let text = good(node, words)?;
    Ok(text
        .lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect())
}

/// The line of `web`.
fn ps_has_a_fixed_form(b: &Node) -> anyhow::Result<Vec<String>> {
    let ps = listed(b, &["ps"])?;
    ensure!(
        ps.len() == 2 && ps.iter().all(|line| line.len() == 10),
        "{ps:?}"
    );
    let web = &ps[1];
    ensure!(
        web[..2] == ["web", "n1"]
            && web[3] == "up"
            && web[6..9] == ["all,front", "127.0.0.1:8080", "port=8080,v=2"],
        "{web:?}"
    );
    for (words, expected) in [
        (["--prefix", "we"], vec!["web"]),
        (["--on", "n2"], vec!["db"]),
        (["--group", "front"], vec!["web"]),
        (["--state", "unreachable"], vec![]),
    ] {
        let names: Vec<String> = listed(b, &[&["ps"], &words[..]].concat())?
            .into_iter()
            .filter_map(|line| line.into_iter().next())
            .collect();
        ensure!(names == expected, "{words:?}: {names:?}");
    }
    ensure!(
        listed(b, &["ps", "--local"])?
            .iter()
            .all(|line| line[0] == "db")
    );
    Ok(web.clone())
}

fn groups_have_a_fixed_form(b: &Node) -> anyhow::Result<()> {
    ensure!(
        listed(b, &["groups"])?
            .iter()
            .map(|line| line[..2].join(" "))
            .eq(["all 1", "front 1"]),
        "{:?}",
        listed(b, &["groups"])?
    );
    good(b, &["group", "join", "front", "db"])?;
    ensure!(
        listed(b, &["groups", "front"])?
            .iter()
            .map(|line| line[0].as_str())
            .eq(["db", "web"]),
        "local ones first"
    );
    good(b, &["group", "leave", "front", "db"])?;
    ensure!(
        listed(b, &["groups", "front"])?
            .iter()
            .map(|line| line[0].as_str())
            .eq(["web"])
    );
    Ok(())
}

/// It is registered before it is executed; what is shown is the command all the same.
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
async fn a_script_registers_itself_and_ends_with_its_process() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let mut script = Command::new("sh");
    script
        .args([
            "-c",
            "\"$0\" --socket \"$1\" register nightly --group jobs && read line; exit 0",
        ])
        .arg(program("muster"))
        .arg(node.socket());
    let mut script = script.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let handle = whereis(node, "nightly").await?[0].clone();
    ensure!(
        handle.starts_with(&format!("nightly@n1#{}.", script.id())),
        "{handle}"
    );
    drop(script.stdin.take());
    ensure!(script.wait()?.success());
    gone(node, "nightly").await?;
    let sleeper = Sleeper::start()?;
    good(
        node,
        &["register", "sleeper", "--pid", &sleeper.pid().to_string()],
    )?;
    good(node, &["unregister", "sleeper"])?;
    gone(node, "sleeper").await?;
    // It lives: it can be registered again.
    good(
        node,
        &["register", "sleeper", "--pid", &sleeper.pid().to_string()],
    )?;
    drop(sleeper);
    gone(node, "sleeper").await
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
