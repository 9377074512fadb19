//! Which entries a client wants to see.

mod waiting;

use crate::host::wall_ms;
use crate::http::problem::Problem;
use crate::http::query::Group;
use crate::http::time::parse_date;
use api::lists::{EntriesQuery, EntryStateFilter};
use crdt::entry::{Due, Entry, Priority};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::ops::Range;
use waiting::Waiting;

/// Asks for what is open and was due before today.
const OVERDUE: &str = "overdue";
/// No entry is due before.
const FIRST_DAY: Date = jiff::civil::date(0, 1, 1);

/// The filters of a call, all of which an entry must pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    done: Option<bool>,
    due: DueFilter,
    tags: Vec<String>,
    assignee: Option<String>,
    priority: Option<Option<Priority>>,
    /// In minutes; entries without an estimate pass only where there is no bound.
    estimate: (Option<i64>, Option<i64>),
    /// In lower case.
    text: Option<String>,
    waiting: Waiting,
}

/// Which due dates pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum DueFilter {
    #[default]
    Any,
    /// Only entries without.
    Undated,
    /// Only these days, and the instants on them.
    Days(Days),
}

/// A run of days, in some time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Days {
    first: Date,
    last: Date,
    /// From the first moment of the first day to the first moment after the last.
    instants_ms: Range<i64>,
}

impl Group for Filter {
    type Written = EntriesQuery;

    fn check(written: EntriesQuery) -> Result<Self, Problem> {
        let is_overdue = written.due.as_deref() == Some(OVERDUE);
        let done = match &written.state {
            None | Some(EntryStateFilter::All) if is_overdue => Some(false),
            None | Some(EntryStateFilter::All) => None,
            Some(EntryStateFilter::Open) => Some(false),
            Some(EntryStateFilter::Done) if is_overdue => {
                return Err(Problem::invalid(
                    "\"due\" is overdue, which nothing is that is done: \"state\" cannot be done",
                ));
            }
            Some(EntryStateFilter::Done) => Some(true),
            Some(EntryStateFilter::Other(other)) => {
                return Err(Problem::invalid(format!(
                    "\"state\" is {other:?}; it must be open, done or all"
                )));
            }
        };
        Ok(Self {
            done,
            due: DueFilter::of(&written)?,
            waiting: Waiting::of(&written)?,
            tags: written.tag.unwrap_or_default(),
            assignee: written.assignee,
            priority: written.priority.map(|text| level(&text)).transpose()?,
            estimate: (
                written.estimate_min.map(i64::from),
                written.estimate_max.map(i64::from),
            ),
            text: written.text.map(|text| text.to_lowercase()),
        })
    }
}

/// A priority, or none.
fn level(text: &str) -> Result<Option<Priority>, Problem> {
    let mut all = Priority::ALL.into_iter();
    match all.find(|level| level.as_str() == text) {
        None if text != "none" => Err(Problem::invalid(format!(
            "\"priority\" is {text:?}; it must be high, medium, low or none"
        ))),
        found => Ok(found),
    }
}

impl Filter {
    /// Only entries that are due on that day in UTC.
    pub(crate) fn due_on(date: Date) -> Self {
        Self {
            due: DueFilter::Days(Days::new(date, date, &TimeZone::UTC)),
            ..Self::default()
        }
    }

    /// Whether an entry passes.
    pub(crate) fn admits(&self, entry: &Entry) -> bool {
        self.done.is_none_or(|done| done != entry.is_open())
            && self.admits_due(entry.due)
            && self.tags.iter().all(|tag| entry.tags.contains(tag))
            && self
                .assignee
                .as_ref()
                .is_none_or(|wanted| entry.assignee.as_ref() == Some(wanted))
            && self.priority.is_none_or(|wanted| entry.priority == wanted)
            && self.admits_estimate(entry.estimate)
            && self.text.as_ref().is_none_or(|text| has_text(entry, text))
            && self.waiting.admits(entry)
    }

