//! `/v1/log-level`: what the daemon logs, for now.

use crate::api::Api;
use crate::api::gate::Conn;
use crate::api::json::{self, Json};
use crate::api::openapi::{PlainProblems, ResetLevelProblems, SetLevelProblems};
use crate::api::problem::Problem;
use crate::api::query::Query;
use crate::api::time::Millis;
use crate::config::duration;
use crate::logging::{Levels, plausible};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use utoipa::ToSchema;

/// The longest time that a level is set for.
const MAX_TIME: Duration = Duration::from_secs(24 * 3600);

/// What is to be logged for now.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewLogLevel)]
pub(crate) struct NewLevel {
    /// `off`, `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,node=debug`.
    level: String,
    /// For how long: a whole number with `ms`, `s`, `m` or `h`, up to `24h`; without it, until it
    /// is changed or the daemon ends.
    #[serde(rename = "for")]
    #[schema(nullable = false, pattern = "^[0-9]+(ms|s|m|h)$")]
    time: Option<String>,
}

/// What is logged.
#[derive(Serialize, ToSchema)]
#[schema(as = LogLevel)]
pub(crate) struct ShownLevel {
    /// What is logged now.
    level: String,
    /// What the configuration says, which is logged again at the end.
    configured: String,
    /// When that is, if it was said.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Millis>,
}

impl From<Levels> for ShownLevel {
    fn from(levels: Levels) -> Self {
        let ms = |time: SystemTime| {
            time.duration_since(UNIX_EPOCH)
                .ok()
                .and_then(|since| i64::try_from(since.as_millis()).ok())
        };
        Self {
            level: levels.level,
            configured: levels.configured,
            until: levels.until.and_then(ms).map(Millis),
        }
    }
}

/// What the daemon logs now.
#[utoipa::path(
    get, path = "/v1/log-level", tag = "operation", operation_id = "log_level",
    responses((status = 200, description = "What is logged", body = ShownLevel), PlainProblems)
)]
pub(crate) async fn show(State(api): State<Api>, query: Query) -> Result<Response, Problem> {
    query.end()?;
    answer(api.service().logging().level.levels())
}

/// Changes what the daemon logs, for a time or until its end. The configuration stays as it is.
#[utoipa::path(
    put, path = "/v1/log-level", tag = "operation", operation_id = "set_log_level", request_body = NewLevel,
    responses((status = 200, description = "What is logged from now on", body = ShownLevel), SetLevelProblems)
)]
pub(crate) async fn set(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    query: Query,
    Json(body): Json<NewLevel>,
) -> Result<Response, Problem> {
    conn.caller().must_be_admin(&api.policy())?;
    query.end()?;
    if !plausible(&body.level) {
        return Err(Problem::invalid(format!(
            "\"level\" is {:?}; it must be off, error, warn, info, debug, trace, or directives such as info,node=debug",
            body.level
        )));
    }
    let time = body.time.as_deref().map(parse).transpose()?;
    answer(api.service().logging().level.set(&body.level, time))
}

/// Logs again what the configuration says.
#[utoipa::path(
    delete, path = "/v1/log-level", tag = "operation", operation_id = "reset_log_level",
    responses((status = 200, description = "What is logged from now on", body = ShownLevel), ResetLevelProblems)
)]
pub(crate) async fn reset(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    query: Query,
) -> Result<Response, Problem> {
    conn.caller().must_be_admin(&api.policy())?;
    query.end()?;
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
    json::respond(StatusCode::OK, &ShownLevel::from(levels))
}
