//! What both machines share of the wire: channels and the identity of connections and peers.
//!
//! | channel | carries | machine |
//! | --- | --- | --- |
//! | 0 | hello, member state, roster, goodbye | `Cluster` |
//! | 1 | pushes, vectors, logs of the process registry | `Cluster` |
//! | 2 | pushes, digests, vectors, changes of lists | `Lists` |
//!
//! A datagram is always SWIM's and goes to `Cluster`. Messages of one channel arrive in the order
//! in which they were sent, until the connection closes.

use names::{NodeId, NodeName, Role};

/// A version of the protocol between nodes. Two nodes speak the newest one that both know, on each
/// connection anew.
///
/// | version | is |
/// | --- | --- |
/// | 1 | what is said of third nodes is believed within bounds (`belief`) |
/// | 2 | what is said of third nodes carries their [proofs](crate::proof) |
///
/// What a version may change is what one connection carries: messages, their tags and their fields.
/// What goes on to third nodes in the form of [`crdt::relayed`] is handed on by programs that do not
/// understand it, so its fields may grow at any time; SWIM's packets and changes of lists may change
/// their form only when no node speaks the older version any more.
///
/// From version 2 on a message of a kind that a program does not know is passed over, so that messages
/// can be added without a new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u32);

impl Protocol {
    /// The first one, of programs whose statements about third nodes prove nothing.
    pub const UNPROVED: Self = Self(1);
    /// The one in which statements about third nodes carry proofs.
    pub const PROVED: Self = Self(2);

    /// The versions that this program knows, the newest first.
    const KNOWN: &[Self] = if cfg!(feature = "protocol-1") {
        &[Self::UNPROVED]
    } else {
        &[Self::PROVED, Self::UNPROVED]
    };

    /// The versions that this node speaks, the newest first. The first one only where the cluster's
    /// administrators accept it.
    pub fn spoken(accept_v1: bool) -> impl Iterator<Item = Self> {
        let known = Self::KNOWN.iter().copied();
        known.filter(move |version| *version >= Self::PROVED || Self::is_v1_spoken(accept_v1))
    }

    /// Whether the first version is spoken: where it is accepted, and by a program that knows nothing
    /// newer.
    pub fn is_v1_spoken(accept_v1: bool) -> bool {
        accept_v1 || Self::newest() == Self::UNPROVED
    }

    /// The newest that this program speaks.
    pub fn newest() -> Self {
        Self::KNOWN.first().copied().unwrap_or(Self::UNPROVED)
    }

    /// Its name in the handshake (ALPN, RFC 7301).
    pub fn alpn(self) -> String {
        format!("{ALPN}{}", self.0)
    }

    /// The version of that name, if this program knows it.
    pub fn of_alpn(name: &[u8]) -> Option<Self> {
        Self::KNOWN
            .iter()
            .copied()
            .find(|version| version.alpn().as_bytes() == name)
    }
}

/// What the names of all versions begin with.
const ALPN: &str = "muster/";

/// Names one connection of this process, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Names one attempt to dial, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// Who is at the other end of a connection, by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its node id.
    pub id: NodeId,
    /// Its name.
    pub name: NodeName,
    /// What it is in the cluster.
    pub role: Role,
}

/// The channels of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Small and urgent: membership.
    Cluster = 0,
    /// The process registry: urgent too, and sometimes much.
    Registry = 1,
    /// Bulk: lists.
    Lists = 2,
}

impl Channel {
    /// How many there are, numbered from 0.
    pub const COUNT: u8 = 3;
    /// How many of them, from 0 on, are the cluster machine's and must not wait for bulk.
    pub const URGENT: u8 = 2;
    /// All, by their numbers.
    pub const ALL: [Self; 3] = [Self::Cluster, Self::Registry, Self::Lists];
}

/// Why this node closes a connection; sent to the peer as text and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloseReason {
    /// The peer sent bytes that are no message of this version.
    Malformed,
    /// The peer exceeded a bound of the protocol.
    Abuse,
    /// A newer run of the same node took its place.
    Replaced,
    /// The peer's name or id belongs to another node.
    Refused,
    /// This node shuts down.
    Shutdown,
    /// The node at the other end is this one.
    Oneself,
    /// An authority has revoked the peer.
    Revoked,
    /// The peer is down, as far as this node can tell, and has been silent for long.
    Silent,
}

impl CloseReason {
    /// In words, for the other side's log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed message",
            Self::Abuse => "a bound of the protocol was exceeded",
            Self::Replaced => "replaced by a newer run",
            Self::Refused => "name or id belongs to another node",
            Self::Shutdown => "shutting down",
            Self::Oneself => "this node's own address",
            Self::Silent => "nothing came for long",
            Self::Revoked => "an authority of the cluster has revoked this node's id",
        }
    }
}

/// Names one write to the store, never reused within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteId(pub u64);

/// Names one request of a client, never reused within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Why a commit failed. Whether its rows are on disk is unknown until the store was reopened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// No space is left.
    #[error("the disk is full")]
    Full,
    /// Anything else: an I/O error, or the store is being reopened.
    #[error("the disk failed")]
    Failed,
}
