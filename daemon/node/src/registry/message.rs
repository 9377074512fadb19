//! What registries say to each other on [`Channel::Registry`](crate::wire::Channel), encoded by
//! [`crate::codec`].
//!
//! | tag | message | when |
//! | --- | --- | --- |
//! | 0 | `Part` | a part of a log: pushed by its owner, one at a time, the next once this is acknowledged; or the answer to `Pull`, by anybody |
//! | 1 | `Ack` | answer to a pushed part: how far the owner's log has come here, also if the part could not be used |
//! | 2 | `Pull` | send what follows of that log |
//! | 3 | `Hash` | once a second to one peer: the hash of the sender's vector |
//! | 4 | `Vector` | how far each log has come here: on a new connection, and when hashes differ; `answer` asks for the receiver's |
//! | 5 | `Probe` | how far is your own log, at this moment? |
//! | 6 | `Probed` | answer to `Probe` |

use crate::codec::{Malformed, decode, encode};
use bytes::Bytes;
use crdt::registry::{Delta, Position, Progress};
use names::NodeId;
use serde::{Deserialize, Serialize};

/// See the module's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    Part {
        delta: Delta,
        pushed: bool,
    },
    Ack(Progress),
    Pull {
        owner: NodeId,
        from: Progress,
    },
    Hash(u64),
    Vector {
        positions: Vec<(NodeId, Position)>,
        answer: bool,
    },
    Probe(u64),
    Probed {
        probe: u64,
        position: Position,
    },
}

impl Message {
    /// As bytes. Empty, and logged, if it were larger than a frame: no message that this module's
    /// bounds admit is.
    pub(crate) fn bytes(&self) -> Bytes {
        encode(self).map(Bytes::from).unwrap_or_else(|error| {
            tracing::error!(%error, "a message of ours is too large");
            Bytes::new()
        })
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), tag in 0u8..8) {
            let tagged: Vec<u8> = std::iter::once(tag).chain(bytes).collect();
            if let Ok(message) = Message::read(&tagged) {
                prop_assert_eq!(Message::read(&message.bytes()), Ok(message));
            }
        }
    }
}
