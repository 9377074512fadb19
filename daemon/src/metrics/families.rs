//! The families that show the parts' plain numbers, taken at the moment of a scrape.

use super::process::Process;
use crate::process::WatcherStats;
use api::events::EventType;
use node::cluster::{RosterView, Verdict};
use node::{cluster, lists};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::StoreStats;

/// The numbers of all parts at the moment of a scrape.
pub(crate) struct Snapshot {
    pub(crate) cluster: cluster::Stats,
    pub(crate) views: Arc<RosterView>,
    pub(crate) lists: lists::Stats,
    pub(crate) store: StoreStats,
    pub(crate) writable: bool,
    pub(crate) transport: transport::Stats,
    pub(crate) watcher: WatcherStats,
    pub(crate) capacity: u64,
    pub(crate) monitors: u64,
    /// What happened to registered processes, by kind; those that never happened are left out.
    pub(crate) happened: BTreeMap<EventType, u64>,
    /// When the certificate of the TCP listener expires, in Unix seconds.
    pub(crate) tls_not_after: Option<i64>,
    /// Good tokens, by what they allow.
    pub(crate) tokens: Vec<(&'static str, f64)>,
    /// Lines of the log.
    pub(crate) left_out: u64,
    pub(crate) process: Process,
    /// Milliseconds since the epoch.
    pub(crate) started_at: i64,
}

#[cfg(test)]
impl Snapshot {
    /// One without numbers.
    pub(crate) fn of(views: RosterView) -> Self {
        Self {
            cluster: cluster::Stats::default(),
            views: Arc::new(views),
            lists: lists::Stats::default(),
            store: StoreStats::default(),
            writable: true,
            transport: transport::Stats::default(),
            watcher: WatcherStats::default(),
            capacity: 1000,
            monitors: 0,
            happened: BTreeMap::new(),
            tls_not_after: None,
            tokens: Vec::new(),
            left_out: 0,
            process: Process::read(),
            started_at: 0,
        }
    }
}

/// A family of one series: its name, its help, its value.
pub(super) type Row<T> = (&'static str, &'static str, fn(&Snapshot) -> T);

/// A family with one label of a closed set of values: its name, its help, the label, its series.
pub(super) type Spread<T> = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Snapshot) -> Vec<(&'static str, T)>,
);

