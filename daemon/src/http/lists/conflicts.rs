//! `/v1/lists/{list}/conflicts` and `/resolve`: what was written apart, and how it is settled.

use crate::http::Api;
use crate::http::connections::who::Caller;
use crate::http::json::Json;
use crate::http::lists::claims::Signers;
use crate::http::lists::entries::{expect_entry, gone, respond_entry};
use crate::http::lists::shown::{entry_patch, parse_id};
use crate::http::lists::write::{EditAnswers, IfMatchHeader, Options, etag, in_time};
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter, Room, bad_cursor};
use crate::http::path::ListPath;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::time::Timeout;
use api::lists::{
    EntryConflicts, EntryConflictsPage, EntryField, EntryPatch, EntryPriority, FieldConflict,
    FieldValue, Resolution,
};
use api::time::Millis;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crdt::entry::{Author, Decision, Edit, Field};
use crdt::list::{Dispute, Disputed as Value};
use names::{EntryId, ListId};
use node::lists::Disputed;
use node::lists::ask::{self, Disputes};
use store::ReadError;

/// The entries of a list with fields that were written apart, with all values of these. The first value
/// is the one that is shown.
#[utoipa::path(
    get, path = "/v1/lists/{list}/conflicts", tag = "to-do lists", operation_id = "conflicts",
    params(
        ("list" = String, Path, description = "The list's name, percent-encoded"),
        Query<(Page, Timeout)>,
    ),
    responses(
        (status = 200, description = "A page of entries by id", body = EntryConflictsPage),
        Problems<(ListPath, Query<(Page, Timeout)>, Disputes)>,
    )
)]
pub(crate) async fn list(
    State(api): State<Api>,
    ListPath(list): ListPath,
    Query((page, Timeout(timeout))): Query<(Page, Timeout)>,
) -> Result<Response, Problem> {
    let after = page.after_text()?.map(str::parse::<EntryId>).transpose();
    let after = after.map_err(|_| bad_cursor())?;
    // Reading leaves no trace, so that it does not matter who asks.
    let (id, by) = (ListId::of(&list), Author(String::new()));
    let question = Disputes { list, timeout };
    let disputed = in_time(timeout, api.service().ask_owner(id, by, question)).await?;
    let signers = Signers::of(&api);
    let mut writer = PageWriter::new(&page);
    for one in disputed {
        if after.is_some_and(|after| one.entry.id <= after) {
            continue;
        }
        let key = one.entry.id.to_string();
        if writer.push(&conflicts(one, &signers), || key.into_bytes())? == Room::Full {
            break;
        }
    }
    Ok(writer.respond())
}

fn conflicts(disputed: Disputed, signers: &Signers) -> EntryConflicts {
    let Disputed {
        entry,
        disputes,
        owners,
    } = disputed;
    let by = |value: &Value| signers.by(&value.by, owners.get(&value.actor).copied());
    EntryConflicts {
        id: entry.id.to_string(),
        etag: etag(entry.tag).to_str().unwrap_or_default().to_owned(),
        title: entry.title,
        fields: disputes.into_iter().map(|one| field(one, by)).collect(),
    }
}

fn field(dispute: Dispute, by: impl Fn(&Value) -> String) -> FieldConflict {
    let field = dispute.field;
    let values = dispute.values.into_iter().map(|value| FieldValue {
        by: by(&value),
        value: shown(field, value.text),
        at: Millis(value.at),
    });
    FieldConflict {
        field: EntryField::from(field.as_str()),
        values: values.collect(),
    }
}

/// Ticks are told by what they say, and not by when they were made.
fn shown(field: Field, text: String) -> String {
    if field != Field::Done {
        text
    } else if text.is_empty() {
        "open".to_owned()
    } else {
        "done".to_owned()
    }
}

/// Settles what was written apart in one field of an entry: by one of its values, or by another one.
///
/// With `If-Match` and the entry's `etag` only if nothing came since. Two nodes that settle it apart
/// make at most one conflict of two values.
#[utoipa::path(
    post, path = "/v1/lists/{list}/resolve", tag = "to-do lists", operation_id = "resolve",
    params(
        ("list" = String, Path, description = "The list's name, percent-encoded"),
        Query<(Options,)>, IfMatchHeader,
    ),
    request_body = Resolution,
    responses(
        EditAnswers,
        (status = 204, description = "Settled: the entry is deleted", headers(("Muster-Change" = String, description = "The hash of the change"))),
        Problems<(ListPath, Query<(Options,)>, IfMatchHeader, Json<Resolution>, ReadError, ask::Edit, Own<{ Kind::Settled as usize }>)>,
    )
)]
pub(crate) async fn resolve(
    State(api): State<Api>,
    caller: Caller,
    ListPath(list): ListPath,
    Query((options,)): Query<(Options,)>,
    IfMatchHeader { if_match }: IfMatchHeader,
    Json(body): Json<Resolution>,
) -> Result<Response, Problem> {
    let id = parse_id("entry", &body.entry)?;
    let list_id = ListId::of(&list);
    let expect = expect_entry(&api, list_id, id, if_match).await?;
    let decision = decision(&body.field, body.value)?;
    let deletes = decision == Decision::Delete;
    let edit = Edit::Resolve(id, decision);
    let written = api
        .write(&caller, list, edit, expect, options)
        .await
        .map_err(|problem| gone(problem, id))?;
    if deletes {
        written.respond_gone()
    } else {
        respond_entry(&written, StatusCode::OK)
    }
}

