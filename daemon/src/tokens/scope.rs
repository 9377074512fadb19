//! What a token allows, and for how long.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// What the web page does: all reading, and all changes of lists.
    Page,
    /// All reading.
    Read,
    /// Prometheus' service discovery.
    Sd,
}

impl Scope {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Page, Self::Read, Self::Sd];

    /// As the API writes it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Read => "read",
            Self::Sd => "sd",
        }
    }

    /// The scope of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    /// How long a token is good when nobody says: minutes for what people do now, a month for what
    /// stays in a file.
    pub(crate) fn default_ttl(self) -> Duration {
        match self {
            Self::Page | Self::Read => 15 * MINUTE,
            Self::Sd => 30 * DAY,
        }
    }

    /// How long a token may be good: the more it allows, the shorter.
    pub(crate) fn max_ttl(self) -> Duration {
        match self {
            Self::Page => 12 * HOUR,
            Self::Read => 30 * DAY,
            Self::Sd => 365 * DAY,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_one_name() {
        assert!(
            Scope::ALL
                .into_iter()
                .all(|scope| Scope::named(scope.as_str()) == Some(scope))
        );
        assert_eq!(Scope::named("admin"), None);
    }

    #[test]
    fn defaults_are_within_what_is_allowed() {
        assert!(
            Scope::ALL
                .into_iter()
                .all(|scope| scope.default_ttl() <= scope.max_ttl())
        );
    }
}
