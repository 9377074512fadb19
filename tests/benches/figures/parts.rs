//! The rows of the table.

use crate::fleet::{self, Fleet, Node, eventually, items};
use crate::load::{Measured, Wire, drive, get, post};
use crate::processes;
use anyhow::{Context, ensure};
use rustix::process::Signal;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const SMALL_LISTS: usize = 1_000;

/// Runs the wanted parts, all when none is named.
pub(crate) async fn run(wanted: &[String]) -> anyhow::Result<()> {
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    println!(
        "{:<58} {:>12} {:>9} {:>9}   disk: fdatasync p50",
        "figure", "per second", "p50 ms", "p99 ms"
    );
    if is_wanted("adds") || is_wanted("adds-1") {
        adds(1).await?;
    }
    if is_wanted("adds") || is_wanted("adds-3") {
        adds(3).await?;
    }
    if is_wanted("growing") {
        growing(10_000).await?;
        growing(100_000).await?;
    }
    if is_wanted("reads") {
        reads().await?;
    }
    if is_wanted("visible") {
        visible().await?;
    }
    if is_wanted("catch-up") {
        catch_up(10_000).await?;
    }
    if is_wanted("detection") {
        detection().await?;
    }
    if is_wanted("cut") {
        cut(Duration::from_secs(20)).await?;
        cut(Duration::from_secs(120)).await?;
    }
    if is_wanted("registering") {
        processes::registering().await?;
    }
    if is_wanted("found") {
        processes::found().await?;
    }
    if is_wanted("gone") {
        processes::gone().await?;
    }
    if is_wanted("heal") {
        processes::heal().await?;
    }
    if is_wanted("memory") || is_wanted("memory-0") {
        memory(0).await?;
    }
    if is_wanted("memory") || is_wanted("memory-100000") {
        memory(100_000).await?;
    }
    Ok(())
}

pub(crate) fn seconds() -> Duration {
    let text = std::env::var("FIGURES_SECONDS").unwrap_or_default();
    Duration::from_secs_f64(text.parse().unwrap_or(5.0))
}

/// The disk's own speed where the nodes keep their data: small appends, each followed by fdatasync.
fn fdatasync(dir: &Path) -> anyhow::Result<Measured> {
    let path = dir.join("fdatasync");
    let mut file = File::create(&path)?;
    let (mut measured, begun) = (Measured::default(), Instant::now());
    while begun.elapsed() < Duration::from_millis(500) {
        let one = Instant::now();
        file.write_all(&[7; 600])?;
        file.sync_data()?;
        measured.add(one.elapsed());
    }
    measured.span = begun.elapsed();
    std::fs::remove_file(path)?;
    Ok(measured)
}

pub(crate) fn row(dir: &Path, figure: &str, measured: &mut Measured) -> anyhow::Result<()> {
    let mut disk = fdatasync(dir)?;
    let (rate, p50, p99) = (
        measured.per_second(),
        measured.percentile(50),
        measured.percentile(99),
    );
    println!(
        "{figure:<58} {rate:>12.0} {p50:>9.2} {p99:>9.2}   {:.2} ms, {:.0}/s",
        disk.percentile(50),
        disk.per_second()
    );
    Ok(())
}

pub(crate) fn value(dir: &Path, figure: &str, value: &str) -> anyhow::Result<()> {
    println!(
        "{figure:<58} {value:>32}   {:.2} ms",
        fdatasync(dir)?.percentile(50)
    );
    Ok(())
}

fn title(client: usize, number: usize) -> String {
    format!("{{\"title\":\"call the plumber about the leaking tap {client}-{number}\"}}")
}

async fn adds(nodes: usize) -> anyhow::Result<()> {
    let fleet = Fleet::started(nodes).await?;
    let node = &fleet.nodes[0];
    for clients in client_counts() {
        let span = seconds();
        let request = move |client: usize, number: usize| {
            let list = (number * clients + client) % SMALL_LISTS;
            post(
                &format!("/v1/lists/small{list}/entries"),
                &title(client, number),
            )
        };
        let before = cpu_of_all(&fleet)?;
        let mut measured = drive(
            &node.socket(),
            clients,
            move |_, elapsed| elapsed < span,
            request,
        )
        .await?;
        let behind = Instant::now();
        fleet.agree().await?;
        let lag = if nodes > 1 {
            format!(
                ", replicas agree {:.1} s later",
                behind.elapsed().as_secs_f64()
            )
        } else {
            String::new()
        };
        let micros = (cpu_of_all(&fleet)? - before) * 1e6 / measured.count() as f64;
        row(
            fleet.dir.path(),
            &format!("durable adds, {nodes} node(s), {clients} client(s), small lists{lag}"),
            &mut measured,
        )?;
        value(
            fleet.dir.path(),
            "    processor time of all nodes for one of them",
            &format!("{micros:.0} us"),
        )?;
    }
    if nodes > 1 {
        suspicions(&fleet).await
    } else {
        Ok(())
    }
}

