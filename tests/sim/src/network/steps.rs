//! What the network does by itself: handshakes, retransmission, pings, idle timers, closing
//! duplicates.

use super::session::{End, State};
use super::thin::Load;
use super::{Arrival, Network, Step, TICK};
use crate::queue::{Event, Queue};
use bytes::Bytes;
use node::time::Instant;
use node::wire::Channel;
use std::time::Duration;

/// A connection on which nothing was heard for so long is dead.
const IDLE: Duration = Duration::from_secs(90);
/// An end on which nothing was heard for so long sends pings.
const PING_AFTER: Duration = Duration::from_secs(30);
/// A flight that got no answer is sent again after this, then after twice this, and so on.
const RESEND_FLIGHT: Duration = Duration::from_millis(300);
/// About how large a flight of a handshake is, in bytes.
const FLIGHT_BYTES: usize = 1_200;
/// The longest pause between two attempts to get a message through.
const MAX_BACKOFF: Duration = Duration::from_secs(3);
/// A connection that lost against another to the same peer is closed after so much quiet, and three round
/// trips at least.
const QUIET: Duration = Duration::from_secs(1);
/// A handshake that does not end is dropped by the listener after so many attempts.
const MAX_FLIGHTS: u32 = 6;
/// And after so many ticks.
const LISTENER_TICKS: u64 = 10;

impl Network {
    /// Does one step.
    pub fn step(&mut self, queue: &mut Queue, step: Step) {
        if let Some(until) = self.stopped_for(&step, queue.now()) {
            return queue.at(until, Event::Network(step));
        }
        match step {
            Step::Flight(id, flight, tries) => self.send_flight(queue, id, flight, tries),
            Step::Landed(id, flight) => self.land(queue, id, flight),
            Step::GiveUp(id) => self.give_up(queue, id),
            Step::Tick(id, count) => self.tick(queue, id, count),
            Step::Datagram(id, end, bytes) => self.land_datagram(queue, id, end, bytes),
            Step::Pump(id, end, channel, plan) => self.pump(queue, id, end, (channel, plan)),
            Step::Message(id, from, channel) => self.land_message(queue, id, from, channel),
            Step::PeerClosed(id, end) => self.peer_closed(queue, id, end),
        }
    }

    /// The process that would do this step may be stopped: then it waits.
    fn stopped_for(&self, step: &Step, now: Instant) -> Option<Instant> {
        let (id, end) = match *step {
            Step::Flight(id, flight, _) => (id, flight % 2),
            Step::Landed(id, flight) => (id, 1 - flight % 2),
            Step::GiveUp(id) => (id, 0),
            Step::Tick(..) => return None,
            Step::Datagram(id, end, _) | Step::Pump(id, end, ..) | Step::PeerClosed(id, end) => {
                (id, end)
            }
            Step::Message(id, from, _) => (id, 1 - from),
        };
        let until = self.stations[self.sessions.get(&id)?.ends[end].host].paused_until;
        (until > now).then_some(until)
    }

