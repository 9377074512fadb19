//! Pings and answers of two bytes, for connections: TLS has proved who is at the other end.
//!
//! | byte | is |
//! | --- | --- |
//! | 0 | 1: a ping; 2: the answer to one; others are for later |
//! | 1 | the ping's number |
//!
//! All packets of foca's are longer. They are said only to nodes whose programs know them, which is
//! told by the roster.

use super::Swim;
use crate::cluster::edge::Edge;
use bytes::Bytes;
use foca::{Message, ProbeNumber};
use names::NodeId;

const PING: u8 = 1;
const PONG: u8 = 2;

impl Swim {
    /// Sends a ping of two bytes.
    pub(super) fn ping_small(&mut self, node: NodeId, number: ProbeNumber) {
        self.send_small(node, [PING, number]);
    }

    /// Takes a packet of two bytes.
    pub(super) fn receive_small(&mut self, edge: &mut Edge, from: NodeId, packet: [u8; 2]) {
        match packet {
            [PING, number] if self.is_active(from) => self.send_small(from, [PONG, number]),
            // It does not know yet that it was declared down.
            [PING, _] => self.send(edge, from, Message::TurnUndead),
            [PONG, number] => {
                self.prober.acknowledged(edge.instant(), from, number);
                self.act(edge);
            }
            [_, _] => tracing::debug!(%from, "a small packet of a kind that is not known"),
        }
    }

    fn send_small(&mut self, to: NodeId, packet: [u8; 2]) {
        if let Some(seen) = self.seen(to) {
            let packet = Bytes::copy_from_slice(&packet);
            self.sink.packets.push_back((seen.identity, packet));
        }
    }
}
