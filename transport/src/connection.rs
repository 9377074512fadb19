//! One connection: what is shared between its tasks, and the order in which its events are told.

use crate::congestion::lost_percent;
use crate::endpoint::Core;
use crate::event::{Event, Outbox, Outboxes, PeerName};
use crate::queue::{Pushed, SendQueue};
use crate::refusal::printable;
use crate::settings::Lane;
use crate::stats::ConnectionStats;
use crate::{frame, reader, writer};
use bytes::Bytes;
use quinn::crypto::rustls::HandshakeData;
use quinn::{ConnectionError, RecvStream, SendDatagramError, VarInt};
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::timeout;
use tracing::{debug, warn};

/// How many datagrams too large for a packet may be under way at once on a connection.
pub(crate) const MAX_LARGE_DATAGRAMS: u8 = 8;
/// A large datagram that could not leave by then is dropped: it would be stale.
const LARGE_DATAGRAM_LIMIT: Duration = Duration::from_secs(1);

/// However far a peer is, a close waits no longer for it.
const LONGEST_FLUSH: Duration = Duration::from_secs(3);

/// The code with which a connection is closed; its text goes with it. For people who read packet
/// traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseCode {
    /// The user asked for it.
    Asked = 1,
    /// The peer broke the protocol.
    Violation = 2,
    /// The endpoint shuts down.
    Shutdown = 3,
    /// Another connection to the same peer is used instead.
    Duplicate = 4,
}

impl From<CloseCode> for VarInt {
    fn from(code: CloseCode) -> Self {
        Self::from_u32(code as u32)
    }
}

/// A connection that stands.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) conn: u64,
    pub(crate) peer: PeerName,
    pub(crate) dial: Option<u64>,
    /// Which of the protocol's versions both speak.
    pub(crate) alpn: Vec<u8>,
    pub(crate) preferred: bool,
    pub(crate) quic: quinn::Connection,
    /// By channel.
    pub(crate) queues: Box<[SendQueue]>,
    /// Which channels the peer has opened, also of those that are not known here.
    pub(crate) opened: Box<[AtomicBool]>,
    pub(crate) keep_alive: AtomicBool,
    /// Asks for a keep-alive now.
    pub(crate) ping: Notify,
    /// Whether a frame has come from the peer: then it stands there as well.
    pub(crate) greeted: AtomicBool,
    /// Messages sent and received, to see whether the connection is in use.
    pub(crate) moved: AtomicU64,
    /// Channels whose reader waits for room in a queue of events.
    pub(crate) delivering: AtomicUsize,
    /// The writers hold its receivers: it is closed when everything accepted was acknowledged.
    pub(crate) writers: watch::Sender<()>,
    overflowed_urgent: Notify,
    overflowed_bulk: Notify,
    large_datagrams: Arc<Semaphore>,
    closing: OnceLock<Closing>,
}

/// Why this end closed a connection.
#[derive(Debug)]
struct Closing {
    reason: String,
    is_violated: bool,
}

impl Link {
    pub(crate) fn new(
        core: &Core,
        conn: u64,
        quic: quinn::Connection,
        peer: PeerName,
        dial: Option<u64>,
    ) -> Self {
        let settings = &core.settings;
        Self {
            conn,
            preferred: dial.is_some() == (core.id < peer.id),
            peer,
            dial,
            alpn: negotiated(&quic),
            quic,
            queues: (0..settings.channels)
                .map(|_| SendQueue::new(settings.send_queue_bytes))
                .collect(),
            opened: (0..frame::ONE_DATAGRAM)
                .map(|_| AtomicBool::new(false))
                .collect(),
            keep_alive: AtomicBool::new(true),
            ping: Notify::new(),
            greeted: AtomicBool::new(false),
            moved: AtomicU64::new(0),
            delivering: AtomicUsize::new(0),
            writers: watch::Sender::new(()),
            overflowed_urgent: Notify::new(),
            overflowed_bulk: Notify::new(),
            large_datagrams: Arc::new(Semaphore::new(MAX_LARGE_DATAGRAMS.into())),
            closing: OnceLock::new(),
        }
    }

    /// The peer's address, an IPv4 one as such.
    pub(crate) fn remote(&self) -> SocketAddr {
        crate::fault::canonical(self.quic.remote_address())
    }

    /// Queues a message, or drops it and sees to it that the drop is told.
    pub(crate) fn send(&self, core: &Core, channel: u8, bytes: Bytes) {
        let Some(queue) = self.queues.get(usize::from(channel)) else {
            warn!(
                channel,
                "a message was sent to a channel that does not exist"
            );
            core.counters.messages_dropped.fetch_add(1, Relaxed);
            return;
        };
        let pushed = if bytes.len() > core.settings.max_frame_bytes {
            warn!(
                channel,
                bytes = bytes.len(),
                "a message is too large to be sent"
            );
            queue.refuse()
        } else {
            queue.push(bytes)
        };
        if pushed != Pushed::Queued {
            core.counters.messages_dropped.fetch_add(1, Relaxed);
        }
        if pushed == Pushed::Overflowed {
            self.overflowed(core.settings.lane(channel)).notify_one();
        }
    }

