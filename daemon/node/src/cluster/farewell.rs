//! Going: what a node does when it goes, and what is remembered of those that said they will be
//! back.

use super::connections::Connections;
use super::edge::{Edge, Timer};
use super::io::{Output, StopReason};
use super::message::Message;
use super::swim::Swim;
use crate::time::Instant;
use names::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a node that said it will be back is not called down.
const GRACE: Duration = Duration::from_secs(60);
/// The farewell's messages go first, so that a peer hears the reason before SWIM's mere `down`.
const LEAVE_AFTER: Duration = Duration::from_millis(100);
/// From the farewell to the end, when the node will be back.
const RESTART_STOP: Duration = Duration::from_millis(200);
/// From the farewell to the end, when it left: time for `left` to reach those with a slow
/// connection.
const LEFT_STOP: Duration = Duration::from_secs(1);
/// A farewell that the link has lost is sent again after a round trip and a half, and takes another half on
/// its way. The farthest peer gets that time, within a bound.
const ROUND_TRIPS: u32 = 3;
const LONGEST: Duration = Duration::from_secs(5);

/// Says goodbye to everybody; from here on nothing that others say matters.
pub(super) fn say_goodbye(
    edge: &mut Edge,
    connections: &Connections,
    swim: &mut Swim,
    restart: bool,
) {
    for conn in connections.currents() {
        edge.send(conn, Message::Goodbye { restart }.bytes());
    }
    let peers = connections.current_peers();
    let farthest = peers.filter_map(|peer| swim.round_trip(peer)).max();
    let far = (farthest.unwrap_or_default() * ROUND_TRIPS).min(LONGEST);
    swim.freeze();
    edge.after(LEAVE_AFTER + far, Timer::Leave);
    let stop = if restart { RESTART_STOP } else { LEFT_STOP };
    edge.after(stop + far, Timer::Stop);
}

/// The machine's last output.
pub(super) fn stop(edge: &mut Edge, reason: StopReason) {
    tracing::info!(%reason, "this node ends");
    edge.put(Output::Stop(reason));
}

/// Nodes that said they will be back: in which run, and until when that is believed.
#[derive(Debug, Default)]
pub(super) struct Absences(BTreeMap<NodeId, (u64, Instant)>);

impl Absences {
    pub(super) fn note(&mut self, edge: &mut Edge, node: NodeId, run: u64) {
        let has_timer = self.0.contains_key(&node);
        self.0.insert(node, (run, edge.instant() + GRACE));
        if !has_timer {
            edge.after(GRACE, Timer::Grace(node));
        }
    }

    /// Whether that run of the node said so and still has time.
    pub(super) fn expects(&self, node: NodeId, run: u64) -> bool {
        self.0.get(&node).is_some_and(|(gone, _)| *gone == run)
    }

    /// A node's timer has fired: it has no other one.
    pub(super) fn expire(&mut self, edge: &mut Edge, node: NodeId) {
        let Some((_, until)) = self.0.get(&node) else {
            return;
        };
        let left = until.since(edge.instant());
        if left.is_zero() {
            self.0.remove(&node);
        } else {
            edge.after(left, Timer::Grace(node));
        }
    }
}
