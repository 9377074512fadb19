//! The HTTP API: the contract with clients, on a unix socket and in small part on a TCP listener.
//!
//! Reads go to the store's view on the spot; everything else is asked of the [`Service`]. Errors
//! are problems (RFC 9457), parameters and bodies are read strictly, and every list of things comes
//! in pages.
//!
//! | part | is |
//! | --- | --- |
//! | [`socket_router`](Api::socket_router), [`tcp_router`](Api::tcp_router) | what is served where |
//! | [`Gate`], [`serve_unix`], [`serve_tcp`] | connections and their bounds |
//! | `connections` | who calls, the bounds, and what protects the TCP listener from web pages |
//! | `node`, `cluster`, `authority`, `lists`, `processes`, `tokens`, `streams`, `operations` | the calls, a folder for each kind of path, with what is read and written for it |
//! | `query`, `json`, `path`, `page`, `time`, `problem` | how all requests are read and answers written |
//! | `assets` | the page in the browser |
//!
//! ```text
//! let api = Api::new(service, policy);                    // inside a tokio runtime
//! serve_unix(listener, api.socket_router(), gate, shutdown).await;
//! ```

mod assets;
mod authority;
mod away;
mod backup;
mod cluster;
mod connections;
mod damage;
mod heals;
mod json;
mod lists;
mod node;
mod observer;
mod operations;
mod page;
mod path;
mod problem;
mod processes;
mod quarantine;
mod query;
mod reach;
mod revocations;
mod streams;
mod time;
mod tokens;
mod verify;
mod withdrawals;

pub use connections::gate::Gate;
pub use connections::serve::{serve_tcp, serve_unix};

use crate::reload::Policy;
use crate::service::Service;
use ::node::lists::{ListRow, Refusal};
use axum::Router;
use axum::extract::Request;
use axum::middleware;
use bytes::Bytes;
use connections::large::LargeBodies;
use lists::list_hub::ListHub;
use lists::rebuild::mended;
use names::{ListId, ListName};
use operations::measure::{self, Operations};
use operations::openapi;
use problem::{Kind, Problem};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::Reader;
use tokio::sync::Semaphore;
use tokio::sync::watch::Receiver;
use utoipa_axum::router::OpenApiRouter;

/// How many scans of large lists run at once; others wait for their turn.
const SCANS_AT_ONCE: usize = 4;
/// How long a scan may wait for its turn.
const SCAN_WAIT: Duration = Duration::from_secs(5);
/// Up to so many entries a list is read on the spot: handing it to another thread would take
/// longer.
const ROWS_ON_THE_SPOT: u64 = 200;

/// What all calls share. Clones share it.
#[derive(Clone)]
pub struct Api {
    shared: Arc<Shared>,
}

struct Shared {
    service: Service,
    policy: Receiver<Arc<Policy>>,
    hub: ListHub,
    scans: Arc<Semaphore>,
    leaving: Arc<AtomicBool>,
    document: Bytes,
    examining: tokio::sync::Mutex<()>,
    replacing: tokio::sync::Mutex<()>,
    restoring: tokio::sync::Mutex<()>,
    backing_up: Arc<Semaphore>,
    quotas: lists::Quotas,
    large_bodies: LargeBodies,
    operations: Operations,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("policy", &self.shared.policy)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// The API of that node, under the latest policy. Must be called inside a tokio runtime.
    pub fn new(service: Service, policy: Receiver<Arc<Policy>>) -> Self {
        let hub = ListHub::start(service.list_changes(), service.list_changes());
        let scans = Arc::new(Semaphore::new(SCANS_AT_ONCE));
        let (_, described) = everything().split_for_parts();
        let document = openapi::document(described);
        let operations = Operations::of(&document);
        let document = openapi::render(&document);
        Self {
            shared: Arc::new(Shared {
                service,
                policy,
                hub,
                scans,
                leaving: Arc::default(),
                examining: tokio::sync::Mutex::default(),
                replacing: tokio::sync::Mutex::default(),
                restoring: tokio::sync::Mutex::default(),
                backing_up: Arc::new(Semaphore::new(1)),
                quotas: lists::Quotas::default(),
                large_bodies: LargeBodies::default(),
                document,
                operations,
            }),
        }
    }

    /// What is served on the unix socket: everything but the routes of *Elixir in Action*.
    pub fn socket_router(&self) -> Router {
        let (router, _) = socket_routes().split_for_parts();
        let measured =
            middleware::from_fn_with_state(self.shared.operations.clone(), measure::measure);
        let changes = middleware::from_fn_with_state(self.clone(), observer::check);
        router
            .fallback(no_path)
            .method_not_allowed_fallback(no_method)
            .layer(changes)
            .layer(measured)
            .with_state(self.clone())
    }

