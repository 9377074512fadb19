//! `/v1/lists`: which lists there are, and one as a whole; `/v1/entries`: all of them by due date.

pub(crate) mod body;
pub(crate) mod book;
pub(crate) mod bulk;
pub(crate) mod check;
pub(crate) mod claims;
pub(crate) mod conflicts;
pub(crate) mod document;
pub(crate) mod entries;
pub(crate) mod entry_page;
pub(crate) mod filter;
pub(crate) mod history;
pub(crate) mod list_hub;
mod quota;
pub(crate) mod rebuild;
pub(crate) mod shown;
pub(crate) mod undo;
pub(crate) mod watch;
pub(crate) mod write;

use crate::http::connections::who::Caller;
use crate::http::json;
use crate::http::lists::filter::Filter;
pub(crate) use crate::http::lists::quota::Quotas;
use crate::http::lists::rebuild::mended;
use crate::http::lists::shown::{todo_entry, todo_list};
use crate::http::lists::write::{DeleteAnswers, IfMatchHeader, Options, etag};
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter, Room, bad_cursor};
use crate::http::path::ListPath;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::{Api, no_list};
use api::lists::{ListsQuery, TodoEntry, TodoEntryPage, TodoList, TodoListPage};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use crdt::entry::Edit;
use names::{EntryId, ListId, ListName};
use node::lists::{ListRow, Precondition, ask};
use store::{AgendaKey, ReadError, Reader};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, delete))
        .routes(routes!(entries::list, entries::add, bulk::edit))
        .routes(routes!(entries::show, entries::edit, entries::delete))
        .routes(routes!(check::check))
        .routes(routes!(document::show, document::merge))
        .routes(routes!(conflicts::list))
        .routes(routes!(conflicts::resolve))
        .routes(routes!(history::list))
        .routes(routes!(undo::undo))
        .routes(routes!(undo::redo))
        .routes(routes!(agenda))
        .routes(routes!(watch::stream))
        .routes(routes!(rebuild::rebuild))
}

/// The lists that have entries, by name.
#[utoipa::path(
    get, path = "/v1/lists", tag = "to-do lists", operation_id = "lists",
    params(Query<(ListsQuery, Page)>),
    responses(
        (status = 200, description = "A page of lists", body = TodoListPage),
        Problems<(Query<(ListsQuery, Page)>, ReadError, Own<{ Kind::Busy as usize }>)>,
    )
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Query((lists, page)): Query<(ListsQuery, Page)>,
) -> Result<Response, Problem> {
    let part = lists.part.map(|part| part.to_lowercase());
    let after = page
        .after_text()?
        .map(|name| ListName::new(name).map_err(|_| bad_cursor()))
        .transpose()?;
    let scan = || {
        let (page, after, part) = (page.clone(), after.clone(), part.clone());
        api.scan(move |reader| read_lists(reader, &page, after.as_ref(), part.as_deref()))
    };
    mended(&api, scan).await.map(PageWriter::respond)
}

fn read_lists(
    reader: &Reader,
    page: &Page,
    after: Option<&ListName>,
    part: Option<&str>,
) -> Result<PageWriter, Problem> {
    let mut writer = PageWriter::new(page);
    for row in reader.lists(after) {
        let row = row?;
        let is_wanted = row.total > 0
            && part.is_none_or(|part| row.name.as_str().to_lowercase().contains(part));
        if is_wanted
            && writer.push(&todo_list(&row), || row.name.as_str().as_bytes().to_vec())?
                == Room::Full
        {
            break;
        }
    }
    Ok(writer)
}

