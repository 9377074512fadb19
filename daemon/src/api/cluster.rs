//! `/v1/node`, `/v1/members`, `/v1/leave`, `/v1/partition`: this node and its cluster.

use crate::api::Api;
use crate::api::gate::Conn;
use crate::api::json::{self, Json};
use crate::api::openapi::{
    ForgetProblems, JoinProblems, LeaveProblems, PageParams, PageProblems, PlainProblems,
    TimeoutParams, page,
};
use crate::api::page::{Page, PageWriter, Room};
use crate::api::path::MemberPath;
use crate::api::problem::{Kind, Problem};
use crate::api::query::Query;
use crate::api::shown::text;
use crate::api::time::{Millis, take_timeout};
use crate::service::NodeInfo;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use names::NodeId;
use node::cluster::{Command, JoinOutcome, JoinResult, MemberView, Reply, RosterView};
use node::lists;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// The most addresses that one call may join.
const MAX_ADDRESSES: usize = 64;

/// Every node of this version is a full member.
const ROLE: &str = "member";

/// This node.
#[derive(Serialize, ToSchema)]
#[schema(as = Node)]
pub(crate) struct ShownNode<'a> {
    /// 32 hexadecimal digits.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String)]
    id: NodeId,
    /// Its name.
    name: &'a str,
    /// Where its peers reach it (QUIC).
    #[schema(value_type = String)]
    address: SocketAddr,
    /// Where its TCP listener is; null without.
    #[schema(value_type = Option<String>, required = true)]
    http: Option<SocketAddr>,
    /// Its process id.
    pid: u32,
    /// The version of its program.
    version: &'a str,
    /// The version of the protocol between nodes.
    protocol: u32,
    /// Its role: `member`.
    role: &'a str,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    started_at: Millis,
    /// The id of its cluster: 32 hexadecimal digits.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String)]
    cluster: NodeId,
}

impl<'a> ShownNode<'a> {
    pub(crate) fn new(info: &'a NodeInfo) -> Self {
        Self {
            id: info.id,
            name: info.name.as_str(),
            address: info.address,
            http: info.http,
            pid: info.pid,
            version: info.version,
            protocol: info.protocol,
            role: ROLE,
            started_at: Millis(info.started_at),
            // A cluster's id is as long as a node's, and written alike.
            cluster: NodeId(info.cluster),
        }
    }
}

/// This node.
#[utoipa::path(
    get, path = "/v1/node", tag = "node and cluster", operation_id = "node",
    responses((status = 200, description = "This node", body = ShownNode<'static>), PlainProblems)
)]
pub(crate) async fn node(State(api): State<Api>, query: Query) -> Result<Response, Problem> {
    query.end()?;
    json::respond(StatusCode::OK, &ShownNode::new(api.service().info()))
}

/// A member as this node sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Member)]
pub(crate) struct ShownMember<'a> {
    /// 32 hexadecimal digits.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String)]
    id: NodeId,
    /// Its name.
    name: &'a str,
    /// Where its peers reach it (QUIC).
    #[schema(value_type = String)]
    address: SocketAddr,
    /// Whether it is this node.
    #[serde(rename = "self")]
    is_self: bool,
    /// `alive`, `suspect`, `down`, `restarting` or `left`.
    #[schema(pattern = "^(alive|suspect|down|restarting|left)$")]
    state: &'a str,
    /// Counts the starts of its daemon.
    run: u64,
    /// Since when it is in that state.
    #[schema(value_type = String, format = DateTime)]
    since: Millis,
    /// The round trip to it in milliseconds; null without a connection.
    #[schema(required = true)]
    rtt_ms: Option<f64>,
    /// The version of its program.
    version: &'a str,
    /// The version of the protocol that this node speaks with it; null without a connection.
    #[schema(required = true)]
    protocol: Option<u32>,
    /// Its role: `member`.
    role: &'a str,
    /// Its tags, sorted.
    tags: &'a [String],
}

impl<'a> ShownMember<'a> {
    fn new(member: &'a MemberView, me: NodeId, rtt: Option<Duration>) -> Self {
        Self {
            id: member.id,
            name: member.profile.name.as_str(),
            address: member.profile.address,
            is_self: member.id == me,
            state: member.state.as_str(),
            run: member.run,
            since: Millis(member.since.0),
            rtt_ms: rtt.map(in_ms),
            version: &member.profile.version,
            protocol: member.protocol.map(|protocol| protocol.0),
            role: ROLE,
            tags: &member.profile.tags,
        }
    }
}

