//! What needs somebody's attention, and what is to be done about it: judged from numbers alone.

use crate::doctor::{Level, disk, expiry, expiry::Whose, search};
use crate::link::Link;
use crate::metrics::Snapshot;
use crate::service::TcpListening;
use api::node::{Attention, AttentionSeverity as Severity, ContradictedList, ForkedList};
use names::{NodeId, NodeName};
use node::cluster::{MemberState, RosterView, Verdict};
use node::wire::{Protocol, WriteError};
use std::collections::BTreeMap;
use std::time::Duration;

/// When one of 100 syncs takes longer than this, people notice.
const SLOW_SYNC: Duration = Duration::from_millis(250);
/// Repair takes seconds: a list that lags longer than this is stuck.
const LONG_LAG: Duration = Duration::from_secs(60);
/// From this local health on, the node's own probes fail one after the other.
const POOR_HEALTH: u64 = 3;

/// Unless it is good.
fn of_level(level: Level, what: String, remedy: &str) -> Option<Attention> {
    match level {
        Level::Good | Level::Other(_) => None,
        Level::Warning => Some(warning(what, remedy)),
        Level::Critical => Some(critical(what, remedy)),
    }
}

fn critical(what: impl Into<String>, remedy: impl Into<String>) -> Attention {
    Attention {
        severity: Severity::Critical,
        what: what.into(),
        remedy: remedy.into(),
    }
}

fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Attention {
    Attention {
        severity: Severity::Warning,
        what: what.into(),
        remedy: remedy.into(),
    }
}

/// The TCP listener, as far as it may need attention.
pub(crate) struct Listener {
    pub(crate) now: TcpListening,
    /// Whether the policy lets it take tokens from the network without TLS.
    pub(crate) plain_tokens: bool,
}

/// All that needs attention, the worst first. `now_s` is the time in Unix seconds.
pub(crate) fn judge(
    snapshot: &Snapshot,
    trouble: Option<WriteError>,
    listener: &Listener,
    now_s: i64,
) -> Vec<Attention> {
    let mut all = Vec::new();
    all.extend(store(snapshot, trouble));
    all.extend(served(&listener.now));
    all.extend(readable(snapshot, listener));
    all.extend(sought(snapshot));
    // That nobody has answered since the start is told with the names of all.
    if !snapshot.search.is_long || snapshot.search.members.is_empty() {
        all.extend(reach(&snapshot.views));
        all.extend(members(&snapshot.views, &snapshot.links));
    }
    all.extend(breaches(&snapshot.views));
    all.extend(unproved(snapshot));
    all.extend(damages(snapshot));
    all.extend(lists(&snapshot.lists));
    all.extend(certificates(snapshot, now_s));
    all.extend(processes(snapshot));
    all.sort_by(|one, other| one.severity.cmp(&other.severity));
    all
}

/// Tokens that whoever sees the packets can use.
fn readable(snapshot: &Snapshot, listener: &Listener) -> Option<Attention> {
    let (TcpListening::At(address) | TcpListening::Elsewhere { at: address, .. }) = &listener.now
    else {
        return None;
    };
    let is_beyond = !address.ip().to_canonical().is_loopback();
    (listener.plain_tokens && is_beyond && snapshot.tls_not_after.is_none()).then(|| {
        warning(
            format!("tokens cross the network without TLS: {address}, by [http] plain_tokens"),
            "set [http] tls_cert and tls_key, and take plain_tokens out; then revoke the tokens \
                that were sent (muster token list)",
        )
    })
}

fn served(listening: &TcpListening) -> Option<Attention> {
    match listening {
        TcpListening::Unwanted | TcpListening::At(_) => None,
        TcpListening::Elsewhere { at, configured } => Some(warning(
            format!("a socket unit has the TCP listener at {at}, [http] listen is {configured}"),
            "the unit's address is served: have ListenStream= (systemctl cat muster.socket) and \
                [http] listen say the same",
        )),
        TcpListening::Unserved(at) => Some(warning(
            format!("a socket unit listens at {at}, where nobody answers: [http] listen is none"),
            "take ListenStream= out of the unit (systemctl cat muster.socket), or set [http] \
                listen to its address",
        )),
        TcpListening::Failed { address, reason } => Some(critical(
            format!("the API and the page are not served by TCP: {address}: {reason}"),
            "another program may have the port, perhaps to be taken for this node: see ss -ltnp; \
             or change [http] listen and restart. This node tries again every 5 s",
        )),
    }
}

