//! What is out of sight until a later day.

use super::{parse_zone, today};
use crate::host::wall_ms;
use crate::http::problem::Problem;
use api::lists::{EntriesQuery, WaitingFilter};
use crdt::entry::{Due, Entry};
use jiff::civil::Date;

/// Whether entries pass that are out of sight until a later day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Waiting {
    #[default]
    Show,
    Hide(Moment),
    Only(Moment),
}

/// Now, and which day that is in some zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    now_ms: i64,
    today: Date,
}

impl Waiting {
    pub(super) fn of(written: &EntriesQuery) -> Result<Self, Problem> {
        let moment = || {
            let zone = parse_zone(written.tz.as_deref())?;
            let now_ms = wall_ms();
            today(&zone).map(|today| Moment { now_ms, today })
        };
        match &written.waiting {
            None | Some(WaitingFilter::Show) => Ok(Self::Show),
            Some(WaitingFilter::Hide) => moment().map(Self::Hide),
            Some(WaitingFilter::Only) => moment().map(Self::Only),
            Some(WaitingFilter::Other(other)) => Err(Problem::invalid(format!(
                "\"waiting\" is {other:?}; it must be show, hide or only"
            ))),
        }
    }

    pub(super) fn admits(self, entry: &Entry) -> bool {
        match self {
            Self::Show => true,
            Self::Hide(moment) => !moment.is_before(entry),
            Self::Only(moment) => moment.is_before(entry),
        }
    }
}

impl Moment {
    /// Whether an entry is out of sight until later. What is done is not.
    fn is_before(self, entry: &Entry) -> bool {
        let is_later = match entry.wait {
            Some(Due::Date(day)) => day > self.today,
            Some(Due::Instant(ms)) => ms > self.now_ms,
            None => false,
        };
        is_later && entry.is_open()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::lists::filter::Filter;
    use crate::http::lists::shown::tests::entry;
    use crate::http::query::Query;
    use jiff::ToSpan;
    use jiff::tz::TimeZone;

    fn read(text: &str) -> Result<Filter, Problem> {
        Query::<(Filter,)>::parse(Some(text)).map(|Query((filter,))| filter)
    }

    fn filter(text: &str) -> Filter {
        read(text).unwrap()
    }

    #[test]
    fn what_waits_is_out_of_sight_until_its_day() {
        let now = wall_ms();
        let day = |days: i64| {
            today(&TimeZone::UTC)
                .unwrap()
                .checked_add(days.days())
                .unwrap()
        };
        let wait = |wait| Entry {
            wait: Some(wait),
            ..entry(1)
        };
        let (hide, only) = (filter("waiting=hide"), filter("waiting=only"));
        for (entry, is_waiting) in [
            (wait(Due::Date(day(2))), true),
            (wait(Due::Date(day(0))), false),
            (wait(Due::Date(day(-1))), false),
            (wait(Due::Instant(now + 3_600_000)), true),
            (wait(Due::Instant(now - 1)), false),
            (entry(1), false),
        ] {
            assert_eq!(hide.admits(&entry), !is_waiting, "{:?}", entry.wait);
            assert_eq!(only.admits(&entry), is_waiting, "{:?}", entry.wait);
            assert!(filter("").admits(&entry));
        }
        let done = Entry {
            done_at: Some(now),
            ..wait(Due::Date(day(2)))
        };
        assert!(hide.admits(&done));
        assert!(read("waiting=maybe").is_err());
    }
}
