//! `/v1/processes/{name}/links`: whose end ends whom.

use super::change;
use crate::http::Api;
use crate::http::cluster::ask;
use crate::http::connections::who::OnThisHost;
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter, Room};
use crate::http::path::{OtherPath, ProcessPath};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::time::Timeout;
use api::processes::{LinkQuery, ProcessLink, ProcessLinkPage};
use api::time::Millis;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use node::registry::ask::{Link, Links, Unlink};

/// The links of a process of this node, by handle.
#[utoipa::path(
    get, path = "/v1/processes/{name}/links", tag = "processes", operation_id = "links",
    params(("name" = String, Path, description = "The process's name"), Query<(Timeout, Page)>),
    responses(
        (status = 200, description = "A page of links", body = ProcessLinkPage),
        Problems<(ProcessPath, Query<(Timeout, Page)>, Links)>,
    )
)]
pub(crate) async fn links(
    State(api): State<Api>,
    ProcessPath(name): ProcessPath,
    Query((Timeout(timeout), page)): Query<(Timeout, Page)>,
) -> Result<Response, Problem> {
    let after = page.after_text()?;
    let mut links: Vec<_> = ask(&api, Links { name }, timeout)
        .await?
        .into_iter()
        .map(|link| (link.other.to_string(), link))
        .collect();
    links.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut writer = PageWriter::new(&page);
    for (other, link) in links
        .iter()
        .filter(|(other, _)| after.is_none_or(|after| other.as_str() > after))
    {
        let shown = ProcessLink {
            other: other.clone(),
            unreachable: link.unreachable,
            since: Millis(link.since.0),
        };
        if writer.push(&shown, || other.as_bytes().to_vec())? == Room::Full {
            break;
        }
    }
    Ok(writer.respond())
}

/// Links a process of this node to another one, anywhere: when the other is down for good, this one
/// gets SIGTERM, and SIGKILL if it still lives after the configured time. At once, if the other is
/// down already.
///
/// A link is bound to registrations, not to names: it ends with this process's registration. Made
/// again, it is replaced.
#[utoipa::path(
    put, path = "/v1/processes/{name}/links/{other}", tag = "processes", operation_id = "link",
    params(
        ("name" = String, Path, description = "The name of the process that is signalled"),
        ("other" = String, Path, description = "The name, or the handle with # as %23, of the \
            process whose end it waits for"),
        Query<(LinkQuery, Timeout)>,
    ),
    responses(
        (status = 204, description = "They are linked"),
        Problems<(OnThisHost, ProcessPath, OtherPath, Query<(LinkQuery, Timeout)>, Link)>,
    )
)]
pub(crate) async fn link(
    State(api): State<Api>,
    OnThisHost { uid, .. }: OnThisHost,
    ProcessPath(name): ProcessPath,
    OtherPath(other): OtherPath,
    Query((link, timeout)): Query<(LinkQuery, Timeout)>,
) -> Result<StatusCode, Problem> {
    let unreachable = link.unreachable.unwrap_or(false);
    change(
        &api,
        timeout,
        Link {
            name,
            other,
            unreachable,
            uid,
        },
    )
    .await
}

/// Removes the link of a process of this node to another one.
#[utoipa::path(
    delete, path = "/v1/processes/{name}/links/{other}", tag = "processes", operation_id = "unlink",
    params(
        ("name" = String, Path, description = "The name of the process that is signalled"),
        ("other" = String, Path, description = "The name, or the handle with # as %23, of the \
            process whose end it waits for"),
        Query<(Timeout,)>,
    ),
    responses(
        (status = 204, description = "They are not linked"),
        Problems<(OnThisHost, ProcessPath, OtherPath, Query<(Timeout,)>, Unlink)>,
    )
)]
pub(crate) async fn unlink(
    State(api): State<Api>,
    OnThisHost { uid, .. }: OnThisHost,
    ProcessPath(name): ProcessPath,
    OtherPath(other): OtherPath,
    Query((timeout,)): Query<(Timeout,)>,
) -> Result<StatusCode, Problem> {
    change(&api, timeout, Unlink { name, other, uid }).await
}
