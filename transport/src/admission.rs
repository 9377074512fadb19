//! Joining, on the side that is asked: connections of hosts that have no certificate yet, and of
//! members that ask on behalf of such or for a new certificate of their own.
//!
//! Nothing of the cluster is told before the handshake but its authority's and this node's
//! certificate. What requests and answers mean is not known here; a connection carries one of each.

use crate::connection::negotiated;
use crate::dial::{leaf_of, peer_of};
use crate::endpoint::{self, Core};
use crate::event::PeerName;
use crate::fault::canonical;
use crate::inquiry::{self, Inquiry, InquiryError, MAX_ANSWER_BYTES, in_time};
use crate::tls::About;
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How many such connections there may be at once. Half of them are for strangers, an eighth for
/// those of one network.
pub(crate) const MAX_JOINS: usize = 32;
/// How long one may last.
const LIMIT: Duration = Duration::from_secs(20);
/// How long a request may take to begin, and to arrive.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// The longest request, in bytes: with the chain of a certificate.
const MAX_REQUEST_BYTES: usize = 8 << 10;
/// How long the other end may take to read its answer and go.
const FAREWELL: Duration = Duration::from_secs(5);

/// A request of a host that wants to join, or of a member.
#[derive(Debug)]
pub struct Applicant {
    /// Which member asks, by its certificate; `None`: a host without one.
    pub peer: Option<PeerName>,
    /// The key of that certificate, if it is one of Ed25519.
    pub public_key: Option<[u8; 32]>,
    /// From where it asks.
    pub remote: SocketAddr,
    /// The exporter of its TLS session (RFC 8446, section 7.5).
    pub exporter: [u8; 32],
    /// The bytes of the request.
    pub bytes: Bytes,
    /// Takes the answer, of at most 16 KiB; without one the other end is told that there is none.
    pub reply: oneshot::Sender<Bytes>,
}

/// Whether an accepted handshake was one for joining.
pub(crate) fn is_one(core: &Core, quic: &quinn::Connection) -> bool {
    !core.settings.join_alpn.is_empty() && negotiated(quic) == core.settings.join_alpn
}

/// Answers the one request that the other end has.
pub(crate) async fn serve(core: Arc<Core>, quic: quinn::Connection) {
    let Some(_place) = core.joins.take(quic.remote_address()) else {
        return quic.close(0_u8.into(), b"too many hosts want to join at once");
    };
    quic.set_max_concurrent_uni_streams(0_u8.into());
    quic.set_max_concurrent_bi_streams(1_u8.into());
    let Some(applications) = core.applications() else {
        return quic.close(0_u8.into(), b"nobody can join here now");
    };
    let Ok(Ok((send, recv))) = timeout(in_time(REQUEST_LIMIT, quic.rtt()), quic.accept_bi()).await
    else {
        return quic.close(0_u8.into(), b"no request has come");
    };
    let answering = answer(&core, &quic, &applications, send, recv);
    match timeout(in_time(LIMIT, quic.rtt()), answering).await {
        Ok(()) => quic.close(0_u8.into(), b""),
        Err(_) => quic.close(0_u8.into(), b"joining took too long"),
    }
}

async fn answer(
    core: &Core,
    quic: &quinn::Connection,
    applications: &mpsc::Sender<Applicant>,
    mut send: quinn::SendStream,
    recv: quinn::RecvStream,
) {
    match find_answer(core, quic, applications, recv).await {
        Some(bytes) => {
            // The other end may have gone meanwhile.
            let _ = send.write_all(&bytes).await;
            let _ = send.finish();
            let _ = timeout(in_time(FAREWELL, quic.rtt()), send.stopped()).await;
        }
        None => drop(send.reset(0_u8.into())),
    }
}

async fn find_answer(
    core: &Core,
    quic: &quinn::Connection,
    applications: &mpsc::Sender<Applicant>,
    mut recv: quinn::RecvStream,
) -> Option<Bytes> {
    let limit = in_time(REQUEST_LIMIT, quic.rtt());
    let read = timeout(limit, recv.read_to_end(MAX_REQUEST_BYTES));
    let bytes = read.await.ok()?.ok()?;
    let (reply, answered) = oneshot::channel();
    let applicant = Applicant {
        peer: peer_of(quic).ok(),
        public_key: pki::certificate::node(&leaf_of(quic))
            .ok()
            .and_then(|facts| facts.public_key),
        remote: canonical(quic.remote_address()),
        exporter: exporter(quic, &core.settings.join_exporter)?,
        bytes: bytes.into(),
        reply,
    };
    applications.try_send(applicant).ok()?;
    let answer = answered.await.ok()?;
    (answer.len() <= MAX_ANSWER_BYTES).then_some(answer)
}

/// What both ends of a TLS session know, and nobody else does.
pub(crate) fn exporter(quic: &quinn::Connection, label: &[u8]) -> Option<[u8; 32]> {
    let mut exporter = [0; 32];
    quic.export_keying_material(&mut exporter, label, &[])
        .ok()
        .map(|()| exporter)
}

impl endpoint::Endpoint {
    /// Begins a conversation about joining, or about the own certificate, with the node of that id at
    /// that address, from a fresh UDP port. Must be called within a tokio runtime, which drives it.
    ///
    /// # Errors
    /// Nobody answers, or whoever does refuses; an earlier version knows no such conversations.
    pub async fn apply(
        &self,
        address: SocketAddr,
        expect: [u8; 16],
    ) -> Result<Inquiry, InquiryError> {
        inquiry::begin(self.core(), About::Joining, address, expect).await
    }

    /// Puts the requests of those that want to join there from now on, and those of members about
    /// that. Before, and where there is no room, they get no answer.
    pub fn admit_by(&self, applications: mpsc::Sender<Applicant>) {
        self.core().admit_by(applications);
    }
}
