//! Who reaches whom.

use crate::words::words;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

words! {
    /// How a node reaches another one.
    ReachKind {
        /// By a connection of its own.
        Direct = "direct",
        /// Only others reach it: a part of the network between the two is cut, or the connection is
        /// being made.
        Indirect = "indirect",
        /// Not at all, as far as the node knows.
        None = "none",
    }
}

/// How each member sees each other one.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ReachMatrix {
    /// A row for each member, this node among them, by name.
    pub items: Vec<ReachRow>,
}

/// What one member says of all others.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ReachRow {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Why it told nothing; null if it has told.
    #[schema(required = true)]
    pub silent: Option<String>,
    /// The members that it reaches or does not reach, by name; those that it does not know are missing.
    pub links: Vec<ReachLink>,
}

/// How a member reaches another one.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ReachLink {
    /// The other one's name.
    pub name: String,
    /// How.
    pub reach: ReachKind,
    /// The round trip in milliseconds; null without a connection.
    #[schema(required = true)]
    pub rtt_ms: Option<f64>,
}
