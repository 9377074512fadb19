//! What the machine does by the clock: each second, and four times a second.

use super::message::Message;
use super::swim::{Contact, ProberTimer};
use super::{Cluster, Phase, Timer, join, swim, verdict};
use crate::wire::{CloseReason, ConnId, Protocol};
use names::NodeId;
use rand::seq::IteratorRandom;
use std::collections::BTreeSet;
use std::time::Duration;

/// On a metered link each member is pinged that has been silent for so long; one of its two ends waits a
/// little longer.
const METERED_REST: Duration = Duration::from_secs(15);
const ONE_SOONER: Duration = Duration::from_secs(2);
/// How often a peer behind a metered link is compared with.
pub(crate) const METERED_COMPARE_EACH: Duration = Duration::from_secs(60);

/// A peer that is down may be silent for so long; one that others reach is asked then, and has so long
/// for its answer. Both get twice the time that an answer of that peer takes, if that is longer.
const SILENT: Duration = Duration::from_secs(10);
const LAST_ANSWER: Duration = Duration::from_secs(3);

impl Cluster {
    /// The addresses that need not prove themselves: seeds, and what the disk has kept of members, who
    /// may be cut off from a node that has just started. It has kept how far they are, too.
    pub(super) fn trust_addresses(&mut self) {
        let dials = &mut self.connections.dials;
        dials.set_seeds(self.seeds.addresses());
        for (node, entry) in self.roster.roster().members() {
            dials.prove(node, entry.profile.address);
        }
        for (node, round_trip) in self.keeper.round_trips() {
            dials.note_round_trip(node, round_trip);
        }
    }

    /// Dials members that are not connected.
    pub(super) fn dial_missing(&mut self) {
        join::dial_missing(
            &mut self.edge,
            &mut self.connections,
            &self.swim,
            &self.roster,
        );
    }

    /// A deadline of the prober has passed.
    pub(super) fn probe(&mut self, timer: ProberTimer) {
        let (connections, roster, me) = (&self.connections, &self.roster, self.me.id);
        let contact = |node| Contact {
            last: connections.last_contact(node),
            is_connected: connections.current(node).is_some(),
            knows_small: roster.told_pace(node).is_some(),
            rest: if roster.is_metered(node) {
                // Both ends ping: one of them a little sooner than the other.
                METERED_REST
                    + if me < node {
                        Duration::ZERO
                    } else {
                        ONE_SOONER
                    }
            } else {
                Duration::ZERO
            },
            role: roster.role(node),
        };
        self.swim.probe(&mut self.edge, timer, &contact);
    }

    /// Notes how far the peers are; pings those that have not answered a ping yet.
    fn measure_links(&mut self) {
        let peers: BTreeSet<NodeId> = self.connections.current_peers().collect();
        let dials = &mut self.connections.dials;
        for node in &peers {
            match self.swim.round_trip(*node) {
                Some(round_trip) => dials.note_round_trip(*node, round_trip),
                None => self.swim.measure(&mut self.edge, *node),
            }
        }
        // Who has left may come back while its old connection stands.
        let roster = &self.roster;
        dials.keep_round_trips(|node| roster.is_member(node) || peers.contains(&node));
        self.keeper.keep_round_trips(dials.round_trips());
    }

    /// Closes the connections on which nothing comes any more: those of peers that are down, and those
    /// of peers that others reach and this node does not. QUIC itself waits for longer, since a metered
    /// link that is well is quiet for long, too.
    fn close_silent(&mut self) {
        let now = self.edge.instant();
        let peers: Vec<NodeId> = self.connections.current_peers().collect();
        for node in peers {
            let answer = self.answer_limit(node) * 2;
            let silence = self.connections.silence(&self.edge, node);
            let rest = if self.roster.is_metered(node) {
                METERED_REST * 2
            } else {
                Duration::ZERO
            };
            if silence.is_none_or(|silence| silence < rest + SILENT.max(answer)) {
                continue;
            }
            if self.swim.is_active(node) && !self.connections.is_silent(now, node) {
                let limit = LAST_ANSWER.max(answer);
                self.connections.ask_presence(&mut self.edge, node, limit);
                continue;
            }
            let conns: Vec<ConnId> = self.connections.of(node).map(|(conn, _)| conn).collect();
            for conn in conns {
                self.close(conn, CloseReason::Silent);
            }
        }
    }

