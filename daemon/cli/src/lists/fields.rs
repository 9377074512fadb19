//! What can be said of an entry in options, whether it is added or changed.

use crate::failure::Failure;
use crate::lists::due;
use crate::session::Session;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

/// The options of `muster add` and `muster edit` that set a field as it is.
#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// When it is due; none clears
    #[arg(long)]
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
    estimate: Option<Value>,
}

/// Priorities, as the API names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Priority {
    High,
    Medium,
    Low,
    None,
}

impl Fields {
    /// Their names as options, for the rule that something has to be changed.
    pub(crate) const OPTIONS: [&str; 5] = ["due", "priority", "note", "assignee", "estimate"];

    /// Those that were given, as the API takes them; null clears.
    pub(crate) fn as_api(&self, session: &Session<'_>) -> Result<Map<String, Value>, Failure> {
        let mut fields = Map::new();
        let mut set = |field: &str, value: Value| fields.insert(field.to_owned(), value);
        if let Some(text) = &self.due {
            set("due", due::to_write(text, session)?);
        }
        if let Some(priority) = self.priority {
            set("priority", priority.as_api());
        }
        if let Some(note) = &self.note {
            set("notes", cleared_if_empty(note));
        }
        if let Some(assignee) = &self.assignee {
            set("assignee", cleared_if_empty(assignee));
        }
        if let Some(estimate) = &self.estimate {
            set("estimate", estimate.clone());
        }
        Ok(fields)
    }
}

impl Priority {
    fn as_api(self) -> Value {
        match (self, self.to_possible_value()) {
            (Self::None, _) | (_, None) => Value::Null,
            (Self::High | Self::Medium | Self::Low, Some(name)) => json!(name.get_name()),
        }
    }
}

fn cleared_if_empty(text: &str) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        json!(text)
    }
}

/// Minutes as the API takes them; null for `none`. Whether they are too many is the API's to say.
fn estimate(text: &str) -> Result<Value, String> {
    if text == "none" {
        return Ok(Value::Null);
    }
    let wrong =
        || "it must be a time such as 30m or 1h30m, a number of minutes, or none".to_owned();
    let (hours, rest) = text.split_once('h').unwrap_or(("0", text));
    let rest = rest.strip_suffix('m').unwrap_or(rest);
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| is_number)
    };
    let minutes = if rest.is_empty() && text.ends_with('h') {
        Some(0)
    } else {
        number(rest)
    };
    let (hours, minutes) = number(hours).zip(minutes).ok_or_else(wrong)?;
    Ok(json!(u64::from(hours) * 60 + u64::from(minutes)))
}

/// `1h30m` of 90 minutes.
pub(crate) fn in_hours(minutes: u64) -> String {
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
            assert_eq!(estimate(text), Ok(json!(minutes)), "{text}");
        }
        assert_eq!(estimate("none"), Ok(Value::Null));
        for text in [
            "", "m", "h", "h30m", "1h30s", "-5", "+5", "1.5h", "soon", "1hm", "30m1h",
        ] {
            assert!(estimate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_estimate_is_shown_as_it_is_typed() {
        for minutes in [1, 59, 60, 90, 525_600] {
            assert_eq!(estimate(&in_hours(minutes)), Ok(json!(minutes)));
        }
        assert_eq!(in_hours(90), "1h30m");
    }
}
