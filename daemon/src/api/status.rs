//! `/v1/status`: this node on one page. The numbers are those of the metrics.

use crate::api::attention::{self, Attention};
use crate::api::cluster::{ShownNode, ShownPartition, in_ms};
use crate::api::openapi::PlainProblems;
use crate::api::problem::Problem;
use crate::api::query::Query;
use crate::api::time::Millis;
use crate::api::{Api, json};
use crate::host::wall_ms;
use crate::metrics::Snapshot;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crdt::entry::Author;
use node::cluster::{MemberState, RosterView};
use node::lists;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// The most lists that are named as lagging.
const MAX_LAGGING: usize = 20;
/// How long the lists machines may take to say which lists lag; then none is named.
const PATIENCE: Duration = Duration::from_secs(1);

/// This node on one page.
#[derive(Serialize, ToSchema)]
#[schema(as = Status)]
pub(crate) struct ShownStatus<'a> {
    /// This node.
    node: ShownNode<'a>,
    /// How much of the cluster it reaches.
    partition: ShownPartition<'a>,
    /// How many members are in which state, this node among them.
    members: ShownCounts,
    /// Its to-do lists.
    lists: ShownLists,
    /// Registered processes.
    processes: ShownRegistry,
    /// Where it keeps its data.
    store: ShownStore,
    /// What it proves itself by.
    certificates: Vec<ShownCertificate>,
    /// What needs somebody, the worst first; empty when all is well.
    attention: Vec<Attention>,
}

/// Members by state.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = MemberCounts)]
pub(crate) struct ShownCounts {
    /// They answer.
    alive: u64,
    /// They did not answer a probe.
    suspect: u64,
    /// They do not answer.
    down: u64,
    /// They said that they will be back.
    restarting: u64,
    /// They left in order; they are not expected.
    left: u64,
}

impl ShownCounts {
    fn of(view: &RosterView) -> Self {
        let mut counts = Self::default();
        for member in &view.members {
            *match member.state {
                MemberState::Alive => &mut counts.alive,
                MemberState::Suspect => &mut counts.suspect,
                MemberState::Down => &mut counts.down,
                MemberState::Restarting => &mut counts.restarting,
                MemberState::Left => &mut counts.left,
            } += 1;
        }
        counts
    }
}

/// To-do lists.
#[derive(Serialize, ToSchema)]
#[schema(as = StatusOfLists)]
pub(crate) struct ShownLists {
    /// How many this node has.
    known: u64,
    /// How many of them differed from some connected member's at the last comparison.
    differing: u64,
    /// For how long the one has done so that has differed longest while one side stood still.
    lag_ms: f64,
    /// Those that lag so, the longest first; at most 20.
    lagging: Vec<ShownLagging>,
    /// How many cannot be loaded and are set aside.
    quarantined: u64,
}

/// A list that lags.
#[derive(Serialize, ToSchema)]
#[schema(as = LaggingList)]
pub(crate) struct ShownLagging {
    /// The list's name; null as long as nothing of it is here.
    #[schema(required = true)]
    name: Option<String>,
    /// The member that has it otherwise.
    member: String,
    /// For how long.
    lag_ms: f64,
}

/// Registered processes.
#[derive(Serialize, ToSchema)]
#[schema(as = StatusOfProcesses)]
pub(crate) struct ShownRegistry {
    /// How many run on this node.
    local: u64,
    /// How many names there are on all nodes.
    names: u64,
    /// How many names several claim.
    contested: u64,
    /// How many processes this node can watch.
    capacity: u64,
}

/// The disk.
#[derive(Serialize, ToSchema)]
#[schema(as = StatusOfStore)]
pub(crate) struct ShownStore {
    /// Whether it takes writes.
    writable: bool,
    /// What the database takes.
    disk_bytes: u64,
    /// What the file system has left; null where it does not say.
    #[schema(required = true)]
    free_bytes: Option<u64>,
    /// The size of the file system; null where it does not say.
    #[schema(required = true)]
    size_bytes: Option<u64>,
    /// The time of a sync that half of the latest ones took at most; null before the first.
    #[schema(required = true)]
    sync_p50_ms: Option<f64>,
    /// The time that 99 of 100 took at most.
    #[schema(required = true)]
    sync_p99_ms: Option<f64>,
}

/// A certificate.
#[derive(Serialize, ToSchema)]
#[schema(as = Certificate)]
pub(crate) struct ShownCertificate {
    /// `node`, or `authority` for the one of those in use that expires last.
    #[schema(pattern = "^(node|authority)$")]
    which: &'static str,
    /// When it expires.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Millis,
}

/// This node, its cluster, lists, disk and certificates, and what of it needs attention.
#[utoipa::path(
    get, path = "/v1/status", tag = "node and cluster", operation_id = "status",
    responses((status = 200, description = "As this node sees it", body = ShownStatus<'static>), PlainProblems)
)]
pub(crate) async fn status(State(api): State<Api>, query: Query) -> Result<Response, Problem> {
    query.end()?;
    let lagging = lagging(&api).await?;
    let reading = api.clone();
    // Asks the file system.
    let snapshot = tokio::task::spawn_blocking(move || reading.service().snapshot())
        .await
        .map_err(Problem::internal)?;
    let trouble = api.service().trouble();
    let shown = ShownStatus {
        node: ShownNode::new(api.service().info()),
        partition: ShownPartition::new(&snapshot.views),
        members: ShownCounts::of(&snapshot.views),
        lists: ShownLists {
            known: snapshot.lists.lists,
            differing: snapshot.lists.differing,
            lag_ms: in_ms(snapshot.lists.lag),
            lagging,
            quarantined: snapshot.lists.quarantined,
        },
        processes: registry(&snapshot),
        store: store(&snapshot),
        certificates: certificates(&snapshot),
        attention: attention::judge(&snapshot, trouble, wall_ms() / 1000),
    };
    json::respond(StatusCode::OK, &shown)
}

/// A lists machine that is busy does not keep the rest from being shown.
async fn lagging(api: &Api) -> Result<Vec<ShownLagging>, Problem> {
    let nobody = Author(String::new());
    let answer = tokio::time::timeout(
        PATIENCE,
        api.service().lists(nobody, lists::Command::Lagging),
    )
    .await;
    let Ok(Ok(lists::Reply::Lagging(mut all))) = answer else {
        return Ok(Vec::new());
    };
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
        Ok(ShownLagging {
            name,
            member,
            lag_ms: in_ms(lagging.lag),
        })
    });
    shown.collect()
}

fn registry(snapshot: &Snapshot) -> ShownRegistry {
    let stats = snapshot.cluster.registry;
    ShownRegistry {
        local: stats.registered,
        names: stats.names,
        contested: stats.contested,
        capacity: snapshot.capacity,
    }
}

fn store(snapshot: &Snapshot) -> ShownStore {
    let stats = &snapshot.store;
    ShownStore {
        writable: snapshot.writable,
        disk_bytes: stats.disk_bytes,
        free_bytes: stats.disk_free_bytes,
        size_bytes: stats.disk_size_bytes,
        sync_p50_ms: stats.sync_quantiles.map(|(half, _)| in_ms(half)),
        sync_p99_ms: stats.sync_quantiles.map(|(_, most)| in_ms(most)),
    }
}

fn certificates(snapshot: &Snapshot) -> Vec<ShownCertificate> {
    let of = |which, seconds: i64| ShownCertificate {
        which,
        expires_at: Millis(seconds.saturating_mul(1000)),
    };
    vec![
        of("node", snapshot.transport.node_expires_at),
        of("authority", snapshot.transport.authority_expires_at),
    ]
}
