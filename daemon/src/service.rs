//! The running node as the API sees it: ask the machines, read the view, follow what happens.

use crate::authority::Authority;
use crate::config::Config;
use crate::damage::Damages;
use crate::event::EventLog;
use crate::heal::Heals;
use crate::link::Link;
use crate::logging::Logging;
use crate::machines::{AskError, Inbox, ListsInbox, Shown, answer};
use crate::metrics::{self, Process, Snapshot, count};
use crate::process::{self, Expected, Host, Replica, Watcher};
use crate::reload::{self, Reloader};
use crate::systemd::Part;
use crate::tls::Tls;
use crate::tokens::Tokens;
use crdt::entry::Author;
use crdt::roster::Revocation;
use names::{ListId, ListName, NodeId, NodeName, ProcessName, Role};
use node::cluster::{self, MemberView, RosterView, Search};
use node::lists;
use node::machine::Ask;
use node::registry::{self, SessionId};
use node::wire::{ConnId, WriteError};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::time::{Instant, timeout_at};

/// How long a part may take to prove that it works, to somebody who asks whether the node is ready.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// What a node is, from its start to its end.
#[derive(Clone, Debug)]
pub struct NodeInfo {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: NodeName,
    /// What it is in its cluster.
    pub role: Role,
    /// The id of its cluster.
    pub cluster: [u8; 16],
    /// Where peers reached it at its start (QUIC).
    pub first_address: SocketAddr,
    /// Its process id.
    pub pid: u32,
    /// The version of the program.
    pub version: &'static str,
    /// The version of the wire protocol.
    pub protocol: u32,
    /// Whether the first version is spoken with members that know nothing newer.
    pub accepts_v1: bool,
    /// Milliseconds since the epoch.
    pub started_at: i64,
}

/// Everything a request can ask of this node. Clones share it.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) info: NodeInfo,
    pub(crate) shown: Shown,
    pub(crate) cluster: Inbox,
    pub(crate) workers: Vec<ListsInbox>,
    pub(crate) store: store::Store,
    pub(crate) reader: store::Reader,
    pub(crate) events: EventLog,
    pub(crate) heals: Heals,
    pub(crate) damages: Damages,
    pub(crate) replica: Replica,
    pub(crate) watcher: Watcher,
    pub(crate) host: Host,
    pub(crate) capacity: usize,
    pub(crate) changes: broadcast::Sender<Arc<lists::Change>>,
    pub(crate) endpoint: transport::Endpoint,
    pub(crate) tokens: Tokens,
    pub(crate) authority: Authority,
    pub(crate) trouble: Trouble,
    pub(crate) listening: Listening,
    pub(crate) tls: watch::Receiver<Option<Tls>>,
    pub(crate) dev_faults: bool,
    pub(crate) reloader: Reloader,
    pub(crate) logging: Logging,
    pub(crate) metrics: metrics_exporter_prometheus::PrometheusHandle,
}

/// What has become of the TCP listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TcpListening {
    /// The configuration wants none.
    Unwanted,
    At(SocketAddr),
    /// A socket unit handed it over at another address than the configuration names.
    Elsewhere {
        at: SocketAddr,
        configured: SocketAddr,
    },
    /// A socket unit handed it over, and the configuration wants none.
    Unserved(SocketAddr),
    /// It is tried again.
    Failed {
        address: SocketAddr,
        reason: String,
    },
}

/// What has become of the TCP listener by now. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Listening(Arc<Mutex<TcpListening>>);

impl Listening {
    pub(crate) fn new(now: TcpListening) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    pub(crate) fn set(&self, now: TcpListening) {
        *self.0.lock() = now;
    }

    pub(crate) fn now(&self) -> TcpListening {
        self.0.lock().clone()
    }

    /// Where it is, if it is served.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match *self.0.lock() {
            TcpListening::At(at) | TcpListening::Elsewhere { at, .. } => Some(at),
            TcpListening::Unwanted | TcpListening::Unserved(_) | TcpListening::Failed { .. } => {
                None
            }
        }
    }
}

/// What the store suffers from now, if anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<WriteError>>>);

impl Trouble {
    pub(crate) fn set(&self, trouble: Option<WriteError>) {
        *self.0.lock() = trouble;
    }

    pub(crate) fn now(&self) -> Option<WriteError> {
        *self.0.lock()
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("info", &self.inner.info)
            .finish_non_exhaustive()
    }
}

