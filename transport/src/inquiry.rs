//! Inquiries: a node asks another one a few questions on a short connection that is used for
//! nothing else.
//!
//! It comes from a fresh UDP port. So its handshake shows what a firewall does with packets that
//! nobody has asked for, while those of a connection that stands pass as answers. It has an ALPN
//! name of its own: a peer that knows no inquiries refuses the handshake and nothing else, and by
//! that refusal is known to be reached. What questions and answers mean is not known here; each is
//! one bidirectional stream, the question first, to the end of its half.

use crate::connection::negotiated;
use crate::dial::leaf_of;
use crate::endpoint::{self, Core};
use crate::event::PeerName;
use crate::fault::{Socket, canonical};
use crate::refusal::{DialErrorKind, Failure, Verdict};
use crate::tls::About;
use bytes::Bytes;
use pki::certificate;
use quinn::{EndpointConfig, Runtime, TokioRuntime};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

/// The longest question, in bytes.
pub(crate) const MAX_QUESTION_BYTES: usize = 1 << 10;
/// The longest answer, in bytes.
pub(crate) const MAX_ANSWER_BYTES: usize = 16 << 10;
/// How many questions of one inquiry are answered at the same time.
const MAX_OPEN: u32 = 4;
/// How many inquiries are answered at the same time; others are turned away.
pub(crate) const MAX_INQUIRIES: usize = 16;
/// How long an inquiry may last on the side that answers.
const LIMIT: Duration = Duration::from_secs(15);
/// By how many round trips whatever takes a question and its answer may last longer on a link that is far.
const ROUND_TRIPS: u32 = 4;
/// No link is taken to be farther.
const FARTHEST: Duration = Duration::from_secs(15);
/// How many addresses of failed handshakes are kept.
const MAX_KNOCKS: usize = 256;

/// A question of a peer.
#[derive(Debug)]
pub struct Question {
    /// Who asks, by its certificate.
    pub peer: PeerName,
    /// From which address its packets come.
    pub from: IpAddr,
    /// The bytes of the question.
    pub bytes: Bytes,
    /// Takes the answer, of at most 16 KiB; without one the peer is told that there is none.
    pub reply: oneshot::Sender<Bytes>,
}

/// Why an inquiry, or a question of it, came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InquiryError {
    /// Whether anybody was there.
    pub kind: DialErrorKind,
    /// Whether the peer was there, but knows no inquiries.
    pub is_unknown: bool,
    /// In words.
    pub reason: String,
}

impl From<Failure> for InquiryError {
    fn from(failure: Failure) -> Self {
        Self {
            kind: failure.kind,
            is_unknown: failure.is_other_protocol(),
            reason: failure.reason,
        }
    }
}

/// How long something may take over a link of that round trip: `least` on one that is near.
pub(crate) fn in_time(least: Duration, round_trip: Duration) -> Duration {
    least + round_trip.min(FARTHEST) * ROUND_TRIPS
}

fn broken(error: impl std::fmt::Display) -> InquiryError {
    InquiryError {
        kind: DialErrorKind::Unreachable,
        is_unknown: false,
        reason: error.to_string(),
    }
}

/// A standing inquiry; it ends when this is dropped.
#[derive(Debug)]
pub struct Inquiry {
    quic: quinn::Connection,
    /// Drives the connection's socket as long as it is held.
    _endpoint: quinn::Endpoint,
    /// From the first packet to the end of the handshake.
    pub handshake: Duration,
    /// When the peer's certificate expires, in Unix seconds.
    pub certificate_expires_at: i64,
}

