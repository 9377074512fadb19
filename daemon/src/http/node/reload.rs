//! `/v1/reload`: the configuration, read again.

use crate::http::connections::who::Admin;
use crate::http::operations::openapi::Problems;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::{Api, json};
use api::node::ReloadResult;
use api::time::Millis;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

/// Reads the configuration file and the certificates again, and puts in force what needs no
/// restart. If there is a mistake in them, nothing is changed. SIGHUP does the same.
#[utoipa::path(
    post, path = "/v1/reload", tag = "operation", operation_id = "reload",
    responses((status = 200, description = "What took effect, and what did \
        not", body = ReloadResult), Problems<(Admin, Query<()>, Own<{ Kind::Configuration as usize }>)>)
)]
pub(crate) async fn reload(
    State(api): State<Api>,
    _: Admin,
    _: Query<()>,
) -> Result<Response, Problem> {
    let outcome = api.service().reload().await;
    let outcome = outcome.map_err(|error| {
        Problem::new(
            Kind::Configuration,
            format!("nothing was changed: {error:#}"),
        )
    })?;
    let certificate_expires_at = Millis(outcome.certificate_expires.saturating_mul(1000));
    json::respond(
        StatusCode::OK,
        &ReloadResult {
            applied: outcome.applied,
            restart: outcome.restart,
            certificate_expires_at,
        },
    )
}
