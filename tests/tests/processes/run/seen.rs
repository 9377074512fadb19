//! What the command line shows of registered processes, on all nodes.

use super::{LIVING, Running, code, executable_is_the_commands, good, whereis};
use crate::fleet::{Fleet, Node, program};
use crate::registry::{Sleeper, gone};
use anyhow::ensure;
use std::process::{Command, Stdio};

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

/// The lines that a command prints, each cut into its columns.
fn listed(node: &Node, words: &[&str]) -> anyhow::Result<Vec<Vec<String>>> {
    let text = good(node, words)?;
    Ok(text
        .lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect())
}

/// Gives the line of `web`.
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
