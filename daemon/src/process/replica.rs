//! The directory of all processes as lookups read it, and those who watch a name.
//!
//! What the cluster machine says of a change and what it says happened come together, and are shown
//! together: whoever begins to watch reads the directory and takes his place in the hub under one
//! lock, and misses nothing in between.

use crate::event::EventLog;
use crate::hub::{Happening, Hub, Watcher};
use crate::once::Once;
use api::events::EventType;
use names::ProcessName;
use node::registry::{Directory, Event, Found, News};
use parking_lot::RwLock;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Something that happened to a registration, with its number in this run of the daemon, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) number: u64,
    pub(crate) event: Event,
}

impl Happening for Told {
    type Subject = ProcessName;

    fn subject(&self) -> &ProcessName {
        &self.event.handle.name
    }

    fn events(&self) -> usize {
        1
    }
}

/// The replica. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: RwLock<State>,
    hub: Hub<Once<Told>>,
}

#[derive(Debug, Default)]
struct State {
    directory: Directory,
    /// The number of the last event.
    last: u64,
    /// How many events there were of each kind.
    events: BTreeMap<EventType, u64>,
}

/// Somebody who watches a name.
#[derive(Debug)]
pub(crate) struct Monitor {
    /// What comes from now on.
    pub(crate) watcher: Watcher<Once<Told>>,
    /// What comes before it.
    pub(crate) first: First,
}

/// What a monitor is told first.
#[derive(Debug)]
pub(crate) enum First {
    /// Who has the name now, and the number of the last event.
    Snapshot(Option<Found>, u64),
    /// What happened since.
    Missed(Vec<Arc<Once<Told>>>),
}

impl Replica {
    /// Takes news over: to the directory, to those who watch, and to the event log.
    pub(crate) fn apply(&self, news: News, events: &EventLog) {
        let mut state = self.shared.state.write();
        news.changes
            .iter()
            .for_each(|change| state.directory.apply(change));
        for event in news.events {
            let what = events.append_process(&event);
            *state.events.entry(what).or_default() += 1;
            state.last = state.last.saturating_add(1);
            self.shared.hub.deliver(Arc::new(Once::new(Told {
                number: state.last,
                event,
            })));
        }
    }

    /// Reads the directory. The cluster machine waits meanwhile: `read` must be quick.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&Directory) -> R) -> R {
        read(&self.shared.state.read().directory)
    }

    /// Watches a name, from after the event of that number if it is known what happened since.
    pub(crate) fn monitor(&self, name: ProcessName, after: Option<u64>) -> Monitor {
        let state = self.shared.state.read();
        let resumed = after
            .filter(|after| *after <= state.last)
            .and_then(|after| {
                let missed =
                    |kept: &VecDeque<Arc<Once<Told>>>| missed(kept, &name, after, state.last);
                self.shared.hub.resume(name.clone(), missed)
            });
        match resumed {
            Some((watcher, missed)) => Monitor {
                watcher,
                first: First::Missed(missed),
            },
            None => {
                let found = state.directory.whereis(&name);
                Monitor {
                    watcher: self.shared.hub.watch(name),
                    first: First::Snapshot(found, state.last),
                }
            }
        }
    }

    /// How many events there were of each kind since the daemon's start.
    pub(crate) fn events(&self) -> BTreeMap<EventType, u64> {
        self.shared.state.read().events.clone()
    }

    /// How many watch a name.
    pub(crate) fn monitors(&self) -> usize {
        self.shared.hub.watchers()
    }
}

