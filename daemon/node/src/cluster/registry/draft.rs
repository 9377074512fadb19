//! Judging what clients ask: what it would change, and what of that is to be kept first.

use super::ledger::{Act, Step};
use super::own::{Life, Registered};
use super::rows::{RowKey, entry_row};
use super::{Command, Lifetime, Refusal, Registration, Registry, Reply};
use crate::time::Wall;
use crate::wire::RequestId;
use bytes::Bytes;
use crdt::name::ProcessName;
use crdt::registry::Entry;
use std::collections::BTreeMap;
use std::sync::Arc;

type Verdict = Result<(Reply, Act), Refusal>;

/// The requests of one write, each judged as if those before it were carried out.
pub(super) struct Draft<'a> {
    registry: &'a Registry,
    now: Wall,
    staged: BTreeMap<ProcessName, Option<Registered>>,
    pub(super) clock: u64,
    pub(super) rows: BTreeMap<RowKey, Option<Bytes>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(registry: &'a Registry, now: Wall) -> Self {
        Self { registry, now, staged: BTreeMap::new(), clock: registry.clock, rows: BTreeMap::new() }
    }

    pub(super) fn step(&mut self, request: RequestId, command: Command) -> Step {
        let verdict = match command {
            Command::Register(registration) => self.register(*registration),
            Command::Unregister { name, uid } => self.unregister(name, uid),
            Command::Group { name, group, join, uid } => self.group(name, group, join, uid),
            Command::Report { .. } | Command::Link { .. } | Command::Unlink { .. } | Command::Links { .. } => {
                Ok((Reply::Done, Act::Nothing))
            }
        };
        match verdict {
            Ok((reply, act)) => Step { request, reply: Ok(reply), act },
            Err(refusal) => Step { request, reply: Err(refusal), act: Act::Nothing },
        }
    }

    fn own(&self, name: &ProcessName) -> Option<&Registered> {
        self.staged.get(name).map_or_else(|| self.registry.own.get(name), Option::as_ref)
    }

    /// A registration of this node that the caller may change.
    fn find(&self, name: &ProcessName, uid: u32) -> Result<Registered, Refusal> {
        let registered = self.own(name).ok_or_else(|| self.registry.not_here(name))?;
        super::may_change(name, registered, uid)?;
        Ok(registered.clone())
    }

    fn register(&mut self, registration: Registration) -> Verdict {
        let Registration { name, process, uid, user, exe, groups, metadata, address, lifetime, on_conflict, reports_exit } = registration;
        let known = self.own(&name).filter(|known| known.process == process).map(|known| Arc::clone(&known.entry));
        let fresh = known.is_none();
        if fresh {
            self.is_free(&name)?;
        }
        let (claim, since_ms) = known.map_or((self.clock + 1, self.now.0), |known| (known.claim, known.since_ms));
        let entry = Arc::new(Entry { uid, user, exe, groups, metadata, address, claim, since_ms });
        if let Some((what, limit)) = entry.excess() {
            return Err(Refusal::Full { what, limit });
        }
        self.clock = self.clock.max(claim);
        let life = match lifetime {
            Lifetime::Process => Life::Process,
            Lifetime::Connection(session) => Life::Session(session),
        };
        let registered = Registered { process, entry, life, on_conflict, reports_exit, reported: None, ended: false };
        Ok((Reply::Registered { fresh }, self.put(name, registered, fresh)))
    }

    /// Whether nobody reachable has the name, and there is room for another registration.
    fn is_free(&self, name: &ProcessName) -> Result<(), Refusal> {
        if let Some(own) = self.own(name) {
            return Err(self.registry.held(self.registry.me, name, own.process, &own.entry));
        }
        self.registry.is_free_elsewhere(name)?;
        let added = self.staged.iter().filter(|(name, staged)| staged.is_some() && self.registry.own.get(name).is_none()).count();
        if self.registry.own.len() + added >= self.registry.capacity {
            return Err(Refusal::Full { what: "registrations on this node", limit: self.registry.capacity });
        }
        Ok(())
    }

    fn unregister(&mut self, name: ProcessName, uid: u32) -> Verdict {
        let registered = self.find(&name, uid)?;
        self.rows.insert(RowKey::Entry(name.clone()), None);
        self.staged.insert(name.clone(), None);
        Ok((Reply::Done, Act::Remove { name, process: registered.process }))
    }

    fn group(&mut self, name: ProcessName, group: ProcessName, join: bool, uid: u32) -> Verdict {
        let mut registered = self.find(&name, uid)?;
        let mut entry = Entry::clone(&registered.entry);
        let changed = if join { entry.groups.insert(group) } else { entry.groups.remove(&group) };
        if let Some((what, limit)) = entry.excess() {
            return Err(Refusal::Full { what, limit });
        }
        registered.entry = Arc::new(entry);
        Ok((Reply::Done, if changed { self.put(name, registered, false) } else { Act::Nothing }))
    }

    fn put(&mut self, name: ProcessName, registered: Registered, fresh: bool) -> Act {
        self.rows.insert(RowKey::Entry(name.clone()), entry_row(&registered));
        self.staged.insert(name.clone(), Some(registered.clone()));
        Act::Put { name, registered, fresh }
    }
}
