//! How an entry recurs: rules of RFC 5545 (section 3.3.10), by days.
//!
//! A rule says on which days an entry is due. It is kept as text, in capital letters and without
//! `RRULE:`. It may say how often (`FREQ`, from `DAILY` on; `INTERVAL`), on which days (`BYDAY`,
//! `BYMONTHDAY`, `BYYEARDAY`, `BYWEEKNO`, `BYMONTH`, `BYSETPOS`, `WKST`) and until which day
//! (`UNTIL`). It counts from the day of the occurrence that is done, so that `COUNT` has no place.
//!
//! What other replicas hold may be no rule at all: nothing follows on it.

use jiff::civil::Date;
use rrule::{RRuleError, RRuleSet};
use std::ops::RangeInclusive;

/// The longest rule, in bytes.
pub(crate) const MAX_BYTES: usize = 500;
/// The library takes 0 as well, and then finds no day.
const INTERVALS: RangeInclusive<u16> = 1..=1_000;
/// A day that all rules may count from, to see whether one is right.
const SAMPLE: Date = jiff::civil::date(2000, 1, 1);
/// So many days of a rule are looked at: those of a century.
const MOST_DAYS: usize = 36_600;
/// The parts that a rule may have.
const PARTS: [&str; 10] = [
    "FREQ",
    "INTERVAL",
    "UNTIL",
    "BYDAY",
    "BYMONTHDAY",
    "BYYEARDAY",
    "BYWEEKNO",
    "BYMONTH",
    "BYSETPOS",
    "WKST",
];
/// How often it may be.
const FREQUENCIES: [&str; 4] = ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"];

/// A rule as it is kept.
pub fn written(text: &str) -> String {
    let rule = text.trim().to_ascii_uppercase();
    rule.strip_prefix("RRULE:").unwrap_or(&rule).to_owned()
}

/// Checks a rule as it is kept.
///
/// # Errors
/// What is wrong with it and what would be right, to follow the field's name.
pub(crate) fn check(rule: &str) -> Result<(), String> {
    if rule.len() > MAX_BYTES {
        return Err(format!(
            "has {} bytes; at most {MAX_BYTES} are allowed",
            rule.len()
        ));
    }
    let right = "a rule of RFC 5545 such as FREQ=WEEKLY;BYDAY=MO,TH is right";
    let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "=;,+-".contains(c);
    if !rule.chars().all(is_plain) {
        return Err(format!("is {rule:?}; {right}"));
    }
    let mut seen = Vec::new();
    for part in rule.split(';') {
        let Some((name, value)) = part.split_once('=') else {
            return Err(format!("is {rule:?}; {right}"));
        };
        if !PARTS.contains(&name) || seen.contains(&name) {
            return Err(format!(
                "has {name} in {rule:?}; {} are right, each once",
                PARTS.join(", ")
            ));
        }
        seen.push(name);
        if name == "FREQ" && !FREQUENCIES.contains(&value) {
            return Err(format!(
                "has FREQ={value}; {} are right",
                FREQUENCIES.join(", ")
            ));
        }
        if name == "INTERVAL" && !value.parse().is_ok_and(|every| INTERVALS.contains(&every)) {
            return Err(format!(
                "has INTERVAL={value}; a number from {} to {} is right",
                INTERVALS.start(),
                INTERVALS.end()
            ));
        }
        if name == "UNTIL" && day(value).is_none() {
            return Err(format!(
                "has UNTIL={value}; a day such as 20271231 is right"
            ));
        }
    }
    let endless: Vec<&str> = rule.split(';').filter(|part| !is_end(part)).collect();
    match rules(&endless.join(";"), SAMPLE) {
        Ok(_) => Ok(()),
        Err(why) => Err(format!("is {rule:?}, which is no rule: {why}; {right}")),
    }
}

/// The first day of a rule that lies after `planned`, on which the one before was to be done, and not
/// before `today`: what was missed meanwhile is not made up for. `None` at the end of the rule.
pub(crate) fn following(rule: &str, planned: Date, today: Date) -> Option<Date> {
    check(rule).ok()?;
    let parts = rule.split(';');
    let (ends, endless): (Vec<&str>, Vec<&str>) = parts.partition(|part| is_end(part));
    let end = ends.first().and_then(|part| part.strip_prefix("UNTIL="));
    let last = end.map_or(Some(Date::MAX), day)?;
    let first = planned.tomorrow().ok()?.max(today);
    let days = rules(&endless.join(";"), planned).ok()?.limit();
    let days = days.into_iter().take(MOST_DAYS).map_while(|at| {
        let day: Date = at.format("%Y-%m-%d").to_string().parse().ok()?;
        (day <= last).then_some(day)
    });
    days.into_iter().find(|day| *day >= first)
}

