//! `muster doctor`: what keeps a node from working well, found by the real thing.

use crate::fleet::{Fleet, Node, eventually, items, run};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// What `muster doctor` finds, with its exit code.
fn examine(node: &Node) -> anyhow::Result<(Value, Option<i32>)> {
    let config = node.config().display().to_string();
    let output = node.muster(&["--json", "doctor", "--config", &config])?;
    let found = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    Ok((found, output.status.code()))
}

/// The finding of that check about that member or, `here`, this host.
fn finding(found: &Value, of: &str, check: &str) -> anyhow::Result<Value> {
    let finding = items(found)
        .iter()
        .find(|finding| finding["of"] == of && finding["check"] == check);
    finding
        .cloned()
        .with_context(|| format!("no {check} of {of} in {found}"))
}

fn is(found: &Value, of: &str, check: &str, level: &str, words: &str) -> anyhow::Result<()> {
    let finding = finding(found, of, check)?;
    ensure!(
        finding["level"] == level
            && finding["what"]
                .as_str()
                .is_some_and(|what| what.contains(words)),
        "{finding}"
    );
    ensure!(
        (level == "good") == finding["do"].is_null(),
        "what is bad comes with what to do: \
        {finding}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_cluster_is_found_healthy_both_ways() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let (found, code) = examine(&fleet.nodes[0])?;
    ensure!(
        found["node"] == "n1" && (found["healthy"] == true) == (code == Some(0)),
        "{code:?} {found}"
    );
    for check in [
        "key file",
        "certificate",
        "authority",
        "data directory",
        "socket",
        "open files",
        "configuration",
    ] {
        is(&found, "here", check, "good", "")?;
    }
    ensure!(
        finding(&found, "here", "disk sync")?["what"]
            .as_str()
            .is_some_and(|what| what.contains(" ms"))
    );
    for name in ["n2", "n3"] {
        is(&found, name, "udp out", "good", "this node reaches it")?;
        is(&found, name, "udp in", "good", "it reaches this node")?;
        is(&found, name, "clock", "good", "")?;
        is(&found, name, "version", "good", "")?;
        is(&found, name, "certificate", "good", "expires in")?;
        is(&found, name, "path", "good", "MTU")?;
    }
    let text = String::from_utf8(fleet.nodes[0].muster(&["doctor"])?.stdout)?;
    ensure!(text.contains("good\tn2\tudp in\t"), "{text}");
    fleet.whole().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_down_is_told_from_one_that_is_cut_off() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
    fleet.nodes[1].kill()?;
    eventually("n2 is found to be down", async || {
        let (found, code) = examine(&fleet.nodes[0])?;
        ensure!(code == Some(1));
        is(
            &found,
            "n2",
            "udp out",
            "critical",
            "n3 does not reach it either",
        )?;
        is(&found, "n3", "udp in", "good", "")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_on_this_host_is_found() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let key = node.dir.join("tls/node.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644))?;
    std::fs::set_permissions(&node.data, std::fs::Permissions::from_mode(0o755))?;
    std::fs::set_permissions(node.socket(), std::fs::Permissions::from_mode(0o666))?;
    let (found, code) = examine(node)?;
    ensure!(code == Some(1));
    is(&found, "here", "certificates", "critical", "has mode 0644")?;
    is(&found, "here", "data directory", "warning", "has mode 0755")?;
    is(&found, "here", "socket", "warning", "has mode 0666")?;
    is(&found, "here", "configuration", "critical", "has mode 0644")?;
    let lines = std::fs::read_to_string(node.config())?;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
    std::fs::write(node.config(), lines.replace("open = true", "open = false"))?;
    is(
        &examine(node)?.0,
        "here",
        "configuration",
        "warning",
        "http.open",
    )?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_expires_soon_is_found_here_and_there() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(2)?;
    for node in &mut fleet.nodes {
        // Certificates are issued for 730 days: nine and a half are left.
        let Some(env) = clock("+17292h") else {
            return Ok(());
        };
        node.env = env;
        node.start()?;
    }
    fleet.whole().await?;
    let (found, _) = examine(&fleet.nodes[0])?;
    is(
        &found,
        "here",
        "certificate",
        "warning",
        "expires in 9 days",
    )?;
    is(&found, "n2", "certificate", "warning", "expires in 9 days")?;
    let status = fleet.nodes[0].get("/v1/status").await?.json();
    let attention = status["attention"].as_array().context("no attention")?;
    ensure!(
        attention.iter().any(|finding| finding["what"]
            == "the node's certificate expires in \
        9 days"),
        "{status}"
    );
    Ok(())
}

/// What makes a process's wall clock be off by that much; `None`, told, where the means are
/// missing.
fn clock(off: &str) -> Option<Vec<(&'static str, OsString)>> {
    let mut env = fake_clock()?;
    env.push(("FAKETIME", off.into()));
    Some(env)
}

/// The same without saying by how much.
pub(crate) fn fake_clock() -> Option<Vec<(&'static str, OsString)>> {
    let library = std::path::Path::new("/usr/lib")
        .join(format!("{}-linux-gnu", std::env::consts::ARCH))
        .join("faketime/libfaketimeMT.so.1");
    if !library.exists() {
        eprintln!("skipped: {} is not there", library.display());
        return None;
    }
    Some(vec![
        ("LD_PRELOAD", library.into()),
        ("DONT_FAKE_MONOTONIC", "1".into()),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_what_can_be_examined_is() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(1).await?;
    let node = &mut fleet.nodes[0];
    node.stop()?;
    let (found, code) = examine(node)?;
    ensure!(
        code == Some(1) && found["node"].is_null() && found["healthy"] == false,
        "{found}"
    );
    is(&found, "here", "daemon", "critical", "no daemon answers")?;
    is(&found, "here", "configuration", "good", "")?;
    is(&found, "here", "key file", "good", "")?;
    is(&found, "here", "port", "good", "UDP")?;
    let _taken = UdpSocket::bind(node.address)?;
    is(&examine(node)?.0, "here", "port", "critical", "UDP")?;
    std::fs::write(node.config(), "[quic]\nlisten = 7\n")?;
    is(
        &examine(node)?.0,
        "here",
        "configuration",
        "critical",
        "quic.listen",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_found_from_both_sides() -> anyhow::Result<()> {
    let Some(env) = clock("+30s") else {
        return Ok(());
    };
    let mut fleet = Fleet::new(2)?;
    fleet.nodes[1].env = env;
    for node in &mut fleet.nodes {
        node.start()?;
    }
    fleet.whole().await?;
    is(
        &examine(&fleet.nodes[0])?.0,
        "n2",
        "clock",
        "warning",
        "ahead of this node's",
    )?;
    is(
        &examine(&fleet.nodes[1])?.0,
        "n1",
        "clock",
        "warning",
        "behind this node's",
    )
}

/// A network of its own with nothing but a loopback interface, gone with the test.
struct Network(String);

impl Network {
    fn new() -> anyhow::Result<Self> {
        let network = Self(format!("muster-doctor-{}", std::process::id()));
        run(Command::new("ip").args(["netns", "add", &network.0]))?;
        run(Command::new("ip").args(["-n", &network.0, "link", "set", "lo", "up"]))?;
        Ok(network)
    }

    /// From now on drops all packets from one address to another; those the other way pass.
    fn cut(&self, from: SocketAddr, to: SocketAddr) -> anyhow::Result<()> {
        let rule = format!(
            "table ip cut {{\nchain out {{\ntype filter hook output priority 0;\nip saddr {} ip \
                daddr {} counter drop;\n}}\n}}\n",
            from.ip(),
            to.ip()
        );
        run(Command::new("ip").args(["netns", "exec", &self.0, "nft", &rule])).map(drop)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.0])
            .status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_in_one_direction_is_found_on_both_sides_of_it() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: a network of its own needs root");
        return Ok(());
    }
    let network = Network::new()?;
    let mut fleet = Fleet::new(3)?;
    let seed = SocketAddr::from(([127, 0, 0, 2], 6878));
    for (node, last) in fleet.nodes.iter_mut().zip(2..) {
        node.address = SocketAddr::from(([127, 0, 0, last], 6878));
        node.configure(&[seed])?;
        node.launcher = ["ip", "netns", "exec", &network.0].map(Into::into).to_vec();
        node.start()?;
    }
    fleet.whole().await?;
    network.cut(fleet.nodes[0].address, fleet.nodes[1].address)?;
    // A connection ends only when nothing has come on it for ten seconds.
    eventually(
        "n1 says that n2 reaches it, and not the other way round",
        async || {
            let (found, _) = examine(&fleet.nodes[0])?;
            is(
                &found,
                "n2",
                "udp out",
                "critical",
                "it reaches this node, but this node does not \
            reach it",
            )?;
            is(&found, "n3", "udp in", "good", "")
        },
    )
    .await?;
    eventually(
        "n2 says that it reaches n1, and not the other way round",
        async || {
            is(
                &examine(&fleet.nodes[1])?.0,
                "n1",
                "udp in",
                "critical",
                "this node reaches it, but \
            it does not reach this node",
            )
        },
    )
    .await?;
    let answer = fleet.nodes[0]
        .call("GET", "/v1/debug/doctor", Some(&json!(null)))
        .await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}
