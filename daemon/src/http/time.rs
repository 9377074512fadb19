//! Times in requests, and what is wrong with one.

use crate::host::wall_ms;
use crate::http::problem::Problem;
use crate::http::query::Group;
use api::duration;
use api::request::TimeoutQuery;
use api::time::Millis;
use crdt::entry::Due;
use jiff::civil::Date;
use std::time::Duration;

const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// Reads a due date or instant of the field `field`.
pub(crate) fn parse_due(field: &str, text: &str) -> Result<Due, Problem> {
    match text.parse() {
        Ok(api::time::Due::Date(date)) => Ok(Due::Date(date)),
        Ok(api::time::Due::Instant(at)) => Ok(Due::Instant(at.0)),
        // What is no longer than a date was meant as one.
        Err(_) if text.len() <= "YYYY-MM-DD".len() => parse_date(field, text).map(Due::Date),
        Err(right) => Err(Problem::invalid(format!("{field:?} is {text:?}; {right}"))),
    }
}

/// Reads a day of the calendar.
pub(crate) fn parse_date(field: &str, text: &str) -> Result<Date, Problem> {
    api::time::parse_date(text).map_err(|_| {
        let right = "it must be a date of the calendar, such as 2026-03-01";
        Problem::invalid(format!("{field:?} is {text:?}; {right}"))
    })
}

/// Reads when something happened elsewhere, in milliseconds since the epoch: not after tomorrow, by
/// this node's clock.
pub(crate) fn parse_past(field: &str, text: &str) -> Result<i64, Problem> {
    const DAY_MS: i64 = 86_400_000;
    let right = "it must be a time that has passed, such as 2026-03-01T17:00:00Z";
    let at = text.parse().ok().map(|Millis(at)| at);
    at.filter(|at| *at <= wall_ms().saturating_add(DAY_MS))
        .ok_or_else(|| Problem::invalid(format!("{field:?} is {text:?}; {right}")))
}

/// Reads a moment of the field `field`: a time, or how long ago it was.
pub(crate) fn parse_moment(field: &str, text: &str) -> Result<Millis, Problem> {
    let ago = duration::parse(text).and_then(|ago| i64::try_from(ago.as_millis()).ok());
    let ago = ago.map(|ago| Millis(wall_ms().saturating_sub(ago)));
    text.parse().ok().or(ago).ok_or_else(|| {
        let right = "it must be a time such as 2026-03-01T17:00:00Z, or how long ago, such as 8h";
        Problem::invalid(format!("{field:?} is {text:?}; {right}"))
    })
}

/// How long a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeout(pub(crate) Duration);

impl Default for Timeout {
    fn default() -> Self {
        Self(Duration::from_secs(5))
    }
}

impl Timeout {
    /// Reads the parameter `timeout`.
    pub(crate) fn read(timeout: Option<&str>) -> Result<Self, Problem> {
        let Some(text) = timeout else {
            return Ok(Self::default());
        };
        let right = "it must be at most 5m, such as 500ms, 5s or 2m";
        let timeout = parse_timeout(text);
        let timeout =
            timeout.ok_or_else(|| Problem::invalid(format!("\"timeout\" is {text:?}; {right}")))?;
        Ok(Self(timeout))
    }
}

impl Group for Timeout {
    type Written = TimeoutQuery;

    fn check(written: TimeoutQuery) -> Result<Self, Problem> {
        Self::read(written.timeout.as_deref())
    }
}

fn parse_timeout(text: &str) -> Option<Duration> {
    duration::parse(text).filter(|timeout| !timeout.is_zero() && *timeout <= MAX_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "today", "2026-02-30", "2026-03-01T17:00:00"] {
            let problem = parse_due("due", text).unwrap_err();
            assert_eq!(problem.status(), 422, "{text}");
            assert!(problem.detail().contains("\"due\" is"), "{problem:?}");
        }
    }

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        let at = parse_moment("since", "2026-03-01T17:00:00Z").unwrap();
        assert_eq!(at.to_string(), "2026-03-01T17:00:00.000Z");
        let (ago, now) = (parse_moment("since", "8h").unwrap(), wall_ms());
        assert!((now - 8 * 3_600_000 - 60_000..=now - 8 * 3_600_000).contains(&ago.0));
        for text in ["", "8", "-8h", "soon", "2026-03-01"] {
            let problem = parse_moment("since", text).unwrap_err();
            assert_eq!(problem.status(), 422, "{text}");
        }
    }

    #[test]
    fn a_timeout_has_a_bound() {
        assert_eq!(parse_timeout("1ms"), Some(Duration::from_millis(1)));
        assert_eq!(parse_timeout("5m"), Some(MAX_TIMEOUT));
        for text in ["5", "0s", "-1s", "301s", "1h"] {
            assert_eq!(parse_timeout(text), None, "{text}");
        }
    }
}
