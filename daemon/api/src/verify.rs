//! What is found when all that a node has of its lists is read.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was found in some lists.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct VerifiedPart {
    /// How many lists were read.
    pub lists: u64,
    /// How many changes of them.
    pub changes: u64,
    /// How many bytes these take.
    pub bytes: u64,
    /// What is wrong.
    pub faults: Vec<VerifyFault>,
    /// How the lists of all stand to those of the connected members.
    pub members: Vec<MemberReplicas>,
    /// The `cursor` of the next part; null if this was the last one.
    #[schema(required = true)]
    pub next: Option<String>,
}

/// Something that is wrong.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct VerifyFault {
    /// In which list; null if it is in what is of all lists or of none.
    #[schema(required = true)]
    pub list: Option<String>,
    /// What is wrong, in words.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// Whether the list is in quarantine, because of this or since before.
    pub quarantined: bool,
}

/// How the lists of this node stand to those of a member.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct MemberReplicas {
    /// Which member, by name.
    pub node: String,
    /// How many lists differed when they were compared last, by digest: also those that are being written.
    pub differing: u64,
    /// How long ago that was, in milliseconds.
    pub compared_ms_ago: u64,
}
