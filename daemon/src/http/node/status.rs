//! `/v1/status`: this node on one page. The numbers are those of the metrics.

use crate::host::wall_ms;
use crate::http::cluster::{in_ms, node_info, partition_view};
use crate::http::node::attention;
use crate::http::operations::openapi::Problems;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{Api, json};
use crate::metrics::Snapshot;
use api::node::{
    CertificateKind, CertificateStatus, ContradictedList, ForkedList, LaggingList, MemberCounts,
    NodeStatus, StatusOfLists, StatusOfProcesses, StatusOfStore,
};
use api::time::Millis;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use node::cluster::{MemberState, RosterView};
use node::lists::ask::{Contradictions, Forks, Lagging};
use std::time::Duration;
use store::ReadError;

/// The most lists that are named as lagging.
const MAX_LAGGING: usize = 20;
/// The most forks that are named.
const MAX_FORKED: usize = 20;
/// How long the lists machines may take to say which lists lag; then none is named.
const PATIENCE: Duration = Duration::from_secs(1);

fn counts(view: &RosterView) -> MemberCounts {
    let mut counts = MemberCounts::default();
    for member in &view.members {
        let is_here = member.state != MemberState::Left;
        if is_here && member.role.is_observer() {
            counts.observers += 1;
            continue;
        }
        *match member.state {
            MemberState::Alive => &mut counts.alive,
            MemberState::Suspect => &mut counts.suspect,
            MemberState::Down => &mut counts.down,
            MemberState::Restarting => &mut counts.restarting,
            MemberState::Away => &mut counts.away,
            MemberState::Left => &mut counts.left,
        } += 1;
    }
    counts
}

/// This node, its cluster, lists, disk and certificates, and what of it needs attention.
#[utoipa::path(
    get, path = "/v1/status", tag = "node and cluster", operation_id = "status",
    responses((status = 200, description = "As this node sees it", body = NodeStatus), Problems<(Query<()>, ReadError)>)
)]
pub(crate) async fn status(State(api): State<Api>, _: Query<()>) -> Result<Response, Problem> {
    let (lagging, forked) = (lagging(&api).await?, forked(&api).await?);
    let contradicted = contradicted(&api).await?;
    let reading = api.clone();
    // Asks the file system.
    let read = move || {
        let service = reading.service();
        let signer = service.authority().not_after();
        (
            service.snapshot(),
            signer.map_err(|error| error.to_string()),
        )
    };
    let (snapshot, signer) = tokio::task::spawn_blocking(read)
        .await
        .map_err(Problem::internal)?;
    let trouble = api.service().trouble();
    let listener = attention::Listener {
        now: api.service().listening().now(),
        plain_tokens: api.policy().plain_tokens,
    };
    let now_s = wall_ms() / 1000;
    let mut attention = attention::judge(&snapshot, trouble, &listener, now_s);
    attention.extend(attention::signer(signer, now_s));
    attention.extend(attention::forks(
        &forked,
        api.service().info().name.as_str(),
    ));
    attention.extend(attention::contradictions(&contradicted));
    attention.sort_by(|one, other| one.severity.cmp(&other.severity));
    let shown = NodeStatus {
        node: node_info(&api),
        partition: partition_view(&snapshot.views),
        members: counts(&snapshot.views),
        lists: StatusOfLists {
            known: snapshot.lists.lists,
            differing: snapshot.lists.differing,
            lag_ms: in_ms(snapshot.lists.lag),
            lagging,
            forked,
            contradicted,
            quarantined: snapshot.lists.quarantined,
        },
        processes: registry(&snapshot),
        store: store(&snapshot),
        certificates: certificates(&snapshot),
        attention,
        joined: !snapshot.search.is_first,
    };
    json::respond(StatusCode::OK, &shown)
}

