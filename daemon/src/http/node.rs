//! `/v1/status`, `/v1/reload`, `/v1/log-level`, `/v1/debug`: this node, and what its administrators
//! do with it.

pub(crate) mod attention;
pub(crate) mod debug;
pub(crate) mod doctor;
pub(crate) mod fault;
pub(crate) mod log_level;
pub(crate) mod reload;
pub(crate) mod status;

use crate::http::Api;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(status::status))
        .routes(routes!(reload::reload))
        .routes(routes!(log_level::show, log_level::set, log_level::reset))
        .routes(routes!(doctor::examine))
        .routes(routes!(debug::events))
        .routes(routes!(debug::configuration))
        .routes(routes!(fault::set))
        .routes(routes!(fault::hang))
}
