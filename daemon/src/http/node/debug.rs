//! `/v1/debug`: what a maintainer needs to see. On the unix socket, for administrators only.

use crate::http::connections::who::Admin;
use crate::http::operations::openapi::Problems;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{Api, json};
use api::node::{ConfiguredValue, FlightRecording, NodeConfiguration, RecordedDecision};
use api::time::Millis;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

/// What this node decided in the last minutes about members, connections, registrations and
/// repairs, whatever is logged.
#[utoipa::path(
    get, path = "/v1/debug/events", tag = "operation", operation_id = "recorder",
    responses((status = 200, description = "The flight recorder", body = FlightRecording), Problems<(Admin, Query<()>)>)
)]
pub(crate) async fn events(
    State(api): State<Api>,
    _: Admin,
    _: Query<()>,
) -> Result<Response, Problem> {
    let shown = api
        .service()
        .logging()
        .recorder
        .lines()
        .into_iter()
        .map(|line| {
            let level = line.level.as_str().to_lowercase();
            RecordedDecision {
                at: Millis(line.at_ms),
                level,
                target: line.target.to_owned(),
                text: line.text,
            }
        });
    json::respond(
        StatusCode::OK,
        &FlightRecording {
            items: shown.collect(),
        },
    )
}

/// The configuration of this node as of its last reload, defaults too. It holds paths of keys, and
/// no key.
#[utoipa::path(
    get, path = "/v1/debug/configuration", tag = "operation", operation_id = "configuration",
    responses((status = 200, description = "Every key with its value", body = NodeConfiguration), Problems<(Admin, Query<()>)>)
)]
pub(crate) async fn configuration(
    State(api): State<Api>,
    _: Admin,
    _: Query<()>,
) -> Result<Response, Problem> {
    let values = crate::config::values(&api.service().config().await);
    let items = values
        .into_iter()
        .map(|(key, value)| ConfiguredValue { key, value })
        .collect();
    json::respond(StatusCode::OK, &NodeConfiguration { items })
}