/// A list.
#[utoipa::path(
    get, path = "/v1/lists/{list}", tag = "to-do lists", operation_id = "list",
    params(("list" = String, Path, description = "The list's name, percent-encoded")),
    responses(
        (status = 200, description = "The list", body = TodoList, headers(("ETag" = String, description = "The list's tag"))),
        Problems<(ListPath, Query<()>, ReadError, Own<{ Kind::List as usize }>)>,
    )
)]
pub(crate) async fn show(
    State(api): State<Api>,
    ListPath(name): ListPath,
    _: Query<()>,
) -> Result<Response, Problem> {
    let row = api.row(ListId::of(&name)).await?;
    let row = row.ok_or_else(|| no_list(&name))?;
    let mut response = json::respond(StatusCode::OK, &todo_list(&row))?;
    response.headers_mut().insert(header::ETAG, etag(row.tag()));
    Ok(response)
}

/// Deletes all entries that this node knows of a list, and with them the list.
///
/// An entry that is added or edited elsewhere at the same time brings the list back with itself
/// alone.
#[utoipa::path(
    delete, path = "/v1/lists/{list}", tag = "to-do lists", operation_id = "delete_list",
    params(("list" = String, Path, description = "The list's name, percent-encoded"), Query<(Options,)>, IfMatchHeader),
    responses(
        DeleteAnswers,
        Problems<(ListPath, Query<(Options,)>, IfMatchHeader, ReadError, ask::Edit, Own<{ Kind::List as usize }>)>,
    )
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    ListPath(name): ListPath,
    Query((options,)): Query<(Options,)>,
    IfMatchHeader { if_match }: IfMatchHeader,
) -> Result<Response, Problem> {
    let expect = match if_match {
        None => None,
        Some(wanted) => {
            let row = api.row(ListId::of(&name)).await?;
            let row = row.ok_or_else(|| no_list(&name))?;
            Some(Precondition::List(
                wanted.resolve(Some(ListRow::tag(&row)))?,
            ))
        }
    };
    api.write(&caller, name, Edit::DeleteAll, expect, options)
        .await?
        .respond_gone()
}

/// The entries of all lists, by due date (those without last), list and order.
#[utoipa::path(
    get, path = "/v1/entries", tag = "to-do lists", operation_id = "agenda",
    params(Query<(Filter, Page)>),
    responses(
        (status = 200, description = "A page of entries, each with its `list`", body = TodoEntryPage),
        Problems<(Query<(Filter, Page)>, ReadError, Own<{ Kind::Busy as usize }>)>,
    )
)]
pub(crate) async fn agenda(
    State(api): State<Api>,
    Query((filter, page)): Query<(Filter, Page)>,
) -> Result<Response, Problem> {
    let after = match &page.after {
        Some(key) => Some(node::codec::decode(key).map_err(|_| bad_cursor())?),
        None if filter.is_undated() => last_dated(),
        None => None,
    };
    let scan = || {
        let (filter, page, after) = (filter.clone(), page.clone(), after.clone());
        api.scan(move |reader| read_agenda(reader, &filter, &page, after.as_ref()))
    };
    mended(&api, scan).await.map(PageWriter::respond)
}

/// A key behind all entries that are due at a time that a client can give, before all that are not
/// due at all.
fn last_dated() -> Option<AgendaKey> {
    let list = ListName::new("!").ok()?;
    Some(AgendaKey {
        due_ms: Some(i64::MAX),
        list,
        order: String::new(),
        id: EntryId(0),
    })
}

fn read_agenda(
    reader: &Reader,
    filter: &Filter,
    page: &Page,
    after: Option<&AgendaKey>,
) -> Result<PageWriter, Problem> {
    let (from_ms, to_ms) = filter.due_range_ms().unzip();
    let mut writer = PageWriter::new(page);
    for row in reader.agenda(after, from_ms, to_ms) {
        let (key, list, entry) = row?;
        if !filter.admits(&entry) {
            continue;
        }
        let key = || node::codec::encode(&key).unwrap_or_default();
        let shown = TodoEntry {
            list: Some(list.to_string()),
            ..todo_entry(entry)
        };
        if writer.push(&shown, key)? == Room::Full {
            break;
        }
    }
    Ok(writer)
}
