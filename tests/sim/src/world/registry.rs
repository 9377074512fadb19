//! Carrying out what the registry wants done, and what hosts do to it: the shell's part, with
//! simulated processes.

use super::World;
use crate::check::events::Turn;
use crate::check::spreading::{BOUND, CALM_BEFORE, What};
use crate::check::{answers, links};
use crate::os::Manners;
use crate::queue::{Event, Input, Place};
use crate::registrants::{Asked, Deed, Key, Standing};
use crdt::registry::{Process, Reason};
use names::Handle;
use node::cluster::{self, Refusal, Reply};
use node::registry::{self, Holder, LinkTarget, News, Output, SessionId, Signal, ask};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long after SIGTERM a process that still runs gets SIGKILL.
pub const KILL_AFTER: Duration = Duration::from_secs(2);
/// From a machine's deadline, which comes after all else of its moment, to the next moment.
const NEXT: Duration = Duration::from_nanos(1);
/// How long clients take at most to come back to a daemon that has started.
const COMING_BACK: Duration = Duration::from_secs(8);

impl World {
    pub(super) fn carry_registry(&mut self, place: Place, output: Output) {
        let (host, now) = (place.host, self.queue.now());
        match output {
            Output::Keep { id, rows } => {
                let at = self.hosts[host].disk.keep(now, id, rows);
                self.queue.at(
                    at,
                    Event::Kept {
                        host,
                        epoch: place.epoch,
                    },
                );
            }
            Output::Watch(process) => {
                if let Some(reason) = self.hosts[host].os.watch(process) {
                    self.tell_end(place, (process, reason), false);
                }
            }
            Output::Unwatch(process) => self.hosts[host].os.unwatch(&process),
            Output::Signal {
                process,
                uid,
                signal,
            } => self.signal(place, (process, uid), signal),
            Output::News(news) => self.news(place, &news),
        }
    }

    /// The next write of kept rows is done.
    pub(super) fn kept(&mut self, host: usize, epoch: u64) {
        let (now, place) = (
            self.queue.now(),
            Place {
                host,
                epoch,
                machine: 0,
            },
        );
        let Some(process) = self.process(place) else {
            return;
        };
        if process.paused_until > now {
            let until = process.paused_until;
            return self.queue.at(until, Event::Kept { host, epoch });
        }
        if let Some((id, result)) = self.hosts[host].disk.kept() {
            self.admit(
                place,
                Input::Cluster(cluster::Input::Registry(registry::Input::Kept {
                    id,
                    result,
                })),
            );
        }
    }

    fn tell_end(&mut self, place: Place, (process, reason): (Process, Reason), was_there: bool) {
        let input = registry::Input::Ended {
            process,
            reason,
            was_there,
        };
        self.tell_cluster(place, input);
    }

    fn tell_cluster(&mut self, place: Place, input: registry::Input) {
        let at = self.queue.now()
            + self
                .registrants
                .chance
                .span(Duration::ZERO, Duration::from_micros(500));
        self.queue.at(
            at,
            Event::Input(
                place,
                Box::new(Input::Cluster(cluster::Input::Registry(input))),
            ),
        );
    }

    fn signal(&mut self, place: Place, (process, uid): (Process, u32), signal: Signal) {
        let (host, now) = (place.host, self.queue.now());
        self.trace
            .note(now, &format_args!("n{host} -> {signal:?} {process:?}"));
        let os = &self.hosts[host].os;
        // A process whose end the daemon has not heard of feels nothing.
        let Some(running) = os.running(&process) else {
            return;
        };
        if running.uid != uid {
            let input = registry::Input::Estranged { process, uid };
            return self.tell_cluster(place, input);
        }
        self.registrants.last_signal = Some(now);
        match &mut self.record {
            Some(record) => record.signals.push((host, process, signal)),
            None => self.registrants.signals.push((process, signal)),
        }
        if !os.watches(&process) {
            return self.problems.push(format!(
                "host {host} signalled a process that it does not \
                watch: {process:?}"
            ));
        }
        let (after, how) = match (signal, running.manners) {
            (Signal::Kill, _) => (Duration::ZERO, Reason::Killed(9)),
            (Signal::Term, Manners::Plain) => (Duration::ZERO, Reason::Killed(15)),
            (Signal::Term, Manners::Tidy(after)) => (after, Reason::ExitedWith(0)),
            (Signal::Term, Manners::Stubborn) => return,
        };
        self.queue.after(
            after + Duration::from_micros(50),
            Event::Program(Deed::End(host, process, how)),
        );
    }

