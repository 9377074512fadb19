//! An entry as the API tells it, and its line.

use crate::lists::fields::in_hours;
use crate::table::{Cell, Paint, Table};
use crate::text::local_due;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

/// What is shown of an entry. A newer daemon may tell more.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) due: Option<String>,
    pub(crate) done: bool,
    pub(crate) priority: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) assignee: Option<String>,
    pub(crate) estimate: Option<u64>,
    pub(crate) conflicts: Vec<String>,
    pub(crate) list: Option<String>,
}

/// An empty table for [`Entry::cells`].
pub(crate) fn table() -> Table {
    const COLUMNS: &[&str] = &[
        "ID",
        "DONE",
        "TITLE",
        "DUE",
        "TAGS",
        "PRIORITY",
        "ESTIMATE",
        "ASSIGNEE",
        "CONFLICTS",
    ];
    Table::new(COLUMNS)
        .cut(&["TITLE", "TAGS", "ASSIGNEE", "CONFLICTS"])
        .spare(&["ESTIMATE", "ASSIGNEE", "TAGS", "PRIORITY"])
        .for_people(&["ESTIMATE"])
}

impl Entry {
    /// Reads one; what is not as expected is empty.
    pub(crate) fn read(value: &Value) -> Self {
        Self::deserialize(value).unwrap_or_default()
    }

    /// `[x]` or `[ ]`.
    pub(crate) fn mark(&self) -> &'static str {
        if self.done { "[x]" } else { "[ ]" }
    }

    /// Its fields, with the id as it is to be shown.
    pub(crate) fn cells(&self, id: &str, zone: &TimeZone, today: &str) -> Vec<Cell> {
        let text = |field: &Option<String>| Cell::from(field.as_deref().unwrap_or_default());
        let high = self.priority.as_deref() == Some("high") && !self.done;
        vec![
            Cell::painted(id, Paint::Dim),
            self.mark().into(),
            if self.done {
                Cell::painted(&self.title, Paint::Dim)
            } else {
                self.title.as_str().into()
            },
            self.due_cell(zone, today),
            self.tags.join(",").into(),
            if high {
                Cell::painted("high", Paint::Yellow)
            } else {
                text(&self.priority)
            },
            self.estimate.map(in_hours).unwrap_or_default().into(),
            text(&self.assignee),
            if self.conflicts.is_empty() {
                Cell::default()
            } else {
                Cell::painted(&format!("! {}", self.conflicts.join(",")), Paint::Red)
            },
        ]
    }

    /// When it is due; red when that is over.
    pub(crate) fn due_cell(&self, zone: &TimeZone, today: &str) -> Cell {
        let due = self
            .due
            .as_deref()
            .map(|due| local_due(due, zone))
            .unwrap_or_default();
        let over = !self.done && !due.is_empty() && due.get(..10).is_some_and(|day| day < today);
        if over {
            Cell::painted(&due, Paint::Red)
        } else {
            due.into()
        }
    }
}
