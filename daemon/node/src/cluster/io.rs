//! Everything that crosses the edge of the cluster machine, in both directions.

mod stats;

pub use stats::Stats;

use super::ask;
use super::away::{AwayView, Declared};
use super::event::Event;
use super::indirect::Indirect;
use super::kept::Kept;
use super::search::Search;
use crate::proof::Proofs;
use crate::registry;
use crate::time::Wall;
use crate::wire::{
    Channel, CloseReason, ConnId, DialId, Peer, Protocol, RequestId, WriteError, WriteId,
};
use bytes::Bytes;
use crdt::roster::{Pace, Profile, Revocation};
use names::{NodeId, NodeName, Role};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What the machine is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node, by its certificate.
    pub me: Peer,
    /// What it says of itself.
    pub profile: Profile,
    /// Addresses to join, as configured: `host:port`.
    pub seeds: Vec<String>,
    /// What the disk kept of an earlier run (see [`Output::Write`]).
    pub kept: Kept,
    /// Drawn anew at each start; tells a clone from a restart.
    pub nonce: [u8; 16],
    /// For all random choices.
    pub seed: [u8; 32],
    /// Signs as this node, and judges what others have signed.
    pub proofs: Arc<dyn Proofs>,
    /// Whether this node speaks the first version of the protocol, too, in which what is said of third
    /// nodes proves nothing.
    pub accept_v1: bool,
    /// The pace of this node's links.
    pub pace: Pace,
    /// For the process registry.
    pub registry: registry::Settings,
}

/// Where to dial.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A `host:port` that a person gave: resolved at each attempt, anybody of the cluster may
    /// answer.
    Named(String),
    /// The known address of a known node; nobody else may answer.
    Node(NodeId, SocketAddr),
}

/// What happens to the machine.
#[derive(Clone, Debug)]
pub enum Input {
    /// A connection stands, dialled by us (`dial`) or by the peer.
    Connected {
        /// Who is there.
        peer: Peer,
        /// The connection.
        conn: ConnId,
        /// Which attempt of ours it answers.
        dial: Option<DialId>,
        /// The address at the other end.
        remote: SocketAddr,
        /// Which version of the protocol it speaks.
        protocol: Protocol,
    },
    /// An attempt failed, with the reason in words.
    DialFailed {
        /// Which attempt.
        dial: DialId,
        /// Whether somebody answered and refused us (or we them), rather than nobody answering.
        refused: bool,
        /// For people.
        reason: String,
    },
    /// An attempt reached this node itself.
    DialledItself {
        /// Which attempt.
        dial: DialId,
    },
    /// A message on [`Channel::Cluster`].
    Message {
        /// Where it came in.
        conn: ConnId,
        /// Its bytes.
        bytes: Bytes,
    },
    /// A SWIM datagram.
    Datagram {
        /// Where it came in.
        conn: ConnId,
        /// Its bytes.
        bytes: Bytes,
    },
    /// A connection is gone; nothing more comes from it.
    Closed {
        /// The connection.
        conn: ConnId,
    },
    /// Another machine of this node has seen a peer break the protocol: it is to be cut off.
    Breach {
        /// Where it did.
        conn: ConnId,
        /// How.
        reason: CloseReason,
    },
    /// A write was committed, or failed.
    Written {
        /// The id of the write, from [`Output::Write`].
        id: WriteId,
        /// How it went.
        result: Result<(), WriteError>,
    },
    /// Others are to be told that they reach this node at this address from now on.
    Moved {
        /// The address, as the host has it now.
        address: SocketAddr,
    },
    /// This node has a new certificate, with which it signs from now on.
    Recertified,
    /// A client asks.
    Request {
        /// To be named in the reply.
        id: RequestId,
        /// What it wants.
        command: Command,
    },
    /// Something that concerns the process registry.
    Registry(registry::Input),
}

/// What a client can ask of the cluster machine.
#[derive(Clone, Debug)]
pub enum Command {
    /// Join whoever is at some addresses.
    Join(ask::Join),
    /// Declare a member gone for good.
    Forget(ask::Forget),
    /// Shut a node out for ever, or withdraw an authority.
    Revoke(ask::Revoke),
    /// Declare a member away on purpose.
    Away(ask::Away),
    /// Say that a member is away no longer.
    Back(ask::Back),
    /// Tell the members' certificates.
    Chains(ask::Chains),
    /// Leave the cluster and stop.
    Leave(ask::Leave),
    /// Stop, to be back later.
    Shutdown(ask::Shutdown),
    /// Something of the process registry.
    Registry(registry::Command),
}

