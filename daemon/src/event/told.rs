//! What the machines report, in the words of the API.

use super::EventLog;
use api::events::{
    ClusterEvent, EventDetails, EventKind, EventType, MissingMembers, ProcessDetails,
};
use api::time::Millis;
use crdt::registry::Reason;
use names::{Handle, ListName, NodeId};
use node::cluster::{MemberChange, Verdict};
use node::lists::{Change, Contradiction, Fork, Gone, Left};
use node::registry;
use node::time::Wall;

/// A suspicion that lasted for so long is worth a line in the log.
const LASTS_MS: i64 = 2_000;

impl EventLog {
    /// Appends what the cluster machine reports. `heal` is the report of the heal that is being written.
    pub fn append_cluster(&self, event: node::cluster::Event, heal: Option<String>) {
        let at = Millis(event.at.0);
        match event.kind {
            node::cluster::EventKind::Member {
                kind,
                name,
                id,
                role,
                detail,
            } => {
                match self.line(event.at, kind, id, &detail) {
                    Some(detail) => {
                        tracing::info!(member = %name, %role, state = kind.as_str(), detail, "a member changed");
                    }
                    None => {
                        tracing::debug!(member = %name, %role, state = kind.as_str(), detail, "a member changes");
                    }
                }
                self.append(ClusterEvent {
                    at,
                    kind: EventKind::Member,
                    what: member_event(kind),
                    name: name.to_string(),
                    more: EventDetails {
                        id: Some(id.to_string()),
                        detail: Some(detail),
                        role: Some(role.as_str().into()),
                        ..EventDetails::default()
                    },
                });
            }
            node::cluster::EventKind::Partition { from, to, missing } => {
                let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
                tracing::info!(
                    from = from.as_str(),
                    to = to.as_str(),
                    ?missing,
                    "reach of the cluster changed"
                );
                self.append(ClusterEvent {
                    at,
                    kind: EventKind::Partition,
                    what: partition_event(to),
                    name: to.as_str().to_owned(),
                    more: EventDetails {
                        from: Some(from.as_str().into()),
                        verdict: Some(to.as_str().into()),
                        missing: Some(MissingMembers::Names(missing)),
                        heal,
                        ..EventDetails::default()
                    },
                });
            }
        }
    }

    /// What the log says of a change of a member; `None` if that is worth no line. That it is suspect is told
    /// when it answers again, and only if that took a while: what follows if it does not answer is told anyway.
    fn line(&self, at: Wall, kind: MemberChange, id: NodeId, detail: &str) -> Option<String> {
        let mut suspects = self.suspects.lock();
        if kind == MemberChange::Suspect {
            suspects.insert(id, (at, detail.to_owned()));
            return None;
        }
        let suspected = suspects.remove(&id);
        let Some((since, why)) = suspected.filter(|_| kind == MemberChange::Alive) else {
            return Some(detail.to_owned());
        };
        let ms = at.0.saturating_sub(since.0);
        (ms >= LASTS_MS).then(|| format!("it was suspect for {:.1} s: {why}", ms as f64 / 1e3))
    }

    /// Appends what the cluster machine reports of a registered process; gives the event's type.
    pub fn append_process(&self, event: &registry::Event) -> EventType {
        let (what, process) = process_event(event);
        tracing::debug!(process = %event.handle, ?event.kind, "process is {what}");
        self.append(ClusterEvent {
            at: Millis(event.at.0),
            kind: EventKind::Process,
            what: what.clone(),
            name: event.handle.name.to_string(),
            more: EventDetails {
                process,
                ..EventDetails::default()
            },
        });
        what
    }

    /// Appends that a member has another branch of a list.
    pub fn append_fork(&self, at: Wall, name: Option<&ListName>, fork: &Fork) {
        let member = fork.member.as_ref().map(ToString::to_string);
        let whose = if fork.is_own { ", this node's own" } else { "" };
        let detail = format!(
            "{} has another change {} of the actor {}{whose}",
            member.unwrap_or_else(|| fork.peer.to_string()),
            fork.seq,
            fork.actor
        );
        let id = fork.list.to_string();
        self.append(ClusterEvent {
            at: Millis(at.0),
            kind: EventKind::List,
            what: EventType::Forked,
            name: name.map_or_else(|| id.clone(), ToString::to_string),
            more: EventDetails {
                id: Some(id),
                detail: Some(detail),
                ..EventDetails::default()
            },
        });
    }

    /// Appends that a node has signed two changes with one number as its own.
    pub fn append_contradiction(&self, at: Wall, list: Option<&ListName>, one: &Contradiction) {
        let member = one.member.as_ref().map(ToString::to_string);
        let list = list.map_or_else(|| one.list.to_string(), ToString::to_string);
        self.append(ClusterEvent {
            at: Millis(at.0),
            kind: EventKind::Member,
            what: EventType::Contradicted,
            name: member.unwrap_or_else(|| one.node.to_string()),
            more: EventDetails {
                id: Some(one.node.to_string()),
                detail: Some(format!(
                    "it has signed two changes with one number as its own, in the list {list}"
                )),
                ..EventDetails::default()
            },
        });
    }

    /// Appends that changes have left a list.
    pub fn append_left(&self, left: &Left) {
        let done = left.changes.iter().filter(|gone| gone.is_own);
        let hashes: Vec<String> = done.map(in_words).collect();
        let count = left.changes.len();
        let changes = if count == 1 { "change" } else { "changes" };
        let detail = if hashes.is_empty() {
            format!("{count} {changes} moved aside")
        } else {
            let hashes = hashes.join(", ");
            format!("{count} {changes} moved aside, of these acknowledged by this node: {hashes}")
        };
        self.append(ClusterEvent {
            at: Millis(left.at.0),
            kind: EventKind::List,
            what: EventType::LeftOut,
            name: left.name.to_string(),
            more: EventDetails {
                id: Some(left.list.to_string()),
                detail: Some(detail),
                ..EventDetails::default()
            },
        });
    }

