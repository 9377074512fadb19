//! Dates as people type them.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
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

/// Reads a date. A weekday is the next day of that name after today, a week ends on Sunday; a time of
/// day without a zone is in that of `now`.
pub(crate) fn parse(text: &str, now: &Zoned) -> Result<When, String> {
    let word = text.trim().to_lowercase();
    if word == "none" {
        return Ok(When::Never);
    }
    if let Some(day) = day(&word, now.date()) {
        return Ok(When::Day(day));
    }
    if let Ok(instant) = text.trim().parse::<Timestamp>() {
        return Ok(When::Instant(instant));
    }
    match local(text.trim(), &word, now.date()) {
        Some(at) => moment(at, now.time_zone()).map(When::Instant),
        None => Err(format!(
            "{text:?} is not a date; try 2026-10-01, today, tomorrow, yesterday, mon … sun, +3d, -1d, +2w, eow, eom, mon 14:00, 2026-10-01T14:00 or none"
        )),
    }
}

/// A day of the calendar, by its date or in words.
fn day(word: &str, today: Date) -> Option<Date> {
    match word {
        "today" => Some(today),
        "tomorrow" => today.tomorrow().ok(),
        "yesterday" => today.yesterday().ok(),
        "eow" => {
            let left = Weekday::Sunday.since(today.weekday());
            today.checked_add(Span::new().days(left)).ok()
        }
        "eom" => Some(today.last_of_month()),
        _ if is_date(word) => word.parse().ok(),
        _ => relative(word, today)
            .or_else(|| weekday(word).and_then(|day| today.nth_weekday(1, day).ok())),
    }
}

/// A time of day in the user's zone: `2026-10-01T14:00`, or behind a day in words `mon 14:00`.
fn local(text: &str, word: &str, today: Date) -> Option<DateTime> {
    let has_time = |text: &&str| text.contains(['T', 't', ' ']);
    if let Some(at) = Some(text)
        .filter(has_time)
        .and_then(|text| text.parse().ok())
    {
        return Some(at);
    }
    let (before, time) = word.rsplit_once(' ')?;
    Some(day(before.trim_end(), today)?.to_datetime(time_of_day(time)?))
}

/// `9:00`, `14:30`.
fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str, least: usize| {
        let is_number = (least..=2).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_digit());
        is_number.then(|| digits.parse().ok()).flatten()
    };
    Time::new(number(hour, 1)?, number(minute, 2)?, 0, 0).ok()
}

/// The instant of a time of day. Of two, where the clock is put back, it is the first one.
fn moment(at: DateTime, zone: &TimeZone) -> Result<Timestamp, String> {
    let ambiguous = zone.to_ambiguous_timestamp(at);
    if let AmbiguousOffset::Gap { before, after } = ambiguous.offset() {
        let shown = |at: Result<Timestamp, jiff::Error>| {
            at.map(|at| at.to_zoned(zone.clone()).strftime("%H:%M").to_string())
        };
        // Read by the offset after the gap it is before it, and the other way round.
        let [earlier, later] = [after, before].map(|offset| shown(offset.to_timestamp(at)));
        if let (Ok(earlier), Ok(later)) = (earlier, later) {
            let (day, time) = (at.date(), at.strftime("%H:%M"));
            return Err(format!(
                "{time} does not exist on {day}, since the clock is put forward; {earlier} and {later} do"
            ));
        }
    }
    let instant = ambiguous.compatible();
    instant.map_err(|why| format!("{at} is not a time: {why}"))
}

/// Ten characters: `2026-10-01`. The library would take more forms than people can remember.
fn is_date(word: &str) -> bool {
    word.len() == 10 && word.chars().all(|c| c.is_ascii_digit() || c == '-')
}

/// `+3d`, `-1d`, `+2w`.
fn relative(word: &str, today: Date) -> Option<Date> {
    let (sign, rest) = match word.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, word.strip_prefix('+')?),
    };
    let number = |unit| rest.strip_suffix(unit)?.parse::<u16>().ok();
    let days = number('d')
        .map(i64::from)
        .or_else(|| number('w').map(|weeks| 7 * i64::from(weeks)))?;
    today.checked_add(Span::new().days(sign * days)).ok()
}

/// A day of the week by its name or the first three letters of it.
pub(super) fn weekday(word: &str) -> Option<Weekday> {
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
            ("yesterday", "2026-09-30"),
            ("-1d", "2026-09-30"),
            ("-2w", "2026-09-17"),
            ("eow", "2026-10-04"),
            ("EOM", "2026-10-31"),
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
    fn a_time_of_day_goes_with_a_day_in_words() {
        for (text, at) in [
            ("today 18:00", "2026-10-01T16:00:00Z"),
            ("tomorrow 9:00", "2026-10-02T07:00:00Z"),
            ("Mon 14:00", "2026-10-05T12:00:00Z"),
            ("eom  23:59", "2026-10-31T21:59:00Z"),
            ("-1d 0:00", "2026-09-29T22:00:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(at), "{text}");
        }
    }

    #[test]
    fn a_week_ends_on_sunday_also_on_sunday() {
        let sunday: Zoned = "2026-10-04T12:00:00Z[UTC]".parse().unwrap();
        let end = parse("eow", &sunday).unwrap().as_api();
        assert_eq!(end.as_deref(), Some("2026-10-04"));
    }

    #[test]
    fn a_time_that_the_clock_leaves_out_is_refused_with_those_that_exist() {
        let berlin = "2026-03-28T12:00:00[Europe/Berlin]".parse().unwrap();
        for text in ["2026-03-29T02:30", "tomorrow 2:30", "sun 02:30"] {
            assert_eq!(
                parse(text, &berlin),
                Err(
                    "02:30 does not exist on 2026-03-29, since the clock is put forward; \
                    01:30 and 03:30 do"
                        .to_owned()
                )
            );
        }
        for (text, at) in [
            ("tomorrow 1:59", "2026-03-29T00:59:00Z"),
            ("tomorrow 3:00", "2026-03-29T01:00:00Z"),
            // The first of two.
            ("2026-10-25T02:30", "2026-10-25T00:30:00Z"),
        ] {
            let read = parse(text, &berlin).unwrap().as_api();
            assert_eq!(read.as_deref(), Some(at), "{text}");
        }
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
            "-d",
            "+-1d",
            "14:00",
            "mon 24:00",
            "mon 9",
            "mon 9:5",
            "none 9:00",
            "next week",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
