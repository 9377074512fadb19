//! The service manager: sockets that it hands over, what it is told, and the watchdog.
//!
//! All of it does nothing where there is no manager: `$LISTEN_FDS`, `$NOTIFY_SOCKET` and
//! `$WATCHDOG_USEC` are how it makes itself known (sd_listen_fds(3), sd_notify(3),
//! sd_watchdog_enabled(3)).

mod watchdog;

pub(crate) use watchdog::{Part, Watchdog};

use anyhow::{Context, bail};
use listenfd::ListenFd;
use node::cluster::RosterView;
use sd_notify::NotifyState;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the status line is made anew when nothing happens to the cluster.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// The sockets that were handed over.
pub(crate) struct Handed(ListenFd);

impl std::fmt::Debug for Handed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Handed").field(&self.0.len()).finish()
    }
}

impl Handed {
    /// Takes them; at most once, and before any thread is started.
    pub(crate) fn take() -> Self {
        Self(ListenFd::from_env())
    }

    /// The unix socket and the TCP listener among them.
    ///
    /// # Errors
    /// There is something else, or two of a kind.
    pub(crate) fn listeners(
        mut self,
    ) -> anyhow::Result<(Option<UnixListener>, Option<TcpListener>)> {
        let (mut unix, mut tcp) = (None, None);
        for index in 0..self.0.len() {
            if let (None, Ok(Some(listener))) = (&unix, self.0.take_unix_listener(index)) {
                listener.set_nonblocking(true).context(
                    "a socket of the service manager cannot be \
                    used",
                )?;
                unix = Some(listener);
            } else if let (None, Ok(Some(listener))) = (&tcp, self.0.take_tcp_listener(index)) {
                listener.set_nonblocking(true).context(
                    "a socket of the service manager cannot be \
                    used",
                )?;
                tcp = Some(listener);
            } else {
                bail!(
                    "socket {index} of the service manager cannot be used: one unix stream \
                    socket and one TCP listener can"
                );
            }
        }
        Ok((unix, tcp))
    }
}

/// The node serves its clients.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
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
