//! What the network has for a host, handed to the machines that it concerns.

use super::World;
use crate::network::Arrival;
use crate::queue::{Event, Input, Place};
use bytes::Bytes;
use names::Shard;
use node::wire::{Channel, ConnId, DialId, Peer, Protocol};
use node::{cluster, lists, registry};
use std::net::SocketAddr;
use std::time::Duration;

impl World {
    /// Hands what the network has for a process to the machines that it concerns, in order.
    pub(super) fn arrive(&mut self, host: usize, epoch: u64, arrival: Arrival) {
        let place = Place {
            host,
            epoch,
            machine: 0,
        };
        if self.process(place).is_none() || self.liar_hears(place, &arrival) {
            return;
        }
        match arrival {
            Arrival::Connected {
                peer,
                conn,
                dial,
                remote,
                preferred,
            } => {
                let process = self.process(place);
                let told = process.map(|process| {
                    let preference = &mut process.preference;
                    preference.connected(peer.id, conn, preferred)
                });
                for told in told.into_iter().flatten() {
                    let dial = dial.filter(|_| told == conn);
                    self.connection_stands(place, &peer, told, dial, remote);
                }
            }
            Arrival::DialFailed { dial, refused } => {
                let reason = if refused { "refused" } else { "no answer" }.to_owned();
                let input = cluster::Input::DialFailed {
                    dial,
                    refused,
                    reason,
                };
                self.admit(place, Input::Cluster(input));
            }
            Arrival::DialledItself { dial } => {
                let input = cluster::Input::DialledItself { dial };
                self.admit(place, Input::Cluster(input));
            }
            Arrival::Message {
                conn,
                channel,
                bytes,
            } => self.message_arrives(place, conn, channel, bytes),
            Arrival::Datagram { conn, bytes } => {
                let input = cluster::Input::Datagram { conn, bytes };
                self.admit(place, Input::Cluster(input));
            }
            Arrival::Overflowed { conn, channel } => match channel {
                Channel::Lists => {
                    self.tell_all_lists(place, || lists::Input::Overflowed { conn });
                }
                Channel::Registry => {
                    self.admit_to_registry(place, registry::Input::Overflowed { conn });
                }
                Channel::Cluster => {}
            },
            Arrival::Closed { conn } => {
                if let Some(process) = self.process(place) {
                    process.preference.closed(conn);
                }
                self.tell_all_lists(place, || lists::Input::Closed { conn });
                self.admit(place, Input::Cluster(cluster::Input::Closed { conn }));
            }
        }
    }

    fn connection_stands(
        &mut self,
        place: Place,
        peer: &Peer,
        conn: ConnId,
        dial: Option<DialId>,
        remote: SocketAddr,
    ) {
        let (id, role) = (peer.id, peer.role);
        let is_numbering = |host: &usize| {
            let peer_of = self.hosts.get(*host).map(|host| host.peer.id);
            *host == place.host || peer_of == Some(id)
        };
        let spoken = if self.numbering.iter().any(is_numbering) {
            Protocol::UNPROVED
        } else {
            Protocol::PROVED
        };
        self.tell_all_lists(place, || lists::Input::Connected {
            peer: id,
            role,
            conn,
            protocol: spoken,
        });
        let input = cluster::Input::Connected {
            peer: peer.clone(),
            conn,
            dial,
            remote,
            protocol: Protocol::PROVED,
        };
        self.admit(place, Input::Cluster(input));
    }

    fn message_arrives(&mut self, place: Place, conn: ConnId, channel: Channel, bytes: Bytes) {
        match channel {
            Channel::Cluster => {
                let input = cluster::Input::Message { conn, bytes };
                self.admit(place, Input::Cluster(input));
            }
            Channel::Registry => {
                self.admit_to_registry(place, registry::Input::Message { conn, bytes });
            }
            Channel::Lists => {
                let shards = lists::shards_of(&bytes);
                if shards.is_none() && self.liar.is_none() {
                    return self.problems.push("a message names no shards".into());
                }
                // As the daemon has it: the first machine closes the connection.
                let shards = shards.unwrap_or((Shard(0), Shard(0)));
                let process = self.process(place);
                let owners: Vec<usize> = process
                    .map(|process| process.owners(shards).collect())
                    .unwrap_or_default();
                for machine in owners {
                    let bytes = bytes.clone();
                    self.later(place, machine, lists::Input::Message { conn, bytes });
                }
            }
        }
    }

    fn admit_to_registry(&mut self, place: Place, input: registry::Input) {
        self.admit(place, Input::Cluster(cluster::Input::Registry(input)));
    }

    fn tell_all_lists(&mut self, from: Place, input: impl Fn() -> lists::Input) {
        let machines = self.process(from).map_or(0, |process| process.machines());
        for machine in 1..machines {
            self.later(from, machine, input());
        }
    }

    /// Sends an input to another thread's machine: it arrives a little later, after all that was
    /// sent there before.
    pub(crate) fn later(&mut self, from: Place, machine: usize, input: lists::Input) {
        let at = self.now() + self.chance.span(Duration::ZERO, Duration::from_micros(300));
        let place = Place { machine, ..from };
        let Some(process) = self.process(place) else {
            return;
        };
        let at = process.arrival(machine, at);
        self.queue
            .at(at, Event::Input(place, Box::new(Input::Lists(input))));
    }
}
