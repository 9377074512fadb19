//! The world's network: dialling, connections, delay, loss and cuts.

use super::{End, Happening, MS, World};
use bytes::Bytes;
use node::cluster::{Input, Target, registry};
use node::wire::{Channel, ConnId, DialId, Protocol};
use rand::RngExt;
use std::collections::VecDeque;

const IDLE: u64 = 10_000 * MS;

pub(super) struct Pipe {
    pub(super) ends: [End; 2],
    pub(super) keep_alive: [bool; 2],
    pub(super) contact: u64,
    /// For each end and each urgent channel what is on its way from there.
    pub(super) queues: [[VecDeque<Bytes>; Channel::URGENT as usize]; 2],
}

impl World {
    pub(super) fn lag(&mut self, pipe: u64, from: usize) -> u64 {
        let late = self
            .pipes
            .get(&pipe)
            .is_some_and(|it| Some(it.ends[1 - from].0) == self.laggard);
        if late {
            self.rng.random_range(1_000 * MS..=2_000 * MS)
        } else {
            0
        }
    }

    /// Whether something sent now from one end arrives at the other. A process that is another one
    /// closes the connection.
    pub(super) fn passes(&mut self, pipe: u64, from: usize) -> Option<(End, ConnId)> {
        let ends = self.pipes.get(&pipe)?.ends;
        let (source, target) = (ends[from], ends[1 - from]);
        if self.cuts.contains(&(source.0, target.0))
            || self.hosts[target.0].machine.is_none()
            || self.hosts[target.0].paused
        {
            return None;
        }
        if !self.lives(target) {
            self.break_pipe(pipe);
            return None;
        }
        Some((target, conn(pipe, 1 - from)))
    }

    pub(super) fn arrive(&mut self, pipe: u64, from: usize, bytes: Bytes) {
        if let Some((end, conn)) = self.passes(pipe, from) {
            self.touch(pipe);
            self.give(end.0, Input::Datagram { conn, bytes });
        }
    }

    pub(super) fn pump(&mut self, pipe: u64, from: usize, channel: Channel) {
        let lane = channel as usize;
        if self
            .pipes
            .get(&pipe)
            .is_none_or(|it| it.queues[from][lane].is_empty())
        {
            return;
        }
        let Some((end, conn)) = self.passes(pipe, from) else {
            return self.at(
                self.now + 200 * MS,
                Happening::Pump {
                    pipe,
                    from,
                    channel,
                },
            );
        };
        self.touch(pipe);
        let Some(bytes) = self
            .pipes
            .get_mut(&pipe)
            .and_then(|it| it.queues[from][lane].pop_front())
        else {
            return;
        };
        self.at(
            self.now,
            Happening::Pump {
                pipe,
                from,
                channel,
            },
        );
        self.give(
            end.0,
            match channel {
                Channel::Registry => Input::Registry(registry::Input::Message { conn, bytes }),
                Channel::Cluster | Channel::Lists => Input::Message { conn, bytes },
            },
        );
    }

    pub(super) fn touch(&mut self, pipe: u64) {
        if let Some(pipe) = self.pipes.get_mut(&pipe) {
            pipe.contact = self.now;
        }
    }

    pub(super) fn dialled(&mut self, end: End, dial: DialId, target: Target, given_up: u64) {
        if !self.lives(end) {
            return;
        }
        let (text, expected) = match &target {
            Target::Named(text) => (text.clone(), None),
            Target::Node(node, addr) => (addr.to_string(), Some(*node)),
        };
        let there = self.hosts.iter().position(|host| {
            host.address.to_string() == text && host.machine.is_some() && !host.paused
        });
        let reached = there
            .filter(|to| !self.cuts.contains(&(end.0, *to)) && !self.cuts.contains(&(*to, end.0)));
        let Some(to) = reached.filter(|_| !self.is_lost()) else {
            let again = self.now + 100 * MS;
            let happening = if again < given_up {
                Happening::Dialled {
                    end,
                    dial,
                    target,
                    given_up,
                }
            } else {
                Happening::Input(
                    end,
                    Input::DialFailed {
                        dial,
                        refused: false,
                        reason: "nobody answered".into(),
                    },
                )
            };
            return self.at(again, happening);
        };
        if to == end.0 {
            return self.give(end.0, Input::DialledItself { dial });
        }
        if expected.is_some_and(|node| node != self.hosts[to].peer.id) {
            return self.give(
                end.0,
                Input::DialFailed {
                    dial,
                    refused: true,
                    reason: "another node is there".into(),
                },
            );
        }
        self.connect(end, (to, self.hosts[to].process), dial);
    }

