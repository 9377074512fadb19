//! What happened on this node and in its cluster, kept for those who ask late, over restarts too.

mod keeper;
mod kept;
mod told;

pub(crate) use keeper::Keeper;
pub(crate) use kept::Past;
pub(crate) use told::{partition_event, process_event};

use crate::once::Once;
use api::events::ClusterEvent;
use names::NodeId;
use node::time::Wall;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use tokio::sync::broadcast;

/// How many events are kept, and how far a reader may fall behind before it is told that it lagged.
pub const KEPT: usize = 10_000;

/// Which event, over all runs of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventId {
    /// Which run of the daemon it happened in.
    pub run: Arc<str>,
    /// Its number there, from 1.
    pub number: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.run, self.number)
    }
}

/// A text that is no event's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEventId;

impl FromStr for EventId {
    type Err = NoEventId;

    fn from_str(text: &str) -> Result<Self, NoEventId> {
        let (run, number) = text.rsplit_once('-').ok_or(NoEventId)?;
        Ok(Self {
            run: run.into(),
            number: number.parse().map_err(|_| NoEventId)?,
        })
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Which one.
    pub id: EventId,
    /// What happened.
    pub told: ClusterEvent,
}

/// The log: a ring of the last [`KEPT`] events, and a channel for those to come. Clones share it.
#[derive(Clone, Debug)]
pub struct EventLog {
    /// Names this run of the daemon in the ids of events.
    run: Arc<str>,
    ring: Arc<Mutex<Ring>>,
    live: broadcast::Sender<Arc<Once<Event>>>,
    /// Members that are suspect: since when, and why.
    suspects: Arc<Mutex<BTreeMap<NodeId, (Wall, String)>>>,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<Once<Event>>>,
    /// The number that the next event gets.
    next: u64,
    /// Whoever writes them to the disk.
    keeper: Option<SyncSender<Arc<Once<Event>>>>,
}

impl Ring {
    /// How many of the kept events come up to that one; `None` if what follows it is not known here (any
    /// more).
    fn up_to(&self, after: &EventId, run: &str) -> Option<usize> {
        let is_of_run = |event: &&Arc<Once<Event>>| *event.id.run == *after.run;
        let is_this_run = *after.run == *run;
        if is_this_run && after.number >= self.next {
            return None;
        }
        let Some(start) = self.events.iter().position(|event| is_of_run(&event)) else {
            return (is_this_run && self.next == 1).then_some(self.events.len());
        };
        let of_run = self.events.iter().skip(start).take_while(is_of_run);
        let first = of_run.clone().next()?.id.number;
        // What an earlier run told last may not have come to the disk before it ended: whoever has seen
        // that goes on with the next run.
        let seen = of_run.filter(|event| event.id.number <= after.number);
        (after.number.saturating_add(1) >= first).then(|| start + seen.count())
    }
}

/// Past events that a reader asked for, and a receiver of all that follow without a gap.
#[derive(Debug)]
pub struct Subscription {
    /// The kept events that were asked for, oldest first.
    pub past: Vec<Arc<Once<Event>>>,
    /// By which the reader can resume later what follows `past`.
    pub last: EventId,
    /// What comes next.
    pub live: broadcast::Receiver<Arc<Once<Event>>>,
}

impl EventLog {
    /// A log that goes on from what earlier runs of the daemon have told. `started` tells this run
    /// from them.
    pub fn new(past: Past, started: u64) -> Self {
        let is_taken = |run: &str| past.events.iter().any(|event| *event.id.run == *run);
        // A clock that was set back may show the time of an earlier start.
        let runs = (0..).map(|more| format!("{:x}", started.wrapping_add(more)));
        let run = runs.into_iter().find(|run| !is_taken(run));
        Self {
            run: run.unwrap_or_default().into(),
            ring: Arc::new(Mutex::new(Ring {
                events: past.events,
                next: 1,
                keeper: None,
            })),
            live: broadcast::channel(KEPT).0,
            suspects: Arc::default(),
        }
    }

    /// Names this run of the daemon in the ids of events.
    pub fn run(&self) -> &Arc<str> {
        &self.run
    }

    /// Appends an event and tells all readers.
    pub fn append(&self, told: ClusterEvent) {
        let mut ring = self.ring.lock();
        let id = EventId {
            run: Arc::clone(&self.run),
            number: ring.next,
        };
        ring.next = ring.next.saturating_add(1);
        let event = Arc::new(Once::new(Event { id, told }));
        if ring.events.len() >= KEPT {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::clone(&event));
        if let Some(keeper) = &ring.keeper {
            // Its disk may be stuck: it sees by the numbers that some are missing, and says so.
            let _ = keeper.try_send(Arc::clone(&event));
        }
        // Nobody listening is no error. Sent under the lock, so that a subscription has no gap.
        let _ = self.live.send(event);
    }

