//! The start of a node, its threads, and its end.
//!
//! | thread | runs |
//! | --- | --- |
//! | `cluster` | the cluster machine and QUIC's driver, on a runtime of their own |
//! | `lists-N` | one lists machine each, for its share of the shards |
//! | `commit` | the store's group commit |
//! | `events`, `heals` | write the events and the reports of heals to the disk |
//! | `processes` | the pidfds of registered processes |
//! | `addresses` | the kernel's news of addresses and routes, where this node's own address is not configured |
//! | `api-N` | HTTP, on another runtime; its blocking threads run the lists machines' jobs |

mod ending;
mod listen;
mod waiting;

use crate::admission;
use crate::advertise::{Advertised, Chooser};
use crate::authority::{Authority, Revoked};
use crate::config::{Config, Source};
use crate::damage::Damages;
use crate::event::{EventLog, Keeper, Past};
use crate::heal::{self, Heals};
use crate::host::{Clock, random, wall_ms};
use crate::inquiry;
use crate::logging::Logging;
use crate::machines::{Certified, Identities, ListsInbox, cluster, lists};
use crate::metrics;
use crate::process::{self, Host, Replica};
use crate::reload::{InForce, Reloader};
use crate::renewal;
use crate::salvage;
use crate::service::{Inner, NodeInfo, Service, Trouble};
use crate::systemd::{self, Handed, Watchdog};
use crate::tls::Tls;
use crate::tokens::Tokens;
use anyhow::Context;
use crdt::roster::Profile;
use ending::{end_with_parent, signals};
pub(crate) use listen::socket_group;
use listen::{Listeners, bind_quic};
use names::{NodeId, NodeName, Shard};
use node::cluster::{Kept, StopReason};
use node::proof::Proofs;
use node::registry::Rows;
use node::wire::{Channel, Peer, Protocol, WriteError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use store::{Notice, Recovered, Store};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// How many lists machines share out the shards: one constant, which neither the wire nor the store
/// knows.
const WORKERS: u8 = 2;

/// How many changes of lists a watcher may be behind.
const CHANGES_KEPT: usize = 10_000;

/// What a node was started with besides its configuration.
#[derive(Debug)]
pub(crate) struct Origin {
    /// Where the configuration can be reloaded from.
    pub(crate) source: Source,
    /// The log's.
    pub(crate) logging: Logging,
    /// Sockets of the service manager.
    pub(crate) handed: Handed,
}

/// Runs a node until it is told to end.
///
/// # Errors
/// Whatever keeps it from starting, in one sentence.
pub(crate) fn node(config: Config, origin: Origin) -> anyhow::Result<StopReason> {
    let identity = waiting::identity(&config)?;
    let me = Peer {
        id: NodeId(identity.id()),
        name: NodeName::new(identity.name())?,
        role: identity.role(),
    };
    let chooser = Chooser::of(&config.quic);
    let chosen = chooser.map(|chooser| (waiting::until(|| chooser.begin()), chooser));
    let advertised = Advertised::new(config.quic.advertise, chosen);
    let (notices, noticed) = std::sync::mpsc::channel();
    let tell = move |notice| drop(notices.send(notice));
    let data_dir = config.data_dir.clone();
    let past = std::thread::spawn(move || Past::read(&data_dir));
    let (store, recovered) = Store::open(&config.data_dir, tell, metrics::synced)?;
    store.claim(me.id)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("api")
        .enable_all()
        .build()?;
    let started = u64::try_from(wall_ms()).unwrap_or_default();
    let events = EventLog::new(past.join().unwrap_or_default(), started);
    let keeper = Keeper::start(&events, &config.data_dir)?;
    let clock = Clock::new();
    let reported = heal::Past::read(&config.data_dir);
    let heals = Heals::new(&me.name, reported, clock);
    let heal_keeper = heal::Keeper::start(&heals, &config.data_dir)?;
    let node = Node {
        config,
        advertised,
        me,
        store,
        recovered,
        run: 0,
        events,
        heals,
        clock,
        runtime,
    };
    let reason = node.run(identity, noticed, origin);
    keeper.stop();
    heal_keeper.stop();
    reason
}

/// What a start needs, together.
struct Node {
    config: Config,
    advertised: Advertised,
    me: Peer,
    store: Store,
    recovered: Recovered,
    /// The run in which it starts.
    run: u64,
    events: EventLog,
    heals: Heals,
    clock: Clock,
    runtime: tokio::runtime::Runtime,
}

impl Node {
    fn run(
        mut self,
        identity: pki::Identity,
        noticed: std::sync::mpsc::Receiver<Notice>,
        origin: Origin,
    ) -> anyhow::Result<StopReason> {
        let (events, replica) = (self.events.clone(), Replica::default());
        let host = Host::read().context("the host's boot id cannot be read")?;
        let capacity = process::capacity(self.config.limits.connections);
        let changes = broadcast::channel(CHANGES_KEPT).0;
        let (shows, shown) = cluster::shown(&self.me);
        let (stopped, stop) = oneshot::channel();
        let workers: Vec<(ListsInbox, lists::Inputs)> =
            shares(WORKERS).into_iter().map(ListsInbox::new).collect();
        let wires = self.wires(&workers, (&replica, host), shows, stopped);
        let mut sockets = origin.handed.sockets()?;
        let quic = bind_quic(self.config.quic.listen, sockets.quic.take())?;
        let cluster::Started {
            inbox,
            endpoint,
            watcher,
            identities,
        } = cluster::start(
            (quic, self.transport_settings()),
            identity,
            self.cluster_settings(capacity)?,
            wires,
        )?;
        let workers =
            self.start_workers(workers, &identities, (&inbox, &endpoint, &events, &changes))?;
        let (advertised, cluster) = (self.advertised.clone(), inbox.clone());
        advertised.follow(endpoint.local_addr(), move |to| cluster.moved(to))?;
        let trouble = watch_store(noticed, workers.clone());
        let listeners = self
            .runtime
            .block_on(Listeners::bind(&self.config, sockets))?;
        let (reloader, in_force) = self.reloader(origin.source, &origin.logging, identities)?;
        let authority = self.authority(shown.revoked.clone())?;
        let service = Service::new(Inner {
            info: self.info(&endpoint),
            shown,
            cluster: inbox,
            workers,
            reader: self.store.reader(),
            store: self.store.clone(),
            events,
            heals: self.heals.clone(),
            damages: Damages::default(),
            replica,
            watcher,
            host,
            capacity,
            changes,
            endpoint: endpoint.clone(),
            tokens: Tokens::load(self.store.clone())?,
            authority,
            trouble,
            listening: listeners.listening(),
            tls: in_force.tls.clone(),
            dev_faults: self.config.dev_faults,
            reloader,
            logging: origin.logging,
            metrics: metrics::install()?,
        });
        let reason = self.serve(service, listeners, in_force, stop);
        self.end(&endpoint);
        reason
    }

    /// Where the cluster machine's outputs go.
    fn wires(
        &self,
        workers: &[(ListsInbox, lists::Inputs)],
        (replica, host): (&Replica, Host),
        shows: cluster::Shows,
        stopped: oneshot::Sender<StopReason>,
    ) -> cluster::Wires {
        cluster::Wires {
            store: self.store.clone(),
            workers: workers.iter().map(|(inbox, _)| inbox.clone()).collect(),
            events: self.events.clone(),
            heals: self.heals.clone(),
            replica: replica.clone(),
            host,
            shows,
            stopped,
            blocked: self.config.dev_block.clone(),
            clock: self.clock,
        }
    }

    /// Ends what runs, the disk last.
    fn end(self, endpoint: &transport::Endpoint) {
        self.runtime.block_on(endpoint.shutdown());
        self.runtime
            .shutdown_timeout(std::time::Duration::from_secs(1));
        self.store.close();
    }

    /// Its authority, if it has one.
    fn authority(&self, revoked: Revoked) -> anyhow::Result<Authority> {
        let authority = Authority::load(&self.config.data_dir, revoked);
        authority.with_context(|| self.unreadable("its authority"))
    }

    /// What follows the configuration while the node runs.
    fn reloader(
        &self,
        source: Source,
        logging: &Logging,
        identities: Identities,
    ) -> anyhow::Result<(Reloader, InForce)> {
        let (config, tls) = (self.config.clone(), Tls::load(&self.config.http)?);
        Ok(Reloader::new(
            source,
            logging.level.clone(),
            identities,
            config,
            tls,
        ))
    }

    /// What the node tells of itself for as long as it runs.
    fn info(&self, endpoint: &transport::Endpoint) -> NodeInfo {
        NodeInfo {
            id: self.me.id,
            name: self.me.name.clone(),
            cluster: endpoint.identity().cluster(),
            first_address: self.advertised.first(endpoint.local_addr()),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION"),
            protocol: Protocol::newest().0,
            role: self.me.role,
            accepts_v1: self.config.cluster.accept_v1,
            started_at: wall_ms(),
        }
    }

    fn serve(
        &self,
        service: Service,
        listeners: Listeners,
        in_force: InForce,
        stop: oneshot::Receiver<StopReason>,
    ) -> anyhow::Result<StopReason> {
        let (finish, finished) = watch::channel(false);
        let config = &self.config;
        self.runtime.block_on(async {
            let asked = tokio::spawn(signals(service.clone()));
            let (questions, asked_by_peers) = mpsc::channel(inquiry::WAITING);
            service.endpoint().answer_by(questions);
            let answering = tokio::spawn(inquiry::answer(service.clone(), asked_by_peers));
            let (applicants, applying) = mpsc::channel(admission::WAITING);
            service.endpoint().admit_by(applicants);
            let admitting = tokio::spawn(admission::answer(service.clone(), applying));
            let upkeep = tokio::spawn(metrics::upkeep(service.recorder()));
            let renewing = tokio::spawn(renewal::keep_up(service.clone()));
            let salvaging = tokio::spawn(salvage::keep_up(service.clone()));
            let parent = config
                .parent_pipe
                .then(|| tokio::spawn(end_with_parent(service.clone())));
            let watchdog = Watchdog::start(service.parts(), listeners.socket_path());
            let status = tokio::spawn(systemd::tell_status(service.views(), {
                let service = service.clone();
                move || service.status_line()
            }));
            salvage::begin(&service).await;
            tell_ready(&service, listeners.socket_path());
            tokio::spawn(service.logging().limiter.clone().tell());
            let serving = tokio::spawn(listeners.serve(service, in_force, finished));
            systemd::ready();
            let reason = stop.await.context("the cluster thread ended unexpectedly");
            systemd::stopping();
            drop(watchdog);
            status.abort();
            let _ = finish.send(true);
            // Streams that clients keep open must not hold up the end.
            let _ = tokio::time::timeout(listen::FAREWELL, serving).await;
            asked.abort();
            upkeep.abort();
            salvaging.abort();
            answering.abort();
            admitting.abort();
            renewing.abort();
            parent.inspect(tokio::task::JoinHandle::abort);
            reason
        })
    }

    fn transport_settings(&self) -> transport::Settings {
        let inquiry_alpn = node::inquiry::ALPN.to_vec();
        let join_alpn = node::admission::ALPN.to_vec();
        let usual = transport::Settings::new(
            self.config.quic.listen,
            Protocol::spoken(self.config.cluster.accept_v1).map(Protocol::alpn),
        );
        transport::Settings {
            inquiry_alpn,
            join_alpn,
            join_exporter: node::admission::EXPORTER.to_vec(),
            channels: Channel::COUNT,
            urgent_channels: Channel::URGENT,
            ..usual
        }
    }

    fn cluster_settings(
        &mut self,
        capacity: usize,
    ) -> anyhow::Result<
        impl FnOnce(SocketAddr, Certified) -> node::cluster::Settings + Send + 'static,
    > {
        let (nonce, seed) = (random()?, random()?);
        let me = self.me.clone();
        let kept = self.recovered.cluster.take();
        let kept = kept.as_ref().map(Kept::read).transpose();
        let kept = kept.with_context(|| self.unreadable("the state of the cluster"))?;
        let kept = kept.unwrap_or_default();
        self.run = kept.next_run();
        let rows = Rows::read(&std::mem::take(&mut self.recovered.processes));
        let (advertised, seeds) = (self.advertised.clone(), self.config.quic.seeds.clone());
        let registry = node::registry::Settings {
            kept: rows.with_context(|| self.unreadable("the process registry"))?,
            capacity,
            names_per_uid: self.config.limits.names_per_uid,
            kill_after: self.config.processes.kill_after,
        };
        let pace = self.config.cluster.pace;
        let accept_v1 = Protocol::is_v1_spoken(self.config.cluster.accept_v1);
        let mut tags = self.config.node.tags.clone();
        tags.sort();
        tags.dedup();
        Ok(move |local: SocketAddr, proofs: Certified| {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let profile = Profile {
                name: me.name.clone(),
                address: advertised.first(local),
                version,
                tags,
            };
            node::cluster::Settings {
                me,
                profile,
                seeds,
                kept,
                nonce,
                seed,
                proofs: Arc::new(proofs),
                accept_v1,
                pace,
                registry,
            }
        })
    }

    /// Begins the sentence of a row that this program cannot do without.
    fn unreadable(&self, what: &str) -> String {
        format!(
            "the data directory {} cannot be used: {what} cannot be read",
            self.config.data_dir.display()
        )
    }

    fn start_workers(
        &mut self,
        workers: Vec<(ListsInbox, lists::Inputs)>,
        identities: &Identities,
        (cluster, endpoint, events, changes): (
            &cluster::Inbox,
            &transport::Endpoint,
            &EventLog,
            &broadcast::Sender<Arc<node::lists::Change>>,
        ),
    ) -> anyhow::Result<Vec<ListsInbox>> {
        let mut inboxes = Vec::new();
        let proofs = Arc::new(Certified(Arc::clone(&identities.proofs)));
        let salt = random()?;
        for (inbox, inputs) in workers {
            let mine = |list: &names::ListId| inbox.owns(list.shard());
            let settings = node::lists::Settings {
                me: self.me.id,
                shards: inbox.shards(),
                salt,
                run: self.run,
                proofs: Arc::clone(&proofs) as Arc<dyn Proofs>,
                salts: self.recovered.salts.clone(),
                seed: random()?,
                resident_bytes: self.config.limits.resident_bytes / usize::from(WORKERS),
                known: self
                    .recovered
                    .lists
                    .iter()
                    .filter(|(list, _)| mine(list))
                    .copied()
                    .collect(),
                compares_numbers: Protocol::spoken(self.config.cluster.accept_v1)
                    .any(|spoken| spoken < Protocol::PROVED),
                takes_unsigned: self.config.cluster.accept_unsigned
                    || Protocol::is_v1_spoken(self.config.cluster.accept_v1),
                quarantined: self
                    .recovered
                    .quarantined
                    .iter()
                    .filter(|list| mine(list))
                    .copied()
                    .collect(),
                remake: self
                    .recovered
                    .remake
                    .iter()
                    .filter(|(list, _)| mine(list))
                    .copied()
                    .collect(),
            };
            let wires = lists::Wires {
                inbox: inbox.clone(),
                cluster: cluster.clone(),
                store: self.store.clone(),
                epoch: self.recovered.epoch,
                endpoint: endpoint.clone(),
                events: events.clone(),
                heals: self.heals.clone(),
                changes: changes.clone(),
                blocking: self.runtime.handle().clone(),
                clock: self.clock,
            };
            lists::start(settings, inputs, wires)?;
            inboxes.push(inbox);
        }
        Ok(inboxes)
    }
}

fn tell_ready(service: &Service, socket: Option<PathBuf>) {
    let info = service.info();
    let http = service
        .listening()
        .address()
        .map_or_else(|| "none".to_owned(), |http| http.to_string());
    let socket = socket
        .map(|socket| socket.display().to_string())
        .unwrap_or_default();
    let lists = service.known_lists();
    tracing::info!(node = %info.name, version = info.version, address = %service.address(), http, socket, lists, "the node is ready");
}

/// All 256 shards in `workers` runs of about equal length.
fn shares(workers: u8) -> Vec<(Shard, Shard)> {
    let bound = |n: u16| n * 256 / u16::from(workers);
    let byte = |n: u16| u8::try_from(n).unwrap_or(u8::MAX);
    (0..u16::from(workers))
        .map(|n| (Shard(byte(bound(n))), Shard(byte(bound(n + 1) - 1))))
        .collect()
}

/// Tells the machines and the readiness check, by what is given back, what becomes of the store.
fn watch_store(noticed: std::sync::mpsc::Receiver<Notice>, workers: Vec<ListsInbox>) -> Trouble {
    let trouble = Trouble::default();
    let told = trouble.clone();
    let on_notice = move |notice| match notice {
        Notice::Failed(error) => {
            tracing::error!(
                %error,
                "a commit failed; writes are refused until the store is reopened"
            );
            told.set(Some(error));
        }
        Notice::Reopened(recovered) => match random() {
            Ok(salt) => {
                tracing::warn!(
                    lists = recovered.lists.len(),
                    "the store was reopened and takes \
                    writes again"
                );
                workers
                    .iter()
                    .for_each(|worker| worker.reopened(salt, &recovered));
                told.set(None);
            }
            Err(error) => {
                tracing::error!(%error, "the store was reopened, but writes stay refused");
                told.set(Some(WriteError::Failed));
            }
        },
    };
    std::thread::spawn(move || noticed.into_iter().for_each(on_notice));
    trouble
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_has_one_owner() {
        for workers in [1, 2, 3, 7, 255] {
            let shares = shares(workers);
            assert_eq!(shares.len(), usize::from(workers));
            let owned: Vec<u8> = shares
                .iter()
                .flat_map(|(first, last)| first.0..=last.0)
                .collect();
            assert_eq!(owned, (0..=255).collect::<Vec<u8>>(), "{workers}");
        }
    }
}
