//! Programs that use the registry: what they asked, what they were told, and what must be true from
//! then on.

mod fact;

pub use fact::{Cause, Fact, Standing};

use crate::chance::Chance;
use crate::check::links::Links;
use crate::check::spreading::Spreading;
use crdt::registry::{Process, Reason};
use names::{Handle, NodeName, ProcessName};
use node::registry::{Command, Lifetime, OnConflict, Registration, SessionId, Signal, ask};
use node::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long after its daemon's start a registration of a connection to the daemon before is gone,
/// if it was not made anew.
pub const ORPHANS: Duration = Duration::from_secs(11);

/// A registration: on which host, under which name, which process.
pub type Key = (usize, ProcessName, Process);

/// What a program does next.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Whatever comes to mind, on some host.
    Anything,
    /// A process of a host ends.
    End(usize, Process, Reason),
    /// Whoever started a process tells how it ended, or will.
    Report(Key, Reason),
    /// A process registers once more: its daemon did not answer, or another one has started.
    Return(Key),
}

/// A request that waits for its answer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Of which host.
    pub host: usize,
    /// Of which daemon there.
    pub epoch: u64,
    /// When it was asked.
    pub at: Instant,
    /// What was asked.
    pub command: Command,
    /// Who else, in sight of that node, had the name that it is about.
    pub rival: Option<Handle>,
    /// Whether another request about the same name was on its way at the same time: which came
    /// first, nobody knows.
    pub overlaps: bool,
    /// How the registrations that it is about stood before.
    before: Vec<(Key, Standing)>,
}

/// All programs that use the registry, and what must be true of it.
#[derive(Debug)]
pub struct Registrants {
    /// Of all registrations that ever were asked for.
    pub facts: BTreeMap<Key, Fact>,
    /// Links and signals.
    pub links: Links,
    /// How soon everybody knows.
    pub spreading: Spreading,
    /// How many requests were made.
    pub asked: u64,
    /// How many were carried out.
    pub done: u64,
    /// How long it took until all directories agreed after all was mended.
    pub healing: Option<Duration>,
    /// Signals of this moment that are to be judged.
    pub(crate) signals: Vec<(Process, Signal)>,
    pub(crate) chance: Chance,
    waiting: BTreeMap<u64, Asked>,
    keys: BTreeMap<Handle, Key>,
    sessions: u64,
    closed: BTreeSet<SessionId>,
    /// What ended with connections whose end their daemons have yet to handle.
    closing: BTreeMap<SessionId, Vec<Key>>,
    /// Hosts whose daemons were asked to leave.
    leaving: BTreeSet<usize>,
}

impl Registrants {
    /// Programs that have asked for nothing.
    pub fn new(chance: Chance) -> Self {
        let (facts, links, spreading, waiting, keys, leaving, signals) = Default::default();
        Self {
            facts,
            links,
            spreading,
            asked: 0,
            done: 0,
            healing: None,
            signals,
            chance,
            waiting,
            keys,
            sessions: 0,
            closed: BTreeSet::new(),
            closing: BTreeMap::new(),
            leaving,
        }
    }

    /// Which registration a handle names.
    pub fn key(&self, handle: &Handle) -> Option<&Key> {
        self.keys.get(handle)
    }

    /// All handles that anybody ever asked for.
    pub fn handles(&self) -> impl Iterator<Item = &Handle> {
        self.keys.keys()
    }

