//! The endpoint: what its user calls.

mod parameters;
mod shared;

pub(crate) use shared::Core;

use crate::connection::CloseCode;
use crate::dial::Patience;
use crate::event::{self, Events, Outboxes};
use crate::fault::Fault;
use crate::inquiry;
use crate::places::Places;
use crate::settings::Settings;
use crate::stats::{ConnectionStats, Counters, Stats};
use crate::tls::{Refused, Revoked, Tls};
use crate::{accept, admission, dial};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use pki::{Identity, Withdrawn};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tracing::info;

/// How long a shutdown waits for the closes to be sent, after the flush.
const CLOSE_LIMIT: Duration = Duration::from_millis(150);

/// What a node is told whose certificate is good no longer.
const WITHDRAWN: &str = "the authority that has signed this node's certificate is withdrawn";

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
        let transport = Arc::new(parameters::transport(&settings)?);
        let tls = Arc::new(Tls::new(identity, &settings, Revoked::default()));
        let server = parameters::server(&tls, &transport)
            .map_err(|error| BindError::Tls(error.to_string()))?;
        let (fault, counters) = (Fault::default(), Arc::new(Counters::default()));
        let bound = parameters::open(socket, &settings, &fault, &counters, &server);
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
            joins: Places::new(admission::MAX_JOINS),
            fault,
            questions: Mutex::default(),
            applications: Mutex::default(),
            knocks: Mutex::default(),
            tls: Mutex::new(tls),
            transport,
            server,
            registry: Mutex::default(),
            dials: Mutex::default(),
            refusals: Mutex::default(),
            outboxes: Mutex::new(Some(Outboxes { urgent, bulk })),
            settings,
        });
        runtime.spawn(accept::run(core.clone()));
        Ok((Self(Arc::new(Owner(core))), urgent_events, bulk_events))
    }

    /// Dials `target` (`host:port`; the name is resolved anew) and tells `Connected` or
    /// `DialFailed` with the number `dial`, within the limit of `patience`. Without `expect` any
    /// node of the cluster may answer. Dialling twice makes two connections.
    pub fn dial(&self, dial: u64, target: String, expect: Option<[u8; 16]>, patience: Patience) {
        let (core, (end, ended)) = (self.core(), oneshot::channel());
        core.dials.lock().insert(dial, end);
        core.runtime.spawn(dial::run(
            core.clone(),
            (dial, ended),
            target,
            expect,
            patience,
        ));
    }

    /// Has an attempt fail now, unless its answer is on the way.
    pub fn give_up(&self, dial: u64) {
        // The attempt hears of it.
        drop(self.core().dials.lock().remove(&dial));
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
        let revoked = tls.revoked().clone();
        *tls = Arc::new(Tls::new(identity, &self.core().settings, revoked));
        Ok(())
    }

    /// Refuses handshakes with these nodes, and with certificates that are good no longer because their
    /// authority is withdrawn, from now on, and no others for that reason. Connections that were made
    /// with such certificates are closed; those of these nodes stay.
    pub fn revoke(&self, ids: impl IntoIterator<Item = [u8; 16]>, authorities: Withdrawn) {
        let revoked = self.core().tls.lock().revoked().clone();
        *revoked.write() = Refused {
            ids: ids.into_iter().collect(),
            authorities: authorities.clone(),
        };
        let links = self.core().registry.lock().all();
        for link in links {
            let chain = dial::chain_of(&link.quic);
            let shown = chain.split_first();
            if shown.is_some_and(|(leaf, between)| authorities.refuses(leaf, between)) {
                link.close(self.core(), CloseCode::Asked, WITHDRAWN);
            }
        }
    }

    /// This node's certificate, key and authorities, as of the last reload.
    pub fn identity(&self) -> Identity {
        self.core().identity()
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
    /// about 300 ms at most, and two round trips where peers are far. Afterwards the queues of events end. A second call does nothing.
    pub async fn shutdown(&self) {
        let core = self.core();
        let links = core.registry.lock().all();
        links.iter().for_each(|link| link.end_queues());
        let limits = links.iter().map(|link| link.flush_limit(core));
        let limit = limits.max().unwrap_or(core.settings.flush_limit);
        let _ = timeout(limit, async {
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

fn describe(identity: &Identity) -> String {
    format!(
        "node {} ({}) of cluster {}",
        identity.name(),
        HEXLOWER.encode(&identity.id()),
        HEXLOWER.encode(&identity.cluster())
    )
}
