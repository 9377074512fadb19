//! The rows of the table about what a node with many lists uses while nobody writes.

use crate::fleet::Fleet;
use crate::load::{drive, get, post};
use crate::table::{row, value};
use crate::usage::{cpu_seconds, resident_mb};
use anyhow::Context;
use serde_json::json;
use std::time::{Duration, Instant};

/// What a node uses that has these lists, while they are made and after a restart.
pub(crate) async fn memory(lists: usize) -> anyhow::Result<()> {
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
