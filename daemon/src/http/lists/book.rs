//! The two routes of the example in *Elixir in Action*, its to-do server, unchanged, on a TCP
//! listener that is open.

use crate::http::Api;
use crate::http::connections::gate::Conn;
use crate::http::lists::filter::Filter;
use crate::http::lists::write::Options;
use crate::http::operations::openapi::{BookProblems, ScanProblems};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::time::parse_date;
use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use crdt::entry::{Due, Edit, NewEntry};
use jiff::civil::Date;
use names::{ListId, ListName};
use std::fmt::Write;
use std::sync::Arc;
use store::Reader;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The longest answer: what follows is left out. The route has no pages.
const MAX_ANSWER_BYTES: usize = 16 << 20;

struct Asked {
    list: ListName,
    date: Date,
}

fn required(query: &mut Query, name: &'static str) -> Result<String, Problem> {
    query
        .one(name)?
        .ok_or_else(|| Problem::malformed(format!("the parameter {name:?} is missing")))
}

fn take(query: &mut Query) -> Result<Asked, Problem> {
    let list = ListName::new(&required(query, "list")?).map_err(Problem::invalid)?;
    let date = parse_date("date", &required(query, "date")?)?;
    Ok(Asked { list, date })
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
    params(
        ("list" = String, Query, description = "The list's name"), ("date" = String, Query, format = Date, description = "When it is due"),
        ("title" = String, Query, description = "What needs doing"),
    ),
    responses((status = 200, description = "`OK`", body = String, content_type = "text/plain"), BookProblems)
)]
pub(crate) async fn add_entry(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    mut query: Query,
) -> Result<&'static str, Problem> {
    let Asked { list, date } = take(&mut query)?;
    let title = required(&mut query, "title")?;
    let options = Options::take(&mut Query::default())?;
    query.end()?;
    let entry = NewEntry {
        title,
        due: Some(Due::Date(date)),
        ..NewEntry::default()
    };
    entry
        .check()
        .map_err(|error| Problem::invalid(format!("{:?} {}", error.field, error.detail)))?;
    api.write(&conn.caller(), list, Edit::Add(vec![entry]), None, options)
        .await?;
    Ok("OK")
}

/// The entries that are due on a day, one a line.
#[utoipa::path(
    get, path = "/entries", tag = "example", operation_id = "example_entries",
    params(
        ("list" = String, Query, description = "The list's name"), ("date" = String, Query, format = Date, description = "The day"),
    ),
    responses((status = 200, description = "Lines such as `2018-12-19 \
        Dentist`", body = String, content_type = "text/plain"), ScanProblems)
)]
pub(crate) async fn entries(State(api): State<Api>, mut query: Query) -> Result<String, Problem> {
    let Asked { list, date } = take(&mut query)?;
    query.end()?;
    let filter = Filter::due_on(date);
    let id = ListId::of(&list);
    let read = move |reader: &Reader| lines(reader, id, date, &filter);
    match api.row(id)? {
        None => Ok(String::new()),
        Some(row) if api.is_small(&row) => read(api.reader()),
        Some(_) => api.scan(read).await,
    }
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
