//! What monitoring asks: metrics, health, readiness; and the OpenAPI document. Parameters are
//! ignored here, as scrapers add their own.

pub(crate) mod measure;
pub(crate) mod openapi;

use crate::http::Api;
use crate::http::json;
use crate::http::operations::openapi::Problems;
use crate::http::problem::{Kind, Own, Problem};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(metrics))
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(openapi))
}

/// Metrics in Prometheus' text format.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", operation_id = "metrics",
    responses((status = 200, description = "Metrics", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(State(api): State<Api>) -> Response {
    let mut response = Response::new(Body::from(api.service().metrics(&api.policy().expected)));
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

/// Whether the daemon runs at all.
#[utoipa::path(
    get, path = "/healthz", tag = "operation", operation_id = "healthz",
    responses((status = 200, description = "`ok`", body = String, content_type = "text/plain"))
)]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the node can do its work.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", operation_id = "readyz",
    responses((status = 200, description = "`ready`", body = String, content_type = "text/plain"), Problems<Own<{ Kind::NotReady as usize }>>)
)]
pub(crate) async fn readyz(State(api): State<Api>) -> Result<&'static str, Problem> {
    let reasons = api.service().not_ready().await;
    if reasons.is_empty() {
        Ok("ready\n")
    } else {
        Err(Problem::new(Kind::NotReady, reasons.join("; ")).retry_after(1))
    }
}

/// This document.
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "operation", operation_id = "openapi",
    responses((status = 200, description = "The OpenAPI document", content_type = "application/json", body = Object))
)]
pub(crate) async fn openapi(State(api): State<Api>) -> Response {
    json::ok(api.document().to_vec())
}