    /// Whether it depends on its due date whether an entry passes.
    pub(crate) fn asks_for_due(&self) -> bool {
        self.due != DueFilter::Any
    }

    /// Whether an entry with that due date may pass.
    pub(crate) fn admits_due(&self, due: Option<Due>) -> bool {
        self.due.admits(due)
    }

    fn admits_estimate(&self, estimate: Option<i64>) -> bool {
        let (min, max) = self.estimate;
        match estimate {
            Some(minutes) => {
                min.is_none_or(|min| minutes >= min) && max.is_none_or(|max| minutes <= max)
            }
            None => min.or(max).is_none(),
        }
    }

    /// The sort times of all dated entries that can pass, both ends included; `None` without a
    /// bound.
    pub(crate) fn due_range_ms(&self) -> Option<(i64, i64)> {
        match &self.due {
            DueFilter::Any | DueFilter::Undated => None,
            DueFilter::Days(days) => Some(days.sort_range_ms()),
        }
    }

    /// Whether only entries without a due date can pass.
    pub(crate) fn is_undated(&self) -> bool {
        self.due == DueFilter::Undated
    }
}

fn has_text(entry: &Entry, lower: &str) -> bool {
    entry.title.to_lowercase().contains(lower) || entry.notes.to_lowercase().contains(lower)
}

impl DueFilter {
    fn of(written: &EntriesQuery) -> Result<Self, Problem> {
        let [due, from, to] =
            [&written.due, &written.due_from, &written.due_to].map(Option::as_deref);
        let zone = parse_zone(written.tz.as_deref())?;
        if due.is_some() && (from.is_some() || to.is_some()) {
            return Err(Problem::invalid(
                "\"due\" cannot be given together with \"due_from\" or \"due_to\"",
            ));
        }
        let day =
            |name: &str, text: Option<&str>| text.map(|text| parse_date(name, text)).transpose();
        match due {
            Some("none") => Ok(Self::Undated),
            Some(OVERDUE) => {
                let yesterday = today(&zone)?.yesterday();
                let yesterday = yesterday.map_err(Problem::internal)?;
                Ok(Self::Days(Days::new(FIRST_DAY, yesterday, &zone)))
            }
            Some(due) => {
                let date = parse_date("due", due)?;
                Ok(Self::Days(Days::new(date, date, &zone)))
            }
            None if from.is_none() && to.is_none() => Ok(Self::Any),
            None => {
                let first = day("due_from", from)?.unwrap_or(FIRST_DAY);
                let last = day("due_to", to)?.unwrap_or(jiff::civil::date(9999, 12, 31));
                Ok(Self::Days(Days::new(first, last, &zone)))
            }
        }
    }

    fn admits(&self, due: Option<Due>) -> bool {
        match (self, due) {
            (Self::Any, _) | (Self::Undated, None) => true,
            (Self::Undated, Some(_)) | (Self::Days(_), None) => false,
            (Self::Days(days), Some(due)) => days.contain(due),
        }
    }
}

fn parse_zone(tz: Option<&str>) -> Result<TimeZone, Problem> {
    match tz {
        None => Ok(TimeZone::UTC),
        Some(name) => TimeZone::get(name)
            .or_else(|_| TimeZone::posix(name))
            .map_err(|_| {
                Problem::invalid(format!(
                    "\"tz\" is {name:?}; it must be the name of a time zone, such as Europe/Berlin, \
                    or its rules, such as CET-1CEST,M3.5.0,M10.5.0/3"
                ))
            }),
    }
}

/// The present day in a zone.
fn today(zone: &TimeZone) -> Result<Date, Problem> {
    let now = Timestamp::from_millisecond(wall_ms()).map_err(Problem::internal)?;
    Ok(now.to_zoned(zone.clone()).date())
}