/// The rule from a day on. Its end is not the library's to judge, for which a rule that has ended is
/// none.
fn rules(rule: &str, from: Date) -> Result<RRuleSet, RRuleError> {
    let start = from.strftime("%Y%m%d");
    format!("DTSTART:{start}T000000Z\nRRULE:{rule}").parse()
}

fn is_end(part: &str) -> bool {
    part.starts_with("UNTIL=")
}

/// A day as rules write it.
fn day(text: &str) -> Option<Date> {
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(rule: &str, planned: &str, today: &str) -> Option<String> {
        let next = following(rule, planned.parse().unwrap(), today.parse().unwrap());
        next.map(|day| day.to_string())
    }

    #[test]
    fn the_next_day_is_that_of_the_rule() {
        // The first of June 2026 is a Monday.
        for (rule, planned, following) in [
            ("FREQ=DAILY", "2026-06-01", "2026-06-02"),
            ("FREQ=WEEKLY", "2026-06-01", "2026-06-08"),
            ("FREQ=WEEKLY;INTERVAL=2", "2026-06-01", "2026-06-15"),
            ("FREQ=WEEKLY;BYDAY=MO,TH", "2026-06-01", "2026-06-04"),
            ("FREQ=WEEKLY;BYDAY=MO,TH", "2026-06-03", "2026-06-04"),
            ("FREQ=MONTHLY", "2026-01-31", "2026-03-31"),
            ("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-01-31", "2026-02-28"),
            ("FREQ=MONTHLY;BYDAY=2TU", "2026-06-09", "2026-07-14"),
            (
                "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
                "2026-06-30",
                "2026-07-31",
            ),
            ("FREQ=YEARLY", "2024-02-29", "2028-02-29"),
            ("FREQ=WEEKLY;UNTIL=20260608", "2026-06-01", "2026-06-08"),
        ] {
            assert_eq!(
                next(rule, planned, planned).as_deref(),
                Some(following),
                "{rule}"
            );
        }
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        let weekly = |today| next("FREQ=WEEKLY", "2026-06-01", today);
        for (today, following) in [
            ("2026-05-20", "2026-06-08"),
            ("2026-06-07", "2026-06-08"),
            ("2026-06-08", "2026-06-08"),
            ("2026-06-09", "2026-06-15"),
            ("2027-06-01", "2027-06-07"),
        ] {
            assert_eq!(weekly(today).as_deref(), Some(following), "{today}");
        }
    }

    #[test]
    fn a_rule_ends() {
        for (rule, planned, today) in [
            ("FREQ=WEEKLY;UNTIL=20260607", "2026-06-01", "2026-06-01"),
            ("FREQ=WEEKLY;UNTIL=20200101", "2026-06-01", "2026-06-01"),
            ("FREQ=WEEKLY;UNTIL=20260708", "2026-06-01", "2026-07-09"),
            (
                "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
                "2026-06-01",
                "2026-06-01",
            ),
            ("soon", "2026-06-01", "2026-06-01"),
            ("FREQ=DAILY", "9999-12-31", "9999-12-31"),
        ] {
            assert_eq!(next(rule, planned, today), None, "{rule}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_in_words() {
        for (rule, words) in [
            ("weekly", "RFC 5545"),
            ("", "RFC 5545"),
            ("FREQ=HOURLY", "DAILY"),
            ("FREQ=WEEKLY;COUNT=3", "COUNT"),
            ("FREQ=WEEKLY;FREQ=DAILY", "each once"),
            ("INTERVAL=2", "no rule"),
            ("FREQ=WEEKLY;INTERVAL=0", "1000"),
            ("FREQ=WEEKLY;BYDAY=XX", "no rule"),
            ("FREQ=WEEKLY;UNTIL=2027-12-31", "20271231"),
            ("FREQ=WEEKLY;UNTIL=20270231", "20271231"),
            ("FREQ=WEEKLY;BYDAY=MO\nRDATE:20260601", "RFC 5545"),
            (&format!("FREQ=DAILY;BYMONTH={}", "1,".repeat(300)), "bytes"),
        ] {
            let wrong = check(rule).expect_err(rule);
            assert!(wrong.contains(words), "{rule}: {wrong}");
        }
        assert_eq!(
            written(" rrule:freq=weekly;byday=mo "),
            "FREQ=WEEKLY;BYDAY=MO"
        );
    }
}
