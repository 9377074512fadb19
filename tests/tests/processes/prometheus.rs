//! A real Prometheus that finds its targets among registered processes.

use crate::fleet::{Fleet, Node, eventually};
use crate::scraper::{Program, Prometheus};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A program with metrics, as anybody would write one. Prints its port.
const EXPORTER: &str = "
import http.server
class Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain; version=0.0.4')
        self.end_headers()
        self.wfile.write(b'bilge_water_litres 7\\n')
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(('127.0.0.1', 0), Metrics)
print(server.server_port, flush=True)
server.serve_forever()
";

/// Starts an exporter; gives its port too.
fn exporter() -> anyhow::Result<(Program, u16)> {
    let mut program = Program::start(
        Command::new("python3")
            .args(["-c", EXPORTER])
            .stdout(Stdio::piped()),
    )?;
    let line = program.line()?;
    Ok((
        program,
        line.parse()
            .with_context(|| format!("{line:?} is no port"))?,
    ))
}

async fn register(
    node: &Node,
    name: &str,
    program: &Program,
    mut body: Value,
) -> anyhow::Result<()> {
    body["pid"] = program.id().into();
    let answer = node
        .call("PUT", &format!("/v1/processes/{name}"), Some(&body))
        .await?;
    ensure!(answer.status == 201, "{answer:?}");
    Ok(())
}

/// What the README tells people to write, with short times. Without `type: Bearer`, which is the
/// default by Prometheus' own documentation, Debian's sends the bare token.
fn configuration(listener: &str, token: &Path) -> String {
    format!(
        "global: {{ scrape_interval: 1s }}
scrape_configs:
  - job_name: muster
    http_sd_configs:
      - url: http://{listener}/v1/sd/prometheus?group=crew
        refresh_interval: 1s
        authorization: {{ credentials_file: {token:?} }}
    relabel_configs:
      - {{ source_labels: [__meta_muster_name], target_label: name }}
      - {{ source_labels: [__meta_muster_node], target_label: node }}
      - {{ regex: __meta_muster_metadata_(.+), action: labelmap }}
"
    )
}

/// Starts one whose targets that node tells, to the bearer of a token that the command line made.
async fn discovering(node: &Node) -> anyhow::Result<Prometheus> {
    let dir = TempDir::with_prefix("prometheus")?;
    let token = node.muster(&["token", "create", "--scope", "sd", "--ttl", "1h"])?;
    ensure!(token.status.success(), "{token:?}");
    std::fs::write(dir.path().join("token"), token.stdout)?;
    let listener = node.get("/v1/node").await?.json()["http"]
        .as_str()
        .context("no listener")?
        .to_owned();
    let configuration = configuration(&listener, &dir.path().join("token"));
    Prometheus::start(dir, &configuration)
}

/// The labels of all targets.
async fn labels(prometheus: &Prometheus) -> anyhow::Result<Vec<Value>> {
    let targets = prometheus.get("/api/v1/targets?state=active").await?;
    Ok(targets["activeTargets"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|target| target["labels"].clone())
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_scrapes_what_is_registered_and_sees_what_has_failed()
-> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let (near, far) = (&fleet.nodes[0], &fleet.nodes[1]);
    let ((pump, pump_port), (sail, sail_port), (idle, _)) = (exporter()?, exporter()?, exporter()?);
    let address = format!("127.0.0.1:{pump_port}");
    register(
        far,
        "pump:1",
        &pump,
        json!({ "groups": ["crew"], "address": address, "metadata": { "ship.deck": "lower" } }),
    )
    .await?;
    register(
        near,
        "sail",
        &sail,
        json!({ "groups": ["crew"], "metadata": { "port": sail_port.to_string() } }),
    )
    .await?;
    register(near, "idle", &idle, json!({ "groups": ["crew"] })).await?;
    register(
        near,
        "other",
        &idle,
        json!({ "address": "127.0.0.1:9", "groups": ["else"] }),
    )
    .await?;
    let prometheus = discovering(near).await?;
    eventually("both are scraped", async || {
        let series = prometheus.series("bilge_water_litres").await?;
        ensure!(
            series.len() == 2 && series.iter().all(|series| series["value"][1] == "7"),
            "{series:?}"
        );
        Ok(())
    })
    .await?;
    let mut targets = labels(&prometheus).await?;
    targets.sort_by_key(|labels| labels["name"].to_string());
    let sail_address = format!("127.0.0.1:{sail_port}");
    let expected = [
        json!({ "name": "pump:1", "node": "n2", "ship_deck": "lower", "instance": address, "job": "muster" }),
        json!({ "name": "sail", "node": "n1", "port": sail_port.to_string(), "instance": sail_address, "job": "muster" }),
    ];
    ensure!(targets == expected, "{targets:?}");
    drop(pump);
    eventually("the dead one is a target that fails", async || {
        let series = prometheus.series("up").await?;
        let up = |name: &str| {
            let found = series.iter().find(|one| one["metric"]["name"] == name);
            found.map(|one| one["value"][1].clone())
        };
        ensure!(up("pump:1") == Some(json!("0")), "{series:?}");
        ensure!(up("sail") == Some(json!("1")), "{series:?}");
        Ok(())
    })
    .await?;
    ensure!(near.muster(&["unregister", "sail"])?.status.success());
    eventually("one that was unregistered is no target", async || {
        let targets = labels(&prometheus).await?;
        ensure!(
            targets.len() == 1 && targets[0]["name"] == "pump:1",
            "{targets:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_sight_is_no_target() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(2).await?;
    let (program, port) = exporter()?;
    register(
        &fleet.nodes[1],
        "pump",
        &program,
        json!({ "address": format!("127.0.0.1:{port}") }),
    )
    .await?;
    let targets = async |node: &Node| {
        let answer = node.get("/v1/sd/prometheus").await?;
        ensure!(
            answer.status == 200 && answer.header("content-type") == "application/json",
            "{answer:?}"
        );
        Ok(answer.json().as_array().map_or(0, Vec::len))
    };
    eventually("it is a target on both", async || {
        ensure!(targets(&fleet.nodes[0]).await? == 1 && targets(&fleet.nodes[1]).await? == 1);
        Ok(())
    })
    .await?;
    fleet.nodes[1].signal(rustix::process::Signal::STOP)?;
    let gone = eventually("its node is out of sight", async || {
        let found = fleet.nodes[0].get("/v1/processes/pump").await?.json();
        ensure!(
            found["state"] == "unreachable" && targets(&fleet.nodes[0]).await? == 0,
            "{found}"
        );
        Ok(())
    })
    .await;
    fleet.nodes[1].signal(rustix::process::Signal::CONT)?;
    gone?;
    fleet.whole().await?;
    eventually("it is a target again", async || {
        ensure!(targets(&fleet.nodes[0]).await? == 1);
        Ok(())
    })
    .await?;
    fleet.nodes[1].stop()
}
