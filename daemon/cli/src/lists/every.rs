//! How often something recurs, as people type it.

use super::dates::weekday;
use jiff::civil::{Date, Weekday};

/// A rule of RFC 5545; nothing for `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Every {
    rule: Option<String>,
    /// The days of the week that were named.
    days: Vec<Weekday>,
}

/// Reads `week`, `2 weeks`, `mon,thu`, a rule, or `none`. Whether a rule is right is the API's to say.
pub(crate) fn parse(text: &str) -> Result<Every, String> {
    let word = text.trim().to_lowercase();
    if word.contains('=') || word == "none" {
        let rule = (word != "none").then(|| text.trim().to_owned());
        return Ok(Every {
            rule,
            days: Vec::new(),
        });
    }
    let days: Option<Vec<Weekday>> = word.split(',').map(|day| weekday(day.trim())).collect();
    if let Some(days) = days {
        let names: Vec<&str> = days.iter().map(|day| name(*day)).collect();
        let rule = Some(format!("FREQ=WEEKLY;BYDAY={}", names.join(",")));
        return Ok(Every { rule, days });
    }
    let rule = often(&word).ok_or_else(|| {
        "it must be day, week, month, year, such as \"2 weeks\", days such as mon,thu, a rule of RFC \
        5545 such as FREQ=MONTHLY;BYMONTHDAY=-1, or none"
            .to_owned()
    })?;
    Ok(Every {
        rule: Some(rule),
        days: Vec::new(),
    })
}

/// `week`, `weekly`, `2 weeks`.
fn often(word: &str) -> Option<String> {
    let (number, unit) = match word.split_once(' ') {
        Some((number, unit)) => (number.parse::<u16>().ok()?, unit.trim()),
        None => (1, word),
    };
    let frequency = match unit {
        "day" | "days" | "daily" => "DAILY",
        "week" | "weeks" | "weekly" => "WEEKLY",
        "month" | "months" | "monthly" => "MONTHLY",
        "year" | "years" | "yearly" => "YEARLY",
        _ => return None,
    };
    Some(match number {
        1 => format!("FREQ={frequency}"),
        _ => format!("FREQ={frequency};INTERVAL={number}"),
    })
}

fn name(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "MO",
        Weekday::Tuesday => "TU",
        Weekday::Wednesday => "WE",
        Weekday::Thursday => "TH",
        Weekday::Friday => "FR",
        Weekday::Saturday => "SA",
        Weekday::Sunday => "SU",
    }
}

impl Every {
    /// As the API takes it, with the last day on which it recurs.
    pub(crate) fn rule(&self, last: Option<Date>) -> Option<String> {
        let rule = self.rule.as_ref()?;
        Some(match last {
            Some(last) => format!("{rule};UNTIL={}", last.strftime("%Y%m%d")),
            None => rule.clone(),
        })
    }

    /// From today on, the first of the days that it names; today if it names none.
    pub(crate) fn first_day(&self, today: Date) -> Option<Date> {
        self.rule.as_ref()?;
        let ahead = |day: &Weekday| day.since(today.weekday());
        let ahead = self.days.iter().map(ahead).min().unwrap_or(0);
        today.checked_add(jiff::Span::new().days(ahead)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn words_become_rules() {
        for (text, rule) in [
            ("day", Some("FREQ=DAILY")),
            ("Week", Some("FREQ=WEEKLY")),
            ("2 weeks", Some("FREQ=WEEKLY;INTERVAL=2")),
            ("monthly", Some("FREQ=MONTHLY")),
            ("year", Some("FREQ=YEARLY")),
            ("mon,thu", Some("FREQ=WEEKLY;BYDAY=MO,TH")),
            ("Sunday", Some("FREQ=WEEKLY;BYDAY=SU")),
            ("FREQ=DAILY;INTERVAL=3", Some("FREQ=DAILY;INTERVAL=3")),
            ("none", None),
        ] {
            assert_eq!(parse(text).unwrap().rule(None).as_deref(), rule, "{text}");
        }
        for text in ["", "often", "2", "-1 weeks", "mon,soon", "fortnight"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        let until = parse("week").unwrap().rule(Some(date(2027, 1, 31)));
        assert_eq!(until.as_deref(), Some("FREQ=WEEKLY;UNTIL=20270131"));
    }

    #[test]
    fn it_begins_with_the_first_of_its_days() {
        // A Wednesday.
        let today = date(2026, 10, 7);
        for (text, first) in [
            ("mon,thu", Some(date(2026, 10, 8))),
            ("mon,wed", Some(today)),
            ("tue", Some(date(2026, 10, 13))),
            ("week", Some(today)),
            ("none", None),
        ] {
            assert_eq!(parse(text).unwrap().first_day(today), first, "{text}");
        }
    }
}
