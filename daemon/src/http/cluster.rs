//! `/v1/node`, `/v1/members`, `/v1/leave`, `/v1/partition`: this node and its cluster.

use crate::http::Api;
use crate::http::away::absence;
use crate::http::connections::who::Admin;
use crate::http::json::{self, Json};
use crate::http::lists::write::in_time;
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter, Room};
use crate::http::path::MemberPath;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::time::Timeout;
use crate::link::Link;
use crate::service::ClusterAsk;
use api::cluster::{
    AwayMember, ClusterMember, ClusterMemberPage, IndirectMember, JoinOutcomes, JoinRequest,
    LeaveQuery, LeaveResult, MemberState, MissingMember, PartitionView,
};
use api::node::NodeInfo;
use api::time::Millis;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use names::NodeId;
use node::cluster::ask::{Forget, Join, Leave};
use node::cluster::{JoinOutcome, JoinResult, MemberView, RosterView};
use node::lists::ask::Depart;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The most addresses that one call may join.
const MAX_ADDRESSES: usize = 64;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(node))
        .routes(routes!(members))
        .routes(routes!(join))
        .routes(routes!(forget))
        .routes(routes!(leave))
        .routes(routes!(partition))
}

pub(crate) fn node_info(api: &Api) -> NodeInfo {
    let (info, http) = (api.service().info(), api.service().listening().address());
    NodeInfo {
        id: info.id.to_string(),
        name: info.name.to_string(),
        address: api.service().address().to_string(),
        http: http.map(|address| address.to_string()),
        http_url: api.service().http_url(),
        pid: info.pid,
        version: info.version.to_owned(),
        protocol: info.protocol,
        role: info.role.as_str().into(),
        started_at: Millis(info.started_at),
        // A cluster's id is as long as a node's, and written alike.
        cluster: NodeId(info.cluster).to_string(),
    }
}

/// This node.
#[utoipa::path(
    get, path = "/v1/node", tag = "node and cluster", operation_id = "node",
    responses((status = 200, description = "This node", body = NodeInfo), Problems<Query<()>>)
)]
pub(crate) async fn node(State(api): State<Api>, _: Query<()>) -> Result<Response, Problem> {
    json::respond(StatusCode::OK, &node_info(&api))
}

fn member_info(view: &RosterView, member: &MemberView, link: Link) -> ClusterMember {
    let has_connection = member.conn.is_some() && member.state.is_reachable();
    ClusterMember {
        id: member.id.to_string(),
        name: member.profile.name.to_string(),
        address: member.profile.address.to_string(),
        is_self: member.id == view.me,
        state: member.state.as_str().into(),
        run: member.run,
        since: Millis(member.since.0),
        rtt_ms: link.round_trip.filter(|_| has_connection).map(in_ms),
        lost_percent: link.lost_percent,
        version: member.profile.version.clone(),
        protocol: member.protocol.map(|protocol| protocol.0),
        indirect_since: member.indirect.as_ref().map(|it| Millis(it.since.0)),
        role: member.role.as_str().into(),
        tags: member.profile.tags.clone(),
        away: member.away.as_ref().map(|away| absence(view, away)),
    }
}

/// A span in milliseconds, to the microsecond.
pub(crate) fn in_ms(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

/// The nodes that belong to the cluster, and those that said that they leave it, by name.
#[utoipa::path(
    get, path = "/v1/members", tag = "node and cluster", operation_id = "members", params(Query<(Page,)>),
    responses((status = 200, description = "A page of members", body = ClusterMemberPage), Problems<Query<(Page,)>>)
)]
pub(crate) async fn members(
    State(api): State<Api>,
    Query((page,)): Query<(Page,)>,
) -> Result<Response, Problem> {
    let after = page.after_text()?;
    let view = api.service().view();
    let mut writer = PageWriter::new(&page);
    for member in view
        .members
        .iter()
        .filter(|member| after.is_none_or(|after| member.profile.name.as_str() > after))
    {
        let key = || member.profile.name.as_str().as_bytes().to_vec();
        let info = member_info(&view, member, api.service().link(member));
        if writer.push(&info, key)? == Room::Full {
            break;
        }
    }
    Ok(writer.respond())
}

fn outcome(outcome: JoinOutcome) -> api::cluster::JoinOutcome {
    use api::cluster::JoinResult as Told;
    api::cluster::JoinOutcome {
        address: outcome.address,
        result: match outcome.result {
            JoinResult::Joined => Told::Joined,
            JoinResult::Already => Told::Already,
            JoinResult::Refused => Told::Refused,
            JoinResult::Unreachable => Told::Unreachable,
        },
        detail: outcome.detail,
    }
}

