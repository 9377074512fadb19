//! `/v1/processes`, `/v1/groups`: registered processes of all nodes.
//!
//! Lookups read the replica of the directory and ask nobody. Everything else is the cluster
//! machine's to decide; what is checked here is what only the host knows: who calls, and which
//! process a pid is.

mod body;
mod filter;
mod groups;
mod links;
mod monitor;
mod sd;
mod shown;

use crate::http::Api;
use crate::http::cluster::ask;
use crate::http::connections::gate::Conn;
use crate::http::connections::who::OnThisHost;
use crate::http::json::{self, Json, RawJson};
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, bad_cursor};
use crate::http::path::ProcessPath;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::time::Timeout;
use crate::process::Sighting;
use crate::service::ClusterAsk;
use api::processes::{ExitReport, RegisterRequest, RegisteredProcess, RegisteredProcessPage};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use body::{Wish, reason};
use filter::{Filter, Source};
use names::ProcessName;
use node::registry::ask::{Report, Unregister};
use node::registry::{Lifetime, Registration, SessionId};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, register, delete))
        .routes(routes!(exit))
        .routes(routes!(monitor::stream))
        .routes(routes!(links::links))
        .routes(routes!(links::link, links::unlink))
        .routes(routes!(groups::groups))
        .routes(routes!(groups::members))
        .routes(routes!(groups::join, groups::leave))
        .routes(routes!(sd::targets))
}

