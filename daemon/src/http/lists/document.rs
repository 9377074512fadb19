//! `/v1/lists/{list}/document`: the list as the libraries of Automerge read it, and back.

use crate::http::Api;
use crate::http::connections::who::Caller;
use crate::http::json::LargeBody;
use crate::http::lists::write::{IfMatchHeader, MergeAnswers, Options, etag, in_time};
use crate::http::no_list;
use crate::http::operations::openapi::Problems;
use crate::http::path::ListPath;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::time::Timeout;
use api::lists::MergedDocument;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use crdt::entry::{Author, Edit};
use names::ListId;
use node::lists::{ListRow, Precondition, ask};
use store::ReadError;

/// How the bytes are declared.
pub(crate) const CONTENT_TYPE: &str = "application/octet-stream";
/// How often it is looked again what a document would change, where the list has changed meanwhile.
const TRIES: usize = 5;

/// The document of a list: `Automerge.load` reads it, in JavaScript, Rust and others.
#[utoipa::path(
    get, path = "/v1/lists/{list}/document", tag = "to-do lists", operation_id = "document",
    params(("list" = String, Path, description = "The list's name, percent-encoded"), Query<(Timeout,)>),
    responses(
        (
            status = 200, description = "The document, as Automerge saves it", body = Vec<u8>, content_type = "application/octet-stream",
            headers(("ETag" = String, description = "The list's tag")),
        ),
        Problems<(ListPath, Query<(Timeout,)>, ReadError, ask::Saved)>,
    )
)]
pub(crate) async fn show(
    State(api): State<Api>,
    ListPath(list): ListPath,
    Query((Timeout(timeout),)): Query<(Timeout,)>,
) -> Result<Response, Problem> {
    let id = ListId::of(&list);
    api.row(id).await?.ok_or_else(|| no_list(&list))?;
    // Reading leaves no trace, so that it does not matter who asks.
    let by = Author(String::new());
    let question = ask::Saved { list, timeout };
    let (tag, saved) = in_time(timeout, api.service().ask_owner(id, by, question)).await?;
    let mut response = Response::new(Body::from(saved));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(header::ETAG, etag(tag));
    Ok(response)
}

/// Merges in a document that other programs have edited: what it changes is written as one change of
/// this node's, by `via` and the caller. The first one creates the list.
///
/// It must begin as the documents of lists do, so begin with one that a node has given. Whatever breaks
/// a rule for entries refuses all of it. A document that comes again brings only what is new in it.
#[utoipa::path(
    put, path = "/v1/lists/{list}/document", tag = "to-do lists", operation_id = "merge",
    params(
        ("list" = String, Path, description = "The list's name, percent-encoded"),
        Query<(Options,)>, IfMatchHeader,
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "A saved document of Automerge, at most 64 MiB"),
    responses(
        MergeAnswers,
        Problems<(ListPath, Query<(Options,)>, IfMatchHeader, LargeBody, (ReadError, ask::Edit), ask::Differences, Own<{ Kind::Stale as usize }>)>,
    )
)]
pub(crate) async fn merge(
    State(api): State<Api>,
    caller: Caller,
    ListPath(list): ListPath,
    Query((options,)): Query<(Options,)>,
    IfMatchHeader { if_match }: IfMatchHeader,
    body: LargeBody,
) -> Result<Response, Problem> {
    let id = ListId::of(&list);
    if let Some(wanted) = if_match {
        wanted.resolve(api.row(id).await?.as_ref().map(ListRow::tag))?;
    }
    let timeout = options.timeout();
    for tried in 1.. {
        let question = ask::Differences {
            list: list.clone(),
            saved: body.bytes.clone(),
            timeout,
        };
        let by = Author(String::new());
        let asked = api.service().ask_owner(id, by, question);
        let (tag, differences) = in_time(timeout, asked).await?;
        let mut merged = MergedDocument {
            added: differences.additions.len() as u64,
            changed: differences.patches.len() as u64,
            deleted: differences.deletions.len() as u64,
            replicas: None,
        };
        let expect = Some(Precondition::List(tag));
        let edit = Edit::Merge(differences);
        let written = api
            .write_via(&caller, list.clone(), edit, expect, options)
            .await;
        match written {
            Err(problem) if problem.is(Kind::Stale) && tried < TRIES => {}
            Err(problem) => return Err(problem),
            Ok(written) => {
                merged.replicas = written.replicas();
                return written.respond(StatusCode::OK, &merged);
            }
        }
    }
    Err(Problem::internal("no document was merged"))
}
