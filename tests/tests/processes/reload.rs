//! A running node takes what it can of a changed configuration, and says what it cannot.

use crate::fleet::{Fleet, Node, eventually, program, run};
use anyhow::{Context, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::process::{Command, Output};

/// Appends lines to a node's file, or replaces some.
fn edit(node: &Node, from: &str, to: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(node.config())?;
    ensure!(text.contains(from), "{text}");
    Ok(std::fs::write(node.config(), text.replace(from, to))?)
}

/// The status of a request by TCP, with that `Host`.
fn status(listener: &str, host: &str, path: &str) -> anyhow::Result<String> {
    let url = format!("http://{listener}{path}");
    let host = format!("Host: {host}");
    run(Command::new("curl").args([
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--max-time",
        "10",
        "-H",
        &host,
        &url,
    ]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_says_what_took_effect_and_what_needs_a_restart() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let listener = node.get("/v1/node").await?.json()["http"]
        .as_str()
        .context("no listener")?
        .to_owned();
    let book = "/entries?list=bob&date=2018-12-19";
    ensure!(
        status(&listener, "localhost", book)? == "200"
            && status(&listener, "muster.example", book)? == "403"
    );

    edit(
        node,
        "open = true",
        "open = true\nhosts = [\"muster.example\"]\n[log]\nlevel \
        = \"debug\"\n[node]\ntags = [\"rack=7\"]",
    )?;
    let answer = node.call("POST", "/v1/reload", None).await?;
    ensure!(answer.status == 200, "{answer:?}");
    ensure!(
        answer.json()["applied"] == json!(["http.hosts", "log.level"]),
        "{answer:?}"
    );
    ensure!(
        answer.json()["restart"] == json!(["node.tags"]),
        "{answer:?}"
    );
    ensure!(
        answer.json()["certificate_expires_at"]
            .as_str()
            .is_some_and(|at| at.starts_with("20")),
        "{answer:?}"
    );
    ensure!(status(&listener, "muster.example", book)? == "200");

    edit(node, "open = true", "open = false")?;
    let printed = String::from_utf8(node.muster(&["reload"])?.stdout)?;
    ensure!(
        printed.contains("http.open\tin force") && printed.contains("node.tags\tneeds a restart"),
        "{printed}"
    );
    ensure!(
        status(&listener, "localhost", book)? == "404"
            && status(&listener, "localhost", "/healthz")? == "200"
    );
    Ok(())
}

fn check_config(node: &Node) -> anyhow::Result<Output> {
    let mut check = Command::new(program("musterd"));
    check.args(["--check-config", "--config"]);
    Ok(check.arg(node.config()).output()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_changes_nothing_and_is_told() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    edit(node, "open = true", "open = false\nhots = [\"a\"]")?;
    let answer = node.call("POST", "/v1/reload", None).await?;
    let words = answer.json()["detail"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    ensure!(
        answer.status == 422 && answer.json()["type"] == "/problems/configuration",
        "{answer:?}"
    );
    ensure!(
        words.contains("nothing was changed") && words.contains("did you mean http.hosts?"),
        "{words}"
    );
    ensure!(node.muster(&["reload"])?.status.code() == Some(2));
    let check = check_config(node)?;
    let told = String::from_utf8(check.stderr)?;
    ensure!(
        check.status.code() == Some(2)
            && told.contains("http.hots")
            && told.contains("muster.toml"),
        "{told}"
    );
    let start = Command::new(program("musterd"))
        .arg("--config")
        .arg(node.config())
        .output()?;
    ensure!(
        start.status.code() == Some(2) && String::from_utf8(start.stderr)? == told,
        "a start with the same mistake says and exits the same"
    );

    edit(node, "\nhots = [\"a\"]", "")?;
    edit(node, "[api]\n", "[api]\ngroup = \"nosuchgroup\"\n")?;
    let check = check_config(node)?;
    let told = String::from_utf8(check.stderr)?;
    ensure!(
        check.status.code() == Some(2) && told.contains("nosuchgroup"),
        "{told}"
    );
    edit(node, "group = \"nosuchgroup\"\n", "")?;
    std::fs::write(node.dir.join("tls/node.pem"), "rubbish")?;
    let check = check_config(node)?;
    let told = String::from_utf8(check.stderr)?;
    ensure!(
        check.status.code() == Some(2) && told.contains("node.pem"),
        "{told}"
    );
    let answer = node.call("POST", "/v1/reload", None).await?;
    ensure!(
        answer.status == 422 && answer.text.contains("node.pem"),
        "{answer:?}"
    );
    let listener = node.get("/v1/node").await?.json()["http"]
        .as_str()
        .context("no listener")?
        .to_owned();
    ensure!(
        status(&listener, "localhost", "/entries?list=bob&date=2018-12-19")? == "200",
        "it is still open"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_takes_a_renewed_certificate_and_the_rest() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let (ca, tls) = (fleet.dir.path().join("ca"), node.dir.join("tls"));
    run(Command::new(program("muster"))
        .args(["pki", "issue", "n1", "--renew", "--dir"])
        .arg(ca)
        .arg("--out")
        .arg(&tls))?;
    edit(
        node,
        "open = true",
        "open = true\n[log]\nlevel = \"info,muster=debug\"",
    )?;
    node.signal(Signal::HUP)?;
    eventually("the reload is logged", async || {
        let log = node.log();
        let told =
            log.contains("certificates were reloaded") && log.contains("applied=\"log.level\"");
        told.then_some(()).with_context(|| log.clone())
    })
    .await?;
    let after: Value = node.call("POST", "/v1/reload", None).await?.json();
    ensure!(
        after["applied"] == json!([]) && after["restart"] == json!([]),
        "{after}"
    );
    Ok(())
}