    /// Judges what was sent, once the news of the same moment, with the reasons, were told, if
    /// there are any.
    pub(super) fn judge_signals(&mut self, place: Place) {
        for sent in std::mem::take(&mut self.registrants.signals) {
            let found = links::at_signal(
                &mut self.registrants,
                self.queue.now(),
                (place.host, place.epoch),
                sent,
                KILL_AFTER,
            );
            self.problems.extend(found);
        }
    }

    fn news(&mut self, place: Place, news: &News) {
        let (host, now) = (place.host, self.queue.now());
        self.trace.note(
            now,
            &format_args!("n{host} -> News {} changes", news.changes.len()),
        );
        for event in &news.events {
            self.trace.note(
                now,
                &format_args!("n{host} -> {} {:?}", event.handle, event.kind),
            );
        }
        let Some(process) = self.hosts[host].process.as_mut() else {
            return;
        };
        if let Some(record) = &mut self.record {
            news.changes
                .iter()
                .for_each(|change| process.story.directory.apply(change));
            let events = news.events.iter().cloned();
            record
                .registry_events
                .extend(events.map(|event| (host, event)));
            return;
        }
        let (turns, wrong) = process.story.take(news, &self.registrants, now);
        if host >= self.scenario.hosts {
            // Of a clone or of the liar: nothing runs there.
            return;
        }
        self.problems.extend(
            wrong
                .into_iter()
                .map(|text| format!("host {host} told {text}")),
        );
        for turn in turns {
            self.heed(place, &turn);
        }
        // Before the replies, which may end links.
        self.judge_signals(place);
    }

    fn heed(&mut self, place: Place, turn: &Turn) {
        let (host, now) = (place.host, self.queue.now());
        let (Turn::Up(handle)
        | Turn::Down(handle)
        | Turn::Hidden(handle)
        | Turn::Unseen(handle)
        | Turn::Back(handle)
        | Turn::Lost(handle)) = turn;
        let Some(key) = self.registrants.key(handle).cloned() else {
            return;
        };
        let spreading = &mut self.registrants.spreading;
        match turn {
            Turn::Up(_) => spreading.heard(now, (host, place.epoch), &key, What::Up),
            Turn::Down(_) => spreading.heard(now, (host, place.epoch), &key, What::Down),
            Turn::Hidden(other) => self.registrants.links.hidden(host, other),
            Turn::Unseen(other) => {
                let looks = self.hosts[host]
                    .process
                    .as_ref()
                    .map(|process| (process.started, process.looked_out));
                looks
                    .into_iter()
                    .for_each(|looks| self.registrants.links.unseen(host, other, looks));
            }
            Turn::Back(other) => self.registrants.links.seen(host, other),
            Turn::Lost(_) if key.0 == host => self.registrants.lost(&key, place.epoch, now),
            Turn::Lost(_) => {}
        }
    }

    /// A process ends: its daemon may hear of it, its connections close.
    pub(super) fn end(&mut self, host: usize, process: Process, how: Reason) {
        let now = self.queue.now();
        if !self.hosts[host].os.runs(&process) {
            return;
        }
        self.trace
            .note(now, &format_args!("n{host} {process:?} ends: {how:?}"));
        let heard = self.hosts[host].os.end(now, process, how);
        let keys = self.registrants.process_ended(host, process, now, how);
        if let (Some(reason), Some(place)) = (heard, self.hosts[host].place(host, 0)) {
            self.tell_end(place, (process, reason), true);
        }
        for key in keys {
            let reports = self
                .registrants
                .facts
                .get(&key)
                .is_some_and(|fact| fact.registration.reports_exit);
            self.spread(key, (What::Down, !reports));
        }
    }

