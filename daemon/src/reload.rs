//! Reading the configuration again while the node runs.
//!
//! All or nothing: first everything is read and checked, then what can change without a restart is
//! put in force. What cannot is named, at every reload until the restart. Flags and environment
//! stay those of the start.

use crate::config::{self, Applies, Config, Source, Start};
use crate::host::accounts::unknown_users;
use crate::logging::Level;
use crate::machines::Identities;
use crate::metrics;
use crate::systemd;
use crate::tls::Tls;
use anyhow::{Context, bail};
use names::ProcessName;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};

/// What of the configuration the client side follows while it runs.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    pub(crate) policy: watch::Receiver<Arc<Policy>>,
    pub(crate) limits: watch::Receiver<Limits>,
    /// `None` while the TCP listener speaks plain HTTP.
    pub(crate) tls: watch::Receiver<Option<Tls>>,
}

/// Who may do what, and where the TCP listener may be reached: from the configuration.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Users (by name or uid) that may change the node and the cluster, besides root and the
    /// daemon's own.
    pub admins: Vec<String>,
    /// Names besides `localhost` and the listener's address by which browsers may reach the TCP
    /// listener.
    pub hosts: Vec<String>,
    /// Whether the TCP listener serves the two routes of the example in *Elixir in Action* to anyone.
    pub open: bool,
    /// Whether the TCP listener takes tokens from the network without TLS.
    pub plain_tokens: bool,
    /// How many bytes each user may write into lists within a day.
    pub written_per_user: u64,
    /// Names that some process should have at any time.
    pub expected: Vec<ProcessName>,
}

/// Bounds on the clients of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all, on the socket and by TCP.
    pub connections: usize,
    /// Connections of one user on the socket. All of one address on TCP may have half of
    /// `connections`.
    pub connections_per_user: usize,
    /// Streams of one user or address.
    pub streams_per_user: usize,
    /// How long a client may take to send a request's head.
    pub head: Duration,
    /// How long a client may take to send a request's body.
    pub body: Duration,
    /// How long a connection may be idle between requests.
    pub idle: Duration,
    /// How long a client may leave an answer unread. Streams wait longer: they end when too much is
    /// waiting.
    pub unread: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_user: 128,
            streams_per_user: 64,
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            unread: Duration::from_secs(30),
        }
    }
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Keys whose new values are in force.
    pub(crate) applied: Vec<String>,
    /// Keys whose new values count only after a restart.
    pub(crate) restart: Vec<String>,
    /// When the certificate, which was read again, expires; Unix seconds.
    pub(crate) certificate_expires: i64,
}

/// Named as applied when what lies there has changed, and not the key itself.
const CERTIFICATE: &str = "http.tls_cert";

/// Reloads, one after the other.
pub(crate) struct Reloader {
    source: Source,
    level: Level,
    identities: Identities,
    policy: watch::Sender<Arc<Policy>>,
    limits: watch::Sender<Limits>,
    tls: watch::Sender<Option<Tls>>,
    /// The node's since its start.
    started: Config,
    /// As of the last reload.
    latest: Mutex<Config>,
}

impl Reloader {
    pub(crate) fn identities(&self) -> &Identities {
        &self.identities
    }

    pub(crate) fn new(
        source: Source,
        level: Level,
        identities: Identities,
        started: Config,
        tls: Option<Tls>,
    ) -> (Self, InForce) {
        let (policy, limits, tls) = (
            watch::channel(Arc::new(policy(&started))),
            watch::channel(limits(&started)),
            watch::channel(tls),
        );
        let in_force = InForce {
            policy: policy.1,
            limits: limits.1,
            tls: tls.1,
        };
        let latest = Mutex::new(started.clone());
        (
            Self {
                source,
                level,
                identities,
                policy: policy.0,
                limits: limits.0,
                tls: tls.0,
                started,
                latest,
            },
            in_force,
        )
    }

    /// The configuration as of the last reload.
    pub(crate) async fn latest(&self) -> Config {
        self.latest.lock().await.clone()
    }

