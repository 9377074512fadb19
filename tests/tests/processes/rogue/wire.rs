//! The wire of protocol version 2 as another program may write it: what a daemon must withstand does
//! not depend on what its own types can express.

use bytes::Bytes;
use crdt::registry::{Delta, Position, Progress, ProvedDelta};
use crdt::roster::{Profile, RosterEntry};
use crdt::vector::{Marked, Numbers};
use names::{ListId, ListName, NodeId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The channels.
pub(crate) const CLUSTER: u8 = 0;
pub(crate) const REGISTRY: u8 = 1;
pub(crate) const LISTS: u8 = 2;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) generation: u64,
    pub(crate) nonce: [u8; 16],
    pub(crate) profile: Profile,
}

/// A SWIM identity: a node in one of its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) node: NodeId,
    pub(crate) addr: SocketAddr,
    pub(crate) generation: u64,
}

impl foca::Identity for Identity {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        None
    }

    fn addr(&self) -> NodeId {
        self.node
    }

    fn win_addr_conflict(&self, other: &Self) -> bool {
        self.generation > other.generation
    }
}

pub(crate) type Member = foca::Member<Identity>;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Cluster {
    Hello(Hello),
    Above {
        run: u64,
    },
    Taken {
        address: SocketAddr,
    },
    NameTaken {
        bearer: NodeId,
        address: SocketAddr,
    },
    Challenge,
    Present,
    Members(Vec<Member>),
    Roster {
        lines: Vec<(NodeId, RosterEntry)>,
        answer: bool,
    },
    RosterHash(u64),
    Ask,
    Goodbye {
        restart: bool,
    },
    Greeting {
        generation: u64,
        nonce: [u8; 16],
        line: Bytes,
    },
    Lines {
        lines: Vec<Bytes>,
        answer: bool,
    },
    LinesHash(u64),
    AboveLine(Bytes),
}

/// A log as its speaker says that it has it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Claimed {
    pub(crate) owner: NodeId,
    pub(crate) position: Position,
    pub(crate) tag: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Registry {
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

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Lists {
    Push(Vec<Pushed>),
    Chunk {
        name: ListName,
        number: u64,
        index: u32,
        count: u32,
        bytes: Bytes,
    },
    Root {
        sum: u64,
        wake: bool,
    },
    Equal(u64),
    Shards(Vec<u64>),
    Buckets {
        shard: u8,
        sums: Vec<u64>,
    },
    Leaves {
        shard: u8,
        buckets: Vec<u8>,
        leaves: Vec<(ListId, u64)>,
        last: bool,
    },
    Compare {
        list: ListId,
        vector: Numbers,
        answer: bool,
    },
    Pull {
        list: ListId,
        vector: Numbers,
        most_bytes: u32,
    },
    Changes {
        name: ListName,
        changes: Vec<Bytes>,
        tail: Tail,
    },
    Nothing(ListId),
    Confirm {
        list: ListId,
        vector: Numbers,
    },
    Have {
        list: ListId,
        vector: Numbers,
    },
    CompareMarked {
        list: ListId,
        vector: Marked,
        answer: bool,
    },
    PullMarked {
        list: ListId,
        vector: Marked,
        most_bytes: u32,
    },
    ConfirmMarked {
        list: ListId,
        vector: Marked,
    },
    HaveMarked {
        list: ListId,
        vector: Marked,
    },
    Unlike {
        list: ListId,
        vector: Marked,
    },
    LeftOut {
        list: ListId,
        left_out: Vec<Bytes>,
    },
    Salts(Vec<Bytes>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pushed {
    pub(crate) name: ListName,
    pub(crate) changes: Vec<Bytes>,
    pub(crate) confirm: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Tail {
    Message,
    Pull,
    End,
}

pub(crate) fn encode<T: Serialize>(value: &T) -> anyhow::Result<Bytes> {
    Ok(bincode::serde::encode_to_vec(value, bincode::config::standard())?.into())
}

/// `None` for what this program does not understand.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard())
        .ok()
        .map(|(value, _)| value)
}
