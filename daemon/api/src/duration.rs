//! Durations as people type them: `500ms`, `5s`, `1h30m`, `30d`.

use std::time::Duration;

/// The units, largest first, with their milliseconds. A year has 365 days.
const UNITS: [(&str, u64); 6] = [
    ("y", 365 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads whole numbers that each have a unit: `ms`, `s`, `m`, `h`, `d` or `y` (365 days), larger
/// units before smaller ones and each at most once. `None` for anything else, and for what is too
/// long for a `u64` of milliseconds.
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut ms: u64 = 0;
    let mut units = UNITS.iter();
    loop {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.len()
            - after
                .trim_start_matches(|c: char| !c.is_ascii_digit())
                .len();
        let (unit, after) = after.split_at_checked(letters)?;
        let (_, unit_ms) = units.find(|(name, _)| *name == unit)?;
        let part = number.parse::<u64>().ok()?.checked_mul(*unit_ms)?;
        ms = ms.checked_add(part)?;
        if after.is_empty() {
            return Some(Duration::from_millis(ms));
        }
        rest = after;
    }
}

/// Writes a duration, to the millisecond, as a whole number of the largest unit that fits. [`parse`]
/// reads it.
pub fn write(duration: Duration) -> String {
    let ms = duration.as_millis();
    let mut units = UNITS.into_iter();
    match units.find(|(_, unit_ms)| ms > 0 && ms.is_multiple_of(u128::from(*unit_ms))) {
        Some((unit, unit_ms)) => format!("{}{unit}", ms / u128::from(unit_ms)),
        None => "0s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_it_is_read() {
        for text in [
            "0s", "1ms", "1500ms", "5s", "90s", "2m", "90m", "1h", "12h", "30d", "1y",
        ] {
            assert_eq!(parse(text).map(write).as_deref(), Some(text));
        }
        assert_eq!(write(Duration::from_secs(86_400)), "1d");
    }

    #[test]
    fn a_duration_is_the_sum_of_its_parts() {
        let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
        assert_eq!(parse("1h30m"), minutes(90));
        assert_eq!(parse("1d1h"), minutes(25 * 60));
        assert_eq!(parse("1s500ms"), Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "-5s",
            "+5s",
            "5 s",
            "1.5s",
            "5w",
            "5S",
            "1h30",
            "30m1h",
            "1h1h",
            "5s ",
            "٥s",
            "99999999999999999999s",
            "18446744073709551615y",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
