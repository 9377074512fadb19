//! What the daemon tells: asked once a second, and its events as they come.

use client::{ApiPath, Client, ClientError, ServerEvent};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// How often the daemon is asked.
const EVERY: Duration = Duration::from_secs(1);
/// How many local processes are looked at.
const MAX_PROCESSES: &str = "1000";

/// The operations that [`poll`] and the stream of events use, as the metrics name them: they are
/// not the node's load.
pub(super) const OWN: [&str; 5] = ["status", "members", "processes", "metrics", "events"];

/// What was asked at one time.
#[derive(Debug)]
pub(super) struct Polled {
    pub(super) at: Instant,
    pub(super) status: Value,
    pub(super) members: Vec<Value>,
    /// Those registered on this node.
    pub(super) processes: Vec<Value>,
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
    Happened(Value),
}

/// Asks for everything once.
pub(super) async fn poll(client: &Client) -> Result<Polled, ClientError> {
    let status = client.get(&ApiPath::new(&["status"])).await?.body;
    let members = client.items(&ApiPath::new(&["members"])).await?;
    let local = ApiPath::new(&["processes"])
        .query("local", "true")
        .query("limit", MAX_PROCESSES);
    let mut page = client.get(&local).await?.body;
    let processes = page
        .get_mut("items")
        .and_then(Value::as_array_mut)
        .map(std::mem::take)
        .unwrap_or_default();
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

/// Follows the events, whatever becomes of the daemon.
pub(super) async fn events(client: Client, updates: Sender<Update>) {
    let mut events = client.follow(&ApiPath::new(&["events"]));
    while !updates.is_closed() {
        // Why it failed is told by the next poll.
        let Ok(event) = events.next().await else {
            continue;
        };
        if let Some(update) = happened(&event)
            && updates.send(update).await.is_err()
        {
            return;
        }
    }
}

/// A snapshot tells what is, which the polls do; after `lagged` the stream goes on.
fn happened(event: &ServerEvent) -> Option<Update> {
    if matches!(event.event.as_str(), "snapshot" | "lagged") {
        return None;
    }
    serde_json::from_str(&event.data).ok().map(Update::Happened)
}