/// A lists machine that is busy does not keep the rest from being shown.
async fn lagging(api: &Api) -> Result<Vec<LaggingList>, Problem> {
    let answer = tokio::time::timeout(PATIENCE, api.service().ask_all(Lagging)).await;
    let Ok(Ok(answers)) = answer else {
        return Ok(Vec::new());
    };
    let mut all: Vec<_> = answers.into_iter().flatten().collect();
    all.sort_by_key(|lagging| std::cmp::Reverse(lagging.lag));
    all.truncate(MAX_LAGGING);
    let view = api.service().view();
    let shown = all.into_iter().map(|lagging| {
        let name = api
            .reader()
            .list(lagging.list)?
            .map(|row| row.name.as_str().to_owned());
        let member = view.member(lagging.peer).map_or_else(
            || lagging.peer.to_string(),
            |member| member.profile.name.to_string(),
        );
        Ok(LaggingList {
            name,
            member,
            lag_ms: in_ms(lagging.lag),
        })
    });
    shown.collect()
}

/// As [`lagging`].
async fn forked(api: &Api) -> Result<Vec<ForkedList>, Problem> {
    let answer = tokio::time::timeout(PATIENCE, api.service().ask_all(Forks)).await;
    let Ok(Ok(answers)) = answer else {
        return Ok(Vec::new());
    };
    let view = api.service().view();
    let all = answers.into_iter().flatten().take(MAX_FORKED);
    let shown = all.map(|fork| {
        let row = api.reader().list(fork.list)?;
        let member = fork.member.as_ref().map(ToString::to_string);
        let me = view.member(view.me);
        Ok(ForkedList {
            name: row.map(|row| row.name.as_str().to_owned()),
            member: member.unwrap_or_else(|| fork.peer.to_string()),
            actor: fork.actor.to_string(),
            node: me
                .filter(|_| fork.is_own)
                .map(|me| me.profile.name.to_string()),
            change: fork.seq,
        })
    });
    shown.collect()
}

/// As [`lagging`].
async fn contradicted(api: &Api) -> Result<Vec<ContradictedList>, Problem> {
    let answer = tokio::time::timeout(PATIENCE, api.service().ask_all(Contradictions)).await;
    let Ok(Ok(answers)) = answer else {
        return Ok(Vec::new());
    };
    let all = answers.into_iter().flatten().take(MAX_FORKED);
    let shown = all.map(|one| {
        let row = api.reader().list(one.list)?;
        let member = one.member.as_ref().map(ToString::to_string);
        Ok(ContradictedList {
            name: row.map_or_else(|| one.list.to_string(), |row| row.name.to_string()),
            member: member.unwrap_or_else(|| one.node.to_string()),
        })
    });
    shown.collect()
}

fn registry(snapshot: &Snapshot) -> StatusOfProcesses {
    let stats = snapshot.cluster.registry;
    StatusOfProcesses {
        local: stats.registered,
        names: stats.names,
        contested: stats.contested,
        capacity: snapshot.capacity,
    }
}

fn store(snapshot: &Snapshot) -> StatusOfStore {
    let stats = &snapshot.store;
    StatusOfStore {
        writable: snapshot.writable,
        disk_bytes: stats.disk_bytes,
        free_bytes: stats.disk_free_bytes,
        size_bytes: stats.disk_size_bytes,
        sync_p50_ms: stats.sync_quantiles.map(|(half, _)| in_ms(half)),
        sync_p99_ms: stats.sync_quantiles.map(|(_, most)| in_ms(most)),
    }
}

fn certificates(snapshot: &Snapshot) -> Vec<CertificateStatus> {
    let of = |which, seconds: i64| CertificateStatus {
        which,
        expires_at: Millis(seconds.saturating_mul(1000)),
    };
    let always = [
        of(CertificateKind::Node, snapshot.transport.node_expires_at),
        of(
            CertificateKind::Authority,
            snapshot.transport.authority_expires_at,
        ),
    ];
    let listener = snapshot
        .tls_not_after
        .map(|at_s| of(CertificateKind::Http, at_s));
    always.into_iter().chain(listener).collect()
}