    /// Everything after the event `after`. `None` if that one is not known here (any more): nothing
    /// can be resumed.
    pub fn resume(&self, after: &EventId) -> Option<Subscription> {
        let ring = self.ring.lock();
        let seen = ring.up_to(after, &self.run)?;
        Some(self.subscribe(&ring, seen))
    }

    /// Everything of this run, for whoever knows an earlier one only. `None` if not all of it is kept.
    pub fn restarted(&self) -> Option<Subscription> {
        self.resume(&EventId {
            run: Arc::clone(&self.run),
            number: 0,
        })
    }

    /// What comes from now on.
    pub fn follow(&self) -> Subscription {
        let ring = self.ring.lock();
        self.subscribe(&ring, ring.events.len())
    }

    /// All kept events, and what comes from now on.
    pub fn all(&self) -> Subscription {
        self.subscribe(&self.ring.lock(), 0)
    }

    fn subscribe(&self, ring: &Ring, skipped: usize) -> Subscription {
        let last = ring.events.back().map(|event| event.id.clone());
        Subscription {
            past: ring.events.iter().skip(skipped).cloned().collect(),
            last: last.unwrap_or_else(|| EventId {
                run: Arc::clone(&self.run),
                number: 0,
            }),
            live: self.live.subscribe(),
        }
    }

    /// From now on tells `keeper` as well; with none, those that it has had so far are its last.
    fn keep_by(&self, keeper: Option<SyncSender<Arc<Once<Event>>>>) {
        self.ring.lock().keeper = keeper;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::events::{EventDetails, EventKind, EventType};
    use api::time::Millis;

    pub(super) fn member_event(name: &str) -> ClusterEvent {
        ClusterEvent {
            at: Millis(0),
            kind: EventKind::Member,
            what: EventType::Alive,
            name: name.to_owned(),
            more: EventDetails {
                id: Some("0".repeat(32)),
                ..EventDetails::default()
            },
        }
    }

    fn log(events: usize) -> EventLog {
        let log = EventLog::new(Past::default(), 7);
        (0..events).for_each(|n| log.append(member_event(&format!("n{n}"))));
        log
    }

    /// The log of the next run of the daemon, whose disk has all but the newest `lost` events.
    fn restart(log: &EventLog, lost: usize) -> EventLog {
        let mut events = log.all().past;
        events.truncate(events.len() - lost);
        let events = events.into();
        EventLog::new(Past { events }, 7)
    }

    fn after(log: &EventLog, id: &str) -> Option<Vec<String>> {
        let resumed = log.resume(&id.parse().unwrap())?;
        Some(resumed.past.iter().map(|e| e.told.name.clone()).collect())
    }

    #[test]
    fn a_reader_resumes_after_the_event_that_it_saw_last() {
        assert_eq!(
            after(&log(3), "7-1"),
            Some(vec!["n1".to_owned(), "n2".to_owned()])
        );
        assert_eq!(after(&log(3), "7-3"), Some(vec![]));
        assert_eq!(after(&log(0), "7-0"), Some(vec![]));
    }

    #[test]
    fn a_reader_resumes_after_an_event_of_an_earlier_run() {
        let second = restart(&log(3), 0);
        assert_eq!(&**second.run(), "8", "each run has an id of its own");
        assert_eq!(after(&second, "8-0"), Some(vec![]));
        second.append(member_event("new"));
        let third = restart(&second, 0);
        third.append(member_event("newer"));
        assert_eq!(
            after(&third, "7-2").unwrap(),
            ["n2", "new", "newer"].map(str::to_owned)
        );
        assert_eq!(after(&third, "8-1").unwrap(), ["newer".to_owned()]);
        assert_eq!(after(&third, "9-0").unwrap(), ["newer".to_owned()]);
        assert_eq!(after(&third, "9-1").unwrap(), Vec::<String>::new());
        assert_eq!(after(&third, "9-2"), None, "it has not happened yet");
        assert_eq!(after(&third, "a-1"), None, "there was no such run");
    }

    #[test]
    fn what_was_told_last_before_a_crash_may_be_missing_and_nothing_else() {
        let second = restart(&log(3), 1);
        second.append(member_event("new"));
        assert_eq!(after(&second, "7-3").unwrap(), ["new".to_owned()]);
        assert_eq!(
            after(&second, "7-1").unwrap(),
            ["n1", "new"].map(str::to_owned)
        );
    }

    #[test]
    fn what_was_forgotten_or_never_was_cannot_be_resumed() {
        assert_eq!(after(&log(3), "7-4"), None);
        assert_eq!(after(&log(KEPT + 5), "7-3"), None);
        assert_eq!(after(&log(KEPT + 5), "7-5").unwrap().len(), KEPT);
        assert_eq!(log(KEPT + 5).restarted().map(|kept| kept.past.len()), None);
        let second = restart(&log(KEPT), 0);
        second.append(member_event("new"));
        assert_eq!(after(&second, "7-0"), None);
        assert_eq!(after(&second, "7-1").unwrap().len(), KEPT);
    }
}
