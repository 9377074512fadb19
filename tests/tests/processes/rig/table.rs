//! The table of figures: what a cluster does on each kind of link, at rest and when something happens.

use super::journal::{self, Millis};
use super::network::Network;
use super::scene::Rig;
use super::watchers::{Said, Watchers};
use super::way::Way;
use crate::fleet::Node;
use anyhow::{Context, ensure};
use std::fmt;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// How long a step of a row may take; bad links make all of them slow.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(20);
/// Over so long it is compared how much nodes send.
const SETTLE: Duration = Duration::from_secs(15);
/// So many changes are written, one a second, to see what a change costs.
const CHANGES: u32 = 20;
/// How many entries each side writes while it is cut off.
const APART: usize = 20;
const THIN: u32 = 64_000;

/// A kind of links.
struct Row {
    key: &'static str,
    title: &'static str,
    hosts: usize,
    make: fn(&Network),
}

const ROWS: [Row; 13] = [
    row("lan", "LAN", |it| all(it, 0, 0.0)),
    Row {
        hosts: 12,
        ..row("lan12", "LAN, 12 hosts", |it| all(it, 0, 0.0))
    },
    row("60", "60 ms", |it| all(it, 60, 0.0)),
    row("300", "300 ms", |it| all(it, 300, 0.0)),
    row("640", "640 ms", |it| all(it, 640, 0.0)),
    row("1500", "1,500 ms", |it| all(it, 1_500, 0.0)),
    row("loss5", "60 ms, 5 % lost", |it| all(it, 60, 0.05)),
    row("loss15", "60 ms, 15 % lost", |it| all(it, 60, 0.15)),
    row("worst", "1,500 ms, 5 % lost", |it| all(it, 1_500, 0.05)),
    row("thin", "60 ms, 64 kbit/s each", thin),
    Row {
        hosts: 6,
        ..row("far", "LAN, n6 at 640 ms", far)
    },
    Row {
        hosts: 12,
        ..row("sites", "two sites of 6, 60 ms, 256 kbit/s", |it| {
            sites(it, 4 * THIN)
        })
    },
    Row {
        hosts: 12,
        ..row("sites64", "two sites of 6, 60 ms, 64 kbit/s", |it| {
            sites(it, THIN)
        })
    },
];

const fn row(key: &'static str, title: &'static str, make: fn(&Network)) -> Row {
    Row {
        key,
        title,
        hosts: 5,
        make,
    }
}

/// A way of half that round trip.
fn half(round_trip_ms: u64) -> Way {
    Way {
        delay: Duration::from_micros(500 * round_trip_ms),
        ..Way::default()
    }
}

fn all(network: &Network, round_trip_ms: u64, loss: f64) {
    network.set_all(|_, _| Way {
        loss,
        ..half(round_trip_ms)
    });
}

/// What a host sends goes through a line of its own.
fn thin(network: &Network) {
    let lines: Vec<usize> = (0..network.hosts).map(|_| network.line(THIN)).collect();
    network.set_all(|from, _| Way {
        line: lines.get(from).copied(),
        ..half(60)
    });
}

fn far(network: &Network) {
    let last = network.hosts - 1;
    let is_far = |from, to| from == last || to == last;
    network.set_all(|from, to| half(if is_far(from, to) { 640 } else { 0 }));
}

/// What one site sends to the other goes through one line.
fn sites(network: &Network, bits_per_second: u32) {
    let lines = [0, 1].map(|_| network.line(bits_per_second));
    let site = |host| usize::from(host >= network.hosts / 2);
    network.set_all(|from, to| {
        if site(from) == site(to) {
            return Way::default();
        }
        Way {
            line: lines.get(site(from)).copied(),
            ..half(60)
        }
    });
}

