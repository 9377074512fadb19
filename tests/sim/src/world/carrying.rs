//! Carrying out what the machines want done: the shell's part, with the simulated disk, network and
//! clients.

use super::World;
use crate::clients::{Act, Outcome};
use crate::disk::{Commit, Content};
use crate::liar::Speech;
use crate::queue::{Event, Input, Place};
use names::ListId;
use node::cluster::{self, StopReason};
use node::lists::{self, Edited, Job, Refusal, Reply, Row};
use node::wire::{CloseReason, ConnId, RequestId};
use std::sync::Arc;
use std::time::Duration;

/// How often a client whose outcome is unknown asks again.
const RETRIES: f64 = 0.7;

impl World {
    pub(super) fn carry_cluster(&mut self, place: Place, output: cluster::Output) {
        let host = place.host;
        match output {
            cluster::Output::Dial {
                dial,
                target,
                limit,
                round_trip: _,
            } => self
                .network
                .dial(&mut self.queue, host, (dial, limit), &target),
            cluster::Output::GiveUp { dial } => {
                self.network.give_up_dial(&mut self.queue, host, dial);
            }
            cluster::Output::Datagram { conn, bytes } => {
                self.send(host, conn, Speech::Datagram(bytes));
            }
            cluster::Output::Send {
                conn,
                channel,
                bytes,
            } => self.send(host, conn, Speech::Message(channel, bytes)),
            cluster::Output::KeepAlive { conn, on } => self.network.keep_alive(host, conn, on),
            cluster::Output::Close { conn, reason } => {
                self.trace.aside(self.queue.now(), &|| {
                    format!(
                        "n{host} -> Close {conn:?} \
                    {reason:?}"
                    )
                });
                self.network.close(&mut self.queue, host, conn);
            }
            cluster::Output::Write { id, bytes } => self.commit(
                place,
                Commit {
                    machine: 0,
                    id,
                    content: Content::Cluster(bytes),
                },
            ),
            // Handshakes are not simulated: the machine itself closes what they would refuse.
            cluster::Output::Revoked(_) | cluster::Output::Search(_) => {}
            cluster::Output::View(view) => self.show(place, view),
            cluster::Output::Event(event) => {
                self.trace.note(
                    self.queue.now(),
                    &format_args!("n{host} -> {:?}", event.kind),
                );
                if let Some(record) = &mut self.record {
                    record.events.push((host, event));
                }
            }
            cluster::Output::Reply { id, result } => {
                self.trace.note(
                    self.queue.now(),
                    &format_args!(
                        "n{host} -> Reply {id:?} \
                    {result:?}"
                    ),
                );
                if self.commands.remove(&id.0).is_none() {
                    self.problems
                        .push(format!("host {host} answered command {id:?} twice"));
                }
                self.registry_answered(id.0, &result);
                if let Some(record) = &mut self.record {
                    record.replies.insert(id.0, result);
                }
            }
            cluster::Output::Registry(output) => self.carry_registry(place, output),
            cluster::Output::Stop(reason) => self.ended(host, reason),
        }
    }

    fn show(&mut self, place: Place, view: Arc<cluster::RosterView>) {
        let now = self.queue.now();
        self.trace.aside(now, &|| {
            let line = |member: &cluster::MemberView| {
                format!("{}:{:?}@{}", member.profile.name, member.state, member.run)
            };
            let members: Vec<String> = view.members.iter().map(line).collect();
            format!(
                "n{} -> View {:?} {}",
                place.host,
                view.verdict,
                members.join(" ")
            )
        });
        let calm = self.is_calm();
        let honest = self
            .liar
            .as_ref()
            .map_or(self.hosts.len(), |liar| liar.host);
        let found = if place.host < honest {
            self.watch
                .view(&self.hosts[..honest], now, place.host, &view, calm)
        } else {
            Vec::new()
        };
        self.problems.extend(found);
        let Some(process) = self.process(place) else {
            return;
        };
        process.view = Some(Arc::clone(&view));
        (1..process.machines()).for_each(|machine| {
            self.later(place, machine, lists::Input::Cluster(Arc::clone(&view)))
        });
    }

    fn ended(&mut self, host: usize, reason: StopReason) {
        self.trace.note(
            self.queue.now(),
            &format_args!("n{host} -> Stop {reason:?}"),
        );
        if matches!(reason, StopReason::Clone(_) | StopReason::NameTaken(_))
            && !self.expects_clones
            && !self.is_liar(host)
        {
            self.problems.push(format!("host {host} stopped: {reason}"));
        }
        self.hosts[host].disk.flush();
        self.hosts[host].stopped = Some(reason);
        self.end_process(host, true);
        if self.keep_running {
            self.queue.after(
                Duration::from_millis(100),
                Event::Fault(crate::faults::Fault::Start { host }),
            );
        }
    }

    /// Nobody writes a number twice unless a script does.
    fn forked(&mut self, host: usize, fork: lists::Fork) {
        match &mut self.record {
            Some(record) => record.forks.push((host, fork)),
            // Whoever has heard a lie has another branch than who has not.
            None if self.liar.is_some() => {}
            None => self.problems.push(format!("host {host} says {fork:?}")),
        }
    }

