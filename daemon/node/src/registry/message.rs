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
//! | 7 | `Proved` | what `Part` is, as the log's owner wrote it |
//! | 8 | `Heads` | what `Vector` is, of all logs that are proved, and with what they hold |
//!
//! Protocol 1 has the tags 0 to 6; protocol 2 has 7 in place of 0 and 8 in place of 4.

use crate::codec::{Malformed, decode, encode};
use crate::wire::Protocol;
use bytes::Bytes;
use crdt::registry::{Delta, Head, Position, Progress, ProvedDelta};
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
    Proved {
        delta: ProvedDelta,
        pushed: bool,
    },
    Heads {
        heads: Vec<Claimed>,
        answer: bool,
    },
}

/// A log as a node says that it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claimed {
    pub(crate) owner: NodeId,
    pub(crate) position: Position,
    /// The first bytes of the hash in the log's head.
    pub(crate) tag: u64,
}

impl From<&Head> for Claimed {
    fn from(head: &Head) -> Self {
        Self {
            owner: head.owner(),
            position: head.position(),
            tag: head.tag(),
        }
    }
}

impl Message {
    /// How many kinds there are.
    const KINDS: u8 = 9;

    /// As bytes. Empty, and logged, if it were larger than a frame: no message that this module's
    /// bounds admit is.
    pub(crate) fn bytes(&self) -> Bytes {
        encode(self).map(Bytes::from).unwrap_or_else(|error| {
            tracing::error!(%error, "a message of ours is too large");
            Bytes::new()
        })
    }

    /// Reads a message of a connection that speaks that protocol; `None` for one that is to be passed
    /// over.
    pub(super) fn read(bytes: &[u8], protocol: Protocol) -> Result<Option<Self>, Malformed> {
        let is_proved = protocol >= Protocol::PROVED;
        if is_proved && bytes.first().is_some_and(|tag| *tag >= Self::KINDS) {
            return Ok(None);
        }
        let message: Self = decode(bytes)?;
        match &message {
            Self::Part { .. } | Self::Vector { .. } if is_proved => {
                tracing::debug!("a peer says something in the form of protocol 1");
                Ok(None)
            }
            Self::Proved { .. } | Self::Heads { .. } if !is_proved => {
                Err(Malformed::rule("a message of protocol 2"))
            }
            Self::Part { .. }
            | Self::Vector { .. }
            | Self::Proved { .. }
            | Self::Heads { .. }
            | Self::Ack(_)
            | Self::Pull { .. }
            | Self::Hash(_)
            | Self::Probe(_)
            | Self::Probed { .. } => Ok(Some(message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn from_protocol_2_on_a_kind_that_is_not_known_is_passed_over() {
        let unknown = [Message::KINDS, 1, 2, 3];
        assert_eq!(Message::read(&unknown, Protocol::PROVED), Ok(None));
        assert!(Message::read(&unknown, Protocol::UNPROVED).is_err());
        let last = [Message::KINDS - 1, 0, 0];
        assert!(matches!(
            Message::read(&last, Protocol::PROVED),
            Ok(Some(Message::Heads { .. }))
        ));
        assert!(Message::read(&last, Protocol::UNPROVED).is_err());
        let old = Message::Vector {
            positions: vec![],
            answer: true,
        };
        assert_eq!(Message::read(&old.bytes(), Protocol::PROVED), Ok(None));
        assert_eq!(
            Message::read(&old.bytes(), Protocol::UNPROVED),
            Ok(Some(old))
        );
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), tag in 0u8..10, version in 1u32..3,
        ) {
            let tagged: Vec<u8> = std::iter::once(tag).chain(bytes).collect();
            if let Ok(Some(message)) = Message::read(&tagged, Protocol(version)) {
                prop_assert_eq!(Message::read(&message.bytes(), Protocol(version)), Ok(Some(message)));
            }
        }
    }
}
