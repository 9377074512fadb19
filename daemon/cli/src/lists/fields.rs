//! What can be said of an entry in options, whether it is added or changed.

use crate::failure::Failure;
use crate::lists::due;
use crate::lists::every::{self, Every};
use crate::session::Session;
use api::duration;
use api::lists::{EntryPatch, EntryPriority};
use clap::{Args, ValueEnum};

/// The options of `muster add` and `muster edit` that set a field as it is.
#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// When it is due, such as tomorrow, fri, +3d, eom or mon 14:00; none clears
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    due: Option<String>,
    /// How much it matters; none clears
    #[arg(long, value_enum)]
    priority: Option<Priority>,
    /// More about it; an empty text clears
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who does it; an empty text clears
    #[arg(long, value_name = "WHO")]
    assignee: Option<String>,
    /// How long it takes, such as 30m, 1h30m or a number of minutes; none clears
    #[arg(long, value_name = "TIME", value_parser = estimate)]
    estimate: Option<Estimate>,
    /// Out of sight until this day, such as mon or 2026-10-01; none clears
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    wait: Option<String>,
    /// It recurs: day, week, month, year, 2 weeks, 'mon,thu', a rule of RFC 5545; none ends it
    #[arg(long, value_name = "RULE", value_parser = every::parse)]
    every: Option<Every>,
    /// The last day on which it recurs
    #[arg(long, value_name = "DAY", requires = "every")]
    until: Option<String>,
}

/// Minutes; nothing for `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Estimate(Option<u32>);

/// Priorities, as the API names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Priority {
    High,
    Medium,
    Low,
    None,
}

impl Fields {
    /// Their names as options, for the rule that something has to be changed.
    pub(crate) const OPTIONS: [&str; 7] = [
        "due", "priority", "note", "assignee", "estimate", "wait", "every",
    ];

    /// Those that were given, as the API takes them; null clears.
    pub(crate) fn as_api(&self, session: &Session<'_>) -> Result<EntryPatch, Failure> {
        let (due, wait) = (self.due.as_deref(), self.wait.as_deref());
        Ok(EntryPatch {
            due: due
                .map(|text| due::to_write("due", text, session))
                .transpose()?,
            wait: wait
                .map(|text| due::to_write("wait", text, session))
                .transpose()?,
            every: self.rule(session)?,
            priority: self.priority.map(Priority::as_api),
            notes: self.note.as_deref().map(cleared_if_empty),
            assignee: self.assignee.as_deref().map(cleared_if_empty),
            estimate: self
                .estimate
                .map(|Estimate(minutes)| minutes.map(i64::from)),
            ..EntryPatch::default()
        })
    }

    /// The rule with its last day; null for none.
    fn rule(&self, session: &Session<'_>) -> Result<Option<Option<String>>, Failure> {
        let last = self.until.as_deref();
        let last = last
            .map(|text| due::day("until", text, session))
            .transpose()?;
        Ok(self.every.as_ref().map(|every| every.rule(last)))
    }

    /// The first day of what recurs and was given no day.
    pub(crate) fn first_day(&self, session: &Session<'_>) -> Option<String> {
        let every = self.every.as_ref().filter(|_| self.due.is_none())?;
        every
            .first_day(due::now(session).date())
            .map(|day| day.to_string())
    }
}

impl Priority {
    /// As the API looks for it.
    pub(crate) fn to_find(self) -> String {
        let found = self.as_api();
        found.map_or_else(|| "none".to_owned(), |level| level.as_str().to_owned())
    }

    fn as_api(self) -> Option<EntryPriority> {
        match self {
            Self::High => Some(EntryPriority::High),
            Self::Medium => Some(EntryPriority::Medium),
            Self::Low => Some(EntryPriority::Low),
            Self::None => None,
        }
    }
}

fn cleared_if_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Minutes as the API takes them, or `none`. Whether they are too many is the API's to say.
fn estimate(text: &str) -> Result<Estimate, String> {
    if text == "none" {
        return Ok(Estimate(None));
    }
    let minutes = minutes(text).map_err(|right| format!("{right}, or none"))?;
    Ok(Estimate(Some(minutes)))
}

/// A time of work: `30m`, `1h30m` or a number of minutes.
pub(crate) fn minutes(text: &str) -> Result<u32, String> {
    let has_unit = !text.ends_with(|c: char| c.is_ascii_digit());
    let written = format!("{text}{}", if has_unit { "" } else { "m" });
    let seconds = duration::parse(&written).map(|time| time.as_secs());
    seconds
        .filter(|seconds| seconds.is_multiple_of(60))
        .and_then(|seconds| u32::try_from(seconds / 60).ok())
        .ok_or_else(|| "it must be a time such as 30m or 1h30m, a number of minutes".to_owned())
}

/// `1h30m` of 90 minutes.
pub(crate) fn in_hours(minutes: i64) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes}m"),
        (hours, 0) => format!("{hours}h"),
        (hours, minutes) => format!("{hours}h{minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_hours_and_minutes_or_minutes() {
        for (text, minutes) in [
            ("30m", 30),
            ("1h30m", 90),
            ("2h", 120),
            ("45", 45),
            ("1h5", 65),
        ] {
            assert_eq!(estimate(text), Ok(Estimate(Some(minutes))), "{text}");
        }
        assert_eq!(estimate("none"), Ok(Estimate(None)));
        assert!(minutes("none").is_err());
        for text in [
            "",
            "m",
            "h",
            "h30m",
            "1h30s",
            "-5",
            "+5",
            "1.5h",
            "soon",
            "1hm",
            "30m1h",
            "99999999h",
        ] {
            assert!(estimate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_estimate_is_shown_as_it_is_typed() {
        for minutes in [1, 59, 60, 90, 525_600] {
            let typed = estimate(&in_hours(i64::from(minutes)));
            assert_eq!(typed, Ok(Estimate(Some(minutes))));
        }
        assert_eq!(in_hours(90), "1h30m");
    }
}