    /// Only the liar signs two changes with one number as its own.
    fn contradicted(&mut self, host: usize, one: lists::Contradiction) {
        let mut hosts = self.hosts.iter();
        let of = hosts.position(|host| host.peer.id == one.node);
        let is_of_liar = of.is_some_and(|of| self.is_liar(of));
        match &mut self.record {
            Some(record) => record.contradictions.push((host, one)),
            None if is_of_liar => {}
            None => self.problems.push(format!("host {host} says {one:?}")),
        }
    }

    /// So nothing leaves a list either.
    fn left(&mut self, host: usize, left: lists::Left) {
        match &mut self.record {
            Some(record) => record.left.push((host, left)),
            None if self.liar.is_some() => self.clients.moved(&left),
            None => self.problems.push(format!("host {host} says {left:?}")),
        }
    }

    pub(super) fn carry_lists(&mut self, place: Place, output: lists::Output) {
        let host = place.host;
        match output {
            lists::Output::Send {
                conn,
                channel,
                bytes,
            } => {
                if let Some(record) = &mut self.record {
                    record.messages.push((host, bytes.clone()));
                }
                self.send(host, conn, Speech::Message(channel, bytes));
            }
            lists::Output::Breach { conn, reason } => self.breach(host, conn, reason),
            lists::Output::Write { id, rows } => {
                self.trace.aside(self.queue.now(), &|| {
                    format!(
                        "n{host}.{} -> Write {id:?} \
                    {rows:?}",
                        place.machine
                    )
                });
                let shown = rows.iter().filter_map(|row| {
                    if let Row::Entry {
                        list,
                        entry: Some(entry),
                        ..
                    } = row
                    {
                        Some((*list, entry))
                    } else {
                        None
                    }
                });
                shown.for_each(|(list, entry)| self.clients.shown(list, entry));
                self.commit(
                    place,
                    Commit {
                        machine: place.machine,
                        id,
                        content: Content::Rows(rows),
                    },
                );
            }
            lists::Output::Work { list, job } => self.begin_job(place, list, job),
            lists::Output::Reply { id, result } => self.answered(place, id, result),
            lists::Output::Forked(fork) => self.forked(host, fork),
            lists::Output::Contradicted(one) => self.contradicted(host, one),
            lists::Output::LeftOut(left) => self.left(host, left),
            lists::Output::Compared(_) => {}
            lists::Output::Changed(change) => {
                let image = &self.hosts[host].disk.image;
                let there = image
                    .lists
                    .get(&change.list)
                    .is_some_and(|row| row.modified_at >= 0);
                if !there {
                    self.problems.push(format!(
                        "host {host} told of a change of {:?} before its \
                        commit",
                        change.name
                    ));
                }
                if let Some(record) = &mut self.record {
                    record.changes.push((host, change));
                }
            }
        }
    }

    /// A lists machine has a connection closed, which it does only if its peer breaks the protocol: as
    /// the liar does, and scripts.
    fn breach(&mut self, host: usize, conn: ConnId, reason: CloseReason) {
        let is_with_liar = self.is_with_liar(host, conn);
        match &mut self.record {
            Some(record) => record.closed.push((host, conn, reason)),
            None if is_with_liar => {}
            None => self
                .problems
                .push(format!("host {host} closed {conn:?}: {}", reason.as_str())),
        }
        self.tell(host, cluster::Input::Breach { conn, reason });
    }

    fn commit(&mut self, place: Place, commit: Commit) {
        let host = place.host;
        match self.hosts[host].disk.commit(commit) {
            Ok(()) => self.begin_batch(host, place.epoch),
            Err(returned) => self.returned(host, place.epoch, returned),
        }
    }

    fn begin_batch(&mut self, host: usize, epoch: u64) {
        if let Some(takes) = self.hosts[host].disk.begin() {
            self.queue.after(takes, Event::Committed { host, epoch });
        }
    }

    fn returned(&mut self, host: usize, epoch: u64, returned: crate::disk::Returned) {
        let place = Place {
            host,
            epoch,
            machine: returned.machine,
        };
        let delay = self.chance.span(Duration::ZERO, Duration::from_micros(200));
        let input = match returned.machine {
            0 => Input::Cluster(cluster::Input::Written {
                id: returned.id,
                result: returned.result,
            }),
            _ => Input::Lists(lists::Input::Written {
                id: returned.id,
                result: returned.result,
            }),
        };
        let at = self.queue.now() + delay;
        let Some(process) = self.process(place) else {
            return;
        };
        let at = process.arrival(place.machine, at);
        self.queue.at(at, Event::Input(place, Box::new(input)));
    }

