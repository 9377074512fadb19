//! The service manager: sockets that it hands over and holds, what it is told, and the watchdog.
//!
//! All of it does nothing where there is no manager: `$LISTEN_FDS`, `$NOTIFY_SOCKET` and
//! `$WATCHDOG_USEC` are how it makes itself known (sd_listen_fds(3), sd_notify(3),
//! sd_watchdog_enabled(3)).

mod handed;
mod watchdog;

pub(crate) use handed::{Handed, Held, Sockets, hold, let_go};
pub(crate) use watchdog::{Part, Watchdog};

use node::cluster::RosterView;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the status line is made anew when nothing happens to the cluster.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// The node serves its clients.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The start has to wait for something, for at most that long until this is told again.
pub(crate) fn waiting(reason: &str, at_most: Duration) {
    let micros = u32::try_from(at_most.as_micros()).unwrap_or(u32::MAX);
    let status = format!("waiting: {reason}");
    tell(&[
        NotifyState::Status(&status),
        NotifyState::ExtendTimeoutUsec(micros),
    ]);
}

/// The node is about to end.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The configuration is being reloaded, until this is dropped.
pub(crate) struct Reloading(());

impl Reloading {
    pub(crate) fn begin() -> Self {
        // Without the time, a manager that asked for the reload by a signal would not know which
        // one this is about.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
        Self(())
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        ready();
    }
}

/// Keeps the manager's status line true: makes it anew whenever the cluster changes, and now and then.
pub(crate) async fn tell_status(
    mut views: watch::Receiver<Arc<RosterView>>,
    status: impl Fn() -> String,
) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let mut told = String::new();
    loop {
        let status = status();
        if status != told {
            tell(&[NotifyState::Status(&status)]);
            told = status;
        }
        if let Ok(Err(_)) = tokio::time::timeout(STATUS_EVERY, views.changed()).await {
            return;
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}
