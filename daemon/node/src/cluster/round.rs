//! What the machine does by the clock: each second, and four times a second.

use super::message::Message;
use super::swim::{Contact, ProberTimer};
use super::{Cluster, Phase, Timer, join, verdict};
use crate::wire::{ConnId, Protocol};
use names::NodeId;
use std::collections::BTreeSet;

impl Cluster {
    /// The addresses that need not prove themselves: seeds, and what the disk has kept of members, who
    /// may be cut off from a node that has just started.
    pub(super) fn trust_addresses(&mut self) {
        let dials = &mut self.connections.dials;
        dials.set_seeds(self.seeds.addresses());
        for (node, entry) in self.roster.roster().members() {
            dials.prove(node, entry.profile.address);
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
        let (connections, roster) = (&self.connections, &self.roster);
        let contact = |node| Contact {
            last: connections.last_contact(node),
            is_connected: connections.current(node).is_some(),
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
    }

    pub(super) fn listen(&mut self) {
        self.edge.after(verdict::LISTEN, Timer::Listen);
        let before = self.silence.is_total();
        let nearest = self.swim.nearest();
        self.silence.tick(self.swim.active_count() > 0, nearest);
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
        self.dial_missing();
        self.measure_links();
        self.look_around();
        let now = self.edge.instant();
        self.changed |= self.viewer.looks_again() | self.connections.breaches.forgive(now);
        self.notify_suspects();
        self.contradict();
        self.refused.clear();
        let random = self.connections.random(&mut self.rng);
        if let Some(conn) = random {
            self.send_hash(conn);
        }
        self.with_registry(|registry, links| registry.round(links, random));
    }

    /// Shows who has not been found yet.
    pub(super) fn look_around(&mut self) {
        self.searcher
            .refresh(&mut self.edge, &self.seeds, &self.roster, self.me.id);
    }

    pub(super) fn send_hash(&mut self, conn: ConnId) {
        let is_proved = self.connections.protocol(conn) >= Protocol::PROVED;
        if is_proved {
            let hash = Message::LinesHash(self.apart.hash(conn, &self.roster));
            self.edge.send(conn, hash.bytes());
            self.send_aways_hash(conn);
        }
        if self.accept_v1 || !is_proved {
            let hash = Message::RosterHash(self.roster.hash());
            self.edge.send(conn, hash.bytes());
        }
    }
}