/// `$FIGURES_CLIENTS`, or all counts of the table.
fn client_counts() -> Vec<usize> {
    let given = std::env::var("FIGURES_CLIENTS")
        .ok()
        .and_then(|text| text.parse().ok());
    given.map_or(vec![1, 8, 64], |clients| vec![clients])
}

fn cpu_of_all(fleet: &Fleet) -> anyhow::Result<f64> {
    fleet
        .nodes
        .iter()
        .filter_map(Node::pid)
        .map(cpu_seconds)
        .sum()
}

/// While clients wrote, nobody may have been suspected, let alone declared down.
async fn suspicions(fleet: &Fleet) -> anyhow::Result<()> {
    let (mut suspected, mut failed, mut declared) = (0, 0.0, 0.0);
    for node in &fleet.nodes {
        let metrics = node.get("/metrics").await?.text;
        failed += metric(&metrics, "muster_cluster_probes_failed_total");
        declared += metric(&metrics, "muster_cluster_declared_down_total");
        suspected += node
            .log()
            .lines()
            .filter(|line| line.contains("state=\"suspect\""))
            .count();
    }
    let text = format!("{suspected} suspected, {declared} down, {failed} probes failed");
    value(fleet.dir.path(), "healthy nodes meanwhile", &text)
}

pub(crate) fn metric(metrics: &str, name: &str) -> f64 {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok())
        .unwrap_or(f64::NAN)
}

async fn growing(size: usize) -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let mut small = add_to("one", node, 200).await?;
    row(
        fleet.dir.path(),
        "durable adds, 1 client, one list of 0 to 200 entries",
        &mut small,
    )?;
    fill(node, "one", size).await?;
    let mut large = add_to("one", node, 500).await?;
    row(
        fleet.dir.path(),
        &format!("the same, one list of {size} entries"),
        &mut large,
    )
}

async fn add_to(list: &'static str, node: &Node, count: usize) -> anyhow::Result<Measured> {
    let request =
        move |client, number| post(&format!("/v1/lists/{list}/entries"), &title(client, number));
    drive(&node.socket(), 1, move |done, _| done < count, request).await
}

async fn fill(node: &Node, list: &str, count: usize) -> anyhow::Result<()> {
    let mut wire = Wire::connect(&node.socket()).await?;
    for batch in 0..count.div_ceil(1_000) {
        let entries: Vec<_> = (0..1_000.min(count))
            .map(|n| json!({ "title": format!("entry {batch}-{n}") }))
            .collect();
        let body = json!({ "entries": entries }).to_string();
        let (status, answer) = wire
            .exchange(&post(&format!("/v1/lists/{list}/entries"), &body))
            .await?;
        ensure!(
            status == 201,
            "{status}: {}",
            String::from_utf8_lossy(answer)
        );
    }
    Ok(())
}

async fn reads() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let mut wire = Wire::connect(&node.socket()).await?;
    for list in 0..100 {
        let entries: Vec<_> = (0..10).map(|n| json!({ "title": format!("entry {n}"), "due": format!("2026-12-{:02}", n + 1) })).collect();
        wire.exchange(&post(
            &format!("/v1/lists/read{list}/entries"),
            &json!({ "entries": entries }).to_string(),
        ))
        .await?;
    }
    let span = seconds();
    for clients in [1, 64] {
        let request = move |client: usize, number: usize| {
            get(&format!(
                "/v1/lists/read{}/entries?due=2026-12-05",
                (client + number) % 100
            ))
        };
        let mut measured = drive(
            &node.socket(),
            clients,
            move |_, elapsed| elapsed < span,
            request,
        )
        .await?;
        row(
            fleet.dir.path(),
            &format!("reads by date, lists of 10 entries, {clients} client(s)"),
            &mut measured,
        )?;
        let mut empty = drive(
            &node.socket(),
            clients,
            move |_, elapsed| elapsed < span,
            |_, _| get("/healthz"),
        )
        .await?;
        row(
            fleet.dir.path(),
            &format!("an empty request (GET /healthz), {clients} client(s)"),
            &mut empty,
        )?;
    }
    Ok(())
}

async fn visible() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    for size in [10, 1_000] {
        let list = format!("visible{size}");
        fill(&fleet.nodes[0], &list, size).await?;
        fleet.agree().await?;
        let (mut here, mut there) = (
            Wire::connect(&fleet.nodes[0].socket()).await?,
            Wire::connect(&fleet.nodes[1].socket()).await?,
        );
        let (mut measured, begun) = (Measured::default(), Instant::now());
        while begun.elapsed() < seconds() {
            let (_, body) = here
                .exchange(&post(
                    &format!("/v1/lists/{list}/entries"),
                    &title(0, measured.count()),
                ))
                .await?;
            let acknowledged = Instant::now();
            let entry: serde_json::Value = serde_json::from_slice(body)?;
            let request = get(&format!(
                "/v1/lists/{list}/entries/{}",
                entry["id"].as_str().context("no id")?
            ));
            while there.exchange(&request).await?.0 != 200 {
                ensure!(
                    acknowledged.elapsed() < Duration::from_secs(10),
                    "never readable elsewhere"
                );
            }
            measured.add(acknowledged.elapsed());
        }
        measured.span = begun.elapsed();
        row(
            fleet.dir.path(),
            &format!("acknowledged on A, readable on B (list of {size}+ entries)"),
            &mut measured,
        )?;
    }
    Ok(())
}