    /// Sends a datagram in a packet, or by a stream of its own if it is too large for one.
    pub(crate) fn datagram(self: &Arc<Self>, core: &Arc<Core>, bytes: Bytes) {
        match self.quic.send_datagram(bytes.clone()) {
            Ok(()) => {
                core.counters.datagrams_sent.fetch_add(1, Relaxed);
            }
            Err(
                SendDatagramError::TooLarge
                | SendDatagramError::UnsupportedByPeer
                | SendDatagramError::Disabled,
            ) => {
                self.large_datagram(core, bytes);
            }
            Err(SendDatagramError::ConnectionLost(_)) => {
                core.counters.datagrams_unsent.fetch_add(1, Relaxed);
            }
        }
    }

    fn large_datagram(self: &Arc<Self>, core: &Arc<Core>, bytes: Bytes) {
        let permit = self.large_datagrams.clone().try_acquire_owned();
        let (Ok(permit), true) = (permit, bytes.len() <= frame::MAX_DATAGRAM_BYTES) else {
            core.counters.datagrams_unsent.fetch_add(1, Relaxed);
            return;
        };
        core.counters.datagrams_sent.fetch_add(1, Relaxed);
        core.counters.datagrams_by_stream.fetch_add(1, Relaxed);
        let link = self.clone();
        core.runtime.spawn(async move {
            let _permit = permit;
            if !matches!(
                timeout(
                    LARGE_DATAGRAM_LIMIT,
                    writer::one_datagram(&link.quic, bytes)
                )
                .await,
                Ok(Ok(()))
            ) {
                debug!(conn = link.conn, "a large datagram was lost");
            }
        });
    }

    /// Takes no more messages, waits shortly until those accepted before are acknowledged, then
    /// closes.
    pub(crate) fn close(self: &Arc<Self>, core: &Core, code: CloseCode, reason: &str) {
        let closing = Closing {
            reason: reason.to_owned(),
            is_violated: false,
        };
        if self.closing.set(closing).is_err() {
            return;
        }
        self.end_queues();
        let (link, limit, reason) = (self.clone(), self.flush_limit(core), reason.to_owned());
        core.runtime.spawn(async move {
            link.flush(limit).await;
            link.quic.close(code.into(), reason.as_bytes());
        });
    }

    /// Closes at once because the peer broke the protocol.
    pub(crate) fn violated(&self, core: &Core, reason: &str) {
        core.counters.violations.fetch_add(1, Relaxed);
        warn!(peer = self.peer.name, reason, "a peer broke the protocol");
        let _ = self.closing.set(Closing {
            reason: format!("the peer broke the protocol: {reason}"),
            is_violated: true,
        });
        self.quic
            .close(CloseCode::Violation.into(), reason.as_bytes());
    }

    /// Takes no more messages.
    pub(crate) fn end_queues(&self) {
        self.queues.iter().for_each(SendQueue::end);
    }

    /// How long its last messages may take to be acknowledged.
    pub(crate) fn flush_limit(&self, core: &Core) -> Duration {
        let far = (self.quic.rtt() * 2).min(LONGEST_FLUSH);
        core.settings.flush_limit.max(far)
    }

    /// Waits until all messages were acknowledged after [`Link::end_queues`], so long at most.
    pub(crate) async fn flush(&self, limit: Duration) {
        let _ = timeout(limit, self.writers.closed()).await;
    }

    /// Whether nothing waits, neither to be sent nor to be told.
    pub(crate) fn is_idle(&self) -> bool {
        self.delivering.load(Relaxed) == 0 && self.queues.iter().all(SendQueue::is_idle)
    }

    /// How many packets came from the peer: the acknowledgement of a ping is one.
    pub(crate) fn packets_received(&self) -> u64 {
        self.quic.stats().udp_rx.datagrams
    }

    /// What waits to be sent, in bytes.
    pub(crate) fn queued_bytes(&self) -> u64 {
        u64::try_from(self.queues.iter().map(SendQueue::bytes).sum::<usize>()).unwrap_or(u64::MAX)
    }

