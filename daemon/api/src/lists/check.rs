//! What would become of entries if they were added.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What would become of entries if they were added. All that are named nowhere here would be new.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct CheckedEntries {
    /// The ids of those that are in the list already, and would stay as they are.
    pub present: Vec<String>,
    /// The ids of those that were in the list and have been deleted: they cannot be added again.
    pub deleted: Vec<String>,
    /// How many of them break a rule.
    pub refused_total: u64,
    /// The first of these, at most 100.
    pub refused: Vec<RefusedEntry>,
}

/// An entry that breaks a rule.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedEntry {
    /// Its place in the call, from 0.
    pub index: u64,
    /// The field, the value, and what would be right.
    pub detail: String,
}
