//! Times as the API writes and reads them: RFC 3339 with milliseconds in UTC, days as `YYYY-MM-DD`.

use crate::api::problem::Problem;
use crate::api::query::Query;
use crdt::entry::Due;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Serialize, Serializer};
use std::fmt;
use std::time::Duration;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_TIMEOUT: Duration = Duration::from_secs(300);
static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// Milliseconds since the epoch, shown as an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Millis(pub(crate) i64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What another replica wrote may be no time at all.
        let out_of_range = if self.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        let at = Timestamp::from_millisecond(self.0).unwrap_or(out_of_range);
        f.write_str(&PRINTER.timestamp_to_string(&at))
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A due date or instant, shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShownDue(pub(crate) Due);

impl Serialize for ShownDue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Due::Date(date) => serializer.collect_str(&date),
            Due::Instant(ms) => Millis(ms).serialize(serializer),
        }
    }
}

/// Reads a due date or instant of the field `field`.
pub(crate) fn parse_due(field: &str, text: &str) -> Result<Due, Problem> {
    if text.len() <= "YYYY-MM-DD".len() {
        return parse_date(field, text).map(Due::Date);
    }
    // An annotation such as [Europe/Berlin] would be dropped silently; it is not RFC 3339.
    let at: Option<Timestamp> = if text.contains('[') {
        None
    } else {
        text.parse().ok()
    };
    let at = at
        .map(|at| at.as_millisecond())
        .filter(|ms| (0..=9999).contains(&year(*ms)));
    let right = "it must be a date such as 2026-03-01 or a time such as 2026-03-01T17:00:00Z";
    at.map(Due::Instant)
        .ok_or_else(|| Problem::invalid(format!("{field:?} is {text:?}; {right}")))
}

fn year(ms: i64) -> i16 {
    Timestamp::from_millisecond(ms)
        .map_or(i16::MAX, |at| at.to_zoned(jiff::tz::TimeZone::UTC).year())
}

/// Reads a day of the calendar.
pub(crate) fn parse_date(field: &str, text: &str) -> Result<Date, Problem> {
    let shape = |(at, byte): (usize, u8)| {
        if matches!(at, 4 | 7) {
            byte == b'-'
        } else {
            byte.is_ascii_digit()
        }
    };
    let date = (text.len() == 10 && text.bytes().enumerate().all(shape))
        .then(|| text.parse().ok())
        .flatten();
    date.ok_or_else(|| {
        Problem::invalid(format!(
            "{field:?} is {text:?}; it must be a date of the calendar, such as 2026-03-01"
        ))
    })
}

/// Takes `timeout`: how long a call may wait.
pub(crate) fn take_timeout(query: &mut Query) -> Result<Duration, Problem> {
    let Some(text) = query.one("timeout")? else {
        return Ok(DEFAULT_TIMEOUT);
    };
    let right = "it must be at most 5m, such as 500ms, 5s or 2m";
    parse_timeout(&text).ok_or_else(|| {
        Problem::invalid(format!(
            "\"timeout\" is {text:?}; \
        {right}"
        ))
    })
}

fn parse_timeout(text: &str) -> Option<Duration> {
    let (number, unit_ms) = if let Some(number) = text.strip_suffix("ms") {
        (number, 1)
    } else if let Some(number) = text.strip_suffix('s') {
        (number, 1000)
    } else {
        (text.strip_suffix('m')?, 60_000)
    };
    let number: u64 = number
        .parse()
        .ok()
        .filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    let timeout = Duration::from_millis(number.checked_mul(unit_ms)?);
    (!timeout.is_zero() && timeout <= MAX_TIMEOUT).then_some(timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_shown_with_milliseconds_in_utc() {
        assert_eq!(
            Millis(1_790_000_000_007).to_string(),
            "2026-09-21T14:13:20.007Z"
        );
        assert_eq!(Millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert!(Millis(i64::MAX).to_string().starts_with("9999-"));
        assert!(Millis(i64::MIN).to_string().starts_with("-009999-"));
    }

    #[test]
    fn a_due_is_a_day_or_an_instant() {
        let shown =
            |text| serde_json::to_string(&ShownDue(parse_due("due", text).unwrap())).unwrap();
        assert_eq!(shown("2024-02-29"), "\"2024-02-29\"");
        assert_eq!(
            shown("2026-03-01T17:00:00+02:00"),
            "\"2026-03-01T15:00:00.000Z\""
        );
        assert_eq!(
            shown("2026-03-01T17:00:00.1239Z"),
            "\"2026-03-01T17:00:00.123Z\""
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "today",
            "2026-02-30",
            "2026-2-3",
            "20260203",
            "2026-03-01T17:00:00",
            "2026-03-01T25:00:00Z",
            "+2026-03-1",
        ] {
            assert_eq!(parse_due("due", text).unwrap_err().status(), 422, "{text}");
        }
        assert!(parse_due("due", "2026-03-01T17:00:00+01:00[Europe/Berlin]").is_err());
    }

    #[test]
    fn a_timeout_has_a_unit_and_a_bound() {
        assert_eq!(parse_timeout("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_timeout("5s"), Some(Duration::from_secs(5)));
        assert_eq!(parse_timeout("5m"), Some(MAX_TIMEOUT));
        for text in [
            "",
            "5",
            "s",
            "0s",
            "-1s",
            "+1s",
            "301s",
            "6m",
            "1h",
            "1.5s",
            "99999999999999999999s",
        ] {
            assert_eq!(parse_timeout(text), None, "{text}");
        }
    }
}