fn store(snapshot: &Snapshot, trouble: Option<WriteError>) -> Vec<Attention> {
    let mut found = Vec::new();
    match trouble {
        Some(WriteError::Full) => found.push(critical(
            "the disk is full: this node takes no \
                writes",
            "make room where data_dir is; it goes on by itself",
        )),
        Some(WriteError::Failed) => {
            found.push(critical(
                "the disk failed: this node takes no writes",
                "look at the disk and at the log (journalctl -u muster -p warning)",
            ));
        }
        None => {}
    }
    if let (Some(free), Some(size), None) = (
        snapshot.store.disk_free_bytes,
        snapshot.store.disk_size_bytes,
        trouble,
    ) {
        let (level, percent) = disk::judge_space(free, size);
        found.extend(of_level(
            level,
            format!(
                "only {percent} % of the disk is \
            free"
            ),
            disk::MAKE_ROOM,
        ));
    }
    let slow = snapshot
        .store
        .sync_quantiles
        .map(|(_, p99)| p99)
        .filter(|p99| *p99 > SLOW_SYNC);
    found.extend(slow.map(|p99| {
        warning(
            format!(
                "the disk takes up to {} ms to sync: writes wait for it",
                p99.as_millis()
            ),
            "see what else writes there (iostat -x 1), or use a faster disk",
        )
    }));
    found
}

/// Whom this node looks for and has not found since its start.
fn sought(snapshot: &Snapshot) -> Vec<Attention> {
    let wrong = search::judge(&snapshot.search).into_iter();
    wrong
        .filter_map(|wrong| of_level(wrong.level, wrong.what, wrong.remedy))
        .collect()
}

fn reach(view: &RosterView) -> Option<Attention> {
    let missing = view.expected().filter(|member| member.id != view.me);
    let missing: Vec<_> = missing
        .filter(|member| !member.state.is_reachable())
        .collect();
    let what = match view.verdict {
        Verdict::Whole | Verdict::Majority => return None,
        Verdict::Even => "this node reaches only half of the cluster",
        Verdict::Minority => "this node reaches only a minority of the cluster",
        Verdict::Alone => "this node reaches nobody",
    };
    if missing
        .iter()
        .all(|member| member.state == MemberState::Restarting)
    {
        let names: Vec<&str> = missing
            .iter()
            .map(|member| member.profile.name.as_str())
            .collect();
        return Some(warning(
            format!("{what} while these restart: {}", names.join(", ")),
            "nothing yet: they said that they will be back, and are down if they are not",
        ));
    }
    Some(critical(
        what,
        "muster doctor tells which way packets do not pass; lists go on here and \
        merge later",
    ))
}

fn members(view: &RosterView, links: &BTreeMap<NodeId, Link>) -> Vec<Attention> {
    let others = view.expected().filter(|member| member.id != view.me);
    let judged = others.filter_map(|member| {
        let name = &member.profile.name;
        let slow = links.get(&member.id).filter(|link| link.is_cause());
        match member.state {
            MemberState::Down => Some(down(name, slow)),
            MemberState::Suspect => Some(suspect(name, slow)),
            MemberState::Alive => member.indirect.as_ref().map(|indirect| {
                let by = indirect.by.iter().filter_map(|id| view.member(*id));
                let by: Vec<&str> = by.map(|member| member.profile.name.as_str()).collect();
                let others = if by.is_empty() {
                    "others reach it".to_owned()
                } else {
                    format!("{} can", by.join(", "))
                };
                warning(
                    format!("this node cannot connect to {name}, {others}"),
                    "a part of the network is cut: muster reach shows who reaches whom, muster \
                        doctor which way packets do not pass",
                )
            }),
            MemberState::Restarting | MemberState::Away | MemberState::Left => None,
        }
    });
    judged.collect()
}

/// `slow` is the link to it, if it explains that answers stay away.
fn down(name: &NodeName, slow: Option<&Link>) -> Attention {
    match slow {
        Some(link) => warning(
            format!("{name} is down; its link was slow when it last answered: {link}"),
            format!(
                "look at the link to it first; muster doctor tells more; if it is gone for good: \
                 muster forget {name}"
            ),
        ),
        None => warning(
            format!("{name} is down"),
            format!(
                "see whether its host and its musterd run; muster doctor tells more; if it is gone \
                 for good: muster forget {name}"
            ),
        ),
    }
}

