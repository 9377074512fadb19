//! Due dates on the command line: in options and on paper.

use crate::failure::Failure;
use crate::lists::dates::{self, When};
use crate::session::Session;
use jiff::Zoned;
use jiff::civil::Date;

/// A due date to be written, given with that option: a day, an instant, or nothing for `none`.
pub(crate) fn to_write(
    option: &str,
    text: &str,
    session: &Session<'_>,
) -> Result<Option<String>, Failure> {
    let when = dates::parse(text, &now(session))
        .map_err(|why| Failure::Usage(format!("--{option} {why}")))?;
    Ok(when.as_api())
}

/// A day, and nothing else.
pub(crate) fn day(option: &str, text: &str, session: &Session<'_>) -> Result<Date, Failure> {
    match dates::parse(text, &now(session)) {
        Ok(When::Day(day)) => Ok(day),
        Ok(When::Never | When::Instant(_)) => Err(Failure::Usage(format!(
            "--{option} {text:?} is not a day; try 2026-10-01 or eom"
        ))),
        Err(why) => Err(Failure::Usage(format!("--{option} {why}"))),
    }
}

/// What the API takes for what is open and was due before today.
pub(crate) const OVERDUE: &str = "overdue";

/// A day to look for, `none` for entries without one, or `overdue`.
pub(crate) fn to_find(text: &str, session: &Session<'_>) -> Result<String, Failure> {
    if text.trim().eq_ignore_ascii_case(OVERDUE) {
        return Ok(OVERDUE.to_owned());
    }
    match dates::parse(text, &now(session)) {
        Ok(When::Never) => Ok("none".to_owned()),
        Ok(When::Day(day)) => Ok(day.to_string()),
        Ok(When::Instant(_)) => Err(Failure::Usage(format!(
            "--due {text:?} has a time of day; here it must be a day, none or overdue"
        ))),
        Err(why) => Err(Failure::Usage(format!("--due {why}"))),
    }
}

/// The user's today.
pub(crate) fn today(session: &Session<'_>) -> String {
    now(session).date().to_string()
}

pub(crate) fn now(session: &Session<'_>) -> Zoned {
    Zoned::now().with_time_zone(session.zone.clone())
}
