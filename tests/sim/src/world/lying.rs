//! The liar at work: what its host says beside, and instead of, what its machines say.

use super::{LOOK, SETTLING, World};
use crate::disk::Survival;
use crate::faults::Fault;
use crate::host::Host;
use crate::liar::{Habits, Liar, Speech};
use crate::network::Arrival;
use crate::queue::{Event, Place};
use names::NodeName;
use node::cluster::Target;
use node::wire::ConnId;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the liar's host is down when it starts again, at most.
const DOWN_MS: u64 = 6_000;

impl World {
    /// Adds the host of a liar with these habits.
    pub(super) fn add_liar(&mut self, habits: Habits) {
        let (host, seed) = (self.hosts.len(), self.scenario.seed);
        let new = super::new_host(seed, host, self.scenario.hosts);
        self.network.add(new.peer.clone(), new.address);
        self.hosts.push(new);
        self.queue.after(habits.begin, Event::Lie);
        self.trace
            .note(self.queue.now(), &format_args!("n{host} lies: {habits:?}"));
        self.liar = Some(Liar::new(seed, host, habits));
    }

    /// All hosts but the liar's.
    pub fn honest(&self) -> &[Host] {
        let liar = self
            .liar
            .as_ref()
            .map_or(self.hosts.len(), |liar| liar.host);
        &self.hosts[..liar]
    }

    /// Whether a host is the liar's.
    pub fn is_liar(&self, host: usize) -> bool {
        self.liar.as_ref().is_some_and(|liar| liar.host == host)
    }

    /// Whether the liar goes on while all must agree.
    pub fn liar_goes_on(&self) -> bool {
        self.liar.as_ref().is_some_and(|liar| liar.habits.goes_on)
    }

    /// The names of those who are honest, if anybody is not.
    pub(super) fn honest_names(&self) -> Option<BTreeSet<NodeName>> {
        self.liar.as_ref()?;
        let names = self.honest().iter().map(|host| host.peer.name.clone());
        Some(names.collect())
    }

    /// The liar tells its next lies.
    pub(super) fn lie(&mut self) {
        let Some(mut liar) = self.liar.take() else {
            return;
        };
        if !liar.is_off {
            let pause = liar
                .chance
                .span(Duration::from_millis(1), liar.habits.pause * 2);
            self.queue.after(pause, Event::Lie);
            self.tell_lies(&mut liar);
            self.restart_liar(&mut liar);
        }
        self.liar = Some(liar);
    }

    fn tell_lies(&mut self, liar: &mut Liar) {
        let (now, host) = (self.queue.now(), liar.host);
        if self.hosts[host].process.is_none() {
            return;
        }
        liar.look(&self.hosts, now);
        if let Some(dial) = liar.dials() {
            let honest = liar.chance.below(host);
            let target = Target::Node(self.hosts[honest].peer.id, self.hosts[honest].address);
            self.network.dial(
                &mut self.queue,
                host,
                (dial, Duration::from_secs(6)),
                &target,
            );
        }
        for _ in 0..1 + liar.chance.below(liar.habits.burst) {
            let (Some(conn), Some(lie)) = (liar.some_connection(), liar.lie()) else {
                continue;
            };
            self.trace.note(
                now,
                &format_args!("n{host} lies on {conn:?}: {:?}", lie.kind()),
            );
            self.say(host, conn, lie);
        }
    }

    fn say(&mut self, host: usize, conn: ConnId, speech: Speech) {
        match speech {
            Speech::Message(channel, bytes) => {
                self.network
                    .send(&mut self.queue, host, conn, channel, bytes);
            }
            Speech::Datagram(bytes) => {
                self.network.datagram(&mut self.queue, host, conn, &bytes);
            }
        }
    }

    /// Its daemon is killed now and then, and comes back in a higher run.
    fn restart_liar(&mut self, liar: &mut Liar) {
        let span = liar.habits.pause.as_secs_f64() / 15.0;
        if !liar.habits.restarts || self.keep_running || !liar.chance.happens(span) {
            return;
        }
        let delay = liar.chance.millis(10, DOWN_MS);
        let host = liar.host;
        if self.hosts[host].process.is_some() {
            let survival = Survival::Nothing;
            self.queue.at(
                self.queue.now(),
                Event::Fault(Fault::Kill { host, survival }),
            );
            self.queue.after(delay, Event::Fault(Fault::Start { host }));
        }
    }

    /// Notes what reaches the liar's host; true if its machines are not to hear of it.
    pub(super) fn liar_hears(&mut self, place: Place, arrival: &Arrival) -> bool {
        let Some(liar) = self.liar.as_mut().filter(|liar| liar.host == place.host) else {
            return false;
        };
        let is_own = liar.hears(arrival);
        if let Arrival::Connected { conn, .. } = arrival
            && is_own
            && let Some(hello) = liar.hello()
        {
            self.say(place.host, *conn, hello);
        }
        is_own
    }

    /// A machine says something; the liar's may mean something else.
    pub(super) fn send(&mut self, host: usize, conn: ConnId, speech: Speech) {
        let said = match self.liar.as_mut().filter(|liar| liar.host == host) {
            Some(liar) if !liar.is_off => liar.says(speech),
            Some(_) | None => Some(speech),
        };
        if let Some(speech) = said {
            self.say(host, conn, speech);
        }
    }

    /// Whether the other end of a connection is the liar's, or was.
    pub(super) fn is_with_liar(&self, host: usize, conn: ConnId) -> bool {
        let there = self.network.other_end(host, conn);
        self.liar.is_some() && there.is_none_or(|there| self.is_liar(there))
    }

    /// All is to be mended: the liar is switched off, unless it goes on.
    pub(super) fn mend_liar(&mut self) {
        let Some(liar) = &mut self.liar else { return };
        liar.makes_no_changes = true;
        if liar.habits.goes_on {
            return;
        }
        liar.is_off = true;
        let host = liar.host;
        self.hosts[host].disk.settle(Survival::Nothing);
        // In order, so that nobody waits for what was asked of it.
        self.end_process(host, true);
    }

    /// Whether a host is switched off for good.
    pub(super) fn is_off(&self, host: usize) -> bool {
        self.is_liar(host) && self.liar.as_ref().is_some_and(|liar| liar.is_off)
    }

    /// What a liar has said must not be on the disks either: all daemons are killed and start again,
    /// and everything must hold as before.
    pub(super) fn live_again(&mut self) {
        let honest = self.honest().len();
        for host in 0..honest {
            self.strike(Fault::Kill {
                host,
                survival: Survival::Nothing,
            });
        }
        self.run(LOOK);
        (0..honest).for_each(|host| self.strike(Fault::Start { host }));
        if let Err(differences) = self.run_until_converged(self.scenario.liveness) {
            let texts = differences.into_iter();
            self.problems
                .extend(texts.map(|text| format!("not converged after a restart: {text}")));
        }
        self.run(SETTLING);
        self.await_last_ends();
        self.examine();
    }
}
