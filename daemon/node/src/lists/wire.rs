//! What the lists machines of two nodes say to each other, on
//! [`Channel::Lists`](crate::wire::Channel::Lists).
//!
//! | bytes | are |
//! | --- | --- |
//! | 0 | the first shard that the message concerns |
//! | 1 | the last one |
//! | rest | a [`Message`] by [`crate::codec`] |
//!
//! The header lets a shell with several machines deliver a message to all that own one of its
//! shards, without decoding it; each machine ignores what is about other shards. Lists are named
//! where their changes are, by id elsewhere: the id is always computed from the name, never
//! believed.

use crate::codec::{self, Malformed};
use crate::wire::Protocol;
use bytes::Bytes;
use crdt::vector::{Marked, Numbers, PART_ROWS, Part, Span, VersionVector};
use names::{Actor, ListId, ListName, Shard};
use serde::{Deserialize, Serialize};

/// About how much a message that coalesces several things may hold; below the frame's 1 MiB by
/// enough for any overhead.
pub(super) const COALESCED_BYTES: usize = 512 << 10;
/// The same for answers to a repair, of which several are under way.
pub(super) const ANSWER_BYTES: usize = 256 << 10;
/// A change larger than this travels in [`Chunk`]s.
pub(super) const CHUNK_BYTES: usize = 256 << 10;
/// How many kinds of messages this program knows.
const KINDS: u8 = 23;
/// How many leaves a message holds at most, of about 25 bytes each.
pub(super) const MAX_LEAVES: usize = 20_000;

/// Everything that is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message {
    /// Changes that the sender's clients have just made and its disk has.
    Push(Vec<Pushed>),
    /// A part of a large change; what it belongs to follows its last part.
    Chunk(Chunk),
    /// The sum of all lists in the header's shards: opens a round of comparing. With `wake` the
    /// sender knows that it could not send something, and wants the receiver to open a round of its
    /// own at once.
    Root { sum: u64, wake: bool },
    /// Answers a root: the sums are equal.
    Equal(u64),
    /// Answers a root: they are not; the sums of the header's shards.
    Shards(Vec<u64>),
    /// The sums of a shard's 256 buckets, in their order.
    Buckets { shard: Shard, sums: Vec<u64> },
    /// Answers those: the buckets that differ, and all lists in them with their sums.
    Leaves {
        shard: Shard,
        buckets: Vec<u8>,
        leaves: Vec<(ListId, u64)>,
        last: bool,
    },
    /// What the sender has of a list that differed; an `answer`, which is not answered, says only
    /// where that is something else than the receiver has.
    Compare {
        list: ListId,
        vector: Numbers,
        answer: bool,
    },
    /// Asks for what `vector` lacks, up to about that many bytes.
    Pull {
        list: ListId,
        vector: Numbers,
        most_bytes: u32,
    },
    /// Answers a pull.
    Changes {
        name: ListName,
        changes: Vec<Bytes>,
        tail: Tail,
    },
    /// Answers a pull: there is nothing to be had of this list here.
    Nothing(ListId),
    /// Asks to be told when the receiver has all of `vector` on its disk.
    Confirm { list: ListId, vector: Numbers },
    /// The sender has all of that on its disk.
    Have { list: ListId, vector: Numbers },
    /// [`Message::Compare`] in protocol 2.
    CompareMarked {
        list: ListId,
        vector: Marked,
        answer: bool,
    },
    /// [`Message::Pull`] in protocol 2.
    PullMarked {
        list: ListId,
        vector: Marked,
        most_bytes: u32,
    },
    /// [`Message::Confirm`] in protocol 2.
    ConfirmMarked { list: ListId, vector: Marked },
    /// [`Message::Have`] in protocol 2.
    HaveMarked { list: ListId, vector: Marked },
    /// Answers whatever says a vector: at these numbers the sender has other changes.
    Unlike { list: ListId, vector: Marked },
    /// Goes with the sender's vector of a list that differed: what the list is without, as records.
    LeftOut { list: ListId, left_out: Vec<Bytes> },
    /// Salts of actors, as their nodes have signed them: the sender's own, and those that were asked
    /// for.
    Salts(Vec<Bytes>),
    /// Asks for the salts of these actors, if the receiver knows them.
    WhoseActors { list: ListId, actors: Vec<Actor> },
    /// [`Message::CompareMarked`] of the actors of a span, where a whole vector is more than a message
    /// holds.
    ComparePart {
        list: ListId,
        span: Span,
        vector: Marked,
    },
    /// [`Message::PullMarked`] of the actors of a span.
    PullPart {
        list: ListId,
        span: Span,
        vector: Marked,
        most_bytes: u32,
    },
}

