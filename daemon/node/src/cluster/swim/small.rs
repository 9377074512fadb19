//! Pings and answers of two bytes, for connections: TLS has proved who is at the other end.
//!
//! | byte | is |
//! | --- | --- |
//! | 0 | 1: a ping; 2: the answer to one, where there is no news of members to go with it; others are for later |
//! | 1 | the ping's number |
//!
//! All packets of foca's are longer. They are said only to nodes whose programs know them, which is
//! told by the roster.

use super::{Member, Swim, codec};
use crate::cluster::edge::Edge;
use bytes::Bytes;
use foca::{Header, Message, ProbeNumber};
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
            [PING, number] if self.is_active(from) => self.answer_small(edge, from, number),
            // It does not know yet that it was declared down.
            [PING, _] => self.send(edge, from, Message::TurnUndead),
            [PONG, number] => {
                self.prober.acknowledged(edge.instant(), from, number);
                self.act(edge);
            }
            [_, _] => tracing::debug!(%from, "a small packet of a kind that is not known"),
        }
    }

    /// While there is news to be passed on the answer is one of foca's, which carries it.
    fn answer_small(&mut self, edge: &mut Edge, to: NodeId, number: ProbeNumber) {
        let is_it = |member: &&Member| member.id().node == to;
        let known = self.foca.iter_members().find(is_it).cloned();
        let Some(known) = known.filter(|_| self.foca.updates_backlog() > 0) else {
            return self.send_small(to, [PONG, number]);
        };
        let ping = Header {
            src: *known.id(),
            src_incarnation: known.incarnation(),
            dst: self.identity(),
            message: Message::Ping(number),
        };
        if let Ok(packet) = codec::header_bytes(&ping) {
            let result = self.foca.handle_data(&packet, &mut self.sink);
            self.finish(edge, result);
        }
    }

    fn send_small(&mut self, to: NodeId, packet: [u8; 2]) {
        if let Some(seen) = self.seen(to) {
            let packet = Bytes::copy_from_slice(&packet);
            self.sink.packets.push_back((seen.identity, packet));
        }
    }
}
