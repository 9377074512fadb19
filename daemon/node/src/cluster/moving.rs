//! This node's own address changes.
//!
//! It says so in its line with the next serial, at once to all that it is connected to, and takes
//! the next generation of SWIM, so that what is still said of it at the old address is about an
//! older one. A host whose addresses flap does that once in [`PAUSE`].

use super::edge::Timer;
use super::swim::Identity;
use super::{Cluster, Phase};
use crate::time::Instant;
use foca::Identity as _;
use std::net::SocketAddr;
use std::time::Duration;

/// The least time between two changes.
const PAUSE: Duration = Duration::from_secs(10);

/// When the address has changed, and what it is to be next.
#[derive(Debug, Default)]
pub(super) struct Moves {
    last: Option<Instant>,
    wanted: Option<SocketAddr>,
}

impl Cluster {
    /// Others reach this node at that address from now on.
    pub(super) fn moved(&mut self, to: SocketAddr) {
        if matches!(self.phase, Phase::Going(_) | Phase::Stopped) {
            return;
        }
        let is_scheduled = self.moves.wanted.replace(to).is_some();
        let now = self.edge.instant();
        let passed = self.moves.last.map(|last| now.since(last));
        match passed.and_then(|passed| PAUSE.checked_sub(passed)) {
            Some(left) if !left.is_zero() => {
                if !is_scheduled {
                    self.edge.after(left, Timer::Move);
                }
            }
            // What this node was at its start is on its way to the disk.
            Some(_) | None if self.phase == Phase::Starting => {}
            Some(_) | None => self.move_on(),
        }
    }

    /// Says the address that is wanted, if it is another one than before.
    pub(super) fn move_on(&mut self) {
        let from = self.roster.own().profile.address;
        let Some(to) = self.moves.wanted.take().filter(|to| *to != from) else {
            return;
        };
        tracing::info!(%from, %to, "this node's address has changed");
        self.moves.last = Some(self.edge.instant());
        self.roster.set_address(to);
        // After four thousand million renewals there is none: then the next run tells the address.
        if let Some(next) = self.swim.identity().renew() {
            let identity = Identity { addr: to, ..next };
            self.swim.become_identity(&mut self.edge, identity);
        }
        self.roster
            .speak(self.roster.run(self.me.id), self.own_standing());
        self.roster_changed(&[self.me.id]);
        self.broadcast_line(self.me.id);
    }
}