impl Days {
    fn new(first: Date, last: Date, zone: &TimeZone) -> Self {
        let after_last = last.checked_add(1.day()).ok();
        let from_ms = start_ms(first, zone).unwrap_or(i64::MIN);
        let to_ms = after_last
            .and_then(|day| start_ms(day, zone))
            .unwrap_or(i64::MAX);
        Self {
            first,
            last,
            instants_ms: from_ms..to_ms,
        }
    }

    fn contain(&self, due: Due) -> bool {
        match due {
            Due::Date(date) => (self.first..=self.last).contains(&date),
            Due::Instant(ms) => self.instants_ms.contains(&ms),
        }
    }

    fn sort_range_ms(&self) -> (i64, i64) {
        let (first, last) = (
            Due::Date(self.first).sort_ms(),
            Due::Date(self.last).sort_ms(),
        );
        (
            first.min(self.instants_ms.start),
            last.max(self.instants_ms.end.saturating_sub(1)),
        )
    }
}

/// The first moment of a day; where a zone skips midnight, that is later.
fn start_ms(day: Date, zone: &TimeZone) -> Option<i64> {
    let start = day.to_zoned(zone.clone()).ok()?.start_of_day().ok()?;
    Some(start.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::lists::shown::tests::entry;
    use crate::http::query::Query;
    use crate::http::time::parse_due;

    fn read(text: &str) -> Result<Filter, Problem> {
        Query::<(Filter,)>::parse(Some(text)).map(|Query((filter,))| filter)
    }

    fn filter(text: &str) -> Filter {
        read(text).unwrap()
    }

    fn admits(text: &str, due: &str) -> bool {
        let due = if due == "none" {
            None
        } else {
            Some(parse_due("due", due).unwrap())
        };
        filter(text).admits(&Entry { due, ..entry(1) })
    }

    #[test]
    fn a_zone_decides_the_day_of_an_instant() {
        assert!(admits(
            "due=2026-03-01&tz=Europe/Berlin",
            "2026-02-28T23:00:00Z"
        ));
        assert!(!admits(
            "due=2026-03-01&tz=Europe/Berlin",
            "2026-02-28T22:59:59.999Z"
        ));
        assert!(admits(
            "due=2026-03-01&tz=Europe/Berlin",
            "2026-03-01T22:59:59.999Z"
        ));
        assert!(!admits(
            "due=2026-03-01&tz=Europe/Berlin",
            "2026-03-01T23:00:00Z"
        ));
        assert!(admits("due=2026-03-01", "2026-03-01T23:00:00Z"));
        assert!(admits(
            "due=2026-03-01&tz=America/New_York",
            "2026-03-02T04:59:59Z"
        ));
    }

    #[test]
    fn a_zone_is_told_by_its_rules_where_it_has_no_name() {
        let rules = "due=2026-03-01&tz=CET-1CEST,M3.5.0,M10.5.0/3";
        assert!(admits(rules, "2026-02-28T23:00:00Z"));
        assert!(!admits(rules, "2026-02-28T22:59:59Z"));
        assert!(read("due=2026-03-01&tz=Mars/Phobos").is_err());
    }

    #[test]
    fn overdue_is_what_is_open_and_was_due_before_today() {
        let now = wall_ms();
        let due = |days: i64| Entry {
            due: Some(Due::Instant(now + days * 86_400_000)),
            ..entry(1)
        };
        let overdue = filter("due=overdue&tz=Europe/Berlin");
        assert!(overdue.admits(&due(-2)));
        assert!(!overdue.admits(&due(2)));
        assert!(!overdue.admits(&Entry {
            due: None,
            ..entry(1)
        }));
        let done_at = Some(now);
        assert!(!overdue.admits(&Entry { done_at, ..due(-2) }));
        assert!(read("due=overdue&state=done").is_err());
        assert!(read("due=overdue&due_to=2026-03-01").is_err());
    }

    #[test]
    fn a_day_with_a_changing_clock_has_23_hours() {
        assert!(admits(
            "due=2026-03-29&tz=Europe/Berlin",
            "2026-03-28T23:00:00Z"
        ));
        assert!(admits(
            "due=2026-03-29&tz=Europe/Berlin",
            "2026-03-29T21:59:59Z"
        ));
        assert!(!admits(
            "due=2026-03-29&tz=Europe/Berlin",
            "2026-03-29T22:00:00Z"
        ));
    }

    #[test]
    fn a_date_is_that_day_in_every_zone() {
        for zone in ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            assert!(admits(&format!("due=2026-03-01&tz={zone}"), "2026-03-01"));
            assert!(!admits(&format!("due=2026-03-01&tz={zone}"), "2026-03-02"));
        }
    }

    #[test]
    fn both_ends_of_a_range_belong_to_it() {
        for (due, inside) in [
            ("2026-02-28", false),
            ("2026-03-01", true),
            ("2026-03-03T23:59:59Z", true),
            ("2026-03-04", false),
            ("none", false),
        ] {
            assert_eq!(
                admits("due_from=2026-03-01&due_to=2026-03-03", due),
                inside,
                "{due}"
            );
        }
        assert!(
            admits("due_from=2026-03-01", "9999-12-31")
                && admits("due_to=2026-03-01", "0000-01-01")
        );
    }

    #[test]
    fn none_is_no_due_date() {
        assert!(admits("due=none", "none") && !admits("due=none", "2026-03-01"));
        assert!(filter("due=none").is_undated() && filter("due=none").due_range_ms().is_none());
    }

    #[test]
    fn the_index_range_covers_all_that_passes() {
        for zone in ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            let filter = filter(&format!("due=2026-03-01&tz={zone}"));
            let (from, to) = filter.due_range_ms().unwrap();
            for hour in -30..60 {
                let due = Due::Instant(1_772_323_200_000 + hour * 3_600_000);
                assert!(
                    !filter.due.admits(Some(due)) || (from..=to).contains(&due.sort_ms()),
                    "{zone} {hour}"
                );
            }
            assert!((from..=to).contains(&Due::Date(jiff::civil::date(2026, 3, 1)).sort_ms()));
        }
    }

    #[test]
    fn the_other_filters_are_all_demanded() {
        let entry = Entry {
            tags: vec!["a".into(), "b".into()],
            assignee: Some("Zoë".into()),
            estimate: Some(30),
            notes: "Straße ÄÖ".into(),
            ..entry(1)
        };
        for text in [
            "",
            "state=open",
            "state=all",
            "tag=a&tag=b",
            "assignee=Zo%C3%AB",
            "text=DENT",
            "estimate_min=30&estimate_max=30",
            "estimate_max=45",
            "text=stra%C3%9Fe+%C3%A4",
        ] {
            assert!(filter(text).admits(&entry), "{text}");
        }
        for text in [
            "state=done",
            "tag=a&tag=c",
            "assignee=zo%C3%AB",
            "text=doctor",
            "estimate_max=29",
            "estimate_min=31",
            "state=open&text=x",
        ] {
            assert!(!filter(text).admits(&entry), "{text}");
        }
    }

    #[test]
    fn what_has_no_estimate_passes_no_bound() {
        let entry = Entry {
            estimate: None,
            ..entry(1)
        };
        assert!(filter("").admits(&entry));
        assert!(!filter("estimate_max=30").admits(&entry));
        assert!(!filter("estimate_min=0").admits(&entry));
    }

    #[test]
    fn filters_that_mean_nothing_are_refused() {
        for text in [
            "state=closed",
            "due=2026-02-30",
            "due=tomorrow",
            "due_from=none",
            "tz=Mars/Base",
            "estimate_max=1h",
            "estimate_min=-1",
            "due=2026-03-01&due_to=2026-03-02",
        ] {
            assert_eq!(read(text).unwrap_err().status(), 422, "{text}");
        }
    }
}
