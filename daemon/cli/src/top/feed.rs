//! What the daemon tells: asked once a second, and its events as they come.

use crate::session::OF_MEMBERS;
use api::cluster::ClusterMember;
use api::events::{ClusterEvent, ClusterStreamEvent, EventsQuery};
use api::node::NodeStatus;
use api::processes::{ProcessesQuery, RegisteredProcess};
use api::reach::ReachRow;
use client::{ApiPath, Client, ClientError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// How often the daemon is asked.
const EVERY: Duration = Duration::from_secs(1);

/// The operations that [`poll`] and the stream of events use, as the metrics name them: they are
/// not the node's load.
pub(super) const OWN: [&str; 6] = [
    "status",
    "members",
    "processes",
    "metrics",
    "events",
    "reach",
];

/// What was asked at one time.
#[derive(Debug)]
pub(super) struct Polled {
    pub(super) at: Instant,
    pub(super) status: NodeStatus,
    pub(super) members: Vec<ClusterMember>,
    /// Those registered on this node.
    pub(super) processes: Vec<RegisteredProcess>,
    /// All metrics, in Prometheus' text format.
    pub(super) metrics: String,
}

/// Something new.
#[derive(Debug)]
pub(super) enum Update {
    /// The daemon has answered.
    Polled(Box<Polled>),
    /// The daemon did not answer.
    Failed(ClientError),
    /// Something happened.
    Happened(Box<ClusterEvent>),
    /// Something had happened before anybody looked.
    Past(Box<ClusterEvent>),
    /// Who reaches whom, as all members tell it.
    Reach(Result<Vec<ReachRow>, ClientError>),
    /// More happened than was read; the kept events come again.
    Lagged,
}

/// Asks for everything once.
pub(super) async fn poll(client: &Client) -> Result<Polled, ClientError> {
    let status = client.status().await?.value;
    let members = client.members().await?.value;
    let local = ProcessesQuery {
        local: Some(true),
        ..ProcessesQuery::default()
    };
    let processes = client.processes(&local).await?.value;
    let metrics = client.text(&ApiPath::outside("metrics")).await?;
    Ok(Polled {
        at: Instant::now(),
        status,
        members,
        processes,
        metrics,
    })
}

/// Asks again and again, until nobody wants to know.
pub(super) async fn polls(client: Client, updates: Sender<Update>) {
    let mut turns = tokio::time::interval(EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let update = match poll(&client).await {
            Ok(polled) => Update::Polled(Box::new(polled)),
            Err(error) => Update::Failed(error),
        };
        if updates.send(update).await.is_err() {
            return;
        }
    }
}

/// Asks all members whom they reach.
pub(super) async fn reach(client: Client, updates: Sender<Update>) {
    let told = client
        .with_patience(OF_MEMBERS)
        .reach()
        .await
        .map(|answer| answer.value.items);
    // Nobody may want to know any more.
    let _ = updates.send(Update::Reach(told)).await;
}

/// How many kept events are shown from the start.
const PAST: u32 = 200;

/// Follows the events, whatever becomes of the daemon.
pub(super) async fn events(client: Client, updates: Sender<Update>) {
    let which = EventsQuery {
        last: Some(PAST),
        ..EventsQuery::default()
    };
    let mut events = client.follow(&ApiPath::new(&["events"]).with(&which));
    // The kept events come before the snapshot, which tells what is, as the polls do.
    let mut is_past = true;
    while !updates.is_closed() {
        // Why it failed is told by the next poll.
        let Ok(event) = events.next().await else {
            is_past = false;
            continue;
        };
        let update = match event.read() {
            Ok(ClusterStreamEvent::Message(event)) if is_past => Update::Past(event),
            Ok(ClusterStreamEvent::Message(event)) => Update::Happened(event),
            Ok(ClusterStreamEvent::Snapshot(_)) => {
                is_past = false;
                continue;
            }
            Ok(ClusterStreamEvent::Lagged(_)) => Update::Lagged,
            Err(_) => continue,
        };
        // After that the stream begins anew, with kept events.
        is_past |= matches!(update, Update::Lagged);
        if updates.send(update).await.is_err() {
            return;
        }
    }
}
