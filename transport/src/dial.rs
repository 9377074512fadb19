//! Dialling: from a name to a connection whose both ends accepted each other.

use crate::endpoint::Core;
use crate::event::{Event, PeerName};
use crate::refusal::{DialErrorKind, Failure, Refusal, Verdict};
use pki::certificate;
use quinn::RecvStream;
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info};

/// How many of a name's addresses are tried.
const MAX_ADDRESSES: usize = 4;
/// How long an address is tried alone before the next one joins in (RFC 8305 calls it the
/// connection attempt delay).
const HEAD_START: Duration = Duration::from_millis(250);
/// QUIC wants a server name; nodes are known by the ids in their certificates, so it is neither
/// sent nor checked.
pub(crate) const SERVER_NAME: &str = "node.muster";

/// How much time an attempt to dial gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the begin of the dial to its failure, including the resolution of the name.
    pub limit: Duration,
    /// The round trip there, if it is known: until it is measured anew, what is lost is sent again by it.
    pub round_trip: Option<Duration>,
}

impl Default for Patience {
    /// Enough for any link.
    fn default() -> Self {
        Self {
            limit: Duration::from_secs(15),
            round_trip: None,
        }
    }
}

/// Who is to answer, if only one may, and how far away.
type Expected = (Option<[u8; 16]>, Option<Duration>);

/// A peer that accepted us.
struct Answer {
    quic: quinn::Connection,
    peer: PeerName,
    /// Its first stream: the sign that it has judged our certificate.
    welcome: RecvStream,
}

/// Dials once and tells how it went, within the limit; or until nobody waits for it any more, of which `end`
/// tells.
pub(crate) async fn run(
    core: Arc<Core>,
    (dial, end): (u64, oneshot::Receiver<()>),
    target: String,
    expect: Option<[u8; 16]>,
    patience: Patience,
) {
    core.counters.dials.fetch_add(1, Relaxed);
    let attempted = tokio::select! {
        attempted = attempt(&core, &target, expect, patience) => Some(attempted),
        _ = end => None,
    };
    core.dials.lock().remove(&dial);
    match attempted {
        Some(Ok(answer)) => core.adopt(answer.quic, answer.peer, Some(dial), Some(answer.welcome)),
        Some(Err(failure)) => {
            note(&core, &target, &failure);
            tell(&core, dial, failure).await;
        }
        None => tell(&core, dial, Failure::unreachable("given up")).await,
    }
}

/// Counts a failure, and logs it.
fn note(core: &Core, target: &str, failure: &Failure) {
    if failure.kind != DialErrorKind::Itself {
        core.counters.dial_failures.fetch_add(1, Relaxed);
    }
    let reason = &failure.reason;
    debug!(target, reason, "a dial failed");
    if failure.kind == DialErrorKind::Refused
        && let Some(times) = core.note_refusal(target)
    {
        info!(target, reason, times, "a dial was refused");
    }
}

async fn tell(core: &Core, dial: u64, failure: Failure) {
    if let Some(outboxes) = core.outboxes() {
        let event = Event::DialFailed {
            dial,
            kind: failure.kind,
            reason: failure.reason,
        };
        outboxes.urgent.deliver(event).await;
    }
}

async fn attempt(
    core: &Arc<Core>,
    target: &str,
    expect: Option<[u8; 16]>,
    patience: Patience,
) -> Result<Answer, Failure> {
    let limit = patience.limit;
    let deadline = Instant::now() + limit;
    let late = || Failure::unreachable(format!("no answer within {} s", limit.as_secs_f32()));
    let resolved = timeout_at(deadline, lookup_host(target))
        .await
        .map_err(|_| late())?;
    let resolved = resolved
        .map_err(|error| Failure::unreachable(format!("cannot resolve the name: {error}")))?;
    let addresses: Vec<_> = resolved
        .filter(|address| core.can_reach(*address))
        .take(MAX_ADDRESSES)
        .collect();
    if addresses.is_empty() {
        return Err(Failure::unreachable(format!(
            "the name has no address that a socket on {} can \
            reach",
            core.local.ip()
        )));
    }
    race(core, addresses, (expect, patience.round_trip), deadline)
        .await
        .unwrap_or_else(|| Err(late()))
}

