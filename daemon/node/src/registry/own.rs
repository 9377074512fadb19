//! The registrations of this node.

use super::{OnConflict, SessionId};
use bytes::Bytes;
use crdt::registry::{Entry, Process, Reason};
use names::ProcessName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a registration ends with, beside being taken back and its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It ends with its process only.
    Process,
    /// This connection.
    Session(SessionId),
    /// A connection to an earlier start of this daemon: the client has a moment to make a new one.
    Orphan,
}

/// One registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registered {
    pub(super) process: Process,
    pub(super) entry: Arc<Entry>,
    pub(super) life: Life,
    pub(super) on_conflict: OnConflict,
    pub(super) reports_exit: bool,
    /// How its process is said to end.
    pub(super) reported: Option<Reason>,
    /// Its process has ended, and whoever reports how has a moment to do so.
    pub(super) ended: bool,
    /// Its row as an earlier start kept it, for the fields that this program does not know.
    pub(super) kept: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct Own {
    by_name: BTreeMap<ProcessName, Registered>,
    by_process: BTreeMap<Process, BTreeSet<ProcessName>>,
    by_session: BTreeMap<SessionId, BTreeSet<ProcessName>>,
    /// How many names the processes of each user have.
    by_user: BTreeMap<u32, usize>,
}

impl Own {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ProcessName, &Registered)> {
        self.by_name.iter()
    }

    pub(super) fn get(&self, name: &ProcessName) -> Option<&Registered> {
        self.by_name.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &ProcessName) -> Option<&mut Registered> {
        self.by_name.get_mut(name)
    }

    /// The registration of a process under a name.
    pub(super) fn of(&self, name: &ProcessName, process: Process) -> Option<&Registered> {
        self.get(name)
            .filter(|registered| registered.process == process)
    }

    /// How many processes are registered.
    pub(super) fn processes(&self) -> usize {
        self.by_process.len()
    }

    /// How many names the processes of a user have.
    pub(super) fn names_of_user(&self, uid: u32) -> usize {
        self.by_user.get(&uid).copied().unwrap_or(0)
    }

    /// How many names a process has.
    pub(super) fn names_of(&self, process: Process) -> usize {
        self.by_process.get(&process).map_or(0, BTreeSet::len)
    }

    pub(super) fn has(&self, process: Process) -> bool {
        self.by_process.contains_key(&process)
    }

    /// Whether somebody tells when it ends, and has not yet.
    pub(super) fn is_watched(&self, process: Process) -> bool {
        let names = self.by_process.get(&process).into_iter().flatten();
        names
            .filter_map(|name| self.get(name))
            .any(|registered| !registered.ended)
    }

    pub(super) fn names(&self, process: Process) -> Vec<ProcessName> {
        self.by_process
            .get(&process)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    pub(super) fn session(&self, session: SessionId) -> Vec<ProcessName> {
        self.by_session
            .get(&session)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    pub(super) fn insert(&mut self, name: ProcessName, registered: Registered) {
        self.remove(&name);
        *self.by_user.entry(registered.entry.uid).or_default() += 1;
        self.by_process
            .entry(registered.process)
            .or_default()
            .insert(name.clone());
        if let Life::Session(session) = registered.life {
            self.by_session
                .entry(session)
                .or_default()
                .insert(name.clone());
        }
        self.by_name.insert(name, registered);
    }

    pub(super) fn remove(&mut self, name: &ProcessName) -> Option<Registered> {
        let registered = self.by_name.remove(name)?;
        let uid = registered.entry.uid;
        if let Some(names) = self.by_user.get_mut(&uid) {
            *names -= 1;
            if *names == 0 {
                self.by_user.remove(&uid);
            }
        }
        unindex(&mut self.by_process, registered.process, name);
        if let Life::Session(session) = registered.life {
            unindex(&mut self.by_session, session, name);
        }
        Some(registered)
    }
}

fn unindex<K: Ord>(index: &mut BTreeMap<K, BTreeSet<ProcessName>>, key: K, name: &ProcessName) {
    if let Some(names) = index.get_mut(&key) {
        names.remove(name);
        if names.is_empty() {
            index.remove(&key);
        }
    }
}
