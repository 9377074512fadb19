//! The listeners of the client side: the unix socket and the TCP listener.

use crate::config::Config;
use crate::http::{Api, Gate, serve_tcp, serve_unix};
use crate::reload::InForce;
use crate::service::{Listening, Service, TcpListening};
use crate::systemd::Handed;
use anyhow::{Context, bail};
use rustix::fs::{Gid, Mode, chmod, chown};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

/// The group whose members may use the socket, where it exists and the configuration names no
/// other.
const GROUP: &str = "muster";

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
    pub(super) async fn bind(config: &Config, handed: Handed) -> anyhow::Result<Self> {
        let (unix, tcp) = handed.listeners()?;
        let (tcp, listening) = bind_tcp(config.http.listen, tcp).await?;
        let listening = Listening::new(listening);
        if let Some(unix) = unix {
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

/// What was handed over, or else a listener at the configured address.
async fn bind_tcp(
    configured: Option<SocketAddr>,
    handed: Option<std::net::TcpListener>,
) -> anyhow::Result<(Tcp, TcpListening)> {
    let bound = match (handed, configured) {
        (Some(tcp), _) => TcpListener::from_std(tcp)?,
        (None, None) => return Ok((Tcp::Unwanted, TcpListening::Unwanted)),
        (None, Some(address)) => match TcpListener::bind(address).await {
            Ok(tcp) => tcp,
            Err(error) => {
                tracing::warn!(
                    %address,
                    %error,
                    "the API is not served by TCP: [http] listen cannot be used; it is tried again"
                );
                let reason = error.to_string();
                return Ok((
                    Tcp::Failed(address),
                    TcpListening::Failed { address, reason },
                ));
            }
        },
    };
    let listening = TcpListening::At(bound.local_addr()?);
    Ok((Tcp::Bound(bound), listening))
}

/// Tries until the address can be listened at.
async fn bind_at_last(address: SocketAddr, listening: &Listening) -> TcpListener {
    loop {
        tokio::time::sleep(BIND_EACH).await;
        if let Ok(tcp) = TcpListener::bind(address).await {
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
    match group_id(group.unwrap_or(GROUP))? {
        // A service whose own group it is need not have the right to change it.
        Some(gid) if std::fs::metadata(path)?.gid() == gid.as_raw() => {}
        Some(gid) => chown(path, None, Some(gid)).context("the socket's group cannot be set")?,
        None => {
            if let Some(group) = group {
                bail!("[api] group = {group:?} is no group of this host");
            }
        }
    }
    chmod(path, Mode::from_raw_mode(0o660))?;
    Ok(listener)
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
