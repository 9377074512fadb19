//! The network as the transport shows it to a process: connections that take a round trip or more
//! to make, datagrams that get lost, messages in order until the connection closes, and news of a
//! dead peer that comes late.
//!
//! | the world | here |
//! | --- | --- |
//! | handshake | three flights, each sent again when lost; given up when the machine says so |
//! | keep-alive, idle timeout | after 30 s, 90 s of silence: of a cut or a killed peer the network tells only then |
//! | lost message | sent again after a pause that doubles, at once when another packet gets through |
//! | close | at once here, after one packet there; what is in flight is lost; if the packet is lost, by a reset later |
//! | thin link | all bytes of a direction stand in line; what is urgent passes bulk that has not been sent |
//! | full queue | the message is dropped and the process told once until the queue has drained |
//! | two that dial each other | two connections, of which both use the one dialled by the smaller id; the one dialled by the larger id is closed when it was quiet for 1 s |

mod arrival;
mod drops;
mod session;
mod steps;
#[cfg(test)]
mod tests;
mod thin;
mod weather;

pub use arrival::Arrival;
pub use drops::Drops;
pub use weather::{Cuts, Link, Links, Weather};

use crate::chance::Chance;
use crate::queue::{Event, Queue};
use bytes::Bytes;
use node::cluster::Target;
use node::time::Instant;
use node::wire::{Channel, ConnId, DialId, Peer};
use session::{End, Session, State};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use thin::Load;

/// How long until an address that is no node's is known to be wrong.
const RESOLVING: Duration = Duration::from_millis(5);
/// How often a connection looks at its timers.
const TICK: Duration = Duration::from_secs(1);
/// The largest datagram that the contract allows, in bytes.
const MAX_DATAGRAM: usize = 1150;
/// The largest message, in bytes.
const MAX_MESSAGE: usize = 1 << 20;

/// Something inside the network that takes time. The first number is the connection's; its ends are
/// 0, which has dialled, and 1.
#[derive(Clone, Debug)]
pub enum Step {
    /// A flight of a handshake is sent, after so many times in vain.
    Flight(u64, usize, u32),
    /// A flight of a handshake arrives.
    Landed(u64, usize),
    /// A dial ends if nobody has answered.
    GiveUp(u64),
    /// A connection looks at its timers, which it has done so many times before.
    Tick(u64, u64),
    /// A datagram arrives at an end.
    Datagram(u64, usize, Bytes),
    /// An end sends the next message of a channel. The last number is the plan's: the step does
    /// nothing if a later one was planned.
    Pump(u64, usize, usize, u64),
    /// The next message of a channel from an end arrives at the other one.
    Message(u64, usize, usize),
    /// An end learns that the other has closed.
    PeerClosed(u64, usize),
}

/// Where a host is in the network, whether it runs or not.
#[derive(Debug)]
struct Station {
    peer: Peer,
    address: SocketAddr,
    /// The process that runs.
    epoch: Option<u64>,
    /// Until when its process is stopped.
    paused_until: Instant,
}

/// All hosts' addresses and all connections.
#[derive(Debug)]
pub struct Network {
    /// What happens to packets.
    pub weather: Weather,
    /// Which links are slower or worse than the weather.
    pub links: Links,
    /// Who cannot reach whom.
    pub cuts: Cuts,
    /// Which messages are dropped.
    pub drops: Option<Drops>,
    /// A host that gets each datagram one to two seconds late.
    pub laggard: Option<usize>,
    /// What processes did that the transport's contract forbids.
    pub violations: Vec<String>,
    stations: Vec<Station>,
    /// The UDP payload that each host has sent, in bytes, about.
    pub sent: BTreeMap<usize, u64>,
    /// Until when each direction of a thin link is busy with what was sent on it.
    busy: BTreeMap<(usize, usize), Instant>,
    sessions: BTreeMap<u64, Session>,
    ends: BTreeMap<(usize, ConnId), (u64, usize)>,
    drawn: u64,
    chance: Chance,
}

impl Network {
    /// A network without hosts.
    pub fn new(weather: Weather, chance: Chance) -> Self {
        let (sessions, ends) = (BTreeMap::new(), BTreeMap::new());
        Self {
            weather,
            links: Links::default(),
            cuts: Cuts::default(),
            drops: None,
            laggard: None,
            violations: Vec::new(),
            stations: Vec::new(),
            sent: BTreeMap::new(),
            busy: BTreeMap::new(),
            sessions,
            ends,
            drawn: 0,
            chance,
        }
    }

    /// Adds a host that does not run yet; hosts are numbered from 0.
    pub fn add(&mut self, peer: Peer, address: SocketAddr) {
        self.stations.push(Station {
            peer,
            address,
            epoch: None,
            paused_until: Instant::default(),
        });
    }

    /// A host's process has started, maybe at another address than the last.
    pub fn start(&mut self, host: usize, epoch: u64, address: SocketAddr) {
        let station = &mut self.stations[host];
        (station.epoch, station.address, station.paused_until) =
            (Some(epoch), address, Instant::default());
    }