/// Joins the cluster by the nodes at these addresses.
#[utoipa::path(
    post, path = "/v1/members/join", tag = "node and cluster", operation_id = "join",
    params(Query<(Timeout,)>), request_body = JoinRequest,
    responses(
        (status = 200, description = "What became of each address", body = JoinOutcomes),
        Problems<(Admin, Query<(Timeout,)>, Json<JoinRequest>, Join)>,
    )
)]
pub(crate) async fn join(
    State(api): State<Api>,
    _: Admin,
    Query((Timeout(timeout),)): Query<(Timeout,)>,
    Json(body): Json<JoinRequest>,
) -> Result<Response, Problem> {
    let count = body.addresses.len();
    if count == 0 || count > MAX_ADDRESSES {
        return Err(Problem::invalid(format!(
            "\"addresses\" has {count} addresses; it must have 1 to {MAX_ADDRESSES}"
        )));
    }
    if let Some(bad) = body
        .addresses
        .iter()
        .find(|address| !is_host_and_port(address))
    {
        return Err(Problem::invalid(format!(
            "\"addresses\" has {bad:?}; each must be host:port, such as 10.0.0.7:6878 or [::1]:6878"
        )));
    }
    let question = Join {
        addresses: body.addresses,
        // So that there is an answer before the caller's time is over.
        within: timeout * 4 / 5,
    };
    let outcomes = ask(&api, question, timeout).await?;
    let items = outcomes.into_iter().map(outcome).collect();
    json::respond(StatusCode::OK, &JoinOutcomes { items })
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
pub(crate) async fn ask<A: ClusterAsk>(
    api: &Api,
    question: A,
    timeout: Duration,
) -> Result<A::Answer, Problem> {
    match tokio::time::timeout(timeout, api.service().ask_cluster(question)).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Problem::new(
            Kind::Unknown,
            "the deadline passed while it was being done; \
            it may still succeed",
        )
        .retry_after(1)),
    }
}

/// Leaves the cluster: waits until another member has all lists of this node, then the daemon ends.
/// Its next start joins again.
#[utoipa::path(
    post, path = "/v1/leave", tag = "node and cluster", operation_id = "leave",
    params(Query<(LeaveQuery, Timeout)>),
    responses(
        (status = 200, description = "Left; the daemon ends", body = LeaveResult),
        Problems<(Admin, Query<(LeaveQuery, Timeout)>, Depart, Leave, Own<{ Kind::OnlyHere as usize }>)>,
    )
)]
pub(crate) async fn leave(
    State(api): State<Api>,
    _: Admin,
    Query((how, Timeout(timeout))): Query<(LeaveQuery, Timeout)>,
) -> Result<Response, Problem> {
    // A list that is changed after it was found elsewhere would be lost with this node: no changes
    // from here on.
    let leaving = api.start_leaving();
    if !how.force.unwrap_or(false) {
        find_lists_elsewhere(&api, timeout).await?;
    }
    ask(&api, Leave, timeout).await?;
    leaving.done();
    let left = LeaveResult {
        name: api.service().info().name.to_string(),
        state: MemberState::Left,
    };
    json::respond(StatusCode::OK, &left)
}

async fn find_lists_elsewhere(api: &Api, timeout: Duration) -> Result<(), Problem> {
    let asked = api.service().ask_all(Depart { timeout });
    let lists: u64 = in_time(timeout, asked).await?.into_iter().sum();
    if lists == 0 {
        return Ok(());
    }
    let detail = format!(
        "{lists} lists are on no other member for certain: wait until the others are back, or leave all the same (muster leave --force, or force=true) and lose what only this node has"
    );
    Err(Problem::new(Kind::OnlyHere, detail))
}

/// Forgets a member that is gone for good. This revokes nothing: it may come back.
#[utoipa::path(
    delete, path = "/v1/members/{member}", tag = "node and cluster", operation_id = "forget",
    params(("member" = String, Path, description = "The member's name or id"), Query<(Timeout,)>),
    responses((status = 204, description = "Forgotten"), Problems<(Admin, MemberPath, Query<(Timeout,)>, Forget)>)
)]
pub(crate) async fn forget(
    State(api): State<Api>,
    _: Admin,
    MemberPath(member): MemberPath,
    Query((Timeout(timeout),)): Query<(Timeout,)>,
) -> Result<StatusCode, Problem> {
    ask(&api, Forget(member), timeout).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) fn partition_view(view: &RosterView) -> PartitionView {
    let expected = view.expected().count();
    let missed = view
        .expected()
        .filter(|member| member.id != view.me && !member.state.is_reachable());
    let missing: Vec<_> = missed
        .map(|member| MissingMember {
            name: member.profile.name.to_string(),
            since: Millis(member.since.0),
        })
        .collect();
    PartitionView {
        verdict: view.verdict.as_str().into(),
        expected: expected as u64,
        reachable: expected.saturating_sub(missing.len()) as u64,
        missing,
        away: away(view),
        majority_of: Some(view.all().count() as u64),
        indirect: indirect(view),
        since: Millis(view.since.0),
    }
}

fn away(view: &RosterView) -> Vec<AwayMember> {
    let all = view.away().filter_map(|member| {
        let away = member.away.as_ref()?;
        Some(AwayMember {
            name: member.profile.name.to_string(),
            until: Millis(away.until?.0),
            why: away.why.clone(),
        })
    });
    all.collect()
}

fn indirect(view: &RosterView) -> Vec<IndirectMember> {
    let name = |member: &MemberView| member.profile.name.to_string();
    let all = view.expected().filter_map(|member| {
        let indirect = member.indirect.as_ref()?;
        let by = indirect.by.iter().filter_map(|id| view.member(*id));
        Some(IndirectMember {
            name: name(member),
            since: Millis(indirect.since.0),
            by: by.map(name).collect(),
        })
    });
    all.collect()
}

/// How much of the cluster this node reaches.
#[utoipa::path(
    get, path = "/v1/partition", tag = "node and cluster", operation_id = "partition",
    responses((status = 200, description = "As this node sees it", body = PartitionView), Problems<Query<()>>)
)]
pub(crate) async fn partition(State(api): State<Api>, _: Query<()>) -> Result<Response, Problem> {
    json::respond(StatusCode::OK, &partition_view(&api.service().view()))
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
