//! `/v1/debug/fault`: packets dropped on purpose, for trying out partitions; only in a daemon started for that.

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
use utoipa::ToSchema;

/// The most peers that one call may block.
const MAX_BLOCKED: usize = 1024;

/// Whom to cut off.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Fault)]
pub(crate) struct FaultBody {
    /// The addresses of all peers whose packets are dropped in both directions; none heals.
    #[schema(max_items = 1024)]
    block: Vec<String>,
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
    let Some(faults) = api.service().faults() else {
        return Err(Problem::new(Kind::Path, "this daemon was not started with --dev-faults"));
    };
    conn.caller().must_be_operator()?;
    query.end()?;
    let FaultBody { block } = json::parse(&body)?;
    if block.len() > MAX_BLOCKED {
        return Err(Problem::invalid(format!("\"block\" has {} addresses; up to {MAX_BLOCKED} are right", block.len())));
    }
    let parse = |text: &String| {
        text.parse::<SocketAddr>()
            .map_err(|_| Problem::invalid(format!("\"block\" has {text:?}; an address such as 127.0.0.1:7001 is right")))
    };
    let addresses: Vec<SocketAddr> = block.iter().map(parse).collect::<Result<_, _>>()?;
    if addresses.is_empty() {
        faults.clear()
    } else {
        faults.block(&addresses)
    }
    Ok(StatusCode::NO_CONTENT)
}
