//! `/v1/debug`: packets dropped and threads held up on purpose, for trying out what becomes of it;
//! only in a daemon started for that.

use crate::api::gate::Conn;
use crate::api::json::RawJson;
use crate::api::openapi::FaultProblems;
use crate::api::problem::{Kind, Problem};
use crate::api::query::Query;
use crate::api::{Api, json};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// The most peers that one call may block.
const MAX_BLOCKED: usize = 1024;
/// The longest time for which a part is held up.
const MAX_HANG_MS: u64 = 60_000;

/// Whom to cut off.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Fault)]
pub(crate) struct FaultBody {
    /// The addresses of all peers whose packets are dropped in both directions; none heals.
    #[schema(max_items = 1024)]
    block: Vec<String>,
}

/// What is to stand still.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Hang)]
pub(crate) struct HangBody {
    /// `cluster`, `lists`, `store` or `api`.
    #[schema(pattern = "^(cluster|lists|store|api)$")]
    part: String,
    /// For how long: up to 60000.
    #[schema(maximum = 60_000)]
    ms: u64,
}

/// The means to do harm on purpose, for those who may, in a daemon started for that.
fn faults<'a>(api: &'a Api, conn: &Conn) -> Result<&'a transport::Fault, Problem> {
    let faults = api.service().faults();
    let faults = faults.ok_or_else(|| {
        Problem::new(
            Kind::Path,
            "this daemon was not started with \
        --dev-faults",
        )
    })?;
    conn.caller().must_be_operator()?;
    Ok(faults)
}

/// Holds up the threads of a part of the daemon. The answer may come only when it is over.
#[utoipa::path(
    put, path = "/v1/debug/hang", tag = "development", operation_id = "hang", request_body = HangBody,
    responses((status = 204, description = "In effect"), FaultProblems)
)]
pub(crate) async fn hang(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    query: Query,
    RawJson(body): RawJson,
) -> Result<StatusCode, Problem> {
    faults(&api, &conn)?;
    query.end()?;
    let HangBody { part, ms } = json::parse(&body)?;
    if ms > MAX_HANG_MS {
        return Err(Problem::invalid(format!(
            "\"ms\" is {ms}; it must be at most {MAX_HANG_MS}"
        )));
    }
    let sleep = move || std::thread::sleep(Duration::from_millis(ms));
    if part == "api" {
        let threads = tokio::runtime::Handle::current().metrics().num_workers();
        (0..threads).for_each(|_| drop(tokio::spawn(async move { sleep() })));
        return Ok(StatusCode::NO_CONTENT);
    }
    let parts: Vec<_> = api
        .service()
        .parts()
        .into_iter()
        .filter(|known| known.name() == part)
        .collect();
    if parts.is_empty() {
        return Err(Problem::invalid(format!(
            "\"part\" is {part:?}; it must be cluster, lists, store or api"
        )));
    }
    parts.iter().for_each(|part| part.call(Box::new(sleep)));
    Ok(StatusCode::NO_CONTENT)
}

/// Replaces the set of peers whose packets are dropped.
#[utoipa::path(
    put, path = "/v1/debug/fault", tag = "development", operation_id = "fault", request_body = FaultBody,
    responses((status = 204, description = "In effect"), FaultProblems)
)]
pub(crate) async fn set(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    query: Query,
    RawJson(body): RawJson,
) -> Result<StatusCode, Problem> {
    let faults = faults(&api, &conn)?;
    query.end()?;
    let FaultBody { block } = json::parse(&body)?;
    if block.len() > MAX_BLOCKED {
        return Err(Problem::invalid(format!(
            "\"block\" has {} addresses; up to {MAX_BLOCKED} are \
            right",
            block.len()
        )));
    }
    let parse = |text: &String| {
        text.parse::<SocketAddr>().map_err(|_| {
            Problem::invalid(format!(
                "\"block\" has {text:?}; each must be an address such as 127.0.0.1:7001"
            ))
        })
    };
    let addresses: Vec<SocketAddr> = block.iter().map(parse).collect::<Result<_, _>>()?;
    if addresses.is_empty() {
        faults.clear()
    } else {
        faults.block(&addresses)
    }
    Ok(StatusCode::NO_CONTENT)
}
