//! All metrics in one place: their names, their help, and where their values come from.
//!
//! | part | prefix | from |
//! | --- | --- | --- |
//! | membership | `muster_cluster_` | the parts' plain numbers, read at each scrape (`families`) |
//! | QUIC | `muster_transport_` | likewise |
//! | to-do lists and their replication | `muster_lists_` | likewise |
//! | registered processes | `muster_processes_` | likewise |
//! | the store | `muster_store_` | likewise; the time of a sync as it happens |
//! | the HTTP API | `muster_api_` | as it happens |
//! | the process | `process_` | the kernel, at each scrape |
//!
//! Labels have few values, all known when the node starts, and every series is there from the start: their number does
//! not depend on how many lists, processes, members or clients there are. `dashboards/METRICS.md` is the table of all of
//! them, which a test compares with what a node exports.

mod families;
mod process;

use crate::service::Inner;
use anyhow::Context;
pub(crate) use families::Snapshot;
pub(crate) use process::cpu;

use families::{COUNTERS, GAUGES, PROCESS, SECONDS, SPREAD_COUNTERS, SPREAD_GAUGES};
use metrics::{Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::fmt::Write;
use std::time::Duration;

/// Upper bounds of the histograms of times, in seconds.
const TIMES: &[f64] = &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 10.0];
/// How often what histograms were told is counted: until then each value takes memory.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// The classes of answers, by the first digit of their status.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

const REQUESTS: &str = "muster_api_requests_total";
const REQUEST_SECONDS: &str = "muster_api_request_duration_seconds";
const CONNECTIONS: &str = "muster_api_connections";
const STREAMS: &str = "muster_api_streams";
const CONNECTIONS_REFUSED: &str = "muster_api_connections_refused_total";
const CONNECTIONS_CUT: &str = "muster_api_connections_cut_total";
const SYNC_SECONDS: &str = "muster_store_sync_duration_seconds";
const CPU_SECONDS: &str = "process_cpu_seconds_total";

/// Installs the recorder of this process.
///
/// # Errors
/// One is installed already.
pub(crate) fn install() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new().set_buckets(TIMES).context("metrics cannot be set up")?;
    let handle = builder.install_recorder().context("metrics cannot be set up")?;
    for (name, help, _) in GAUGES.iter().chain(PROCESS) {
        describe_gauge!(*name, *help);
    }
    SECONDS.iter().for_each(|(name, help, _)| describe_gauge!(*name, *help));
    SPREAD_GAUGES.iter().for_each(|(name, help, ..)| describe_gauge!(*name, *help));
    COUNTERS.iter().for_each(|(name, help, _)| describe_counter!(*name, *help));
    SPREAD_COUNTERS.iter().for_each(|(name, help, ..)| describe_counter!(*name, *help));
    describe_recorded();
    Ok(handle)
}

fn describe_recorded() {
    describe_counter!(REQUESTS, "Requests answered, by operation of the OpenAPI document and class of status");
    describe_histogram!(REQUEST_SECONDS, "Time from a request's head to its answer's head");
    describe_gauge!(CONNECTIONS, "Connections of clients");
    describe_gauge!(STREAMS, "Connections on which a client follows events");
    describe_counter!(CONNECTIONS_REFUSED, "Connections refused because all that the user may have were in work");
    describe_counter!(CONNECTIONS_CUT, "Connections closed because their client was too slow, or to make room for another one");
    describe_histogram!(SYNC_SECONDS, "Time to write a group of commits and to sync it to the disk");
    [CONNECTIONS, STREAMS].into_iter().for_each(|name| gauge!(name).set(0.0));
    [CONNECTIONS_REFUSED, CONNECTIONS_CUT].into_iter().for_each(|name| counter!(name).absolute(0));
    let _ = histogram!(SYNC_SECONDS);
}

/// Counts now and then what histograms were told, also where nobody scrapes.
pub(crate) async fn upkeep(handle: PrometheusHandle) {
    let mut turns = tokio::time::interval(UPKEEP_EVERY);
    loop {
        turns.tick().await;
        handle.run_upkeep();
    }
}

/// All metrics in Prometheus' text format, as of now.
pub(crate) fn render(node: &Inner) -> String {
    let snapshot = Snapshot::take(node);
    for (name, _, value) in GAUGES.iter().chain(PROCESS) {
        gauge!(*name).set(value(&snapshot) as f64);
    }
    SECONDS.iter().for_each(|(name, _, value)| gauge!(*name).set(value(&snapshot)));
    COUNTERS.iter().for_each(|(name, _, value)| counter!(*name).absolute(value(&snapshot)));
    for (name, _, label, series) in SPREAD_GAUGES {
        series(&snapshot).into_iter().for_each(|(of, value)| gauge!(*name, *label => of).set(value));
    }
    for (name, _, label, series) in SPREAD_COUNTERS {
        series(&snapshot).into_iter().for_each(|(of, value)| counter!(*name, *label => of).absolute(value));
    }
    let mut text = node.metrics.render();
    // The one counter that is no whole number, for which the library has no kind.
    let seconds = snapshot.process.cpu.as_secs_f64();
    let help = "User and system time spent";
    // Writing to a string does not fail.
    let _ = write!(text, "# HELP {CPU_SECONDS} {help}\n# TYPE {CPU_SECONDS} counter\n{CPU_SECONDS} {seconds}\n");
    text
}

/// What is counted of one operation of the API. Clones share it.
#[derive(Clone)]
pub(crate) struct Operation {
    answers: [Counter; 4],
    seconds: Histogram,
}

impl Operation {
    /// The one of that name, which must be of a closed set. Its series are exported from here on.
    pub(crate) fn new(name: &str) -> Self {
        let answers = CLASSES.map(|class| counter!(REQUESTS, "operation" => name.to_owned(), "status" => class));
        Self { answers, seconds: histogram!(REQUEST_SECONDS, "operation" => name.to_owned()) }
    }

    /// A request was answered.
    pub(crate) fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).saturating_sub(2);
        self.answers.get(class).inspect(|answers| answers.increment(1));
        self.seconds.record(took);
    }
}

/// How many clients are connected now.
pub(crate) fn connections(now: usize) {
    gauge!(CONNECTIONS).set(now as f64);
}

/// A client was refused.
pub(crate) fn connection_refused() {
    counter!(CONNECTIONS_REFUSED).increment(1);
}

/// A client's connection is closed against its will.
pub(crate) fn connection_cut() {
    counter!(CONNECTIONS_CUT).increment(1);
}

/// A stream begins.
pub(crate) fn stream_begins() {
    gauge!(STREAMS).increment(1.0);
}

/// A stream has ended.
pub(crate) fn stream_ended() {
    gauge!(STREAMS).decrement(1.0);
}

/// A group of commits is on the disk.
pub(crate) fn synced(took: Duration) {
    histogram!(SYNC_SECONDS).record(took);
}
