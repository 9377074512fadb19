//! Ends: of processes, of connections and of daemons, and what must be true of the registrations then.

use super::{Asked, Cause, Fact, Key, ORPHANS, REPORT, Registrants, Standing};
use crdt::registry::{Process, Reason};
use node::registry::{Command, Lifetime, OnConflict, SessionId};
use node::time::Instant;
use std::collections::BTreeMap;

impl Registrants {
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

    /// A client wants a registration to end. One whose process has just ended may be there still:
    /// then that it was taken back is how it is said to have ended.
    pub(super) fn taking_back(&mut self, key: &Key, standing: Standing, at: Instant) {
        if standing != Standing::Gone {
            self.doubt(key, Some((at, Cause::TakenBack)));
        } else if let Some(fact) = self.facts.get_mut(key)
            && let Some((ended, Cause::Process(_))) = fact.ends.last()
            && at.since(*ended) < REPORT
        {
            fact.reports.insert(Reason::Unregistered);
        }
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
            fact.is_setting_unsure |= matches!(asked.command, Command::Register(_));
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
    /// another lifetime and other wishes for when they lose their names; also those that had ended, until their ends are seen once more.
    pub fn restored(&mut self, host: usize, at: Instant, runs: impl Fn(&Process) -> bool) {
        self.excuse_all(host, (at, Cause::Lost));
        self.doubt_all(host, None, runs);
        let its = self.facts.iter_mut().filter(|((on, ..), _)| *on == host);
        for (_, fact) in its {
            fact.registration.lifetime = Lifetime::Process;
            fact.is_setting_unsure = true;
        }
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

    /// A registration may have ended, or may have begun.
    pub fn doubt(&mut self, key: &Key, end: Option<(Instant, Cause)>) {
        self.links.doubt(key);
        if let Some(fact) = self.facts.get_mut(key) {
            fact.stand(Standing::Doubtful);
            fact.is_plain = false;
            fact.ends.extend(end);
        }
    }
}
