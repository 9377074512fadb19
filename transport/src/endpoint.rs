//! The endpoint: what its user calls, and what its tasks share.

use crate::connection::{self, CloseCode, Link, MAX_LARGE_DATAGRAMS};
use crate::event::{self, Events, Outboxes, PeerName};
use crate::fault::{Fault, Socket, canonical};
use crate::inquiry::{self, Knocks, Question};
use crate::places::Places;
use crate::refusal::Verdict;
use crate::registry::Registry;
use crate::settings::Settings;
use crate::stats::{ConnectionStats, Counters, Stats};
use crate::tls::{Tls, TlsError};
use crate::{accept, dial, duplicate};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use pki::Identity;
use quinn::udp::UdpSocketState;
use quinn::{
    EndpointConfig, IdleTimeout, RecvStream, Runtime, TokioRuntime, TransportConfig, VarInt,
};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tracing::{debug, info};

/// How long a shutdown waits for the closes to be sent, after the flush.
const CLOSE_LIMIT: Duration = Duration::from_millis(150);
/// How many bytes of datagrams wait in each direction of a connection; older ones are dropped for
/// newer ones.
const DATAGRAM_BUFFER_BYTES: usize = 256 << 10;
/// How often a refused handshake is told to the operator; all are counted.
const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(1);
/// More channels would leave no room for the other kinds of streams.
const MAX_CHANNELS: u8 = 200;