/// A call that changes something of a process of this node and has nothing to show for it.
async fn change(
    api: &Api,
    Timeout(timeout): Timeout,
    wish: impl ClusterAsk<Answer = ()>,
) -> Result<StatusCode, Problem> {
    ask(api, wish, timeout).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The problem of a name that nobody has.
fn no_process(name: &ProcessName) -> Problem {
    Problem::new(Kind::Process, format!("no process is registered as {name}"))
}

/// Registers a process of this host under a name that no reachable other process has, or replaces
/// its registration.
///
/// Who has a name as far as this node can know is asked first: 409 tells the `holder`. Sides of a
/// partition, or two nodes within a millisecond, can both succeed; then all nodes pick the same
/// winner, the earlier claim. Names: `[A-Za-z0-9][A-Za-z0-9._:-]{0,127}`.
#[utoipa::path(
    put, path = "/v1/processes/{name}", tag = "processes", operation_id = "register",
    params(("name" = String, Path, description = "The name"), Query<(Timeout,)>), request_body = RegisterRequest,
    responses(
        (status = 201, description = "Registered", body = RegisteredProcess),
        (status = 200, description = "The same process had the name: all that it says of itself \
            was replaced", body = RegisteredProcess),
        Problems<(OnThisHost, ProcessPath, Query<(Timeout,)>, RawJson, Registration)>,
    )
)]
pub(crate) async fn register(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    caller: OnThisHost,
    ProcessPath(name): ProcessPath,
    Query((Timeout(timeout),)): Query<(Timeout,)>,
    RawJson(bytes): RawJson,
) -> Result<Response, Problem> {
    let wish = Wish::read(&bytes)?;
    let seen = sight(&api, caller, wish.pid)?;
    let process = seen.process;
    let registration = Box::new(registration(&api, &conn, name.clone(), wish, seen));
    let is_fresh = ask(&api, registration, timeout).await?;
    let status = if is_fresh {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let me = api.service().info().id;
    let found = api
        .service()
        .processes()
        .read(|directory| directory.whereis(&name));
    let shown = found
        .as_ref()
        .and_then(|found| shown::registration(&name, found, (me, process), me));
    let mut response = json::respond(
        status,
        &shown.ok_or_else(|| Problem::invalid("\"pid\": that process has ended"))?,
    )?;
    if let Ok(location) = HeaderValue::try_from(format!("/v1/processes/{name}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Finds the process that is to be registered, and checks that the caller may speak for it.
fn sight(api: &Api, caller: OnThisHost, pid: Option<u32>) -> Result<Sighting, Problem> {
    let uid = caller.uid;
    let pid = match (pid, u32::try_from(caller.pid)) {
        (Some(pid), _) => pid,
        (None, Ok(own)) if own > 0 => own,
        (None, _) => {
            return Err(Problem::invalid(
                "\"pid\" is needed: the kernel does not tell \
            that of the caller",
            ));
        }
    };
    let seen = api
        .service()
        .host()
        .sight(pid)
        .map_err(|absent| Problem::invalid(format!("\"pid\" is {pid}: {absent}")))?;
    if uid != 0 && uid != seen.uid {
        let detail = format!(
            "\"pid\" is {pid}, a process of uid {}: only that user and root may \
            register it",
            seen.uid
        );
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    Ok(seen)
}

fn registration(
    api: &Api,
    conn: &Arc<Conn>,
    name: ProcessName,
    wish: Wish,
    seen: Sighting,
) -> Registration {
    let lifetime = if wish.is_bound {
        Lifetime::Connection(bind(api, conn))
    } else {
        Lifetime::Process
    };
    Registration {
        name,
        process: seen.process,
        uid: seen.uid,
        user: conn.user(seen.uid).map(|user| user.to_string()),
        exe: seen.exe,
        groups: wish.groups,
        metadata: wish.metadata,
        address: wish.address,
        lifetime,
        on_conflict: wish.on_conflict,
        reports_exit: wish.reports_exit,
    }
}

/// Has the registry told when this connection ends. Before it is asked to bind anything to it, so
/// that the end comes after.
fn bind(api: &Api, conn: &Conn) -> SessionId {
    let (service, session) = (api.service().clone(), SessionId(conn.number()));
    conn.bind(move || service.session_ended(session));
    session
}

/// The registered processes of all nodes, by name; also those on unreachable nodes.
#[utoipa::path(
    get, path = "/v1/processes", tag = "processes", operation_id = "processes", params(Query<(Filter, Page)>),
    responses(
        (status = 200, description = "A page of processes", body = RegisteredProcessPage),
        Problems<Query<(Filter, Page)>>,
    )
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Query((filter, page)): Query<(Filter, Page)>,
) -> Result<Response, Problem> {
    let after = page
        .after_text()?
        .map(|name| ProcessName::new(name).map_err(|_| bad_cursor()))
        .transpose()?;
    let mut writer = crate::http::page::PageWriter::new(&page);
    let key = |name: &ProcessName| name.as_str().as_bytes().to_vec();
    filter
        .scan(&api, &Source::of(&filter), after, &mut writer, key)
        .await?;
    Ok(writer.respond())
}

/// Finds a process by its name in what this node knows; no other node is asked.
#[utoipa::path(
    get, path = "/v1/processes/{name}", tag = "processes", operation_id = "whereis",
    params(("name" = String, Path, description = "The name")),
    responses((status = 200, description = "Who has it, and in `others` who claims it \
        besides", body = RegisteredProcess), Problems<(ProcessPath, Query<()>, Own<{ Kind::Process as usize }>)>)
)]
pub(crate) async fn show(
    State(api): State<Api>,
    ProcessPath(name): ProcessPath,
    _: Query<()>,
) -> Result<Response, Problem> {
    let found = api
        .service()
        .processes()
        .read(|directory| directory.whereis(&name))
        .ok_or_else(|| no_process(&name))?;
    json::respond(
        StatusCode::OK,
        &shown::holder(&name, &found, api.service().info().id),
    )
}

/// Unregisters a process of this node. The process itself is left alone.
#[utoipa::path(
    delete, path = "/v1/processes/{name}", tag = "processes", operation_id = "unregister",
    params(("name" = String, Path, description = "The name"), Query<(Timeout,)>),
    responses(
        (status = 204, description = "Unregistered: monitors hear `unregistered`"),
        Problems<(OnThisHost, ProcessPath, Query<(Timeout,)>, Unregister)>,
    )
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    OnThisHost { uid, .. }: OnThisHost,
    ProcessPath(name): ProcessPath,
    Query((timeout,)): Query<(Timeout,)>,
) -> Result<StatusCode, Problem> {
    change(&api, timeout, Unregister { name, uid }).await
}

/// Reports how a process of this node that was registered with `reports_exit` has ended.
///
/// May come before its end is seen, or up to 250 ms after: its `down` waits for it.
#[utoipa::path(
    post, path = "/v1/processes/{name}/exit", tag = "processes", operation_id = "report_exit",
    params(("name" = String, Path, description = "The name"), Query<(Timeout,)>), request_body = ExitReport,
    responses(
        (status = 204, description = "Noted"),
        Problems<(OnThisHost, ProcessPath, Query<(Timeout,)>, Json<ExitReport>, Report)>,
    )
)]
pub(crate) async fn exit(
    State(api): State<Api>,
    OnThisHost { uid, .. }: OnThisHost,
    ProcessPath(name): ProcessPath,
    Query((timeout,)): Query<(Timeout,)>,
    Json(body): Json<ExitReport>,
) -> Result<StatusCode, Problem> {
    let reason = reason(&body)?;
    change(&api, timeout, Report { name, reason, uid }).await
}