/// A span in milliseconds, to the microsecond.
pub(crate) fn in_ms(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

page! {
    /// A page of members.
    MemberPage of ShownMember<'static>
}

/// The nodes that belong to the cluster or left it in order, by name.
#[utoipa::path(
    get, path = "/v1/members", tag = "node and cluster", operation_id = "members", params(PageParams),
    responses((status = 200, description = "A page of members", body = MemberPage), PageProblems)
)]
pub(crate) async fn members(State(api): State<Api>, mut query: Query) -> Result<Response, Problem> {
    let page = Page::take(&mut query)?;
    query.end()?;
    let after = page.after_text()?;
    let view = api.service().view();
    let mut writer = PageWriter::new(&page);
    for member in view
        .members
        .iter()
        .filter(|member| after.is_none_or(|after| member.profile.name.as_str() > after))
    {
        let rtt = member
            .conn
            .filter(|_| member.state.is_reachable())
            .and_then(|conn| api.service().rtt(conn));
        let key = || member.profile.name.as_str().as_bytes().to_vec();
        if writer.push(&ShownMember::new(member, view.me, rtt), key)? == Room::Full {
            break;
        }
    }
    Ok(writer.respond())
}

/// Whom to join.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Join)]
pub(crate) struct JoinBody {
    /// 1 to 64 times `host:port`.
    #[schema(min_items = 1, max_items = 64)]
    addresses: Vec<String>,
}

/// What became of each address.
#[derive(Serialize, ToSchema)]
#[schema(as = Joined)]
pub(crate) struct ShownJoin<'a> {
    /// In the order of the call.
    items: Vec<ShownOutcome<'a>>,
}

/// What became of one address.
#[derive(Serialize, ToSchema)]
#[schema(as = JoinOutcome)]
pub(crate) struct ShownOutcome<'a> {
    /// As it was given.
    address: &'a str,
    /// `joined`, `already`, `refused` or `unreachable`.
    #[schema(pattern = "^(joined|already|refused|unreachable)$")]
    result: &'a str,
    /// In words: who answered, or why not.
    detail: &'a str,
}

impl<'a> ShownOutcome<'a> {
    fn new(outcome: &'a JoinOutcome) -> Self {
        let result = match outcome.result {
            JoinResult::Joined => "joined",
            JoinResult::Already => "already",
            JoinResult::Refused => "refused",
            JoinResult::Unreachable => "unreachable",
        };
        Self {
            address: &outcome.address,
            result,
            detail: &outcome.detail,
        }
    }
}

/// Joins the cluster by the nodes at these addresses.
#[utoipa::path(
    post, path = "/v1/members/join", tag = "node and cluster", operation_id = "join",
    params(TimeoutParams), request_body = JoinBody,
    responses((status = 200, description = "What became of each address", body = ShownJoin<'static>), JoinProblems)
)]
pub(crate) async fn join(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    mut query: Query,
    Json(body): Json<JoinBody>,
) -> Result<Response, Problem> {
    conn.caller().must_be_admin(&api.policy())?;
    let timeout = take_timeout(&mut query)?;
    query.end()?;
    let count = body.addresses.len();
    if count == 0 || count > MAX_ADDRESSES {
        return Err(Problem::invalid(format!(
            "\"addresses\" has {count} addresses; 1 to \
            {MAX_ADDRESSES} is right"
        )));
    }
    if let Some(bad) = body
        .addresses
        .iter()
        .find(|address| !is_host_and_port(address))
    {
        return Err(Problem::invalid(format!(
            "\"addresses\" has {bad:?}; host:port is right, such \
            as 10.0.0.7:6878 or [::1]:6878"
        )));
    }
    match ask(&api, Command::Join(body.addresses), timeout).await? {
        Reply::Joined(outcomes) => json::respond(
            StatusCode::OK,
            &ShownJoin {
                items: outcomes.iter().map(ShownOutcome::new).collect(),
            },
        ),
        Reply::Done | Reply::Registry(_) => Err(Problem::internal(
            "joining was answered without \
            outcomes",
        )),
    }
}

pub(crate) fn is_host_and_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            !host.is_empty()
                && host.len() <= 253
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    };
    is_host && !port.starts_with('+') && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Asks the cluster machine, for no longer than `timeout`.
pub(crate) async fn ask(api: &Api, command: Command, timeout: Duration) -> Result<Reply, Problem> {
    match tokio::time::timeout(timeout, api.service().cluster(command)).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Problem::new(
            Kind::Unknown,
            "the deadline passed while it was being done; \
            it may still succeed",
        )
        .retry_after(1)),
    }
}

/// This node has left.
#[derive(Serialize, ToSchema)]
#[schema(as = Left)]
pub(crate) struct ShownLeft<'a> {
    /// This node's name.
    name: &'a str,
    /// `left`.
    state: &'a str,
}

