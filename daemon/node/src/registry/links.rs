//! Links: a process of this node is signalled when another one, here or elsewhere, is down for
//! good.
//!
//! A link lives where the process runs that would be signalled, because only there is a `pidfd`
//! that cannot name another one, and ends with that process's registration. It fires when the
//! other's end is *known*: its process has ended, or its node told the end while the link was there,
//! or a log that has come as far as the link's mark does not have it. A log that is merely behind
//! fires nothing: what was taken back before the link was made may have been registered again.

mod table;

pub(super) use table::{Link, MAX_LINKS, Table};

use super::names::Fact;
use super::own::Registered;
use super::rows::{Row, RowKey};
use super::{LinkView, Output, Refusal, Registry, Routes, Signal, Timer};
use crate::time::Wall;
use crate::wire::ConnId;
use crdt::registry::{Position, Process, Reason, State};
use names::{Handle, NodeId, NodeName, ProcessName};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long after a start links do not fire for nodes that are merely out of sight: all are, at
/// first.
const LOOKOUT: Duration = Duration::from_secs(15);

/// What is known of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Lives,
    IsDown,
    /// Its log has not come far enough.
    Open,
}

impl Registry {
    /// What the registry does about what has happened to names.
    pub(super) fn act_on_facts(&mut self) {
        while let Some(fact) = self.names.poll_fact() {
            match fact {
                Fact::Down {
                    owner,
                    name,
                    process,
                } => {
                    let Some(other) = self.names.handle(owner, &name, process) else {
                        continue;
                    };
                    for name in self.links.waiting_for(owner, &other) {
                        self.fire_link(&name, &other);
                    }
                }
                Fact::Hidden { owner } => self.check_all(owner),
                Fact::Lost {
                    owner,
                    name,
                    process,
                } if owner == self.me => self.lost(&name, process),
                Fact::Lost { .. } => {}
            }
        }
    }

    pub(super) fn links_of(&self, name: &ProcessName) -> Result<Vec<LinkView>, Refusal> {
        if self.own.get(name).is_none() {
            return Err(self.not_here(name));
        }
        let links = self.links.of(name).filter(|(_, link)| !link.fired);
        Ok(links
            .map(|(other, link)| LinkView {
                other: other.clone(),
                unreachable: link.unreachable,
                since: Wall(link.since_ms),
            })
            .collect())
    }

    pub(super) fn link(&mut self, name: ProcessName, other: Handle, link: Link) {
        if self.own.of(&name, link.process).is_none() {
            return self.ledger.mark(RowKey::Link(name, other));
        }
        // An answer to an earlier question is too old for this one.
        self.links.probes.remove(&link.owner);
        self.links.insert(name.clone(), other.clone(), link);
        self.check(&name, &other);
    }

    /// How far the log of a node must be to have that registration, if that is known here. Of a
    /// registration that was taken back it is not: the same process may have registered again since.
    pub(super) fn mark(&self, owner: NodeId, other: &Handle) -> Option<Position> {
        let is_sure = |state: &State| match state {
            State::Live(_) => true,
            State::Gone(reason) => reason.is_end(),
        };
        self.known(owner, other)
            .any(is_sure)
            .then(|| self.logs.position(owner))
    }

    /// What the log of that node says of a registration.
    fn known<'a>(&'a self, owner: NodeId, other: &'a Handle) -> impl Iterator<Item = &'a State> {
        let log = self.logs.get(owner).into_iter();
        log.flat_map(|log| log.of(&other.name))
            .filter(|(process, _)| (process.pid, process.start) == (other.pid, other.start))
            .map(|(_, state)| state)
    }

    /// Whoever has that name.
    pub(super) fn holder(&self, name: &ProcessName) -> Result<(NodeId, Handle), Refusal> {
        let found = self
            .names
            .directory()
            .whereis(name)
            .ok_or_else(|| Refusal::Unknown(name.clone()))?;
        Ok((found.holder.owner, found.holder.handle(name)))
    }

