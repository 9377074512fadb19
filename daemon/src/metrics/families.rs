//! The families of one series each that show the numbers of a snapshot.

use super::snapshot::{Snapshot, count};

/// A family of one series: its name, its help, its value.
pub(super) type Row<T> = (&'static str, &'static str, fn(&Snapshot) -> T);

pub(super) const GAUGES: &[Row<u64>] = &[
    (
        "muster_cluster_reachable_members",
        "Members that this node reaches, without itself and observers",
        |s| s.cluster.reachable,
    ),
    (
        "muster_cluster_expected_members",
        "Members on the roster that are not away on purpose, with this node, without other observers",
        |s| s.cluster.expected,
    ),
    (
        "muster_cluster_away_members",
        "Members that were declared away on purpose and do not answer, without observers",
        |s| s.cluster.away,
    ),
    (
        "muster_cluster_observers",
        "Observers on the roster, with this node if it is one",
        |s| s.cluster.observers,
    ),
    (
        "muster_cluster_suspect_members",
        "Members that are suspect now, without observers",
        |s| s.cluster.suspects,
    ),
    (
        "muster_cluster_indirect_members",
        "Members that others reach and to whom this node has no connection, without observers",
        |s| s.cluster.indirect,
    ),
    (
        "muster_cluster_seeds_unreached",
        "Configured seeds at which nobody has answered since the node started",
        |s| s.cluster.seeds_unreached,
    ),
    (
        "muster_cluster_health_score",
        "Local health multiplier: 0 is healthy, 6 the worst",
        |s| s.cluster.health,
    ),
    (
        "muster_cluster_connections",
        "Connections to members that are in use",
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
        "Estimated memory of the documents in memory",
        |s| s.lists.resident_bytes,
    ),
    (
        "muster_lists_orphan_changes",
        "Changes waiting for changes that they depend on",
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
        "Lists that differ from some connected member's",
        |s| s.lists.differing,
    ),
    (
        "muster_lists_forked",
        "Lists of which some connected member has other changes with the numbers of this node's",
        |s| s.lists.forked,
    ),
    (
        "muster_lists_quarantined",
        "Lists whose document cannot be loaded",
        |s| s.lists.quarantined,
    ),
    (
        "muster_store_damaged_journals",
        "Damaged journals of the store that nobody has acknowledged",
        |s| count(s.damages.len()),
    ),
    (
        "muster_store_salvage_missing",
        "Changes that are intact behind damage of the store, and in no list",
        |s| count(s.damages.iter().map(|one| one.missing).sum()),
    ),
    (
        "muster_lists_pending_writes",
        "Writes whose commit has not returned",
        |s| s.lists.writes_pending,
    ),
    (
        "muster_lists_waiting_requests",
        "Clients waiting for an answer about a list",
        |s| s.lists.requests_waiting,
    ),
    (
        "muster_processes_registered",
        "Names of processes that are registered on this node",
        |s| s.cluster.registry.registered,
    ),
    (
        "muster_processes_known_names",
        "Names of registered processes on all nodes",
        |s| s.cluster.registry.names,
    ),
    (
        "muster_processes_contested_names",
        "Names that several reachable processes claim",
        |s| s.cluster.registry.contested,
    ),
    (
        "muster_processes_watched",
        "Processes that this node watches",
        |s| s.watcher.watched,
    ),
    (
        "muster_processes_capacity",
        "Processes that this node can watch; the limit of open files bounds it",
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
        "Bytes that the database takes on the disk",
        |s| s.store.disk_bytes,
    ),
    (
        "muster_store_disk_free_bytes",
        "Bytes that the file system has left; 0 where it does not say",
        |s| s.store.disk_free_bytes.unwrap_or(0),
    ),
    (
        "muster_store_disk_size_bytes",
        "The size of the file system; 0 where it does not say",
        |s| s.store.disk_size_bytes.unwrap_or(0),
    ),
    (
        "muster_store_writable",
        "1 while the store takes writes, 0 after a failed commit until it is reopened",
        |s| u64::from(s.writable),
    ),
    (
        "muster_transport_connections",
        "QUIC connections that are open",
        |s| s.transport.connections,
    ),
    (
        "muster_transport_queued_bytes",
        "Bytes of messages waiting to be sent",
        |s| s.transport.queued_bytes,
    ),
];

