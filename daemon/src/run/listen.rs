//! The listeners of the client side: the unix socket and the TCP listener.

use crate::config::Config;
use crate::http::{Api, Gate, serve_tcp, serve_unix};
use crate::reload::InForce;
use crate::service::Service;
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

/// Bound, and not served yet.
pub(super) struct Listeners {
    socket: UnixListener,
    /// Removed at the end; not if the service manager made it.
    own: Option<PathBuf>,
    tcp: Option<TcpListener>,
}

impl Listeners {
    /// Binds both, so that a mistake in their addresses ends the start.
    ///
    /// What the service manager has handed over is used instead; its permissions are the manager's
    /// affair.
    pub(super) async fn bind(config: &Config, handed: Handed) -> anyhow::Result<Self> {
        let (unix, tcp) = handed.listeners()?;
        let tcp = match (tcp, config.http.listen) {
            (Some(tcp), _) => Some(TcpListener::from_std(tcp)?),
            (None, Some(address)) => {
                let refused = || format!("[http] listen = \"{address}\" cannot be used");
                Some(TcpListener::bind(address).await.with_context(refused)?)
            }
            (None, None) => None,
        };
        if let Some(unix) = unix {
            return Ok(Self {
                socket: UnixListener::from_std(unix)?,
                own: None,
                tcp,
            });
        }
        let path = &config.api.socket;
        let socket = bind_socket(path, config.api.group.as_deref())
            .with_context(|| format!("[api] socket = {path:?} cannot be used"))?;
        Ok(Self {
            socket,
            own: Some(path.clone()),
            tcp,
        })
    }

    /// Where the socket is, if its name is a path.
    pub(super) fn socket_path(&self) -> Option<PathBuf> {
        self.socket
            .local_addr()
            .ok()
            .and_then(|address| address.as_pathname().map(Path::to_path_buf))
    }

    /// Where the TCP listener is, if there is one.
    pub(super) fn http(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|tcp| tcp.local_addr().ok())
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
        match self.tcp {
            Some(tcp) => drop(tokio::join!(
                unix,
                serve_tcp(tcp, api.tcp_router(), gate, end(finished))
            )),
            None => unix.await,
        }
        let _ = self.own.map(std::fs::remove_file);
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
