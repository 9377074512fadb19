//! The rows of the table about lists.

use crate::fleet::{Fleet, Node};
use crate::load::{Measured, Wire, drive, get, post};
use crate::table::{row, seconds, value};
use crate::usage::{cpu_of_all, metric};
use anyhow::{Context, ensure};
use serde_json::json;
use std::time::{Duration, Instant};

const SMALL_LISTS: usize = 1_000;

/// Rates of adding to small lists, and the processor time that one addition takes.
pub(crate) async fn adds(nodes: usize) -> anyhow::Result<()> {
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

/// Adding to a short list and to a long one.
pub(crate) async fn growing(size: usize) -> anyhow::Result<()> {
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

/// Reading by date, beside requests that do nothing.
pub(crate) async fn reads() -> anyhow::Result<()> {
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

/// From the answer to an addition on A until B shows the entry.
pub(crate) async fn visible() -> anyhow::Result<()> {
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

/// From the start of a node that missed writes until all nodes agree.
pub(crate) async fn catch_up(missed: usize) -> anyhow::Result<()> {
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

/// `$FIGURES_CLIENTS`, or all counts of the table.
fn client_counts() -> Vec<usize> {
    let given = std::env::var("FIGURES_CLIENTS")
        .ok()
        .and_then(|text| text.parse().ok());
    given.map_or(vec![1, 8, 64], |clients| vec![clients])
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

async fn add_to(list: &'static str, node: &Node, count: usize) -> anyhow::Result<Measured> {
    let request =
        move |client, number| post(&format!("/v1/lists/{list}/entries"), &title(client, number));
    drive(&node.socket(), 1, move |done, _| done < count, request).await
}

pub(crate) async fn fill(node: &Node, list: &str, count: usize) -> anyhow::Result<()> {
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

fn title(client: usize, number: usize) -> String {
    format!("{{\"title\":\"call the plumber about the leaking tap {client}-{number}\"}}")
}