pub(super) const GAUGES: &[Row<u64>] = &[
    (
        "muster_cluster_reachable_members",
        "Members that this node reaches, without \
        itself",
        |s| s.cluster.reachable,
    ),
    (
        "muster_cluster_expected_members",
        "Members on the roster, with this \
        node",
        |s| s.cluster.expected,
    ),
    (
        "muster_cluster_suspect_members",
        "Members that are suspect now",
        |s| s.cluster.suspects,
    ),
    (
        "muster_cluster_health_score",
        "Local health multiplier: 0 is healthy, 6 the \
        worst",
        |s| s.cluster.health,
    ),
    (
        "muster_cluster_connections",
        "Connections to members in use",
        |s| s.cluster.connections,
    ),
    ("muster_lists_known", "Lists that this node has", |s| {
        s.lists.lists
    }),
    ("muster_lists_resident", "Documents in memory", |s| {
        s.lists.resident
    }),
    (
        "muster_lists_resident_bytes",
        "Estimated memory of the documents in \
        memory",
        |s| s.lists.resident_bytes,
    ),
    (
        "muster_lists_orphan_changes",
        "Changes waiting for changes that they depend \
        on",
        |s| s.lists.orphans,
    ),
    (
        "muster_lists_in_line",
        "Lists whose changes from members wait until there is memory for them",
        |s| s.lists.in_line,
    ),
    ("muster_lists_repairs", "Lists being repaired now", |s| {
        s.lists.repairs
    }),
    (
        "muster_lists_differing",
        "Lists that differ from some connected \
        member's",
        |s| s.lists.differing,
    ),
    (
        "muster_lists_quarantined",
        "Lists whose document cannot be loaded",
        |s| s.lists.quarantined,
    ),
    (
        "muster_lists_pending_writes",
        "Writes whose commit has not \
        returned",
        |s| s.lists.writes_pending,
    ),
    (
        "muster_lists_waiting_requests",
        "Clients waiting for an answer about a \
        list",
        |s| s.lists.requests_waiting,
    ),
    (
        "muster_processes_registered",
        "Names of processes that are registered on \
        this node",
        |s| s.cluster.registry.registered,
    ),
    (
        "muster_processes_known_names",
        "Names of processes of all \
        nodes",
        |s| s.cluster.registry.names,
    ),
    (
        "muster_processes_contested_names",
        "Names that several reachable processes \
        claim",
        |s| s.cluster.registry.contested,
    ),
    (
        "muster_processes_watched",
        "Processes that this node watches",
        |s| s.watcher.watched,
    ),
    (
        "muster_processes_capacity",
        "Processes that this node can watch; the limit of open files \
        bounds it",
        |s| s.capacity,
    ),
    (
        "muster_processes_monitors",
        "Clients that monitor a name",
        |s| s.monitors,
    ),
    (
        "muster_store_queued_commits",
        "Commits waiting or under way",
        |s| s.store.queued,
    ),
    (
        "muster_store_disk_bytes",
        "What the database takes on the disk",
        |s| s.store.disk_bytes,
    ),
    (
        "muster_store_disk_free_bytes",
        "What the file system has left; 0 where it does not \
        say",
        |s| s.store.disk_free_bytes.unwrap_or(0),
    ),
    (
        "muster_store_disk_size_bytes",
        "The size of the file system; 0 where it does not \
        say",
        |s| s.store.disk_size_bytes.unwrap_or(0),
    ),
    (
        "muster_store_writable",
        "1 while the store takes writes, 0 after a failed commit until it \
        is reopened",
        |s| u64::from(s.writable),
    ),
    (
        "muster_transport_connections",
        "QUIC connections that stand",
        |s| s.transport.connections,
    ),
    (
        "muster_transport_queued_bytes",
        "Bytes of messages waiting to be \
        sent",
        |s| s.transport.queued_bytes,
    ),
];

