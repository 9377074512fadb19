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
    pub(crate) const OPTIONS: [&str; 4] = ["due", "priority", "note", "assignee"];

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
