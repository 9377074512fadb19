//! This node's cluster: its members, and how much of it is reached.

use crate::page::Page;
use crate::time::Millis;
use crate::words::words;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

words! {
    /// What a node knows of a member.
    MemberState {
        /// It answers.
        Alive = "alive",
        /// It did not answer a probe; it is still counted as reachable.
        Suspect = "suspect",
        /// It does not answer.
        Down = "down",
        /// It said that it will be back.
        Restarting = "restarting",
        /// It does not answer, and was declared away on purpose; it is not expected until then.
        Away = "away",
        /// It said that it leaves the cluster; it is not expected.
        Left = "left",
    }

    /// What a node is, by its certificate.
    MemberRole {
        /// It counts in verdicts and majorities.
        Member = "member",
        /// It sees all that members see, counts nowhere and changes nothing.
        Observer = "observer",
    }

    /// What came of joining by an address.
    JoinResult {
        /// It was joined.
        Joined = "joined",
        /// That node is a member already.
        Already = "already",
        /// It answered, and refused.
        Refused = "refused",
        /// Nobody answered.
        Unreachable = "unreachable",
    }

    /// How much of the cluster a node reaches, itself included.
    PartitionVerdict {
        /// All members.
        Whole = "whole",
        /// More than half.
        Majority = "majority",
        /// Half of an even number.
        Even = "even",
        /// Less than half.
        Minority = "minority",
        /// Nobody but itself.
        Alone = "alone",
    }
}

/// A member as the node that answers sees it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ClusterMember {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where its peers reach it (QUIC).
    pub address: String,
    /// Whether it is this node.
    #[serde(rename = "self")]
    pub is_self: bool,
    /// How it is.
    pub state: MemberState,
    /// Counts the starts of its daemon.
    pub run: u64,
    /// Since when it is in that state.
    #[schema(value_type = String, format = DateTime)]
    pub since: Millis,
    /// The round trip to it in milliseconds; null without a connection.
    #[schema(required = true)]
    pub rtt_ms: Option<f64>,
    /// How many of the packets that this node has sent to it of late were lost, in percent; null without a
    /// connection, and while they were few.
    #[serde(default)]
    #[schema(required = true)]
    pub lost_percent: Option<u64>,
    /// The version of its program.
    pub version: String,
    /// The version of the protocol that this node speaks with it; null without a connection.
    #[schema(required = true)]
    pub protocol: Option<u32>,
    /// Since when only others reach it; null if this node has a connection to it, or nobody reaches it.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    pub indirect_since: Option<Millis>,
    /// Its role.
    pub role: MemberRole,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// What was declared, if it is away on purpose; null otherwise.
    #[serde(default)]
    #[schema(required = true)]
    pub away: Option<Absence>,
}

/// What was declared of a member that is away on purpose.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Absence {
    /// When that ends by itself; null where it has ended.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    pub until: Option<Millis>,
    /// Why; may be empty.
    pub why: String,
    /// Who has declared it, as that node says.
    pub by: String,
    /// The node on which it was declared, by its signature: its name, or its id where it has none.
    pub node: String,
    /// When, by the clock of that node.
    #[schema(value_type = String, format = DateTime)]
    pub at: Millis,
}

/// For how long a member will be away, and why.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAbsence {
    /// How long from now, such as `12h` or `30d`: a minute to 366 days.
    #[serde(rename = "for")]
    pub span: String,
    /// Why, in at most 200 bytes without control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200, nullable = false)]
    pub why: Option<String>,
}

/// How to declare a member away.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AwayQuery {
    /// Also where this node does not reach a majority of the members that are not away.
    pub force: Option<bool>,
}

/// A member of which something was declared.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct DeclaredMember {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What was declared.
    pub away: Absence,
}

/// A page of members.
pub type ClusterMemberPage = Page<ClusterMember>;

/// The nodes by which to join a cluster.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// 1 to 64 times `host:port`.
    #[schema(min_items = 1, max_items = 64)]
    pub addresses: Vec<String>,
}

/// What became of each address.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct JoinOutcomes {
    /// In the order of the call.
    pub items: Vec<JoinOutcome>,
}

/// What became of one address.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct JoinOutcome {
    /// As it was given.
    pub address: String,
    /// What became of it.
    pub result: JoinResult,
    /// In words: who answered, or why not.
    pub detail: String,
}

/// How to leave.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LeaveQuery {
    /// Leave even with lists that are only here.
    pub force: Option<bool>,
}

/// This node has left.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct LeaveResult {
    /// This node's name.
    pub name: String,
    /// `left`.
    pub state: MemberState,
}

/// How much of the cluster a node reaches: its own view, not a lock.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct PartitionView {
    /// How much that is, of those that are expected.
    pub verdict: PartitionVerdict,
    /// How many members there should be, this node among them, observers and those that are away not.
    pub expected: u64,
    /// How many of them this node reaches, itself among them unless it is an observer.
    pub reachable: u64,
    /// Those that it does not reach.
    pub missing: Vec<MissingMember>,
    /// Those that are away on purpose.
    #[serde(default)]
    pub away: Vec<AwayMember>,
    /// How many members there are with those that are away: of so many `replicas=majority` and
    /// `muster partition --require majority` are. Older daemons do not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub majority_of: Option<u64>,
    /// Those that answer others, and to whom this node has no connection: a part of the network is cut.
    #[serde(default)]
    pub indirect: Vec<IndirectMember>,
    /// Since when that is the verdict.
    #[schema(value_type = String, format = DateTime)]
    pub since: Millis,
}

/// A member that is not reached.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct MissingMember {
    /// Its name.
    pub name: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Millis,
}

/// A member that is away on purpose.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct AwayMember {
    /// Its name.
    pub name: String,
    /// When that ends by itself.
    #[schema(value_type = String, format = DateTime)]
    pub until: Millis,
    /// Why; may be empty.
    pub why: String,
}

/// A member that only others reach.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct IndirectMember {
    /// Its name.
    pub name: String,
    /// Since when this node has no connection to it.
    #[schema(value_type = String, format = DateTime)]
    pub since: Millis,
    /// The members that have said to reach it meanwhile, by name.
    pub by: Vec<String>,
}
