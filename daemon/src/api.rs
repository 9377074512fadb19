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
//! | `who`, `guard` | who calls, and what protects the TCP listener from web pages |
//! | `access`, `bearer` | what a call by TCP needs, and the tokens that it bears |
//! | `query`, `json`, `path`, `page`, `time`, `filter`, `body`, `entry_page` | how requests are read and answers written |
//! | `status`, `attention` | this node on one page, and what on it needs somebody |
//! | `entries`, `lists`, `cluster`, `processes`, `events`, `watch`, `tokens`, `web`, `book`, `operation`, `reload`, `log_level`, `doctor`, `debug`, `fault` | the calls |
//! | `measure` | how the calls are counted and timed |
//! | `assets` | the page in the browser |
//! | `openapi` | the document that describes them |
//!
//! ```text
//! let api = Api::new(service, policy);                    // inside a tokio runtime
//! serve_unix(listener, api.socket_router(), gate, shutdown).await;
//! ```

mod access;
mod assets;
mod attention;
mod bearer;
mod body;
mod book;
mod cluster;
mod debug;
mod doctor;
mod entries;
mod entry_page;
mod events;
mod fault;
mod filter;
mod gate;
mod guard;
mod json;
mod list_hub;
mod lists;
mod log_level;
mod measure;
mod openapi;
mod operation;
mod page;
mod path;
mod problem;
mod processes;
mod query;
mod reload;
mod serve;
mod shown;
mod sse;
mod status;
mod time;
mod tokens;
mod watch;
mod web;
mod who;
mod write;

pub use gate::{Gate, Limits};
pub use serve::{serve_tcp, serve_unix};
pub use who::Policy;

use crate::service::Service;
use axum::Router;
use axum::extract::Request;
use axum::middleware;
use bytes::Bytes;
use list_hub::ListHub;
use measure::Operations;
use names::{ListId, ListName};
use node::lists::{ListRow, Refusal};
use problem::{Kind, Problem};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::Reader;
use tokio::sync::Semaphore;
use tokio::sync::watch::Receiver;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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
        let operations = Operations::of(&described);
        let document = openapi::render(described);
        Self {
            shared: Arc::new(Shared {
                service,
                policy,
                hub,
                scans,
                leaving: Arc::default(),
                examining: tokio::sync::Mutex::default(),
                document,
                operations,
            }),
        }
    }

    /// What is served on the unix socket: everything but the book's routes.
    pub fn socket_router(&self) -> Router {
        let (router, _) = operation_routes().merge(socket_routes()).split_for_parts();
        let measured =
            middleware::from_fn_with_state(self.shared.operations.clone(), measure::measure);
        router
            .fallback(no_path)
            .method_not_allowed_fallback(no_method)
            .layer(measured)
            .with_state(self.clone())
    }

    /// What is served by TCP: operation and the page to anyone, the book's routes while the policy
    /// says so, and the rest of the API to those that bear a token.
    pub fn tcp_router(&self) -> Router {
        let (router, _) = operation_routes()
            .merge(socket_routes())
            .merge(book_routes())
            .split_for_parts();
        let router = router
            .merge(assets::routes())
            .fallback(no_path)
            .method_not_allowed_fallback(no_method);
        let closed = middleware::from_fn_with_state(self.clone(), book::check);
        let bearer = middleware::from_fn_with_state(self.clone(), bearer::check);
        let guard = middleware::from_fn_with_state(self.clone(), guard::check);
        let measured =
            middleware::from_fn_with_state(self.shared.operations.clone(), measure::measure);
        router
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

    pub(crate) fn document(&self) -> &Bytes {
        &self.shared.document
    }

    /// Names this run of the daemon in the ids of events.
    pub(crate) fn run_id(&self) -> String {
        format!("{:x}", self.service().info().started_at)
    }

    /// The line of a list that has entries.
    pub(crate) fn row(&self, list: ListId) -> Result<Option<ListRow>, Problem> {
        Ok(self.reader().list(list)?.filter(|row| row.total > 0))
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
    operation_routes()
        .merge(socket_routes())
        .merge(book_routes())
}

fn operation_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(operation::metrics))
        .routes(routes!(operation::healthz))
        .routes(routes!(operation::readyz))
        .routes(routes!(operation::openapi))
}

fn socket_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(cluster::node))
        .routes(routes!(cluster::members))
        .routes(routes!(cluster::join))
        .routes(routes!(cluster::forget))
        .routes(routes!(cluster::leave))
        .routes(routes!(cluster::partition))
        .routes(routes!(status::status))
        .routes(routes!(reload::reload))
        .routes(routes!(log_level::show, log_level::set, log_level::reset))
        .routes(routes!(events::stream))
        .routes(routes!(lists::list))
        .routes(routes!(lists::show, lists::delete))
        .routes(routes!(entries::list, entries::add))
        .routes(routes!(entries::show, entries::edit, entries::delete))
        .routes(routes!(lists::agenda))
        .routes(routes!(watch::stream))
        .routes(routes!(processes::targets))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(web::create))
        .routes(routes!(web::show))
        .routes(routes!(web::trade, web::end))
        .routes(routes!(processes::list))
        .routes(routes!(
            processes::show,
            processes::register,
            processes::delete
        ))
        .routes(routes!(processes::exit))
        .routes(routes!(processes::stream))
        .routes(routes!(processes::links))
        .routes(routes!(processes::link, processes::unlink))
        .routes(routes!(processes::groups))
        .routes(routes!(processes::members))
        .routes(routes!(processes::join, processes::leave))
        .routes(routes!(doctor::examine))
        .routes(routes!(debug::events))
        .routes(routes!(debug::configuration))
        .routes(routes!(fault::set))
        .routes(routes!(fault::hang))
}

fn book_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(book::add_entry))
        .routes(routes!(book::entries))
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