pub(super) const COUNTERS: &[Row<u64>] = &[
    (
        "muster_log_lines_left_out_total",
        "Lines of the log that were left out because one place in the program wrote too many",
        |s| s.left_out,
    ),
    (
        "muster_cluster_probes_failed_total",
        "Probes of this node that nobody answered",
        |s| s.cluster.probes_failed,
    ),
    (
        "muster_cluster_stops_total",
        "Times that this node was stopped, or got no time, for half a second or longer",
        |s| s.cluster.stops,
    ),
    (
        "muster_cluster_probes_answered_total",
        "Probes of this node that were answered",
        |s| s.cluster.probes_answered,
    ),
    (
        "muster_cluster_declared_down_total",
        "Members that this node declared down",
        |s| s.cluster.declared_down,
    ),
    (
        "muster_cluster_renewals_total",
        "Times that this node had to refute being down",
        |s| s.cluster.renewals,
    ),
    (
        "muster_cluster_malformed_total",
        "Datagrams and messages about membership that did not decode",
        |s| s.cluster.malformed,
    ),
    (
        "muster_cluster_lines_refused_total",
        "Lines of the roster that members have brought and that carry no good proof",
        |s| s.cluster.lines_refused,
    ),
    (
        "muster_cluster_dials_total",
        "Attempts to connect to a member",
        |s| s.cluster.dials,
    ),
    (
        "muster_cluster_dials_failed_total",
        "Attempts to connect to a member that failed",
        |s| s.cluster.dials_failed,
    ),
    (
        "muster_lists_loads_total",
        "Documents loaded from the store",
        |s| s.lists.loads,
    ),
    (
        "muster_lists_local_changes_total",
        "Changes made by clients of this node and committed",
        |s| s.lists.changes_local,
    ),
    (
        "muster_lists_remote_changes_total",
        "Changes received from members and committed",
        |s| s.lists.changes_remote,
    ),
    (
        "muster_lists_duplicate_changes_total",
        "Changes received that were here already",
        |s| s.lists.changes_duplicate,
    ),
    (
        "muster_lists_refused_changes_total",
        "Changes received and refused",
        |s| s.lists.changes_refused,
    ),
    (
        "muster_lists_forked_changes_total",
        "Changes received and refused whose numbers are those of other changes",
        |s| s.lists.changes_forked,
    ),
    (
        "muster_lists_unsigned_changes_total",
        "Changes received and not taken, since no node has signed that their author is its own",
        |s| s.lists.changes_unsigned,
    ),
    (
        "muster_lists_left_out_changes_total",
        "Changes that were moved out of lists, since another branch stays",
        |s| s.lists.changes_left_out,
    ),
    (
        "muster_lists_repairs_total",
        "Repairs of lists begun",
        |s| s.lists.repairs_begun,
    ),
    (
        "muster_lists_dropped_total",
        "Changes and questions of members dropped because a limit was reached; repair brings the changes back",
        |s| s.lists.dropped,
    ),
    (
        "muster_lists_malformed_total",
        "Messages about lists that did not decode",
        |s| s.lists.malformed,
    ),
    (
        "muster_processes_pushes_total",
        "Messages that told members of changed registrations at once",
        |s| s.cluster.registry.pushes,
    ),
    (
        "muster_processes_pulls_total",
        "Times that this node asked for registrations that no push had brought",
        |s| s.cluster.registry.pulls,
    ),
    (
        "muster_processes_unproved_total",
        "Registrations of third nodes, told by a member, that these nodes had not signed",
        |s| s.cluster.registry.unproved,
    ),
    (
        "muster_processes_forked_total",
        "Times that a member was found to have signed two unlike states of its registrations as one",
        |s| s.cluster.registry.forked,
    ),
    (
        "muster_processes_write_failures_total",
        "Writes of registrations that failed on the disk",
        |s| s.cluster.registry.writes_failed,
    ),
    (
        "muster_processes_signals_total",
        "Signals sent to registered processes",
        |s| s.watcher.signals,
    ),
    ("muster_store_commits_total", "Commits acknowledged", |s| {
        s.store.commits
    }),
    (
        "muster_store_groups_total",
        "Groups of commits, each synced to the disk once",
        |s| s.store.groups,
    ),
    ("muster_store_rows_total", "Rows written", |s| s.store.rows),
    (
        "muster_store_written_bytes_total",
        "Bytes of the rows written, estimated",
        |s| s.store.bytes,
    ),
    (
        "muster_store_failures_total",
        "Commits that failed on the disk",
        |s| s.store.failures,
    ),
    (
        "muster_store_reopens_total",
        "Times that the store was reopened after a failure",
        |s| s.store.reopens,
    ),
    (
        "muster_transport_connected_total",
        "QUIC connections established",
        |s| s.transport.connected,
    ),
    (
        "muster_transport_closed_total",
        "QUIC connections that ended",
        |s| s.transport.closed,
    ),
    (
        "muster_transport_dials_total",
        "QUIC handshakes begun by this node",
        |s| s.transport.dials,
    ),
    (
        "muster_transport_dials_failed_total",
        "QUIC handshakes begun by this node that failed",
        |s| s.transport.dial_failures,
    ),
    (
        "muster_transport_duplicates_closed_total",
        "Connections that this node closed because another one to the same member took their place",
        |s| s.transport.duplicates_closed,
    ),
    (
        "muster_transport_violations_total",
        "Connections closed because the peer broke the protocol",
        |s| s.transport.violations,
    ),
];

pub(super) const SECONDS: &[Row<f64>] = &[
    (
        "muster_cluster_verdict_since_timestamp_seconds",
        "When the present verdict was reached, in Unix seconds",
        |s| s.views.since.0 as f64 / 1e3,
    ),
    (
        "muster_lists_lag_seconds",
        "The longest time that a list has differed from a connected member's copy of it while one \
            of the two did not change",
        |s| s.lists.lag.as_secs_f64(),
    ),
    (
        "muster_transport_round_trip_max_seconds",
        "The longest round trip to a connected member",
        |s| s.transport.rtt_max.as_secs_f64(),
    ),
    (
        "process_start_time_seconds",
        "When the process started, in Unix time",
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
