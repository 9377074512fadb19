//! TLS on the TCP listener: from a connection's first byte to its first request.

use crate::http::connections::serve::{Stream, Watched, dismiss};
use crate::http::problem::Problem;
use crate::metrics;
use crate::tls::Tls;
use tokio_rustls::server::TlsStream;

/// The type of the record with which a client begins a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// Makes the handshake; nothing if the client makes none. It has no deadline of its own: the time in
/// which the head of the first request must come counts from the connection's begin.
pub(super) async fn secure<S: Stream>(
    mut stream: Watched<S>,
    tls: &Tls,
) -> Option<TlsStream<Watched<S>>> {
    // A client that goes away without a word has asked for nothing.
    let first = stream.look_ahead().await.ok()?;
    if first != HANDSHAKE {
        metrics::handshake_failed();
        dismiss(stream, &no_tls()).await;
        return None;
    }
    let secured = tls.acceptor().accept(stream).await;
    secured
        .inspect_err(|error| {
            metrics::handshake_failed();
            tracing::debug!(%error, "a handshake with a client failed");
        })
        .ok()
}

/// For a browser or program that speaks plain HTTP here.
fn no_tls() -> Problem {
    Problem::malformed("this listener speaks TLS: ask it by https://")
}
