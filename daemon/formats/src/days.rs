//! Days, times, rules and lengths of time, as several formats write them.

use api::lists::TodoEntry;
use api::time::{Due, Millis};
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The day of an instant, where the reader is.
pub(crate) fn day_of(at: Millis, zone: &TimeZone) -> Date {
    zoned(at, zone).date()
}

/// An instant, where the reader is.
pub(crate) fn zoned(at: Millis, zone: &TimeZone) -> Zoned {
    // What another replica wrote may be no time at all.
    let out_of_range = if at.0 < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    let at = Timestamp::from_millisecond(at.0).unwrap_or(out_of_range);
    at.to_zoned(zone.clone())
}

/// The first moment of a day, as the API reads times.
pub(crate) fn start_of(day: Date, zone: &TimeZone) -> Option<String> {
    let start = day.to_datetime(Time::midnight()).to_zoned(zone.clone());
    Some(start.ok()?.timestamp().to_string())
}

/// As the API reads it.
pub(crate) fn written(due: Due) -> String {
    due.to_string()
}

/// When it was done, if it is.
pub(crate) fn done_at(entry: &TodoEntry) -> Option<Millis> {
    entry.done_at.filter(|_| entry.done)
}

/// How often something recurs, where that is one number of one unit: `(2, 'w')`.
pub(crate) fn simple_rule(rule: &str) -> Option<(u32, char)> {
    let (mut unit, mut number) = (None, 1);
    for part in rule.split(';') {
        match part.split_once('=')? {
            ("FREQ", "DAILY") => unit = Some('d'),
            ("FREQ", "WEEKLY") => unit = Some('w'),
            ("FREQ", "MONTHLY") => unit = Some('m'),
            ("FREQ", "YEARLY") => unit = Some('y'),
            ("INTERVAL", every) => number = every.parse().ok().filter(|every| *every > 0)?,
            _ => return None,
        }
    }
    Some((number, unit?))
}

/// The rule for so many of a unit.
pub(crate) fn rule_of(number: u32, unit: char) -> Option<String> {
    let frequency = match unit {
        'd' => "DAILY",
        'w' => "WEEKLY",
        'm' => "MONTHLY",
        'y' => "YEARLY",
        _ => return None,
    };
    match number {
        0 => None,
        1 => Some(format!("FREQ={frequency}")),
        _ => Some(format!("FREQ={frequency};INTERVAL={number}")),
    }
}

/// Whether lists may have the rule: by days, and without a count (RFC 5545, section 3.3.10). What else
/// may be wrong with it is the daemon's to say.
pub(crate) fn is_rule_of_lists(rule: &str) -> bool {
    let foreign = |part: &str| {
        let part = part.to_ascii_uppercase();
        let name = part.split('=').next().unwrap_or_default().to_owned();
        ["COUNT", "BYHOUR", "BYMINUTE", "BYSECOND"].contains(&name.as_str())
            || ["FREQ=HOURLY", "FREQ=MINUTELY", "FREQ=SECONDLY"].contains(&part.as_str())
    };
    !rule.split(';').any(foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_of_one_unit_comes_back() {
        for (number, unit) in [(1, 'd'), (2, 'w'), (3, 'm'), (1, 'y')] {
            let rule = rule_of(number, unit).unwrap();
            assert_eq!(simple_rule(&rule), Some((number, unit)), "{rule}");
        }
        for rule in [
            "FREQ=WEEKLY;BYDAY=MO",
            "INTERVAL=2",
            "x",
            "FREQ=DAILY;INTERVAL=0",
        ] {
            assert_eq!(simple_rule(rule), None, "{rule}");
        }
        assert_eq!(rule_of(1, 'b'), None);
    }

    #[test]
    fn a_rule_of_hours_or_counts_is_none_of_lists() {
        assert!(is_rule_of_lists("FREQ=WEEKLY;BYDAY=MO,TH;UNTIL=20270101"));
        for rule in ["FREQ=HOURLY", "FREQ=DAILY;COUNT=3", "freq=daily;byhour=9"] {
            assert!(!is_rule_of_lists(rule), "{rule}");
        }
    }
}
