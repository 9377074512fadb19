//! Lists whose documents cannot be made, and the ways out of that.

use crate::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A list in quarantine: its document cannot be made on this node. It can be read as it was last.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuarantinedList {
    /// Its name; null if no row of the store says it.
    #[schema(required = true)]
    pub name: Option<String>,
    /// Since when; null if a program put it there that did not note the time.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    pub since: Option<Millis>,
    /// Why, in words.
    pub reason: String,
    /// How many changes of it are on this node's disk.
    pub changes: u64,
}

/// The lists in quarantine.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuarantineReport {
    /// The lists, by name.
    pub items: Vec<QuarantinedList>,
}

/// What is wrong with a list in quarantine.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuarantineDetails {
    /// Its name.
    pub name: String,
    /// Since when; null if a program put it there that did not note the time.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    pub since: Option<Millis>,
    /// Why, in words.
    pub reason: String,
    /// How many changes of it could be read.
    pub changes: u64,
    /// How many bytes they take.
    pub bytes: u64,
    /// What is wrong with its changes, in words; at most 100.
    pub faults: Vec<String>,
    /// How many faults there are beyond those.
    pub omitted: u64,
    /// Why its document cannot be made now; null if it can, and the list can be released.
    #[schema(required = true)]
    pub document: Option<String>,
    /// The connected members that have it.
    pub holders: Vec<ListHolder>,
    /// How many of its changes on this node none of them has.
    pub unconfirmed: u64,
}

/// A member that has a list.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListHolder {
    /// Which member, by name.
    pub node: String,
    /// How many changes of the list it has.
    pub changes: u64,
}

/// What became of a list that was tried again.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReleasedList {
    /// Its name.
    pub name: String,
    /// How many entries it has.
    pub entries: u64,
}

/// Whether a list is replaced at a loss.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReplaceQuery {
    /// Also where this node has changes of the list that no connected member has.
    pub force: Option<bool>,
}

/// What became of a list that is taken from other members.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplacedList {
    /// Its name.
    pub name: String,
    /// The file on the node's host that has all that was here of it: a backup, for `muster restore`.
    pub file: String,
    /// How many changes are in it.
    pub changes: u64,
    /// How many of them no connected member had.
    pub unconfirmed: u64,
    /// From which members it is taken.
    pub from: Vec<String>,
    /// Whether all that they have is here again; else it is under way.
    pub complete: bool,
}