impl Inquiry {
    /// Asks; gives the answer and how long it took. `least` is the time that it has on a near link.
    ///
    /// # Errors
    /// The connection broke, or there is no answer within the time.
    pub async fn ask(
        &self,
        question: &[u8],
        least: Duration,
    ) -> Result<(Bytes, Duration), InquiryError> {
        let (asked, limit) = (Instant::now(), in_time(least, self.quic.rtt()));
        let exchange = async {
            let (mut send, mut recv) = self.quic.open_bi().await.map_err(broken)?;
            send.write_all(question).await.map_err(broken)?;
            send.finish().map_err(broken)?;
            recv.read_to_end(MAX_ANSWER_BYTES).await.map_err(broken)
        };
        let answer = timeout(limit, exchange)
            .await
            .map_err(|_| broken(format!("no answer within {} s", limit.as_secs_f32())))??;
        Ok((answer.into(), asked.elapsed()))
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        self.quic.close(0_u8.into(), b"the inquiry is over");
    }
}

/// Begins an inquiry with a node.
pub(crate) async fn begin(
    core: &Core,
    about: About,
    address: SocketAddr,
    expect: [u8; 16],
) -> Result<Inquiry, InquiryError> {
    let verdict = Verdict::default();
    let config = core
        .inquiry_config(about, expect, verdict.clone())
        .map_err(broken)?;
    let endpoint = fresh(core, address).map_err(broken)?;
    let begun = Instant::now();
    let connecting = endpoint
        .connect_with(config, address, crate::dial::SERVER_NAME)
        .map_err(broken)?;
    let limit = in_time(core.settings.inquiry_limit, core.round_trip(expect));
    let connected = timeout(limit, connecting).await;
    let quic =
        connected.map_err(|_| broken(format!("no answer within {} s", limit.as_secs_f32())))?;
    let quic = quic.map_err(|error| InquiryError::from(Failure::new(&error, &verdict)))?;
    let certificate_expires_at = certificate::node(&leaf_of(&quic))
        .map_err(broken)?
        .not_after;
    Ok(Inquiry {
        quic,
        _endpoint: endpoint,
        handshake: begun.elapsed(),
        certificate_expires_at,
    })
}

