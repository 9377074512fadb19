//! What the daemon writes into its log, and how that is changed while it runs.

use crate::fleet::{Fleet, Node, eventually, run};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

/// A single node that logs JSON.
async fn logging_json() -> anyhow::Result<Fleet> {
    let mut fleet = Fleet::new(1)?;
    let node = &mut fleet.nodes[0];
    node.configure(&[])?;
    node.env.push(("MUSTERD_LOG__FORMAT", "json".into()));
    node.start()?;
    Ok(fleet)
}

fn records(node: &Node) -> anyhow::Result<Vec<Value>> {
    node.log()
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

fn is_debug(record: &Value) -> bool {
    record["level"] == "DEBUG"
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_is_an_object_with_its_fields() -> anyhow::Result<()> {
    let fleet = logging_json().await?;
    let is_ready = |record: &Value| record["message"] == "the node is ready";
    let ready = eventually("it is told", async || {
        records(&fleet.nodes[0])?
            .into_iter()
            .find(is_ready)
            .context("not yet")
    })
    .await?;
    ensure!(
        ready["level"] == "INFO" && ready["node"] == "n1" && ready["lists"] == 0,
        "{ready}"
    );
    let time = ready["timestamp"].as_str().context("a time")?;
    ensure!(
        time.len() == "2026-01-01T00:00:00.000000Z".len() && time.ends_with('Z'),
        "{time}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_changes_while_the_daemon_runs_and_ends_by_itself() -> anyhow::Result<()> {
    let fleet = logging_json().await?;
    let node = &fleet.nodes[0];
    ensure!(!records(node)?.iter().any(is_debug));
    let told = String::from_utf8(node.muster(&["log-level", "debug", "--for", "2s"])?.stdout)?;
    ensure!(
        told.starts_with("debug\t20") && told.trim_end().ends_with("\tinfo"),
        "{told}"
    );
    node.muster(&["register", "web", "--pid", &std::process::id().to_string()])?;
    eventually("decisions are logged", async || {
        records(node)?
            .iter()
            .any(is_debug)
            .then_some(())
            .context("none yet")
    })
    .await?;
    eventually("the time is over", async || {
        let levels = node.get("/v1/log-level").await?.json();
        (levels == json!({ "level": "info", "configured": "info", "until": null }))
            .then_some(())
            .context(levels.to_string())
    })
    .await?;
    let no = node.muster(&["log-level", "inof"])?;
    ensure!(
        no.status.code() == Some(2) && String::from_utf8(no.stderr)?.contains("info,node=debug")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_may_change_it_who_may_change_the_node() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!(
            "NOT RUN, needs root to be somebody else: \
            only_those_may_change_it_who_may_change_the_node"
        );
        return Ok(());
    }
    let fleet = logging_json().await?;
    let node = &fleet.nodes[0];
    let status = |method: &str, body: &str| {
        let mut curl = std::process::Command::new("setpriv");
        curl.args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ]);
        curl.args(["-X", method, "-d", body, "--unix-socket"])
            .arg(node.socket())
            .arg("http://muster/v1/log-level");
        run(&mut curl)
    };
    // For this user the directories on the way are not closed.
    for dir in [fleet.dir.path(), &node.dir] {
        std::fs::set_permissions(dir, Permissions::from_mode(0o755))?;
    }
    std::fs::set_permissions(node.socket(), Permissions::from_mode(0o666))?;
    ensure!(status("PUT", r#"{"level": "debug"}"#)? == "403" && status("DELETE", "")? == "403");
    ensure!(status("GET", "")? == "200");
    Ok(())
}
