//! Dates as people type them.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::{Span, Timestamp, Zoned};

/// A day, an instant, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// `none`: no date.
    Never,
    /// A day of the calendar.
    Day(Date),
    /// An instant.
    Instant(Timestamp),
}

impl When {
    /// As the API reads it; `None` for none.
    pub(crate) fn as_api(self) -> Option<String> {
        match self {
            Self::Never => None,
            Self::Day(date) => Some(date.to_string()),
            Self::Instant(instant) => Some(instant.to_string()),
        }
    }
}

/// Reads a date. A weekday is the next day of that name after today; a time of day without a zone
/// is in that of `now`.
pub(crate) fn parse(text: &str, now: &Zoned) -> Result<When, String> {
    let word = text.trim().to_lowercase();
    let today = now.date();
    let day = match word.as_str() {
        "none" => return Ok(When::Never),
        "today" => Some(today),
        "tomorrow" => today.tomorrow().ok(),
        other => relative(other, today)
            .or_else(|| weekday(other).and_then(|day| today.nth_weekday(1, day).ok())),
    };
    let day = day.or_else(|| is_date(&word).then(|| word.parse().ok()).flatten());
    day.map(When::Day)
        .or_else(|| instant(text.trim(), now).map(When::Instant))
        .ok_or_else(|| {
            format!(
                "{text:?} is not a date; try 2026-10-01, today, tomorrow, mon … sun, +3d, +2w, 2026-10-01T14:00 or none"
            )
        })
}

/// Ten characters: `2026-10-01`. The library would take more forms than people can remember.
fn is_date(word: &str) -> bool {
    word.len() == 10 && word.chars().all(|c| c.is_ascii_digit() || c == '-')
}

/// `+3d`, `+2w`.
fn relative(word: &str, today: Date) -> Option<Date> {
    let number = |unit| {
        word.strip_prefix('+')?
            .strip_suffix(unit)?
            .parse::<u16>()
            .ok()
    };
    let days = number('d')
        .map(i64::from)
        .or_else(|| number('w').map(|weeks| 7 * i64::from(weeks)))?;
    today.checked_add(Span::new().days(days)).ok()
}

fn weekday(word: &str) -> Option<Weekday> {
    const NAMES: [(&str, &str, Weekday); 7] = [
        ("mon", "monday", Weekday::Monday),
        ("tue", "tuesday", Weekday::Tuesday),
        ("wed", "wednesday", Weekday::Wednesday),
        ("thu", "thursday", Weekday::Thursday),
        ("fri", "friday", Weekday::Friday),
        ("sat", "saturday", Weekday::Saturday),
        ("sun", "sunday", Weekday::Sunday),
    ];
    NAMES
        .into_iter()
        .find(|(short, long, _)| word == *short || word == *long)
        .map(|(_, _, day)| day)
}

/// `2026-10-01T14:00Z` with a zone, `2026-10-01T14:00` in the user's.
fn instant(text: &str, now: &Zoned) -> Option<Timestamp> {
    if !text.contains(['T', 't', ' ']) {
        return None;
    }
    let here = || {
        text.parse::<DateTime>()
            .ok()?
            .to_zoned(now.time_zone().clone())
            .ok()
            .map(|zoned| zoned.timestamp())
    };
    text.parse::<Timestamp>().ok().or_else(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Thursday, late in the evening two hours east of Greenwich.
    fn read(text: &str) -> Option<String> {
        let now: Zoned = "2026-10-01T23:30:00+02:00[+02:00]".parse().unwrap();
        parse(text, &now)
            .ok()
            .map(|when| when.as_api().unwrap_or_else(|| "-".to_owned()))
    }

    #[test]
    fn words_count_from_the_users_today() {
        let cases = [
            ("today", "2026-10-01"),
            ("Tomorrow", "2026-10-02"),
            ("+0d", "2026-10-01"),
            ("+3d", "2026-10-04"),
            ("+2w", "2026-10-15"),
            ("fri", "2026-10-02"),
            ("wednesday", "2026-10-07"),
            ("thu", "2026-10-08"),
            ("2024-02-29", "2024-02-29"),
            ("none", "-"),
        ];
        for (text, date) in cases {
            assert_eq!(read(text).as_deref(), Some(date), "{text}");
        }
    }

    #[test]
    fn a_time_of_day_is_in_the_users_zone() {
        assert_eq!(
            read("2026-10-01T14:00").as_deref(),
            Some("2026-10-01T12:00:00Z")
        );
        assert_eq!(
            read("2026-10-01 14:00:30").as_deref(),
            Some("2026-10-01T12:00:30Z")
        );
        assert_eq!(
            read("2026-10-01T14:00:00Z").as_deref(),
            Some("2026-10-01T14:00:00Z")
        );
        assert_eq!(
            read("2026-10-01T14:00:00-05:00").as_deref(),
            Some("2026-10-01T19:00:00Z")
        );
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "yesterdayish",
            "2026-02-30",
            "2026-13-01",
            "20261001",
            "+d",
            "+-3d",
            "3d",
            "+3y",
            "+99999999w",
            "m",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
