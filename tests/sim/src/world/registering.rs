//! Programs at work: processes begin, register, link themselves and end, drawn from the seed.

use super::World;
use crate::os::{Manners, Running};
use crate::queue::Event;
use crate::registrants::{Asked, Deed, Fact, Key, Standing};
use crdt::registry::{Process, Reason};
use names::{Handle, ProcessName};
use node::cluster::Command as ClusterCommand;
use node::registry::{Command, Lifetime, LinkTarget, OnConflict, Registration, ask};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Names that several programs want.
const COVETED: usize = 10;
const GROUPS: [&str; 4] = ["web", "db", "cache", "q.1"];
const USERS: [u32; 2] = [1000, 1001];
/// How often a program whose request was not answered asks again.
const RETURNS: f64 = 0.7;

fn process_name(text: &str) -> ProcessName {
    ProcessName::new(text).expect("a valid name")
}

impl World {
    /// Lets a program act.
    pub(super) fn deed(&mut self, deed: Deed) {
        match deed {
            Deed::Anything => self.anything(),
            Deed::End(host, process, how) => self.end(host, process, how),
            Deed::Report((host, name, process), reason) => {
                let uid = self.uid(host, &process);
                self.ask_registry(host, Command::Report(ask::Report { name, reason, uid }));
            }
            Deed::Return(key) => self.come_back(&key),
        }
    }

    fn anything(&mut self) {
        let host = self.registrants.chance.below(self.scenario.hosts);
        let Some(key) = self.some_registration(host) else {
            return self.begin(host);
        };
        match self
            .registrants
            .chance
            .weighted(&[32, 6, 5, 8, 12, 14, 12, 3, 3, 3, 2])
        {
            0 => self.begin(host),
            1 => self.register(key, None),
            2 => {
                let name = self.draw_name();
                self.register((key.0, name, key.2), None);
            }
            3 => self.unregister(&key),
            4 => self.join_or_leave(&key),
            5 => self.plan_end(&key),
            6 => self.link(&key, true),
            7 => self.link(&key, false),
            8 => self.hang_up(host),
            9 => self.err(&key),
            _ => self.plan_report(&key, Reason::ExitedWith(7), 0),
        }
    }

    /// A registration of a host whose process runs.
    fn some_registration(&mut self, host: usize) -> Option<Key> {
        let (now, os) = (self.queue.now(), &self.hosts[host].os);
        let there = self
            .registrants
            .facts
            .iter()
            .filter(|((at, _, process), fact)| {
                *at == host && fact.standing(now) != Standing::Gone && os.runs(process)
            });
        let keys: Vec<Key> = there.map(|(key, _)| key.clone()).collect();
        self.registrants.chance.pick(&keys).cloned()
    }

    fn uid(&self, host: usize, process: &Process) -> u32 {
        self.hosts[host]
            .os
            .running(process)
            .map_or(0, |running| running.uid)
    }

    fn draw_name(&mut self) -> ProcessName {
        let chance = &mut self.registrants.chance;
        let number = if chance.happens(0.6) {
            chance.below(COVETED)
        } else {
            100 + chance.below(100_000)
        };
        process_name(&format!("p{number}"))
    }

    /// A new process registers itself.
    fn begin(&mut self, host: usize) {
        let chance = &mut self.registrants.chance;
        let manners = match chance.below(10) {
            0..4 => Manners::Plain,
            4..8 => Manners::Tidy(chance.millis(1, 600)),
            _ => Manners::Stubborn,
        };
        let uid = USERS[chance.below(USERS.len())];
        let name = self.draw_name();
        let Some(process) = self.hosts[host]
            .os
            .spawn(self.queue.now(), Running { uid, manners })
        else {
            return;
        };
        self.register((host, name, process), None);
    }

    /// A process registers, or replaces its registration.
    fn register(&mut self, (host, name, process): Key, like: Option<Registration>) {
        let session = self.registrants.connect();
        let uid = self.uid(host, &process);
        let chance = &mut self.registrants.chance;
        let groups = (0..chance.below(3))
            .filter_map(|_| chance.pick(&GROUPS).map(|group| process_name(group)))
            .collect::<BTreeSet<_>>();
        let metadata = BTreeMap::from([("made".to_owned(), session.0.to_string())]);
        let lifetime = if chance.happens(0.25) {
            Lifetime::Connection(session)
        } else {
            Lifetime::Process
        };
        let on_conflict = if chance.happens(0.25) {
            OnConflict::Terminate
        } else {
            OnConflict::Notify
        };
        let (reports_exit, address) = (
            chance.happens(0.25),
            chance.happens(0.3).then(|| "10.0.0.1:80".to_owned()),
        );
        let (user, exe) = (None, Some("/bin/true".to_owned()));
        let drawn = Registration {
            name,
            process,
            uid,
            user,
            exe,
            groups,
            metadata,
            address,
            lifetime,
            on_conflict,
            reports_exit,
        };
        let registration = match like {
            Some(Registration {
                lifetime: Lifetime::Connection(_),
                ..
            }) => Registration {
                lifetime: Lifetime::Connection(session),
                ..drawn
            },
            Some(like) => like,
            None => drawn,
        };
        self.ask_registry(host, Command::Register(Box::new(registration)));
    }

