//! What every part of the machine may touch: the time, the outputs, the deadlines and the counters.

use super::io::{Output, Refusal, Reply, Stats};
use super::wire::{self, Message};
use crate::machine;
use crate::wire::{Channel, CloseReason, ConnId, RequestId};
use names::{ListId, Shard};

/// What a deadline is about. One that fires late or for nothing is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A client waits no longer.
    Deadline(RequestId),
    /// Changes of this list still lack others that they depend on.
    Orphans(ListId),
    /// Changes of that list lack others for too long.
    Abandon(ListId),
    /// A list that could not be read may be read now.
    Reload(ListId),
    /// The second look at a list that differed.
    Recheck(ListId),
    /// Once a second: digests, stalled repairs, open confirmations.
    Tick,
}

/// The way out of the lists machine.
pub(super) type Edge = machine::Edge<Output, Timer, Stats>;

impl Edge {
    pub(super) fn reply(&mut self, id: RequestId, result: Result<Reply, Refusal>) {
        self.put(Output::Reply { id, result });
    }

    /// Answers what cannot be refused.
    pub(super) fn tell(&mut self, id: RequestId, reply: Reply) -> Result<(), Refusal> {
        self.reply(id, Ok(reply));
        Ok(())
    }

    /// Sends a message about some shards. One that does not fit a frame is dropped and counted:
    /// repair copes.
    pub(super) fn send(&mut self, conn: ConnId, shards: (Shard, Shard), message: &Message) {
        self.send_all(std::iter::once(conn), shards, message);
    }

    /// Sends one message on several connections.
    pub(super) fn send_all(
        &mut self,
        conns: impl Iterator<Item = ConnId>,
        shards: (Shard, Shard),
        message: &Message,
    ) {
        match wire::encode(shards, message) {
            Ok(bytes) => conns.for_each(|conn| {
                self.put(Output::Send {
                    conn,
                    channel: Channel::Lists,
                    bytes: bytes.clone(),
                })
            }),
            Err(_) => self.stats.dropped += 1,
        }
    }

    /// Sends a message about one list.
    pub(super) fn send_about(&mut self, conn: ConnId, list: ListId, message: &Message) {
        self.send(conn, (list.shard(), list.shard()), message);
    }

    pub(super) fn close(&mut self, conn: ConnId, reason: CloseReason) {
        self.put(Output::Breach { conn, reason });
    }
}
