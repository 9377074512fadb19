//! `/v1/quarantine`: lists whose documents cannot be made, and the ways out of that.

use crate::http::connections::who::Admin;
use crate::http::lists::write::in_time;
use crate::http::operations::openapi::Problems;
use crate::http::path::ListPath;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::time::Timeout;
use crate::http::{Api, json};
use crate::quarantine::{self, ReplaceError};
use api::quarantine::{
    ListHolder, QuarantineDetails, QuarantineReport, QuarantinedList, ReleasedList, ReplaceQuery,
    ReplacedList,
};
use api::time::Millis;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crdt::entry::Author;
use names::{ListId, ListName, NodeId};
use node::lists::Refusal;
use node::lists::ask::{Holders, Release, Replace};
use store::{BackupError, ReadError, Reader};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(why))
        .routes(routes!(release))
        .routes(routes!(replace))
}

/// The lists of this node that are in quarantine: their documents cannot be made from their changes. They can be
/// read as they were last, take no changes, and lose nothing.
#[utoipa::path(
    get, path = "/v1/quarantine", tag = "operation", operation_id = "quarantine",
    responses((status = 200, description = "The lists", body = QuarantineReport), Problems<(Query<()>, ReadError, Own<{ Kind::Busy as usize }>)>)
)]
pub(crate) async fn list(State(api): State<Api>, _: Query<()>) -> Result<Response, Problem> {
    let items = api.scan(|reader| Ok(lists(reader)?)).await?;
    json::respond(StatusCode::OK, &QuarantineReport { items })
}

fn lists(reader: &Reader) -> Result<Vec<QuarantinedList>, ReadError> {
    let mut items = Vec::new();
    for row in reader.quarantines()? {
        items.push(QuarantinedList {
            changes: quarantine::changes(reader, row.list)?,
            name: row.name.map(|name| name.to_string()),
            since: row.since_ms.map(Millis),
            reason: row.reason,
        });
    }
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(items)
}

/// What is wrong with a list in quarantine: all of its changes are read and its document is tried, which takes as
/// long as loading it. Connected members are asked what they have of it, for up to 5 seconds.
#[utoipa::path(
    get, path = "/v1/quarantine/{list}", tag = "operation", operation_id = "quarantined_list",
    params(("list" = String, Path, description = "The list's name, percent-encoded")),
    responses(
        (status = 200, description = "What was found", body = QuarantineDetails),
        Problems<(ListPath, Query<()>, Holders, ReadError, Own<{ Kind::NotQuarantined as usize }>, Own<{ Kind::Deadline as usize }>)>,
    )
)]
pub(crate) async fn why(
    State(api): State<Api>,
    ListPath(name): ListPath,
    _: Query<()>,
) -> Result<Response, Problem> {
    let details = quarantine::details(api.service(), &name).await;
    let found = details.map_err(|error| problem(&name, error))?;
    let found = found.ok_or_else(|| not_quarantined(&name))?;
    let document = found.examined.rebuilt.err();
    let holders = found.holders.iter().map(|holder| ListHolder {
        node: node_name(&api, holder.peer),
        changes: quarantine::length(&holder.vector),
    });
    json::respond(
        StatusCode::OK,
        &QuarantineDetails {
            name: name.to_string(),
            since: found.row.since_ms.map(Millis),
            reason: found.row.reason,
            changes: found.examined.changes,
            bytes: found.examined.bytes,
            faults: found.examined.faults,
            omitted: found.examined.omitted,
            document: document.map(|error| error.to_string()),
            holders: holders.collect(),
            unconfirmed: found.unconfirmed,
        },
    )
}

/// Tries to make the document of a list in quarantine from the changes on the disk, as after an update of the
/// program, and takes the list out of quarantine if that succeeds. The attempt goes on after the timeout.
#[utoipa::path(
    post, path = "/v1/quarantine/{list}/release", tag = "operation", operation_id = "release_list",
    params(("list" = String, Path, description = "The list's name, percent-encoded"), Query<(Timeout,)>),
    responses(
        (status = 200, description = "It is out of quarantine", body = ReleasedList),
        Problems<(Admin, ListPath, Query<(Timeout,)>, Release, ReadError)>,
    )
)]
pub(crate) async fn release(
    State(api): State<Api>,
    _: Admin,
    ListPath(name): ListPath,
    Query((Timeout(timeout),)): Query<(Timeout,)>,
) -> Result<Response, Problem> {
    let Ok(_turn) = api.replacing().try_lock() else {
        return Err(busy());
    };
    let list = ListId::of(&name);
    let question = Release {
        list: name.clone(),
        timeout,
    };
    // It leaves no trace in the list, so that it does not matter who asks.
    let by = Author(String::new());
    in_time(timeout, api.service().ask_owner(list, by, question)).await?;
    let row = api.reader().list(list)?;
    json::respond(
        StatusCode::OK,
        &ReleasedList {
            name: name.to_string(),
            entries: row.map_or(0, |row| row.total),
        },
    )
}

