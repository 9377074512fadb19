//! What a node is in its cluster.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a node is in its cluster. It stands in the node's certificate.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It counts in verdicts and majorities, writes lists and registers processes.
    #[default]
    Member,
    /// It sees all that members see, counts nowhere and changes nothing (Erlang's hidden node).
    Observer,
}

impl Role {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Observer => "observer",
        }
    }

    /// Whether it is an observer.
    pub fn is_observer(self) -> bool {
        self == Self::Observer
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
