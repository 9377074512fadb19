//! What a call of foca leaves behind, until the caller carries it on.

use super::{Identity, Timer};
use bytes::Bytes;
use foca::Notification;
use std::collections::VecDeque;
use std::time::Duration;

/// What foca wants done, in the order in which it says so.
#[derive(Default)]
pub(super) struct Sink {
    pub(super) packets: VecDeque<(Identity, Bytes)>,
    pub(super) timers: Vec<(Duration, Timer)>,
    pub(super) rejoins: u64,
    pub(super) downs: u64,
}

impl foca::Runtime<Identity> for Sink {
    fn notify(&mut self, notification: Notification<'_, Identity>) {
        match notification {
            Notification::Rejoin(_) => self.rejoins += 1,
            Notification::MemberDown(_) => self.downs += 1,
            Notification::MemberUp(_)
            | Notification::Rename(..)
            | Notification::Active
            | Notification::Idle
            | Notification::Defunct => {}
        }
    }

    fn send_to(&mut self, to: Identity, data: &[u8]) {
        self.packets.push_back((to, Bytes::copy_from_slice(data)));
    }

    /// This node probes by itself (`prober`), so foca's own probing never begins.
    fn submit_after(&mut self, timer: Timer, after: Duration) {
        if !matches!(timer, Timer::ProbeRandomMember(_)) {
            self.timers.push((after, timer));
        }
    }
}
