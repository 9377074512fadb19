//! Registrations that have ended: what they were, for those who expect them.

use crdt::registry::Reason;
use names::ProcessName;
use node::registry::{Directory, Event, EventKind, Holder};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long it is known what a registration was that has ended.
pub(crate) const KEPT: Duration = Duration::from_secs(3600);
/// How many names it is known of; beyond, the one that ended first is dropped.
const MAX_FALLEN: usize = 1_000;
/// Signals by which a process is asked to end, as service managers see it: hangup, interrupt, broken
/// pipe and termination.
const ASKED: [i32; 4] = [1, 2, 13, 15];

/// A registration that has ended, and none of the name has come since.
#[derive(Clone, Debug)]
pub(crate) struct Fall {
    /// What it was.
    pub(crate) holder: Holder,
    /// Whether its process has failed, as far as that is known.
    pub(crate) is_failure: bool,
    at: Instant,
}

/// The latest of each name.
#[derive(Clone, Debug, Default)]
pub(super) struct Fallen(BTreeMap<ProcessName, Fall>);

impl Fallen {
    /// Notes what happens, before the directory is changed by it.
    pub(super) fn note(&mut self, directory: &Directory, event: &Event, now: Instant) {
        let name = &event.handle.name;
        match event.kind {
            EventKind::Up => {
                self.0.remove(name);
            }
            EventKind::Down(reason) => {
                if let Some(holder) = ended(directory, event) {
                    self.put(name, holder, (reason, now));
                }
            }
            EventKind::Unreachable
            | EventKind::Back
            | EventKind::Contested { .. }
            | EventKind::Lost { .. } => {}
        }
    }

    fn put(&mut self, name: &ProcessName, holder: Holder, (reason, at): (Reason, Instant)) {
        let is_new = !self.0.contains_key(name);
        if is_new && self.0.len() >= MAX_FALLEN {
            let oldest = self.0.iter().min_by_key(|(_, fall)| fall.at);
            let oldest = oldest.map(|(name, _)| name.clone());
            oldest.and_then(|oldest| self.0.remove(&oldest));
        }
        let fall = Fall {
            holder,
            is_failure: is_failure(reason),
            at,
        };
        self.0.insert(name.clone(), fall);
    }

    /// Those that ended within the time for which that is known.
    pub(super) fn recent(&self, now: Instant) -> BTreeMap<ProcessName, Fall> {
        let all = self.0.iter();
        let recent = all.filter(|(_, fall)| now.saturating_duration_since(fall.at) < KEPT);
        recent
            .map(|(name, fall)| (name.clone(), fall.clone()))
            .collect()
    }
}

/// What the registration was that has ended. Nothing if another process has the name.
fn ended(directory: &Directory, event: &Event) -> Option<Holder> {
    let found = directory.whereis(&event.handle.name)?;
    let is_it = |holder: &Holder| holder.handle(&event.handle.name) == event.handle;
    Some(found.holder).filter(is_it)
}

/// Whether a process has ended as nobody wanted.
fn is_failure(reason: Reason) -> bool {
    match reason {
        Reason::ExitedWith(code) => code != 0,
        Reason::Killed(signal) => !ASKED.contains(&signal),
        Reason::Exited
        | Reason::Unregistered
        | Reason::Left
        | Reason::Unknown
        | Reason::Revoked => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_asked_to_end_or_ended_well_has_not_failed() {
        for reason in [
            Reason::ExitedWith(0),
            Reason::Exited,
            Reason::Killed(15),
            Reason::Unregistered,
            Reason::Left,
            Reason::Unknown,
        ] {
            assert!(!is_failure(reason), "{reason:?}");
        }
        for reason in [Reason::ExitedWith(3), Reason::Killed(9), Reason::Killed(11)] {
            assert!(is_failure(reason), "{reason:?}");
        }
    }
}
