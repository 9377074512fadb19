//! `/v1/processes/{name}/links`: whose end ends whom.

use super::change;
use crate::http::Api;
use crate::http::cluster::ask;
use crate::http::connections::gate::Conn;
use crate::http::operations::openapi::{
    LinksProblems, OwnProcessProblems, PageParams, TimeoutParams,
};
use crate::http::page::{Page, PageWriter, Room};
use crate::http::path::{OtherPath, ProcessPath};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::time::take_timeout;
use api::processes::{ProcessLink, ProcessLinkPage};
use api::time::Millis;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use node::registry::ask::{Link, Links, Unlink};
use std::sync::Arc;

/// The links of a process of this node, by handle.
#[utoipa::path(
    get, path = "/v1/processes/{name}/links", tag = "processes", operation_id = "links",
    params(("name" = String, Path, description = "The process's name"), TimeoutParams, PageParams),
    responses((status = 200, description = "A page of links", body = ProcessLinkPage), LinksProblems)
)]
pub(crate) async fn links(
    State(api): State<Api>,
    ProcessPath(name): ProcessPath,
    mut query: Query,
) -> Result<Response, Problem> {
    let (timeout, page) = (take_timeout(&mut query)?, Page::take(&mut query)?);
    query.end()?;
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
        ("unreachable" = Option<bool>, Query, description = "Also when the other's node is merely \
            out of sight"), TimeoutParams,
    ),
    responses((status = 204, description = "They are linked"), OwnProcessProblems)
)]
pub(crate) async fn link(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    ProcessPath(name): ProcessPath,
    OtherPath(other): OtherPath,
    mut query: Query,
) -> Result<StatusCode, Problem> {
    let (uid, _) = conn.caller().on_this_host()?;
    let unreachable = query.flag("unreachable")?;
    change(
        &api,
        query,
        Link {
            name,
            other,
            unreachable,
            uid,
        },
    )
    .await
}

/// Takes the link of a process of this node to another one back.
#[utoipa::path(
    delete, path = "/v1/processes/{name}/links/{other}", tag = "processes", operation_id = "unlink",
    params(
        ("name" = String, Path, description = "The name of the process that is signalled"),
        ("other" = String, Path, description = "The name, or the handle with # as %23, of the \
            process whose end it waits for"),
        TimeoutParams,
    ),
    responses((status = 204, description = "They are not linked"), OwnProcessProblems)
)]
pub(crate) async fn unlink(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    ProcessPath(name): ProcessPath,
    OtherPath(other): OtherPath,
    query: Query,
) -> Result<StatusCode, Problem> {
    let (uid, _) = conn.caller().on_this_host()?;
    change(&api, query, Unlink { name, other, uid }).await
}
