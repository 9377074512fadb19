//! What every part of the registry may touch: the time, the outputs, the deadlines and the counters.

use super::io::{Output, Refusal, Reply, Stats};
use crate::machine;
use crate::wire::{ConnId, Protocol, RequestId};
use bytes::Bytes;
use crdt::registry::Process;
use names::{NodeId, ProcessName, Role};

/// All that leaves the registry, in one order. Whoever it stands beside passes it on.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// A message for a peer, on [`Channel::Registry`](crate::wire::Channel::Registry).
    Send { conn: ConnId, bytes: Bytes },
    /// The answer to a request.
    Reply {
        id: RequestId,
        result: Result<Reply, Refusal>,
    },
    /// What the host is to do.
    Host(Output),
}

impl From<Output> for Effect {
    fn from(output: Output) -> Self {
        Self::Host(output)
    }
}

/// What a deadline is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A failed write is tried again.
    Rewrite,
    /// Whoever reports how a process ended had the time to do so.
    Report(ProcessName, Process),
    /// Registrations of connections to an earlier start were not made anew.
    Orphans,
    /// By now those who are there are in sight.
    Lookout,
    /// A linked process, registered as that user's, had its time to end by itself.
    Kill(Process, u32),
    /// Tombstones have become older.
    Age,
}

/// The way out of the registry.
pub(super) type Edge = machine::Edge<Effect, Timer, Stats>;

impl Edge {
    pub(super) fn send(&mut self, conn: ConnId, bytes: Bytes) {
        self.put(Effect::Send { conn, bytes });
    }
}

/// The connections that are in use. Their owner lends them to the registry.
pub(crate) trait Routes {
    /// The connection to a node, if there is one.
    fn current(&self, node: NodeId) -> Option<ConnId>;

    /// What the node at the other end of a connection is.
    fn role(&self, conn: ConnId) -> Role;

    /// The version of the protocol that a connection speaks.
    fn protocol(&self, conn: ConnId) -> Protocol;
}
