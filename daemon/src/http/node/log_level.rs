//! `/v1/log-level`: what the daemon logs, for now.

use crate::config::plausible;
use crate::http::Api;
use crate::http::connections::who::Admin;
use crate::http::json::{self, Json};
use crate::http::operations::openapi::Problems;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::logging::Levels;
use api::duration;
use api::node::{LoggedLevel, NewLogLevel};
use api::time::Millis;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest time that a level is set for.
const MAX_TIME: Duration = Duration::from_secs(24 * 3600);

/// What the daemon logs now.
#[utoipa::path(
    get, path = "/v1/log-level", tag = "operation", operation_id = "log_level",
    responses((status = 200, description = "What is logged", body = LoggedLevel), Problems<Query<()>>)
)]
pub(crate) async fn show(State(api): State<Api>, _: Query<()>) -> Result<Response, Problem> {
    answer(api.service().logging().level.levels())
}

/// Changes what the daemon logs, for a time or until its end. The configuration stays as it is.
#[utoipa::path(
    put, path = "/v1/log-level", tag = "operation", operation_id = "set_log_level", request_body = NewLogLevel,
    responses(
        (status = 200, description = "What is logged from now on", body = LoggedLevel),
        Problems<(Admin, Query<()>, Json<NewLogLevel>, Own<{ Kind::Invalid as usize }>)>,
    )
)]
pub(crate) async fn set(
    State(api): State<Api>,
    _: Admin,
    _: Query<()>,
    Json(body): Json<NewLogLevel>,
) -> Result<Response, Problem> {
    if !plausible(&body.level) {
        return Err(Problem::invalid(format!(
            "\"level\" is {:?}; it must be off, error, warn, info, debug, trace, or directives such as info,node=debug",
            body.level
        )));
    }
    let time = body.time.as_deref().map(parse).transpose()?;
    answer(api.service().logging().level.set(&body.level, time))
}

/// Goes back to the level of the configuration.
#[utoipa::path(
    delete, path = "/v1/log-level", tag = "operation", operation_id = "reset_log_level",
    responses((status = 200, description = "What is logged from now on", body = LoggedLevel), Problems<(Admin, Query<()>)>)
)]
pub(crate) async fn reset(
    State(api): State<Api>,
    _: Admin,
    _: Query<()>,
) -> Result<Response, Problem> {
    answer(api.service().logging().level.reset())
}

fn parse(text: &str) -> Result<Duration, Problem> {
    duration::parse(text)
        .filter(|time| !time.is_zero() && *time <= MAX_TIME)
        .ok_or_else(|| {
            Problem::invalid(format!(
                "\"for\" is {text:?}; it must be between 1ms and 24h, such as 30s, 10m or 2h"
            ))
        })
}

fn answer(levels: Levels) -> Result<Response, Problem> {
    let ms = |time: SystemTime| {
        time.duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_millis()).ok())
    };
    let logged = LoggedLevel {
        level: levels.level,
        configured: levels.configured,
        until: levels.until.and_then(ms).map(Millis),
    };
    json::respond(StatusCode::OK, &logged)
}