    fn come_back(&mut self, key: &Key) {
        let known = self
            .registrants
            .facts
            .get(key)
            .filter(|_| self.hosts[key.0].os.runs(&key.2));
        if let Some(registration) = known.map(|fact| fact.registration.clone()) {
            self.register(key.clone(), Some(registration));
        }
    }

    /// Those whose daemon has gone without an answer come again, most of them.
    pub(super) fn come_again(&mut self, key: Key, most: Duration) {
        if self.registrants.chance.happens(RETURNS) {
            let delay = self
                .registrants
                .chance
                .span(Duration::from_millis(10), most);
            self.queue.after(delay, Event::Program(Deed::Return(key)));
        }
    }

    fn unregister(&mut self, (host, name, process): &Key) {
        let uid = self.uid(*host, process);
        self.ask_registry(
            *host,
            Command::Unregister(ask::Unregister {
                name: name.clone(),
                uid,
            }),
        );
    }

    fn join_or_leave(&mut self, (host, name, process): &Key) {
        let uid = self.uid(*host, process);
        let chance = &mut self.registrants.chance;
        let (group, join) = (
            process_name(GROUPS[chance.below(GROUPS.len())]),
            chance.happens(0.6),
        );
        self.ask_registry(
            *host,
            Command::Group(ask::Group {
                name: name.clone(),
                group,
                join,
                uid,
            }),
        );
    }

    /// Somebody asks the wrong node, or for what is not theirs.
    fn err(&mut self, (host, name, _): &Key) {
        let chance = &mut self.registrants.chance;
        let host = if chance.happens(0.5) {
            *host
        } else {
            chance.below(self.scenario.hosts)
        };
        let uid = 4_000;
        let group = process_name("stolen");
        let command = match chance.below(3) {
            0 => Command::Unregister(ask::Unregister {
                name: name.clone(),
                uid,
            }),
            1 => Command::Group(ask::Group {
                name: name.clone(),
                group,
                join: true,
                uid,
            }),
            _ => Command::Links(ask::Links { name: name.clone() }),
        };
        self.ask_registry(host, command);
    }

    fn link(&mut self, (host, name, process): &Key, make: bool) {
        let uid = self.uid(*host, process);
        let handles: Vec<Handle> = self.registrants.handles().cloned().collect();
        let chance = &mut self.registrants.chance;
        let Some(other) = chance.pick(&handles).cloned() else {
            return;
        };
        let (by_name, unreachable) = (chance.happens(0.5), chance.happens(0.3));
        let other = if by_name {
            LinkTarget::Name(other.name)
        } else {
            LinkTarget::Handle(other)
        };
        let name = name.clone();
        let command = if make {
            Command::Link(ask::Link {
                name,
                other,
                unreachable,
                uid,
            })
        } else {
            Command::Unlink(ask::Unlink { name, other, uid })
        };
        self.ask_registry(*host, command);
    }

    fn hang_up(&mut self, host: usize) {
        let now = self.queue.now();
        let sessions = self.registrants.connections(host, now);
        if let Some(session) = self.registrants.chance.pick(&sessions).copied() {
            self.close_session(host, session);
        }
    }

    /// A process will end; whoever started it tells how, in time, too late or never.
    fn plan_end(&mut self, key: &Key) {
        let chance = &mut self.registrants.chance;
        let how = match chance.below(5) {
            0 => Reason::Killed(9),
            1 => Reason::Killed(11),
            code => Reason::ExitedWith(i32::try_from(code).unwrap_or(0) - 2),
        };
        let (end, report) = (chance.millis(60, 200), chance.millis(0, 500));
        self.queue
            .after(end, Event::Program(Deed::End(key.0, key.2, how)));
        let reports = self
            .registrants
            .facts
            .get(key)
            .is_some_and(|fact| fact.registration.reports_exit);
        if reports && self.registrants.chance.happens(0.8) {
            self.plan_report(key, how, u64::try_from(report.as_millis()).unwrap_or(0));
        }
    }

