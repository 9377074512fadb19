//! Server-sent events: how streams are written, and `/v1/events`. The streams of a list and of a
//! process are in the folders of their paths.

pub(crate) mod events;
pub(crate) mod sse;

use crate::http::Api;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(events::stream))
}
