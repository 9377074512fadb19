//! The families of several series that show the numbers of a snapshot: one label tells the series
//! apart, and its values are known when the program is built.

use super::snapshot::Snapshot;
use api::events::EventType;
use node::cluster::Verdict;

/// A family with one label of a closed set of values: its name, its help, the label, its series.
pub(super) type Spread<T> = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Snapshot) -> Vec<(&'static str, T)>,
);

pub(super) const SPREAD_GAUGES: &[Spread<f64>] = &[
    (
        "muster_build_info",
        "Constant 1; the version is a label",
        "version",
        |_| vec![(env!("CARGO_PKG_VERSION"), 1.0)],
    ),
    (
        "muster_cluster_verdict",
        "1 for the present verdict on the reach of the cluster, 0 for the others",
        "verdict",
        |s| {
            let all = [
                Verdict::Whole,
                Verdict::Majority,
                Verdict::Even,
                Verdict::Minority,
                Verdict::Alone,
            ];
            all.map(|verdict| {
                (
                    verdict.as_str(),
                    f64::from(u8::from(verdict == s.views.verdict)),
                )
            })
            .to_vec()
        },
    ),
    (
        "muster_transport_certificate_expiry_timestamp_seconds",
        "When the certificate in use expires: the node's, the authority's that expires last, the \
        TCP listener's where it has one",
        "certificate",
        |s| {
            let always = [
                ("node", s.transport.node_expires_at as f64),
                ("authority", s.transport.authority_expires_at as f64),
            ];
            let listener = s.tls_not_after.map(|at_s| ("http", at_s as f64));
            always.into_iter().chain(listener).collect()
        },
    ),
    (
        "muster_tokens_good",
        "Tokens that have not expired, by what they allow",
        "scope",
        |s| s.tokens.clone(),
    ),
];

/// What happens to registered processes.
const HAPPENINGS: [&str; 6] = ["up", "down", "unreachable", "back", "contested", "lost"];

pub(super) const SPREAD_COUNTERS: &[Spread<u64>] = &[
    (
        "muster_processes_events_total",
        "What happened to registered processes of all nodes, as this node saw it",
        "type",
        |s| {
            HAPPENINGS
                .map(|what| {
                    (
                        what,
                        s.happened.get(&EventType::from(what)).copied().unwrap_or(0),
                    )
                })
                .to_vec()
        },
    ),
    (
        "muster_transport_refused_total",
        "Handshakes that were refused",
        "reason",
        |s| s.transport.refusals().to_vec(),
    ),
    (
        "muster_transport_messages_total",
        "Messages that went over a connection",
        "direction",
        |s| both(s.transport.messages_received, s.transport.messages_sent),
    ),
    (
        "muster_transport_message_bytes_total",
        "Bytes of messages that went over a connection, without framing",
        "direction",
        |s| {
            both(
                s.transport.message_bytes_received,
                s.transport.message_bytes_sent,
            )
        },
    ),
    (
        "muster_transport_datagrams_total",
        "Datagrams that went over a connection",
        "direction",
        |s| both(s.transport.datagrams_received, s.transport.datagrams_sent),
    ),
    (
        "muster_transport_udp_packets_total",
        "UDP packets received and sent",
        "direction",
        |s| {
            both(
                s.transport.udp_packets_received,
                s.transport.udp_packets_sent,
            )
        },
    ),
    (
        "muster_transport_udp_bytes_total",
        "Bytes of UDP packets received and sent",
        "direction",
        |s| both(s.transport.udp_bytes_received, s.transport.udp_bytes_sent),
    ),
    (
        "muster_transport_dropped_total",
        "Messages and datagrams not sent or not delivered, as a queue was full or the connection gone",
        "what",
        |s| {
            let datagrams = s
                .transport
                .datagrams_unsent
                .saturating_add(s.transport.datagrams_dropped);
            vec![
                ("message", s.transport.messages_dropped),
                ("datagram", datagrams),
            ]
        },
    ),
];

fn both(received: u64, sent: u64) -> Vec<(&'static str, u64)> {
    vec![("received", received), ("sent", sent)]
}
