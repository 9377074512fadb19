//! What was changed in a list, and undoing it.

use super::{EntryField, ReplicaConfirmations};
use crate::page::Page;
use crate::time::Millis;
use crate::words::words;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

words! {
    /// What a change did with an entry.
    EntryFate {
        /// It added it.
        Added = "added",
        /// It changed it.
        Changed = "changed",
        /// It deleted it.
        Deleted = "deleted",
        /// It was deleted, and is in the list again.
        Restored = "restored",
    }

    /// Why a part of a change is not undone.
    NotUndone {
        /// It was changed since.
        Changed = "changed",
        /// Others have written the field at the same time: it is in conflict.
        Conflict = "conflict",
        /// The entry was deleted since.
        Deleted = "deleted",
        /// What it was before is nothing that this node can write.
        Foreign = "foreign",
    }
}

/// Which changes of a list.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Only those of the entry with this id.
    pub entry: Option<String>,
}

/// A change of a list.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ListChange {
    /// Its hash, by which it is undone, and the list shown as it was then.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub hash: String,
    /// When it was made, by the clock of the node that made it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Millis,
    /// Who made it, and on which node. Where the change names another node than the one that has made
    /// it, that stands behind it as what it says.
    pub by: String,
    /// The node that has made it; null if that is not known.
    #[schema(required = true)]
    pub node: Option<String>,
    /// What it did, in words.
    pub summary: String,
    /// The change that it undoes.
    #[schema(required = true)]
    pub undoes: Option<String>,
    /// The undoing that it takes back.
    #[schema(required = true)]
    pub redoes: Option<String>,
    /// What it did with each entry; of very many the first 100.
    pub entries: Vec<ChangedEntry>,
    /// With how many more.
    pub more_entries: u64,
}

/// A page of changes, the newest first.
pub type ListChangePage = Page<ListChange>;

/// What a change did with an entry.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ChangedEntry {
    /// The entry's id.
    pub id: String,
    /// Its title then.
    pub title: String,
    /// What became of it.
    pub what: EntryFate,
    /// The fields that differ; none of an entry that was deleted.
    pub fields: Vec<ChangedField>,
}

/// A field that a change wrote. Each tag is one.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ChangedField {
    /// Which field; `deleted` is the mark of an entry that one has deleted and another one edited.
    pub field: EntryField,
    /// What it was before, as the values of a conflict are written; empty for nothing.
    pub old: String,
    /// What it became.
    pub new: String,
}

/// Which change is undone, or made anew.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoRequest {
    /// The change's hash; without it is the caller's last one on this node.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    pub change: Option<String>,
}

/// What became of undoing a change.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct UndoResult {
    /// The change that was undone.
    pub change: String,
    /// In how many entries something was undone.
    pub entries: u64,
    /// What stays as it is; of very much the first 100.
    pub skipped: Vec<SkippedField>,
    /// How much more that is.
    pub more_skipped: u64,
    /// What became of waiting for replicas, if the call asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub replicas: Option<ReplicaConfirmations>,
}

/// A part of a change that is not undone.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct SkippedField {
    /// The entry's id.
    pub entry: String,
    /// The field.
    pub field: EntryField,
    /// Why.
    pub why: NotUndone,
}
