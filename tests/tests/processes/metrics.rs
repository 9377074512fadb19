//! What a node exports for Prometheus.

use crate::away::is_in_state;
use crate::fleet::{Fleet, Node, eventually};
use crate::http::Client;
use crate::registry::Sleeper;
use anyhow::{Context, ensure};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

/// One family, as it is exported.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Family {
    pub(crate) kind: String,
    help: String,
    labels: BTreeSet<String>,
    series: BTreeMap<String, f64>,
}

/// All families of a text in Prometheus' format, by name.
pub(crate) fn families(text: &str) -> anyhow::Result<BTreeMap<String, Family>> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').with_context(|| line.to_owned())?;
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').with_context(|| line.to_owned())?;
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let of_histogram = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            let name = of_histogram
                .filter(|family| families.contains_key(*family))
                .unwrap_or(name);
            let family = families.get_mut(name).with_context(|| {
                format!(
                    "{line}: no HELP and TYPE \
                before it"
                )
            })?;
            let names = labels
                .split(',')
                .filter_map(|label| label.split_once('='))
                .map(|(name, _)| name.to_owned());
            family.labels.extend(names.filter(|name| name != "le"));
            ensure!(
                family
                    .series
                    .insert(series.to_owned(), value.parse()?)
                    .is_none(),
                "{series} is there twice"
            );
        }
    }
    Ok(families)
}

async fn scrape(node: &Node) -> anyhow::Result<BTreeMap<String, Family>> {
    let answer = node.get("/metrics").await?;
    ensure!(
        answer.status == 200
            && answer
                .header("content-type")
                .starts_with("text/plain; version=0.0.4"),
        "{answer:?}"
    );
    families(&answer.text)
}

/// All series of a node.
fn series(families: &BTreeMap<String, Family>) -> BTreeSet<&String> {
    families
        .values()
        .flat_map(|family| family.series.keys())
        .collect()
}

pub(crate) fn dashboards() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_metrics_is_what_a_node_exports() -> anyhow::Result<()> {
    // Some families have a series for each other member, for one that is away, and for each process that
    // is expected.
    let mut fleet = Fleet::started(3).await?;
    fleet.nodes[2].kill()?;
    is_in_state(&[&fleet.nodes[0]], "n3", "down").await?;
    let away = ["away", "n3", "--for", "1d"];
    ensure!(fleet.nodes[0].muster(&away)?.status.success());
    let config = fleet.nodes[0].config();
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, text + "[processes]\nexpect = [\"web\"]\n")?;
    ensure!(fleet.nodes[0].muster(&["reload"])?.status.success());
    let exported: Vec<String> = scrape(&fleet.nodes[0]).await?.iter().map(row).collect();
    let file = dashboards().join("METRICS.md");
    let text = std::fs::read_to_string(&file)?;
    let documented: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    ensure!(
        documented == exported,
        "{} should hold these \
        rows:\n{}",
        file.display(),
        exported.join("\n")
    );
    Ok(())
}

