//! Links of little bandwidth: all connections of a direction share it, and what is sent waits its turn.

use super::{Network, State};
use node::time::Instant;
use node::wire::Channel;
use std::time::Duration;

/// How much bulk QUIC has under way at most on a thin link, in bytes: what is urgent waits for that much
/// of what was sent before it. Two round trips' worth if that is more.
const IN_FLIGHT: u64 = 16 << 10;

/// What QUIC makes of bytes: packets of so many, each with a head and a tag beside them, and one packet that
/// acknowledges two of them.
const PACKET: u64 = 1_200;
const HEAD: u64 = 31;
const ACKNOWLEDGEMENT: u64 = 33;

/// Bytes that are sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// They go before all that waits.
    Urgent(usize),
    Bulk(usize),
}

impl Network {
    /// Sends bytes from an end of a session; gives how long it takes until the last of them has left.
    pub(super) fn transmit(&mut self, now: Instant, id: u64, from: usize, load: Load) -> Duration {
        let Some(session) = self.sessions.get(&id) else {
            return Duration::ZERO;
        };
        let (a, b) = session.hosts();
        let way = if from == 0 { (a, b) } else { (b, a) };
        let (Load::Urgent(bytes) | Load::Bulk(bytes)) = load;
        let packets = 1 + bytes as u64 / PACKET;
        *self.sent.entry(way.0).or_default() += bytes as u64 + packets * HEAD;
        *self.sent.entry(way.1).or_default() += packets.div_ceil(2) * ACKNOWLEDGEMENT;
        let link = self.links.get(way.0, way.1);
        let Some(bandwidth) = link.bandwidth else {
            return Duration::ZERO;
        };
        let span = |bytes: u64| Duration::from_nanos(bytes * 1_000_000_000 / bandwidth.max(1));
        let busy = self.busy.entry(way).or_default();
        let waits = busy.since(now);
        let waits = match load {
            Load::Urgent(_) => waits.min(span(IN_FLIGHT).max(link.latency * 4)),
            Load::Bulk(_) => waits,
        };
        let sending = span(bytes as u64);
        *busy = (*busy).max(now) + sending;
        waits + sending
    }

    /// Sends the next message of a channel, if there is one and somebody to take it.
    pub(super) fn send_next(
        &mut self,
        now: Instant,
        id: u64,
        from: usize,
        channel: usize,
    ) -> Duration {
        let Some(session) = self.sessions.get(&id) else {
            return Duration::ZERO;
        };
        let [here, there] = [&session.ends[from], &session.ends[1 - from]];
        let next = here.channels[channel]
            .waiting
            .front()
            .map(|message| message.len());
        match next.filter(|_| here.is_open() && there.state == State::Open) {
            Some(bytes) if channel == Channel::Cluster as usize => {
                self.transmit(now, id, from, Load::Urgent(bytes))
            }
            Some(bytes) => self.transmit(now, id, from, Load::Bulk(bytes)),
            None => Duration::ZERO,
        }
    }
}