    /// The registrations of that name on a host.
    pub fn named<'a>(
        &'a self,
        host: usize,
        name: &'a ProcessName,
    ) -> impl Iterator<Item = (&'a Key, &'a Fact)> {
        self.facts
            .iter()
            .filter(move |((at, its, _), _)| *at == host && its == name)
    }

    /// A new connection of a client.
    pub fn connect(&mut self) -> SessionId {
        self.sessions += 1;
        SessionId(self.sessions)
    }

    /// The connections that hold registrations on a host.
    pub fn connections(&self, host: usize, now: Instant) -> Vec<SessionId> {
        let held = self
            .facts
            .iter()
            .filter(|((at, ..), fact)| *at == host && fact.standing(now) == Standing::Held);
        held.filter_map(|(_, fact)| fact.session()).collect()
    }

    /// Notes a request that is on its way to a node.
    pub fn ask(
        &mut self,
        id: u64,
        host: usize,
        node: &NodeName,
        epoch: u64,
        at: Instant,
        (command, rival): (Command, Option<Handle>),
    ) {
        self.asked += 1;
        let name = command.name().clone();
        let mut overlaps = false;
        for other in self
            .waiting
            .values_mut()
            .filter(|other| other.host == host && *other.command.name() == name)
        {
            (other.overlaps, overlaps) = (true, true);
        }
        let mut before: Vec<(Key, Standing)> = self
            .named(host, &name)
            .map(|(key, fact)| (key.clone(), fact.standing(at)))
            .collect();
        if let Command::Register(registration) = &command {
            let key = (host, name, registration.process);
            if !before.iter().any(|(other, _)| *other == key) {
                before.push((key.clone(), Standing::Gone));
            }
            self.note(key, node, registration, at);
        }
        if let Command::Report(ask::Report { reason, .. }) = &command {
            for (key, _) in &before {
                self.facts
                    .get_mut(key)
                    .into_iter()
                    .for_each(|fact| fact.reports.extend([*reason]));
            }
        }
        if matches!(command, Command::Unregister(_)) {
            for (key, _) in before
                .iter()
                .filter(|(_, standing)| *standing != Standing::Gone)
            {
                self.doubt(key, Some((at, Cause::TakenBack)));
            }
        }
        self.waiting.insert(
            id,
            Asked {
                host,
                epoch,
                at,
                command,
                rival,
                overlaps,
                before,
            },
        );
    }

    /// Those that have, or ask for, a name anywhere: each node may hear of them at any time.
    pub fn coming<'a>(
        &'a self,
        name: &'a ProcessName,
        now: Instant,
    ) -> impl Iterator<Item = &'a Handle> {
        let asks = |key: &Key| {
            let is_it = |it: &Registration| it.name == key.1 && it.process == key.2;
            self.waiting.values().any(|asked| matches!(&asked.command, Command::Register(it) if asked.host == key.0 && is_it(it)))
        };
        let stands = move |key: &Key| {
            self.facts
                .get(key)
                .is_some_and(|fact| fact.standing(now) != Standing::Gone)
                || asks(key)
        };
        self.keys
            .iter()
            .filter(move |(handle, key)| handle.name == *name && stands(key))
            .map(|(handle, _)| handle)
    }

    fn note(&mut self, key: Key, node: &NodeName, registration: &Registration, at: Instant) {
        let Registration { name, process, .. } = registration;
        let handle = Handle {
            name: name.clone(),
            node: node.clone(),
            pid: process.pid,
            start: process.start,
        };
        self.keys.insert(handle, key.clone());
        let (ends, standing) = (Vec::new(), Standing::Gone);
        let fact = || Fact {
            registration: registration.clone(),
            claim: None,
            is_plain: false,
            ends,
            reports: BTreeSet::new(),
            standing,
            doubted_until: None,
        };
        let host = key.0;
        let fact = self.facts.entry(key).or_insert_with(fact);
        fact.is_plain = false;
        // While it is on its way it may be there.
        if fact.standing(at) == Standing::Gone {
            fact.stand(Standing::Doubtful);
        }
        if self.leaving.contains(&host) {
            fact.ends.push((at, Cause::Left));
        }
    }

    /// Takes the request that an answer is for.
    pub fn take(&mut self, id: u64) -> Option<Asked> {
        self.waiting.remove(&id)
    }

    /// A request was refused in words: all is as before, unless nobody can know.
    pub fn refused(&mut self, asked: &Asked, runs: impl Fn(&Process) -> bool) {
        for (key, standing) in asked.before.iter().filter(|_| !asked.overlaps) {
            if let Some(fact) = self
                .facts
                .get_mut(key)
                .filter(|fact| fact.standing(asked.at) == Standing::Doubtful)
            {
                fact.stand(if runs(&key.2) {
                    *standing
                } else {
                    Standing::Gone
                });
            }
        }
    }

    /// A registration was carried out. True if it was not there before, false if it was, nothing if
    /// nobody can know.
    pub fn registered(
        &mut self,
        asked: &Asked,
        registration: &Registration,
        (runs, told_fresh): (bool, bool),
        now: Instant,
    ) -> Option<bool> {
        let key = (asked.host, registration.name.clone(), registration.process);
        let closed = matches!(registration.lifetime, Lifetime::Connection(session) if self.closed.contains(&session));
        let before = asked
            .before
            .iter()
            .find(|(other, _)| *other == key)
            .map(|(_, standing)| *standing);
        let fact = self.facts.get_mut(&key)?;
        let ended = !runs || closed;
        fact.registration = registration.clone();
        fact.is_plain = !asked.overlaps;
        if told_fresh {
            self.links.begin(&key, asked.at);
        }
        if !runs {
            // Its end may be heard of before its registration: then it is as if it had been taken
            // back, and made anew.
            fact.ends.push((now, Cause::TakenBack));
        }
        let unsure = asked.overlaps || self.leaving.contains(&asked.host);
        fact.stand(match (ended, unsure) {
            (true, _) => Standing::Gone,
            (false, true) => Standing::Doubtful,
            (false, false) => Standing::Held,
        });
        before
            .filter(|before| !asked.overlaps && *before != Standing::Doubtful)
            .map(|before| before == Standing::Gone)
    }

    /// A registration was taken back.
    pub fn unregistered(&mut self, asked: &Asked) {
        let keys = asked
            .before
            .iter()
            .map(|(key, _)| key.clone())
            .collect::<Vec<_>>();
        for key in keys.iter().filter(|_| !asked.overlaps) {
            self.finish(key, None);
        }
    }

    /// A registration was put into a group, or taken out.
    pub fn grouped(&mut self, asked: &Asked, group: &ProcessName, join: bool) {
        for (key, _) in asked
            .before
            .iter()
            .filter(|(_, standing)| *standing != Standing::Gone)
        {
            let Some(fact) = self.facts.get_mut(key) else {
                continue;
            };
            fact.is_plain &= !asked.overlaps;
            let groups = &mut fact.registration.groups;
            let _ = if join {
                groups.insert(group.clone())
            } else {
                groups.remove(group)
            };
        }
    }

    /// A registration may have ended, or may have begun.
    pub fn doubt(&mut self, key: &Key, end: Option<(Instant, Cause)>) {
        self.links.doubt(key);
        if let Some(fact) = self.facts.get_mut(key) {
            fact.stand(Standing::Doubtful);
            fact.is_plain = false;
            fact.ends.extend(end);
        }
    }

    /// A registration has ended.
    pub fn finish(&mut self, key: &Key, end: Option<(Instant, Cause)>) {
        self.links.end(key);
        if let Some(fact) = self.facts.get_mut(key) {
            fact.stand(Standing::Gone);
            fact.ends.extend(end);
        }
    }

    /// A process has ended, and with it its registrations. Which of them somebody could rely on.
    pub fn process_ended(
        &mut self,
        host: usize,
        process: Process,
        at: Instant,
        how: Reason,
    ) -> Vec<Key> {
        let its = self
            .facts
            .iter()
            .filter(|((on, _, its), _)| *on == host && *its == process);
        let (keys, held): (Vec<Key>, Vec<bool>) = its
            .map(|(key, fact)| (key.clone(), fact.standing(at) == Standing::Held))
            .unzip();
        keys.iter()
            .for_each(|key| self.finish(key, Some((at, Cause::Process(how)))));
        // Who asked before is registered after the end was heard of, until that is heard of once
        // more.
        for asked in self.waiting.values().filter(|asked| asked.host == host) {
            let Command::Register(registration) = &asked.command else {
                continue;
            };
            let key = (host, registration.name.clone(), registration.process);
            self.facts
                .get_mut(&key)
                .filter(|_| key.2 == process)
                .into_iter()
                .for_each(|fact| fact.ends.push((at, Cause::TakenBack)));
        }
        keys.into_iter()
            .zip(held)
            .filter(|(_, held)| *held)
            .map(|(key, _)| key)
            .collect()
    }

    /// A connection has closed, and with it its registrations.
    pub fn closed(&mut self, session: SessionId, at: Instant) {
        self.closed.insert(session);
        let its = self.facts.iter().filter(|(_, fact)| {
            fact.session() == Some(session) && fact.standing(at) != Standing::Gone
        });
        let keys: Vec<Key> = its.map(|(key, _)| key.clone()).collect();
        for key in keys {
            let mut waits = false;
            for asked in self
                .waiting
                .values_mut()
                .filter(|asked| asked.host == key.0 && *asked.command.name() == key.1)
            {
                (asked.overlaps, waits) = (true, true);
            }
            self.doubt(&key, Some((at, Cause::TakenBack)));
            if !waits {
                self.stand(&key, Standing::Gone);
                self.closing.entry(session).or_default().push(key);
            }
        }
    }

    /// A daemon handles the end of a connection. Before, it did not know better, and acted upon the
    /// links of the registrations that ended with it.
    pub fn close_handled(&mut self, session: SessionId, at: Instant) {
        for key in self.closing.remove(&session).unwrap_or_default() {
            let fact = self.facts.get(&key);
            if fact.is_some_and(|fact| fact.standing(at) == Standing::Gone) {
                self.links.end(&key);
            }
        }
    }

    fn stand(&mut self, key: &Key, standing: Standing) {
        if let Some(fact) = self.facts.get_mut(key) {
            fact.stand(standing);
        }
    }

    /// A daemon has ended: nobody answers its clients any more, their connections are gone. Whom it
    /// owes an answer.
    pub fn daemon_ended(
        &mut self,
        host: usize,
        epoch: u64,
        at: Instant,
        runs: impl Fn(&Process) -> bool,
    ) -> Vec<Asked> {
        let (vanished, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, asked)| (asked.host, asked.epoch) == (host, epoch));
        self.waiting = waiting;
        let vanished: Vec<Asked> = BTreeMap::into_values(vanished).collect();
        for asked in &vanished {
            self.unsure(asked);
        }
        self.leaving.remove(&host);
        // Also those whose connection had closed before: whether the daemon heard of it, nobody
        // knows.
        let orphans = self.facts.iter().filter(|((on, _, process), fact)| {
            *on == host && fact.session().is_some() && runs(process)
        });
        let orphans: Vec<Key> = orphans.map(|(key, _)| key.clone()).collect();
        orphans
            .iter()
            .for_each(|key| self.doubt(key, Some((at, Cause::TakenBack))));
        vanished
    }

    /// Whether a request was carried out cannot be known.
    pub fn unsure(&mut self, asked: &Asked) {
        for (key, standing) in &asked.before {
            let about = if let Command::Register(registration) = &asked.command {
                registration.process == key.2
            } else {
                *standing != Standing::Gone
            };
            let Some(fact) = self.facts.get_mut(key).filter(|_| about) else {
                continue;
            };
            fact.is_plain = false;
            let ended = fact
                .ends
                .iter()
                .any(|(_, cause)| matches!(cause, Cause::Process(_)));
            let changes = matches!(asked.command, Command::Register(_) | Command::Unregister(_));
            // What was there already is still there: registering again takes nothing away.
            let mut stays =
                *standing == Standing::Held && matches!(asked.command, Command::Register(_));
            let bound = |lifetime: Lifetime| lifetime != Lifetime::Process;
            if let Command::Register(registration) = &asked.command
                && (bound(registration.lifetime) || bound(fact.registration.lifetime))
            {
                // Whether it now ends with a connection, nobody knows.
                stays = false;
                fact.ends.push((asked.at, Cause::TakenBack));
                fact.registration.lifetime = Lifetime::Process;
            }
            if changes && !ended && !stays {
                fact.stand(Standing::Doubtful);
            }
        }
    }

    /// A daemon has started: those whose connections were to the one before have a moment to come
    /// back.
    pub fn daemon_started(&mut self, host: usize, at: Instant) -> Vec<Key> {
        let doubtful = self
            .facts
            .iter_mut()
            .filter(|((on, ..), fact)| *on == host && fact.standing(at) == Standing::Doubtful);
        let orphans = doubtful
            .filter(|(_, fact)| fact.session().is_some())
            .map(|(key, fact)| {
                fact.doubted_until = Some(at + ORPHANS);
                key.clone()
            });
        orphans.collect()
    }

    /// Something befell all registrations of a host whose processes run.
    pub fn doubt_all(
        &mut self,
        host: usize,
        end: Option<(Instant, Cause)>,
        runs: impl Fn(&Process) -> bool,
    ) {
        let keys: Vec<Key> = self
            .facts
            .keys()
            .filter(|(on, _, process)| *on == host && runs(process))
            .cloned()
            .collect();
        keys.iter().for_each(|key| self.doubt(key, end));
    }

    /// A daemon told that a registration of its host has lost its name.
    pub fn lost(&mut self, key: &Key, epoch: u64, now: Instant) {
        let surely = |fact: &&Fact| fact.is_plain && fact.standing(now) == Standing::Held;
        let fact = self.facts.get(key).filter(surely);
        self.links.lost(
            key,
            (epoch, now),
            fact.is_some_and(|fact| fact.registration.on_conflict == OnConflict::Terminate),
        );
    }

    /// The disk of a host is an older one: its registrations may be forgotten, or be back, with
    /// another lifetime; also those that had ended, until their ends are seen once more.
    pub fn restored(&mut self, host: usize, at: Instant, runs: impl Fn(&Process) -> bool) {
        self.excuse_all(host, (at, Cause::Lost));
        self.doubt_all(host, None, runs);
        let its = self.facts.iter_mut().filter(|((on, ..), _)| *on == host);
        its.for_each(|(_, fact)| fact.registration.lifetime = Lifetime::Process);
    }

    /// A daemon was asked to leave: whatever is registered there will be seen to end.
    pub fn leaves(&mut self, host: usize, at: Instant, runs: impl Fn(&Process) -> bool) {
        self.leaving.insert(host);
        self.excuse_all(host, (at, Cause::Left));
        self.doubt_all(host, None, runs);
    }

    /// Registrations of a host may be seen to end once, and come back.
    pub fn excuse_all(&mut self, host: usize, end: (Instant, Cause)) {
        self.facts
            .iter_mut()
            .filter(|((on, ..), _)| *on == host)
            .for_each(|(_, fact)| fact.ends.push(end));
    }
}
