//! The numbers of all parts of the program, taken at the moment of a scrape.

use super::process::Process;
use crate::damage::Known;
use crate::link::Link;
use crate::process::WatcherStats;
use api::events::EventType;
use names::NodeId;
use node::cluster::{RosterView, Search};
use node::{cluster, lists};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::StoreStats;

/// The numbers of all parts at the moment of a scrape.
pub(crate) struct Snapshot {
    pub(crate) cluster: cluster::Stats,
    pub(crate) views: Arc<RosterView>,
    pub(crate) links: BTreeMap<NodeId, Link>,
    pub(crate) search: Arc<Search>,
    pub(crate) lists: lists::Stats,
    pub(crate) store: StoreStats,
    pub(crate) damages: Arc<[Known]>,
    pub(crate) writable: bool,
    pub(crate) transport: transport::Stats,
    pub(crate) watcher: WatcherStats,
    pub(crate) capacity: u64,
    pub(crate) monitors: u64,
    /// What happened to registered processes, by kind; those that never happened are left out.
    pub(crate) happened: BTreeMap<EventType, u64>,
    /// When the certificate of the TCP listener expires, in Unix seconds.
    pub(crate) tls_not_after: Option<i64>,
    /// How many tokens have not expired, by what they allow.
    pub(crate) tokens: Vec<(&'static str, f64)>,
    /// Whether this node speaks the first version of the protocol, too.
    pub(crate) accepts_v1: bool,
    /// How many lines of the log were left out.
    pub(crate) left_out: u64,
    pub(crate) process: Process,
    /// When the process started, in milliseconds since the epoch.
    pub(crate) started_at: i64,
}

#[cfg(test)]
impl Snapshot {
    /// A snapshot in which nothing has happened yet.
    pub(crate) fn of(views: RosterView) -> Self {
        Self {
            cluster: cluster::Stats::default(),
            views: Arc::new(views),
            links: BTreeMap::new(),
            search: Arc::default(),
            lists: lists::Stats::default(),
            store: StoreStats::default(),
            damages: Arc::default(),
            writable: true,
            transport: transport::Stats::default(),
            watcher: WatcherStats::default(),
            capacity: 1000,
            monitors: 0,
            happened: BTreeMap::new(),
            tls_not_after: None,
            tokens: Vec::new(),
            accepts_v1: false,
            left_out: 0,
            process: Process::read(),
            started_at: 0,
        }
    }
}

/// A number of things, as metrics count.
pub(crate) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The numbers of two machines of lists together.
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
        changes_forked: a.changes_forked + b.changes_forked,
        changes_unsigned: a.changes_unsigned + b.changes_unsigned,
        changes_left_out: a.changes_left_out + b.changes_left_out,
        orphans: a.orphans + b.orphans,
        in_line: a.in_line + b.in_line,
        repairs: a.repairs + b.repairs,
        repairs_begun: a.repairs_begun + b.repairs_begun,
        differing: a.differing + b.differing,
        lag: a.lag.max(b.lag),
        forked: a.forked + b.forked,
        quarantined: a.quarantined + b.quarantined,
        remaking: a.remaking + b.remaking,
        remaking_awaited: a.remaking_awaited + b.remaking_awaited,
        malformed: a.malformed + b.malformed,
        dropped: a.dropped + b.dropped,
        writes_pending: a.writes_pending + b.writes_pending,
        requests_waiting: a.requests_waiting + b.requests_waiting,
    }
}