/// What the machine wants done, in this order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Dial; answered by `Connected` or `DialFailed` with the same id.
    Dial {
        /// The attempt.
        dial: DialId,
        /// Whom to dial.
        target: Target,
        /// When the attempt is to be given up.
        limit: Duration,
        /// The round trip there, if it is known.
        round_trip: Option<Duration>,
    },
    /// Nobody waits for that dial any more: another one was answered. It fails now, unless its answer is on the
    /// way.
    GiveUp {
        /// The attempt.
        dial: DialId,
    },
    /// Send a SWIM datagram; may be lost.
    Datagram {
        /// On which connection.
        conn: ConnId,
        /// At most 1150 bytes.
        bytes: Bytes,
    },
    /// Send a message.
    Send {
        /// On which connection.
        conn: ConnId,
        /// The channel: [`Channel::Cluster`] or [`Channel::Registry`].
        channel: Channel,
        /// Its bytes.
        bytes: Bytes,
    },
    /// Keep a connection alive by pings (or let it die of idleness when its peer is down).
    KeepAlive {
        /// The connection.
        conn: ConnId,
        /// Whether pings are to be sent on it.
        on: bool,
    },
    /// Close a connection; answered by `Closed`.
    Close {
        /// The connection.
        conn: ConnId,
        /// What the peer is told.
        reason: CloseReason,
    },
    /// Replace what the disk keeps for [`Settings::kept`], durably; answered by `Written`.
    Write {
        /// Which write.
        id: WriteId,
        /// All that is to be kept.
        bytes: Bytes,
    },
    /// Those nodes are shut out, all that are known: whoever shows a certificate with such an id is to
    /// be refused. Told at the start, and when one comes to it.
    Revoked(Arc<[Revocation]>),
    /// Whom the node looks for and has not found since its start; the newest one replaces all before it.
    Search(Arc<Search>),
    /// The view changed; the newest one replaces all before it.
    View(Arc<RosterView>),
    /// Something that people and programs want to know happened.
    Event(Event),
    /// The answer to a request.
    Reply {
        /// The request that it answers.
        id: RequestId,
        /// The answer.
        result: Result<Reply, Refusal>,
    },
    /// Something of the process registry.
    Registry(registry::Output),
    /// The node must end; nothing follows.
    Stop(StopReason),
}

/// Why the node ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// It was asked to, and has said goodbye.
    #[error("stopped")]
    Shutdown,
    /// It has left the cluster.
    #[error("left the cluster")]
    Left,
    /// Another daemon runs with this one's identity.
    #[error("{0}")]
    Clone(String),
    /// Another node already bears this one's name.
    #[error("{0}")]
    NameTaken(String),
}

/// The answer to a command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To `Join`: one outcome for each address, in their order.
    Joined(Vec<JoinOutcome>),
    /// To `Forget`, `Revoke`, `Leave` and `Shutdown`.
    Done,
    /// To `Away` and `Back`.
    Away(Box<Declared>),
    /// To `Chains`.
    Chains(Vec<Chain>),
    /// To `Registry`.
    Registry(registry::Reply),
}

/// With what a member has signed its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The member.
    pub node: NodeId,
    /// Its name.
    pub name: NodeName,
    /// Its certificate and those above it.
    pub chain: Bytes,
}

/// What became of one address to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinOutcome {
    /// The address as it was given.
    pub address: String,
    /// What became of it.
    pub result: JoinResult,
    /// In words: who answered, or why not.
    pub detail: String,
}

/// Outcomes of joining by one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinResult {
    /// A node answered and is now a member here.
    Joined,
    /// The node there was a member already (or is this one).
    Already,
    /// The node there is not of this cluster, or refused this one.
    Refused,
    /// Nobody answered.
    Unreachable,
}

