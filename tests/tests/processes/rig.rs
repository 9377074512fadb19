//! Real daemons on hosts with networks of their own, joined by a switch that makes links as bad as links
//! get, and a workload that checks itself.
//!
//! A *way* is what frames from one host to another meet: delay, jitter, loss, duplication, a bandwidth,
//! a cut. The *weather* is a sequence of such troubles and of kills, drawn from a seed; what the hosts do
//! in it is not the same twice. `tests/rig` runs more of it by hand than the tests here.

mod clock;
mod journal;
mod ledger;
mod membership;
mod network;
mod registrants;
mod replicas;
mod scene;
mod switch;
mod table;
mod watchers;
mod way;
mod weather;
mod workload;
mod writers;

use crate::hosts::may_run;
use std::time::Duration;
use workload::Order;

/// A number that `tests/rig` has passed on.
fn given(variable: &str) -> anyhow::Result<Option<u64>> {
    let value = std::env::var(variable).ok();
    Ok(value.map(|value| value.parse()).transpose()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_in_bad_weather() -> anyhow::Result<()> {
    if !may_run() {
        return Ok(());
    }
    let order = Order {
        hosts: 5,
        span: Duration::from_secs(60),
        seed: 7,
    };
    workload::run(order).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tests/rig runs it: as long, with as many hosts and in the weather that it is told"]
async fn workload_by_hand() -> anyhow::Result<()> {
    let order = Order {
        hosts: usize::try_from(given("RIG_HOSTS")?.unwrap_or(5))?,
        span: Duration::from_secs(given("RIG_SECONDS")?.unwrap_or(120)),
        seed: given("RIG_SEED")?.unwrap_or(7),
    };
    workload::run(order).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tests/rig --table runs it: figures, to be read by people"]
async fn table_by_hand() -> anyhow::Result<()> {
    let rest = Duration::from_secs(given("RIG_SECONDS")?.unwrap_or(30));
    let rows = std::env::var("RIG_ROWS").unwrap_or_default();
    let rows: Vec<String> = rows.split_whitespace().map(str::to_owned).collect();
    table::run(&rows, rest).await
}
