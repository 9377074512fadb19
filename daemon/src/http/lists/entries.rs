//! `/v1/lists/{list}/entries`: to see, add, change and delete entries.

use crate::http::connections::who::Caller;
use crate::http::json::{self, Json, LargeBody};
use crate::http::lists::body::Added;
use crate::http::lists::entry_page::{
    Effort, Place, parse_place, read_page, unbounded, write_page,
};
use crate::http::lists::filter::Filter;
use crate::http::lists::rebuild::mended;
use crate::http::lists::shown::{entry_patch, todo_entry};
use crate::http::lists::write::{
    AddAnswers, DeleteAnswers, EditAnswers, IfMatch, IfMatchHeader, Options, Written, etag, in_time,
};
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter};
use crate::http::path::{self, EntryPath, ListPath};
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::{Group, Query};
use crate::http::time::Timeout;
use crate::http::{Api, no_list};
use api::lists::{AddedEntries, AtQuery, EntryPatch, NewEntryOrEntries, TodoEntry, TodoEntryPage};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use crdt::entry::{Author, Edit, Entry};
use names::{ChangeHash, EntryId, ListId, ListName};
use node::lists::ask::{self, EntriesAt};
use node::lists::{ListRow, Precondition, Refusal};
use std::time::Duration;
use store::{ReadError, Reader};

/// The change of the list's history that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At(Option<ChangeHash>);

impl Group for At {
    type Written = AtQuery;

    fn check(written: AtQuery) -> Result<Self, Problem> {
        let parse = |text: String| {
            text.parse()
                .map_err(|error| Problem::invalid(format!("\"at\": {error}")))
        };
        written.at.map(parse).transpose().map(Self)
    }
}

/// A list's entries, in order.
#[utoipa::path(
    get, path = "/v1/lists/{list}/entries", tag = "to-do lists", operation_id = "entries",
    params(
        ("list" = String, Path, description = "The list's name, percent-encoded"),
        Query<(Filter, Page, At, Timeout)>,
    ),
    responses(
        (
            status = 200, description = "A page of entries, each with its \
                `position`", body = TodoEntryPage,
            headers(("ETag" = String, description = "The list's tag; not with `at`")),
        ),
        Problems<(ListPath, Query<(Filter, Page, At, Timeout)>, ReadError, EntriesAt)>,
    )
)]
pub(crate) async fn list(
    State(api): State<Api>,
    ListPath(name): ListPath,
    Query((filter, page, At(at), Timeout(timeout))): Query<(Filter, Page, At, Timeout)>,
) -> Result<Response, Problem> {
    let after = page.after.as_deref().map(parse_place).transpose()?;
    if let Some(change) = at {
        let entries = entries_at(&api, name, change, timeout)
            .await?
            .into_iter()
            .map(|entry| Ok::<_, Problem>(Some(entry)));
        return write_page(entries, 0, &filter, &page, after.as_ref(), Effort::Any)?
            .ok_or_else(unbounded)
            .map(PageWriter::respond);
    }
    let id = ListId::of(&name);
    let row = api.row(id).await?.ok_or_else(|| no_list(&name))?;
    let read = || read_shown(&api, (id, &row), &filter, &page, after.as_ref());
    let shown = mended(&api, read).await?;
    Ok(tagged(shown.respond(), row.tag()))
}

/// A page of a list, read on the spot if that takes little.
async fn read_shown(
    api: &Api,
    (list, row): (ListId, &ListRow),
    filter: &Filter,
    page: &Page,
    after: Option<&Place>,
) -> Result<PageWriter, Problem> {
    if api.is_small(row)
        && let Some(shown) = read_page(api.reader(), list, filter, page, after, Effort::Little)?
    {
        return Ok(shown);
    }
    let (filter, page, after) = (filter.clone(), page.clone(), after.cloned());
    let read = move |reader: &Reader| {
        let shown = read_page(reader, list, &filter, &page, after.as_ref(), Effort::Any);
        shown?.ok_or_else(unbounded)
    };
    api.scan(read).await
}

async fn entries_at(
    api: &Api,
    list: ListName,
    change: ChangeHash,
    timeout: Duration,
) -> Result<Vec<Entry>, Problem> {
    // Reading leaves no trace, so that it does not matter who asks.
    let (id, by) = (ListId::of(&list), Author(String::new()));
    let question = EntriesAt {
        list,
        change,
        timeout,
    };
    in_time(timeout, api.service().ask_owner(id, by, question)).await
}