/// Why a command was not carried out; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No node of that name or id is on the roster.
    #[error("no node {0:?} is on the roster")]
    Unknown(String),
    /// The node is reachable (or this one) and cannot be forgotten.
    #[error("{0} is reachable: use leave on that node")]
    Reachable(NodeName),
    /// The member that is to be declared away answers.
    #[error("{0} is reachable: only a member that does not answer can be away")]
    IsHere(NodeName),
    /// The node that is to be declared away has left.
    #[error("{0} has left the cluster: nobody expects it")]
    HasLeft(NodeName),
    /// The node that is to be declared away has never proved its line.
    #[error(
        "{0} has yet to speak version 2 of the protocol with this cluster: what it is cannot be proved"
    )]
    Unproved(NodeName),
    /// This node does not see most of the members that are not away.
    #[error(
        "this node reaches {reachable} of {expected} members that are not away, which is no majority: declare it \
         where there is one, or all the same (muster away --force, or force=true)"
    )]
    NoMajority {
        /// How many members this node reaches, itself among them.
        reachable: usize,
        /// How many are not away.
        expected: usize,
    },
    /// The member that is to be back is not away.
    #[error("{0} is not away")]
    NotAway(NodeName),
    /// The node that is to be revoked is this one.
    #[error("a node cannot revoke itself: use leave, or revoke it on another authority")]
    Oneself,
    /// The revocation is not signed by an authority that this node trusts.
    #[error("this node's authority is not one that the cluster trusts now")]
    Unsigned,
    /// The withdrawal is not signed by the cluster's own authority.
    #[error(
        "the withdrawal of an authority must be signed with the key of the cluster's own authority, by \
         \"muster pki sign\"; no other one can withdraw it"
    )]
    NotOfTheCluster,
    /// The authority that has signed the revocation is withdrawn.
    #[error("the authority that has signed it is withdrawn")]
    Withdrawn,
    /// The withdrawal takes the certificate of this node with it.
    #[error(
        "this node's own certificate is of that authority and not among those that stay good: make the \
         withdrawal anew, or publish it on another node"
    )]
    OwnCertificate,
    /// The node is stopping.
    #[error("this node is stopping")]
    Stopping,
    /// The roster's new state could not be made durable.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The registry's own reason.
    #[error(transparent)]
    Registry(registry::Refusal),
}

/// The state of a node, as this one sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberState {
    /// It answers.
    Alive,
    /// It did not answer a probe and has a moment to refute.
    Suspect,
    /// It does not answer.
    Down,
    /// It does not answer, as a member has declared that it would.
    Away,
    /// It said that it goes and comes back.
    Restarting,
    /// It left in order.
    Left,
}

impl MemberState {
    /// As the API names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Down => "down",
            Self::Away => "away",
            Self::Restarting => "restarting",
            Self::Left => "left",
        }
    }

    /// Whether this node can reach it, as far as it knows.
    pub fn is_reachable(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }
}

/// How much of the roster a node reaches. Two sides may both say `Majority` if members joined or
/// were forgotten while apart: it is a view, no lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// All of it (also alone on the roster).
    Whole,
    /// More than half.
    Majority,
    /// Exactly half.
    Even,
    /// Less than half, but somebody.
    Minority,
    /// Nobody but this node.
    Alone,
}

impl Verdict {
    /// As the API names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Majority => "majority",
            Self::Even => "even",
            Self::Minority => "minority",
            Self::Alone => "alone",
        }
    }
}

/// The cluster as this node sees it: one value, replaced as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterView {
    /// This node's id.
    pub me: NodeId,
    /// All nodes that are members or observers or left in order, this one too, by name. Forgotten ones are not
    /// here.
    pub members: Vec<MemberView>,
    /// How much of it is reachable.
    pub verdict: Verdict,
    /// Since when that is the verdict.
    pub since: Wall,
}

impl RosterView {
    /// The members of which `replicas` and majorities are: all that did not leave, those that are away
    /// among them, without the observers.
    pub fn all(&self) -> impl Iterator<Item = &MemberView> {
        self.members
            .iter()
            .filter(|member| member.state != MemberState::Left && member.role == Role::Member)
    }

    /// The members that count for the verdict: the same without those that are away.
    pub fn expected(&self) -> impl Iterator<Item = &MemberView> {
        self.all()
            .filter(|member| member.state != MemberState::Away)
    }

    /// The members that are away on purpose.
    pub fn away(&self) -> impl Iterator<Item = &MemberView> {
        self.all()
            .filter(|member| member.state == MemberState::Away)
    }

    /// What this node itself is.
    pub fn own_role(&self) -> Role {
        let me = self.member(self.me);
        me.map(|me| me.role).unwrap_or_default()
    }

    /// One node's line.
    pub fn member(&self, id: NodeId) -> Option<&MemberView> {
        self.members.iter().find(|member| member.id == id)
    }
}

/// One node as this one sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Its id.
    pub id: NodeId,
    /// What it is, by its certificate.
    pub role: Role,
    /// What it says of itself.
    pub profile: Profile,
    /// Its state.
    pub state: MemberState,
    /// The run of its daemon.
    pub run: u64,
    /// Since when it is in that state.
    pub since: Wall,
    /// The round trip to it that was measured last, if it does not answer now and ever has.
    pub last_round_trip: Option<Duration>,
    /// Whether the link to it is metered, by its end of it or by this node's.
    pub is_metered: bool,
    /// The connection to it that is in use, if any.
    pub conn: Option<ConnId>,
    /// The version of the protocol that this connection speaks.
    pub protocol: Option<Protocol>,
    /// Since when it is reached by others alone, if it is.
    pub indirect: Option<Indirect>,
    /// How it has broken the protocol of late, for which this node has cut it off.
    pub breach: Option<CloseReason>,
    /// What was declared, if it is away.
    pub away: Option<AwayView>,
}
