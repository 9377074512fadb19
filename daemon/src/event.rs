//! What happened on this node and in its cluster, kept for a while for those who ask late.

use crdt::registry::Reason;
use node::cluster::{EventKind, registry};
use node::lists::Change;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;

/// How many events are kept, and how far a reader may fall behind before it is told that it lagged.
pub const KEPT: usize = 10_000;

/// One event, as the API tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its number in this run of the daemon, from 1.
    pub id: u64,
    /// Milliseconds since the epoch, by this node's clock.
    pub at_ms: i64,
    /// `member`, `process`, `list` or `partition`.
    pub kind: &'static str,
    /// What happened to it, such as `down`.
    pub what: &'static str,
    /// Which member, process or list.
    pub name: String,
    /// More about it, by kind.
    pub detail: Map<String, Value>,
}

/// The log: a ring of the last [`KEPT`] events, and a channel for those to come. Clones share it.
#[derive(Clone, Debug)]
pub struct EventLog {
    ring: Arc<Mutex<VecDeque<Arc<Event>>>>,
    live: broadcast::Sender<Arc<Event>>,
}

/// Past events that a reader asked for, and a receiver of all that follow without a gap.
#[derive(Debug)]
pub struct Subscription {
    /// Kept events after the one asked for, oldest first.
    pub past: Vec<Arc<Event>>,
    /// What comes next.
    pub live: broadcast::Receiver<Arc<Event>>,
}

impl Default for EventLog {
    fn default() -> Self {
        Self {
            ring: Arc::default(),
            live: broadcast::channel(KEPT).0,
        }
    }
}

impl EventLog {
    /// Appends an event and tells all readers.
    pub fn append(
        &self,
        at_ms: i64,
        kind: &'static str,
        what: &'static str,
        name: String,
        detail: Map<String, Value>,
    ) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let id = ring.back().map_or(1, |last| last.id.saturating_add(1));
        let event = Arc::new(Event {
            id,
            at_ms,
            kind,
            what,
            name,
            detail,
        });
        if ring.len() >= KEPT {
            ring.pop_front();
        }
        ring.push_back(Arc::clone(&event));
        // Nobody listening is no error. Sent under the lock, so that a subscription has no gap.
        let _ = self.live.send(event);
    }

    /// Everything after the event `after`. `None` if that one is not known here (any more): nothing
    /// can be resumed.
    pub fn resume(&self, after: u64) -> Option<Subscription> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let first = ring.front().map_or(1, |event| event.id);
        let last = ring.back().map_or(0, |event| event.id);
        if after.saturating_add(1) < first || after > last {
            return None;
        }
        let past = ring
            .iter()
            .filter(|event| event.id > after)
            .cloned()
            .collect();
        Some(Subscription {
            past,
            live: self.live.subscribe(),
        })
    }

    /// What comes from now on; `past` holds the last event only, by which the reader can resume
    /// later.
    pub fn follow(&self) -> Subscription {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        Subscription {
            past: ring.back().cloned().into_iter().collect(),
            live: self.live.subscribe(),
        }
    }

    /// Appends what the cluster machine reports.
    pub fn append_cluster(&self, event: node::cluster::Event) {
        let at = event.at.0;
        match event.kind {
            EventKind::Member {
                kind,
                name,
                id,
                detail,
            } => {
                tracing::info!(member = %name, state = kind, detail, "a member changed");
                self.append(
                    at,
                    "member",
                    kind,
                    name.to_string(),
                    object(json!({ "id": id.to_string(), "detail": detail })),
                );
            }
            EventKind::Partition { from, to, missing } => {
                let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
                tracing::info!(
                    from = from.as_str(),
                    to = to.as_str(),
                    ?missing,
                    "reach of the cluster changed"
                );
                let healed = to == node::cluster::Verdict::Whole;
                let detail = object(
                    json!({ "from": from.as_str(), "verdict": to.as_str(), "missing": missing }),
                );
                self.append(
                    at,
                    "partition",
                    if healed { "healed" } else { "changed" },
                    to.as_str().to_owned(),
                    detail,
                );
            }
        }
    }

    /// Appends what the cluster machine reports of a registered process; gives the event's type.
    pub fn append_process(&self, event: &registry::Event) -> &'static str {
        let (what, detail) = process_event(event);
        tracing::debug!(process = %event.handle, ?event.kind, "process is {what}");
        self.append(
            event.at.0,
            "process",
            what,
            event.handle.name.to_string(),
            detail,
        );
        what
    }

    /// Appends what a lists machine reports.
    pub fn append_list(&self, change: &Change) {
        let what = match (change.total_before, change.row.total) {
            (0, 1..) => "created",
            (1.., 0) => "deleted",
            _ => "changed",
        };
        let detail = object(
            json!({ "id": change.list.to_string(), "total": change.row.total, "open": change.row.open }),
        );
        self.append(change.at.0, "list", what, change.name.to_string(), detail);
    }
}

/// What happened to a process in a word, and the fields of the API that say more: `handle`, `node`,
/// and by kind `reason` with `code` or `signal`, or `other`.
pub(crate) fn process_event(event: &registry::Event) -> (&'static str, Map<String, Value>) {
    let (what, more) = match &event.kind {
        registry::EventKind::Up => ("up", json!({})),
        registry::EventKind::Down(reason) => ("down", down(*reason)),
        registry::EventKind::Unreachable => ("unreachable", json!({})),
        registry::EventKind::Back => ("back", json!({})),
        registry::EventKind::Contested { other } => {
            ("contested", json!({ "other": other.to_string() }))
        }
        registry::EventKind::Lost { to } => ("lost", json!({ "other": to.to_string() })),
    };
    let mut detail =
        object(json!({ "handle": event.handle.to_string(), "node": event.handle.node.as_str() }));
    detail.extend(object(more));
    (what, detail)
}

fn down(reason: Reason) -> Value {
    let text = reason.to_string();
    match reason {
        Reason::ExitedWith(code) => json!({ "reason": text, "code": code }),
        Reason::Killed(signal) => json!({ "reason": text, "signal": signal }),
        Reason::Exited | Reason::Unregistered | Reason::Left | Reason::Unknown => {
            json!({ "reason": text })
        }
    }
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value {
        map
    } else {
        Map::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(events: usize) -> EventLog {
        let log = EventLog::default();
        (0..events).for_each(|n| log.append(0, "member", "alive", format!("n{n}"), Map::new()));
        log
    }

    #[test]
    fn a_reader_resumes_after_the_event_that_it_saw_last() {
        let names = |s: Subscription| s.past.iter().map(|e| e.name.clone()).collect::<Vec<_>>();
        assert_eq!(
            log(3).resume(1).map(names),
            Some(vec!["n1".to_owned(), "n2".to_owned()])
        );
        assert_eq!(log(3).resume(3).map(names), Some(vec![]));
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
        let (what, detail) = told(registry::EventKind::Down(Reason::Killed(9)));
        assert_eq!(what, "down");
        assert_eq!(
            Value::Object(detail),
            json!({ "handle": "web@n1#7.8", "node": "n1", "reason": "killed signal=9", "signal": 9 })
        );
        let (what, detail) = told(registry::EventKind::Lost {
            to: "web@n2#1.2".parse().unwrap(),
        });
        assert_eq!(
            (what, detail["other"].as_str()),
            ("lost", Some("web@n2#1.2"))
        );
    }

    #[test]
    fn what_was_forgotten_or_never_was_cannot_be_resumed() {
        assert!(log(3).resume(4).is_none());
        assert!(log(KEPT + 5).resume(3).is_none());
        assert!(log(KEPT + 5).resume(5).is_some());
    }
}