    /// The node of that name; of several one that can be reached.
    pub(super) fn node_of(&self, name: &NodeName) -> Result<NodeId, Refusal> {
        if self
            .names
            .directory()
            .node(self.me)
            .is_some_and(|(own, _)| own == name)
        {
            return Ok(self.me);
        }
        let named = self.nodes.iter().filter(|(_, known)| known.name == *name);
        let found = named
            .min_by_key(|(_, known)| !known.reachable)
            .map(|(node, _)| *node);
        found.ok_or_else(|| Refusal::UnknownNode(name.clone()))
    }

    pub(super) fn unlink(&mut self, name: &ProcessName, other: &Handle) {
        self.links.remove(name, other);
    }

    /// Takes over a link of an earlier start; one whose process is not registered is not kept.
    pub(super) fn resume_link(&mut self, row: Row) {
        let Row::Link(name, other, mut link) = row else {
            return;
        };
        if self.own.of(&name, link.process).is_none() {
            return self.ledger.mark(RowKey::Link(name, other));
        }
        link.resumed = true;
        self.links.insert(name, other, link);
    }

    pub(super) fn begin_lookout(&mut self) {
        if self.links.len() > 0 {
            self.edge.after(LOOKOUT, Timer::Lookout);
        }
    }

    /// Who is not in sight by now, is not, even if others have told what is registered there.
    pub(super) fn end_lookout(&mut self) {
        for link in self
            .links
            .by_name
            .values_mut()
            .flat_map(BTreeMap::values_mut)
        {
            link.resumed = false;
        }
        for owner in self.links.by_other.keys().copied().collect::<Vec<_>>() {
            self.check_all(owner);
        }
    }

    /// The registration has ended: so do its links.
    pub(super) fn unlink_all(&mut self, name: &ProcessName) {
        for other in self
            .links
            .of(name)
            .map(|(other, _)| other.clone())
            .collect::<Vec<_>>()
        {
            self.links.remove(name, &other);
            self.ledger.mark(RowKey::Link(name.clone(), other));
        }
    }

    /// The log of that node has come further, or the node is gone.
    pub(super) fn check_unseen(&mut self, owner: NodeId) {
        for (name, other) in self.links.unseen(owner) {
            self.check(&name, &other);
        }
    }

    /// That node is out of sight, or may be.
    fn check_all(&mut self, owner: NodeId) {
        let others = self.links.by_other.get(&owner).into_iter().flatten();
        let pairs: Vec<(ProcessName, Handle)> = others
            .flat_map(|(other, names)| names.iter().map(|name| (name.clone(), other.clone())))
            .collect();
        pairs
            .iter()
            .for_each(|(name, other)| self.check(name, other));
    }

    fn check(&mut self, name: &ProcessName, other: &Handle) {
        let Some(link) = self.links.get(name, other).cloned() else {
            return;
        };
        let is_hidden = link.unreachable && !link.resumed && !self.is_reachable(link.owner);
        match self.fate(other, &link) {
            Fate::IsDown => self.fire_link(name, other),
            _ if is_hidden => self.fire_link(name, other),
            Fate::Lives => {
                self.links.note_seen(link.owner, name, other);
                if let Some(link) = self
                    .links
                    .by_name
                    .get_mut(name)
                    .and_then(|links| links.get_mut(other))
                {
                    link.resumed = false;
                }
            }
            Fate::Open => {}
        }
    }

    fn fate(&self, other: &Handle, link: &Link) -> Fate {
        let mut has_ended = false;
        for state in self.known(link.owner, other) {
            match state {
                State::Live(_) => return Fate::Lives,
                State::Gone(reason) => has_ended |= reason.is_end(),
            }
        }
        let has_come = link
            .mark
            .is_some_and(|mark| self.logs.position(link.owner) >= mark);
        let is_gone = link.owner != self.me
            && !self.nodes.contains_key(&link.owner)
            && self.gone.contains_key(&link.owner);
        if has_ended || link.owner == self.me || has_come || is_gone {
            Fate::IsDown
        } else {
            Fate::Open
        }
    }

    fn is_reachable(&self, node: NodeId) -> bool {
        node == self.me || self.nodes.get(&node).is_some_and(|known| known.reachable)
    }

