//! `/v1/heals`: what this node saw of past heals.

use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter, Room};
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::{Api, json};
use crate::inquiry::heals::of_all;
use api::heals::{HealReportPage, HealsOfMembers};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(heals))
        .routes(routes!(heals_of_members))
}

/// Reports of heals, the newest first: which members were away from this node and for how long, what was
/// written on both sides meanwhile, and what became of it. The last 100 are kept, over restarts too.
#[utoipa::path(
    get, path = "/v1/heals", tag = "node and cluster", operation_id = "heals",
    params(Query<(Page,)>),
    responses(
        (status = 200, description = "A page of reports", body = HealReportPage),
        Problems<Query<(Page,)>>,
    )
)]
pub(crate) async fn heals(
    State(api): State<Api>,
    Query((page,)): Query<(Page,)>,
) -> Result<Response, Problem> {
    let after = page.after_text()?;
    let reports = api.service().heals().reports();
    // A report that is told no more was older than those that are: nothing follows it.
    let seen = after.map(|after| reports.iter().position(|report| report.id == after));
    let first = seen.map_or(0, |at| at.map_or(reports.len(), |at| at + 1));
    let mut writer = PageWriter::new(&page);
    for report in reports.iter().skip(first) {
        if writer.push(report, || report.id.as_bytes().to_vec())? == Room::Full {
            break;
        }
    }
    Ok(writer.respond())
}

/// What this node and all members that it reaches tell of past heals, the newest 5 of each. Each tells what it
/// saw itself. They are asked on connections of their own; takes some seconds where one does not answer.
#[utoipa::path(
    get, path = "/v1/heals/members", tag = "node and cluster", operation_id = "heals_of_members",
    responses(
        (status = 200, description = "What was told", body = HealsOfMembers),
        Problems<(Query<()>, Own<{ Kind::Busy as usize }>)>,
    )
)]
pub(crate) async fn heals_of_members(
    State(api): State<Api>,
    _: Query<()>,
) -> Result<Response, Problem> {
    // As an examination it sends to all members.
    let Ok(_turn) = api.examining().try_lock() else {
        let detail = "an examination, or another such question, is under way";
        return Err(Problem::new(Kind::Busy, detail).retry_after(10));
    };
    let (items, silent) = of_all(api.service()).await;
    json::respond(StatusCode::OK, &HealsOfMembers { items, silent })
}