/// Why an endpoint could not be bound. Nothing was left behind.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is in use, not this machine's, or not permitted.
    #[error("cannot listen on UDP {address}: {source}")]
    Socket {
        /// The address to listen on.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A setting is out of its range.
    #[error("the setting {0} is out of range")]
    Setting(&'static str),
    /// There is no tokio runtime here.
    #[error("an endpoint must be bound within a tokio runtime")]
    Runtime,
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

/// Why a new identity was refused; the old one stays in use.
#[derive(Debug, thiserror::Error)]
#[error("the new certificate is of {found}, this endpoint is {running}; restart to change it")]
pub struct ReloadError {
    found: String,
    running: String,
}

/// A UDP socket that dials and accepts. Clones share it; after the last one was dropped it closes
/// by itself, without waiting.
///
/// All calls return at once and can be made from any thread; what comes of them is told by
/// [`Events`]. A number of a connection that has ended is ignored everywhere.
#[derive(Clone, Debug)]
pub struct Endpoint(Arc<Owner>);

/// Closes the endpoint when its last user has gone: the tasks hold the core itself.
#[derive(Debug)]
struct Owner(Arc<Core>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What the tasks of an endpoint share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) quic: quinn::Endpoint,
    pub(crate) settings: Settings,
    /// This node's id; a reload cannot change it.
    pub(crate) id: [u8; 16],
    pub(crate) local: SocketAddr,
    pub(crate) counters: Arc<Counters>,
    pub(crate) runtime: Handle,
    pub(crate) handshakes: Places,
    pub(crate) inquiries: Arc<Semaphore>,
    fault: Fault,
    questions: Mutex<Option<mpsc::Sender<Question>>>,
    knocks: Mutex<Knocks>,
    tls: Mutex<Arc<Tls>>,
    transport: Arc<TransportConfig>,
    /// Carries the key of address tokens, so it must stay the same one.
    server: quinn::ServerConfig,
    registry: Mutex<Registry>,
    refusal_logged: Mutex<Option<Instant>>,
    /// `None` after the shutdown: so the queues end when the last connection has.
    outboxes: Mutex<Option<Outboxes>>,
}

impl Endpoint {
    /// Binds the socket and starts to accept. Gives the urgent queue of events (urgent channels,
    /// datagrams, failed dials) and the bulk queue (all other channels); both tell every
    /// `Connected` and `Closed`, and both must be read.
    pub fn bind(
        settings: Settings,
        identity: Identity,
    ) -> Result<(Self, Events, Events), BindError> {
        let address = settings.listen;
        let socket =
            UdpSocket::bind(address).map_err(|source| BindError::Socket { address, source })?;
        Self::adopt(socket, settings, identity)
    }

    /// The same with a socket that is bound already, wherever [`Settings::listen`] is.
    pub fn adopt(
        socket: UdpSocket,
        settings: Settings,
        identity: Identity,
    ) -> Result<(Self, Events, Events), BindError> {
        let runtime = Handle::try_current().map_err(|_| BindError::Runtime)?;
        let transport = Arc::new(transport(&settings)?);
        let tls = Arc::new(Tls::new(identity, &settings));
        let server = server(&tls, &transport).map_err(|error| BindError::Tls(error.to_string()))?;
        let (fault, counters) = (Fault::default(), Arc::new(Counters::default()));
        let bound = open(socket, &settings, &fault, &counters, &server);
        let (quic, local) = bound.map_err(|source| BindError::Socket {
            address: settings.listen,
            source,
        })?;
        let (urgent, urgent_events) =
            event::queue(settings.event_queue_len, settings.event_queue_bytes);
        let (bulk, bulk_events) =
            event::queue(settings.event_queue_len, settings.event_queue_bytes);
        let core = Arc::new(Core {
            quic,
            id: tls.identity.id(),
            local,
            counters,
            runtime: runtime.clone(),
            handshakes: Places::new(settings.max_handshakes),
            inquiries: Arc::new(Semaphore::new(inquiry::MAX_INQUIRIES)),
            fault,
            questions: Mutex::default(),
            knocks: Mutex::default(),
            tls: Mutex::new(tls),
            transport,
            server,
            registry: Mutex::default(),
            refusal_logged: Mutex::default(),
            outboxes: Mutex::new(Some(Outboxes { urgent, bulk })),
            settings,
        });
        runtime.spawn(accept::run(core.clone()));
        Ok((Self(Arc::new(Owner(core))), urgent_events, bulk_events))
    }

    /// Dials `target` (`host:port`; the name is resolved anew) and tells `Connected` or
    /// `DialFailed` with the number `dial`, within the limit of the settings. Without `expect` any
    /// node of the cluster may answer. Dialling twice makes two connections.
    pub fn dial(&self, dial: u64, target: String, expect: Option<[u8; 16]>) {
        let core = self.core();
        core.runtime
            .spawn(dial::run(core.clone(), dial, target, expect));
    }

    /// Sends a message of at most [`Settings::max_frame_bytes`]. It arrives after all earlier ones
    /// on its channel, or its connection closes, or it is dropped and `Overflowed` tells so.
    pub fn send(&self, conn: u64, channel: u8, bytes: Bytes) {
        match self.core().link(conn) {
            Some(link) => link.send(self.core(), channel, bytes),
            None => {
                self.core().counters.messages_dropped.fetch_add(1, Relaxed);
            }
        }
    }

    /// Sends a datagram of at most 64 KiB; it may be lost. About 1,160 bytes fit on any path; a
    /// larger one may cost a stream.
    pub fn datagram(&self, conn: u64, bytes: Bytes) {
        match self.core().link(conn) {
            Some(link) => link.datagram(self.core(), bytes),
            None => {
                self.core().counters.datagrams_unsent.fetch_add(1, Relaxed);
            }
        }
    }

    /// Whether this end keeps an unused connection alive; on at first. With both ends off it closes
    /// when it has been idle for [`Settings::idle`].
    pub fn keep_alive(&self, conn: u64, on: bool) {
        if let Some(link) = self.core().link(conn) {
            link.keep_alive.store(on, Relaxed);
        }
    }

    /// Closes a connection as soon as the messages accepted before are acknowledged, at the latest
    /// after [`Settings::flush_limit`]. The peer reads the reason.
    pub fn close(&self, conn: u64, reason: &str) {
        if let Some(link) = self.core().link(conn) {
            link.close(self.core(), CloseCode::Asked, reason);
        }
    }

    /// The smoothed round trip of a connection.
    pub fn rtt(&self, conn: u64) -> Option<Duration> {
        self.core().link(conn).map(|link| link.quic.rtt())
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        let links = self.core().registry.lock().all();
        let identity = self.core().tls.lock().identity.clone();
        Stats {
            connections: u64::try_from(links.len()).unwrap_or(u64::MAX),
            queued_bytes: links.iter().map(|link| link.queued_bytes()).sum(),
            rtt_max: links
                .iter()
                .map(|link| link.quic.rtt())
                .max()
                .unwrap_or_default(),
            node_expires_at: identity.not_after(),
            authority_expires_at: identity.authority_not_after(),
            ..self.core().counters.snapshot()
        }
    }

    /// The state of one connection's path.
    pub fn connection_stats(&self, conn: u64) -> Option<ConnectionStats> {
        self.core().link(conn).map(|link| link.stats())
    }

    /// Takes a renewed certificate, or other authorities, for handshakes from now on; connections
    /// that stand stay.
    pub fn reload(&self, identity: Identity) -> Result<(), ReloadError> {
        let mut tls = self.core().tls.lock();
        let running = &tls.identity;
        if (identity.id(), identity.name(), identity.cluster())
            != (running.id(), running.name(), running.cluster())
        {
            return Err(ReloadError {
                found: describe(&identity),
                running: describe(running),
            });
        }
        info!(
            not_after = identity.not_after(),
            "certificates were reloaded"
        );
        *tls = Arc::new(Tls::new(identity, &self.core().settings));
        Ok(())
    }

    /// The address that the socket is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.core().local
    }

    /// The means to cut this node off, for tests and development.
    pub fn fault(&self) -> &Fault {
        &self.core().fault
    }

    /// Sends what was accepted before, closes all connections and waits until the peers were told,
    /// about 300 ms at most. Afterwards the queues of events end. A second call does nothing.
    pub async fn shutdown(&self) {
        let core = self.core();
        let links = core.registry.lock().all();
        links.iter().for_each(|link| link.end_queues());
        let _ = timeout(core.settings.flush_limit, async {
            for link in &links {
                link.writers.closed().await;
            }
        })
        .await;
        core.close();
        let _ = timeout(CLOSE_LIMIT, core.quic.wait_idle()).await;
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.0.0
    }
}