/// Puts all that is here of a list in quarantine aside, into a file, and takes the list from the connected
/// members that have it, as if it had never been here. Refused while no connected member has it, and where this
/// node has changes of it that none of them has, unless that is forced. Waits for the list to come until the
/// timeout; it goes on coming after that.
#[utoipa::path(
    post, path = "/v1/quarantine/{list}/replace", tag = "operation", operation_id = "replace_list",
    params(("list" = String, Path, description = "The list's name, percent-encoded"), Query<(ReplaceQuery, Timeout)>),
    responses(
        (status = 200, description = "It is taken from other members", body = ReplacedList),
        Problems<(
            Admin, ListPath, Query<(ReplaceQuery, Timeout)>, (Holders, Replace), ReadError,
            (Own<{ Kind::StillDamaged as usize }>, Own<{ Kind::NoHolder as usize }>, Own<{ Kind::Unconfirmed as usize }>, Own<{ Kind::Deadline as usize }>),
        )>,
    )
)]
pub(crate) async fn replace(
    State(api): State<Api>,
    _: Admin,
    ListPath(name): ListPath,
    Query((how, Timeout(timeout))): Query<(ReplaceQuery, Timeout)>,
) -> Result<Response, Problem> {
    let Ok(_turn) = api.replacing().try_lock() else {
        return Err(busy());
    };
    let is_forced = how.force.unwrap_or(false);
    let replaced = quarantine::replace(api.service(), &name, is_forced, timeout).await;
    let replaced = replaced.map_err(|error| problem(&name, error))?;
    let from = replaced.from.iter().map(|node| node_name(&api, *node));
    json::respond(
        StatusCode::OK,
        &ReplacedList {
            name: name.to_string(),
            file: replaced.file.display().to_string(),
            changes: replaced.changes,
            unconfirmed: replaced.unconfirmed,
            from: from.collect(),
            complete: replaced.is_complete,
        },
    )
}

fn busy() -> Problem {
    let detail = "another list is being taken out of quarantine";
    Problem::new(Kind::Busy, detail).retry_after(1)
}

fn not_quarantined(name: &ListName) -> Problem {
    Refusal::NotQuarantined(name.to_string()).into()
}

/// A member's name, or its id where it has none here.
pub(crate) fn node_name(api: &Api, node: NodeId) -> String {
    let view = api.service().view();
    let member = view.member(node);
    member.map_or_else(
        || node.to_string(),
        |member| member.profile.name.to_string(),
    )
}

fn problem(name: &ListName, error: ReplaceError) -> Problem {
    match error {
        ReplaceError::NotQuarantined => not_quarantined(name),
        ReplaceError::NoHolder => {
            let detail = format!(
                "no connected member has the list {:?}: connect one that has it, or try muster \
                quarantine release",
                name.as_str()
            );
            Problem::new(Kind::NoHolder, detail)
        }
        ReplaceError::Unconfirmed(changes) => {
            let detail = format!(
                "{changes} changes of the list {:?} are on this node only, as far as the members that \
                are connected tell; with force they are put aside in a file with all others, and the list \
                is without them",
                name.as_str()
            );
            Problem::new(Kind::Unconfirmed, detail)
        }
        ReplaceError::Damaged => Problem::new(
            Kind::StillDamaged,
            "a table of the database is damaged, so that nothing can be put in its place: muster verify \
            says what to do",
        ),
        ReplaceError::Refused(refusal) => refusal.into(),
        ReplaceError::Backup(BackupError::Read(error)) => error.into(),
        ReplaceError::Backup(BackupError::Write(error)) => {
            let detail = format!("what is here of the list cannot be put aside: {error}");
            if error.kind() == std::io::ErrorKind::StorageFull {
                Problem::new(Kind::DiskFull, detail)
            } else {
                Problem::new(Kind::Store, detail).retry_after(60)
            }
        }
    }
}