/// A socket of its own, from the address that the node listens on.
fn fresh(core: &Core, peer: SocketAddr) -> std::io::Result<quinn::Endpoint> {
    let ip = match (core.local.ip(), peer) {
        (ip, _) if !ip.is_unspecified() => ip,
        (_, SocketAddr::V4(_)) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        (_, SocketAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let runtime = Arc::new(TokioRuntime);
    let inner = runtime.wrap_udp_socket(UdpSocket::bind((ip, 0))?)?;
    let socket = Arc::new(Socket {
        inner,
        fault: core.fault().clone(),
        counters: core.counters.clone(),
    });
    quinn::Endpoint::new_with_abstract_socket(EndpointConfig::default(), None, socket, runtime)
}

/// Whether an accepted handshake was one for an inquiry.
pub(crate) fn is_one(core: &Core, quic: &quinn::Connection) -> bool {
    !core.settings.inquiry_alpn.is_empty() && negotiated(quic) == core.settings.inquiry_alpn
}

/// Answers what a peer asks, until it is over.
pub(crate) async fn serve(core: Arc<Core>, quic: quinn::Connection, peer: PeerName) {
    let Ok(_permit) = core.inquiries.clone().try_acquire_owned() else {
        return quic.close(0_u8.into(), b"too many inquiries at once");
    };
    quic.set_max_concurrent_bi_streams(MAX_OPEN.into());
    let serving = async {
        let asker = |from: SocketAddr| (peer.clone(), canonical(from).ip());
        while let Ok((send, recv)) = quic.accept_bi().await {
            let Some(questions) = core.questions() else {
                return quic.close(0_u8.into(), b"no questions are answered here");
            };
            let asker = asker(quic.remote_address());
            tokio::spawn(answer(questions, asker, send, recv));
        }
    };
    if timeout(in_time(LIMIT, quic.rtt()), serving).await.is_err() {
        quic.close(0_u8.into(), b"the inquiry took too long");
    }
}

/// A question without an answer is told by a stream that is reset: one that is dropped would end as
/// if the answer were empty.
async fn answer(
    questions: mpsc::Sender<Question>,
    asker: (PeerName, IpAddr),
    mut send: quinn::SendStream,
    recv: quinn::RecvStream,
) {
    match find_answer(&questions, asker, recv).await {
        Some(bytes) => {
            // The peer may have gone meanwhile.
            let _ = send.write_all(&bytes).await;
        }
        None => drop(send.reset(0_u8.into())),
    }
}

async fn find_answer(
    questions: &mpsc::Sender<Question>,
    (peer, from): (PeerName, IpAddr),
    mut recv: quinn::RecvStream,
) -> Option<Bytes> {
    let bytes = recv.read_to_end(MAX_QUESTION_BYTES).await.ok()?;
    let (reply, answered) = oneshot::channel();
    questions
        .try_send(Question {
            peer,
            from,
            bytes: bytes.into(),
            reply,
        })
        .ok()?;
    let answer = timeout(LIMIT, answered).await.ok()?.ok()?;
    (answer.len() <= MAX_ANSWER_BYTES).then_some(answer)
}

/// From where handshakes came that were never finished: packets from there arrive here, and ours
/// may not arrive there.
#[derive(Debug, Default)]
pub(crate) struct Knocks(BTreeMap<SocketAddr, Instant>);

impl Knocks {
    pub(crate) fn note(&mut self, from: SocketAddr) {
        let from = crate::fault::canonical(from);
        if self.0.len() >= MAX_KNOCKS && !self.0.contains_key(&from) {
            let oldest = self
                .0
                .iter()
                .min_by_key(|(_, at)| **at)
                .map(|(address, _)| *address);
            oldest.and_then(|address| self.0.remove(&address));
        }
        self.0.insert(from, Instant::now());
    }

    /// How long ago the last one came from there.
    pub(crate) fn since(&self, from: SocketAddr) -> Option<Duration> {
        self.0
            .get(&crate::fault::canonical(from))
            .map(Instant::elapsed)
    }
}

impl endpoint::Endpoint {
    /// Begins an inquiry with the node of that id at that address, from a fresh UDP port. Must be
    /// called within a tokio runtime, which drives it.
    ///
    /// # Errors
    /// Nobody answers, or whoever does refuses.
    pub async fn inquire(
        &self,
        address: SocketAddr,
        expect: [u8; 16],
    ) -> Result<Inquiry, InquiryError> {
        begin(self.core(), About::Inquiry, address, expect).await
    }

    /// Puts the questions of peers there from now on. Before, and where there is no room, they get
    /// no answer.
    pub fn answer_by(&self, questions: mpsc::Sender<Question>) {
        self.core().answer_by(questions);
    }

    /// How long ago a handshake from that address began last that was never finished; of the latest
    /// 256 such addresses.
    pub fn knocked(&self, address: SocketAddr) -> Option<Duration> {
        self.core().knocked(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_has_four_round_trips_more() {
        let (second, far) = (Duration::from_secs(1), Duration::from_millis(1_500));
        assert_eq!(in_time(second, Duration::ZERO), second);
        assert_eq!(in_time(second, far), Duration::from_secs(7));
        assert_eq!(in_time(second, Duration::MAX), second + FARTHEST * 4);
    }

    #[test]
    fn as_many_addresses_are_kept_as_there_is_room_for() {
        let mut knocks = Knocks::default();
        let address = |port: usize| SocketAddr::from(([10, 0, 0, 1], u16::try_from(port).unwrap()));
        (1..=MAX_KNOCKS + 10).for_each(|port| knocks.note(address(port)));
        assert_eq!(knocks.0.len(), MAX_KNOCKS);
        assert!(
            knocks.since(address(MAX_KNOCKS + 10)).is_some()
                && knocks.since(address(9999)).is_none()
        );
        let mapped = "[::ffff:10.0.0.1]:266".parse().unwrap();
        assert!(
            knocks.since(mapped).is_some(),
            "an IPv4 address is the same as a mapped one"
        );
    }
}