async fn catch_up(missed: usize) -> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
    fleet.nodes[2].stop()?;
    let request = |client: usize, number: usize| {
        post(
            &format!("/v1/lists/missed{}/entries", (number * 64 + client) % 100),
            &title(client, number),
        )
    };
    let measured = drive(
        &fleet.nodes[0].socket(),
        64,
        move |done, _| done < missed,
        request,
    )
    .await?;
    let begun = Instant::now();
    fleet.nodes[2].start()?;
    fleet.agree().await?;
    let text = format!("{:.2} s from its start", begun.elapsed().as_secs_f64());
    value(
        fleet.dir.path(),
        &format!(
            "catch-up of {} missed writes in 100 lists",
            measured.count()
        ),
        &text,
    )
}

async fn detection() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let begun = Instant::now();
    fleet.nodes[2].signal(Signal::KILL)?;
    for index in [0, 1] {
        let node = &fleet.nodes[index];
        eventually("n3 is down", async || {
            let members = node.get("/v1/members").await?.json();
            ensure!(
                items(&members)
                    .iter()
                    .any(|member| member["name"] == "n3" && member["state"] == "down")
            );
            Ok(())
        })
        .await?;
    }
    value(
        fleet.dir.path(),
        "a killed node is down on both others",
        &format!("{:.2} s", begun.elapsed().as_secs_f64()),
    )
}

/// One node of three is cut off, all are written to, and the cut heals.
async fn cut(span: Duration) -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    fleet.split(&[2]).await?;
    tokio::time::sleep(span).await;
    for (index, node) in fleet.nodes.iter().enumerate() {
        fill(node, &format!("apart{index}"), 1_000).await?;
    }
    let begun = Instant::now();
    fleet.split(&[]).await?;
    fleet.whole().await?;
    fleet.agree().await?;
    let text = format!("{:.2} s", begun.elapsed().as_secs_f64());
    value(
        fleet.dir.path(),
        &format!(
            "members and lists agree after a cut of {} s",
            span.as_secs()
        ),
        &text,
    )
}

async fn memory(lists: usize) -> anyhow::Result<()> {
    let mut fleet = Fleet::started(1).await?;
    let entries: Vec<_> = (0..10)
        .map(|n| json!({ "title": format!("entry {n}") }))
        .collect();
    // Lives as long as this program: the clients share it.
    let body: &'static str = json!({ "entries": entries }).to_string().leak();
    let request = |client: usize, number: usize| {
        post(&format!("/v1/lists/many{client}-{number}/entries"), body)
    };
    let mut filled = drive(
        &fleet.nodes[0].socket(),
        16,
        move |done, _| done < lists,
        request,
    )
    .await?;
    if lists > 0 {
        row(
            fleet.dir.path(),
            "lists of 10 entries made, 16 clients",
            &mut filled,
        )?;
        let figures = format!(
            "{:.1} MB",
            resident_mb(fleet.nodes[0].pid().context("it runs")?)?
        );
        value(
            fleet.dir.path(),
            &format!("after making {lists} lists of 10 entries"),
            &figures,
        )?;
    }
    fleet.nodes[0].stop()?;
    let begun = Instant::now();
    fleet.nodes[0].start()?;
    let start = begun.elapsed();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let pid = fleet.nodes[0].pid().context("it runs")?;
    let before = cpu_seconds(pid)?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let cpu = (cpu_seconds(pid)? - before) / 10.0 * 100.0;
    let figures = format!(
        "{:.1} MB, {cpu:.2} % of a core, start {:.0} ms",
        resident_mb(pid)?,
        start.as_secs_f64() * 1e3
    );
    value(
        fleet.dir.path(),
        &format!("idle after a restart, {lists} lists of 10 entries"),
        &figures,
    )?;
    scrapes(&fleet, lists).await
}

async fn scrapes(fleet: &Fleet, lists: usize) -> anyhow::Result<()> {
    const SCRAPES: usize = 500;
    let node = &fleet.nodes[0];
    let pid = node.pid().context("it runs")?;
    let before = cpu_seconds(pid)?;
    let mut measured = drive(
        &node.socket(),
        1,
        |done, _| done < SCRAPES,
        |_, _| get("/metrics"),
    )
    .await?;
    let cpu = (cpu_seconds(pid)? - before) * 1e3 / measured.count() as f64;
    row(
        fleet.dir.path(),
        &format!("scrapes of a node with {lists} lists, {cpu:.2} ms of processor time each"),
        &mut measured,
    )
}

fn resident_mb(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1_024.0)
}

fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
            .context("no cpu time")
    };
    let hertz: f64 = fleet::run(Command::new("getconf").arg("CLK_TCK"))?
        .trim()
        .parse()?;
    Ok((ticks(11)? + ticks(12)?) / hertz)
}
