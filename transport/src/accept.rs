//! Incoming connections: the limits before the handshake, and the handshake.

use crate::admission;
use crate::connection::CloseCode;
use crate::dial::peer_of;
use crate::endpoint::Core;
use crate::inquiry;
use crate::places::Place;
use crate::refusal::{DialErrorKind, Failure, Verdict};
use quinn::Incoming;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::time::timeout;
use tracing::{debug, info};

/// What those read that showed no certificate where one is needed.
const NO_CERTIFICATE: &[u8] = b"it got no certificate from this node";

/// Accepts until the endpoint is closed.
pub(crate) async fn run(core: Arc<Core>) {
    while let Some(incoming) = core.quic.accept().await {
        if let Some((incoming, place)) = admit(&core, incoming) {
            core.runtime.spawn(handshake(core.clone(), incoming, place));
        }
    }
}

/// Turns a caller away when too many are there; when it gets crowded, callers must first prove that
/// they own their address (RFC 9000, section 8.1.2), which forged ones cannot.
fn admit(core: &Core, incoming: Incoming) -> Option<(Incoming, Place)> {
    let is_full = core.connections() >= core.settings.max_connections;
    let place = core.handshakes.take(incoming.remote_address());
    let (Some(place), false) = (place, is_full) else {
        core.counters.refused_limit.fetch_add(1, Relaxed);
        incoming.refuse();
        return None;
    };
    if core.handshakes.are_crowded() && incoming.may_retry() {
        let _ = incoming.retry();
        return None;
    }
    Some((incoming, place))
}

async fn handshake(core: Arc<Core>, incoming: Incoming, place: Place) {
    let remote = incoming.remote_address();
    let verdict = Verdict::default();
    let accepted = timeout(core.settings.accept_limit, shake(&core, incoming, &verdict)).await;
    match accepted.unwrap_or_else(|_| Err(Failure::unreachable("the handshake took too long"))) {
        Ok(quic) => {
            drop(place);
            serve(core, quic).await;
        }
        Err(failure) => failed(&core, remote, &failure),
    }
}

/// Goes on with a handshake that is finished. TLS has judged the other end's certificate if it showed
/// one; those that showed none may join, and nothing else: not a byte of theirs is read.
async fn serve(core: Arc<Core>, quic: quinn::Connection) {
    if admission::is_one(&core, &quic) {
        return admission::serve(core, quic).await;
    }
    match peer_of(&quic) {
        Ok(peer) if inquiry::is_one(&core, &quic) => inquiry::serve(core, quic, peer).await,
        Ok(peer) => core.adopt(quic, peer, None, None),
        Err(failure) => {
            quic.close(CloseCode::Violation.into(), NO_CERTIFICATE);
            failed(&core, quic.remote_address(), &failure);
        }
    }
}

fn failed(core: &Core, remote: SocketAddr, failure: &Failure) {
    failure.count(&core.counters);
    if failure.kind == DialErrorKind::Unreachable {
        core.knock(remote);
    }
    let reason = &failure.reason;
    debug!(%remote, reason, "an incoming handshake failed");
    if failure.kind == DialErrorKind::Refused
        && let Some(times) = core.note_refusal(&remote.ip().to_string())
    {
        info!(%remote, reason, times, "a connection was refused");
    }
}

async fn shake(
    core: &Core,
    incoming: Incoming,
    verdict: &Verdict,
) -> Result<quinn::Connection, Failure> {
    let config = core
        .server_config(verdict.clone())
        .map_err(|error| Failure::unreachable(error.to_string()))?;
    let connecting = incoming
        .accept_with(Arc::new(config))
        .map_err(|error| Failure::new(&error, verdict))?;
    connecting
        .await
        .map_err(|error| Failure::new(&error, verdict))
}
