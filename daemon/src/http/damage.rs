//! `/v1/damage`: damage of the disk, and what becomes of what is intact behind it.

use crate::damage::Known;
use crate::http::connections::who::Admin;
use crate::http::operations::openapi::Problems;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::{Api, json};
use crate::metrics::count;
use crate::salvage;
use api::damage::{Acknowledged, DamageReport, DamagedJournal, Reissued};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(reissue))
        .routes(routes!(acknowledge))
}

/// The journals of this node's store that were damaged and that nobody has acknowledged, with what became of the
/// changes of lists that are intact behind the damage.
#[utoipa::path(
    get, path = "/v1/damage", tag = "operation", operation_id = "damage",
    responses((status = 200, description = "What was found", body = DamageReport), Problems<(Query<()>, Own<{ Kind::Store as usize }>)>)
)]
pub(crate) async fn show(State(api): State<Api>, _: Query<()>) -> Result<Response, Problem> {
    look(&api).await?;
    let items = api.service().damages().known().iter().map(shown).collect();
    json::respond(StatusCode::OK, &DamageReport { items })
}

fn shown(known: &Known) -> DamagedJournal {
    DamagedJournal {
        file: known.file.clone(),
        intact: count(known.intact),
        restored: count(known.restored()),
        anew: count(known.anew),
        missing: count(known.missing),
    }
}

async fn look(api: &Api) -> Result<Vec<store::Salvaged>, Problem> {
    salvage::look(api.service()).await.map_err(unreadable)
}

fn unreadable(error: store::ReadError) -> Problem {
    Problem::new(Kind::Store, error).retry_after(1)
}

/// Adds the entries anew that missing changes have added: with their ids, by whom and when they were added
/// before. For when no other member has what these changes build on. Should one bring it later all the same,
/// both are one entry. What the missing changes did besides is lost.
#[utoipa::path(
    post, path = "/v1/damage/reissue", tag = "operation", operation_id = "reissue_damaged",
    responses((status = 200, description = "What was added", body = Reissued), Problems<(Admin, Query<()>, Own<{ Kind::Store as usize }>)>)
)]
pub(crate) async fn reissue(
    State(api): State<Api>,
    _: Admin,
    _: Query<()>,
) -> Result<Response, Problem> {
    let added = salvage::add_anew(api.service(), &look(&api).await?).await;
    let entries = added.map_err(unreadable)?;
    let missing = count(look(&api).await?.len());
    json::respond(StatusCode::OK, &Reissued { entries, missing })
}

/// Says that somebody has seen the damage: it is told no more. The journals stay on the disk.
#[utoipa::path(
    post, path = "/v1/damage/acknowledge", tag = "operation", operation_id = "acknowledge_damage",
    responses((status = 200, description = "How many", body = Acknowledged), Problems<(Admin, Query<()>, Own<{ Kind::Store as usize }>)>)
)]
pub(crate) async fn acknowledge(
    State(api): State<Api>,
    _: Admin,
    _: Query<()>,
) -> Result<Response, Problem> {
    let journals = salvage::acknowledge(api.service())
        .await
        .map_err(unreadable)?;
    let journals = count(journals);
    json::respond(StatusCode::OK, &Acknowledged { journals })
}
