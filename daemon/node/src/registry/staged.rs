//! What the requests of one write would change, counted as they come.

use super::own::{Own, Registered};
use super::room::Taken;
use crdt::registry::Process;
use names::ProcessName;
use std::collections::BTreeMap;

/// The registrations of this node that one write changes, and by how much it changes what is bounded.
#[derive(Debug, Default)]
pub(super) struct Staged {
    entries: BTreeMap<ProcessName, Option<Registered>>,
    of_process: BTreeMap<Process, isize>,
    of_user: BTreeMap<u32, isize>,
    names: isize,
    /// How many processes get their first name.
    new_processes: usize,
}

impl Staged {
    /// What the write makes of a name, if it changes it: `None` inside if it takes it back.
    pub(super) fn get(&self, name: &ProcessName) -> Option<Option<&Registered>> {
        self.entries.get(name).map(Option::as_ref)
    }

    pub(super) fn contains(&self, name: &ProcessName) -> bool {
        self.entries.contains_key(name)
    }

    /// Makes this of a name; `own` is what is registered before the write.
    pub(super) fn put(&mut self, own: &Own, name: ProcessName, after: Option<Registered>) {
        if let Some(after) = &after {
            self.count(own, after, 1);
        }
        let before = match self.entries.insert(name.clone(), after) {
            Some(staged) => staged,
            None => own.get(&name).cloned(),
        };
        if let Some(before) = &before {
            self.count(own, before, -1);
        }
    }

    fn count(&mut self, own: &Own, registered: &Registered, change: isize) {
        self.names += change;
        *self.of_user.entry(registered.entry.uid).or_default() += change;
        let names = self.of_process.entry(registered.process).or_default();
        let had_some = *names > 0;
        *names += change;
        if own.has(registered.process) {
            return;
        }
        match (had_some, *names > 0) {
            (false, true) => self.new_processes += 1,
            (true, false) => self.new_processes -= 1,
            (false, false) | (true, true) => {}
        }
    }

    /// What is registered once the write has landed, as far as it bears on one more name of that
    /// process.
    pub(super) fn taken(&self, own: &Own, process: Process, uid: u32) -> Taken {
        let of_process = self.of_process.get(&process).copied().unwrap_or(0);
        let of_user = self.of_user.get(&uid).copied().unwrap_or(0);
        Taken {
            of_process: own.names_of(process).saturating_add_signed(of_process),
            of_user: own.names_of_user(uid).saturating_add_signed(of_user),
            names: own.len().saturating_add_signed(self.names),
            // A process that goes is counted until its name is gone.
            processes: own.processes() + self.new_processes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::OnConflict;
    use crate::registry::own::Life;
    use bytes::Bytes;
    use crdt::registry::Entry;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn process(pid: u32) -> Process {
        Process {
            boot: [0; 16],
            pid,
            start: 0,
        }
    }

    fn registered(pid: u32, uid: u32) -> Registered {
        let entry = Entry {
            uid,
            user: None,
            exe: None,
            groups: [].into(),
            metadata: [].into(),
            address: None,
            claim: 1,
            since_ms: 0,
        };
        Registered {
            process: process(pid),
            entry: Arc::new(entry),
            life: Life::Process,
            on_conflict: OnConflict::Notify,
            reports_exit: false,
            reported: None,
            ended: false,
            kept: Bytes::new(),
        }
    }

    /// Names with what becomes of each: who has it, or nobody.
    fn changes() -> impl Strategy<Value = Vec<(u8, Option<(u32, u32)>)>> {
        proptest::collection::vec((0u8..6, proptest::option::of((1u32..4, 0u32..3))), 0..30)
    }

    proptest! {
        #[test]
        fn the_counts_are_those_of_what_is_registered_after_the_write(
            before in changes(),
            write in changes(),
        ) {
            let name = |n: u8| ProcessName::new(&format!("p{n}")).unwrap();
            let mut own = Own::default();
            for (n, whose) in before {
                match whose {
                    Some((pid, uid)) => own.insert(name(n), registered(pid, uid)),
                    None => drop(own.remove(&name(n))),
                }
            }
            let mut staged = Staged::default();
            for (n, whose) in &write {
                let after = whose.map(|(pid, uid)| registered(pid, uid));
                staged.put(&own, name(*n), after);
            }
            let mut landed = Own::default();
            for (name, registered) in own.iter() {
                landed.insert(name.clone(), registered.clone());
            }
            for (n, whose) in write {
                match whose {
                    Some((pid, uid)) => landed.insert(name(n), registered(pid, uid)),
                    None => drop(landed.remove(&name(n))),
                }
            }
            let gone = (1..4).filter(|pid| own.has(process(*pid)) && !landed.has(process(*pid)));
            let processes = landed.processes() + gone.count();
            for (pid, uid) in [(1, 0), (2, 1), (3, 2)] {
                let taken = staged.taken(&own, process(pid), uid);
                prop_assert_eq!(taken.of_process, landed.names_of(process(pid)));
                prop_assert_eq!(taken.of_user, landed.names_of_user(uid));
                prop_assert_eq!(taken.names, landed.len());
                prop_assert_eq!(taken.processes, processes);
            }
        }
    }
}