/// What a message says of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The sender has it; an `answer` is not answered.
    Compare { answer: bool },
    /// What is missing in it?
    Pull { most_bytes: u32 },
    /// Tell when all of it is there.
    Confirm,
    /// All of it is on the sender's disk.
    Have,
    /// The sender has this where the receiver said to have something else.
    Unlike,
}

/// What becomes of a message of an observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfObserver {
    /// It asks for something, and is answered.
    Answered,
    /// It says what the observer has, which counts for nothing.
    PassedOver,
    /// It brings changes: an observer makes none, and nobody asks it for others'.
    Breach,
}

/// A vector in the form of a version of the protocol.
enum Form {
    Numbers(Numbers),
    Marked(Marked),
}

impl Form {
    fn of(protocol: Protocol, vector: &VersionVector) -> Self {
        if protocol < Protocol::PROVED {
            Self::Numbers(vector.into())
        } else {
            Self::Marked(vector.into())
        }
    }
}

impl Message {
    /// What this node has of a list that differed, or a part of that.
    pub(super) fn compare(protocol: Protocol, list: ListId, ours: &Part) -> Self {
        let (span, answer) = (ours.span, false);
        match Form::of(protocol, &ours.vector) {
            Form::Numbers(vector) => Self::Compare {
                list,
                vector,
                answer,
            },
            Form::Marked(vector) if ours.is_whole() => Self::CompareMarked {
                list,
                vector,
                answer,
            },
            Form::Marked(vector) => Self::ComparePart { list, span, vector },
        }
    }

    /// Answers that: where this node has something else.
    pub(super) fn compared(protocol: Protocol, list: ListId, apart: &VersionVector) -> Self {
        let answer = true;
        match Form::of(protocol, apart) {
            Form::Numbers(vector) => Self::Compare {
                list,
                vector,
                answer,
            },
            Form::Marked(vector) => Self::CompareMarked {
                list,
                vector,
                answer,
            },
        }
    }

    /// Asks for what `ours` lacks.
    pub(super) fn pull(protocol: Protocol, list: ListId, ours: &Part, most_bytes: u32) -> Self {
        let span = ours.span;
        match Form::of(protocol, &ours.vector) {
            Form::Numbers(vector) => Self::Pull {
                list,
                vector,
                most_bytes,
            },
            Form::Marked(vector) if ours.is_whole() => Self::PullMarked {
                list,
                vector,
                most_bytes,
            },
            Form::Marked(vector) => Self::PullPart {
                list,
                span,
                vector,
                most_bytes,
            },
        }
    }

    /// Asks to be told when the receiver has all of `vector`.
    pub(super) fn confirm(protocol: Protocol, list: ListId, vector: &VersionVector) -> Self {
        match Form::of(protocol, vector) {
            Form::Numbers(vector) => Self::Confirm { list, vector },
            Form::Marked(vector) => Self::ConfirmMarked { list, vector },
        }
    }

    /// This node has all of `vector` on its disk.
    pub(super) fn have(protocol: Protocol, list: ListId, vector: &VersionVector) -> Self {
        match Form::of(protocol, vector) {
            Form::Numbers(vector) => Self::Have { list, vector },
            Form::Marked(vector) => Self::HaveMarked { list, vector },
        }
    }

    /// What it says of a list's vector or of a part of it, whichever form that has; any other message
    /// as it is.
    pub(super) fn about_vector(self) -> Result<(ListId, Part, About), Self> {
        let (list, vector, about): (ListId, VersionVector, About) = match self {
            Self::Compare {
                list,
                vector,
                answer,
            } => (list, vector.into(), About::Compare { answer }),
            Self::CompareMarked {
                list,
                vector,
                answer,
            } => (list, vector.into(), About::Compare { answer }),
            Self::Pull {
                list,
                vector,
                most_bytes,
            } => (list, vector.into(), About::Pull { most_bytes }),
            Self::PullMarked {
                list,
                vector,
                most_bytes,
            } => (list, vector.into(), About::Pull { most_bytes }),
            Self::Confirm { list, vector } => (list, vector.into(), About::Confirm),
            Self::ConfirmMarked { list, vector } => (list, vector.into(), About::Confirm),
            Self::Have { list, vector } => (list, vector.into(), About::Have),
            Self::HaveMarked { list, vector } => (list, vector.into(), About::Have),
            Self::Unlike { list, vector } => (list, vector.into(), About::Unlike),
            Self::ComparePart { list, span, vector } => {
                let vector = vector.into();
                return Ok((
                    list,
                    Part { span, vector },
                    About::Compare { answer: false },
                ));
            }
            Self::PullPart {
                list,
                span,
                vector,
                most_bytes,
            } => {
                let vector = vector.into();
                return Ok((list, Part { span, vector }, About::Pull { most_bytes }));
            }
            other @ (Self::Push(_)
            | Self::Chunk(_)
            | Self::Root { .. }
            | Self::Equal(_)
            | Self::Shards(_)
            | Self::Buckets { .. }
            | Self::Leaves { .. }
            | Self::Changes { .. }
            | Self::LeftOut { .. }
            | Self::Salts(_)
            | Self::WhoseActors { .. }
            | Self::Nothing(_)) => return Err(other),
        };
        Ok((list, vector.into(), about))
    }

