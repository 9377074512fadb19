//! The programs of a scripted world, and what its nodes say of their registrations.

use crate::script::Script;
use crdt::registry::{Process, Reason};
use names::{Handle, ProcessName};
use node::cluster::{self, Input as ClusterInput};
use node::machine::Ask;
use node::registry::{
    Directory, EventKind, Found, Input, Lifetime, OnConflict, Refusal, Registration, Signal,
};
use node::wire::WriteError;
use sim::disk::Survival;
use sim::faults::Fault;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

/// A registration as clients usually make it.
pub(crate) fn registration(text: &str, process: Process) -> Box<Registration> {
    Box::new(Registration {
        name: name(text),
        process,
        uid: 1000,
        user: None,
        exe: Some("/bin/true".into()),
        groups: BTreeSet::new(),
        metadata: BTreeMap::new(),
        address: None,
        lifetime: Lifetime::Process,
        on_conflict: OnConflict::Notify,
        reports_exit: false,
    })
}

/// A question to the registry.
pub(crate) trait RegistryAsk:
    Ask<Command = cluster::Command, Reply = cluster::Reply>
{
}
impl<A: Ask<Command = cluster::Command, Reply = cluster::Reply>> RegistryAsk for A {}

impl Script {
    /// A new process on that host.
    pub(crate) fn spawn(&mut self, host: usize) -> Process {
        let now = self.now();
        self.hosts[host].os.spawn_plain(now)
    }

    /// A process ends; its daemon hears of it if it watches.
    pub(crate) fn end(&mut self, host: usize, process: Process, reason: Reason) {
        self.end_program(host, process, reason);
    }

    /// The whole host starts anew, without its daemon.
    pub(crate) fn reboot(&mut self, host: usize) {
        self.strike(Fault::Reboot {
            host,
            survival: Survival::Everything,
        });
    }

    pub(crate) fn tell_registry(&mut self, host: usize, input: Input) {
        self.tell(host, ClusterInput::Registry(input));
    }

    /// Asks, and runs until that is answered.
    pub(crate) fn asked<A: RegistryAsk>(
        &mut self,
        host: usize,
        ask: A,
    ) -> Result<A::Answer, Refusal> {
        let id = self.request(host, ask);
        self.run_until(2_000, "an answer", |world| world.reply(id).is_some());
        self.answer::<A>(id).unwrap()
    }

    /// The answer to a request of that kind, if it has come.
    pub(crate) fn answer<A: RegistryAsk>(&self, id: u64) -> Option<Result<A::Answer, Refusal>> {
        match self.reply(id)?.clone() {
            Ok(reply) => Some(Ok(A::answer(reply).expect("an answer to this question"))),
            Err(cluster::Refusal::Registry(refusal)) => Some(Err(refusal)),
            // Too many wait for a daemon's start, or it is stopping.
            Err(cluster::Refusal::Write(_) | cluster::Refusal::Stopping) => {
                Some(Err(Refusal::Write(WriteError::Failed)))
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Registers a new process, and gives it.
    pub(crate) fn register(&mut self, host: usize, text: &str) -> Process {
        let process = self.spawn(host);
        assert_eq!(self.asked(host, registration(text, process)), Ok(true));
        process
    }

    /// What a host's directory says; empty while its daemon does not run.
    pub(crate) fn directory(&self, host: usize) -> Directory {
        let process = self.hosts[host].process.as_ref();
        process
            .map(|process| process.story.directory.clone())
            .unwrap_or_default()
    }

    pub(crate) fn found(&self, host: usize, text: &str) -> Option<Found> {
        let process = self.hosts[host].process.as_ref()?;
        process.story.directory.whereis(&name(text))
    }

    /// Who has that name, as `host` sees it.
    pub(crate) fn holder(&self, host: usize, text: &str) -> Option<Handle> {
        self.found(host, text)
            .map(|found| found.holder.handle(&name(text)))
    }

    /// What `host` has told of a name: kind and handle.
    pub(crate) fn heard(&self, host: usize, text: &str) -> Vec<(EventKind, Handle)> {
        let events = self.record().registry_events.iter();
        events
            .filter(|(by, event)| *by == host && event.handle.name.as_str() == text)
            .map(|(_, event)| (event.kind.clone(), event.handle.clone()))
            .collect()
    }

    /// The ends of a name that `host` has told.
    pub(crate) fn ends(&self, host: usize, text: &str) -> Vec<Reason> {
        let ends = self.heard(host, text).into_iter().filter_map(|(kind, _)| {
            if let EventKind::Down(reason) = kind {
                Some(reason)
            } else {
                None
            }
        });
        ends.collect()
    }

    /// The signals that processes felt.
    pub(crate) fn signals(&self) -> Vec<(Process, Signal)> {
        let signals = self.record().signals.iter();
        signals
            .map(|(_, process, signal)| (*process, *signal))
            .collect()
    }

    /// How many rows of its registry a host's disk keeps.
    pub(crate) fn kept_rows(&self, host: usize) -> usize {
        self.hosts[host].disk.image.kept.len()
    }
}
