//! Writes the events to the disk, on a thread of its own: a disk that is stuck holds up nobody.

use super::kept::Writer;
use super::{Event, EventLog, KEPT};
use crate::once::Once;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Events are written together for so long: so that a list that is written all the time costs few
/// writes, and a daemon that is killed loses few events.
const TOGETHER: Duration = Duration::from_millis(100);

/// Whoever writes the events of a log to the disk.
#[derive(Debug)]
pub(crate) struct Keeper {
    log: EventLog,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Writes what happens from now on.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(log: &EventLog, data_dir: &Path) -> io::Result<Self> {
        let (sender, events) = sync_channel(KEPT);
        let writer = Writer::new(data_dir);
        let thread = std::thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || keep(&events, writer))?;
        log.keep_by(Some(sender));
        Ok(Self {
            log: log.clone(),
            thread,
        })
    }

    /// Writes what has happened so far, and ends.
    pub(crate) fn stop(self) {
        self.log.keep_by(None);
        // Only a panic keeps it from ending in order, and that has been told.
        let _ = self.thread.join();
    }
}

fn keep(events: &Receiver<Arc<Once<Event>>>, mut writer: Writer) {
    let (mut is_failing, mut next) = (false, 1);
    while let Ok(first) = events.recv() {
        let batch = together(first, events);
        next = missing(&batch, next);
        match writer.append(&batch) {
            Ok(()) if is_failing => {
                is_failing = false;
                tracing::info!("events are kept on the disk again");
            }
            Ok(()) => {}
            Err(_) if is_failing => {}
            Err(error) => {
                is_failing = true;
                tracing::warn!(%error, "events are not kept over a restart: they cannot be written");
            }
        }
    }
}

/// Says how many events never came, since the disk was stuck. Gives the number of the next one.
fn missing(batch: &[Arc<Once<Event>>], mut next: u64) -> u64 {
    let mut missing = 0;
    for event in batch {
        missing += event.id.number.saturating_sub(next);
        next = event.id.number.saturating_add(1);
    }
    if missing > 0 {
        tracing::warn!(
            missing,
            "events are not kept over a restart: the disk was too slow"
        );
    }
    next
}

/// What comes within [`TOGETHER`] of the first one.
fn together(first: Arc<Once<Event>>, events: &Receiver<Arc<Once<Event>>>) -> Vec<Arc<Once<Event>>> {
    let end = Instant::now() + TOGETHER;
    let mut batch = vec![first];
    while batch.len() < KEPT {
        match events.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(event) => batch.push(event),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::super::tests::member_event;
    use super::super::{EventId, Past};
    use super::*;

    #[test]
    fn what_happens_until_the_end_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let log = EventLog::new(Past::default(), 7);
        let keeper = Keeper::start(&log, dir.path()).unwrap();
        log.append(member_event("first"));
        log.append(member_event("second"));
        keeper.stop();
        log.append(member_event("too late"));
        let next = EventLog::new(Past::read(dir.path()), 7);
        let first: EventId = "7-1".parse().unwrap();
        let past = next.resume(&first).unwrap().past;
        let names: Vec<_> = past.iter().map(|event| &*event.told.name).collect();
        assert_eq!(names, ["second"]);
    }

    #[test]
    fn a_directory_that_takes_nothing_holds_up_nobody() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("events"), "no directory").unwrap();
        let log = EventLog::new(Past::default(), 7);
        let keeper = Keeper::start(&log, dir.path()).unwrap();
        log.append(member_event("first"));
        keeper.stop();
        assert_eq!(log.all().past.len(), 1);
    }
}