    pub(super) fn connect(&mut self, from: End, to: End, dial: DialId) {
        self.sequence += 1;
        let pipe = self.sequence;
        let (a, b) = (
            self.hosts[from.0].peer.clone(),
            self.hosts[to.0].peer.clone(),
        );
        let rival = self
            .pipes
            .iter()
            .find(|(_, it)| it.ends == [from, to] || it.ends == [to, from])
            .map(|(id, _)| *id);
        if let Some(rival) = rival {
            let loser = if a.id < b.id { rival } else { pipe };
            self.at(self.now + 1_000 * MS, Happening::Break(loser));
        }
        self.pipes.insert(
            pipe,
            Pipe {
                ends: [from, to],
                keep_alive: [false; 2],
                contact: self.now,
                queues: Default::default(),
            },
        );
        let (here, there) = (self.hosts[from.0].address, self.hosts[to.0].address);
        self.give(
            to.0,
            Input::Connected {
                peer: a,
                conn: conn(pipe, 1),
                dial: None,
                remote: here,
                protocol: Protocol(1),
            },
        );
        self.give(
            from.0,
            Input::Connected {
                peer: b,
                conn: conn(pipe, 0),
                dial: Some(dial),
                remote: there,
                protocol: Protocol(1),
            },
        );
    }

    pub(super) fn break_pipe(&mut self, pipe: u64) {
        let Some(it) = self.pipes.remove(&pipe) else {
            return;
        };
        for (i, end) in it.ends.into_iter().enumerate() {
            self.at(
                self.now + 2 * MS,
                Happening::Input(
                    end,
                    Input::Closed {
                        conn: conn(pipe, i),
                    },
                ),
            );
        }
    }

    /// Every second: connections that are kept alive touch, those that are not die.
    pub(super) fn idle(&mut self) {
        for pipe in self.pipes.keys().copied().collect::<Vec<_>>() {
            let kept = self
                .pipes
                .get(&pipe)
                .is_some_and(|it| it.keep_alive.contains(&true));
            if kept && self.passes(pipe, 0).is_some() && self.passes(pipe, 1).is_some() {
                self.touch(pipe);
            }
            if self
                .pipes
                .get(&pipe)
                .is_some_and(|it| self.now - it.contact > IDLE)
            {
                self.break_pipe(pipe);
            }
        }
        self.at(self.now + 1_000 * MS, Happening::Idle);
    }

    pub(super) fn send(&mut self, conn: ConnId, channel: Channel, bytes: Bytes) {
        self.note(bytes.len() as u64);
        assert!(!bytes.is_empty() && bytes.len() <= 1 << 20);
        let (pipe, from) = place(conn);
        if self.lossy_registry && channel == Channel::Registry && self.draw(3) == 0 {
            let Some(end) = self.pipes.get(&pipe).map(|it| it.ends[from]) else {
                return;
            };
            return self.at(
                self.now,
                Happening::Input(end, Input::Registry(registry::Input::Overflowed { conn })),
            );
        }
        let at = self.now + self.delay() + if self.is_lost() { 30 * MS } else { 0 };
        if let Some(it) = self.pipes.get_mut(&pipe) {
            let queue = &mut it.queues[from][channel as usize];
            queue.push_back(bytes);
            if queue.len() == 1 {
                self.at(
                    at,
                    Happening::Pump {
                        pipe,
                        from,
                        channel,
                    },
                );
            }
        }
    }
}

pub(super) fn conn(pipe: u64, end: usize) -> ConnId {
    ConnId(2 * pipe + end as u64)
}

pub(super) fn place(conn: ConnId) -> (u64, usize) {
    (conn.0 / 2, usize::try_from(conn.0 % 2).unwrap())
}