    /// A host's process has ended: peers learn it at once if it ended in order, and by silence if
    /// not.
    pub fn stop(&mut self, queue: &mut Queue, host: usize, orderly: bool) {
        let ended: Vec<(u64, usize)> = self
            .ends
            .iter()
            .filter(|((at, _), _)| *at == host)
            .map(|(_, end)| *end)
            .collect();
        for (session, end) in ended {
            if orderly {
                self.tell_closed(queue, session, 1 - end);
            }
            self.forget(session, end);
        }
        self.stations[host].epoch = None;
    }

    /// Nothing reaches or leaves a host's process until then.
    pub fn pause(&mut self, host: usize, until: Instant) {
        let paused = &mut self.stations[host].paused_until;
        *paused = until.max(*paused);
    }

    /// How many connections are open at a host.
    pub fn open_connections(&self, host: usize) -> usize {
        self.ends
            .iter()
            .filter(|((at, _), (session, end))| {
                *at == host && self.sessions[session].ends[*end].is_open()
            })
            .count()
    }

    /// Whether a connection with another host is open at a host.
    pub fn is_connected(&self, host: usize, other: usize) -> bool {
        let open = self.ends.keys().filter(|(at, _)| *at == host);
        open.copied()
            .any(|(at, conn)| self.other_end(at, conn) == Some(other))
    }

    /// Begins a handshake with a target, to be given up after a limit. What comes of it is told by an
    /// arrival.
    pub fn dial(
        &mut self,
        queue: &mut Queue,
        host: usize,
        (dial, limit): (DialId, Duration),
        target: &Target,
    ) {
        let Some(epoch) = self.stations[host].epoch else {
            return;
        };
        let (address, expect) = match target {
            Target::Named(text) => (text.parse().ok(), None),
            Target::Node(id, address) => (Some(*address), Some(*id)),
        };
        let found = address.and_then(|address| {
            self.stations
                .iter()
                .position(|station| station.address == address)
        });
        let Some(listener) = found else {
            let arrival = Arrival::DialFailed {
                dial,
                refused: false,
            };
            return queue.after(
                RESOLVING,
                Event::Arrival {
                    host,
                    epoch,
                    arrival,
                },
            );
        };
        if listener == host {
            let arrival = Arrival::DialledItself { dial };
            return queue.after(
                RESOLVING,
                Event::Arrival {
                    host,
                    epoch,
                    arrival,
                },
            );
        }
        let id = self.draw();
        let now = queue.now();
        let (near, far) = (ConnId(self.draw()), ConnId(self.draw()));
        let ends = [
            End::new(host, epoch, near, now),
            End::new(listener, 0, far, now),
        ];
        self.ends.insert((host, near), (id, 0));
        self.sessions.insert(id, Session { dial, expect, ends });
        queue.at(now, Event::Network(Step::Flight(id, 0, 0)));
        queue.after(limit, Event::Network(Step::GiveUp(id)));
        queue.after(TICK, Event::Network(Step::Tick(id, 0)));
    }

    /// Ends a handshake of which nothing has come yet.
    pub fn give_up_dial(&mut self, queue: &mut Queue, host: usize, dial: DialId) {
        let epoch = self.stations[host].epoch;
        let is_it = |session: &Session| {
            let dialler = &session.ends[0];
            session.dial == dial && dialler.host == host && Some(dialler.epoch) == epoch
        };
        let found = self.sessions.iter().find(|(_, session)| is_it(session));
        if let Some(id) = found.map(|(id, _)| *id) {
            self.give_up(queue, id);
        }
    }

    /// Sends a datagram, which may get lost.
    pub fn datagram(&mut self, queue: &mut Queue, host: usize, conn: ConnId, bytes: &Bytes) {
        if bytes.len() > MAX_DATAGRAM {
            self.violations.push(format!(
                "host {host} sent a datagram of {} bytes",
                bytes.len()
            ));
        }
        let Some((id, from)) = self.open_end(host, conn) else {
            return;
        };
        let copies = if self.chance.happens(self.weather.duplication) {
            2
        } else {
            1
        };
        let receiver = self.sessions[&id].ends[1 - from].host;
        for _ in 0..copies {
            let waits = self.transmit(queue.now(), id, from, Load::Urgent(bytes.len()));
            if let Some(delay) = self.carry(id, from) {
                let delay = waits + delay;
                let late = if self.laggard == Some(receiver) {
                    self.chance.millis(1_000, 2_000)
                } else {
                    Duration::ZERO
                };
                queue.after(
                    delay + late,
                    Event::Network(Step::Datagram(id, 1 - from, bytes.clone())),
                );
            }
        }
    }

