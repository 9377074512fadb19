//! The two routes of the example in *Elixir in Action*, its to-do server, unchanged, on a TCP
//! listener that is open.

use crate::http::Api;
use crate::http::connections::who::Caller;
use crate::http::lists::filter::Filter;
use crate::http::lists::rebuild::mended;
use crate::http::lists::write::Options;
use crate::http::operations::openapi::Problems;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::{Group, Query};
use crate::http::time::parse_date;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use crdt::entry::{Due, Edit, NewEntry};
use jiff::civil::Date;
use names::{ListId, ListName};
use node::lists::ask;
use serde::Deserialize;
use std::fmt::Write;
use store::{ReadError, Reader};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The longest answer: what follows is left out. The route has no pages.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// A list and a day.
pub(crate) struct Asked {
    list: ListName,
    date: Date,
}

/// The same as it is written.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AskedQuery {
    /// The list's name.
    list: String,
    /// The day.
    #[param(format = Date)]
    date: String,
}

/// An entry for that day.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Title {
    /// What needs doing.
    title: String,
}

impl Group for Asked {
    type Written = AskedQuery;

    fn check(written: AskedQuery) -> Result<Self, Problem> {
        Ok(Self {
            list: ListName::new(&written.list).map_err(Problem::invalid)?,
            date: parse_date("date", &written.date)?,
        })
    }
}

impl Group for Title {
    type Written = Self;

    fn check(written: Self) -> Result<Self, Problem> {
        Ok(written)
    }
}

/// The calls of this file.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(add_entry))
        .routes(routes!(entries))
}

const PATHS: [&str; 2] = ["/add_entry", "/entries"];

/// Hides both routes while the listener is not open.
pub(crate) async fn check(State(api): State<Api>, request: Request, next: Next) -> Response {
    if PATHS.contains(&request.uri().path()) && !api.policy().open {
        return crate::http::no_path(request).await.into_response();
    }
    next.run(request).await
}

/// Adds an entry.
#[utoipa::path(
    post, path = "/add_entry", tag = "example", operation_id = "example_add_entry",
    params(Query<(Asked, Title)>),
    responses(
        (status = 200, description = "`OK`", body = String, content_type = "text/plain"),
        Problems<(Query<(Asked, Title)>, ReadError, ask::Edit, Own<{ Kind::Path as usize }>)>,
    )
)]
pub(crate) async fn add_entry(
    State(api): State<Api>,
    caller: Caller,
    Query((Asked { list, date }, Title { title })): Query<(Asked, Title)>,
) -> Result<&'static str, Problem> {
    let options = Options::default();
    let entry = NewEntry {
        title,
        due: Some(Due::Date(date)),
        ..NewEntry::default()
    };
    entry
        .check()
        .map_err(|error| Problem::invalid(format!("{:?} {}", error.field, error.detail)))?;
    api.write(&caller, list, Edit::Add(vec![entry]), None, options)
        .await?;
    Ok("OK")
}

/// The entries that are due on a day, one a line.
#[utoipa::path(
    get, path = "/entries", tag = "example", operation_id = "example_entries",
    params(Query<(Asked,)>),
    responses(
        (status = 200, description = "Lines such as `2018-12-19 Dentist`", body = String, content_type = "text/plain"),
        Problems<(Query<(Asked,)>, ReadError, Own<{ Kind::Busy as usize }>, Own<{ Kind::Path as usize }>)>,
    )
)]
pub(crate) async fn entries(
    State(api): State<Api>,
    Query((Asked { list, date },)): Query<(Asked,)>,
) -> Result<String, Problem> {
    let filter = Filter::due_on(date);
    let id = ListId::of(&list);
    let Some(row) = api.row(id).await? else {
        return Ok(String::new());
    };
    let read = async || {
        let filter = filter.clone();
        let read = move |reader: &Reader| lines(reader, id, date, &filter);
        if api.is_small(&row) {
            read(api.reader())
        } else {
            api.scan(read).await
        }
    };
    mended(&api, read).await
}

fn lines(reader: &Reader, list: ListId, date: Date, filter: &Filter) -> Result<String, Problem> {
    let (from_ms, to_ms) = filter.due_range_ms().unwrap_or((i64::MIN, i64::MAX));
    let due = reader.due_in(list, from_ms, to_ms);
    let mut lines = String::new();
    for entry in due {
        let entry = entry?;
        if !filter.admits(&entry) {
            continue;
        }
        if !lines.is_empty() {
            lines.push('\n');
        }
        // Writing to a string cannot fail.
        let _ = write!(lines, "{date} {}", entry.title);
        if lines.len() > MAX_ANSWER_BYTES {
            break;
        }
    }
    Ok(lines)
}