    pub(crate) fn stats(&self) -> ConnectionStats {
        let stats = self.quic.stats();
        ConnectionStats {
            rtt: stats.path.rtt,
            mtu_bytes: stats.path.current_mtu.into(),
            max_datagram_bytes: u64::try_from(self.quic.max_datagram_size().unwrap_or(0))
                .unwrap_or(u64::MAX),
            window_bytes: stats.path.cwnd,
            packets_sent: stats.path.sent_packets,
            lost_percent: lost_percent(self.quic.congestion_state()),
            bytes_sent: stats.udp_tx.bytes,
            bytes_received: stats.udp_rx.bytes,
            queued_bytes: self.queued_bytes(),
        }
    }

    fn overflowed(&self, lane: Lane) -> &Notify {
        match lane {
            Lane::Urgent => &self.overflowed_urgent,
            Lane::Bulk => &self.overflowed_bulk,
        }
    }

    fn words(&self, error: &ConnectionError, idle: Duration) -> String {
        match error {
            ConnectionError::LocallyClosed => match self.closing.get() {
                Some(closing) => format!("closed here: {}", closing.reason),
                None => "this node shuts down".to_owned(),
            },
            ConnectionError::ApplicationClosed(close) if close.reason.is_empty() => {
                "closed by the peer".to_owned()
            }
            ConnectionError::ApplicationClosed(close) => {
                format!("closed by the peer: {}", printable(&close.reason))
            }
            ConnectionError::TimedOut => format!("nothing received for {} s", idle.as_secs_f32()),
            ConnectionError::Reset => "the peer does not know this connection any more".to_owned(),
            ConnectionError::VersionMismatch
            | ConnectionError::TransportError(_)
            | ConnectionError::ConnectionClosed(_)
            | ConnectionError::CidsExhausted => printable(error.to_string().as_bytes()),
        }
    }
}

/// Starts a connection's tasks. `first` is a stream of the peer that was already accepted.
///
/// Each lane tells `Connected`, opens its gate, and tells `Closed` when every holder of the gate
/// has gone. What reads from the peer holds the gate of its lane and waits at it first: so the
/// order on a queue holds, and a full bulk queue does not delay the urgent one.
pub(crate) fn start(
    core: &Arc<Core>,
    link: &Arc<Link>,
    outboxes: Outboxes,
    first: Option<RecvStream>,
) {
    for channel in 0..core.settings.channels {
        let alive = link.writers.subscribe();
        core.runtime
            .spawn(writer::run(core.clone(), link.clone(), channel, alive));
    }
    let (urgent, bulk) = (watch::Sender::new(false), watch::Sender::new(false));
    let gates = reader::Gates {
        urgent: urgent.subscribe(),
        bulk: bulk.subscribe(),
    };
    core.runtime.spawn(tell(
        core.clone(),
        link.clone(),
        Lane::Urgent,
        outboxes.urgent.clone(),
        urgent,
    ));
    core.runtime.spawn(tell(
        core.clone(),
        link.clone(),
        Lane::Bulk,
        outboxes.bulk.clone(),
        bulk,
    ));
    core.runtime.spawn(reader::datagrams(
        core.clone(),
        link.clone(),
        outboxes.urgent.clone(),
        gates.urgent.clone(),
    ));
    core.runtime.spawn(reader::streams(
        core.clone(),
        link.clone(),
        outboxes,
        gates,
        first,
    ));
}

/// The life of a connection on one queue of events.
async fn tell(
    core: Arc<Core>,
    link: Arc<Link>,
    lane: Lane,
    outbox: Outbox,
    gate: watch::Sender<bool>,
) {
    let (conn, peer, dial, alpn) = (link.conn, link.peer.clone(), link.dial, link.alpn.clone());
    outbox
        .deliver(Event::Connected {
            conn,
            peer,
            dial,
            alpn,
            remote: link.remote(),
            preferred: link.preferred,
        })
        .await;
    gate.send_replace(true);
    let error = loop {
        tokio::select! {
            error = link.quic.closed() => break error,
            () = link.overflowed(lane).notified() => tell_overflows(&core, &link, lane, &outbox).await,
        }
    };
    gate.closed().await;
    outbox
        .deliver(Event::Closed {
            conn,
            reason: link.words(&error, core.settings.idle),
            is_violated: link
                .closing
                .get()
                .is_some_and(|closing| closing.is_violated),
        })
        .await;
}

async fn tell_overflows(core: &Core, link: &Link, lane: Lane, outbox: &Outbox) {
    for (channel, queue) in (0..).zip(&link.queues) {
        if core.settings.lane(channel) == lane && queue.tell_overflow() {
            outbox
                .deliver(Event::Overflowed {
                    conn: link.conn,
                    channel,
                })
                .await;
        }
    }
}

/// What the handshake agreed on; it fails where there is nothing in common.
pub(crate) fn negotiated(quic: &quinn::Connection) -> Vec<u8> {
    let data = quic
        .handshake_data()
        .and_then(|data| data.downcast::<HandshakeData>().ok());
    data.and_then(|data| data.protocol).unwrap_or_default()
}
