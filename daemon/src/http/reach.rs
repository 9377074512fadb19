//! `/v1/reach`: who reaches whom.

use crate::http::operations::openapi::Problems;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::{Api, json};
use crate::inquiry::reach::matrix;
use api::reach::ReachMatrix;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(reach))
}

/// Asks this node and all members whom they reach: by a connection, by others only, or not at all. Each
/// tells what it sees itself. They are asked on connections of their own, also those that are down;
/// takes some seconds where one does not answer.
#[utoipa::path(
    get, path = "/v1/reach", tag = "node and cluster", operation_id = "reach",
    responses(
        (status = 200, description = "What was told", body = ReachMatrix),
        Problems<(Query<()>, Own<{ Kind::Busy as usize }>)>,
    )
)]
pub(crate) async fn reach(State(api): State<Api>, _: Query<()>) -> Result<Response, Problem> {
    // As an examination it sends to all members.
    let Ok(_turn) = api.examining().try_lock() else {
        let detail = "an examination, or another such question, is under way";
        return Err(Problem::new(Kind::Busy, detail).retry_after(10));
    };
    let items = matrix(api.service()).await;
    json::respond(StatusCode::OK, &ReachMatrix { items })
}
