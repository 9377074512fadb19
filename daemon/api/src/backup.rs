//! What becomes of a backup that is put back.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What became of a part of a backup.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct RestoreResult {
    /// The lists in it, in its order.
    pub lists: Vec<RestoredList>,
}

/// What became of a list of a backup.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct RestoredList {
    /// Its name.
    pub name: String,
    /// How many changes came new to this node.
    pub restored: u64,
    /// How many changes were here already.
    pub known: u64,
    /// How many changes were not taken: they are damaged, build on changes that are neither here nor in the
    /// backup, or no node that this one trusts has signed for their authors.
    pub refused: u64,
}
