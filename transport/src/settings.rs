//! What an endpoint is made with: its address and its limits.

use std::net::SocketAddr;
use std::time::Duration;

/// The limits of an endpoint; [`Settings::new`] has the values a cluster should use. All nodes of a
/// cluster need a common `alpn`, and the same `channels` and `max_frame_bytes`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The UDP address to listen on and to dial from. A wildcard IPv6 address also serves IPv4
    /// where the system allows it.
    pub listen: SocketAddr,
    /// The names of the protocol's versions (RFC 7301) that are spoken, the best first; compared
    /// byte by byte. The two ends agree on the accepting end's first one that the other has too; a
    /// peer without a common one is refused.
    pub alpn: Vec<Vec<u8>>,
    /// The name of inquiries; empty: none is answered.
    pub inquiry_alpn: Vec<u8>,
    /// The name of joining, by which alone hosts without a certificate are heard; empty: none is.
    pub join_alpn: Vec<u8>,
    /// The label of the exporter (RFC 8446, section 7.5) over which proofs in such a session are made.
    pub join_exporter: Vec<u8>,
    /// How many message channels there are, at most 200; channel 0 is sent before all others.
    pub channels: u8,
    /// How many of them, from 0 on, are told on the urgent queue of events; at least 1.
    pub urgent_channels: u8,
    /// The largest message, in bytes.
    pub max_frame_bytes: usize,
    /// What may wait to be sent per connection and channel, in bytes; beyond it messages are
    /// dropped and reported by [`Event::Overflowed`](crate::Event::Overflowed).
    pub send_queue_bytes: usize,
    /// What a peer may send on one channel before we have read it, in bytes. So it is also what is
    /// unacknowledged at most.
    pub stream_window_bytes: u32,
    /// How many events may wait in each of the two event queues.
    pub event_queue_len: usize,
    /// How many bytes of messages may wait in each of the two event queues; at least
    /// `max_frame_bytes`.
    pub event_queue_bytes: usize,
    /// From the begin of an inquiry to its failure, if nobody answers.
    pub inquiry_limit: Duration,
    /// How long an accepted handshake may take, on however slow a link.
    pub accept_limit: Duration,
    /// The round trip assumed before one was measured: it decides how soon a lost first packet is
    /// sent again.
    pub initial_rtt: Duration,
    /// Sends a keep-alive after this long without a packet from the peer.
    pub keep_alive: Duration,
    /// Closes a connection on which nothing was received for this long.
    pub idle: Duration,
    /// How long a superseded connection must at least be quiet before its dialler closes it; three round
    /// trips, if that is longer.
    pub duplicate_quiet: Duration,
    /// How long `close` and `shutdown` wait for messages already accepted to be acknowledged; two round
    /// trips, if that is longer.
    pub flush_limit: Duration,
    /// How many connections may stand; further ones are refused.
    pub max_connections: usize,
    /// How many connections one peer may have; beyond it the oldest one is closed.
    pub max_connections_per_peer: usize,
    /// How many incoming handshakes may be under way. Of these at most 16 come from one address; and
    /// half of them, an eighth from one network, from where no node of the cluster is known to be.
    /// From half of that on such strangers must prove their addresses first.
    pub max_handshakes: usize,
    /// The kernel's UDP buffers in each direction, as far as the system permits, in bytes.
    pub socket_buffer_bytes: usize,
}

impl Settings {
    /// The usual limits, with two channels, an urgent one and one for bulk.
    pub fn new(listen: SocketAddr, alpn: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        Self {
            listen,
            alpn: alpn.into_iter().map(Into::into).collect(),
            inquiry_alpn: Vec::new(),
            join_alpn: Vec::new(),
            join_exporter: Vec::new(),
            channels: 2,
            urgent_channels: 1,
            max_frame_bytes: 1 << 20,
            send_queue_bytes: 4 << 20,
            stream_window_bytes: 256 << 10,
            event_queue_len: 4096,
            event_queue_bytes: 16 << 20,
            inquiry_limit: Duration::from_secs(5),
            accept_limit: Duration::from_secs(10),
            initial_rtt: Duration::from_millis(100),
            keep_alive: Duration::from_secs(30),
            idle: Duration::from_secs(90),
            duplicate_quiet: Duration::from_secs(1),
            flush_limit: Duration::from_millis(150),
            max_connections: 1024,
            max_connections_per_peer: 4,
            max_handshakes: 256,
            socket_buffer_bytes: 4 << 20,
        }
    }

    /// On which queue of events a channel is told.
    pub(crate) fn lane(&self, channel: u8) -> Lane {
        if channel < self.urgent_channels {
            Lane::Urgent
        } else {
            Lane::Bulk
        }
    }
}

/// The two queues of events; each connection appears on both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Urgent,
    Bulk,
}