/// Measures the rows with these keys, all if there are none, resting so long in each.
pub(crate) async fn run(wanted: &[String], rest: Duration) -> anyhow::Result<()> {
    let known = |key: &String| ROWS.iter().any(|row| row.key == key);
    let keys = ROWS.map(|row| row.key).join(" ");
    ensure!(wanted.iter().all(known), "the rows are {keys}");
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{} s at rest in each row; load before: {load}",
        rest.as_secs()
    )?;
    writeln!(out, "{}", Figures::HEAD)?;
    for row in ROWS {
        if wanted.is_empty() || wanted.iter().any(|key| key == row.key) {
            // Where links carry no cluster the other rows are of use all the same.
            let told = measure(&row, rest).await;
            let told = told.map_or_else(|error| format!("| {error:#}"), |it| it.to_string());
            writeln!(out, "{:<33}{told}", row.title)?;
        }
    }
    Ok(())
}

/// What a row tells.
#[derive(Default)]
struct Figures {
    join: Duration,
    suspicions_per_node_hour: f64,
    downs_per_node_hour: f64,
    /// Bytes of UDP payload that a node sends in a second.
    rest: f64,
    /// Bytes that a node sends for a change, whoever made it.
    change: f64,
    detections: Vec<Millis>,
    heal: Duration,
}

impl Figures {
    const HEAD: &str = "links                            |  join, s | suspicions, false downs \
        | bytes/s at | bytes a |  kill seen, s | heal, s\n                                 \
        |          |           per node-hour |       rest |  change |  first   last |";
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |span: Option<&Millis>| span.map_or(f64::NAN, |it| *it as f64 / 1_000.0);
        write!(
            f,
            "| {:8.2} | {:10.1}, {:11.1} | {:10.0} | {:7.0} | {:6.2} {:6.2} | {:7.2}",
            self.join.as_secs_f64(),
            self.suspicions_per_node_hour,
            self.downs_per_node_hour,
            self.rest,
            self.change,
            seconds(self.detections.iter().min()),
            seconds(self.detections.iter().max()),
            self.heal.as_secs_f64(),
        )
    }
}

async fn measure(row: &Row, rest: Duration) -> anyhow::Result<Figures> {
    let mut rig = Rig::new(row.hosts, 7)?;
    (row.make)(&rig.network);
    let last = row.hosts - 1;
    let mut figures = Figures::default();
    for node in &mut rig.fleet.nodes[..last] {
        node.start()?;
    }
    whole(&rig.fleet.nodes[..last]).await?;
    rig.fleet.nodes[0].add("list", "first").await?;

    let begun = Instant::now();
    rig.fleet.nodes[last].start()?;
    whole(&rig.fleet.nodes).await?;
    figures.join = begun.elapsed();
    agree(&rig.fleet.nodes).await?;

    let watchers = Watchers::start(&rig.fleet.nodes);
    at_rest(&rig, &watchers, rest, &mut figures).await?;
    figures.detections = detect(&mut rig, &watchers).await?;
    rig.fleet.nodes[last].start()?;
    whole(&rig.fleet.nodes).await?;
    figures.heal = heal(&rig, row.make).await?;
    Ok(figures)
}

/// What a cluster costs in which nothing happens but a change now and then.
async fn at_rest(
    rig: &Rig,
    watchers: &Watchers,
    rest: Duration,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let nodes = &rig.fleet.nodes;
    let count = nodes.len() as f64;
    settle(nodes).await?;
    let (begun, before) = (journal::now(), sent(nodes).await?);
    tokio::time::sleep(rest).await;
    let spent = (sent(nodes).await? - before) / count;
    figures.rest = spent / rest.as_secs_f64();

    let before = sent(nodes).await?;
    let changing = Instant::now();
    for nth in 0..CHANGES {
        nodes[0].add("list", &format!("change {nth}")).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    agree(nodes).await?;
    let spent = (sent(nodes).await? - before) / count;
    let own = figures.rest * changing.elapsed().as_secs_f64();
    figures.change = (spent - own) / f64::from(CHANGES);

    let hours = (journal::now() - begun) as f64 / 3_600_000.0 * count;
    let said = watchers.said(|_, at| at);
    let said = |what| {
        let so = |it: &&Said| it.at >= begun && it.what == what;
        said.iter().filter(so).count() as f64 / hours
    };
    figures.suspicions_per_node_hour = said("suspect");
    figures.downs_per_node_hour = said("down");
    Ok(())
}

/// Waits until what joining has left to do is over: nodes send about as much as before, and no less.
async fn settle(nodes: &[Node]) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut last = f64::MAX;
    while begun.elapsed() < PATIENCE {
        let before = sent(nodes).await?;
        tokio::time::sleep(SETTLE).await;
        let now = sent(nodes).await? - before;
        if now > 0.8 * last {
            break;
        }
        last = now;
    }
    Ok(())
}