    /// From now on everybody is to hear of something.
    fn spread(&mut self, key: Key, what: (What, bool)) {
        let now = self.queue.now();
        let honest = self.honest().len();
        let promised = self.is_calm() && self.watch.is_calm(now, CALM_BEFORE);
        if promised
            && self
                .registrants
                .spreading
                .begin(&self.hosts[..honest], now, &key, what)
        {
            self.queue.after(
                BOUND,
                Event::Expected {
                    key,
                    what: what.0,
                    since: now,
                },
            );
        }
    }

    pub(super) fn expected(&mut self, key: &Key, what: What, since: node::time::Instant) {
        let now = self.queue.now();
        let fact = self
            .registrants
            .facts
            .get(key)
            .map(|fact| fact.standing(now));
        let stays = fact
            == Some(if what == What::Up {
                Standing::Held
            } else {
                Standing::Gone
            });
        let undisturbed = stays && self.watch.is_calm(now, now.since(since));
        let listing: BTreeSet<usize> = (0..self.honest().len())
            .filter(|host| self.lists(*host, key))
            .collect();
        let found = self
            .registrants
            .spreading
            .expect(since, (key, what), undisturbed, |host| {
                listing.contains(&host)
            });
        self.problems.extend(found);
    }

    /// A client's connection closes.
    pub(super) fn close_session(&mut self, host: usize, session: SessionId) {
        let now = self.queue.now();
        self.registrants.closed(session, now);
        self.trace
            .note(now, &format_args!("n{host} {session:?} closes"));
        if let Some(place) = self.hosts[host].place(host, 0) {
            let input = Input::Cluster(cluster::Input::Registry(registry::Input::SessionEnded {
                session,
            }));
            self.queue.at(now, Event::Input(place, Box::new(input)));
        }
    }

    /// A daemon answers one of its registry's clients.
    pub(super) fn registry_answered(&mut self, id: u64, result: &Result<Reply, Refusal>) {
        let Some(asked) = self.registrants.take(id) else {
            return;
        };
        let found = answers::at_reply(self, &asked, result);
        self.problems.extend(found);
        match result {
            Ok(_) => self.carried_out(&asked, result),
            Err(Refusal::Registry(registry::Refusal::Write(_))) => {
                self.registrants.unsure(&asked);
                self.vanish(vec![asked]);
            }
            Err(_) => {
                let os = &self.hosts[asked.host].os;
                self.registrants.refused(&asked, |process| os.runs(process));
                if let registry::Command::Link(ask::Link { name, .. }) = &asked.command {
                    for key in self.standing(asked.host, name) {
                        self.registrants.links.answer(&key, asked.at, false);
                    }
                }
            }
        }
    }

