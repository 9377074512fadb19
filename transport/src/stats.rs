//! What an endpoint counts: atomics inside, plain numbers outside. The names that metrics give them
//! are not decided here.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// One list of counters, in both forms.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What an endpoint counted since it was bound. Counters only grow; the fields behind
        /// `connections` say what is now.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
            /// Connections that stand now.
            pub connections: u64,
            /// Bytes of messages that wait to be sent now, on all connections.
            pub queued_bytes: u64,
            /// The longest smoothed round trip of these connections.
            pub rtt_max: Duration,
            /// When the certificate in use expires, in Unix seconds.
            pub node_expires_at: i64,
            /// When the last of the authorities expires, likewise.
            pub authority_expires_at: i64,
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counters {
            /// What was counted; the rest is left at its default.
            pub(crate) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.load(Relaxed),)* ..Stats::default() }
            }
        }
    };
}

counters! {
    /// Connections that came to stand, dialled by either side.
    connected,
    /// Connections that ended.
    closed,
    /// Dials begun.
    dials,
    /// Dials that failed; those that reached this node itself did not.
    dial_failures,
    /// Incoming handshakes turned away because of a limit.
    refused_limit,
    /// Handshakes refused here: another cluster's certificate.
    refused_other_cluster,
    /// Handshakes refused here: not signed by our authority.
    refused_untrusted,
    /// Handshakes refused here: expired or not valid yet.
    refused_validity,
    /// Handshakes refused here: no certificate, one without a node's names or purposes, or broken
    /// TLS.
    refused_certificate,
    /// Handshakes refused here: another node than the dialled one.
    refused_unexpected,
    /// Handshakes refused here: with a node that an authority has revoked.
    refused_revoked,
    /// Handshakes that failed because the two ends speak different versions.
    refused_protocol,
    /// Handshakes that the other end refused.
    refused_by_peer,
    /// Connections closed because the peer broke the protocol.
    violations,
    /// Superseded duplicates that this node closed.
    duplicates_closed,
    /// Messages written to a connection.
    messages_sent,
    /// Their bytes, without framing.
    message_bytes_sent,
    /// Messages received whole.
    messages_received,
    /// Their bytes, without framing.
    message_bytes_received,
    /// Messages dropped because their send queue was full, they were too large, or their connection
    /// was gone.
    messages_dropped,
    /// Datagrams handed to a connection.
    datagrams_sent,
    /// Those of them that were too large for a packet and went by a stream.
    datagrams_by_stream,
    /// Datagrams that were not sent: no connection, or too many large ones at once.
    datagrams_unsent,
    /// Datagrams received and delivered.
    datagrams_received,
    /// Datagrams received and dropped, because the urgent queue was full.
    datagrams_dropped,
    /// UDP packets received, before any check.
    udp_packets_received,
    /// Their bytes.
    udp_bytes_received,
    /// UDP packets sent.
    udp_packets_sent,
    /// Their bytes.
    udp_bytes_sent,
    /// UDP packets dropped by [`Fault`](crate::Fault), both ways.
    udp_packets_blocked,
}

impl Stats {
    /// The refused handshakes by reason: a closed set, fit for a metric's label.
    pub fn refusals(&self) -> [(&'static str, u64); 9] {
        [
            ("limit", self.refused_limit),
            ("other_cluster", self.refused_other_cluster),
            ("untrusted", self.refused_untrusted),
            ("validity", self.refused_validity),
            ("certificate", self.refused_certificate),
            ("unexpected_node", self.refused_unexpected),
            ("revoked", self.refused_revoked),
            ("protocol", self.refused_protocol),
            ("by_peer", self.refused_by_peer),
        ]
    }
}

/// One connection's path, as QUIC sees it now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStats {
    /// The smoothed round trip.
    pub rtt: Duration,
    /// The largest UDP payload that the path is known to carry, in bytes.
    pub mtu_bytes: u64,
    /// The largest datagram that fits into one packet now, in bytes.
    pub max_datagram_bytes: u64,
    /// The congestion window, in bytes.
    pub window_bytes: u64,
    /// Packets sent on the path.
    pub packets_sent: u64,
    /// Of a hundred packets that were to be acknowledged, how many were lost of late; `None` while there were
    /// few.
    pub lost_percent: Option<u64>,
    /// UDP bytes sent.
    pub bytes_sent: u64,
    /// UDP bytes received.
    pub bytes_received: u64,
    /// Bytes of messages that wait to be sent.
    pub queued_bytes: u64,
}