fn suspect(name: &NodeName, slow: Option<&Link>) -> Attention {
    match slow {
        Some(link) => warning(
            format!("{name} did not answer a probe, by its link: {link}"),
            "nothing here: it has the time that its link needs, then it is alive again, or down",
        ),
        None => warning(
            format!("{name} did not answer a probe"),
            "nothing yet: within seconds it is alive again, or down",
        ),
    }
}

/// The links that explain why probes of this node are not answered, the worst first; at most three.
fn slow_links(snapshot: &Snapshot) -> Vec<String> {
    let view = &snapshot.views;
    let all = view.members.iter().filter_map(|member| {
        let link = snapshot.links.get(&member.id)?;
        link.is_cause().then_some((link, &member.profile.name))
    });
    let mut slow: Vec<_> = all.collect();
    slow.sort_by_key(|(link, _)| std::cmp::Reverse((link.lost_percent, link.round_trip)));
    let told = slow.into_iter().take(3);
    told.map(|(link, name)| format!("{name}: {link}")).collect()
}

/// Members that this node has cut off.
fn breaches(view: &RosterView) -> Vec<Attention> {
    let broken = view
        .members
        .iter()
        .filter_map(|member| Some((&member.profile.name, member.breach?)));
    let judged = broken.map(|(name, reason)| {
        warning(
            format!(
                "this node has cut {name} off, which broke the protocol: {}",
                reason.as_str()
            ),
            format!(
                "see whether {name} runs a version that goes with this one, and the log here \
                    (journalctl -u muster -p warning); if its host is not yours any more: muster \
                    revoke {name}"
            ),
        )
    });
    judged.collect()
}

/// Members that are believed without proofs.
fn unproved(snapshot: &Snapshot) -> Option<Attention> {
    if !snapshot.accepts_v1 {
        return None;
    }
    let view = &snapshot.views;
    let others = view.expected().filter(|member| member.id != view.me);
    let speaks_older = others.filter(|member| {
        member
            .protocol
            .is_none_or(|spoken| spoken < Protocol::PROVED)
    });
    let older: Vec<&str> = speaks_older
        .map(|member| member.profile.name.as_str())
        .collect();
    let remedy = if older.is_empty() {
        "all members speak protocol 2: take [cluster] accept_v1 out on each node, and restart it"
            .to_owned()
    } else {
        format!(
            "upgrade those that do not speak protocol 2 ({}); then take [cluster] accept_v1 out",
            older.join(", ")
        )
    };
    Some(warning(
        "protocol 1 is accepted: what its members say of other nodes proves nothing",
        remedy,
    ))
}

fn lists(stats: &node::lists::Stats) -> Vec<Attention> {
    let mut found = Vec::new();
    if stats.quarantined > 0 {
        let what = format!(
            "{} lists cannot be loaded and are in quarantine",
            stats.quarantined
        );
        found.push(critical(
            what,
            "muster quarantine names them, muster quarantine why LIST says why; then muster quarantine \
                release LIST, after an update, or muster quarantine replace LIST to take one from other \
                members",
        ));
    }
    if stats.changes_unsigned > 0 {
        let what = format!(
            "{} changes of lists were not taken: no node has signed for their authors",
            stats.changes_unsigned
        );
        found.push(warning(
            what,
            "the log says who sent them (journalctl -u muster -p warning): it lies, or is faulty. In \
                a cluster that is older than protocol 2 they may be good: set [cluster] \
                accept_unsigned here and restart; where the cluster's authority was replaced, bring \
                the ca.pem here that has the former one (muster pki retire)",
        ));
    }
    if stats.remaking > 0 {
        let what = format!(
            "what is shown of {} lists is being rebuilt from their changes",
            stats.remaking
        );
        found.push(warning(
            what,
            "nothing: it goes on by itself; until then conditional changes (If-Match) of their \
            entries may be refused",
        ));
    }
    if stats.lag > LONG_LAG {
        let what = format!(
            "a list has differed from another member's for {} \
            s",
            stats.lag.as_secs()
        );
        found.push(warning(
            what,
            "muster top shows which and from whose; look there for a full \
            disk or an overloaded host",
        ));
    }
    found
}

fn damages(snapshot: &Snapshot) -> impl Iterator<Item = Attention> + '_ {
    let damages = snapshot.damages.iter();
    damages.map(|one| critical(one.words(), one.remedy()))
}

