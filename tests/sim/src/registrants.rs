//! Programs that use the registry: what they asked, what they were told, and what must be true from
//! then on.

mod ends;
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
/// For how long after the end of a process its registration may still be there, for somebody to
/// report how it ended.
const REPORT: Duration = Duration::from_millis(500);

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
    /// How many requests were made, by kind.
    pub asked: BTreeMap<&'static str, u64>,
    /// How many were carried out.
    pub done: u64,
    /// How long it took until all directories agreed after all was mended.
    pub healing: Option<Duration>,
    /// When a process last felt a signal.
    pub(crate) last_signal: Option<Instant>,
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
            asked: BTreeMap::new(),
            done: 0,
            healing: None,
            last_signal: None,
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
        *self.asked.entry(kind(&command)).or_default() += 1;
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
            for (key, standing) in &before {
                self.taking_back(key, *standing, at);
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
            ever_ends_when_lost: false,
            is_setting_unsure: false,
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
        fact.ever_ends_when_lost |= registration.on_conflict == OnConflict::Terminate;
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
        fact.is_setting_unsure &= asked.overlaps;
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

    fn stand(&mut self, key: &Key, standing: Standing) {
        if let Some(fact) = self.facts.get_mut(key) {
            fact.stand(standing);
        }
    }
}

fn kind(command: &Command) -> &'static str {
    match command {
        Command::Register(_) => "register",
        Command::Unregister(_) => "unregister",
        Command::Report(_) => "report an end",
        Command::Group(_) => "group",
        Command::Link(_) => "link",
        Command::Unlink(_) => "unlink",
        Command::Links(_) => "ask for links",
    }
}
