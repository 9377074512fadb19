//! The rules for Prometheus: what promtool says of them, the page of each alert, and alerts seen on
//! a live cluster.

use crate::disk::{fill_to, mount};
use crate::fleet::{Fleet, Node, eventually};
use crate::metrics::dashboards;
use crate::scraper::{Prometheus, tool};
use anyhow::{Context, ensure};
use names::{ListId, ListName};
use node::lists::Row;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use store::Store;

fn rules() -> PathBuf {
    dashboards().join("prometheus")
}

/// The alerts that a file of rules has.
fn alerts(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn promtool_finds_the_rules_right_and_their_tests_pass() -> anyhow::Result<()> {
    tool(
        "promtool",
        &["check", "rules", "recording.yml", "alerts.yml"],
        &rules(),
    )?;
    tool("promtool", &["test", "rules", "alerts.test.yml"], &rules()).map(drop)
}

#[test]
fn each_alert_is_tested_to_fire_and_to_be_quiet() -> anyhow::Result<()> {
    let tests = std::fs::read_to_string(rules().join("alerts.test.yml"))?;
    // Whether each alert is expected nowhere, and somewhere.
    let mut tested: BTreeMap<&str, [bool; 2]> = BTreeMap::new();
    let lines: Vec<&str> = tests.lines().map(str::trim).collect();
    for pair in lines.windows(2) {
        if let Some(alert) = pair[0].strip_prefix("alertname: ") {
            let fires = match pair[1] {
                "exp_alerts: []" => false,
                "exp_alerts:" => true,
                other => anyhow::bail!("{alert}: {other}"),
            };
            tested.entry(alert).or_default()[usize::from(fires)] = true;
        }
    }
    for alert in alerts(&std::fs::read_to_string(rules().join("alerts.yml"))?) {
        ensure!(
            tested.get(alert.as_str()) == Some(&[true, true]),
            "{alert}: {:?}",
            tested.get(alert.as_str())
        );
    }
    Ok(())
}

#[test]
fn each_alert_has_its_page_and_each_page_its_alert() -> anyhow::Result<()> {
    let text = std::fs::read_to_string(rules().join("alerts.yml"))?;
    let mut pages = BTreeSet::new();
    for entry in std::fs::read_dir(dashboards().join("runbooks"))? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .context("a name")?
            .to_owned();
        let page = std::fs::read_to_string(&path)?;
        ensure!(
            page.starts_with(&format!("# {name}\n\n")) && page.contains("\n## What to do\n\n1. "),
            "{name}"
        );
        leads_somewhere(&path, &page)?;
        ensure!(
            text.contains(&format!("runbook: dashboards/runbooks/{name}.md\n")),
            "{name} is nowhere named"
        );
        pages.insert(name);
    }
    ensure!(
        pages == alerts(&text),
        "{:?}",
        pages.symmetric_difference(&alerts(&text))
    );
    Ok(())
}

/// All links of a page are to files that there are.
fn leads_somewhere(path: &Path, page: &str) -> anyhow::Result<()> {
    for rest in page.split("](").skip(1) {
        let target = rest.split(')').next().unwrap_or_default();
        ensure!(
            path.with_file_name(target).exists(),
            "{}: {target} is not there",
            path.display()
        );
    }
    Ok(())
}

