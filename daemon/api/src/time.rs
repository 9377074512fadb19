//! Times as the API writes and reads them: RFC 3339 with milliseconds in UTC, days as `YYYY-MM-DD`.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// Milliseconds since the epoch, written as an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub i64);

/// When an entry is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// On that day, wherever one is.
    Date(Date),
    /// At that moment.
    Instant(Millis),
}

/// A text that is no time, or none of the years 0 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTime;

impl fmt::Display for NoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it must be a date such as 2026-03-01 or a time such as 2026-03-01T17:00:00Z")
    }
}

impl Millis {
    fn text(self) -> String {
        // What another replica wrote may be no time at all.
        let out_of_range = if self.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        let at = Timestamp::from_millisecond(self.0).unwrap_or(out_of_range);
        PRINTER.timestamp_to_string(&at)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl FromStr for Millis {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        // An annotation such as [Europe/Berlin] would be dropped silently; it is not RFC 3339.
        let at: Option<Timestamp> = if text.contains('[') {
            None
        } else {
            text.parse().ok()
        };
        at.map(|at| Self(at.as_millisecond())).ok_or(NoTime)
    }
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(date) => date.fmt(f),
            Self::Instant(at) => at.fmt(f),
        }
    }
}

impl FromStr for Due {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        if text.len() <= "YYYY-MM-DD".len() {
            return parse_date(text).map(Self::Date);
        }
        let at: Millis = text.parse()?;
        let year = Timestamp::from_millisecond(at.0)
            .map_or(i16::MAX, |at| at.to_zoned(jiff::tz::TimeZone::UTC).year());
        if !(0..=9999).contains(&year) {
            return Err(NoTime);
        }
        Ok(Self::Instant(at))
    }
}

/// Reads a day of the calendar: exactly `YYYY-MM-DD`.
pub fn parse_date(text: &str) -> Result<Date, NoTime> {
    let shape = |(at, byte): (usize, u8)| {
        if matches!(at, 4 | 7) {
            byte == b'-'
        } else {
            byte.is_ascii_digit()
        }
    };
    if text.len() != 10 || !text.bytes().enumerate().all(shape) {
        return Err(NoTime);
    }
    text.parse().map_err(|_| NoTime)
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl Serialize for Due {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Due {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

fn read<'de, T: FromStr<Err = NoTime>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    text.parse()
        .map_err(|error| de::Error::custom(format!("{text:?}: {error}")))
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
    fn an_instant_reads_back() {
        for ms in [0, 1_790_000_000_007, -5] {
            assert_eq!(Millis(ms).to_string().parse(), Ok(Millis(ms)));
        }
    }

    #[test]
    fn a_due_is_a_day_or_an_instant() {
        let shown = |text: &str| {
            let due: Due = text.parse().unwrap();
            let json = serde_json::to_string(&due).unwrap();
            assert_eq!(serde_json::from_str::<Due>(&json).unwrap(), due);
            json
        };
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
            "2026-03-01T17:00:00+01:00[Europe/Berlin]",
        ] {
            assert_eq!(text.parse::<Due>(), Err(NoTime), "{text}");
        }
    }
}
