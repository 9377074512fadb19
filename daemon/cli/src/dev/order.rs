//! What a running development cluster can be told, and its answer: one line of JSON each.

use serde::{Deserialize, Serialize};

/// An order. Done means: in effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Order {
    /// Cut these nodes off from the others; replaces an earlier split.
    Split {
        /// One side.
        nodes: Vec<String>,
    },
    /// End the split.
    Heal,
    /// Kill a node.
    Kill { node: String },
    /// Start a node that does not run.
    Start { node: String },
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    /// The exit code for the one who gave the order; 0 for done.
    pub(super) code: u8,
    /// In words.
    pub(super) words: String,
}