/// The rules as they are, but for how long something must have been so.
fn hasty_rules() -> anyhow::Result<[(&'static str, String); 2]> {
    let alerts = std::fs::read_to_string(rules().join("alerts.yml"))?;
    let hasty = alerts.lines().map(|line| {
        if line.trim().starts_with("for: ") {
            "        for: 2s"
        } else {
            line
        }
    });
    let text: String = hasty.map(|line| format!("{line}\n")).collect();
    let lag = "muster_lists_lag_seconds > 60";
    ensure!(text.contains(lag), "the rule of lag reads otherwise now");
    let alerts = text.replace(lag, "muster_lists_lag_seconds > 5");
    Ok([
        (
            "recording.yml",
            std::fs::read_to_string(rules().join("recording.yml"))?,
        ),
        ("alerts.yml", alerts),
    ])
}

/// The alerts that fire, each with the node or the member that it is about, if it is about one.
async fn firing(prometheus: &Prometheus) -> anyhow::Result<BTreeSet<(String, String)>> {
    let firing = prometheus.series("ALERTS{alertstate=\"firing\"}").await?;
    let label = |alert: &serde_json::Value, label: &str| {
        alert["metric"][label]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    Ok(firing
        .iter()
        .map(|alert| {
            let about = label(alert, "instance") + &label(alert, "member");
            (label(alert, "alertname"), about)
        })
        .collect())
}

/// Waits until just these alerts fire.
async fn fire(prometheus: &Prometheus, expected: &[(&str, &str)]) -> anyhow::Result<()> {
    let expected: BTreeSet<_> = expected
        .iter()
        .map(|(alert, node)| ((*alert).to_owned(), (*node).to_owned()))
        .collect();
    eventually(&format!("just these fire: {expected:?}"), async || {
        let firing = firing(prometheus).await?;
        ensure!(firing == expected, "{firing:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_well_is_quiet_and_one_that_is_cut_or_loses_a_member_is_not()
-> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
    let prometheus = Prometheus::of(&fleet, &hasty_rules()?).await?;
    let groups = prometheus.get("/api/v1/rules").await?;
    let rules: Vec<_> = groups["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|group| group["rules"].as_array())
        .flatten()
        .collect();
    ensure!(rules.len() > 25, "{rules:?}");
    eventually("all rules are evaluated", async || {
        let groups = prometheus.get("/api/v1/rules").await?.to_string();
        ensure!(
            !groups.contains("\"health\":\"unknown\"") && !groups.contains("\"health\":\"err\""),
            "{groups}"
        );
        Ok(())
    })
    .await?;
    fire(&prometheus, &[]).await?;
    fleet.split(&[2]).await?;
    fire(
        &prometheus,
        &[("MusterMemberDown", "n3"), ("MusterPartition", "n3")],
    )
    .await?;
    fleet.split(&[]).await?;
    fire(&prometheus, &[]).await?;
    fleet.nodes[1].kill()?;
    fire(
        &prometheus,
        &[("MusterMemberDown", "n2"), ("MusterNotScraped", "n2")],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_in_trouble_is_named_with_what_it_suffers_from() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: mounting needs root");
        return Ok(());
    }
    let mut fleet = Fleet::new(2)?;
    let data = fleet.nodes[1].data.clone();
    // Declared after the fleet, so that it is unmounted first; lazily, while the daemon still runs.
    let _mount = mount(
        &["-t", "tmpfs", "-o", "size=400m,mode=700", "muster-test"],
        &data,
    )?;
    fleet.renew(&fleet.nodes[1], 20)?;
    for node in &mut fleet.nodes {
        node.start()?;
    }
    fleet.whole().await?;
    fleet.nodes[0].add("groceries", "bread").await?;
    fleet.agree().await?;
    fleet.nodes[1].stop()?;
    quarantine(&fleet.nodes[1], "groceries")?;
    fill_to(&data, 0.05)?;
    fleet.nodes[1].start()?;
    fleet.whole().await?;
    fleet.nodes[0].add("groceries", "milk").await?;
    let prometheus = Prometheus::of(&fleet, &hasty_rules()?).await?;
    let of_the_second = [
        "MusterCertificateExpiring",
        "MusterDiskNearlyFull",
        "MusterListQuarantined",
        "MusterReplicasDiffer",
    ];
    let expected: Vec<_> = of_the_second
        .map(|alert| (alert, "n2"))
        .into_iter()
        .chain([("MusterReplicasDiffer", "n1")])
        .collect();
    fire(&prometheus, &expected).await?;
    std::fs::remove_file(data.join("ballast"))?;
    fleet.renew(&fleet.nodes[1], 730)?;
    ensure!(
        fleet.nodes[1]
            .call("POST", "/v1/reload", None)
            .await?
            .status
            == 200
    );
    fire(
        &prometheus,
        &[
            ("MusterListQuarantined", "n2"),
            ("MusterReplicasDiffer", "n1"),
            ("MusterReplicasDiffer", "n2"),
        ],
    )
    .await
}

/// Writes down, in the store of a node that does not run, that a list's document could not be
/// loaded.
fn quarantine(node: &Node, list: &str) -> anyhow::Result<()> {
    let (store, _) = Store::open(&node.data, |_| (), |_| ())?;
    let (tell, told) = channel();
    let row = Row::Quarantine {
        list: ListId::of(&ListName::new(list)?),
        since_ms: 0,
        reason: "a test says so".to_owned(),
    };
    store.commit(
        vec![row],
        Box::new(move |result| tell.send(result).unwrap_or_default()),
    );
    told.recv()??;
    store.close();
    Ok(())
}
