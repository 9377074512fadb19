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

/// Reads how long a token is to be good: a whole number with `s`, `m`, `h`, `d` or `y` (365 days).
pub(crate) fn parse_ttl(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u32 = digits
        .parse()
        .ok()
        .filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let unit = match unit {
        "s" => Duration::from_secs(1),
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        "y" => 365 * DAY,
        _ => return None,
    };
    unit.checked_mul(number)
}

/// Writes such a time in the largest unit that fits.
pub(crate) fn show_ttl(ttl: Duration) -> String {
    let units = [(365 * DAY, "y"), (DAY, "d"), (HOUR, "h"), (MINUTE, "m")];
    let seconds = ttl.as_secs();
    let fitting = units
        .into_iter()
        .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(unit.as_secs()));
    fitting.map_or_else(
        || format!("{seconds}s"),
        |(unit, name)| format!("{}{name}", seconds / unit.as_secs()),
    )
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

    #[test]
    fn a_time_to_live_has_a_unit() {
        for (text, seconds) in [
            ("90s", 90),
            ("15m", 900),
            ("12h", 43_200),
            ("30d", 2_592_000),
            ("1y", 31_536_000),
        ] {
            assert_eq!(
                parse_ttl(text),
                Some(Duration::from_secs(seconds)),
                "{text}"
            );
            assert_eq!(show_ttl(Duration::from_secs(seconds)), text);
        }
        for text in [
            "",
            "s",
            "15",
            "-1s",
            "+1s",
            "1.5h",
            "5ms",
            "1w",
            "1 h",
            "99999999999d",
            "1é",
        ] {
            assert_eq!(parse_ttl(text), None, "{text}");
        }
    }
}
