//! `/v1/lists/{list}/conflicts` and `/resolve`: what was written apart, and how it is settled.

use crate::http::Api;
use crate::http::connections::who::Caller;
use crate::http::json::Json;
use crate::http::lists::claims::Signers;
use crate::http::lists::entries::{expect_entry, gone, read_entry, respond_entry};
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
use crdt::entry::{Author, Edit, Entry, Field};
use crdt::list::{Dispute, Disputed as Value};
use names::{EntryId, ListId};
use node::lists::ask::{self, Disputes};
use node::lists::{Disputed, Precondition};
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
    let entry = read_entry(&api, list_id, id).await?;
    let is_open = |field: &Field| EntryField::from(field.as_str()) == body.field;
    if !entry.conflicts.iter().any(is_open) {
        return Err(Problem::new(
            Kind::Settled,
            format!("{} has one value: it is settled", body.field.as_str()),
        ));
    }
    // What was read is what is decided about: a tag that came since would be taken off.
    let expect = expect.or(Some(Precondition::Entry(entry.tag)));
    let edit = decision(&entry, body.field, body.value)?;
    let deletes = matches!(edit, Edit::Delete(_));
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
fn decision(entry: &Entry, field: EntryField, value: String) -> Result<Edit, Problem> {
    match (&field, value.as_str()) {
        (EntryField::Deleted, "deleted") => Ok(Edit::Delete(entry.id)),
        (EntryField::Deleted, "edited") => Ok(Edit::Keep(entry.id)),
        _ => {
            let patch = entry_patch(patch(entry, &field, value)?)?;
            Ok(Edit::Patch(entry.id, patch))
        }
    }
}

fn patch(entry: &Entry, field: &EntryField, value: String) -> Result<EntryPatch, Problem> {
    let wrong = |right: &str| {
        let field = field.as_str();
        let detail = format!("\"value\" of {field} is {value:?}; {right} is right");
        Err(Problem::invalid(detail))
    };
    let given = Some(value.clone()).filter(|value| !value.is_empty());
    let mut patch = EntryPatch::default();
    match field {
        EntryField::Title => patch.title = Some(Some(value)),
        EntryField::Notes => patch.notes = Some(Some(value)),
        EntryField::Due => patch.due = Some(given),
        EntryField::Assignee => patch.assignee = Some(given),
        EntryField::Priority => {
            patch.priority = Some(given.map(|word| EntryPriority::from(word.as_str())));
        }
        EntryField::Estimate => match given.map(|text| text.parse()).transpose() {
            Ok(minutes) => patch.estimate = Some(minutes),
            Err(_) => return wrong("a number of minutes, or nothing,"),
        },
        EntryField::Done if ["done", "open"].contains(&value.as_str()) => {
            patch.done = Some(Some(value == "done"));
        }
        EntryField::Tags => match tags(entry, &value) {
            Some(tags) => patch.tags = Some(Some(tags)),
            None => return wrong("+TAG or -TAG"),
        },
        EntryField::Done => return wrong("done or open"),
        EntryField::Deleted => return wrong("deleted or edited"),
        EntryField::Order => {
            let detail = "the order is settled by a move: PATCH the entry";
            return Err(Problem::invalid(detail));
        }
        EntryField::Other(_) => return Err(Problem::invalid("\"field\" is none of an entry's")),
    }
    Ok(patch)
}

/// An entry's tags, with or without the one in question.
fn tags(entry: &Entry, decided: &str) -> Option<Vec<String>> {
    let (tag, stays) = match decided.strip_prefix('+') {
        Some(tag) => (tag, true),
        None => (decided.strip_prefix('-')?, false),
    };
    let others = entry.tags.iter().filter(|other| *other != tag).cloned();
    Some(others.chain(stays.then(|| tag.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(field: EntryField, value: &str) -> Result<Edit, Problem> {
        let mut entry = Entry::new(EntryId(7));
        entry.tags = vec!["home".to_owned(), "shop".to_owned()];
        decision(&entry, field, value.to_owned())
    }

    fn patch(field: EntryField, value: &str) -> crdt::entry::EntryPatch {
        match decided(field, value) {
            Ok(Edit::Patch(EntryId(7), patch)) => patch,
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
        let tags = |value| patch(EntryField::Tags, value).tags.unwrap();
        assert_eq!(tags("-home"), ["shop"]);
        assert_eq!(tags("+home"), ["shop", "home"]);
        assert!(patch(EntryField::Due, "2026-03-01").due.flatten().is_some());
        assert!(patch(EntryField::Priority, "").priority == Some(None));
        assert!(matches!(
            decided(EntryField::Deleted, "edited"),
            Ok(Edit::Keep(_))
        ));
        assert!(matches!(
            decided(EntryField::Deleted, "deleted"),
            Ok(Edit::Delete(_))
        ));
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
            (EntryField::Other("colour".to_owned()), "red"),
        ] {
            let refused = decided(field.clone(), value).map(|_| ()).unwrap_err();
            assert_eq!(refused.status(), 422, "{field:?} {value:?}");
        }
    }
}
