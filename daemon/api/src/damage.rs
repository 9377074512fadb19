//! Damage of the disk that the store has found.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A journal of the store that was damaged.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct DamagedJournal {
    /// Where it is kept as it was found, on the node's host.
    pub file: String,
    /// How many changes of lists are intact behind the damage. What was damaged itself is not known.
    pub intact: u64,
    /// How many of them are in their lists again.
    pub restored: u64,
    /// How many of them built on what is lost, and were added anew.
    pub anew: u64,
    /// How many of them are in no list: they build on changes that this node has lost, and take their places
    /// when those come from another member.
    pub missing: u64,
}

/// The damage that was found and that nobody has acknowledged.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct DamageReport {
    /// The journals, in no order.
    pub items: Vec<DamagedJournal>,
}

/// What was added anew.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reissued {
    /// How many entries.
    pub entries: u64,
    /// How many changes are still in no list: they do more than to add entries.
    pub missing: u64,
}

/// How many journals were acknowledged.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Acknowledged {
    /// How many journals.
    pub journals: u64,
}
