//! The listeners of the client side: the unix socket and the TCP listener.

use crate::config::Config;
use crate::http::{Api, Gate, serve_tcp, serve_unix};
use crate::reload::InForce;
use crate::service::{Listening, Service, TcpListening};
use crate::systemd::{self, Held, Sockets};
use anyhow::{Context, bail};
use rustix::fs::{Gid, Mode, chmod, chown};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

/// The group whose members may use the socket, where it exists and the configuration names no
/// other.
const GROUP: &str = "muster";

/// How many packets are thrown away at a start.
const MAX_DRAINED: usize = 1 << 16;

/// How often a TCP listener that could not be bound is tried again.
const BIND_EACH: Duration = Duration::from_secs(5);

/// Bound, and not served yet.
pub(super) struct Listeners {
    socket: UnixListener,
    /// Removed at the end; not if the service manager made it.
    own: Option<PathBuf>,
    tcp: Tcp,
    listening: Listening,
}

/// The TCP listener.
enum Tcp {
    Unwanted,
    Bound(TcpListener),
    /// It is tried again while the rest of the node works: who takes the port during a restart must
    /// not keep the node from coming back.
    Failed(SocketAddr),
}

impl Listeners {
    /// Binds both. A socket that cannot be bound ends the start, a TCP listener is tried again.
    ///
    /// What the service manager has handed over is used instead; its permissions are the manager's
    /// affair.
    pub(super) async fn bind(config: &Config, sockets: Sockets) -> anyhow::Result<Self> {
        let (tcp, listening) = bind_tcp(config.http.listen, sockets.tcp, sockets.held).await?;
        let listening = Listening::new(listening);
        if let Some(unix) = sockets.unix {
            return Ok(Self {
                socket: UnixListener::from_std(unix)?,
                own: None,
                tcp,
                listening,
            });
        }
        let path = &config.api.socket;
        let socket = bind_socket(path, config.api.group.as_deref())
            .with_context(|| format!("[api] socket = {path:?} cannot be used"))?;
        Ok(Self {
            socket,
            own: Some(path.clone()),
            tcp,
            listening,
        })
    }

    /// Where the socket is, if its name is a path.
    pub(super) fn socket_path(&self) -> Option<PathBuf> {
        self.socket
            .local_addr()
            .ok()
            .and_then(|address| address.as_pathname().map(Path::to_path_buf))
    }

    /// What has become of the TCP listener.
    pub(super) fn listening(&self) -> Listening {
        self.listening.clone()
    }

    /// Serves both until `finished` turns true.
    pub(super) async fn serve(
        self,
        service: Service,
        in_force: InForce,
        finished: watch::Receiver<bool>,
    ) {
        let (api, gate) = (
            Api::new(service, in_force.policy),
            Gate::new(in_force.limits),
        );
        let tls = in_force.tls;
        let end = |mut finished: watch::Receiver<bool>| async move {
            // An error means that the sender is gone: the node has ended.
            let _ = finished.wait_for(|finished| *finished).await;
        };
        let unix = serve_unix(
            self.socket,
            api.socket_router(),
            gate.clone(),
            end(finished.clone()),
        );
        let tcp = async {
            let bound = match self.tcp {
                Tcp::Unwanted => None,
                Tcp::Bound(tcp) => Some(tcp),
                Tcp::Failed(address) => tokio::select! {
                    tcp = bind_at_last(address, &self.listening) => Some(tcp),
                    () = end(finished.clone()) => None,
                },
            };
            if let Some(tcp) = bound {
                serve_tcp(
                    tcp,
                    tls,
                    api.tcp_router(),
                    gate.clone(),
                    end(finished.clone()),
                )
                .await;
            }
        };
        tokio::join!(unix, tcp);
        let _ = self.own.map(std::fs::remove_file);
    }
}

