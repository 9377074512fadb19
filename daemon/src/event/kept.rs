//! The events on the disk: two files in `events/` of the data directory, a JSON object a line.
//!
//! New events go to the end of `current`. When that has enough it takes the place of `previous`, and a
//! new one begins: so both together have the last [`KEPT`] events at least, but for those that are
//! larger than all sense. Nothing is promised of them: they are not synced, and a line that cannot be
//! read is passed over.

use super::{Event, EventId, KEPT};
use crate::once::Once;
use api::events::ClusterEvent;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIR: &str = "events";
const CURRENT: &str = "current";
const PREVIOUS: &str = "previous";

/// How many bytes a file has at most: 800 an event, several times what one usually takes.
const BYTES: u64 = 8 << 20;

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
        let mut past = Self::default();
        for name in [PREVIOUS, CURRENT] {
            let path = data_dir.join(DIR).join(name);
            match past.take(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    let path = path.display();
                    tracing::warn!(%path, %error, "earlier events cannot be read");
                }
            }
        }
        past
    }

    fn take(&mut self, path: &Path) -> io::Result<()> {
        let mut lines = BufReader::new(File::open(path)?);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            if let Some(event) = read(&line) {
                if self.events.len() >= KEPT {
                    self.events.pop_front();
                }
                self.events.push_back(Arc::new(Once::new(event)));
            }
            line.clear();
        }
        Ok(())
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
pub(super) struct Writer {
    dir: PathBuf,
    current: Option<Current>,
}

/// The file that is written to.
#[derive(Debug)]
struct Current {
    file: File,
    events: usize,
    bytes: u64,
    /// It may end in the middle of a line.
    is_torn: bool,
}

impl Writer {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self {
            dir: data_dir.join(DIR),
            current: None,
        }
    }

    /// Appends events.
    ///
    /// # Errors
    /// The disk takes no more: some of the events may be there.
    pub(super) fn append(&mut self, events: &[Arc<Once<Event>>]) -> io::Result<()> {
        let mut current = match self.current.take() {
            Some(current) if current.events < KEPT && current.bytes < BYTES => current,
            Some(_) => {
                std::fs::rename(self.dir.join(CURRENT), self.dir.join(PREVIOUS))?;
                self.open()?
            }
            None => self.open()?,
        };
        let mut text = Vec::new();
        if current.is_torn {
            text.push(b'\n');
        }
        for event in events {
            let line = Line {
                event: event.id.to_string(),
                told: &event.told,
            };
            serde_json::to_writer(&mut text, &line)?;
            text.push(b'\n');
        }
        current.events += events.len();
        current.bytes += u64::try_from(text.len()).unwrap_or(u64::MAX);
        let written = current.file.write_all(&text);
        current.is_torn = written.is_err();
        self.current = Some(current);
        written
    }

    fn open(&self) -> io::Result<Current> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.dir)?;
        let mut options = OpenOptions::new();
        options.create(true).append(true).read(true).mode(0o600);
        let file = options.open(self.dir.join(CURRENT))?;
        let bytes = file.metadata()?.len();
        let events = BufReader::new(&file).split(b'\n').count();
        let mut last = *b"\n";
        if let Some(at) = bytes.checked_sub(1) {
            file.read_exact_at(&mut last, at)?;
        }
        Ok(Current {
            file,
            events,
            bytes,
            is_torn: last != *b"\n",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::member_event;
    use super::*;

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