impl Core {
    /// Makes a finished handshake a connection.
    pub(crate) fn adopt(
        self: &Arc<Self>,
        quic: quinn::Connection,
        peer: PeerName,
        dial: Option<u64>,
        first: Option<RecvStream>,
    ) {
        let Some(outboxes) = self.outboxes() else {
            return quic.close(CloseCode::Shutdown.into(), SHUTDOWN);
        };
        let make = |conn| Link::new(self, conn, quic, peer, dial);
        let inserted = self
            .registry
            .lock()
            .insert(self.settings.max_connections_per_peer, make);
        self.counters.connected.fetch_add(1, Relaxed);
        let link = &inserted.link;
        self.handshakes.note_known(link.remote());
        debug!(conn = link.conn, peer = link.peer.name, remote = %link.remote(), preferred = link.preferred, "connected");
        connection::start(self, link, outboxes, first);
        for (loser, kept) in inserted.superseded {
            self.runtime
                .spawn(duplicate::retire(self.clone(), loser, kept));
        }
        for link in inserted.surplus {
            link.close(
                self,
                CloseCode::Duplicate,
                "there are too many connections between these two nodes",
            );
        }
    }

    /// A connection has ended.
    pub(crate) fn forget(&self, link: &Link) {
        if self.registry.lock().remove(link.conn) {
            self.counters.closed.fetch_add(1, Relaxed);
            debug!(conn = link.conn, peer = link.peer.name, "disconnected");
        }
    }

    pub(crate) fn outboxes(&self) -> Option<Outboxes> {
        self.outboxes.lock().clone()
    }

    /// At most once a second: anybody who can send a packet here can be refused.
    pub(crate) fn may_log_refusal(&self) -> bool {
        let (mut last, now) = (self.refusal_logged.lock(), Instant::now());
        let may = last.is_none_or(|last| now.duration_since(last) >= REFUSAL_LOG_INTERVAL);
        if may {
            *last = Some(now);
        }
        may
    }

    pub(crate) fn connections(&self) -> usize {
        self.registry.lock().len()
    }

    /// An IPv4 socket reaches only IPv4; one on a particular IPv6 address only IPv6; the IPv6
    /// wildcard both.
    pub(crate) fn can_reach(&self, address: SocketAddr) -> bool {
        match self.local {
            SocketAddr::V4(_) => address.is_ipv4(),
            SocketAddr::V6(local) => address.is_ipv6() || local.ip().is_unspecified(),
        }
    }

    pub(crate) fn client_config(
        &self,
        expect: Option<[u8; 16]>,
        verdict: Verdict,
    ) -> Result<quinn::ClientConfig, TlsError> {
        let tls = self.tls.lock().clone();
        let mut config = quinn::ClientConfig::new(Arc::new(tls.client(expect, verdict)?));
        config.transport_config(self.transport.clone());
        Ok(config)
    }

    pub(crate) fn inquiry_config(
        &self,
        expect: [u8; 16],
        verdict: Verdict,
    ) -> Result<quinn::ClientConfig, TlsError> {
        let tls = self.tls.lock().clone();
        let mut config = quinn::ClientConfig::new(Arc::new(tls.inquirer(expect, verdict)?));
        config.transport_config(self.transport.clone());
        Ok(config)
    }