impl Service {
    pub(crate) fn new(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// What this node is.
    pub fn info(&self) -> &NodeInfo {
        &self.inner.info
    }

    /// The cluster as this node sees it now.
    pub fn view(&self) -> Arc<RosterView> {
        Arc::clone(&self.inner.shown.views.borrow())
    }

    /// The same, for those who want to know when it changes.
    pub fn views(&self) -> watch::Receiver<Arc<RosterView>> {
        self.inner.shown.views.clone()
    }

    /// Where peers are told to reach this node now (QUIC).
    pub fn address(&self) -> SocketAddr {
        let view = self.view();
        let me = view.member(view.me);
        me.map_or(self.info().first_address, |me| me.profile.address)
    }

    /// The store's view of all lists.
    pub fn reader(&self) -> &store::Reader {
        &self.inner.reader
    }

    /// What happened and happens.
    pub fn events(&self) -> &EventLog {
        &self.inner.events
    }

    /// What this node saw of past heals.
    pub(crate) fn heals(&self) -> &Heals {
        &self.inner.heals
    }

    /// The store itself, for what no row says.
    pub(crate) fn store(&self) -> &store::Store {
        &self.inner.store
    }

    /// What is known of damage of the disk.
    pub(crate) fn damages(&self) -> &Damages {
        &self.inner.damages
    }

    /// Offers changes that were found behind damage to the machine of their list.
    pub(crate) fn salvage(&self, list: &ListName, changes: Vec<bytes::Bytes>) {
        let shard = ListId::of(list).shard();
        let owner = self.inner.workers.iter().find(|worker| worker.owns(shard));
        if let Some(owner) = owner {
            owner.salvaged(list.clone(), changes);
        }
    }

    /// The registered processes of all nodes, as this node knows them.
    pub(crate) fn processes(&self) -> &Replica {
        &self.inner.replica
    }

    /// The host's own processes.
    pub(crate) fn host(&self) -> Host {
        self.inner.host
    }

    /// A client's connection has closed to which registrations are bound.
    pub(crate) fn session_ended(&self, session: SessionId) {
        self.inner
            .cluster
            .registry(registry::Input::SessionEnded { session });
    }

    /// Changes of lists as they become durable here, with the entries that they touched.
    pub fn list_changes(&self) -> broadcast::Receiver<Arc<lists::Change>> {
        self.inner.changes.subscribe()
    }

    /// The round trip to the peer of a connection, as QUIC measures it.
    pub fn rtt(&self, conn: ConnId) -> Option<Duration> {
        self.inner.endpoint.rtt(conn.0)
    }

    /// What is known of the link to a member: by the connection that stands, else what was measured last.
    pub(crate) fn link(&self, member: &MemberView) -> Link {
        let conn = member.conn.filter(|_| member.state.is_reachable());
        let stats = conn.and_then(|conn| self.inner.endpoint.connection_stats(conn.0));
        let measured_last = Link {
            round_trip: member.last_round_trip,
            ..Link::default()
        };
        stats.map_or(measured_last, |stats| Link::of(&stats))
    }

    /// The links to all other members.
    fn links(&self) -> BTreeMap<NodeId, Link> {
        let view = self.view();
        let others = view.members.iter().filter(|member| member.id != view.me);
        others
            .map(|member| (member.id, self.link(member)))
            .collect()
    }

    /// The authorities that are withdrawn, by key, then the nodes that are shut out, by id.
    pub(crate) fn revocations(&self) -> Arc<[Revocation]> {
        self.inner.shown.revoked.borrow().clone()
    }

    /// Whom this node looks for and has not found since its start.
    pub(crate) fn search(&self) -> Arc<Search> {
        Arc::clone(&self.inner.shown.search.borrow())
    }

    /// The QUIC endpoint.
    pub(crate) fn endpoint(&self) -> &transport::Endpoint {
        &self.inner.endpoint
    }

    /// The configuration as of the last reload.
    pub(crate) async fn config(&self) -> Config {
        self.inner.reloader.latest().await
    }

    /// The keys whose values in the files are not in force; reads the files.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub(crate) async fn pending(&self) -> anyhow::Result<Vec<String>> {
        self.inner.reloader.pending().await
    }

    /// The means to drop packets on purpose; only in a daemon started with `--dev-faults`.
    pub fn faults(&self) -> Option<&transport::Fault> {
        self.inner.dev_faults.then(|| self.inner.endpoint.fault())
    }

    /// The tokens by which programs use the API by TCP.
    pub fn tokens(&self) -> &Tokens {
        &self.inner.tokens
    }

    /// Who is invited, and the key that signs for them; also on nodes that have none.
    pub(crate) fn authority(&self) -> &Authority {
        &self.inner.authority
    }