    pub(super) fn listen(&mut self) {
        self.edge.after(verdict::LISTEN, Timer::Listen);
        let before = self.silence.is_total();
        let nearest = self.swim.nearest();
        let mut active = self.swim.active().map(|identity| identity.node);
        let is_resting = active.all(|node| self.roster.is_metered(node));
        let rest = if is_resting {
            METERED_REST + ONE_SOONER
        } else {
            Duration::ZERO
        };
        let is_probing = self.swim.active_count() > 0;
        self.silence.tick(is_probing, nearest, rest);
        self.changed |= before != self.silence.is_total();
    }

    pub(super) fn end_silence(&mut self) {
        self.changed |= self.silence.is_total();
        self.silence.end();
    }

    pub(super) fn round(&mut self) {
        self.edge.after(join::ROUND, Timer::Round);
        if self.phase != Phase::Up {
            return;
        }
        self.seeds.round(
            &mut self.edge,
            &mut self.connections,
            &mut self.swim,
            &self.roster,
        );
        join::announce_to_missing(
            &mut self.edge,
            (&self.connections, &mut self.swim),
            &self.roster,
            &mut self.rng,
        );
        self.close_silent();
        self.dial_missing();
        self.measure_links();
        self.look_around();
        let now = self.edge.instant();
        self.changed |= self.viewer.looks_again() | self.connections.breaches.forgive(now);
        self.notify_suspects();
        self.contradict();
        self.refused.clear();
        let random = self.next_compared();
        if let Some(conn) = random {
            self.send_hash(conn);
        }
        self.with_registry(|registry, links| registry.round(links, random));
    }

    /// Whether an announcement of foca's may wait: each brings back all that a member knows, and while all
    /// are connected there is nobody to be found.
    pub(super) fn may_rest(&self, timer: &swim::Timer) -> bool {
        let me = self.me.id;
        let mut others = self.roster.roster().members().map(|(node, _)| node);
        let is_any_metered = self
            .swim
            .active()
            .any(|one| self.roster.is_metered(one.node));
        let is_connected = |node: NodeId| node == me || self.connections.current(node).is_some();
        swim::is_announcement(timer) && is_any_metered && others.all(is_connected)
    }

    /// The peer to compare with in this round: one of those behind links that are not metered, and once a
    /// minute one of the others.
    fn next_compared(&mut self) -> Option<ConnId> {
        let (metered, others): (Vec<NodeId>, Vec<NodeId>) = self
            .connections
            .current_peers()
            .partition(|node| self.roster.is_metered(*node));
        let now = self.edge.instant();
        let is_due = !metered.is_empty() && now >= self.connections.metered_compared;
        if is_due {
            self.connections.metered_compared = now + METERED_COMPARE_EACH;
        }
        let chosen = if is_due { metered } else { others };
        let node = chosen.into_iter().choose(&mut self.rng)?;
        self.connections.current(node)
    }

    /// Shows who has not been found yet.
    pub(super) fn look_around(&mut self) {
        self.searcher
            .refresh(&mut self.edge, &self.seeds, &self.roster, self.me.id);
    }

    pub(super) fn send_hash(&mut self, conn: ConnId) {
        let is_proved = self.connections.protocol(conn) >= Protocol::PROVED;
        if is_proved {
            self.send_lines_hash(conn);
            self.send_aways_hash(conn);
        }
        if self.accept_v1 || !is_proved {
            let hash = Message::RosterHash(self.roster.hash());
            self.edge.send(conn, hash.bytes());
        }
    }

    pub(super) fn send_lines_hash(&mut self, conn: ConnId) {
        let hash = Message::LinesHash(self.apart.hash(conn, &self.roster));
        self.edge.send(conn, hash.bytes());
    }
}