    pub(super) fn committed(&mut self, host: usize, epoch: u64) {
        let now = self.queue.now();
        let Some(process) = self.process(Place {
            host,
            epoch,
            machine: 0,
        }) else {
            return;
        };
        if process.paused_until > now {
            let until = process.paused_until;
            return self.queue.at(until, Event::Committed { host, epoch });
        }
        for returned in self.hosts[host].disk.finish() {
            self.returned(host, epoch, returned);
        }
        if self.hosts[host].disk.is_reopening() {
            let takes = self.chance.millis(20, 2_000);
            self.queue.after(takes, Event::Reopened { host, epoch });
        } else {
            self.begin_batch(host, epoch);
        }
    }

    pub(super) fn reopened(&mut self, host: usize, epoch: u64) {
        let place = Place {
            host,
            epoch,
            machine: 0,
        };
        if self.process(place).is_none() {
            return;
        }
        self.hosts[host].disk.reopen();
        for (machine, input) in self.hosts[host].reopened() {
            self.later(place, machine, input);
        }
    }

    fn begin_job(&mut self, place: Place, list: ListId, job: Job) {
        let takes = self
            .chance
            .span(Duration::from_micros(50), self.scenario.slowest_job / 2);
        if let Some(Err(problem)) = self
            .process(place)
            .map(|process| process.begin_job(place.machine, list))
        {
            self.problems
                .push(format!("host {}: {problem}", place.host));
        }
        self.queue.after(takes, Event::Work { place, list, job });
    }

    pub(super) fn work(&mut self, place: Place, list: ListId, job: Job) {
        let now = self.queue.now();
        let Some(process) = self.process(place) else {
            return;
        };
        if process.paused_until > now {
            let until = process.paused_until;
            return self.queue.at(until, Event::Work { place, list, job });
        }
        let done = job.run(list, &self.hosts[place.host].disk.reader());
        let takes = self
            .chance
            .span(Duration::from_micros(50), self.scenario.slowest_job / 2);
        self.queue.after(
            takes,
            Event::Input(
                place,
                Box::new(Input::Lists(lists::Input::Worked { list, done })),
            ),
        );
    }

    fn answered(&mut self, place: Place, id: RequestId, result: Result<Reply, Refusal>) {
        self.trace.note(
            self.queue.now(),
            &format_args!(
                "n{} -> Reply {id:?} \
            {result:?}",
                place.host
            ),
        );
        if let Some(record) = &mut self.record {
            record.lists_replies.insert(id.0, result);
            return;
        }
        let Some(request) = self.clients.get(id.0).cloned() else {
            return;
        };
        if request.outcome != Outcome::Waiting {
            self.problems
                .push(format!("request {} was answered twice", request.number));
        }
        let found = crate::check::acknowledged::at_reply(
            self.honest(),
            self.queue.now(),
            &request,
            &result,
        );
        self.problems.extend(found);
        let unsure = matches!(
            result,
            Err(Refusal::Unknown(_) | Refusal::Unavailable(_) | Refusal::Busy | Refusal::Timeout)
        );
        let outcome = match result {
            Ok(Reply::Edited(Edited { change, .. })) => Outcome::Acknowledged(change),
            Ok(
                other @ (Reply::Unconfirmed(_)
                | Reply::Entries(_)
                | Reply::Disputes(_)
                | Reply::History(_)
                | Reply::Saved(..)
                | Reply::Differences(..)
                | Reply::Standings(_)
                | Reply::LastOf(_)
                | Reply::Lagging(_)
                | Reply::Forks(_)
                | Reply::Contradictions(_)
                | Reply::Rebuilt(_)
                | Reply::Holders(_)
                | Reply::Comparisons(_)
                | Reply::Done),
            ) => {
                return self
                    .problems
                    .push(format!("an edit was answered by {other:?}"));
            }
            Err(refusal) => Outcome::Refused(refusal),
        };
        self.clients.answer(id.0, outcome);
        if unsure {
            self.retry(id.0);
        }
    }

    /// A client that does not know whether its request was carried out asks again, here or
    /// elsewhere.
    pub(super) fn retry(&mut self, number: u64) {
        if self.keep_running || !self.chance.happens(RETRIES) {
            return;
        }
        let host = self.chance.below(self.scenario.hosts);
        let delay = self.chance.millis(10, 3_000);
        self.queue
            .after(delay, Event::Client(Act::Retry(number, host)));
    }

    pub(super) fn act(&mut self, act: Act) {
        let now = self.queue.now();
        let host = match act {
            Act::Write => self.chance.below(self.scenario.hosts),
            Act::Retry(_, host) => host,
        };
        let here = &self.hosts[host];
        let Some(process) = here.process.as_ref() else {
            return;
        };
        let (key, wall) = ((host, process.epoch), here.now(now).wall.0);
        let request = match act {
            Act::Write => Some(self.clients.draw(key, now, wall, &here.disk.image)),
            Act::Retry(number, _) => self.clients.again(number, key, now),
        };
        let Some(request) = request else { return };
        let (id, by, command) = (
            RequestId(request.number),
            request.author(),
            request.command(),
        );
        let machine = process.owner_of(ListId::of(&request.list));
        let from = Place {
            host,
            epoch: process.epoch,
            machine: 0,
        };
        self.later(from, machine, lists::Input::Request { id, by, command });
    }
}
