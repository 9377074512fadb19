//! What needs somebody's attention, and what is to be done about it: judged from numbers alone.

use crate::metrics::Snapshot;
use node::cluster::{MemberState, RosterView, Verdict};
use node::wire::WriteError;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

const DAY_S: i64 = 86_400;
/// A node's certificate that expires within this time is to be renewed; within a tenth of it that is urgent.
const RENEW_S: i64 = 30 * DAY_S;
/// Changing the authority touches every node, so it is told earlier.
const RENEW_AUTHORITY_S: i64 = 90 * DAY_S;
/// Below this share of the disk there is little left; below a quarter of it, hardly anything.
const LITTLE_SPACE_PERCENT: u64 = 12;
/// Syncs that take longer than this delay every write that people wait for.
const SLOW_SYNC: Duration = Duration::from_millis(250);
/// Repair takes seconds: a list that lags longer than this is stuck.
const LONG_LAG: Duration = Duration::from_secs(60);
/// From this local health on, the node's own probes fail one after the other.
const POOR_HEALTH: u64 = 3;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Something does not work now, or is about to stop.
    Critical,
    /// It works, but not for ever, or not as it should.
    Warning,
}

/// Something that needs attention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Attention {
    /// `critical` or `warning`.
    pub(crate) severity: Severity,
    /// What is the matter, in words.
    pub(crate) what: String,
    /// What to do about it.
    #[serde(rename = "do")]
    pub(crate) remedy: String,
}

fn critical(what: impl Into<String>, remedy: impl Into<String>) -> Attention {
    Attention { severity: Severity::Critical, what: what.into(), remedy: remedy.into() }
}

fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Attention {
    Attention { severity: Severity::Warning, what: what.into(), remedy: remedy.into() }
}

/// All that needs attention, the worst first. `now_s` is the time in Unix seconds.
pub(crate) fn judge(snapshot: &Snapshot, trouble: Option<WriteError>, now_s: i64) -> Vec<Attention> {
    let mut all = Vec::new();
    all.extend(store(snapshot, trouble));
    all.extend(reach(&snapshot.views));
    all.extend(members(&snapshot.views));
    all.extend(lists(&snapshot.lists));
    all.extend(certificates(&snapshot.transport, now_s));
    all.extend(processes(snapshot));
    all.sort_by_key(|attention| attention.severity);
    all
}

fn store(snapshot: &Snapshot, trouble: Option<WriteError>) -> Vec<Attention> {
    let mut found = Vec::new();
    match trouble {
        Some(WriteError::Full) => {
            found.push(critical("the disk is full: this node takes no writes", "make room where data_dir is; it goes on by itself"))
        }
        Some(WriteError::Failed) => {
            found.push(critical(
                "the disk failed: this node takes no writes",
                "look at the disk and at the log (journalctl -u muster -p warning)",
            ));
        }
        None => {}
    }
    if let (Some(free), Some(size)) = (snapshot.store.disk_free_bytes, snapshot.store.disk_size_bytes.filter(|size| *size > 0)) {
        let percent = free.saturating_mul(100) / size;
        let what = format!("only {percent} % of the disk is free");
        let remedy = "make room where data_dir is, or give it a larger disk";
        match percent {
            _ if trouble == Some(WriteError::Full) => {}
            0..3 => found.push(critical(what, remedy)),
            3..LITTLE_SPACE_PERCENT => found.push(warning(what, remedy)),
            _ => {}
        }
    }
    let slow = snapshot.store.sync_quantiles.map(|(_, p99)| p99).filter(|p99| *p99 > SLOW_SYNC);
    found.extend(slow.map(|p99| {
        warning(
            format!("the disk takes up to {} ms to sync: writes wait for it", p99.as_millis()),
            "see what else writes there (iostat -x 1), or use a faster disk",
        )
    }));
    found
}

fn reach(view: &RosterView) -> Option<Attention> {
    let what = match view.verdict {
        Verdict::Whole | Verdict::Majority => return None,
        Verdict::Even => "this node reaches only half of the cluster",
        Verdict::Minority => "this node reaches only a minority of the cluster",
        Verdict::Alone => "this node reaches nobody",
    };
    Some(critical(what, "muster doctor tells which way packets do not pass; lists go on here and merge later"))
}

fn members(view: &RosterView) -> Vec<Attention> {
    let others = view.expected().filter(|member| member.id != view.me);
    let judged = others.filter_map(|member| {
        let name = &member.profile.name;
        match member.state {
            MemberState::Down => Some(warning(
                format!("{name} is down"),
                format!("see whether its host and its musterd run; muster doctor tells more; if it is gone for good: muster forget {name}"),
            )),
            MemberState::Suspect => {
                Some(warning(format!("{name} did not answer a probe"), "nothing yet: within seconds it is alive again, or down"))
            }
            MemberState::Alive | MemberState::Restarting | MemberState::Left => None,
        }
    });
    judged.collect()
}

fn lists(stats: &node::lists::Stats) -> Vec<Attention> {
    let mut found = Vec::new();
    if stats.quarantined > 0 {
        let what = format!("{} lists cannot be loaded and are set aside", stats.quarantined);
        found.push(critical(
            what,
            "other members still have them; the log says why (journalctl -u muster -p warning); send a maintainer muster debug bundle",
        ));
    }
    if stats.lag > LONG_LAG {
        let what = format!("a list has differed from another member's for {} s", stats.lag.as_secs());
        found.push(warning(what, "muster top shows which and from whose; look there for a full disk or an overloaded host"));
    }
    found
}

fn certificates(stats: &transport::Stats, now_s: i64) -> Vec<Attention> {
    let renew = "issue it again (muster pki issue NAME --renew), bring it to this host, then muster reload";
    let rotate = "make a new authority and add its certificate to ca.pem on all nodes before it is needed";
    let node = expiry("the node's certificate", stats.node_expires_at, now_s, RENEW_S, renew);
    node.into_iter().chain(expiry("the authority's certificate", stats.authority_expires_at, now_s, RENEW_AUTHORITY_S, rotate)).collect()
}

fn expiry(whose: &str, at_s: i64, now_s: i64, early_s: i64, remedy: &str) -> Option<Attention> {
    let left_s = at_s.saturating_sub(now_s);
    if left_s <= 0 {
        return Some(critical(format!("{whose} has expired: no new connection is accepted"), remedy));
    }
    let what = || format!("{whose} expires in {}", in_words(left_s));
    match left_s {
        _ if left_s < early_s / 10 => Some(critical(what(), remedy)),
        _ if left_s < early_s => Some(warning(what(), remedy)),
        _ => None,
    }
}

fn in_words(seconds: i64) -> String {
    match seconds {
        0..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / DAY_S),
    }
}

fn processes(snapshot: &Snapshot) -> Vec<Attention> {
    let (registry, mut found) = (snapshot.cluster.registry, Vec::new());
    if registry.contested > 0 {
        let what = format!("{} process names are claimed by several", registry.contested);
        found.push(warning(what, "muster ps --state contested names them: stop or rename all but one"));
    }
    if registry.registered.saturating_mul(10) > snapshot.capacity.saturating_mul(9) {
        let what = format!("{} of at most {} processes are registered here", registry.registered, snapshot.capacity);
        found.push(warning(what, "raise the daemon's hard limit of open files (LimitNOFILE), then restart it"));
    }
    if snapshot.cluster.health >= POOR_HEALTH {
        found.push(warning(
            "this node's own probes fail one after the other",
            "see whether this host is overloaded or its network loses packets",
        ));
    }
    found
}

#[cfg(test)]
mod tests;