    /// A link that will end in SIGKILL is kept until then: a daemon that restarts in between begins
    /// again.
    fn fire_link(&mut self, name: &ProcessName, other: &Handle) {
        let Some(link) = self
            .links
            .by_name
            .get_mut(name)
            .and_then(|links| links.get_mut(other))
        else {
            return;
        };
        link.fired = true;
        let (process, owner) = (link.process, link.owner);
        tracing::info!(process = %name, %other, "a linked process is down");
        self.links.note_seen(owner, name, other);
        self.links.disarm(owner, name, other);
        if self.kill_after.is_zero() {
            self.links.remove(name, other);
            self.ledger.mark(RowKey::Link(name.clone(), other.clone()));
        }
        self.terminate(name, process);
    }

    fn lost(&mut self, name: &ProcessName, process: Process) {
        self.edge.stats.lost += 1;
        if self
            .own
            .of(name, process)
            .is_some_and(|registered| registered.on_conflict == super::OnConflict::Terminate)
        {
            self.terminate(name, process);
        }
    }

    /// SIGTERM, and later SIGKILL, to a process that is registered here under that name and lives.
    fn terminate(&mut self, name: &ProcessName, process: Process) {
        let Some(registered) = self.own.of(name, process) else {
            return;
        };
        let uid = registered.entry.uid;
        if !self.own.is_watched(process) || self.links.doomed.contains(&(process, uid)) {
            return;
        }
        self.signal(process, uid, Signal::Term);
        if !self.kill_after.is_zero() {
            self.links.doomed.insert((process, uid));
            self.edge.after(self.kill_after, Timer::Kill(process, uid));
        }
    }

    pub(super) fn kill(&mut self, process: Process, uid: u32) {
        if self.links.doomed.remove(&(process, uid)) && self.own.is_watched(process) {
            self.signal(process, uid, Signal::Kill);
        }
    }

    /// The process has ended, or is registered no longer.
    pub(super) fn cancel_kill(&mut self, process: Process) {
        self.links.doomed.retain(|(doomed, _)| *doomed != process);
    }

    /// That user's process it is not (any more): he can link it to nothing.
    pub(crate) fn estranged(&mut self, process: Process, uid: u32) {
        self.links.doomed.remove(&(process, uid));
        for name in self.own.names(process) {
            let is_his = |registered: &Registered| registered.entry.uid == uid;
            if self.own.get(&name).is_some_and(is_his) {
                self.end(&name, Reason::Unregistered);
            }
        }
    }

    fn signal(&mut self, process: Process, uid: u32, signal: Signal) {
        tracing::debug!(pid = process.pid, ?signal, "a process is to be signalled");
        self.edge.stats.signals += 1;
        self.edge.put(
            Output::Signal {
                process,
                uid,
                signal,
            }
            .into(),
        );
    }

    /// Nodes to be asked how far their logs are, with what: there are links without a mark to
    /// processes of theirs.
    pub(super) fn probe(&mut self, connections: &dyn Routes, again: bool) -> Vec<(ConnId, u64)> {
        let mut probes = Vec::new();
        for (owner, unseen) in &self.links.unseen {
            let is_unmarked = |(name, other): &(ProcessName, Handle)| {
                self.links
                    .get(name, other)
                    .is_some_and(|link| link.mark.is_none())
            };
            if (!again && self.links.probes.contains_key(owner)) || !unseen.iter().any(is_unmarked)
            {
                continue;
            }
            if let Some(conn) = connections.current(*owner) {
                self.links.last_probe += 1;
                self.links.probes.insert(*owner, self.links.last_probe);
                probes.push((conn, self.links.last_probe));
            }
        }
        probes
    }

    /// A node says how far its log was when it was asked.
    pub(super) fn probed(&mut self, owner: NodeId, probe: u64, position: Position) {
        if self.links.probes.get(&owner) != Some(&probe) {
            return;
        }
        self.links.probes.remove(&owner);
        for (name, other) in self.links.unseen(owner) {
            let link = self
                .links
                .by_name
                .get_mut(&name)
                .and_then(|links| links.get_mut(&other));
            if let Some(link) = link.filter(|link| link.mark.is_none()) {
                link.mark = Some(position);
                self.ledger.mark(RowKey::Link(name, other));
            }
        }
        self.check_unseen(owner);
    }
}
