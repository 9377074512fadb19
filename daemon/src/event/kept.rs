//! The events on the disk: the last [`KEPT`] of them at least, in `events/` of the data directory.

use super::{Event, EventId, KEPT};
use crate::lines::{self, Most};
use crate::once::Once;
use api::events::ClusterEvent;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

const DIR: &str = "events";

/// A file has 800 bytes an event at most, several times what one usually takes.
const MOST: Most = Most {
    lines: KEPT,
    bytes: 8 << 20,
};

/// A line.
#[derive(Deserialize, Serialize)]
struct Line<E> {
    /// The event's own id; `id` is that of the member or list.
    event: String,
    #[serde(flatten)]
    told: E,
}

/// What earlier runs of the daemon have told, oldest first: the last [`KEPT`] events.
#[derive(Debug, Default)]
pub struct Past {
    pub(super) events: VecDeque<Arc<Once<Event>>>,
}

impl Past {
    /// Reads what a data directory has.
    pub(crate) fn read(data_dir: &Path) -> Self {
        let mut events = VecDeque::new();
        let all = lines::read(&data_dir.join(DIR), |line| {
            if let Some(event) = read(line) {
                if events.len() >= KEPT {
                    events.pop_front();
                }
                events.push_back(Arc::new(Once::new(event)));
            }
        });
        if let Err((path, error)) = all {
            let path = path.display();
            tracing::warn!(%path, %error, "earlier events cannot be read");
        }
        Self { events }
    }
}

fn read(line: &[u8]) -> Option<Event> {
    let line: Line<ClusterEvent> = serde_json::from_slice(line).ok()?;
    let id: EventId = line.event.parse().ok()?;
    Some(Event {
        id,
        told: line.told,
    })
}

/// Writes events to the files of a data directory.
#[derive(Debug)]
pub(super) struct Writer(lines::Writer);

impl Writer {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self(lines::Writer::new(data_dir.join(DIR), MOST))
    }

    /// Appends events.
    ///
    /// # Errors
    /// The disk takes no more: some of the events may be there.
    pub(super) fn append(&mut self, events: &[Arc<Once<Event>>]) -> io::Result<()> {
        self.0.append(events.iter().map(|event| Line {
            event: event.id.to_string(),
            told: &event.told,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::member_event;
    use super::*;
    use crate::lines::{CURRENT, PREVIOUS};

    fn event(number: u64) -> Arc<Once<Event>> {
        let id = EventId {
            run: "7".into(),
            number,
        };
        let told = member_event(&format!("n{number}"));
        Arc::new(Once::new(Event { id, told }))
    }

    fn numbers(dir: &Path) -> Vec<u64> {
        let events = Past::read(dir).events;
        events.iter().map(|event| event.id.number).collect()
    }

    #[test]
    fn what_was_written_is_read_by_the_next_run() {
        let dir = tempfile::tempdir().unwrap();
        assert!(numbers(dir.path()).is_empty());
        Writer::new(dir.path())
            .append(&[event(1), event(2)])
            .unwrap();
        Writer::new(dir.path()).append(&[event(3)]).unwrap();
        assert_eq!(numbers(dir.path()), [1, 2, 3]);
        assert_eq!(**Past::read(dir.path()).events[2], **event(3));
    }

    #[test]
    fn a_torn_line_costs_itself_only() {
        let dir = tempfile::tempdir().unwrap();
        Writer::new(dir.path())
            .append(&[event(1), event(2)])
            .unwrap();
        let path = dir.path().join(DIR).join(CURRENT);
        let written = std::fs::read(&path).unwrap();
        std::fs::write(&path, &written[..written.len() - 9]).unwrap();
        Writer::new(dir.path()).append(&[event(3)]).unwrap();
        assert_eq!(numbers(dir.path()), [1, 3]);
        std::fs::write(&path, [&written, &b"\xff\xfe\n{}\n"[..]].concat()).unwrap();
        assert_eq!(numbers(dir.path()), [1, 2]);
    }

    #[test]
    fn the_files_keep_the_last_events_and_grow_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(dir.path());
        let mut all = (1..).map(event);
        for _ in 0..7 {
            let some: Vec<_> = all.by_ref().take(KEPT / 2 + 1).collect();
            writer.append(&some).unwrap();
        }
        let last = 7 * (KEPT as u64 / 2 + 1);
        let kept = numbers(dir.path());
        assert_eq!(kept, (last - KEPT as u64 + 1..=last).collect::<Vec<_>>());
        let lines = |name| {
            let text = std::fs::read_to_string(dir.path().join(DIR).join(name)).unwrap();
            text.lines().count()
        };
        assert!(lines(CURRENT) + lines(PREVIOUS) <= 3 * KEPT);
    }
}