    pub(crate) fn fault(&self) -> &Fault {
        &self.fault
    }

    pub(crate) fn answer_by(&self, questions: mpsc::Sender<Question>) {
        *self.questions.lock() = Some(questions);
    }

    pub(crate) fn questions(&self) -> Option<mpsc::Sender<Question>> {
        self.questions.lock().clone()
    }

    /// A handshake from there was not finished.
    pub(crate) fn knock(&self, from: SocketAddr) {
        self.knocks.lock().note(from);
    }

    pub(crate) fn knocked(&self, from: SocketAddr) -> Option<Duration> {
        self.knocks.lock().since(from)
    }

    pub(crate) fn server_config(&self, verdict: Verdict) -> Result<quinn::ServerConfig, TlsError> {
        let tls = self.tls.lock().clone();
        let mut config = self.server.clone();
        config.crypto = Arc::new(tls.server(verdict)?);
        Ok(config)
    }

    fn link(&self, conn: u64) -> Option<Arc<Link>> {
        self.registry.lock().get(conn)
    }

    fn close(&self) {
        self.outboxes.lock().take();
        self.quic.close(CloseCode::Shutdown.into(), SHUTDOWN);
    }
}

/// What the peers read when an endpoint shuts down.
const SHUTDOWN: &[u8] = b"the node shuts down";

/// The parameters of QUIC. Its own keep-alive stays off: it could not be switched for one
/// connection.
fn transport(settings: &Settings) -> Result<TransportConfig, BindError> {
    if settings.urgent_channels == 0
        || settings.urgent_channels > settings.channels
        || settings.channels > MAX_CHANNELS
    {
        return Err(BindError::Setting("channels"));
    }
    let idle = IdleTimeout::try_from(settings.idle).map_err(|_| BindError::Setting("idle"))?;
    let streams = u32::from(settings.channels) + u32::from(MAX_LARGE_DATAGRAMS);
    let window = u64::from(settings.stream_window_bytes) * u64::from(streams);
    let mut config = TransportConfig::default();
    config
        .initial_rtt(settings.initial_rtt)
        .max_idle_timeout(Some(idle))
        .max_concurrent_bidi_streams(0_u8.into())
        .max_concurrent_uni_streams(streams.into())
        .stream_receive_window(settings.stream_window_bytes.into())
        // Room for every stream's window, so that a channel that is not read never holds up another
        // one.
        .receive_window(
            VarInt::from_u64(window).map_err(|_| BindError::Setting("stream_window_bytes"))?,
        )
        .send_window(window)
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES);
    Ok(config)
}

/// The parameters of the accepting side. Peers do not change their address while connected: a new
/// one is a new dial.
fn server(tls: &Tls, transport: &Arc<TransportConfig>) -> Result<quinn::ServerConfig, TlsError> {
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls.server(Verdict::default())?));
    let mut tokens = quinn::ValidationTokenConfig::default();
    tokens.sent(0);
    config
        .transport_config(transport.clone())
        .migration(false)
        .validation_token_config(tokens);
    Ok(config)
}

fn open(
    socket: UdpSocket,
    settings: &Settings,
    fault: &Fault,
    counters: &Arc<Counters>,
    server: &quinn::ServerConfig,
) -> io::Result<(quinn::Endpoint, SocketAddr)> {
    let state = UdpSocketState::new((&socket).into())?;
    // The kernel gives what its own limits allow; less costs throughput only.
    let _ = state.set_recv_buffer_size((&socket).into(), settings.socket_buffer_bytes);
    let _ = state.set_send_buffer_size((&socket).into(), settings.socket_buffer_bytes);
    let runtime = Arc::new(TokioRuntime);
    let inner = runtime.wrap_udp_socket(socket)?;
    let local = canonical(inner.local_addr()?);
    let socket = Arc::new(Socket {
        inner,
        fault: fault.clone(),
        counters: counters.clone(),
    });
    let quic = quinn::Endpoint::new_with_abstract_socket(
        EndpointConfig::default(),
        Some(server.clone()),
        socket,
        runtime,
    )?;
    Ok((quic, local))
}

fn describe(identity: &Identity) -> String {
    format!(
        "node {} ({}) of cluster {}",
        identity.name(),
        HEXLOWER.encode(&identity.id()),
        HEXLOWER.encode(&identity.cluster())
    )
}
