//! The world's processes, what its disks keep of registrations, and what its nodes say of them.

use super::{Happening, MS, World};
use bytes::Bytes;
use crdt::registry::{Process, Reason};
use names::{Handle, ProcessName};
use node::cluster::registry::{
    Command, Directory, Event, EventKind, Found, Input, KeptRow, Lifetime, OnConflict, Output,
    Refusal, Registration, Reply, Settings, Signal,
};
use node::cluster::{self, Command as ClusterCommand, Input as ClusterInput};
use node::wire::{WriteError, WriteId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a host has besides its machine.
pub(crate) struct Processes {
    pub(crate) capacity: usize,
    boot: u8,
    last_pid: u32,
    living: BTreeSet<Process>,
    watched: BTreeSet<Process>,
    rows: BTreeMap<Bytes, Bytes>,
    pub(crate) directory: Directory,
    /// All events of its machines, in order.
    pub(crate) events: Vec<Event>,
    pub(crate) signals: Vec<(Process, Signal)>,
    /// Processes that survive SIGTERM.
    pub(crate) stubborn: BTreeSet<Process>,
}

impl Default for Processes {
    fn default() -> Self {
        Self {
            capacity: 60_000,
            boot: 0,
            last_pid: 0,
            living: BTreeSet::new(),
            watched: BTreeSet::new(),
            rows: BTreeMap::new(),
            directory: Directory::default(),
            events: Vec::new(),
            signals: Vec::new(),
            stubborn: BTreeSet::new(),
        }
    }
}

impl Processes {
    pub(super) fn settings(&self) -> Settings {
        let kept = self
            .rows
            .iter()
            .map(|(key, value)| KeptRow {
                key: key.clone(),
                value: Some(value.clone()),
            })
            .collect();
        Settings {
            kept,
            capacity: self.capacity,
            kill_after: Duration::from_secs(5),
        }
    }

    /// The daemon is gone.
    pub(super) fn forget(&mut self) {
        self.watched.clear();
        self.directory = Directory::default();
    }

    /// As a disk that was not synced.
    pub(crate) fn lose_rows(&mut self) {
        self.rows.clear();
    }

    pub(crate) fn kept(&self) -> BTreeMap<Bytes, Bytes> {
        self.rows.clone()
    }

    /// As a disk from a backup.
    pub(crate) fn restore(&mut self, kept: BTreeMap<Bytes, Bytes>) {
        self.rows = kept;
    }

    pub(crate) fn lives(&self, process: Process) -> bool {
        self.living.contains(&process)
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }
}

pub(crate) fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

/// A registration as clients usually make it.
pub(crate) fn registration(text: &str, process: Process) -> Registration {
    Registration {
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
    }
}

impl World {
    /// A new process on that host.
    pub(crate) fn spawn(&mut self, host: usize) -> Process {
        let it = &mut self.hosts[host].processes;
        it.last_pid += 1;
        let process = Process {
            boot: [it.boot; 16],
            pid: it.last_pid,
            start: self.now / MS,
        };
        it.living.insert(process);
        process
    }

    /// A process ends; its daemon hears of it if it watches.
    pub(crate) fn end(&mut self, host: usize, process: Process, reason: Reason) {
        let it = &mut self.hosts[host];
        it.processes.living.remove(&process);
        if it.processes.watched.remove(&process) {
            let end = (host, it.process);
            self.at(
                self.now + MS / 10,
                Happening::Input(
                    end,
                    ClusterInput::Registry(Input::Ended { process, reason }),
                ),
            );
        }
    }

    /// The whole host starts anew, without its daemon.
    pub(crate) fn reboot(&mut self, host: usize) {
        self.kill(host);
        let it = &mut self.hosts[host].processes;
        it.boot += 1;
        it.living.clear();
    }

    pub(crate) fn ask(&mut self, host: usize, command: Command) -> u64 {
        self.request(host, ClusterCommand::Registry(command))
    }

    pub(crate) fn tell(&mut self, host: usize, input: Input) {
        self.give(host, ClusterInput::Registry(input));
    }

    /// Asks, and runs until that is answered.
    pub(crate) fn asked(&mut self, host: usize, command: Command) -> Result<Reply, Refusal> {
        let id = self.ask(host, command);
        self.run_until(2_000, "an answer", |world| world.replies.contains_key(&id));
        self.answer(id).unwrap()
    }

    pub(crate) fn answer(&self, id: u64) -> Option<Result<Reply, Refusal>> {
        match self.replies.get(&id)? {
            Ok(cluster::Reply::Registry(reply)) => Some(Ok(reply.clone())),
            Err(cluster::Refusal::Registry(refusal)) => Some(Err(refusal.clone())),
            // Too many wait for a daemon's start, or it is stopping.
            Err(cluster::Refusal::Write(_) | cluster::Refusal::Stopping) => {
                Some(Err(Refusal::Write(WriteError::Failed)))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Registers a new process, and gives it.
    pub(crate) fn register(&mut self, host: usize, text: &str) -> Process {
        let process = self.spawn(host);
        let reply = self.asked(
            host,
            Command::Register(Box::new(registration(text, process))),
        );
        assert_eq!(reply, Ok(Reply::Registered { fresh: true }));
        process
    }

    pub(crate) fn found(&self, host: usize, text: &str) -> Option<Found> {
        self.hosts[host].processes.directory.whereis(&name(text))
    }

    /// Who has that name, as `host` sees it.
    pub(crate) fn holder(&self, host: usize, text: &str) -> Option<Handle> {
        self.found(host, text)
            .map(|found| found.holder.handle(&name(text)))
    }

    /// What `host` has told of a name: kind and handle.
    pub(crate) fn heard(&self, host: usize, text: &str) -> Vec<(EventKind, Handle)> {
        let events = self.hosts[host]
            .processes
            .events
            .iter()
            .filter(|event| event.handle.name.as_str() == text);
        events
            .map(|event| (event.kind.clone(), event.handle.clone()))
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

    pub(super) fn put_registry(&mut self, host: usize, output: Output) {
        let end = (host, self.hosts[host].process);
        match output {
            Output::Keep { id, rows } => {
                let result = if self.hosts[host].disk_works {
                    Ok(())
                } else {
                    Err(WriteError::Full)
                };
                self.at(
                    self.now + MS / 10,
                    Happening::Kept {
                        end,
                        id,
                        result,
                        rows,
                    },
                );
            }
            Output::Watch(process) => {
                let it = &mut self.hosts[host].processes;
                it.watched.insert(process);
                if !it.living.contains(&process) {
                    self.end(host, process, Reason::Exited);
                }
            }
            Output::Unwatch(process) => assert!(
                self.hosts[host].processes.watched.remove(&process),
                "it was not watched"
            ),
            Output::Signal { process, signal } => {
                let it = &mut self.hosts[host].processes;
                assert!(
                    it.watched.contains(&process) || !it.living.contains(&process),
                    "a signal to a process that is not watched"
                );
                it.signals.push((process, signal));
                match signal {
                    Signal::Term if it.stubborn.contains(&process) => {}
                    Signal::Term => self.end(host, process, Reason::Killed(15)),
                    Signal::Kill => self.end(host, process, Reason::Killed(9)),
                }
            }
            Output::News(news) => {
                let it = &mut self.hosts[host].processes;
                news.changes
                    .iter()
                    .for_each(|change| it.directory.apply(change));
                it.events.extend(news.events);
            }
        }
    }

    pub(super) fn kept(
        &mut self,
        end: super::End,
        id: WriteId,
        result: Result<(), WriteError>,
        rows: Vec<KeptRow>,
    ) {
        if !self.lives(end) {
            return;
        }
        if result.is_ok() {
            let kept = &mut self.hosts[end.0].processes.rows;
            for KeptRow { key, value } in rows {
                match value {
                    Some(value) => kept.insert(key, value),
                    None => kept.remove(&key),
                };
            }
        }
        self.give(end.0, ClusterInput::Registry(Input::Kept { id, result }));
    }
}