/// Adds one entry or several, all or none; the first creates the list.
///
/// An entry with the client's own `id` that is there already is left as it is.
#[utoipa::path(
    post, path = "/v1/lists/{list}/entries", tag = "to-do lists", operation_id = "add",
    params(
        ("list" = String, Path, description = "The list's name, percent-encoded"),
        Query<(Options,)>, IfMatchHeader,
    ),
    request_body(content = NewEntryOrEntries, description = "One entry, or `entries`"),
    responses(
        AddAnswers,
        Problems<(ListPath, Query<(Options,)>, IfMatchHeader, LargeBody, ReadError, ask::Edit, Own<{ Kind::Deleted as usize }>)>,
    )
)]
pub(crate) async fn add(
    State(api): State<Api>,
    caller: Caller,
    ListPath(list): ListPath,
    Query((options,)): Query<(Options,)>,
    IfMatchHeader { if_match }: IfMatchHeader,
    body: LargeBody,
) -> Result<Response, Problem> {
    let expect = match if_match {
        Some(wanted) => Some(Precondition::List(
            wanted.resolve(api.row(ListId::of(&list)).await?.as_ref().map(ListRow::tag))?,
        )),
        None => None,
    };
    let (entries, is_one) = match Added::parse(&body.bytes)? {
        Added::One(entry) => (vec![*entry], true),
        Added::Several(entries) => (entries, false),
    };
    let written = api
        .write(&caller, list.clone(), Edit::Add(entries), expect, options)
        .await?;
    let done = if written.change.is_some() {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    if !is_one {
        let entries = written.entries.iter();
        let added = AddedEntries {
            items: entries
                .map(|entry| todo_entry(entry.as_ref().clone()))
                .collect(),
            replicas: written.replicas(),
        };
        return written.respond(done, &added);
    }
    let mut response = respond_entry(&written, done)?;
    let path = written
        .entries
        .first()
        .and_then(|entry| HeaderValue::from_str(&path::of_entry(&list, entry.id)).ok());
    path.map(|path| response.headers_mut().insert(header::LOCATION, path));
    Ok(response)
}

pub(crate) fn respond_entry(written: &Written, done: StatusCode) -> Result<Response, Problem> {
    let Some(entry) = written.entries.first() else {
        return Err(Problem::internal("a write was answered without its entry"));
    };
    let shown = TodoEntry {
        replicas: written.replicas(),
        ..todo_entry(entry.as_ref().clone())
    };
    let response = written.respond(done, &shown)?;
    Ok(tagged(response, entry.tag))
}

fn tagged(mut response: Response, tag: u64) -> Response {
    response.headers_mut().insert(header::ETAG, etag(tag));
    response
}

/// One entry.
#[utoipa::path(
    get, path = "/v1/lists/{list}/entries/{id}", tag = "to-do lists", operation_id = "entry",
    params(("list" = String, Path, description = "The list's name, percent-encoded"), ("id" = String, Path, description = "The entry's id")),
    responses(
        (
            status = 200, description = "The entry", body = TodoEntry,
            headers(("ETag" = String, description = "The entry's tag")),
        ),
        Problems<(EntryPath, Query<()>, ReadError)>,
    )
)]
pub(crate) async fn show(
    State(api): State<Api>,
    EntryPath(list, id): EntryPath,
    _: Query<()>,
) -> Result<Response, Problem> {
    let entry = read_entry(&api, ListId::of(&list), id).await?;
    let tag = entry.tag;
    let response = json::respond(StatusCode::OK, &todo_entry(entry))?;
    Ok(tagged(response, tag))
}

/// Changes an entry by a JSON merge patch (RFC 7396), or moves it.
#[utoipa::path(
    patch, path = "/v1/lists/{list}/entries/{id}", tag = "to-do lists", operation_id = "edit",
    params(
        ("list" = String, Path, description = "The list's name, percent-encoded"), ("id" = String, Path, description = "The entry's id"),
        Query<(Options,)>, IfMatchHeader,
    ),
    request_body = EntryPatch,
    responses(
        EditAnswers,
        Problems<(EntryPath, Query<(Options,)>, IfMatchHeader, Json<EntryPatch>, ReadError, ask::Edit, Own<{ Kind::List as usize }>)>,
    )
)]
pub(crate) async fn edit(
    State(api): State<Api>,
    caller: Caller,
    EntryPath(list, id): EntryPath,
    Query((options,)): Query<(Options,)>,
    IfMatchHeader { if_match }: IfMatchHeader,
    Json(body): Json<EntryPatch>,
) -> Result<Response, Problem> {
    let edit = Edit::Patch(id, entry_patch(body)?.into());
    let expect = expect_entry(&api, ListId::of(&list), id, if_match).await?;
    let written = api
        .write(&caller, list, edit, expect, options)
        .await
        .map_err(|problem| gone(problem, id))?;
    respond_entry(&written, StatusCode::OK)
}

/// Deletes an entry. One that is edited elsewhere at the same time stays, marked.
#[utoipa::path(
    delete, path = "/v1/lists/{list}/entries/{id}", tag = "to-do lists", operation_id = "delete",
    params(
        ("list" = String, Path, description = "The list's name, percent-encoded"), ("id" = String, Path, description = "The entry's id"),
        Query<(Options,)>, IfMatchHeader,
    ),
    responses(
        DeleteAnswers,
        Problems<(EntryPath, Query<(Options,)>, IfMatchHeader, ReadError, ask::Edit, Own<{ Kind::List as usize }>)>,
    )
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    EntryPath(list, id): EntryPath,
    Query((options,)): Query<(Options,)>,
    IfMatchHeader { if_match }: IfMatchHeader,
) -> Result<Response, Problem> {
    let expect = expect_entry(&api, ListId::of(&list), id, if_match).await?;
    let written = api
        .write(&caller, list, Edit::Delete(id), expect, options)
        .await
        .map_err(|problem| gone(problem, id))?;
    written.respond_gone()
}

pub(crate) async fn read_entry(api: &Api, list: ListId, id: EntryId) -> Result<Entry, Problem> {
    let entry = mended(api, async || Ok(api.reader().entry(list, id)?)).await?;
    entry.ok_or_else(|| Refusal::NoEntry(id).into())
}

/// The precondition of a call on an entry.
pub(crate) async fn expect_entry(
    api: &Api,
    list: ListId,
    id: EntryId,
    if_match: Option<IfMatch>,
) -> Result<Option<Precondition>, Problem> {
    let Some(wanted) = if_match else {
        return Ok(None);
    };
    let entry = read_entry(api, list, id).await?;
    wanted
        .resolve(Some(entry.tag))
        .map(|tag| Some(Precondition::Entry(tag)))
}

/// To a call on an entry, one that was deleted is one that is not there; it is a conflict only for
/// one who adds it.
pub(crate) fn gone(problem: Problem, id: EntryId) -> Problem {
    if problem.is(Kind::Deleted) {
        Refusal::NoEntry(id).into()
    } else {
        problem
    }
}
