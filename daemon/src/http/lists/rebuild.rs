//! `/v1/rebuild`: the rows of lists, made anew from their changes; and the same by itself, where a
//! row that was read is damaged.

use crate::http::connections::who::Admin;
use crate::http::lists::write::in_time;
use crate::http::operations::openapi::Problems;
use crate::http::problem::Problem;
use crate::http::query::{Group, Query};
use crate::http::time::Timeout;
use crate::http::{Api, json};
use api::lists::RebuildQuery;
use api::node::RebuildResult;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use crdt::entry::Author;
use names::{ListId, ListName};
use node::lists::Source;
use node::lists::ask::Rebuild;
use std::time::Duration;

/// How long a reader waits for the rows of its list.
const READERS_PATIENCE: Duration = Duration::from_secs(10);

/// Of a response that was to be made from a damaged row: the list whose rows it is one of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DamagedView(pub(crate) ListId);

/// The list that is to be made anew; all without.
pub(crate) struct Only(Option<ListName>);

impl Group for Only {
    type Written = RebuildQuery;

    fn check(written: RebuildQuery) -> Result<Self, Problem> {
        let name = |name: String| ListName::new(&name).map_err(Problem::invalid);
        written.list.map(name).transpose().map(Self)
    }
}

/// Rebuilds what the node shows of a list, or of all lists, from their changes; nothing is lost. The
/// node does so by itself where it finds a damaged row. Lists go on being rebuilt after the timeout.
#[utoipa::path(
    post, path = "/v1/rebuild", tag = "operation", operation_id = "rebuild",
    params(Query<(Only, Timeout)>),
    responses(
        (status = 200, description = "How many lists", body = RebuildResult),
        Problems<(Admin, Query<(Only, Timeout)>, Rebuild)>,
    )
)]
pub(crate) async fn rebuild(
    State(api): State<Api>,
    _: Admin,
    Query((Only(list), Timeout(timeout))): Query<(Only, Timeout)>,
) -> Result<Response, Problem> {
    let lists = rebuilt(&api, list, timeout).await?;
    json::respond(StatusCode::OK, &RebuildResult { lists })
}

async fn rebuilt(api: &Api, list: Option<ListName>, timeout: Duration) -> Result<u64, Problem> {
    let owner = list.as_ref().map(ListId::of);
    let question = Rebuild { list, timeout };
    match owner {
        Some(list) => {
            // It leaves no trace in the list, so that it does not matter who asks.
            let by = Author(String::new());
            in_time(timeout, api.service().ask_owner(list, by, question)).await
        }
        None => {
            let rebuilt = in_time(timeout, api.service().ask_all(question)).await?;
            Ok(rebuilt.into_iter().sum())
        }
    }
}

/// Where something cannot be shown because a row is damaged: has the list's rows made anew, and
/// answers again.
pub(crate) async fn mend(State(api): State<Api>, request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    let mut again = Request::new(Body::empty());
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    *again.extensions_mut() = request.extensions().clone();
    let response = next.clone().run(request).await;
    let Some(DamagedView(list)) = response.extensions().get().copied() else {
        return response;
    };
    tracing::warn!(%list, "a row of a list is damaged: its rows are made anew");
    let Ok(Some(name)) = api.reader().name(list) else {
        return response;
    };
    match rebuilt(&api, Some(name), READERS_PATIENCE).await {
        Ok(_) => next.run(again).await,
        Err(problem) => {
            tracing::error!(%list, detail = problem.detail(), "its rows cannot be made anew");
            response
        }
    }
}
