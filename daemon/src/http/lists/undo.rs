//! `/v1/lists/{list}/undo` and `/redo`: a change that takes another one back.

use crate::http::Api;
use crate::http::connections::who::Caller;
use crate::http::json::Json;
use crate::http::lists::write::{Options, UndoAnswers, Written, in_time};
use crate::http::operations::openapi::Problems;
use crate::http::path::ListPath;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use api::lists::{EntryField, NotUndone, SkippedField, UndoRequest, UndoResult};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crdt::entry::Edit;
use crdt::list::{Skipped, Undone, Way, Why};
use names::{ChangeHash, ListId, ListName};
use node::lists::ask::{self, LastOf};

/// Undoes a change, or the caller's last one, by a new change.
///
/// A field is restored where the change's value still stands; the rest stays and is told. A deletion is
/// undone whatever came since: a deleted list comes back whole.
#[utoipa::path(
    post, path = "/v1/lists/{list}/undo", tag = "to-do lists", operation_id = "undo",
    params(("list" = String, Path, description = "The list's name, percent-encoded"), Query<(Options,)>),
    request_body = UndoRequest,
    responses(
        UndoAnswers,
        Problems<(ListPath, Query<(Options,)>, Json<UndoRequest>, ask::Edit, LastOf)>,
    )
)]
pub(crate) async fn undo(
    State(api): State<Api>,
    caller: Caller,
    ListPath(list): ListPath,
    Query((options,)): Query<(Options,)>,
    Json(body): Json<UndoRequest>,
) -> Result<Response, Problem> {
    take_back(&api, &caller, list, (Way::Undo, body), options).await
}

/// Takes an undoing back, or the caller's last one, by a new change.
///
/// Without a hash only if the caller has written nothing else to the list since.
#[utoipa::path(
    post, path = "/v1/lists/{list}/redo", tag = "to-do lists", operation_id = "redo",
    params(("list" = String, Path, description = "The list's name, percent-encoded"), Query<(Options,)>),
    request_body = UndoRequest,
    responses(
        UndoAnswers,
        Problems<(ListPath, Query<(Options,)>, Json<UndoRequest>, ask::Edit, LastOf, Own<{ Kind::Invalid as usize }>)>,
    )
)]
pub(crate) async fn redo(
    State(api): State<Api>,
    caller: Caller,
    ListPath(list): ListPath,
    Query((options,)): Query<(Options,)>,
    Json(body): Json<UndoRequest>,
) -> Result<Response, Problem> {
    take_back(&api, &caller, list, (Way::Redo, body), options).await
}

async fn take_back(
    api: &Api,
    caller: &Caller,
    list: ListName,
    (way, body): (Way, UndoRequest),
    options: Options,
) -> Result<Response, Problem> {
    let change = chosen(api, caller, &list, (way, body), options).await?;
    let edit = match way {
        Way::Undo => Edit::Undo(change),
        Way::Redo => Edit::Redo(change),
    };
    let written = api.write(caller, list, edit, None, options).await?;
    respond(api, caller, &written)
}

/// The change that is meant.
async fn chosen(
    api: &Api,
    caller: &Caller,
    list: &ListName,
    (way, body): (Way, UndoRequest),
    options: Options,
) -> Result<ChangeHash, Problem> {
    if let Some(text) = body.change {
        let hash = text.parse();
        return hash.map_err(|error| Problem::invalid(format!("\"change\": {error}")));
    }
    let by = caller.author(&api.service().info().name);
    let who = by.0.clone();
    let question = LastOf {
        list: list.clone(),
        way,
        timeout: options.timeout(),
    };
    let asked = api.service().ask_owner(ListId::of(list), by, question);
    let found = in_time(options.timeout(), asked).await?;
    found.ok_or_else(|| {
        let what = match way {
            Way::Undo => "has no change that could be undone",
            Way::Redo => "has undone nothing since the last change",
        };
        Problem::new(Kind::Change, format!("{who} {what} in the list"))
    })
}

fn respond(api: &Api, caller: &Caller, written: &Written) -> Result<Response, Problem> {
    api.count_restored(caller, &written.entries);
    let Some(undone) = &written.undone else {
        return Err(Problem::internal(
            "undoing was answered without what became of it",
        ));
    };
    let Undone {
        change,
        entries,
        skipped,
        more,
    } = undone.as_ref();
    let result = UndoResult {
        change: change.to_string(),
        entries: *entries as u64,
        skipped: skipped.iter().map(not_undone).collect(),
        more_skipped: *more as u64,
        replicas: written.replicas(),
    };
    written.respond(StatusCode::OK, &result)
}

fn not_undone(skipped: &Skipped) -> SkippedField {
    SkippedField {
        entry: skipped.id.to_string(),
        field: EntryField::from(skipped.field.as_str()),
        why: match skipped.why {
            Why::Changed => NotUndone::Changed,
            Why::Conflict => NotUndone::Conflict,
            Why::Deleted => NotUndone::Deleted,
            Why::Foreign => NotUndone::Foreign,
        },
    }
}