    /// Sends a message, in order; dropped if the queue is full.
    pub fn send(
        &mut self,
        queue: &mut Queue,
        host: usize,
        conn: ConnId,
        channel: Channel,
        bytes: Bytes,
    ) {
        if bytes.len() > MAX_MESSAGE {
            self.violations.push(format!(
                "host {host} sent a message of {} bytes",
                bytes.len()
            ));
        }
        let Some((id, from)) = self.open_end(host, conn) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let end = &mut session.ends[from];
        end.active = queue.now();
        let epoch = end.epoch;
        if let Some(drops) = &mut self.drops
            && drops.next(channel)
        {
            let arrival = Arrival::Overflowed { conn, channel };
            if drops.told {
                queue.at(
                    queue.now(),
                    Event::Arrival {
                        host,
                        epoch,
                        arrival,
                    },
                );
            }
            return;
        }
        let outgoing = &mut end.channels[channel as usize];
        if !outgoing.waiting.is_empty()
            && outgoing.waiting_bytes + bytes.len() > self.weather.queue_bytes
        {
            if !std::mem::replace(&mut outgoing.overflowed, true) {
                queue.at(
                    queue.now(),
                    Event::Arrival {
                        host,
                        epoch,
                        arrival: Arrival::Overflowed { conn, channel },
                    },
                );
            }
            return;
        }
        outgoing.waiting_bytes += bytes.len();
        outgoing.waiting.push_back(bytes);
        if outgoing.planned.is_none() {
            let plan = outgoing.plan();
            queue.at(
                queue.now(),
                Event::Network(Step::Pump(id, from, channel as usize, plan)),
            );
        }
    }

    /// Turns an end's pings on or off.
    pub fn keep_alive(&mut self, host: usize, conn: ConnId, on: bool) {
        if let Some((id, end)) = self.open_end(host, conn)
            && let Some(session) = self.sessions.get_mut(&id)
        {
            session.ends[end].keep_alive = on;
        }
    }

    /// Closes a connection from one end.
    pub fn close(&mut self, queue: &mut Queue, host: usize, conn: ConnId) {
        if let Some((id, end)) = self.open_end(host, conn) {
            self.shut(queue, id, end);
            self.tell_closed(queue, id, 1 - end);
        }
    }

    /// The host at the other end of an open connection.
    pub fn other_end(&self, host: usize, conn: ConnId) -> Option<usize> {
        let (id, end) = self.open_end(host, conn)?;
        self.sessions
            .get(&id)
            .map(|session| session.ends[1 - end].host)
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    fn open_end(&self, host: usize, conn: ConnId) -> Option<(u64, usize)> {
        let (id, end) = *self.ends.get(&(host, conn))?;
        self.sessions.get(&id)?.ends[end]
            .is_open()
            .then_some((id, end))
    }

    /// How long a packet from that end to the other takes; `None` if it is lost.
    fn carry(&mut self, session: u64, from: usize) -> Option<Duration> {
        let (a, b) = self.sessions.get(&session)?.hosts();
        let (from, to) = if from == 0 { (a, b) } else { (b, a) };
        let link = self.links.get(from, to);
        let lost = !self.cuts.passes(from, to)
            || (from != to && self.chance.happens(self.weather.loss))
            || (link.loss > 0.0 && self.chance.happens(link.loss));
        if lost {
            return None;
        }
        let jitter = if link.jitter.is_zero() {
            Duration::ZERO
        } else {
            self.chance.span(Duration::ZERO, link.jitter)
        };
        Some(self.weather.latency(&mut self.chance) + link.latency + jitter)
    }

    /// Whether an acknowledgement from that end would reach the other: it is sent so often that
    /// loss does not matter.
    fn acknowledges(&self, session: u64, from: usize) -> bool {
        self.sessions.get(&session).is_some_and(|session| {
            let (a, b) = session.hosts();
            if from == 0 {
                self.cuts.passes(a, b)
            } else {
                self.cuts.passes(b, a)
            }
        })
    }

    /// Closes one end and tells its process.
    fn shut(&mut self, queue: &mut Queue, id: u64, end: usize) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let End {
            host, epoch, conn, ..
        } = session.ends[end];
        let was_open = session.ends[end].is_open();
        self.forget(id, end);
        if was_open {
            queue.at(
                queue.now(),
                Event::Arrival {
                    host,
                    epoch,
                    arrival: Arrival::Closed { conn },
                },
            );
        }
    }

    /// Closes one end without a word.
    fn forget(&mut self, id: u64, end: usize) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let gone = &mut session.ends[end];
        gone.state = State::Closed;
        gone.channels.iter_mut().for_each(session::Outgoing::clear);
        self.ends.remove(&(gone.host, gone.conn));
        session.ends[1 - end]
            .channels
            .iter_mut()
            .for_each(|outgoing| outgoing.in_flight.clear());
    }

    /// Sends word to an end that the other has closed.
    fn tell_closed(&mut self, queue: &mut Queue, id: u64, end: usize) {
        if let Some(delay) = self.carry(id, 1 - end) {
            queue.after(delay, Event::Network(Step::PeerClosed(id, end)));
        }
    }
}
