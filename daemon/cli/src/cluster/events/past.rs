//! Moments of the past as people type them.

use crate::lists::dates::{self, When};
use jiff::{SignedDuration, Timestamp, Zoned};

/// Reads a moment: how long ago it was, `now`, `yesterday`, a day, which means its beginning, or a time.
pub(super) fn moment(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let word = text.trim().to_lowercase();
    let start = |day: jiff::civil::Date| day.to_zoned(now.time_zone().clone()).ok();
    let ago = api::duration::parse(&word).and_then(|ago| SignedDuration::try_from(ago).ok());
    let moment = match word.as_str() {
        "now" => Some(now.clone()),
        "yesterday" => now.date().yesterday().ok().and_then(start),
        _ => match (ago, dates::parse(text, now)) {
            (Some(ago), _) => now.checked_sub(ago).ok(),
            (None, Ok(When::Day(day))) => start(day),
            (None, Ok(When::Instant(at))) => return Ok(at),
            (None, Ok(When::Never) | Err(_)) => None,
        },
    };
    moment.map(|moment| moment.timestamp()).ok_or_else(|| {
        format!("{text:?} is no moment; try 8h, 30m, now, today, yesterday, 2026-10-01 or 2026-10-01T14:00")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_how_long_ago_or_a_time() {
        // Summer time began on 29 March at 02:00 there.
        let now: Zoned = "2026-03-29T10:30:00[Europe/Berlin]".parse().unwrap();
        let read = |text| moment(text, &now).map(|at| at.to_string());
        for (text, at) in [
            ("now", "2026-03-29T08:30:00Z"),
            ("8h", "2026-03-29T00:30:00Z"),
            ("90m", "2026-03-29T07:00:00Z"),
            ("2d", "2026-03-27T08:30:00Z"),
            ("today", "2026-03-28T23:00:00Z"),
            ("Yesterday", "2026-03-27T23:00:00Z"),
            ("2026-03-29", "2026-03-28T23:00:00Z"),
            ("2026-03-29T09:00", "2026-03-29T07:00:00Z"),
            ("2026-03-29T09:00Z", "2026-03-29T09:00:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(at), "{text}");
        }
        for text in ["", "none", "8", "soon", "-8h"] {
            assert!(read(text).unwrap_err().contains("is no moment"), "{text}");
        }
    }
}