/// Leaves the cluster: waits until another member has all lists of this node, then the daemon ends.
/// Its next start joins again.
#[utoipa::path(
    post, path = "/v1/leave", tag = "node and cluster", operation_id = "leave",
    params(("force" = Option<bool>, Query, description = "Leave even with lists that are only \
        here"), TimeoutParams),
    responses((status = 200, description = "Left; the daemon ends", body = ShownLeft<'static>), LeaveProblems)
)]
pub(crate) async fn leave(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    mut query: Query,
) -> Result<Response, Problem> {
    conn.caller().must_be_admin(&api.policy())?;
    let (force, timeout) = (query.flag("force")?, take_timeout(&mut query)?);
    query.end()?;
    // A list that is changed after it was found elsewhere would be lost with this node: no changes
    // from here on.
    let leaving = api.start_leaving();
    if !force {
        evacuate(&api, &conn, timeout).await?;
    }
    ask(&api, Command::Leave, timeout).await?;
    leaving.done();
    let name = api.service().info().name.as_str();
    json::respond(
        StatusCode::OK,
        &ShownLeft {
            name,
            state: "left",
        },
    )
}

async fn evacuate(api: &Api, conn: &Conn, timeout: Duration) -> Result<(), Problem> {
    let by = conn.caller().author(&api.service().info().name);
    match api
        .ask(by, lists::Command::Evacuate { timeout }, timeout)
        .await?
    {
        lists::Reply::Unconfirmed(0) => Ok(()),
        lists::Reply::Unconfirmed(lists) => {
            let detail = format!(
                "{lists} lists are on no other member for certain; force=true \
                leaves all the same"
            );
            Err(Problem::new(Kind::OnlyHere, detail))
        }
        other @ (lists::Reply::Edited { .. }
        | lists::Reply::Entries(_)
        | lists::Reply::Lagging(_)) => Err(Problem::internal(format!(
            "an evacuation was answered with {other:?}"
        ))),
    }
}

/// Forgets a member that is gone for good. This revokes nothing: it may come back.
#[utoipa::path(
    delete, path = "/v1/members/{member}", tag = "node and cluster", operation_id = "forget",
    params(("member" = String, Path, description = "The member's name or id"), TimeoutParams),
    responses((status = 204, description = "Forgotten"), ForgetProblems)
)]
pub(crate) async fn forget(
    State(api): State<Api>,
    Extension(conn): Extension<Arc<Conn>>,
    MemberPath(member): MemberPath,
    mut query: Query,
) -> Result<StatusCode, Problem> {
    conn.caller().must_be_admin(&api.policy())?;
    let timeout = take_timeout(&mut query)?;
    query.end()?;
    ask(&api, Command::Forget(member), timeout).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How much of the cluster this node reaches: its own view, not a lock.
#[derive(Serialize, ToSchema)]
#[schema(as = Partition)]
pub(crate) struct ShownPartition<'a> {
    /// `whole`, `majority`, `even`, `minority` or `alone`.
    #[schema(pattern = "^(whole|majority|even|minority|alone)$")]
    verdict: &'a str,
    /// How many members there should be, this node among them.
    expected: usize,
    /// How many of them this node reaches, itself among them.
    reachable: usize,
    /// Those that it does not reach.
    missing: Vec<ShownMissing<'a>>,
    /// Since when that is the verdict.
    #[schema(value_type = String, format = DateTime)]
    since: Millis,
}

/// A member that is not reached.
#[derive(Serialize, ToSchema)]
#[schema(as = Missing)]
pub(crate) struct ShownMissing<'a> {
    /// Its name.
    name: &'a str,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Millis,
}

impl<'a> ShownPartition<'a> {
    pub(crate) fn new(view: &'a RosterView) -> Self {
        let expected = view.expected().count();
        let missed = view
            .expected()
            .filter(|member| member.id != view.me && !member.state.is_reachable());
        let missing: Vec<_> = missed
            .map(|member| ShownMissing {
                name: member.profile.name.as_str(),
                since: Millis(member.since.0),
            })
            .collect();
        let reachable = expected.saturating_sub(missing.len());
        Self {
            verdict: view.verdict.as_str(),
            expected,
            reachable,
            missing,
            since: Millis(view.since.0),
        }
    }
}

/// How much of the cluster this node reaches.
#[utoipa::path(
    get, path = "/v1/partition", tag = "node and cluster", operation_id = "partition",
    responses((status = 200, description = "As this node sees it", body = ShownPartition<'static>), PlainProblems)
)]
pub(crate) async fn partition(State(api): State<Api>, query: Query) -> Result<Response, Problem> {
    query.end()?;
    json::respond(StatusCode::OK, &ShownPartition::new(&api.service().view()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in [
            "10.0.0.7:6878",
            "host-1.example:1",
            "[::1]:6878",
            "localhost:65535",
        ] {
            assert!(is_host_and_port(good), "{good}");
        }
        for bad in [
            "",
            "host",
            "host:",
            ":1",
            "host:0",
            "host:65536",
            "host:+1",
            "::1:6878",
            "[::1]",
            "a b:1",
            "http://a:1",
        ] {
            assert!(!is_host_and_port(bad), "{bad}");
        }
    }
}
