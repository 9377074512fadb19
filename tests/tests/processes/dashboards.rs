//! The dashboards for Grafana: what it takes, and what their queries find.

use crate::fleet::{Fleet, Node, eventually};
use crate::http::Client;
use crate::load::Writers;
use crate::metrics::dashboards;
use crate::scraper::{Prometheus, tool};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What `$__rate_interval` is where all is scraped each second.
const RATE_INTERVAL: &str = "10s";

/// Each file with its text.
fn files() -> anyhow::Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dashboards().join("grafana"))? {
        let path = entry?.path();
        files.push((path.clone(), std::fs::read_to_string(&path)?));
    }
    ensure!(files.len() == 4, "{files:?}");
    Ok(files)
}

#[test]
fn the_dashboards_are_what_grafana_takes() -> anyhow::Result<()> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboards");
    std::fs::create_dir_all(&dir)?;
    for name in ["package.json", "package-lock.json", "check.ts"] {
        std::fs::copy(dashboards().join(name), dir.join(name))?;
    }
    tool(
        "npm",
        &[
            "ci",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefer-offline",
        ],
        &dir,
    )?;
    let mut sources = vec!["check.ts".to_owned()];
    for (path, text) in files()? {
        let name = format!(
            "{}.ts",
            path.file_stem()
                .and_then(|stem| stem.to_str())
                .context("a name")?
        );
        let types = "import type { Dashboard } from \"@grafana/schema\";\nimport type { InFile } \
            from \"./check\";\n";
        std::fs::write(
            dir.join(&name),
            format!(
                "{types}export const dashboard: InFile<Dashboard> \
            = {text};\n"
            ),
        )?;
        sources.push(name);
    }
    let options = [
        "--no-install",
        "tsc",
        "--noEmit",
        "--strict",
        "--module",
        "esnext",
        "--moduleResolution",
        "bundler",
        "--target",
        "es2022",
    ];
    let args: Vec<&str> = options
        .into_iter()
        .chain(sources.iter().map(String::as_str))
        .collect();
    tool("npx", &args, &dir).map(drop)
}

#[test]
fn the_dashboards_can_be_told_apart() -> anyhow::Result<()> {
    let (mut uids, mut titles) = (BTreeSet::new(), BTreeSet::new());
    for (path, text) in files()? {
        let dashboard: Value = serde_json::from_str(&text)?;
        let uid = dashboard["uid"].as_str().context("no uid")?.to_owned();
        ensure!(
            path.file_stem().and_then(|stem| stem.to_str()) == Some(uid.as_str()),
            "{}: {uid}",
            path.display()
        );
        ensure!(
            uids.insert(uid) && titles.insert(dashboard["title"].to_string()),
            "{} is not unique",
            path.display()
        );
        let mut ids = BTreeSet::new();
        for panel in panels(&dashboard)? {
            ensure!(
                ids.insert(panel["id"].as_i64()),
                "{}: {} has another one's id",
                path.display(),
                panel["title"]
            );
            ensure!(
                panel["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{}: {}",
                path.display(),
                panel["title"]
            );
        }
    }
    Ok(())
}

fn panels(dashboard: &Value) -> anyhow::Result<&Vec<Value>> {
    dashboard["panels"]
        .as_array()
        .filter(|panels| !panels.is_empty())
        .context("no panels")
}

/// The queries of a dashboard, each with where it is from: those of its variables and of its
/// panels.
fn queries(dashboard: &Value) -> anyhow::Result<Vec<(String, String)>> {
    let mut queries = Vec::new();
    for variable in dashboard["templating"]["list"]
        .as_array()
        .context("no variables")?
    {
        if variable["type"] == "query" {
            let text = variable["query"].as_str().context("a query")?;
            let (metric, _) = text
                .strip_prefix("label_values(")
                .and_then(|text| text.rsplit_once(','))
                .context(text.to_owned())?;
            queries.push((variable["name"].to_string(), metric.to_owned()));
        }
    }
    for panel in panels(dashboard)? {
        let targets = panel["targets"]
            .as_array()
            .filter(|targets| !targets.is_empty())
            .with_context(|| panel.to_string())?;
        for target in targets {
            queries.push((
                panel["title"].to_string(),
                target["expr"].as_str().context("no expr")?.to_owned(),
            ));
        }
    }
    Ok(queries)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_every_panel_finds_something() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let writers = Writers::start(&fleet.nodes, 1);
    live(&fleet.nodes).await?;
    let prometheus = Prometheus::of(&fleet, &[]).await?;
    let mut asked = 0;
    for (path, text) in files()? {
        for (place, query) in queries(&serde_json::from_str(&text)?)? {
            let query = query
                .replace("$job", "muster")
                .replace("$instance", "n2")
                .replace("$__rate_interval", RATE_INTERVAL);
            ensure!(
                !query.contains('$'),
                "{}: {place}: a variable that is not there: \
                {query}",
                path.display()
            );
            eventually(
                &format!("{}: {place}: {query}", path.display()),
                async || {
                    let series = prometheus.series(&query).await?;
                    let is_number = |series: &&Value| {
                        series["value"][1]
                            .as_str()
                            .is_some_and(|value| value != "NaN")
                    };
                    series
                        .iter()
                        .any(|series| is_number(&series))
                        .then_some(())
                        .with_context(|| format!("{series:?}"))
                },
            )
            .await?;
            asked += 1;
        }
    }
    ensure!(asked > 60, "only {asked} queries");
    ensure!(!writers.finish().await.is_empty());
    Ok(())
}

/// What people and programs do all day, besides writing: processes, tokens, streams.
async fn live(nodes: &[Node]) -> anyhow::Result<()> {
    for (number, node) in nodes.iter().enumerate() {
        let name = format!("/v1/processes/sail{number}");
        ensure!(
            node.call(
                "PUT",
                &name,
                Some(&json!({ "pid": std::process::id(), "groups": ["crew"] }))
            )
            .await?
            .status
                == 201
        );
        ensure!(
            node.call("POST", "/v1/tokens", Some(&json!({ "scope": "read" })))
                .await?
                .status
                == 201
        );
        let listener = node.get("/v1/node").await?.json()["http"]
            .as_str()
            .context("no listener")?
            .to_owned();
        ensure!(
            Client::connect_tcp(&listener)
                .await?
                .call("GET", "/v1/lists", None)
                .await?
                .status
                == 401
        );
    }
    Ok(())
}