pub(super) const COUNTERS: &[Row<u64>] = &[
    (
        "muster_log_lines_left_out_total",
        "Lines of the log that were left out, as their place \
        wrote too many",
        |s| s.left_out,
    ),
    (
        "muster_cluster_probes_failed_total",
        "Probes of this node that nobody \
        answered",
        |s| s.cluster.probes_failed,
    ),
    (
        "muster_cluster_probes_answered_total",
        "Probes of this node that were \
        answered",
        |s| s.cluster.probes_answered,
    ),
    (
        "muster_cluster_declared_down_total",
        "Members that this node declared \
        down",
        |s| s.cluster.declared_down,
    ),
    (
        "muster_cluster_renewals_total",
        "Times that this node had to refute being \
        down",
        |s| s.cluster.renewals,
    ),
    (
        "muster_cluster_malformed_total",
        "Datagrams and messages about membership that did not \
        decode",
        |s| s.cluster.malformed,
    ),
    (
        "muster_cluster_dials_total",
        "Attempts to connect to a member",
        |s| s.cluster.dials,
    ),
    (
        "muster_cluster_dials_failed_total",
        "Attempts to connect to a member that \
        failed",
        |s| s.cluster.dials_failed,
    ),
    (
        "muster_lists_loads_total",
        "Documents loaded from the store",
        |s| s.lists.loads,
    ),
    (
        "muster_lists_local_changes_total",
        "Changes made by clients of this node and \
        committed",
        |s| s.lists.changes_local,
    ),
    (
        "muster_lists_remote_changes_total",
        "Changes received from members and \
        committed",
        |s| s.lists.changes_remote,
    ),
    (
        "muster_lists_duplicate_changes_total",
        "Changes received that were here \
        already",
        |s| s.lists.changes_duplicate,
    ),
    (
        "muster_lists_refused_changes_total",
        "Changes received and \
        refused",
        |s| s.lists.changes_refused,
    ),
    (
        "muster_lists_repairs_total",
        "Repairs of lists begun",
        |s| s.lists.repairs_begun,
    ),
    (
        "muster_lists_dropped_total",
        "Changes and questions of members dropped at a bound; repair \
        brings the changes back",
        |s| s.lists.dropped,
    ),
    (
        "muster_lists_malformed_total",
        "Messages about lists that did not \
        decode",
        |s| s.lists.malformed,
    ),
    (
        "muster_processes_pushes_total",
        "Messages with changes of registrations sent at \
        once",
        |s| s.cluster.registry.pushes,
    ),
    (
        "muster_processes_pulls_total",
        "Times that registrations were asked for which a push did \
        not bring",
        |s| s.cluster.registry.pulls,
    ),
    (
        "muster_processes_write_failures_total",
        "Writes of registrations that the disk \
        failed",
        |s| s.cluster.registry.writes_failed,
    ),
    (
        "muster_processes_signals_total",
        "Signals sent to registered \
        processes",
        |s| s.watcher.signals,
    ),
    ("muster_store_commits_total", "Commits acknowledged", |s| {
        s.store.commits
    }),
    (
        "muster_store_groups_total",
        "Groups of commits, each synced to the disk \
        once",
        |s| s.store.groups,
    ),
    ("muster_store_rows_total", "Rows written", |s| s.store.rows),
    (
        "muster_store_written_bytes_total",
        "Bytes of these rows, about",
        |s| s.store.bytes,
    ),
    (
        "muster_store_failures_total",
        "Commits that the disk failed",
        |s| s.store.failures,
    ),
    (
        "muster_store_reopens_total",
        "Times that the store was reopened after a \
        failure",
        |s| s.store.reopens,
    ),
    (
        "muster_transport_connected_total",
        "Connections that came to \
        stand",
        |s| s.transport.connected,
    ),
    (
        "muster_transport_closed_total",
        "Connections that ended",
        |s| s.transport.closed,
    ),
    (
        "muster_transport_dials_total",
        "QUIC handshakes begun by this node",
        |s| s.transport.dials,
    ),
    (
        "muster_transport_dials_failed_total",
        "QUIC handshakes begun by this node that \
        failed",
        |s| s.transport.dial_failures,
    ),
    (
        "muster_transport_duplicates_closed_total",
        "Superseded second connections that this node \
        closed",
        |s| s.transport.duplicates_closed,
    ),
    (
        "muster_transport_violations_total",
        "Connections closed because the peer broke the \
        protocol",
        |s| s.transport.violations,
    ),
];

pub(super) const SECONDS: &[Row<f64>] = &[
    (
        "muster_cluster_verdict_since_timestamp_seconds",
        "Since when the present verdict \
        holds",
        |s| s.views.since.0 as f64 / 1e3,
    ),
    (
        "muster_lists_lag_seconds",
        "How long the list that has differed longest from a connected member's has done so, while \
            one side stood still",
        |s| s.lists.lag.as_secs_f64(),
    ),
    (
        "muster_transport_round_trip_max_seconds",
        "The longest round trip to a connected \
        member",
        |s| s.transport.rtt_max.as_secs_f64(),
    ),
    (
        "process_start_time_seconds",
        "When the process started, in Unix \
        time",
        |s| s.started_at as f64 / 1e3,
    ),
];

pub(super) const PROCESS: &[Row<u64>] = &[
    (
        "process_resident_memory_bytes",
        "Memory that is resident",
        |s| s.process.resident_bytes,
    ),
    (
        "process_virtual_memory_bytes",
        "Memory that is mapped",
        |s| s.process.virtual_bytes,
    ),
    ("process_threads", "Threads", |s| s.process.threads),
    ("process_open_fds", "Open files", |s| s.process.open_fds),
    (
        "process_max_fds",
        "Open files that the process may have",
        |s| s.process.max_fds,
    ),
];

