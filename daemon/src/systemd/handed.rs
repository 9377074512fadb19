//! Sockets that the service manager hands over at a start (sd_listen_fds(3)), and those that it holds
//! for the next start (`FDSTORE=1` of sd_pid_notify_with_fds(3)).
//!
//! A port that only the daemon has is free while it restarts: any user of the host could take it, and
//! with it what clients send there, or keep the node from starting. So the manager gets a copy of each
//! socket, closes it when the service has stopped for good, and hands it over when it starts again. A
//! socket unit would hold the port as well, but it starts a service that was stopped on purpose with
//! the first packet, and says once more what the configuration says.

use anyhow::{Context, bail};
use listenfd::ListenFd;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixDatagram, UnixListener};

/// What the manager holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// The TCP listener.
    Http,
    /// The UDP socket of nodes.
    Quic,
}

impl Held {
    /// Its name while the manager has it. No unit's name is like it.
    fn name(self) -> &'static str {
        match self {
            Self::Http => "muster-http-held",
            Self::Quic => "muster-quic-held",
        }
    }
}

const UNUSABLE: &str = "a socket of the service manager cannot be used";
/// The names of the sockets that were handed over, with colons between them.
const NAMES: &str = "LISTEN_FDNAMES";

/// The sockets that were handed over.
pub(crate) struct Handed {
    fds: ListenFd,
    names: Vec<String>,
}

/// The same by what they are for.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    /// For local clients.
    pub(crate) unix: Option<UnixListener>,
    /// A socket unit's TCP listener.
    pub(crate) tcp: Option<TcpListener>,
    /// The TCP listener that the daemon had before it restarted.
    pub(crate) held: Option<TcpListener>,
    /// The UDP socket that it had.
    pub(crate) quic: Option<UdpSocket>,
}

impl std::fmt::Debug for Handed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Handed").field(&self.names).finish()
    }
}

impl Handed {
    /// Takes them; at most once, and before any thread is started.
    pub(crate) fn take() -> Self {
        let names = std::env::var(NAMES).unwrap_or_default();
        Self {
            names: names.split(':').map(str::to_owned).collect(),
            fds: ListenFd::from_env(),
        }
    }

    /// What they are for.
    ///
    /// # Errors
    /// There is something else among them, or two of a kind.
    pub(crate) fn sockets(mut self) -> anyhow::Result<Sockets> {
        let mut sockets = Sockets::default();
        for index in 0..self.fds.len() {
            let name = self.names.get(index).map(String::as_str);
            let is = |held: Held| name == Some(held.name());
            let fds = &mut self.fds;
            if is(Held::Quic) {
                sockets.quic = fds.take_udp_socket(index).context(UNUSABLE)?;
            } else if is(Held::Http) {
                sockets.held = fds.take_tcp_listener(index).context(UNUSABLE)?;
            } else if let (None, Ok(Some(listener))) =
                (&sockets.unix, fds.take_unix_listener(index))
            {
                sockets.unix = Some(listener);
            } else if let (None, Ok(Some(listener))) = (&sockets.tcp, fds.take_tcp_listener(index))
            {
                sockets.tcp = Some(listener);
            } else {
                bail!(
                    "socket {index} of the service manager cannot be used: one unix stream \
                    socket and one TCP listener can"
                );
            }
        }
        let unix = sockets.unix.iter().map(|it| it.set_nonblocking(true));
        let tcp = sockets.tcp.iter().chain(&sockets.held);
        let tcp = tcp.map(|it| it.set_nonblocking(true));
        unix.chain(tcp)
            .collect::<io::Result<()>>()
            .context(UNUSABLE)?;
        Ok(sockets)
    }
}

/// Has the manager hold a socket until the service has stopped for good. What becomes of the socket
/// is no reason to close it earlier.
pub(crate) fn hold(held: Held, socket: &impl AsFd) {
    let state = format!("FDSTORE=1\nFDNAME={}\nFDPOLL=0", held.name());
    tell(&state, &[socket.as_fd()]);
}

/// Has the manager close what it holds.
pub(crate) fn let_go(held: Held) {
    tell(&format!("FDSTOREREMOVE=1\nFDNAME={}", held.name()), &[]);
}

fn tell(state: &str, sockets: &[BorrowedFd<'_>]) {
    if let Err(error) = send(state, sockets) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

/// Sends a state with sockets, if there is a manager.
fn send(state: &str, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return Ok(());
    };
    let manager = UnixDatagram::unbound()?;
    manager.connect(path)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(sockets));
    }
    let text = [IoSlice::new(state.as_bytes())];
    sendmsg(&manager, &text, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