    fn carried_out(&mut self, asked: &Asked, result: &Result<Reply, Refusal>) {
        let now = self.queue.now();
        self.registrants.done += 1;
        match &asked.command {
            registry::Command::Register(registration) => {
                let runs = self.hosts[asked.host].os.runs(&registration.process);
                let told = matches!(
                    result,
                    Ok(Reply::Registry(registry::Reply::Registered { fresh: true }))
                );
                let fresh = self
                    .registrants
                    .registered(asked, registration, (runs, told), now);
                let key = (asked.host, registration.name.clone(), registration.process);
                let claim = self.listed(asked.host, &key).map(|it| it.entry.claim);
                let fact = self.registrants.facts.get_mut(&key);
                let held = fact.is_some_and(|fact| {
                    fact.claim = claim;
                    fact.standing(now) == Standing::Held
                });
                if fresh == Some(true) && held {
                    self.spread_new(key);
                }
            }
            registry::Command::Unregister(_) => self.registrants.unregistered(asked),
            registry::Command::Group(ask::Group { group, join, .. }) => {
                self.registrants.grouped(asked, group, *join)
            }
            registry::Command::Report(_) | registry::Command::Links(_) => {}
            registry::Command::Link(ask::Link {
                name, unreachable, ..
            }) => {
                // Who has that name may have changed since it was asked for.
                let others = self.shaky_targets(asked.host, &asked.command);
                for key in self.standing(asked.host, name) {
                    self.registrants
                        .links
                        .ask(&key, &others, *unreachable, asked.at);
                    self.registrants.links.answer(&key, asked.at, true);
                }
            }
            registry::Command::Unlink(ask::Unlink { name, other, .. }) => {
                let is_it = |handle: &Handle| match other {
                    LinkTarget::Handle(other) => handle == other,
                    LinkTarget::Name(other) => handle.name == *other,
                };
                for key in self.standing(asked.host, name) {
                    self.registrants.links.cut(&key, is_it, !asked.overlaps);
                }
            }
        }
    }

    /// A new registration spreads; its own node told of it before it answered.
    fn spread_new(&mut self, key: Key) {
        let (host, now) = (key.0, self.queue.now());
        self.spread(key.clone(), (What::Up, true));
        for (other, epoch) in self
            .hosts
            .iter()
            .enumerate()
            .filter_map(|(other, host)| Some((other, host.process.as_ref()?.epoch)))
        {
            let knows = other == host || self.lists(other, &key);
            if knows {
                self.registrants
                    .spreading
                    .heard(now, (other, epoch), &key, What::Up);
            }
        }
    }

    /// Whether a host's daemon lists a registration.
    fn lists(&self, host: usize, key: &Key) -> bool {
        self.listed(host, key).is_some()
    }

    /// A registration as a host's daemon lists it.
    pub(super) fn listed(&self, host: usize, (owner, name, process): &Key) -> Option<Holder> {
        let owner = self.hosts[*owner].peer.id;
        let daemon = self.hosts[host].process.as_ref()?;
        let found = daemon.story.directory.whereis(name)?;
        crate::check::events::holders(found)
            .find(|holder| (holder.owner, holder.process) == (owner, *process))
    }

    pub(super) fn registry_daemon_started(&mut self, host: usize) {
        let now = self.queue.now();
        for key in self.registrants.daemon_started(host, now) {
            self.come_again(key, COMING_BACK);
        }
        let epoch = self.hosts[host].epoch;
        self.queue
            .after(links::LOOKOUT + NEXT, Event::LookedOut { host, epoch });
    }

    /// A daemon had the time to see who is there, and has acted upon it; one that is stopped will,
    /// once it goes on.
    pub(super) fn looked_out(&mut self, host: usize, epoch: u64) {
        let now = self.queue.now();
        let Some(process) = self.process(Place {
            host,
            epoch,
            machine: 0,
        }) else {
            return;
        };
        let stalled_until = process.stalled_until(0);
        if stalled_until >= now {
            return self
                .queue
                .at(stalled_until + NEXT, Event::LookedOut { host, epoch });
        }
        process.looked_out = true;
        self.registrants.links.looked_out(host);
    }

    pub(super) fn registry_daemon_ended(&mut self, host: usize, epoch: u64) {
        let now = self.queue.now();
        self.hosts[host].os.daemon_ended();
        self.registrants.links.daemon_ended(host);
        let os = &self.hosts[host].os;
        let vanished = self
            .registrants
            .daemon_ended(host, epoch, now, |process| os.runs(process));
        self.vanish(vanished);
    }

    /// A whole host starts anew: its processes are gone, and what its disk had not synced may be,
    /// too.
    pub(super) fn reboot(&mut self, host: usize) {
        let now = self.queue.now();
        for process in self.hosts[host].os.reboot(now) {
            self.registrants
                .process_ended(host, process, now, Reason::Unknown);
        }
        self.hosts[host].disk.lose_power();
    }
}