    /// What a reload would find, with nothing changed: keys that differ from what is in force.
    ///
    /// # Errors
    /// What is wrong with the configuration or the certificates.
    pub(crate) async fn pending(&self) -> anyhow::Result<Vec<String>> {
        let source = self.source.clone();
        let (new, ..) = tokio::task::spawn_blocking(move || read(&source))
            .await
            .context("reading was cut short")??;
        let mut keys = config::changed(&*self.latest.lock().await, &new, Applies::AtReload);
        keys.extend(config::changed(&self.started, &new, Applies::AtRestart));
        Ok(keys)
    }

    /// Reloads.
    ///
    /// # Errors
    /// What is wrong with the configuration or the certificates; then nothing was changed.
    pub(crate) async fn reload(&self) -> anyhow::Result<Outcome> {
        let outcome = self.try_to().await;
        metrics::reloaded(outcome.as_ref().ok().map(|outcome| outcome.restart.len()));
        outcome
    }

    async fn try_to(&self) -> anyhow::Result<Outcome> {
        let mut latest = self.latest.lock().await;
        // Says that it is over when it is dropped, however it ends.
        let _told = systemd::Reloading::begin();
        let source = self.source.clone();
        // Files, and perhaps the resolver.
        let (new, identity, tls) = tokio::task::spawn_blocking(move || read(&source))
            .await
            .context("reading was cut short")??;
        let certificate_expires = identity.not_after();
        self.identities.replace(identity)?;
        let mut applied = config::changed(&latest, &new, Applies::AtReload);
        if self.is_renewed(tls.as_ref()) && !applied.iter().any(|key| key == CERTIFICATE) {
            applied.push(CERTIFICATE.to_owned());
        }
        self.tls.send_replace(tls);
        let restart = config::changed(&self.started, &new, Applies::AtRestart);
        if latest.log.level != new.log.level {
            self.level.configure(&new.log.level);
        }
        self.policy.send_replace(Arc::new(policy(&new)));
        // How many connections there may be decides at the start how many processes can be
        // registered beside them.
        self.limits.send_replace(Limits {
            connections: self.started.limits.connections,
            ..limits(&new)
        });
        *latest = new;
        tracing::info!(
            applied = applied.join(" "),
            restart = restart.join(" "),
            "the configuration was reloaded"
        );
        Ok(Outcome {
            applied,
            restart,
            certificate_expires,
        })
    }

    /// Whether other certificates lie where the TCP listener's are.
    fn is_renewed(&self, read: Option<&Tls>) -> bool {
        match (&*self.tls.borrow(), read) {
            (Some(used), Some(read)) => !used.is_same(read),
            (Some(_) | None, _) => false,
        }
    }
}

fn read(source: &Source) -> anyhow::Result<(Config, pki::Identity, Option<Tls>)> {
    let Start::Run(config) = source.load()? else {
        bail!("the command line asks for no node")
    };
    let (identity, tls) = certificates(&config)?;
    Ok((*config, identity, tls))
}

/// The node's certificate and that of the TCP listener, from the files that the configuration names.
///
/// # Errors
/// They cannot be used.
pub(crate) fn certificates(config: &Config) -> anyhow::Result<(pki::Identity, Option<Tls>)> {
    let identity = pki::Identity::load(&config.tls.ca, &config.tls.cert, &config.tls.key)?;
    let tls = Tls::load(&config.http)?;
    Ok((identity, tls))
}

fn policy(config: &Config) -> Policy {
    for user in unknown_users(&config.api.admins) {
        tracing::warn!(user, "a user in [api] admins is not known on this host");
    }
    Policy {
        admins: config.api.admins.clone(),
        hosts: config.http.hosts.clone(),
        open: config.http.open,
        plain_tokens: config.http.plain_tokens,
        written_per_user: u64::try_from(config.limits.written_per_uid).unwrap_or(u64::MAX),
        expected: config.processes.expect.clone(),
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        connections: config.limits.connections,
        connections_per_user: config.limits.connections_per_uid,
        streams_per_user: config.limits.streams_per_uid,
        head: config.limits.header_timeout,
        body: config.limits.body_timeout,
        ..Limits::default()
    }
}
