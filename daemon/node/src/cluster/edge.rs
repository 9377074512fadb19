//! What a part of the machine may touch besides its own state.

use super::io::{Output, Stats};
use super::swim;
use crate::machine;
use crate::wire::{Channel, CloseReason, ConnId, RequestId};
use bytes::Bytes;
use names::NodeId;

/// All deadlines of the machine. The derived order decides ties: SWIM first, and there foca's own
/// order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// One of foca's.
    Swim(swim::Timer),
    /// One of the prober's.
    Prober(swim::ProberTimer),
    /// Four times a second it is counted whether any peer has sent something since.
    Listen,
    /// Every second: seeds, missing members, missing connections, the roster's hash.
    Round,
    /// The time is over in which the older connection had to answer a challenge. The timer names
    /// that connection.
    Challenge(ConnId),
    /// The time in which a connection's hello has to be accepted is over.
    Greeting(ConnId),
    /// The time is over in which a node had to answer that is said to be down.
    Presence(NodeId),
    /// The time of a client's request to join is over.
    Join(RequestId),
    /// The time is over in which a node is not called down that said it would be back.
    Grace(NodeId),
    /// What waits to be judged has its next turn.
    Judge,
    /// Lines of the roster that are news go on to some peers.
    Spread,
    /// This node's address may change again.
    Move,
    /// A failed write is tried again.
    Rewrite,
    /// SWIM's own farewell, after the messages had time to arrive.
    Leave,
    /// After its farewell the machine stops.
    Stop,
}

/// The way out of the cluster machine.
pub(super) type Edge = machine::Edge<Output, Timer, Stats>;

impl Edge {
    pub(super) fn send(&mut self, conn: ConnId, bytes: Bytes) {
        self.put(Output::Send {
            conn,
            channel: Channel::Cluster,
            bytes,
        });
    }

    pub(super) fn close(&mut self, conn: ConnId, reason: CloseReason) {
        tracing::debug!(
            conn = conn.0,
            reason = reason.as_str(),
            "closes a connection"
        );
        self.put(Output::Close { conn, reason });
    }
}
