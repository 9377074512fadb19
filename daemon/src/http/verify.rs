//! `/v1/verify`: all that this node has of its lists is read.

use crate::http::connections::who::Admin;
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, bad_cursor, cursor};
use crate::http::problem::{Kind, Own, Problem};
use crate::http::quarantine::node_name;
use crate::http::query::Query;
use crate::http::{Api, json};
use crate::verifying::{self, Fault};
use api::verify::{MemberReplicas, VerifiedPart, VerifyFault};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use names::ListName;
use node::lists::ask::{Comparisons, Quarantine};
use store::ReadError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(verify))
}

/// Reads all that this node has of some lists: whether each change is what was written, whether they make the
/// list's document, and whether that is what is shown and compared with other members. Lists whose changes are
/// damaged are put in quarantine. A part has at most `limit` lists and takes some seconds; `next` is the cursor of the
/// part that follows.
#[utoipa::path(
    post, path = "/v1/verify", tag = "operation", operation_id = "verify",
    params(Query<(Page,)>),
    responses(
        (status = 200, description = "What was found", body = VerifiedPart),
        Problems<(Admin, Query<(Page,)>, ReadError, (Quarantine, Comparisons), Own<{ Kind::Busy as usize }>)>,
    )
)]
pub(crate) async fn verify(
    State(api): State<Api>,
    _: Admin,
    Query((page,)): Query<(Page,)>,
) -> Result<Response, Problem> {
    let after = page
        .after_text()?
        .map(|name| ListName::new(name).map_err(|_| bad_cursor()))
        .transpose()?;
    // Until rows are made anew that were converted, they differ from what this program shows.
    let compares_view = api.service().snapshot().lists.remaking == 0;
    let limit = page.limit;
    let read = move |reader: &store::Reader| {
        Ok(verifying::read(
            reader,
            after.as_ref(),
            limit,
            compares_view,
        )?)
    };
    let part = api.scan(read).await?;
    verifying::set_aside(api.service(), &part).await?;
    let members = verifying::replicas(api.service()).await?;
    let members = members.into_iter().map(|standing| MemberReplicas {
        node: node_name(&api, standing.peer),
        differing: standing.differing,
        compared_ms_ago: u64::try_from(standing.ago.as_millis()).unwrap_or(u64::MAX),
    });
    json::respond(
        StatusCode::OK,
        &VerifiedPart {
            lists: part.lists,
            changes: part.changes,
            bytes: part.bytes,
            faults: part.faults.into_iter().map(shown).collect(),
            members: members.collect(),
            next: part.last.map(|name| cursor(name.as_str().as_bytes())),
        },
    )
}

fn shown(fault: Fault) -> VerifyFault {
    VerifyFault {
        list: fault.list.map(|name| name.to_string()),
        what: fault.what,
        remedy: fault.remedy,
        quarantined: fault.is_quarantined,
    }
}