    fn send_flight(&mut self, queue: &mut Queue, id: u64, flight: usize, tries: u32) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let done = session.ends[flight % 2].state == State::Closed
            || session.ends[1 - flight % 2].is_open();
        if done || tries > MAX_FLIGHTS {
            return;
        }
        let waits = self.transmit(queue.now(), id, flight % 2, Load::Urgent(FLIGHT_BYTES));
        if let Some(delay) = self.carry(id, flight % 2) {
            queue.after(waits + delay, Event::Network(Step::Landed(id, flight)));
        }
        // Whoever gets no answer sends the same again.
        queue.after(
            RESEND_FLIGHT * 2u32.pow(tries),
            Event::Network(Step::Flight(id, flight, tries + 1)),
        );
    }

    fn land(&mut self, queue: &mut Queue, id: u64, flight: usize) {
        let now = queue.now();
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let end = 1 - flight % 2;
        let Some(epoch) = self.stations[session.ends[end].host].epoch else {
            return;
        };
        let other_closed = session.ends[1 - end].state == State::Closed;
        let expect = session.expect;
        let here = &mut session.ends[end];
        if here.state != State::Opening || other_closed || (here.epoch != epoch && flight > 0) {
            return;
        }
        here.heard = now;
        if flight == 0 {
            // The listener's process is whichever runs when the first packet comes.
            here.epoch = epoch;
            let (host, conn) = (here.host, here.conn);
            self.ends.insert((host, conn), (id, 1));
            return queue.at(now, Event::Network(Step::Flight(id, 1, 0)));
        }
        let other = &self.stations[session.ends[1 - end].host];
        if flight == 1 && expect.is_some_and(|id| id != other.peer.id) {
            return self.refuse(queue, id);
        }
        self.open(queue, id, end);
        if flight == 1 {
            queue.at(now, Event::Network(Step::Flight(id, 2, 0)));
        }
    }

    fn open(&mut self, queue: &mut Queue, id: u64, end: usize) {
        let now = queue.now();
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let other = &self.stations[session.ends[1 - end].host];
        let (peer, remote) = (other.peer.clone(), other.address);
        let dial = (end == 0).then_some(session.dial);
        let is_smaller = self.stations[session.ends[end].host].peer.id < peer.id;
        let preferred = dial.is_some() == is_smaller;
        let here = &mut session.ends[end];
        (here.state, here.heard, here.active) = (State::Open, now, now);
        let (host, epoch, conn) = (here.host, here.epoch, here.conn);
        queue.at(
            now,
            Event::Arrival {
                host,
                epoch,
                arrival: Arrival::Connected {
                    peer,
                    conn,
                    dial,
                    remote,
                    preferred,
                },
            },
        );
        self.mark_losers(host, id, end);
    }

    fn refuse(&mut self, queue: &mut Queue, id: u64) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let End { host, epoch, .. } = session.ends[0];
        let arrival = Arrival::DialFailed {
            dial: session.dial,
            refused: true,
        };
        queue.at(
            queue.now(),
            Event::Arrival {
                host,
                epoch,
                arrival,
            },
        );
        self.forget(id, 0);
        self.tell_closed(queue, id, 1);
    }

    pub(super) fn give_up(&mut self, queue: &mut Queue, id: u64) {
        let Some(session) = self
            .sessions
            .get(&id)
            .filter(|session| session.ends[0].state == State::Opening)
        else {
            return;
        };
        let End { host, epoch, .. } = session.ends[0];
        let arrival = Arrival::DialFailed {
            dial: session.dial,
            refused: false,
        };
        queue.at(
            queue.now(),
            Event::Arrival {
                host,
                epoch,
                arrival,
            },
        );
        self.forget(id, 0);
    }

    /// Of two connections between the same two nodes, the one dialled by the smaller id is kept; of
    /// two dialled by the same node the newer one.
    fn mark_losers(&mut self, host: usize, id: u64, end: usize) {
        let rank = |network: &Self, id: u64, end: usize| {
            let session = &network.sessions[&id];
            let (here, there) = (
                network.stations[host].peer.id,
                network.stations[session.ends[1 - end].host].peer.id,
            );
            let dialler = if end == 0 { here } else { there };
            (there, dialler == here.min(there), id)
        };
        let ours = rank(self, id, end);
        let rivals: Vec<(u64, usize)> = self
            .ends
            .iter()
            .filter(|((at, _), (other, _))| *at == host && *other != id)
            .map(|(_, rival)| *rival)
            .collect();
        for (rival, its_end) in rivals {
            let session = &self.sessions[&rival];
            let theirs = rank(self, rival, its_end);
            if theirs.0 != ours.0 || !session.ends[its_end].is_open() {
                continue;
            }
            let (lost, lost_end) = if theirs < ours {
                (rival, its_end)
            } else {
                (id, end)
            };
            if let Some(session) = self.sessions.get_mut(&lost) {
                session.ends[lost_end].loser = true;
            }
        }
    }

    fn tick(&mut self, queue: &mut Queue, id: u64, count: u64) {
        for end in 0..2 {
            if !self.is_running(id, end, queue.now()) {
                continue;
            }
            let heard = self.sessions[&id].ends[end].heard;
            if queue.now().since(heard) > PING_AFTER {
                self.ping(queue, id, end);
            }
            let here = &self.sessions[&id].ends[end];
            let (a, b) = self.sessions[&id].hosts();
            let (idle, quiet) = (
                queue.now().since(here.heard) > IDLE,
                queue.now().since(here.active) > QUIET.max(self.links.get(a, b).latency * 6),
            );
            if here.is_open() && idle {
                self.shut(queue, id, end);
            } else if here.is_open() && here.loser && quiet && self.has_rival(id, end) {
                self.shut(queue, id, end);
                self.tell_closed(queue, id, 1 - end);
            }
        }
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        // The dialler's end is given up by its own timer, which waits while its process is stopped.
        let [dialler, listener] = &session.ends;
        let listener_is_over = listener.state == State::Closed
            || (listener.state == State::Opening && count > LISTENER_TICKS);
        if dialler.state == State::Closed && listener_is_over {
            (0..2).for_each(|end| self.forget(id, end));
            self.sessions.remove(&id);
        } else {
            queue.after(TICK, Event::Network(Step::Tick(id, count + 1)));
        }
    }

    fn is_running(&self, id: u64, end: usize, now: Instant) -> bool {
        self.sessions.get(&id).is_some_and(|session| {
            let (end, station) = (&session.ends[end], &self.stations[session.ends[end].host]);
            station.epoch == Some(end.epoch) && station.paused_until <= now
        })
    }

    fn has_rival(&self, id: u64, end: usize) -> bool {
        let there =
            |id: u64, end: usize| self.stations[self.sessions[&id].ends[1 - end].host].peer.id;
        let host = self.sessions[&id].ends[end].host;
        self.ends.iter().any(|((at, _), &(rival, its_end))| {
            *at == host
                && rival != id
                && self.sessions[&rival].ends[its_end].is_open()
                // The rival is pinged, and a process that has gone does not answer.
                && self.sessions[&rival].ends[1 - its_end].is_open()
                && there(rival, its_end) == there(id, end)
        })
    }

    fn ping(&mut self, queue: &mut Queue, id: u64, from: usize) {
        let session = &self.sessions[&id];
        // A ping that gets lost is sent again soon, which is the same as not losing it.
        if session.ends[from].is_open()
            && session.ends[from].keep_alive
            && self.acknowledges(id, from)
        {
            self.heard(queue, id, 1 - from);
        }
    }

    /// A packet has reached that end: it notes it and answers.
    fn heard(&mut self, queue: &mut Queue, id: u64, end: usize) {
        let now = queue.now();
        if !self.is_running(id, end, now) {
            return;
        }
        let answers = self.acknowledges(id, end);
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.ends[end].state == State::Closed {
            // This process knows no such connection any more, and says so.
            if session.ends[1 - end].is_open() {
                self.tell_closed(queue, id, 1 - end);
            }
            return;
        }
        session.ends[end].heard = now;
        if answers {
            session.ends[1 - end].heard = now;
            self.resend(queue, id, 1 - end);
        }
    }

    /// A packet of that end was acknowledged: what was lost before is sent again at once, as
    /// RFC 9002 has it (section 6.1), whatever pause its probe timeout had come to.
    fn resend(&mut self, queue: &mut Queue, id: u64, end: usize) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        for (channel, outgoing) in session.ends[end].channels.iter_mut().enumerate() {
            if std::mem::take(&mut outgoing.attempts) > 0 {
                let plan = outgoing.plan();
                queue.at(
                    queue.now(),
                    Event::Network(Step::Pump(id, end, channel, plan)),
                );
            }
        }
    }

    fn land_datagram(&mut self, queue: &mut Queue, id: u64, end: usize, bytes: Bytes) {
        self.heard(queue, id, end);
        let Some(here) = self
            .sessions
            .get(&id)
            .map(|session| &session.ends[end])
            .filter(|end| end.is_open())
        else {
            return;
        };
        let (host, epoch, conn) = (here.host, here.epoch, here.conn);
        queue.at(
            queue.now(),
            Event::Arrival {
                host,
                epoch,
                arrival: Arrival::Datagram { conn, bytes },
            },
        );
    }

    fn pump(&mut self, queue: &mut Queue, id: u64, from: usize, (channel, plan): (usize, u64)) {
        let planned = self
            .sessions
            .get(&id)
            .and_then(|session| session.ends[from].channels[channel].planned);
        if planned != Some(plan) {
            return;
        }
        let delay = self.carry(id, from);
        let waits = self.send_next(queue.now(), id, from, channel);
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let (here_open, there) = (session.ends[from].is_open(), session.ends[1 - from].state);
        let outgoing = &mut session.ends[from].channels[channel];
        outgoing.planned = None;
        if !here_open || outgoing.waiting.is_empty() {
            return;
        }
        let again = match (delay, there) {
            (Some(delay), State::Open) => {
                let Some(message) = outgoing.waiting.pop_front() else {
                    return;
                };
                outgoing.attempts = 0;
                outgoing.waiting_bytes -= message.len();
                outgoing.overflowed &= outgoing.waiting_bytes > 0;
                let spent = Duration::from_nanos(
                    message.len() as u64 * 1_000_000_000 / self.weather.bandwidth.max(1),
                );
                let spent = spent.max(waits);
                let arrival = (queue.now() + spent + delay).max(outgoing.last_arrival);
                outgoing.last_arrival = arrival;
                outgoing.in_flight.push_back(message);
                queue.at(arrival, Event::Network(Step::Message(id, from, channel)));
                spent
            }
            (Some(_), State::Closed) => {
                self.heard(queue, id, 1 - from);
                self.backoff(id, from, channel)
            }
            (Some(_), State::Opening) | (None, _) => self.backoff(id, from, channel),
        };
        let outgoing = &mut self
            .sessions
            .get_mut(&id)
            .expect("the session was just here")
            .ends[from]
            .channels[channel];
        if !outgoing.waiting.is_empty() {
            let plan = outgoing.plan();
            queue.after(again, Event::Network(Step::Pump(id, from, channel, plan)));
        }
    }

    fn backoff(&mut self, id: u64, from: usize, channel: usize) -> Duration {
        let session = self
            .sessions
            .get_mut(&id)
            .expect("only called for a session");
        let (a, b) = session.hosts();
        let round_trip = (self.weather.most + self.links.get(a, b).latency) * 2;
        let base = (round_trip * 3 / 2).max(Duration::from_millis(20));
        let outgoing = &mut session.ends[from].channels[channel];
        outgoing.attempts += 1;
        (base * 2u32.pow(outgoing.attempts.min(10) - 1)).min(MAX_BACKOFF)
    }

    fn land_message(&mut self, queue: &mut Queue, id: u64, from: usize, channel: usize) {
        let now = queue.now();
        let running = self.is_running(id, 1 - from, now);
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(bytes) = session.ends[from].channels[channel].in_flight.pop_front() else {
            return;
        };
        let there = &mut session.ends[1 - from];
        if !running || !there.is_open() {
            return;
        }
        there.active = now;
        let (host, epoch, conn) = (there.host, there.epoch, there.conn);
        let channel = Channel::ALL[channel];
        self.heard(queue, id, 1 - from);
        queue.at(
            now,
            Event::Arrival {
                host,
                epoch,
                arrival: Arrival::Message {
                    conn,
                    channel,
                    bytes,
                },
            },
        );
    }

    fn peer_closed(&mut self, queue: &mut Queue, id: u64, end: usize) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        match session.ends[end].state {
            State::Opening if end == 0 => self.refuse(queue, id),
            State::Opening | State::Open => self.shut(queue, id, end),
            State::Closed => {}
        }
    }
}