pub(super) const SPREAD_GAUGES: &[Spread<f64>] = &[
    (
        "muster_build_info",
        "Constant 1; the version is a \
        label",
        "version",
        |_| vec![(env!("CARGO_PKG_VERSION"), 1.0)],
    ),
    (
        "muster_cluster_verdict",
        "1 for the present verdict on the reach of the cluster, 0 for the \
        others",
        "verdict",
        |s| {
            let all = [
                Verdict::Whole,
                Verdict::Majority,
                Verdict::Even,
                Verdict::Minority,
                Verdict::Alone,
            ];
            all.map(|verdict| {
                (
                    verdict.as_str(),
                    f64::from(u8::from(verdict == s.views.verdict)),
                )
            })
            .to_vec()
        },
    ),
    (
        "muster_transport_certificate_expiry_timestamp_seconds",
        "When the certificate in use expires: the node's, the authority's that expires last, the \
        TCP listener's where it has one",
        "certificate",
        |s| {
            let always = [
                ("node", s.transport.node_expires_at as f64),
                ("authority", s.transport.authority_expires_at as f64),
            ];
            let listener = s.tls_not_after.map(|at_s| ("http", at_s as f64));
            always.into_iter().chain(listener).collect()
        },
    ),
    (
        "muster_tokens_good",
        "Tokens that have not expired, by what they \
        allow",
        "scope",
        |s| s.tokens.clone(),
    ),
];

/// What happens to registered processes.
const HAPPENINGS: [&str; 6] = ["up", "down", "unreachable", "back", "contested", "lost"];

pub(super) const SPREAD_COUNTERS: &[Spread<u64>] = &[
    (
        "muster_processes_events_total",
        "What happened to registered processes of all nodes, as \
        this node saw it",
        "type",
        |s| {
            HAPPENINGS
                .map(|what| {
                    (
                        what,
                        s.happened.get(&EventType::from(what)).copied().unwrap_or(0),
                    )
                })
                .to_vec()
        },
    ),
    (
        "muster_transport_refused_total",
        "Handshakes that were \
        refused",
        "reason",
        |s| s.transport.refusals().to_vec(),
    ),
    (
        "muster_transport_messages_total",
        "Messages that went over a connection",
        "direction",
        |s| both(s.transport.messages_received, s.transport.messages_sent),
    ),
    (
        "muster_transport_message_bytes_total",
        "Bytes of these messages, without \
        framing",
        "direction",
        |s| {
            both(
                s.transport.message_bytes_received,
                s.transport.message_bytes_sent,
            )
        },
    ),
    (
        "muster_transport_datagrams_total",
        "Datagrams that went over a connection",
        "direction",
        |s| both(s.transport.datagrams_received, s.transport.datagrams_sent),
    ),
    (
        "muster_transport_udp_packets_total",
        "UDP packets",
        "direction",
        |s| {
            both(
                s.transport.udp_packets_received,
                s.transport.udp_packets_sent,
            )
        },
    ),
    (
        "muster_transport_udp_bytes_total",
        "Bytes of these UDP packets",
        "direction",
        |s| both(s.transport.udp_bytes_received, s.transport.udp_bytes_sent),
    ),
    (
        "muster_transport_dropped_total",
        "What was not sent or not delivered because a queue was \
        full or its connection gone",
        "what",
        |s| {
            let datagrams = s
                .transport
                .datagrams_unsent
                .saturating_add(s.transport.datagrams_dropped);
            vec![
                ("message", s.transport.messages_dropped),
                ("datagram", datagrams),
            ]
        },
    ),
];

/// A number of things, as metrics count.
pub(crate) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn both(received: u64, sent: u64) -> Vec<(&'static str, u64)> {
    vec![("received", received), ("sent", sent)]
}

/// The numbers of several lists machines together.
pub(crate) fn sum(a: lists::Stats, b: lists::Stats) -> lists::Stats {
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
        in_line: a.in_line + b.in_line,
        repairs: a.repairs + b.repairs,
        repairs_begun: a.repairs_begun + b.repairs_begun,
        differing: a.differing + b.differing,
        lag: a.lag.max(b.lag),
        quarantined: a.quarantined + b.quarantined,
        remaking: a.remaking + b.remaking,
        remaking_awaited: a.remaking_awaited + b.remaking_awaited,
        malformed: a.malformed + b.malformed,
        dropped: a.dropped + b.dropped,
        writes_pending: a.writes_pending + b.writes_pending,
        requests_waiting: a.requests_waiting + b.requests_waiting,
    }
}