    /// What the store suffers from now, if anything.
    pub(crate) fn trouble(&self) -> Option<WriteError> {
        self.inner.trouble.now()
    }

    /// The TCP listener of the API.
    pub(crate) fn listening(&self) -> &Listening {
        &self.inner.listening
    }

    /// When the certificate of the TCP listener expires, in Unix seconds; `None` while it speaks plain
    /// HTTP.
    pub(crate) fn tls_not_after(&self) -> Option<i64> {
        self.inner.tls.borrow().as_ref().map(Tls::not_after)
    }

    /// Where the TCP listener is for a browser or program, if it is served: with the scheme.
    pub(crate) fn http_url(&self) -> Option<String> {
        let address = self.listening().address()?;
        Some(format!("{}://{address}", self.scheme()))
    }

    /// The scheme of the TCP listener's addresses.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.is_tls() { "https" } else { "http" }
    }

    /// Whether the TCP listener speaks TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.inner.tls.borrow().is_some()
    }

    /// Why this node cannot do its work now, in words; empty when it can. Its parts get a moment to
    /// prove that they work.
    pub(crate) async fn not_ready(&self) -> Vec<String> {
        let silent = self.silent(READY_WITHIN).await;
        let silent = silent.into_iter().map(|part| {
            format!(
                "{part} does not answer within {} \
            s",
                READY_WITHIN.as_secs()
            )
        });
        self.unready().into_iter().chain(silent).collect()
    }

    /// What is known to be wrong without asking anybody, in words; empty when nothing is.
    pub fn unready(&self) -> Vec<String> {
        let store = self.inner.trouble.now().map(|error| {
            format!(
                "the store takes no writes: \
            {error}"
            )
        });
        let remaking: u64 = self
            .inner
            .workers
            .iter()
            .map(|worker| worker.stats().remaking_awaited)
            .sum();
        let remaking =
            (remaking > 0).then(|| format!("what is shown of {remaking} lists is being rebuilt"));
        let lonely = self.search().lonely();
        store.into_iter().chain(remaking).chain(lonely).collect()
    }

    /// Reads the configuration and the certificates again, and puts in force what needs no restart.
    ///
    /// # Errors
    /// What is wrong with them, in words; then nothing was changed.
    pub(crate) async fn reload(&self) -> anyhow::Result<reload::Outcome> {
        self.inner.reloader.reload().await
    }

    /// Acts with another certificate of this node from now on.
    ///
    /// # Errors
    /// It is another node's; then nothing was changed.
    pub(crate) fn recertify(&self, identity: pki::Identity) -> Result<(), transport::ReloadError> {
        self.inner.reloader.identities().replace(identity)
    }

    /// The log, as it can be changed while the node runs.
    pub(crate) fn logging(&self) -> &Logging {
        &self.inner.logging
    }

    /// How many lists this node has.
    pub(crate) fn known_lists(&self) -> u64 {
        self.inner
            .workers
            .iter()
            .map(|worker| worker.stats().lists)
            .sum()
    }

    /// Those of the node's threads that do not answer within that time.
    async fn silent(&self, limit: Duration) -> Vec<&'static str> {
        let deadline = Instant::now() + limit;
        let ask = |part: Part| {
            let (tell, told) = oneshot::channel();
            // Nobody waits any more if it comes too late.
            part.call(Box::new(move || {
                let _ = tell.send(());
            }));
            (part.name(), told)
        };
        let asked: Vec<_> = self.parts().into_iter().map(ask).collect();
        let mut silent = Vec::new();
        for (part, told) in asked {
            if !matches!(timeout_at(deadline, told).await, Ok(Ok(()))) {
                silent.push(part);
            }
        }
        silent.dedup();
        silent
    }

    /// The threads that must not stand still, with a way to call something on each.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let (cluster, store) = (self.inner.cluster.clone(), self.inner.store.clone());
        let workers = self.inner.workers.iter().cloned();
        let lists =
            workers.map(|worker| Part::new("lists", move |call| worker.mailbox().call(call)));
        let others = [
            Part::new("cluster", move |call| cluster.call(call)),
            Part::new("store", move |call| store.call(call)),
        ];
        others.into_iter().chain(lists).collect()
    }

    /// The recorder of metrics.
    pub(crate) fn recorder(&self) -> metrics_exporter_prometheus::PrometheusHandle {
        self.inner.metrics.clone()
    }

    /// The numbers of all parts now, as the metrics show them.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let node = &self.inner;
        let tokens = node.tokens.good();
        Snapshot {
            cluster: node.cluster.stats(),
            views: self.view(),
            links: self.links(),
            search: self.search(),
            lists: node
                .workers
                .iter()
                .map(ListsInbox::stats)
                .fold(lists::Stats::default(), metrics::sum),
            store: node.store.stats(),
            damages: node.damages.known(),
            writable: node.trouble.now().is_none(),
            transport: node.endpoint.stats(),
            watcher: node.watcher.stats(),
            capacity: count(node.capacity),
            monitors: count(node.replica.monitors()),
            happened: node.replica.events(),
            tls_not_after: self.tls_not_after(),
            tokens: tokens
                .map(|(scope, number)| (scope.as_str(), count(number) as f64))
                .to_vec(),
            accepts_v1: node.info.accepts_v1,
            left_out: node.logging.limiter.left_out(),
            process: Process::read(),
            started_at: node.info.started_at,
        }
    }

    /// What the service manager shows of this node: `5 of 5 members, 132 lists, whole`.
    pub(crate) fn status_line(&self) -> String {
        let view = self.view();
        let expected = view.expected().count();
        let reachable = view
            .expected()
            .filter(|member| member.id == view.me || member.state.is_reachable())
            .count();
        let mut line = format!(
            "{reachable} of {expected} members{}, {} lists, {}",
            match view.away().count() {
                0 => String::new(),
                away => format!(", {away} away"),
            },
            self.known_lists(),
            view.verdict.as_str()
        );
        for reason in self.unready() {
            line += "; ";
            line += &reason;
        }
        line
    }

    /// All metrics in Prometheus' text format. `configured` are the names that some process should have.
    pub fn metrics(&self, configured: &[ProcessName]) -> String {
        let expected = self.expected(configured);
        metrics::render(&self.inner.metrics, &self.snapshot(), &expected)
    }

    /// The processes that should be there: those of `configured`, and those that have failed.
    pub(crate) fn expected(&self, configured: &[ProcessName]) -> BTreeMap<ProcessName, Expected> {
        process::expected(&self.inner.replica, configured, &self.view())
    }

    /// Asks the machine that owns a list.
    ///
    /// # Errors
    /// The machine's refusal, or [`lists::Refusal::Busy`] when the node is stopping.
    pub(crate) async fn ask_owner<A: ListsAsk>(
        &self,
        list: ListId,
        by: Author,
        ask: A,
    ) -> Result<A::Answer, AskError<lists::Refusal>> {
        let workers = &self.inner.workers;
        let owner = workers
            .iter()
            .find(|worker| worker.owns(list.shard()))
            .ok_or(lists::Refusal::Busy)?;
        ask_worker(owner, by, ask).await
    }

    /// Asks all lists machines, for no person: what each answers.
    ///
    /// # Errors
    /// The refusal of one, or [`lists::Refusal::Busy`] when the node is stopping.
    pub(crate) async fn ask_all<A: ListsAsk + Clone>(
        &self,
        ask: A,
    ) -> Result<Vec<A::Answer>, AskError<lists::Refusal>> {
        let workers = &self.inner.workers;
        let asked = workers
            .iter()
            .map(|worker| ask_worker(worker, Author(String::new()), ask.clone()));
        futures_util::future::try_join_all(asked).await
    }

    /// Asks the cluster machine.
    ///
    /// # Errors
    /// The machine's refusal, or [`cluster::Refusal::Stopping`] when the node is stopping.
    pub(crate) async fn ask_cluster<A: ClusterAsk>(
        &self,
        ask: A,
    ) -> Result<A::Answer, AskError<cluster::Refusal>> {
        let outcome = self.inner.cluster.ask(ask.into());
        answer::<A, _>(outcome, cluster::Refusal::Stopping).await
    }
}

/// A question to a lists machine.
pub(crate) trait ListsAsk: Ask<Command = lists::Command, Reply = lists::Reply> {}
impl<A: Ask<Command = lists::Command, Reply = lists::Reply>> ListsAsk for A {}

/// A question to the cluster machine.
pub(crate) trait ClusterAsk:
    Ask<Command = cluster::Command, Reply = cluster::Reply>
{
}
impl<A: Ask<Command = cluster::Command, Reply = cluster::Reply>> ClusterAsk for A {}

async fn ask_worker<A: ListsAsk>(
    worker: &ListsInbox,
    by: Author,
    ask: A,
) -> Result<A::Answer, AskError<lists::Refusal>> {
    let outcome = worker.mailbox().ask((by, ask.into()));
    answer::<A, _>(outcome, lists::Refusal::Busy).await
}
