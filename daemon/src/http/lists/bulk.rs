//! `PATCH /v1/lists/{list}/entries`: several entries changed or deleted, all or none.

use crate::http::Api;
use crate::http::connections::who::Caller;
use crate::http::json::Json;
use crate::http::lists::entries::gone;
use crate::http::lists::shown::{entry_patch, parse_id, todo_entry};
use crate::http::lists::write::{BulkAnswers, IfMatchHeader, Options};
use crate::http::operations::openapi::Problems;
use crate::http::path::ListPath;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use api::lists::{BulkChange, ChangedEntries};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crdt::entry::{Bulk, Edit, limits};
use names::{EntryId, ListId};
use node::lists::{ListRow, Precondition, ask};
use std::collections::BTreeSet;
use store::ReadError;

/// The most entries that one call may change.
const MAX_IDS: usize = 10_000;

/// Changes or deletes several entries as one change of the list: all or none.
#[utoipa::path(
    patch, path = "/v1/lists/{list}/entries", tag = "to-do lists", operation_id = "edit_several",
    params(
        ("list" = String, Path, description = "The list's name, percent-encoded"),
        Query<(Options,)>, IfMatchHeader,
    ),
    request_body = BulkChange,
    responses(
        BulkAnswers,
        Problems<(ListPath, Query<(Options,)>, IfMatchHeader, Json<BulkChange>, (ReadError, ask::Edit), Own<{ Kind::List as usize }>, Own<{ Kind::Entry as usize }>)>,
    )
)]
pub(crate) async fn edit(
    State(api): State<Api>,
    caller: Caller,
    ListPath(list): ListPath,
    Query((options,)): Query<(Options,)>,
    IfMatchHeader { if_match }: IfMatchHeader,
    Json(body): Json<BulkChange>,
) -> Result<Response, Problem> {
    let (ids, bulk) = read(body)?;
    let expect = match if_match {
        Some(wanted) => Some(Precondition::List(
            wanted.resolve(api.row(ListId::of(&list)).await?.as_ref().map(ListRow::tag))?,
        )),
        None => None,
    };
    let first = ids.first().copied().unwrap_or(EntryId(0));
    let written = api
        .write(&caller, list, Edit::Several(ids, bulk), expect, options)
        .await
        .map_err(|problem| gone(problem, first))?;
    let entries = written.entries.iter();
    let changed = ChangedEntries {
        items: entries
            .map(|entry| todo_entry(entry.as_ref().clone()))
            .collect(),
        replicas: written.replicas(),
    };
    written.respond(StatusCode::OK, &changed)
}

fn read(body: BulkChange) -> Result<(Vec<EntryId>, Bulk), Problem> {
    if body.ids.is_empty() || body.ids.len() > MAX_IDS {
        return Err(Problem::invalid(format!(
            "\"ids\" has {} ids; it must have 1 to {MAX_IDS}",
            body.ids.len()
        )));
    }
    let ids = body.ids.iter().map(|id| parse_id("ids", id));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let mut seen = BTreeSet::new();
    if let Some(id) = ids.iter().find(|id| !seen.insert(**id)) {
        return Err(Problem::invalid(format!("\"ids\" has {id} twice")));
    }
    let (tag, untag) = (body.tag.unwrap_or_default(), body.untag.unwrap_or_default());
    let changes = body.patch.is_some() || !(tag.is_empty() && untag.is_empty());
    match (body.delete.unwrap_or(false), changes) {
        (true, false) => return Ok((ids, Bulk::Delete)),
        (false, true) => {}
        (true, true) => {
            return Err(Problem::invalid("\"delete\" cannot be given with a change"));
        }
        (false, false) => {
            return Err(Problem::invalid(
                "nothing is to be done: \"patch\", \"tag\", \"untag\" or \"delete\" is needed",
            ));
        }
    }
    limits::check_tags(&tag)
        .map_err(|error| Problem::invalid(format!("\"tag\" {}", error.detail)))?;
    let patch = Box::new(entry_patch(body.patch.unwrap_or_default())?);
    Ok((ids, Bulk::Patch { patch, tag, untag }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Result<(Vec<EntryId>, Bulk), Problem> {
        read(serde_json::from_str(text).unwrap())
    }

    const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

    #[test]
    fn one_thing_is_done_to_ids_that_differ() {
        assert!(bulk(&format!(r#"{{"ids":["{ID}"],"patch":{{"done":true}}}}"#)).is_ok());
        assert!(bulk(&format!(r#"{{"ids":["{ID}"],"tag":["a"],"untag":["b"]}}"#)).is_ok());
        let deleted = bulk(&format!(r#"{{"ids":["{ID}"],"delete":true}}"#)).unwrap();
        assert_eq!(deleted.1, Bulk::Delete);
        for wrong in [
            r#"{"ids":[],"delete":true}"#.to_owned(),
            r#"{"ids":["x"],"delete":true}"#.to_owned(),
            format!(r#"{{"ids":["{ID}","{ID}"],"delete":true}}"#),
            format!(r#"{{"ids":["{ID}"]}}"#),
            format!(r#"{{"ids":["{ID}"],"delete":false}}"#),
            format!(r#"{{"ids":["{ID}"],"delete":true,"tag":["a"]}}"#),
            format!(r#"{{"ids":["{ID}"],"tag":["two\nlines"]}}"#),
            format!(r#"{{"ids":["{ID}"],"patch":{{"title":null}}}}"#),
        ] {
            assert!(bulk(&wrong).is_err(), "{wrong}");
        }
    }
}