/// What of the kept events came after that number and concerns that name; nothing if some of it is
/// not kept any more.
fn missed(
    kept: &VecDeque<Arc<Once<Told>>>,
    name: &ProcessName,
    after: u64,
    last: u64,
) -> Option<Vec<Arc<Once<Told>>>> {
    let first = kept
        .front()
        .map_or(last.saturating_add(1), |told| told.number);
    let is_known = after.saturating_add(1) >= first;
    is_known.then(|| {
        kept.iter()
            .filter(|told| told.number > after && told.event.handle.name == *name)
            .cloned()
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Past;
    use crdt::registry::{Entry, Process, Reason};
    use futures_util::FutureExt;
    use names::{Handle, NodeId, NodeName};
    use node::registry::{Change, EventKind, ProcessState};
    use node::time::Wall;

    fn name(text: &str) -> ProcessName {
        ProcessName::new(text).unwrap()
    }

    fn happened(text: &str, kind: EventKind) -> Event {
        let node = NodeName::new("n1").unwrap();
        Event {
            at: Wall(0),
            handle: Handle {
                name: name(text),
                node,
                pid: 7,
                start: 8,
            },
            kind,
        }
    }

    fn node_is(reachable: bool) -> Change {
        Change::Node {
            owner: NodeId([1; 16]),
            name: NodeName::new("n1").unwrap(),
            reachable,
        }
    }

    fn holder(text: &str, is_there: bool) -> Change {
        let entry = Entry {
            uid: 0,
            user: None,
            exe: None,
            groups: Default::default(),
            metadata: Default::default(),
            address: None,
            claim: 1,
            since_ms: 0,
        };
        let process = Process {
            boot: [0; 16],
            pid: 7,
            start: 8,
        };
        Change::Holder {
            name: name(text),
            owner: NodeId([1; 16]),
            process,
            entry: is_there.then(|| Arc::new(entry)),
        }
    }

    fn up(replica: &Replica, log: &EventLog, text: &str) {
        replica.apply(
            News {
                changes: vec![node_is(true), holder(text, true)],
                events: vec![happened(text, EventKind::Up)],
            },
            log,
        );
    }

    fn down(replica: &Replica, log: &EventLog, text: &str) {
        let events = vec![happened(text, EventKind::Down(Reason::Killed(9)))];
        replica.apply(
            News {
                changes: vec![holder(text, false)],
                events,
            },
            log,
        );
    }

    fn kinds(told: &[Arc<Once<Told>>]) -> Vec<&EventKind> {
        told.iter().map(|told| &told.event.kind).collect()
    }

    #[test]
    fn who_watches_sees_what_is_and_then_what_comes() {
        let (replica, log) = (Replica::default(), EventLog::new(Past::default(), 7));
        up(&replica, &log, "web");
        up(&replica, &log, "db");
        let monitor = replica.monitor(name("web"), None);
        let First::Snapshot(Some(found), 2) = monitor.first else {
            panic!("{:?}", monitor.first)
        };
        assert_eq!(found.state, ProcessState::Up);
        down(&replica, &log, "db");
        down(&replica, &log, "web");
        let Some(crate::hub::News::Happened(told)) = monitor.watcher.next().now_or_never() else {
            panic!()
        };
        assert_eq!(
            (told.number, &told.event.kind),
            (4, &EventKind::Down(Reason::Killed(9)))
        );
        assert!(replica.read(Directory::is_empty));
        assert_eq!(
            replica.events(),
            BTreeMap::from([(EventType::Down, 2), (EventType::Up, 2)])
        );
        assert_eq!(
            log.all().past.last().map(|event| &event.told.what),
            Some(&EventType::Down)
        );
    }

    #[test]
    fn who_comes_back_gets_what_happened_to_his_name_meanwhile() {
        let (replica, log) = (Replica::default(), EventLog::new(Past::default(), 7));
        up(&replica, &log, "web");
        down(&replica, &log, "web");
        up(&replica, &log, "db");
        let missed = |text: &str, after| match replica.monitor(name(text), Some(after)).first {
            First::Missed(missed) => Some(missed),
            First::Snapshot(..) => None,
        };
        assert_eq!(
            kinds(&missed("web", 1).unwrap()),
            [&EventKind::Down(Reason::Killed(9))]
        );
        assert!(missed("web", 3).unwrap().is_empty());
        assert_eq!(missed("web", 0).unwrap().len(), 2);
        assert!(missed("web", 4).is_none(), "an event that never was");
    }

    #[test]
    fn what_is_not_kept_any_more_cannot_be_resumed() {
        let (replica, log) = (Replica::default(), EventLog::new(Past::default(), 7));
        (0..crate::hub::KEPT_EVENTS / 2 + 1).for_each(|_| {
            up(&replica, &log, "web");
            down(&replica, &log, "web");
        });
        assert!(matches!(
            replica.monitor(name("web"), Some(1)).first,
            First::Snapshot(None, _)
        ));
        assert!(matches!(
            replica.monitor(name("web"), Some(2)).first,
            First::Missed(_)
        ));
    }
}
