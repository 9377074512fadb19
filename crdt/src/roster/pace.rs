//! How much a node may say when nothing happens.

use serde::{Deserialize, Serialize};

/// What a node's links cost, as its own line of the roster tells. A link has the pace of its slower end.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Nothing that matters: members are probed all the time.
    #[default]
    Normal,
    /// Each byte is paid: at rest little is said.
    Metered,
}

impl Pace {
    /// Its number in a line, with room between for those to come.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Normal => 10,
            Self::Metered => 20,
        }
    }

    /// A number between those that are known is the slower one of both.
    pub(super) fn numbered(number: u64) -> Self {
        if number <= Self::Normal.number() {
            Self::Normal
        } else {
            Self::Metered
        }
    }

    /// As the configuration names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Metered => "metered",
        }
    }
}
