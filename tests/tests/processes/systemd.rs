//! The daemon as systemd runs it: what it tells the manager, the sockets that it is handed, the
//! watchdog, and the units.

use crate::fleet::{Fleet, Node, eventually, program};
use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What the manager's end of `$NOTIFY_SOCKET` has heard.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    /// Makes a node's daemon believe that systemd runs it, with a watchdog of that time.
    fn of(node: &mut Node, watchdog_ms: u32) -> anyhow::Result<Self> {
        let path = node.dir.join("notify");
        let socket = UnixDatagram::bind(&path)?;
        socket.set_nonblocking(true)?;
        node.env = vec![
            ("NOTIFY_SOCKET", path.into()),
            ("WATCHDOG_USEC", (watchdog_ms * 1000).to_string().into()),
        ];
        Ok(Self {
            socket,
            heard: Vec::new(),
        })
    }

    fn listen(&mut self) -> &[String] {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let text =
                String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
            self.heard.extend(text.lines().map(str::to_owned));
        }
        &self.heard
    }

    fn count(&mut self, line: &str) -> usize {
        self.listen().iter().filter(|heard| *heard == line).count()
    }

    /// Waits until a line was heard more often than `before`.
    async fn hears(&mut self, line: &str, before: usize) -> anyhow::Result<()> {
        eventually(line, async || {
            (self.count(line) > before)
                .then_some(())
                .with_context(|| format!("{:?}", self.heard))
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manager_is_told_what_the_node_does_from_its_start_to_its_end() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(1)?;
    let mut manager = Manager::of(&mut fleet.nodes[0], 2_000)?;
    fleet.nodes[0].start()?;
    manager.hears("READY=1", 0).await?;
    manager.hears("WATCHDOG=1", 0).await?;
    fleet.nodes[0].add("groceries", "bread").await?;
    manager
        .hears("STATUS=1 of 1 members, 1 lists, whole", 0)
        .await?;

    ensure!(
        fleet.nodes[0]
            .call("POST", "/v1/reload", None)
            .await?
            .status
            == 200
    );
    manager.hears("RELOADING=1", 0).await?;
    manager.hears("READY=1", 1).await?;
    ensure!(
        manager
            .heard
            .iter()
            .any(|line| line.starts_with("MONOTONIC_USEC=")),
        "{:?}",
        manager.heard
    );

    std::fs::write(fleet.nodes[0].config(), "rubbish")?;
    ensure!(
        fleet.nodes[0]
            .call("POST", "/v1/reload", None)
            .await?
            .status
            == 422
    );
    manager.hears("READY=1", 2).await?;

    ensure!(manager.count("STOPPING=1") == 0);
    fleet.nodes[0].stop()?;
    manager.hears("STOPPING=1", 0).await
}

/// Holds a part up for longer than the watchdog allows: it is not fed meanwhile, and is again
/// afterwards.
async fn hangs(part: &'static str) -> anyhow::Result<()> {
    let mut fleet = Fleet::new(1)?;
    let mut manager = Manager::of(&mut fleet.nodes[0], 2_000)?;
    fleet.nodes[0].start()?;
    let node = &fleet.nodes[0];
    manager.hears("WATCHDOG=1", 0).await?;
    let told = format!("the watchdog is not fed parts=\"{part}\"");
    let missed = node.log().matches(told.as_str()).count();
    let misses = |more: usize| {
        let told = &told;
        eventually(told, async move || {
            let log = node.log();
            (log.matches(told.as_str()).count() >= missed + more)
                .then_some(())
                .with_context(|| log.clone())
        })
    };
    let body = json!({ "part": part, "ms": 6_000 });
    // With the API's threads it is the answer that waits.
    let _ = tokio::time::timeout(
        std::time::Duration::from_millis(100),
        node.call("PUT", "/v1/debug/hang", Some(&body)),
    )
    .await;
    misses(1).await?;
    let before = manager.count("WATCHDOG=1");
    misses(2).await?;
    ensure!(
        manager.count("WATCHDOG=1") == before,
        "{part} hangs, and the watchdog is fed"
    );
    manager
        .hears("WATCHDOG=1", before)
        .await
        .with_context(|| format!("after {part} hung"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_hangs_the_watchdog_is_not_fed() -> anyhow::Result<()> {
    let all = tokio::join!(
        hangs("cluster"),
        hangs("lists"),
        hangs("store"),
        hangs("api")
    );
    all.0.and(all.1).and(all.2).and(all.3)
}

/// `systemd-socket-activate`, which listens in the daemon's place and executes it at the first
/// connection.
struct Activated(Child);

impl Activated {
    fn start(node: &Node, more: &[&str]) -> anyhow::Result<Self> {
        let log = std::fs::File::create(node.dir.join("log"))?;
        let mut activate = Command::new("systemd-socket-activate");
        activate
            .arg("-l")
            .arg(node.dir.join("handed"))
            .args(more)
            .arg(program("musterd"))
            .arg("--config")
            .arg(node.config());
        Ok(Self(
            activate
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()?,
        ))
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_was_handed_over_is_served_and_left_where_it_is() -> anyhow::Result<()> {
    let fleet = Fleet::new(1)?;
    let node = &fleet.nodes[0];
    let handed = node.dir.join("handed");
    let mut activated = Activated::start(node, &[])?;
    let answer = eventually("the first client starts the daemon", async || {
        let answer = crate::http::call(&handed, "GET", "/v1/node", None)
            .await
            .with_context(|| node.log())?;
        if answer.status == 200 {
            Ok(answer)
        } else {
            bail!("{answer:?}")
        }
    })
    .await?;
    ensure!(
        answer.json()["name"] == "n1" && answer.json()["pid"] == activated.0.id(),
        "{answer:?}"
    );
    ensure!(!node.socket().exists(), "it makes none of its own");
    kill_process(Pid::from_child(&activated.0), Signal::TERM)?;
    ensure!(activated.0.wait()?.success(), "{}", node.log());
    ensure!(handed.exists(), "the manager's socket outlives the daemon");
    ensure!(UnixStream::connect(&handed).is_err());
    Ok(())
}

/// What becomes of a TCP socket that is handed over under that name: where the listener is, in terms
/// of the socket, and what is said about it.
async fn handed_tcp(name: &str, configured: &str) -> anyhow::Result<(Option<bool>, String)> {
    let fleet = Fleet::new(1)?;
    let node = &fleet.nodes[0];
    let text = std::fs::read_to_string(node.config())?;
    let text = text.replace(
        "listen = \"127.0.0.1:0\"",
        &format!("listen = {configured:?}"),
    );
    std::fs::write(node.config(), text)?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let names = format!("--fdname=unit:{name}");
    let _activated = Activated::start(node, &["-l", &address, &names])?;
    let status = eventually("the first client starts the daemon", async || {
        let handed = node.dir.join("handed");
        let answer = crate::http::call(&handed, "GET", "/v1/status", None)
            .await
            .with_context(|| node.log())?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(answer.json())
    })
    .await?;
    let at = status["node"]["http"].as_str();
    if let Some(at) = at {
        let mut client = crate::http::Client::connect_tcp(at).await?;
        ensure!(client.call("GET", "/healthz", None).await?.status == 200);
    }
    Ok((at.map(|at| at == address), status["attention"].to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tcp_socket_that_is_handed_over_is_compared_with_the_configuration() -> anyhow::Result<()>
{
    let (at, told) = handed_tcp("unit", "127.0.0.1:0").await?;
    ensure!(at == Some(true) && told == "[]", "{at:?} {told}");
    let (at, told) = handed_tcp("unit", "127.0.0.2:0").await?;
    ensure!(
        at == Some(true) && told.contains("[http] listen is 127.0.0.2:0"),
        "{at:?} {told}"
    );
    let (at, told) = handed_tcp("unit", "none").await?;
    ensure!(
        at.is_none() && told.contains("[http] listen is none"),
        "{at:?} {told}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_over_a_restart_is_used_while_the_configuration_says_so() -> anyhow::Result<()>
{
    let held = "muster-http-held";
    for (configured, at) in [
        ("127.0.0.1:0", Some(true)),
        ("127.0.0.2:0", Some(false)),
        ("none", None),
    ] {
        let (found, told) = handed_tcp(held, configured).await?;
        ensure!(
            found == at && told == "[]",
            "{configured}: {found:?} {told}"
        );
    }
    Ok(())
}

#[test]
fn the_units_are_right_and_confine_the_daemon() -> anyhow::Result<()> {
    // The programs that the units name are not installed here: the copies name others.
    let dir = tempfile::TempDir::with_prefix("units")?;
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/packaging");
    for unit in ["muster.service", "muster.socket"] {
        let text = std::fs::read_to_string(packaging.join(unit))?;
        let text = text.replace(
            "/usr/bin/musterd",
            &program("musterd").display().to_string(),
        );
        let text = text.replace(
            "/usr/bin/muster ",
            &format!("{} ", program("muster").display()),
        );
        std::fs::write(
            dir.path().join(unit),
            text.replace("man:musterd(8) man:muster.toml(5)", "man:sh(1)")
                .replace("man:musterd(8)", "man:sh(1)"),
        )?;
    }
    let units = ["muster.service", "muster.socket"].map(|unit| dir.path().join(unit));
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg("--man=no")
        .args(&units)
        .output()?;
    let told = String::from_utf8(verified.stderr)?;
    ensure!(verified.status.success() && told.is_empty(), "{told}");
    let mut security = Command::new("systemd-analyze");
    let output = security
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(&units[0])
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(())
}
