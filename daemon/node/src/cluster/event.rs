//! What the machine tells of its members and of its reach of the cluster.

use super::io::Verdict;
use crate::time::Wall;
use names::{NodeId, NodeName, Role};

/// What happened to a member or to the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, by this node's clock.
    pub at: Wall,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// It is new.
    Joined,
    /// It did not answer a probe.
    Suspect,
    /// It answers, again or in a newer run.
    Alive,
    /// It does not answer.
    Down,
    /// Others reach it, and this node has no connection to it.
    Indirect,
    /// This node has a connection to it again.
    Direct,
    /// It is away on purpose, as a member has declared.
    Away,
    /// It is away on purpose no longer.
    Back,
    /// It said that it goes and comes back.
    Restarting,
    /// It left in order.
    Left,
    /// It was forgotten.
    Forgotten,
    /// It was shut out for ever.
    Revoked,
}

impl MemberChange {
    /// As the API names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Suspect => "suspect",
            Self::Alive => "alive",
            Self::Down => "down",
            Self::Indirect => "indirect",
            Self::Direct => "direct",
            Self::Away => "away",
            Self::Back => "back",
            Self::Restarting => "restarting",
            Self::Left => "left",
            Self::Forgotten => "forgotten",
            Self::Revoked => "revoked",
        }
    }
}

/// Kinds of events of the cluster machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A member changed.
    Member {
        /// What happened to it.
        kind: MemberChange,
        /// The member's name.
        name: NodeName,
        /// The member's id.
        id: NodeId,
        /// What it is in the cluster.
        role: Role,
        /// For people: why, such as `no answer for 1.9 s`; may be empty.
        detail: String,
    },
    /// The verdict changed.
    Partition {
        /// From this.
        from: Verdict,
        /// To this.
        to: Verdict,
        /// The names of the nodes that are expected and missing now.
        missing: Vec<NodeName>,
    },
}