fn row((name, family): (&String, &Family)) -> String {
    let labels: Vec<String> = family
        .labels
        .iter()
        .map(|label| format!("`{label}`"))
        .collect();
    format!(
        "| `{name}` | {} | {} | {} |",
        family.kind,
        labels.join(", "),
        family.help
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_exported_from_the_start_and_by_the_conventions() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(1)?;
    fleet.nodes[0].start()?;
    let answer = fleet.nodes[0].get("/metrics").await?;
    let families = families(&answer.text)?;
    for (name, family) in &families {
        let is_by_name = name.starts_with("muster_member_") || *name == "muster_processes_expected";
        ensure!(
            !family.help.is_empty() && (is_by_name || !family.series.is_empty()),
            "{name}: {family:?}"
        );
        ensure!(
            name.starts_with("muster_") || name.starts_with("process_"),
            "{name}"
        );
        ensure!(
            name.ends_with("_total") == (family.kind == "counter"),
            "{name}: {family:?}"
        );
    }
    for (family, series) in [
        (
            "muster_api_requests_total",
            "muster_api_requests_total{operation=\"add\",status=\"2xx\"}",
        ),
        (
            "muster_api_request_duration_seconds",
            "muster_api_request_duration_seconds_count{operation=\"add\"}",
        ),
        ("muster_store_failures_total", "muster_store_failures_total"),
        (
            "muster_tokens_rejected_total",
            "muster_tokens_rejected_total{reason=\"unknown\"}",
        ),
        ("muster_tokens_good", "muster_tokens_good{scope=\"sd\"}"),
        (
            "muster_reloads_total",
            "muster_reloads_total{result=\"refused\"}",
        ),
        (
            "muster_watchdog_withheld_total",
            "muster_watchdog_withheld_total{part=\"store\"}",
        ),
        (
            "muster_transport_refused_total",
            "muster_transport_refused_total{reason=\"untrusted\"}",
        ),
        (
            "muster_cluster_verdict",
            "muster_cluster_verdict{verdict=\"alone\"}",
        ),
    ] {
        ensure!(
            families
                .get(family)
                .and_then(|family| family.series.get(series))
                == Some(&0.0),
            "{series} is not there at 0"
        );
    }
    let expiry = &families["muster_transport_certificate_expiry_timestamp_seconds"].series;
    ensure!(
        expiry.len() == 2 && expiry.values().all(|at| *at > 1.7e9),
        "{expiry:?}"
    );
    promtool_finds_nothing(&fleet, &answer.text)
}

/// Prometheus' own check of names, types and help.
fn promtool_finds_nothing(fleet: &Fleet, text: &str) -> anyhow::Result<()> {
    let file = fleet.dir.path().join("metrics");
    std::fs::write(&file, text)?;
    let mut promtool = Command::new("promtool");
    let output = promtool
        .args(["check", "metrics"])
        .stdin(std::fs::File::open(&file)?)
        .output()
        .context("promtool is needed")?;
    let told = [output.stdout, output.stderr].concat();
    ensure!(
        output.status.success() && told.is_empty(),
        "{}",
        String::from_utf8_lossy(&told)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_cluster_counts_no_refusals_and_no_failures() -> anyhow::Result<()> {
    // Each node has the first one as its seed, which is so the first one's own.
    let fleet = Fleet::started(3).await?;
    for node in &fleet.nodes {
        let families = scrape(node).await?;
        for family in [
            "muster_transport_refused_total",
            "muster_cluster_malformed_total",
            "muster_transport_violations_total",
        ] {
            ensure!(
                families[family].series.values().all(|times| *times == 0.0),
                "{}: {:?}",
                node.name,
                families[family]
            );
        }
    }
    let first = scrape(&fleet.nodes[0]).await?;
    ensure!(
        value(&first, "muster_cluster_dials_failed_total")? == 0.0
            && value(&first, "muster_transport_dials_failed_total")? == 0.0
    );
    Ok(())
}

/// The value of a family's only series, or of the one with these labels.
fn value(families: &BTreeMap<String, Family>, series: &str) -> anyhow::Result<f64> {
    let name = series.split('{').next().unwrap_or(series);
    families
        .get(name)
        .and_then(|family| family.series.get(series))
        .copied()
        .with_context(|| format!("no {series}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_reloads_are_counted() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(1)?;
    fleet.nodes[0].start()?;
    let node = &fleet.nodes[0];
    let listener = node.get("/v1/node").await?.json()["http"]
        .as_str()
        .context("no listener")?
        .to_owned();
    let mut tcp = Client::connect_tcp(&listener).await?;
    ensure!(tcp.call("GET", "/v1/lists", None).await?.status == 401);
    let token = node
        .call("POST", "/v1/tokens", Some(&json!({ "scope": "read" })))
        .await?
        .json();
    ensure!(
        node.call("POST", "/v1/tokens", Some(&json!({ "scope": "read" })))
            .await?
            .status
            == 201
    );
    let path = format!("/v1/tokens/{}", token["id"].as_str().context("no id")?);
    ensure!(node.call("DELETE", &path, None).await?.status == 204);
    ensure!(node.call("POST", "/v1/reload", None).await?.status == 200);
    let configured = std::fs::read_to_string(node.config())?;
    std::fs::write(node.config(), "nonsense = 1")?;
    ensure!(node.call("POST", "/v1/reload", None).await?.status >= 400);
    std::fs::write(
        node.config(),
        format!("{configured}\n[node]\ntags = [\"deck\"]\n"),
    )?;
    let refused = scrape(node).await?;
    ensure!(node.call("POST", "/v1/reload", None).await?.status == 200);
    let done = scrape(node).await?;
    for (families, series, expected) in [
        (
            &refused,
            "muster_tokens_rejected_total{reason=\"missing\"}",
            1.0,
        ),
        (&refused, "muster_tokens_good{scope=\"read\"}", 1.0),
        (&refused, "muster_reloads_total{result=\"done\"}", 1.0),
        (&refused, "muster_reloads_total{result=\"refused\"}", 1.0),
        (&refused, "muster_reload_last_successful", 0.0),
        (&refused, "muster_reload_restart_keys", 0.0),
        (&done, "muster_reload_last_successful", 1.0),
        (&done, "muster_reload_restart_keys", 1.0),
    ] {
        ensure!(
            value(families, series)? == expected,
            "{series} is {}",
            value(families, series)?
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_lives_and_says_why_it_is_not_ready() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(1)?;
    fleet.nodes[0].start()?;
    let node = &fleet.nodes[0];
    for part in ["cluster", "lists", "store"] {
        ensure!(node.get("/readyz").await?.text == "ready\n");
        ensure!(
            node.call(
                "PUT",
                "/v1/debug/hang",
                Some(&json!({ "part": part, "ms": 4_000 }))
            )
            .await?
            .status
                == 204
        );
        let (ready, health) = (node.get("/readyz").await?, node.get("/healthz").await?);
        ensure!(
            ready.status == 503 && ready.text.contains(&format!("{part} does not answer")),
            "{ready:?}"
        );
        ensure!(health.status == 200, "{health:?}");
        eventually("it is ready again", async || {
            let answer = node.get("/readyz").await?;
            ensure!(answer.status == 200, "{answer:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// What the cardinality is proved with: lists, and names in as many groups.
const LISTS: usize = 10_000;
const NAMES: usize = 2_048;
/// As many names as one process may have.
const NAMES_PER_PROCESS: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_series_does_not_grow_with_what_a_node_holds() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(1)?;
    fleet.nodes[0].start()?;
    let node = &fleet.nodes[0];
    let before = scrape(node).await?;
    let sleepers = (0..NAMES / NAMES_PER_PROCESS).map(|_| Sleeper::start());
    let sleepers = sleepers.collect::<anyhow::Result<Vec<_>>>()?;
    fill(node, sleepers.iter().map(Sleeper::pid).collect()).await?;
    for path in [
        "/v1/lists/no-such",
        "/v1/nothing-here",
        "/v1/processes/no-such",
        "/v1/lists/list1/entries?limit=wrong",
    ] {
        ensure!(node.get(path).await?.status >= 400);
    }
    let after = eventually("the node knows its lists and names", async || {
        let after = scrape(node).await?;
        for (family, count) in [
            ("muster_lists_known", LISTS),
            ("muster_processes_known_names", NAMES),
        ] {
            let mut known = after[family].series.values();
            ensure!(known.all(|known| *known == count as f64), "{family}");
        }
        Ok(after)
    })
    .await?;
    ensure!(
        series(&before) == series(&after),
        "{:?}",
        series(&after)
            .difference(&series(&before))
            .collect::<Vec<_>>()
    );
    let answered = |families: &BTreeMap<String, Family>, series: &str| {
        families["muster_api_requests_total"].series[series]
    };
    ensure!(
        answered(
            &after,
            "muster_api_requests_total{operation=\"add\",status=\"2xx\"}"
        ) == LISTS as f64
    );
    ensure!(
        answered(
            &after,
            "muster_api_requests_total{operation=\"none\",status=\"4xx\"}"
        ) == 1.0
    );
    ensure!(
        after["muster_api_request_duration_seconds"].series["muster_api_request_duration_seconds_count{operation=\"add\"}"]
            == LISTS as f64
    );
    Ok(())
}

/// Makes the lists, and the names of these processes, by many clients at once.
async fn fill(node: &Node, pids: Vec<u32>) -> anyhow::Result<()> {
    const CLIENTS: usize = 64;
    let clients = (0..CLIENTS).map(|first| {
        let (socket, pids) = (node.socket(), pids.clone());
        tokio::spawn(async move {
            let mut client = Client::connect(&socket).await?;
            for number in (first..LISTS).step_by(CLIENTS) {
                let body = json!({ "title": format!("entry {number}"), "tags": [format!("tag{number}")] });
                let answer = client.call("POST", &format!("/v1/lists/list{number}/entries"), Some(&body)).await?;
                ensure!(answer.status == 201, "{answer:?}");
                let Some(pid) = pids.get(number / NAMES_PER_PROCESS) else {
                    continue;
                };
                let body = json!({ "pid": pid, "groups": [format!("group{number}")], "metadata": { "number": number.to_string() } });
                let answer = client.call("PUT", &format!("/v1/processes/name{number}"), Some(&body)).await?;
                ensure!(answer.status == 201, "{answer:?}");
            }
            anyhow::Ok(())
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await??;
    }
    Ok(())
}