/// Tries the addresses one after the other with a head start each; the first answer wins. `None` at
/// the deadline.
async fn race(
    core: &Arc<Core>,
    addresses: Vec<SocketAddr>,
    whom: Expected,
    deadline: Instant,
) -> Option<Result<Answer, Failure>> {
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failure: Option<Failure> = None;
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(handshake(core.clone(), address, whom));
        }
        let until = if waiting.len() > 0 {
            deadline.min(Instant::now() + HEAD_START)
        } else {
            deadline
        };
        match timeout_at(until, attempts.join_next()).await {
            Ok(Some(Ok(Ok(answer)))) => return Some(Ok(answer)),
            Ok(Some(Ok(Err(next)))) => failure = Some(worse(failure, next)),
            Ok(Some(Err(_))) => {}
            Ok(None) => return failure.map(Err),
            Err(_) if Instant::now() >= deadline => return failure.map(Err),
            Err(_) => {}
        }
    }
}

/// A refusal says more than silence at another address. That a name is this node's own is true only
/// where all its addresses are.
fn worse(one: Option<Failure>, other: Failure) -> Failure {
    match (one, other.kind) {
        (Some(one), _) if one.kind == DialErrorKind::Refused => one,
        (Some(one), DialErrorKind::Itself) => one,
        (_, _) => other,
    }
}

async fn handshake(
    core: Arc<Core>,
    address: SocketAddr,
    whom: Expected,
) -> Result<Answer, Failure> {
    let verdict = Verdict::default();
    let answer = shake(&core, address, whom, &verdict).await;
    if let Err(failure) = &answer {
        failure.count(&core.counters);
    }
    answer
}

async fn shake(
    core: &Core,
    address: SocketAddr,
    (expect, round_trip): Expected,
    verdict: &Verdict,
) -> Result<Answer, Failure> {
    let config = core
        .client_config(expect, round_trip, verdict.clone())
        .map_err(|error| Failure::unreachable(error.to_string()))?;
    let connecting = core.quic.connect_with(config, address, SERVER_NAME);
    let connecting = connecting.map_err(|error| Failure::unreachable(error.to_string()))?;
    let quic = connecting
        .await
        .map_err(|error| Failure::new(&error, verdict))?;
    let peer = peer_of(&quic)?;
    let welcome = quic
        .accept_uni()
        .await
        .map_err(|error| Failure::new(&error, verdict))?;
    Ok(Answer {
        quic,
        peer,
        welcome,
    })
}

/// Who is at the other end, by the certificate that the handshake has already judged.
pub(crate) fn peer_of(quic: &quinn::Connection) -> Result<PeerName, Failure> {
    let leaf = leaf_of(quic);
    if leaf.is_empty() {
        return Err(Refusal::NoCertificate.into());
    }
    let facts = certificate::node(&leaf).map_err(Refusal::Certificate)?;
    Ok(PeerName {
        id: facts.id,
        name: facts.name,
        role: facts.role,
    })
}

/// The certificate of the other end; empty where there is none.
pub(crate) fn leaf_of(quic: &quinn::Connection) -> CertificateDer<'static> {
    let first = chain_of(quic).into_iter().next();
    first.unwrap_or_else(|| CertificateDer::from(Vec::new()))
}

/// The certificates that the other end has shown, its own first.
pub(crate) fn chain_of(quic: &quinn::Connection) -> Vec<CertificateDer<'static>> {
    let chain = quic
        .peer_identity()
        .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
    chain.map(|chain| *chain).unwrap_or_default()
}
