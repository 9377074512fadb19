//! Documents that other programs have edited.

use super::ReplicaConfirmations;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a document has changed that was merged in.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct MergedDocument {
    /// How many entries it has added.
    pub added: u64,
    /// How many it has changed.
    pub changed: u64,
    /// How many it has deleted.
    pub deleted: u64,
    /// What became of waiting for replicas, if the call asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub replicas: Option<ReplicaConfirmations>,
}