    /// Appends what a lists machine reports.
    pub fn append_list(&self, change: &Change) {
        let what = match (change.total_before, change.row.total) {
            (0, 1..) => EventType::Created,
            (1.., 0) => EventType::Deleted,
            _ => EventType::Changed,
        };
        self.append(ClusterEvent {
            at: Millis(change.at.0),
            kind: EventKind::List,
            what,
            name: change.name.to_string(),
            more: EventDetails {
                id: Some(change.list.to_string()),
                total: Some(change.row.total),
                open: Some(change.row.open),
                ..EventDetails::default()
            },
        });
    }
}

/// A change of this node that was moved aside, and where what it said is now.
fn in_words(gone: &Gone) -> String {
    let anew: Vec<String> = gone.anew.iter().map(ToString::to_string).collect();
    if anew.is_empty() {
        gone.hash.to_string()
    } else {
        format!("{}, written anew as {}", gone.hash, anew.join(" and "))
    }
}

fn member_event(kind: MemberChange) -> EventType {
    match kind {
        MemberChange::Joined => EventType::Joined,
        MemberChange::Suspect => EventType::Suspect,
        MemberChange::Alive => EventType::Alive,
        MemberChange::Down => EventType::Down,
        MemberChange::Indirect => EventType::Indirect,
        MemberChange::Direct => EventType::Direct,
        MemberChange::Away => EventType::Away,
        MemberChange::Back => EventType::Back,
        MemberChange::Restarting => EventType::Restarting,
        MemberChange::Left => EventType::Left,
        MemberChange::Forgotten => EventType::Forgotten,
        MemberChange::Revoked => EventType::Revoked,
    }
}

/// What it is called that the node now reaches so much of the cluster.
pub(crate) fn partition_event(verdict: Verdict) -> EventType {
    match verdict {
        Verdict::Whole => EventType::Healed,
        Verdict::Majority | Verdict::Even | Verdict::Minority | Verdict::Alone => {
            EventType::Changed
        }
    }
}

/// What happened to a process, and what is said of it.
pub(crate) fn process_event(event: &registry::Event) -> (EventType, ProcessDetails) {
    let about = ProcessDetails {
        handle: Some(event.handle.to_string()),
        node: Some(event.handle.node.to_string()),
        ..ProcessDetails::default()
    };
    let with = |other: &Handle| ProcessDetails {
        other: Some(other.to_string()),
        ..about.clone()
    };
    match &event.kind {
        registry::EventKind::Up => (EventType::Up, about),
        registry::EventKind::Down(reason) => (EventType::Down, down(*reason, about)),
        registry::EventKind::Unreachable => (EventType::Unreachable, about),
        registry::EventKind::Back => (EventType::Back, about),
        registry::EventKind::Contested { other } => (EventType::Contested, with(other)),
        registry::EventKind::Lost { to } => (EventType::Lost, with(to)),
    }
}

fn down(reason: Reason, about: ProcessDetails) -> ProcessDetails {
    let (code, signal) = match reason {
        Reason::ExitedWith(code) => (Some(code), None),
        Reason::Killed(signal) => (None, Some(signal)),
        Reason::Exited
        | Reason::Unregistered
        | Reason::Left
        | Reason::Unknown
        | Reason::Revoked => (None, None),
    };
    ProcessDetails {
        reason: Some(reason.to_string()),
        code,
        signal,
        ..about
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_a_line_of_a_suspicion_that_lasted_and_none_of_a_short_one() {
        let log = EventLog::new(super::super::Past::default(), 7);
        let id = NodeId([1; 16]);
        let line = |ms, kind, detail: &str| log.line(Wall(ms), kind, id, detail);
        let why = "a probe was not answered; its round trip is 640 ms";
        assert_eq!(line(0, MemberChange::Suspect, why), None);
        assert_eq!(line(LASTS_MS - 1, MemberChange::Alive, ""), None);
        assert_eq!(line(10_000, MemberChange::Suspect, why), None);
        let lasted = line(14_200, MemberChange::Alive, "");
        let told = format!("it was suspect for 4.2 s: {why}");
        assert_eq!(lasted, Some(told));
        assert_eq!(line(20_000, MemberChange::Suspect, why), None);
        let down = line(20_500, MemberChange::Down, "no answer for 2.0 s");
        assert_eq!(down.as_deref(), Some("no answer for 2.0 s"));
        assert_eq!(line(20_600, MemberChange::Alive, "").as_deref(), Some(""));
    }

    #[test]
    fn the_end_of_a_process_says_why() {
        let handle: names::Handle = "web@n1#7.8".parse().unwrap();
        let told = |kind| {
            process_event(&registry::Event {
                at: node::time::Wall(0),
                handle: handle.clone(),
                kind,
            })
        };
        let (what, about) = told(registry::EventKind::Down(Reason::Killed(9)));
        assert_eq!(what, EventType::Down);
        assert_eq!(
            serde_json::to_value(about).unwrap(),
            serde_json::json!({
                "handle": "web@n1#7.8", "node": "n1", "reason": "killed signal=9", "signal": 9,
            })
        );
        let (what, about) = told(registry::EventKind::Lost {
            to: "web@n2#1.2".parse().unwrap(),
        });
        assert_eq!(
            (what, about.other.as_deref()),
            (EventType::Lost, Some("web@n2#1.2"))
        );
    }
}