fn certificates(snapshot: &Snapshot, now_s: i64) -> Vec<Attention> {
    let stats = &snapshot.transport;
    let both = [
        (Whose::Node, "the node's certificate", stats.node_expires_at),
        (
            Whose::Authority,
            "the authority's certificate",
            stats.authority_expires_at,
        ),
    ];
    let listener = snapshot
        .tls_not_after
        .map(|at_s| (Whose::Listener, "the TCP listener's certificate", at_s));
    let judged = both
        .into_iter()
        .chain(listener)
        .filter_map(|(whose, name, at_s)| {
            let (level, words) = expiry::judge(whose, at_s, now_s);
            of_level(level, format!("{name} {words}"), expiry::remedy(whose))
        });
    judged.collect()
}

/// The key with which this node signs for others, with what is known of it: until when it can, in Unix
/// seconds, or why it cannot.
pub(crate) fn signer(not_after: Result<Option<i64>, String>, now_s: i64) -> Option<Attention> {
    match not_after {
        Ok(None) => None,
        Ok(Some(at_s)) => {
            let (level, words) = expiry::judge(Whose::Signer, at_s, now_s);
            let what = format!("the certificate of the key that signs for others {words}");
            of_level(level, what, expiry::remedy(Whose::Signer))
        }
        Err(reason) => Some(warning(
            format!("this node cannot sign for others any more: {reason}"),
            expiry::remedy(Whose::Signer),
        )),
    }
}

/// Lists of which a member has other changes with the same numbers.
pub(crate) fn forks(forked: &[ForkedList], me: &str) -> Vec<Attention> {
    let told = forked.iter().map(|fork| {
        let (member, change, actor) = (&fork.member, fork.change, &fork.actor);
        let list = fork.name.as_deref().unwrap_or("that is not here yet");
        let whose = match &fork.node {
            Some(node) => format!("{node} (actor {actor})"),
            None => format!("the actor {actor}"),
        };
        critical(
            format!(
                "the list {list} is forked: {me} and {member} have unlike changes {change} of {whose}"
            ),
            "nothing of the list is confirmed between the two: no honest node writes a number twice, so \
                somebody has the key of a node and lies. Look on both for what the list should not have \
                (muster show), keep both data directories, and see SECURITY.md",
        )
    });
    told.collect()
}

/// Members that have signed two changes with one number as their own.
pub(crate) fn contradictions(all: &[ContradictedList]) -> Vec<Attention> {
    let told = all.iter().map(|one| {
        let (member, list) = (&one.member, &one.name);
        critical(
            format!("{member} has signed two changes of the list {list} with one number as its own"),
            "one of the two stays on all nodes. Either somebody has the key of that member and lies, or it \
                went on from a snapshot of its memory: its daemon has to be started anew after that. If it \
                was neither stopped nor set back, keep its data directory and see SECURITY.md",
        )
    });
    told.collect()
}

fn processes(snapshot: &Snapshot) -> Vec<Attention> {
    let (registry, mut found) = (snapshot.cluster.registry, Vec::new());
    if registry.contested > 0 {
        let what = format!(
            "{} process names are claimed by several",
            registry.contested
        );
        found.push(warning(
            what,
            "muster ps --state contested names them: stop or rename all but \
            one",
        ));
    }
    if registry.processes.saturating_mul(10) > snapshot.capacity.saturating_mul(9) {
        let what = format!(
            "{} of at most {} processes are registered \
            here",
            registry.processes, snapshot.capacity
        );
        found.push(warning(
            what,
            "raise the daemon's hard limit of open files (LimitNOFILE), then \
            restart it",
        ));
    }
    if snapshot.cluster.health >= POOR_HEALTH {
        found.push(unanswered(snapshot));
    }
    found
}

/// Many probes of this node's own are not answered.
fn unanswered(snapshot: &Snapshot) -> Attention {
    let what = "this node's own probes fail one after the other";
    let slow = slow_links(snapshot);
    if snapshot.cluster.is_starved {
        let remedy = "this daemon was stopped, or got no time, within the last minute: see whether \
            this host is overloaded";
        return warning(what, remedy);
    }
    if slow.is_empty() {
        let remedy = "this daemon got its time, so look at the network: muster doctor names the round \
            trip to each member and what is lost on the way";
        return warning(what, remedy);
    }
    warning(
        format!("{what}, by their links: {}", slow.join("; ")),
        "this daemon got its time, so look at the network there: muster doctor names the round trip to \
         each member and what is lost on the way",
    )
}

#[cfg(test)]
mod tests;