    fn plan_report(&mut self, key: &Key, how: Reason, after_ms: u64) {
        self.queue.after(
            Duration::from_millis(after_ms),
            Event::Program(Deed::Report(key.clone(), how)),
        );
    }

    /// A client asks a node; nothing happens if its daemon does not run.
    pub(super) fn ask_registry(&mut self, host: usize, command: Command) {
        let now = self.queue.now();
        let Some(process) = self.hosts[host].process.as_ref() else {
            return;
        };
        let own = self.hosts[host].peer.id;
        let found = process.story.directory.whereis(command.name());
        let rival = found.filter(|found| found.holder.reachable && found.holder.owner != own);
        let rival = rival.map(|found| found.holder.handle(command.name()));
        let (epoch, node) = (process.epoch, self.hosts[host].peer.name.clone());
        let others = self.coming_targets(host, &command);
        self.trace
            .note(now, &format_args!("n{host} asked {command:?}"));
        self.ask(host, ClusterCommand::Registry(command.clone()));
        self.registrants.ask(
            self.asked,
            host,
            &node,
            epoch,
            now,
            (command.clone(), rival),
        );
        if let Command::Link(ask::Link {
            name, unreachable, ..
        }) = &command
        {
            for key in self.standing(host, name) {
                self.registrants.links.ask(&key, &others, *unreachable, now);
            }
        }
    }

    /// The registrations of that name on a host that may be there.
    pub(super) fn standing(&self, host: usize, name: &ProcessName) -> Vec<Key> {
        let now = self.queue.now();
        let there = self
            .registrants
            .named(host, name)
            .filter(|(_, fact)| fact.standing(now) != Standing::Gone);
        there.map(|(key, _)| key.clone()).collect()
    }

    /// Which handles a link is about, as far as is known.
    fn targets(&self, host: usize, command: &Command) -> Vec<Handle> {
        let Command::Link(ask::Link { other, .. }) = command else {
            return Vec::new();
        };
        let directory = self.hosts[host]
            .process
            .as_ref()
            .map(|process| &process.story.directory);
        match other {
            LinkTarget::Handle(handle) => vec![handle.clone()],
            LinkTarget::Name(name) => {
                let found = directory.and_then(|directory| directory.whereis(name));
                found
                    .into_iter()
                    .flat_map(crate::check::events::holders)
                    .map(|holder| holder.handle(name))
                    .collect()
            }
        }
    }

    /// The same, with each whether it is not surely registered.
    pub(super) fn shaky_targets(&self, host: usize, command: &Command) -> Vec<(Handle, bool)> {
        let (now, registrants) = (self.queue.now(), &self.registrants);
        let fact = |handle: &Handle| {
            registrants
                .key(handle)
                .and_then(|key| registrants.facts.get(key))
        };
        // Whose end is not known there yet, though it has begun anew since, will be seen to end.
        let is_known = |key: &Key, fact: &Fact| {
            let listed = self.listed(host, key);
            listed.is_none_or(|it| Some(it.entry.claim) == fact.claim)
        };
        let shaky = |handle: &Handle| {
            let fact = registrants.key(handle).zip(fact(handle));
            fact.is_none_or(|(key, fact)| {
                fact.standing(now) != Standing::Held || !is_known(key, fact)
            })
        };
        self.targets(host, command)
            .into_iter()
            .map(|handle| (handle.clone(), shaky(&handle)))
            .collect()
    }

    /// The same, with those that may come to have the name before the link is made.
    fn coming_targets(&self, host: usize, command: &Command) -> Vec<(Handle, bool)> {
        let mut targets = self.shaky_targets(host, command);
        if let Command::Link(ask::Link {
            other: LinkTarget::Name(name),
            ..
        }) = command
        {
            let coming = self
                .registrants
                .coming(name, self.queue.now())
                .filter(|handle| targets.iter().all(|(known, _)| known != *handle));
            let coming: Vec<(Handle, bool)> = coming.map(|handle| (handle.clone(), true)).collect();
            targets.extend(coming);
        }
        targets
    }

    /// A daemon has ended without answers.
    pub(super) fn vanish(&mut self, asked: Vec<Asked>) {
        for asked in asked {
            if let Command::Register(registration) = &asked.command {
                self.come_again(
                    (asked.host, registration.name.clone(), registration.process),
                    Duration::from_secs(3),
                );
            }
        }
    }
}
