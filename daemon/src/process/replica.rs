//! The directory of all processes as lookups read it, and those who watch a name.
//!
//! What the cluster machine says of a change and what it says happened come together, and are shown
//! together: whoever begins to watch reads the directory and takes his place in the hub under one
//! lock, and misses nothing in between.

use super::fallen::{Fall, Fallen};
use crate::event::EventLog;
use crate::hub::{Happening, Hub, Watcher};
use crate::once::Once;
use api::events::EventType;
use names::ProcessName;
use node::registry::{Directory, Event, Found, News};
use parking_lot::RwLock;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

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
    fallen: Fallen,
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
        let (mut state, now) = (self.shared.state.write(), Instant::now());
        let State {
            directory, fallen, ..
        } = &mut *state;
        news.events
            .iter()
            .for_each(|event| fallen.note(directory, event, now));
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

    /// The names of registrations that have ended within the last hour, and what these were.
    pub(crate) fn fallen(&self) -> BTreeMap<ProcessName, Fall> {
        self.shared.state.read().fallen.recent(Instant::now())
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
    use crate::process::testing::{ends, registers};
    use crdt::registry::Reason;
    use futures_util::FutureExt;
    use node::registry::{EventKind, ProcessState};

    fn name(text: &str) -> ProcessName {
        ProcessName::new(text).unwrap()
    }

    fn up(replica: &Replica, log: &EventLog, text: &str) {
        registers(replica, log, text);
    }

    fn down(replica: &Replica, log: &EventLog, text: &str) {
        ends(replica, log, text, Reason::Killed(9));
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
    fn what_a_registration_was_is_known_until_another_one_has_the_name() {
        let (replica, log) = (Replica::default(), EventLog::new(Past::default(), 7));
        up(&replica, &log, "web");
        assert!(replica.fallen().is_empty());
        down(&replica, &log, "web");
        let fallen = replica.fallen();
        let fall = &fallen[&name("web")];
        assert!(fall.is_failure);
        assert_eq!(fall.holder.process.pid, 7);
        up(&replica, &log, "web");
        assert!(replica.fallen().is_empty());
    }

    #[test]
    fn only_so_many_names_are_known_the_latest_ones() {
        let (replica, log) = (Replica::default(), EventLog::new(Past::default(), 7));
        for number in 0..1_001 {
            up(&replica, &log, &format!("p{number}"));
            down(&replica, &log, &format!("p{number}"));
        }
        let fallen = replica.fallen();
        assert_eq!(fallen.len(), 1_000);
        assert!(!fallen.contains_key(&name("p0")) && fallen.contains_key(&name("p1000")));
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
