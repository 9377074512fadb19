//! `/v1/debug`: what a maintainer needs to see. On the unix socket, for administrators only.

use crate::http::connections::gate::Conn;
use crate::http::operations::openapi::DebugProblems;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::time::Millis;
use crate::http::{Api, json};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The flight recorder.
#[derive(Serialize, ToSchema)]
#[schema(as = Recording)]
pub(crate) struct ShownRecording {
    /// The oldest first; about 1 MiB at most.
    items: Vec<ShownLine>,
}

/// A decision of the last minutes.
#[derive(Serialize, ToSchema)]
#[schema(as = Decision)]
pub(crate) struct ShownLine {
    /// When, by this node's clock.
    #[schema(value_type = String, format = DateTime)]
    at: Millis,
    /// `error`, `warn`, `info` or `debug`.
    level: String,
    /// The part of the program.
    target: &'static str,
    /// What, with its fields.
    text: String,
}

/// What this node decided in the last minutes about members, connections, registrations and
/// repairs, whatever is logged.
#[utoipa::path(
    get, path = "/v1/debug/events", tag = "operation", operation_id = "recorder",
    responses((status = 200, description = "The flight recorder", body = ShownRecording), DebugProblems)
)]
pub(crate) async fn events(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    query: Query,
) -> Result<Response, Problem> {
    conn.caller().must_be_admin(&api.policy())?;
    query.end()?;
    let shown = api
        .service()
        .logging()
        .recorder
        .lines()
        .into_iter()
        .map(|line| {
            let level = line.level.as_str().to_lowercase();
            ShownLine {
                at: Millis(line.at_ms),
                level,
                target: line.target,
                text: line.text,
            }
        });
    json::respond(
        StatusCode::OK,
        &ShownRecording {
            items: shown.collect(),
        },
    )
}

/// The configuration.
#[derive(Serialize, ToSchema)]
#[schema(as = Configuration)]
pub(crate) struct ShownConfiguration {
    /// Every key, in the order of the manual.
    items: Vec<ShownSetting>,
}

/// A key and its value.
#[derive(Serialize, ToSchema)]
#[schema(as = Setting)]
pub(crate) struct ShownSetting {
    /// Such as `quic.listen`.
    key: String,
    /// Its value; of files the path only.
    value: String,
}

/// The configuration of this node as of its last reload, defaults too. It holds paths of keys, and
/// no key.
#[utoipa::path(
    get, path = "/v1/debug/configuration", tag = "operation", operation_id = "configuration",
    responses((status = 200, description = "Every key with its value", body = ShownConfiguration), DebugProblems)
)]
pub(crate) async fn configuration(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    query: Query,
) -> Result<Response, Problem> {
    conn.caller().must_be_admin(&api.policy())?;
    query.end()?;
    let values = crate::config::values(&api.service().config().await);
    let items = values
        .into_iter()
        .map(|(key, value)| ShownSetting { key, value })
        .collect();
    json::respond(StatusCode::OK, &ShownConfiguration { items })
}
