//! All metrics in one place: their names, their help, and which of the parts' plain numbers they show.
//!
//! | part | prefix |
//! | --- | --- |
//! | membership | `muster_cluster_` |
//! | QUIC | `muster_transport_` |
//! | to-do lists and their replication | `muster_lists_` |
//! | registered processes | `muster_processes_` |
//! | the store | `muster_store_` |

use crate::process::WatcherStats;
use crate::service::Inner;
use crate::store::StoreStats;
use anyhow::Context;
use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use node::cluster::Verdict;
use node::{cluster, lists};

/// The numbers of all parts at the moment of a scrape.
struct Snapshot {
    cluster: cluster::Stats,
    lists: lists::Stats,
    store: StoreStats,
    transport: transport::Stats,
    watcher: WatcherStats,
    capacity: u64,
    monitors: u64,
}

type Row<T> = (&'static str, &'static str, fn(&Snapshot) -> T);

const GAUGES: &[Row<u64>] = &[
    ("muster_cluster_reachable_members", "Members that this node reaches, without itself", |s| s.cluster.reachable),
    ("muster_cluster_expected_members", "Members on the roster, with this node", |s| s.cluster.expected),
    ("muster_cluster_suspect_members", "Members that are suspect now", |s| s.cluster.suspects),
    ("muster_cluster_health_score", "Local health multiplier: 0 is healthy, 6 the worst", |s| s.cluster.health),
    ("muster_cluster_connections", "Connections to members in use", |s| s.cluster.connections),
    ("muster_lists_known", "Lists that this node has", |s| s.lists.lists),
    ("muster_lists_resident", "Documents in memory", |s| s.lists.resident),
    ("muster_lists_resident_bytes", "Estimated memory of the documents in memory", |s| s.lists.resident_bytes),
    ("muster_lists_orphan_changes", "Changes waiting for changes that they depend on", |s| s.lists.orphans),
    ("muster_lists_repairs", "Lists being repaired now", |s| s.lists.repairs),
    ("muster_lists_differing", "Lists that differ from some connected member's", |s| s.lists.differing),
    ("muster_lists_quarantined", "Lists whose document cannot be loaded", |s| s.lists.quarantined),
    ("muster_lists_pending_writes", "Writes whose commit has not returned", |s| s.lists.writes_pending),
    ("muster_lists_waiting_requests", "Clients waiting for an answer about a list", |s| s.lists.requests_waiting),
    ("muster_processes_registered", "Processes of this node that are registered", |s| s.cluster.registry.registered),
    ("muster_processes_known_names", "Names of processes of all nodes", |s| s.cluster.registry.names),
    ("muster_processes_contested_names", "Names that several reachable processes claim", |s| s.cluster.registry.contested),
    ("muster_processes_watched", "Processes that this node watches", |s| s.watcher.watched),
    ("muster_processes_capacity", "Processes that this node can watch; the limit of open files bounds it", |s| s.capacity),
    ("muster_processes_monitors", "Clients that monitor a name", |s| s.monitors),
    ("muster_store_queued_commits", "Commits waiting or under way", |s| s.store.queued),
    ("muster_store_disk_bytes", "What the database takes on the disk", |s| s.store.disk_bytes),
    ("muster_store_disk_free_bytes", "What the file system has left; 0 where it does not say", |s| s.store.disk_free_bytes.unwrap_or(0)),
    ("muster_transport_connections", "QUIC connections that stand", |s| s.transport.connections),
    ("muster_transport_queued_bytes", "Bytes of messages waiting to be sent", |s| s.transport.queued_bytes),
];

