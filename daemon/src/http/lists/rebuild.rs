//! `/v1/rebuild`: the rows of lists, made anew from their changes; and the same by itself, where a
//! row that was read is damaged.

use crate::http::connections::who::Admin;
use crate::http::lists::write::in_time;
use crate::http::operations::openapi::Problems;
use crate::http::problem::{Kind, Problem};
use crate::http::query::{Group, Query};
use crate::http::time::Timeout;
use crate::http::{Api, json};
use api::lists::RebuildQuery;
use api::node::RebuildResult;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crdt::entry::Author;
use names::{ListId, ListName};
use node::lists::Source;
use node::lists::ask::Rebuild;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use store::ReadError;

/// How long a reader waits for the rows of its lists.
const READERS_PATIENCE: Duration = Duration::from_secs(10);
/// How many lists are made anew for one request.
const LISTS_OF_A_REQUEST: usize = 16;

/// Of a read that failed for a row: the list whose rows are to be made anew first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outdated {
    list: ListId,
    /// Whether a row is damaged; else it was converted, and lacks something.
    is_damaged: bool,
}

impl Outdated {
    /// The list whose rows are the reason for an error.
    pub(crate) fn of(error: &ReadError) -> Option<Self> {
        let (list, is_damaged) = match error {
            ReadError::View { list, .. } => (*list, true),
            ReadError::Converted { list } => (*list, false),
            ReadError::Reopening
            | ReadError::Failed(_)
            | ReadError::Damaged(_)
            | ReadError::Row { .. } => return None,
        };
        Some(Self { list, is_damaged })
    }

    /// Has the rows made anew.
    async fn remake(self, api: &Api, patience: Duration) -> Result<(), Problem> {
        let Self { list, is_damaged } = self;
        if is_damaged {
            tracing::warn!(%list, "a row of a list is damaged: its rows are made anew");
        }
        let name = api.reader().name(list);
        let name = name.map_err(|error| Problem::new(Kind::Store, error).retry_after(1))?;
        let name = name.ok_or_else(|| Problem::new(Kind::Store, "the list has no name"))?;
        let remade = rebuilt(api, Some(name), patience).await;
        remade.map(drop).inspect_err(|problem| {
            tracing::error!(%list, detail = problem.detail(), "its rows cannot be made anew");
        })
    }
}

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

/// Reads; where rows of lists are damaged or outdated, has them made anew and reads again.
pub(crate) async fn mended<T, F>(api: &Api, read: impl Fn() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    let deadline = Instant::now() + READERS_PATIENCE;
    let mut remade = BTreeSet::new();
    loop {
        let problem = match read().await {
            Ok(found) => return Ok(found),
            Err(problem) => problem,
        };
        let Some(outdated) = problem.outdated() else {
            return Err(problem);
        };
        if remade.len() >= LISTS_OF_A_REQUEST {
            return Err(more_than_a_request_remakes());
        }
        // What a row lacks after its list was made anew, it would lack again.
        if !remade.insert(outdated.list) {
            return Err(problem);
        }
        let patience = deadline.saturating_duration_since(Instant::now());
        // Why it could not be done is in the log; the client hears what it could not be told.
        if outdated.remake(api, patience).await.is_err() {
            return Err(problem);
        }
    }
}

fn more_than_a_request_remakes() -> Problem {
    let detail = format!(
        "rows of more than {LISTS_OF_A_REQUEST} lists are damaged: those of {LISTS_OF_A_REQUEST} \
        were made anew; ask again, or have all made anew with POST /v1/rebuild"
    );
    Problem::new(Kind::Store, detail).retry_after(1)
}