/// Kills the last node; gives how long it took each other one to say so.
async fn detect(rig: &mut Rig, watchers: &Watchers) -> anyhow::Result<Vec<Millis>> {
    let last = rig.network.hosts - 1;
    let killed = journal::now();
    rig.fleet.nodes[last].kill()?;
    until("all say that it is down", async || {
        let said = watchers.said(|_, at| at);
        let spans = (0..last).map(|by| {
            let is_it = |it: &&Said| it.by == by && it.of == last && it.what == "down";
            let it = said.iter().filter(is_it).find(|it| it.at >= killed);
            it.map(|it| it.at - killed)
        });
        spans.collect::<Option<Vec<Millis>>>().context("not all")
    })
    .await
}

/// Cuts the last host off until it is down, writes on both sides, and mends; gives how long it takes
/// until all see each other and have the same lists.
async fn heal(rig: &Rig, make: fn(&Network)) -> anyhow::Result<Duration> {
    let nodes = &rig.fleet.nodes;
    let last = nodes.len() - 1;
    rig.network.cut_off(last);
    until("the last one is alone", async || {
        for node in &nodes[..last] {
            let partition = node.get("/v1/partition").await?.json();
            ensure!(partition["reachable"] == last, "{partition}");
        }
        let partition = nodes[last].get("/v1/partition").await?.json();
        ensure!(partition["verdict"] == "alone", "{partition}");
        Ok(())
    })
    .await?;
    for nth in 0..APART {
        for node in [&nodes[0], &nodes[last]] {
            node.add("list", &format!("{nth} of {}", node.name)).await?;
        }
    }
    make(&rig.network);
    let begun = Instant::now();
    whole(nodes).await?;
    agree(nodes).await?;
    Ok(begun.elapsed())
}

/// Waits until all nodes see all of them.
async fn whole(nodes: &[Node]) -> anyhow::Result<()> {
    until("all nodes see each other", async || {
        for node in nodes {
            let partition = node.get("/v1/partition").await?.json();
            let is_whole = partition["verdict"] == "whole" && partition["expected"] == nodes.len();
            ensure!(is_whole, "{}: {partition}", node.name);
        }
        Ok(())
    })
    .await
}

/// Waits until all nodes have the same changes of all lists.
async fn agree(nodes: &[Node]) -> anyhow::Result<()> {
    until("all nodes have the same lists", async || {
        let first = nodes[0].lists().await?;
        for node in nodes {
            ensure!(node.lists().await? == first, "{} differs", node.name);
        }
        Ok(())
    })
    .await
}

async fn until<T>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if begun.elapsed() > PATIENCE => {
                return Err(error.context(format!("in vain: {what}")));
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// How many bytes of UDP payload these nodes have sent.
async fn sent(nodes: &[Node]) -> anyhow::Result<f64> {
    const FAMILY: &str = "muster_transport_udp_bytes_total{direction=\"sent\"} ";
    let mut all = 0.0;
    for node in nodes {
        let metrics = node.get("/metrics").await?.text;
        let value = metrics.lines().find_map(|line| line.strip_prefix(FAMILY));
        let value = value.context("a node counts what it sends")?;
        all += value.parse::<f64>()?;
    }
    Ok(all)
}