const COUNTERS: &[Row<u64>] = &[
    ("muster_cluster_probes_failed_total", "Probes of this node that nobody answered", |s| s.cluster.probes_failed),
    ("muster_cluster_probes_answered_total", "Probes of this node that were answered", |s| s.cluster.probes_answered),
    ("muster_cluster_declared_down_total", "Members that this node declared down", |s| s.cluster.declared_down),
    ("muster_cluster_renewals_total", "Times that this node had to refute being down", |s| s.cluster.renewals),
    ("muster_cluster_malformed_total", "Datagrams and messages about membership that did not decode", |s| s.cluster.malformed),
    ("muster_cluster_dials_total", "Attempts to connect to a member", |s| s.cluster.dials),
    ("muster_cluster_dials_failed_total", "Attempts to connect to a member that failed", |s| s.cluster.dials_failed),
    ("muster_lists_loads_total", "Documents loaded from the store", |s| s.lists.loads),
    ("muster_lists_local_changes_total", "Changes made by clients of this node and committed", |s| s.lists.changes_local),
    ("muster_lists_remote_changes_total", "Changes received from members and committed", |s| s.lists.changes_remote),
    ("muster_lists_duplicate_changes_total", "Changes received that were here already", |s| s.lists.changes_duplicate),
    ("muster_lists_refused_changes_total", "Changes received and refused", |s| s.lists.changes_refused),
    ("muster_lists_repairs_total", "Repairs of lists begun", |s| s.lists.repairs_begun),
    ("muster_lists_malformed_total", "Messages about lists that did not decode", |s| s.lists.malformed),
    ("muster_processes_pushes_total", "Messages with changes of registrations sent at once", |s| s.cluster.registry.pushes),
    ("muster_processes_pulls_total", "Times that registrations were asked for which a push did not bring", |s| s.cluster.registry.pulls),
    ("muster_processes_write_failures_total", "Writes of registrations that the disk failed", |s| s.cluster.registry.writes_failed),
    ("muster_processes_signals_total", "Signals sent to registered processes", |s| s.watcher.signals),
    ("muster_store_commits_total", "Commits acknowledged", |s| s.store.commits),
    ("muster_store_groups_total", "Groups of commits, each synced to the disk once", |s| s.store.groups),
    ("muster_store_rows_total", "Rows written", |s| s.store.rows),
    ("muster_store_written_bytes_total", "Bytes of these rows, about", |s| s.store.bytes),
    ("muster_store_failures_total", "Commits that the disk failed", |s| s.store.failures),
    ("muster_store_reopens_total", "Times that the store was reopened after a failure", |s| s.store.reopens),
    ("muster_transport_connected_total", "Connections that came to stand", |s| s.transport.connected),
    ("muster_transport_closed_total", "Connections that ended", |s| s.transport.closed),
    ("muster_transport_refused_total", "Handshakes that were refused here", |s| {
        s.transport.refusals().iter().map(|(_, count)| count).sum()
    }),
    ("muster_transport_violations_total", "Connections closed because the peer broke the protocol", |s| s.transport.violations),
];

/// Installs the recorder of this process.
///
/// # Errors
/// One is installed already.
pub(crate) fn install() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new().install_recorder().context("metrics cannot be set up")?;
    describe_gauge!("muster_build_info", "Constant 1; the version is a label");
    describe_counter!("muster_processes_events_total", "What happened to registered processes of all nodes, as this node saw it");
    describe_gauge!("muster_cluster_verdict", "1 for the present verdict on the reach of the cluster, 0 for the others");
    GAUGES.iter().for_each(|(name, help, _)| describe_gauge!(*name, *help));
    COUNTERS.iter().for_each(|(name, help, _)| describe_counter!(*name, *help));
    Ok(handle)
}

/// Brings all metrics up to date; called at each scrape.
pub(crate) fn publish(node: &Inner) {
    let lists = node.workers.iter().map(crate::shell::ListsInbox::stats).fold(lists::Stats::default(), sum);
    let snapshot = Snapshot {
        cluster: node.cluster.stats(),
        lists,
        store: node.store.stats(),
        transport: node.endpoint.stats(),
        watcher: node.watcher.stats(),
        capacity: count(node.capacity),
        monitors: count(node.replica.monitors()),
    };
    gauge!("muster_build_info", "version" => node.info.version).set(1.0);
    let present = node.views.borrow().verdict;
    for verdict in [Verdict::Whole, Verdict::Majority, Verdict::Even, Verdict::Minority, Verdict::Alone] {
        gauge!("muster_cluster_verdict", "verdict" => verdict.as_str()).set(f64::from(u8::from(verdict == present)));
    }
    for (what, happened) in node.replica.events() {
        counter!("muster_processes_events_total", "type" => what).absolute(happened);
    }
    GAUGES.iter().for_each(|(name, _, value)| gauge!(*name).set(value(&snapshot) as f64));
    COUNTERS.iter().for_each(|(name, _, value)| counter!(*name).absolute(value(&snapshot)));
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The numbers of several lists machines together.
fn sum(a: lists::Stats, b: lists::Stats) -> lists::Stats {
    lists::Stats {
        lists: a.lists + b.lists,
        resident: a.resident + b.resident,
        resident_bytes: a.resident_bytes + b.resident_bytes,
        loads: a.loads + b.loads,
        changes_local: a.changes_local + b.changes_local,
        changes_remote: a.changes_remote + b.changes_remote,
        changes_duplicate: a.changes_duplicate + b.changes_duplicate,
        changes_refused: a.changes_refused + b.changes_refused,
        orphans: a.orphans + b.orphans,
        repairs: a.repairs + b.repairs,
        repairs_begun: a.repairs_begun + b.repairs_begun,
        differing: a.differing + b.differing,
        quarantined: a.quarantined + b.quarantined,
        malformed: a.malformed + b.malformed,
        dropped: a.dropped + b.dropped,
        writes_pending: a.writes_pending + b.writes_pending,
        requests_waiting: a.requests_waiting + b.requests_waiting,
    }
}
