//! `/v1/debug`: packets dropped and threads held up on purpose, for trying out what becomes of it;
//! only in a daemon started for that.

use crate::http::connections::who::Caller;
use crate::http::json::RawJson;
use crate::http::operations::openapi::Problems;
use crate::http::problem::{Kind, Problem, refuses};
use crate::http::query::Query;
use crate::http::{Api, json};
use api::node::{DaemonPart, InjectedFault, InjectedHang};
use axum::extract::State;
use axum::http::StatusCode;
use std::net::SocketAddr;
use std::time::Duration;

/// The most peers that one call may block.
const MAX_BLOCKED: usize = 1024;
/// The longest time for which a part is held up.
const MAX_HANG_MS: u64 = 60_000;

/// The means to do harm on purpose, for those who may, in a daemon started for that.
pub(crate) struct Faults;

refuses! { Faults: Path Forbidden Invalid; }

impl Faults {
    fn of<'a>(api: &'a Api, caller: &Caller) -> Result<&'a transport::Fault, Problem> {
        let faults = api.service().faults().ok_or_else(|| {
            let detail = "this daemon was not started with --dev-faults";
            Problem::new(Kind::Path, detail)
        })?;
        caller.must_be_operator()?;
        Ok(faults)
    }
}

/// Holds up the threads of a part of the daemon. The answer may come only when it is over.
#[utoipa::path(
    put, path = "/v1/debug/hang", tag = "development", operation_id = "hang", request_body = InjectedHang,
    responses((status = 204, description = "In effect"), Problems<(Faults, Query<()>, RawJson)>)
)]
pub(crate) async fn hang(
    State(api): State<Api>,
    caller: Caller,
    _: Query<()>,
    RawJson(body): RawJson,
) -> Result<StatusCode, Problem> {
    Faults::of(&api, &caller)?;
    let InjectedHang { part, ms } = json::parse(&body)?;
    if ms > MAX_HANG_MS {
        return Err(Problem::invalid(format!(
            "\"ms\" is {ms}; it must be at most {MAX_HANG_MS}"
        )));
    }
    let sleep = move || std::thread::sleep(Duration::from_millis(ms));
    if part == DaemonPart::Api {
        let threads = tokio::runtime::Handle::current().metrics().num_workers();
        (0..threads).for_each(|_| drop(tokio::spawn(async move { sleep() })));
        return Ok(StatusCode::NO_CONTENT);
    }
    let parts: Vec<_> = api
        .service()
        .parts()
        .into_iter()
        .filter(|known| known.name() == part.as_str())
        .collect();
    if parts.is_empty() {
        return Err(Problem::invalid(format!(
            "\"part\" is {:?}; it must be cluster, lists, store or api",
            part.as_str()
        )));
    }
    parts.iter().for_each(|part| part.call(Box::new(sleep)));
    Ok(StatusCode::NO_CONTENT)
}

/// Replaces the set of peers whose packets are dropped.
#[utoipa::path(
    put, path = "/v1/debug/fault", tag = "development", operation_id = "fault", request_body = InjectedFault,
    responses((status = 204, description = "In effect"), Problems<(Faults, Query<()>, RawJson)>)
)]
pub(crate) async fn set(
    State(api): State<Api>,
    caller: Caller,
    _: Query<()>,
    RawJson(body): RawJson,
) -> Result<StatusCode, Problem> {
    let faults = Faults::of(&api, &caller)?;
    let InjectedFault { block } = json::parse(&body)?;
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