    /// What is served by TCP: operation and the page to anyone, those of *Elixir in Action* while the policy
    /// says so, and the rest of the API to those that bear a token.
    pub fn tcp_router(&self) -> Router {
        let (router, _) = everything().split_for_parts();
        let router = router
            .merge(assets::routes())
            .fallback(no_path)
            .method_not_allowed_fallback(no_method);
        let closed = middleware::from_fn_with_state(self.clone(), lists::book::check);
        let bearer = middleware::from_fn_with_state(self.clone(), tokens::bearer::check);
        let guard = middleware::from_fn_with_state(self.clone(), connections::guard::check);
        let measured =
            middleware::from_fn_with_state(self.shared.operations.clone(), measure::measure);
        let changes = middleware::from_fn_with_state(self.clone(), observer::check);
        router
            .layer(changes)
            .layer(closed)
            .layer(bearer)
            .layer(guard)
            .layer(measured)
            .with_state(self.clone())
    }

    pub(crate) fn service(&self) -> &Service {
        &self.shared.service
    }

    /// The policy at this moment.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.shared.policy.borrow())
    }

    pub(crate) fn quotas(&self) -> &lists::Quotas {
        &self.shared.quotas
    }

    pub(crate) fn large_bodies(&self) -> &LargeBodies {
        &self.shared.large_bodies
    }

    pub(crate) fn reader(&self) -> &Reader {
        self.shared.service.reader()
    }

    pub(crate) fn hub(&self) -> &ListHub {
        &self.shared.hub
    }

    /// Held by whoever examines the node.
    pub(crate) fn examining(&self) -> &tokio::sync::Mutex<()> {
        &self.shared.examining
    }

    /// Held by whoever takes a list out of quarantine.
    pub(crate) fn replacing(&self) -> &tokio::sync::Mutex<()> {
        &self.shared.replacing
    }

    /// Held by whoever puts a backup back.
    pub(crate) fn restoring(&self) -> &tokio::sync::Mutex<()> {
        &self.shared.restoring
    }

    /// Held by whoever reads a backup.
    pub(crate) fn backing_up(&self) -> Arc<Semaphore> {
        Arc::clone(&self.shared.backing_up)
    }

    pub(crate) fn document(&self) -> &Bytes {
        &self.shared.document
    }

    /// Names this run of the daemon in the ids of events.
    pub(crate) fn run_id(&self) -> String {
        self.service().events().run().to_string()
    }

    /// The line of a list that has entries.
    pub(crate) async fn row(&self, list: ListId) -> Result<Option<ListRow>, Problem> {
        let row = mended(self, async || Ok(self.reader().list(list)?)).await?;
        Ok(row.filter(|row| row.total > 0))
    }

    /// Whether a list is to be read on the spot.
    pub(crate) fn is_small(&self, row: &ListRow) -> bool {
        row.total <= ROWS_ON_THE_SPOT
    }

    /// Reads much of the store on a thread that may block.
    pub(crate) async fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn =
            tokio::time::timeout(SCAN_WAIT, Arc::clone(&self.shared.scans).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Problem::new(Kind::Busy, "too many large reads are waiting").retry_after(1));
        };
        let reader = self.reader().clone();
        let scan = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            read(&reader)
        });
        scan.await
            .unwrap_or_else(|error| Err(Problem::internal(error)))
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.shared.leaving.load(Ordering::Acquire)
    }

    /// Refuses changes of lists from here on: for good if the node leaves, else until what this
    /// gives is dropped.
    pub(crate) fn start_leaving(&self) -> Leaving {
        self.shared.leaving.store(true, Ordering::Release);
        Leaving(Some(Arc::clone(&self.shared.leaving)))
    }
}

/// Held while the node tries to leave.
pub(crate) struct Leaving(Option<Arc<AtomicBool>>);

impl Leaving {
    /// It has left.
    pub(crate) fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(leaving) = &self.0 {
            leaving.store(false, Ordering::Release);
        }
    }
}

/// The problem of a list that has no live entry.
pub(crate) fn no_list(name: &ListName) -> Problem {
    Refusal::NoList(name.as_str().to_owned()).into()
}

fn everything() -> OpenApiRouter<Api> {
    socket_routes().merge(lists::book::routes())
}

fn socket_routes() -> OpenApiRouter<Api> {
    [
        cluster::routes(),
        authority::routes(),
        revocations::routes(),
        away::routes(),
        backup::routes(),
        damage::routes(),
        heals::routes(),
        reach::routes(),
        quarantine::routes(),
        verify::routes(),
        withdrawals::routes(),
        node::routes(),
        lists::routes(),
        processes::routes(),
        tokens::routes(),
        streams::routes(),
    ]
    .into_iter()
    .fold(operations::routes(), OpenApiRouter::merge)
}

async fn no_path(request: Request) -> Problem {
    Problem::new(
        Kind::Path,
        format!(
            "nothing is served at {:?}; /v1/openapi.json tells what \
        is",
            request.uri().path()
        ),
    )
}

async fn no_method(request: Request) -> Problem {
    Problem::new(
        Kind::Method,
        format!(
            "{:?} has no method {}; Allow names those that it \
        has",
            request.uri().path(),
            request.method()
        ),
    )
}
