//! Two connections between the same two nodes, because both dialled: the one dialled by the smaller
//! id stays.
//!
//! Only the dialler of the other one closes it, so the two ends cannot each close one. It does so
//! when three things are so: the kept one stands at the peer as well (its greeting came: a dialler
//! may still give up after the handshake); it is alive (a stale one, from before the peer
//! restarted, looks just like it until it idles out); and no message has moved on the other for a
//! while, because a peer may send on it until it has seen the kept one.

use crate::connection::{CloseCode, Link};
use crate::endpoint::Core;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::sleep;

/// Closes `loser` when the time has come, or returns when either of the two ends by itself.
pub(crate) async fn retire(core: Arc<Core>, loser: Arc<Link>, kept: Arc<Link>) {
    loop {
        let before = (kept.packets_received(), loser.moved.load(Relaxed));
        kept.ping.notify_one();
        tokio::select! {
            _ = loser.quic.closed() => return,
            _ = kept.quic.closed() => return,
            () = sleep(quiet(&core, &kept)) => {}
        }
        let is_quiet = loser.moved.load(Relaxed) == before.1 && loser.is_idle();
        let is_alive = kept.greeted.load(Relaxed) && kept.packets_received() > before.0;
        if is_alive && is_quiet {
            break;
        }
    }
    core.counters.duplicates_closed.fetch_add(1, Relaxed);
    loser.close(
        &core,
        CloseCode::Duplicate,
        "the peer's own connection is used instead",
    );
}

/// How long the loser must be quiet: the peer may send on it until it has seen the kept one, and the
/// answer to a ping takes a round trip.
fn quiet(core: &Core, kept: &Link) -> Duration {
    core.settings.duplicate_quiet.max(kept.quic.rtt() * 3)
}