/// What writes that value.
fn decision(field: &EntryField, value: String) -> Result<Decision, Problem> {
    let wrong = |right: &str| {
        let field = field.as_str();
        let detail = format!("\"value\" of {field} is {value:?}; {right} is right");
        Err(Problem::invalid(detail))
    };
    match (field, value.as_str()) {
        (EntryField::Deleted, "deleted") => Ok(Decision::Delete),
        (EntryField::Deleted, "edited") => Ok(Decision::Keep),
        (EntryField::Deleted, _) => wrong("deleted or edited"),
        (EntryField::Order, "first") => Ok(Decision::First),
        (EntryField::Tags, tag) => match (tag.strip_prefix('+'), tag.strip_prefix('-')) {
            (Some(tag), _) => Ok(decided(tag, true)),
            (None, Some(tag)) => Ok(decided(tag, false)),
            (None, None) => wrong("+TAG or -TAG"),
        },
        (EntryField::Done, word) if !["done", "open"].contains(&word) => wrong("done or open"),
        _ => {
            let known = Field::TABLE
                .iter()
                .find(|known| known.as_str() == field.as_str());
            let Some(known) = known else {
                return Err(Problem::invalid("\"field\" is none of an entry's"));
            };
            let Some(patch) = patch(*known, &value) else {
                let is_place = *known == Field::Order;
                return wrong(if is_place {
                    "first, after ID or before ID"
                } else {
                    "a number of minutes, or nothing,"
                });
            };
            let patch = Box::new(entry_patch(patch)?);
            Ok(Decision::Field(*known, patch))
        }
    }
}

fn decided(tag: &str, stays: bool) -> Decision {
    let tag = tag.to_owned();
    Decision::Tag { tag, stays }
}

/// What sets a field of the table to a value that is written as the values of a conflict are; `None` if
/// it is not.
fn patch(field: Field, value: &str) -> Option<EntryPatch> {
    let given = Some(value.to_owned()).filter(|value| !value.is_empty());
    let mut patch = EntryPatch::default();
    match field {
        Field::Title => patch.title = Some(Some(value.to_owned())),
        Field::Notes => patch.notes = Some(Some(value.to_owned())),
        Field::Due => patch.due = Some(given),
        Field::Assignee => patch.assignee = Some(given),
        Field::Priority => {
            patch.priority = Some(given.map(|word| EntryPriority::from(word.as_str())));
        }
        Field::Estimate => {
            patch.estimate = Some(given.map(|text| text.parse()).transpose().ok()?);
        }
        Field::Wait => patch.wait = Some(given),
        Field::Every => patch.every = Some(given),
        Field::Done => patch.done = Some(Some(value == "done")),
        Field::Order => match value.split_once(' ')? {
            ("after", id) => patch.after = Some(id.to_owned()),
            ("before", id) => patch.before = Some(id.to_owned()),
            _ => return None,
        },
        // What belongs to what is nothing that people decide.
        Field::Deleted | Field::Tags | Field::Series | Field::Planned => return None,
    }
    Some(patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crdt::entry::Place;

    fn patch(field: EntryField, value: &str) -> crdt::entry::EntryPatch {
        match decision(&field, value.to_owned()) {
            Ok(Decision::Field(_, patch)) => *patch,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_decision_writes_one_field() {
        assert_eq!(
            patch(EntryField::Title, "oat milk").title,
            Some("oat milk".to_owned())
        );
        assert_eq!(patch(EntryField::Notes, "").notes, Some(String::new()));
        assert_eq!(patch(EntryField::Assignee, "").assignee, Some(None));
        assert_eq!(patch(EntryField::Estimate, "90").estimate, Some(Some(90)));
        assert_eq!(patch(EntryField::Done, "open").done, Some(false));
        assert!(patch(EntryField::Due, "2026-03-01").due.flatten().is_some());
        assert!(patch(EntryField::Priority, "").priority == Some(None));
        let beside = patch(EntryField::Order, "after 00000000000000000000000007");
        assert_eq!(beside.place, Some(Place::After(EntryId(7))));
        let decision = |field, value: &str| decision(&field, value.to_owned()).unwrap();
        assert_eq!(decision(EntryField::Order, "first"), Decision::First);
        assert_eq!(decision(EntryField::Tags, "-home"), decided("home", false));
        assert_eq!(decision(EntryField::Tags, "+home"), decided("home", true));
        assert_eq!(decision(EntryField::Deleted, "edited"), Decision::Keep);
        assert_eq!(decision(EntryField::Deleted, "deleted"), Decision::Delete);
    }

    #[test]
    fn what_is_no_value_of_a_field_is_refused() {
        for (field, value) in [
            (EntryField::Title, ""),
            (EntryField::Due, "soon"),
            (EntryField::Priority, "urgent"),
            (EntryField::Estimate, "1h"),
            (EntryField::Done, "yes"),
            (EntryField::Deleted, ""),
            (EntryField::Tags, "home"),
            (EntryField::Order, "a"),
            (EntryField::Order, "after milk"),
            (EntryField::Other("colour".to_owned()), "red"),
        ] {
            let refused = decision(&field, value.to_owned()).map(|_| ()).unwrap_err();
            assert_eq!(refused.status(), 422, "{field:?} {value:?}");
        }
    }
}
