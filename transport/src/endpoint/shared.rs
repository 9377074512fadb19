//! What the tasks of an endpoint share.

use super::parameters;
use crate::admission::Applicant;
use crate::connection::{self, CloseCode, Link};
use crate::duplicate;
use crate::event::{Outboxes, PeerName};
use crate::fault::Fault;
use crate::inquiry::{Knocks, Question};
use crate::places::Places;
use crate::refusal::{Told, Verdict};
use crate::registry::Registry;
use crate::settings::Settings;
use crate::stats::Counters;
use crate::tls::{About, Tls, TlsError};
use parking_lot::Mutex;
use pki::Identity;
use quinn::{RecvStream, TransportConfig};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tracing::debug;

/// What the peers read when an endpoint shuts down.
const SHUTDOWN: &[u8] = b"the node shuts down";

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
    /// For those that join, and for members that ask on behalf of such.
    pub(crate) joins: Places,
    pub(super) fault: Fault,
    pub(super) questions: Mutex<Option<mpsc::Sender<Question>>>,
    pub(super) applications: Mutex<Option<mpsc::Sender<Applicant>>>,
    pub(super) knocks: Mutex<Knocks>,
    pub(super) tls: Mutex<Arc<Tls>>,
    pub(super) transport: Arc<TransportConfig>,
    /// It carries the key of address tokens, so it is never made anew.
    pub(super) server: quinn::ServerConfig,
    pub(super) registry: Mutex<Registry>,
    /// The attempts to dial that are under way; what is dropped here is given up.
    pub(crate) dials: Mutex<HashMap<u64, oneshot::Sender<()>>>,
    pub(super) refusals: Mutex<Told>,
    /// `None` after the shutdown, so that the queues end when the last connection has ended.
    pub(super) outboxes: Mutex<Option<Outboxes>>,
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

    /// Removes a connection that has ended.
    pub(crate) fn forget(&self, link: &Link) {
        if self.registry.lock().remove(link.conn) {
            self.counters.closed.fetch_add(1, Relaxed);
            debug!(conn = link.conn, peer = link.peer.name, "disconnected");
        }
    }

    pub(crate) fn outboxes(&self) -> Option<Outboxes> {
        self.outboxes.lock().clone()
    }

    /// Notes that an other end was refused, or refused this one; gives how often since its last line
    /// of the log, if there is to be one now.
    pub(crate) fn note_refusal(&self, end: &str) -> Option<u64> {
        self.refusals.lock().note(Instant::now(), end)
    }

    pub(crate) fn connections(&self) -> usize {
        self.registry.lock().len()
    }

    /// Whether the socket can reach an address. An IPv4 socket reaches only IPv4, one on a particular
    /// IPv6 address only IPv6, and one on the IPv6 wildcard both.
    pub(crate) fn can_reach(&self, address: SocketAddr) -> bool {
        match self.local {
            SocketAddr::V4(_) => address.is_ipv4(),
            SocketAddr::V6(local) => address.is_ipv6() || local.ip().is_unspecified(),
        }
    }

    pub(crate) fn client_config(
        &self,
        expect: Option<[u8; 16]>,
        round_trip: Option<Duration>,
        verdict: Verdict,
    ) -> Result<quinn::ClientConfig, TlsError> {
        let tls = self.tls.lock().clone();
        let mut config = quinn::ClientConfig::new(Arc::new(tls.client(expect, verdict)?));
        let transport = match round_trip {
            Some(far) if far > self.settings.initial_rtt => {
                let mut settings = self.settings.clone();
                settings.initial_rtt = far;
                // The same settings were good when the endpoint was bound.
                parameters::transport(&settings).map_or_else(|_| self.transport.clone(), Arc::new)
            }
            Some(_) | None => self.transport.clone(),
        };
        config.transport_config(transport);
        Ok(config)
    }

    pub(crate) fn inquiry_config(
        &self,
        about: About,
        expect: [u8; 16],
        verdict: Verdict,
    ) -> Result<quinn::ClientConfig, TlsError> {
        let tls = self.tls.lock().clone();
        let mut config = quinn::ClientConfig::new(Arc::new(tls.inquirer(about, expect, verdict)?));
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

    pub(crate) fn admit_by(&self, applications: mpsc::Sender<Applicant>) {
        *self.applications.lock() = Some(applications);
    }

    pub(crate) fn applications(&self) -> Option<mpsc::Sender<Applicant>> {
        self.applications.lock().clone()
    }

    /// This node's identity, as of the last reload.
    pub(crate) fn identity(&self) -> Identity {
        self.tls.lock().identity.clone()
    }

    /// Notes that a handshake from that address was not finished.
    pub(crate) fn knock(&self, from: SocketAddr) {
        self.knocks.lock().note(from);
    }

    /// How long ago a handshake from that address was not finished.
    pub(crate) fn knocked(&self, from: SocketAddr) -> Option<Duration> {
        self.knocks.lock().since(from)
    }

    pub(crate) fn server_config(&self, verdict: Verdict) -> Result<quinn::ServerConfig, TlsError> {
        let tls = self.tls.lock().clone();
        let mut config = self.server.clone();
        config.crypto = Arc::new(tls.server(verdict)?);
        Ok(config)
    }

    pub(super) fn link(&self, conn: u64) -> Option<Arc<Link>> {
        self.registry.lock().get(conn)
    }

    /// The round trip to a peer, by the connections that stand; nothing without one.
    pub(crate) fn round_trip(&self, peer: [u8; 16]) -> Duration {
        let links = self.registry.lock().all();
        let to_peer = links.iter().filter(|link| link.peer.id == peer);
        let round_trips = to_peer.map(|link| link.quic.rtt());
        round_trips.min().unwrap_or_default()
    }

    pub(super) fn close(&self) {
        self.outboxes.lock().take();
        self.quic.close(CloseCode::Shutdown.into(), SHUTDOWN);
    }
}