/// What a socket unit has, else what was held since before the restart, else a listener at the
/// configured address, which is held from here on.
async fn bind_tcp(
    configured: Option<SocketAddr>,
    unit: Option<std::net::TcpListener>,
    held: Option<std::net::TcpListener>,
) -> anyhow::Result<(Tcp, TcpListening)> {
    let held = held
        .filter(|held| unit.is_none() && configured.is_some_and(|at| is_at(held.local_addr(), at)));
    if held.is_none() {
        systemd::let_go(Held::Http);
    }
    let Some(configured) = configured else {
        let unserved = unit.map(|unit| unit.local_addr()).transpose()?;
        let listening = unserved.map_or(TcpListening::Unwanted, TcpListening::Unserved);
        return Ok((Tcp::Unwanted, listening));
    };
    if let Some(unit) = unit {
        let at = unit.local_addr()?;
        let listening = if is_at(Ok(at), configured) {
            TcpListening::At(at)
        } else {
            TcpListening::Elsewhere { at, configured }
        };
        return Ok((Tcp::Bound(TcpListener::from_std(unit)?), listening));
    }
    if let Some(held) = held {
        let listening = TcpListening::At(held.local_addr()?);
        return Ok((Tcp::Bound(TcpListener::from_std(held)?), listening));
    }
    match TcpListener::bind(configured).await {
        Ok(tcp) => {
            systemd::hold(Held::Http, &tcp);
            let listening = TcpListening::At(tcp.local_addr()?);
            Ok((Tcp::Bound(tcp), listening))
        }
        Err(error) => {
            tracing::warn!(
                address = %configured,
                %error,
                "the API is not served by TCP: [http] listen cannot be used; it is tried again"
            );
            let reason = error.to_string();
            let listening = TcpListening::Failed {
                address: configured,
                reason,
            };
            Ok((Tcp::Failed(configured), listening))
        }
    }
}

/// Whether a socket is where the configuration wants it; port 0 is any.
fn is_at(socket: io::Result<SocketAddr>, configured: SocketAddr) -> bool {
    socket.is_ok_and(|at| at.ip() == configured.ip() && [0, at.port()].contains(&configured.port()))
}

/// The UDP socket of nodes: what was held since before the restart, else one at the configured
/// address, which is held from here on.
pub(super) fn bind_quic(
    configured: SocketAddr,
    held: Option<UdpSocket>,
) -> anyhow::Result<UdpSocket> {
    if let Some(held) = held.filter(|held| is_at(held.local_addr(), configured)) {
        drain(&held)?;
        return Ok(held);
    }
    systemd::let_go(Held::Quic);
    let socket = UdpSocket::bind(configured)
        .with_context(|| format!("cannot listen on UDP {configured}"))
        .with_context(|| format!("[quic] listen = \"{configured}\" cannot be used"))?;
    systemd::hold(Held::Quic, &socket);
    Ok(socket)
}

/// Throws away what came while nobody read: it is of connections that are gone.
fn drain(socket: &UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // More than a buffer holds: whoever sends as fast as this reads is not waited for.
    for _ in 0..MAX_DRAINED {
        if socket.recv_from(&mut [0]).is_err() {
            break;
        }
    }
    Ok(())
}

/// Tries until the address can be listened at.
async fn bind_at_last(address: SocketAddr, listening: &Listening) -> TcpListener {
    loop {
        tokio::time::sleep(BIND_EACH).await;
        if let Ok(tcp) = TcpListener::bind(address).await {
            systemd::hold(Held::Http, &tcp);
            let at = tcp.local_addr().unwrap_or(address);
            tracing::info!(address = %at, "the API is served by TCP");
            listening.set(TcpListening::At(at));
            return tcp;
        }
    }
}

/// The data directory's lock is held: a socket that is there is a leftover, unless another program
/// answers on it.
fn bind_socket(path: &Path, group: Option<&str>) -> anyhow::Result<UnixListener> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(|| {
            format!(
                "its directory {} cannot be \
            made",
                dir.display()
            )
        })?;
    }
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            bail!("a file that is no socket is in its place");
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            bail!("another program answers there");
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    match socket_group(group)? {
        // A service whose own group it is need not have the right to change it.
        Some(gid) if std::fs::metadata(path)?.gid() == gid.as_raw() => {}
        Some(gid) => chown(path, None, Some(gid)).context("the socket's group cannot be set")?,
        None => {}
    }
    chmod(path, Mode::from_raw_mode(0o660))?;
    Ok(listener)
}

/// The group that the socket is to have, if this host has it.
///
/// # Errors
/// The configuration names one that this host does not have.
pub(crate) fn socket_group(group: Option<&str>) -> anyhow::Result<Option<Gid>> {
    match (group_id(group.unwrap_or(GROUP))?, group) {
        (None, Some(group)) => bail!("[api] group = {group:?} is no group of this host"),
        (gid, _) => Ok(gid),
    }
}

fn group_id(name: &str) -> anyhow::Result<Option<Gid>> {
    let groups = std::fs::read_to_string("/etc/group").context("/etc/group cannot be read")?;
    let line = groups
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let gid = line.and_then(|rest| rest.split(':').nth(1)?.parse().ok());
    Ok(gid.map(Gid::from_raw))
}

/// How long open streams may hold up the end.
pub(super) const FAREWELL: Duration = Duration::from_millis(500);