    /// What becomes of it when an observer says it.
    pub(super) fn of_observer(&self) -> OfObserver {
        match self {
            Self::Root { .. }
            | Self::Buckets { .. }
            | Self::Compare { .. }
            | Self::CompareMarked { .. }
            | Self::Pull { .. }
            | Self::PullMarked { .. }
            | Self::Confirm { .. }
            | Self::ConfirmMarked { .. }
            | Self::ComparePart { .. }
            | Self::PullPart { .. }
            | Self::WhoseActors { .. } => OfObserver::Answered,
            Self::Equal(_)
            | Self::Shards(_)
            | Self::Leaves { .. }
            | Self::Nothing(_)
            | Self::Have { .. }
            | Self::HaveMarked { .. }
            | Self::Unlike { .. }
            | Self::LeftOut { .. }
            | Self::Salts(_) => OfObserver::PassedOver,
            Self::Push(_) | Self::Chunk(_) | Self::Changes { .. } => OfObserver::Breach,
        }
    }

    /// Whether a peer that speaks this version may say it: a vector without marks would be believed
    /// for its numbers.
    pub(super) fn is_spoken_in(&self, protocol: Protocol) -> bool {
        match self {
            Self::Push(_)
            | Self::Chunk(_)
            | Self::Root { .. }
            | Self::Equal(_)
            | Self::Shards(_)
            | Self::Buckets { .. }
            | Self::Leaves { .. }
            | Self::Changes { .. }
            | Self::Nothing(_) => true,
            Self::Compare { .. } | Self::Pull { .. } | Self::Confirm { .. } | Self::Have { .. } => {
                protocol < Protocol::PROVED
            }
            Self::CompareMarked { .. }
            | Self::PullMarked { .. }
            | Self::ConfirmMarked { .. }
            | Self::HaveMarked { .. }
            | Self::Unlike { .. }
            | Self::LeftOut { .. }
            | Self::Salts(_)
            | Self::ComparePart { .. }
            | Self::PullPart { .. }
            | Self::WhoseActors { .. } => protocol >= Protocol::PROVED,
        }
    }
}

/// How many actors are told of in one message.
pub(super) fn most_rows(protocol: Protocol) -> usize {
    // There, a vector has no parts.
    if protocol < Protocol::PROVED {
        usize::MAX
    } else {
        PART_ROWS
    }
}

/// New changes of one list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pushed {
    pub(super) name: ListName,
    pub(super) changes: Vec<Bytes>,
    /// Whether the sender wants a [`Message::Have`] for them.
    pub(super) confirm: bool,
}

/// A part of a change that is too large for one message. Parts follow each other in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chunk {
    pub(super) name: ListName,
    /// Tells the sender's large changes apart.
    pub(super) number: u64,
    /// From 0.
    pub(super) index: u32,
    /// Of how many.
    pub(super) count: u32,
    pub(super) bytes: Bytes,
}

/// What follows a message with changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Tail {
    /// Another message of the same answer.
    Message,
    /// Nothing, but there is more to pull.
    Pull,
    /// Nothing: this was all.
    End,
}

pub(super) fn encode((first, last): (Shard, Shard), message: &Message) -> Result<Bytes, Malformed> {
    codec::encode(&(first.0, last.0, message)).map(Bytes::from)
}

/// The header and the message; `None` if the bytes are neither.
pub(super) fn decode(bytes: &[u8]) -> Option<((Shard, Shard), Message)> {
    let shards = shards_of(bytes)?;
    let (_, _, message) = codec::decode::<(u8, u8, Message)>(bytes).ok()?;
    Some((shards, message))
}

/// Whether bytes are a message of a kind that this program does not know. Higher numbers than these begin
/// no kind in [`codec`].
pub(super) fn is_unknown(bytes: &[u8]) -> bool {
    let is_kind = |kind: &u8| (KINDS..=250).contains(kind);
    shards_of(bytes).is_some() && bytes.get(2).is_some_and(is_kind)
}

/// The first and the last shard that a message concerns; `None` if it has no header.
pub fn shards_of(bytes: &[u8]) -> Option<(Shard, Shard)> {
    match bytes {
        [first, last, ..] if first <= last => Some((Shard(*first), Shard(*last))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
