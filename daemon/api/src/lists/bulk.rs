//! Several entries changed at once.

use super::{EntryPatch, ReplicaConfirmations, TodoEntry};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is to be done to several entries of a list, all or none: `patch`, `tag` and `untag`, or
/// `delete`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkChange {
    /// The ids of 1 to 10,000 entries, each once.
    #[schema(min_items = 1, max_items = 10_000)]
    pub ids: Vec<String>,
    /// What is set of each. With `before` or `after` they stand there one after the other, in the
    /// order of `ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<EntryPatch>,
    /// Tags that are added to those that each has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Vec<String>>,
    /// Tags that are taken from each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untag: Option<Vec<String>>,
    /// They are deleted, and nothing else is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete: Option<bool>,
}

/// Entries that were changed together.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ChangedEntries {
    /// The entries, in the order of the call; none if they were deleted.
    pub items: Vec<TodoEntry>,
    /// What became of waiting for replicas, if the call asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub replicas: Option<ReplicaConfirmations>,
}
