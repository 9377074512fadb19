//! All metrics in one place: their names, their help, and where their values come from.
//!
//! | part | prefix | from |
//! | --- | --- | --- |
//! | membership | `muster_cluster_` | the parts' plain numbers, read at each scrape (`snapshot`, shown by `families` and `labelled`) |
//! | QUIC | `muster_transport_` | likewise |
//! | to-do lists and their replication | `muster_lists_` | likewise |
//! | registered processes | `muster_processes_` | likewise |
//! | the store | `muster_store_` | likewise; the time of a sync as it happens |
//! | the HTTP API | `muster_api_` | as it happens (`recorded`) |
//! | tokens | `muster_tokens_` | those that are good, at each scrape; those that were not, as it happens |
//! | reloads, the watchdog | `muster_reload_`, `muster_watchdog_` | as it happens |
//! | the process | `process_` | the kernel, at each scrape |
//!
//! Labels have few values, all known when the node starts, and every series is there from the
//! start: their number does not depend on how many lists, processes or clients there are. The
//! families with a series for each other member, and for each process that is expected, are written by
//! `named`.
//! `dashboards/METRICS.md` is the table of all of them, which a test compares with what a node
//! exports.

mod families;
mod labelled;
mod named;
mod process;
mod recorded;
mod snapshot;

pub(crate) use recorded::*;

use crate::process::Expected;
use anyhow::Context;
use names::ProcessName;
pub(crate) use process::Process;
pub(crate) use snapshot::{Snapshot, count, sum};

use families::{COUNTERS, GAUGES, PROCESS, SECONDS};
use labelled::{SPREAD_COUNTERS, SPREAD_GAUGES};
use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Upper bounds of the histograms of times, in seconds.
const TIMES: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 10.0,
];
/// How often what histograms were told is counted: until then each value takes memory.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
const CPU_SECONDS: &str = "process_cpu_seconds_total";

/// Installs the recorder of this process.
///
/// # Errors
/// One is installed already.
pub(crate) fn install() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets(TIMES)
        .context("metrics cannot be set up")?;
    let handle = builder
        .install_recorder()
        .context("metrics cannot be set up")?;
    for (name, help, _) in GAUGES.iter().chain(PROCESS) {
        describe_gauge!(*name, *help);
    }
    SECONDS
        .iter()
        .for_each(|(name, help, _)| describe_gauge!(*name, *help));
    SPREAD_GAUGES
        .iter()
        .for_each(|(name, help, ..)| describe_gauge!(*name, *help));
    COUNTERS
        .iter()
        .for_each(|(name, help, _)| describe_counter!(*name, *help));
    SPREAD_COUNTERS
        .iter()
        .for_each(|(name, help, ..)| describe_counter!(*name, *help));
    recorded::describe();
    Ok(handle)
}

/// Counts now and then what histograms were told, also where nobody scrapes.
pub(crate) async fn upkeep(handle: PrometheusHandle) {
    let mut turns = tokio::time::interval(UPKEEP_EVERY);
    loop {
        turns.tick().await;
        handle.run_upkeep();
    }
}

/// All metrics in Prometheus' text format, with the parts' numbers as given.
pub(crate) fn render(
    handle: &PrometheusHandle,
    snapshot: &Snapshot,
    expected: &BTreeMap<ProcessName, Expected>,
) -> String {
    for (name, _, value) in GAUGES.iter().chain(PROCESS) {
        gauge!(*name).set(value(snapshot) as f64);
    }
    SECONDS
        .iter()
        .for_each(|(name, _, value)| gauge!(*name).set(value(snapshot)));
    COUNTERS
        .iter()
        .for_each(|(name, _, value)| counter!(*name).absolute(value(snapshot)));
    for (name, _, label, series) in SPREAD_GAUGES {
        series(snapshot)
            .into_iter()
            .for_each(|(of, value)| gauge!(*name, *label => of).set(value));
    }
    for (name, _, label, series) in SPREAD_COUNTERS {
        series(snapshot)
            .into_iter()
            .for_each(|(of, value)| counter!(*name, *label => of).absolute(value));
    }
    let mut text = handle.render();
    // The one counter that is no whole number, for which the library has no kind.
    let seconds = snapshot.process.cpu.as_secs_f64();
    let help = "User and system time spent";
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "# HELP {CPU_SECONDS} {help}\n# TYPE {CPU_SECONDS} counter\n{CPU_SECONDS} {seconds}\n"
    );
    named::write_members(&mut text, snapshot);
    named::write_processes(&mut text, expected);
    text
}
