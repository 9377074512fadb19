//! An entry's line.

use crate::lists::fields::in_hours;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use api::lists::{EntryField, EntryPriority, TodoEntry};

/// An empty table for [`cells`].
pub(crate) fn table() -> Table {
    const COLUMNS: &[&str] = &[
        "ID",
        "DONE",
        "TITLE",
        "NOTES",
        "DUE",
        "TAGS",
        "PRIORITY",
        "ESTIMATE",
        "ASSIGNEE",
        "CONFLICTS",
    ];
    Table::new(COLUMNS)
        .cut(&["TITLE", "TAGS", "ASSIGNEE", "CONFLICTS"])
        .spare(&["ESTIMATE", "ASSIGNEE", "TAGS", "PRIORITY", "NOTES"])
        .for_people(&["ESTIMATE", "NOTES"])
}

/// `[x]` or `[ ]`.
pub(crate) fn mark(is_done: bool) -> &'static str {
    if is_done { "[x]" } else { "[ ]" }
}

/// Its fields, with the id as it is to be shown.
pub(crate) fn cells(entry: &TodoEntry, id: &str, session: &Session<'_>, today: &str) -> Vec<Cell> {
    let title = entry.title.as_str();
    let priority = match &entry.priority {
        Some(EntryPriority::High) if !entry.done => Cell::painted("high", Paint::Yellow),
        Some(priority) => priority.as_str().into(),
        None => Cell::default(),
    };
    let conflicts: Vec<&str> = entry.conflicts.iter().map(EntryField::as_str).collect();
    vec![
        Cell::painted(id, Paint::Dim),
        mark(entry.done).into(),
        if entry.done {
            Cell::painted(title, Paint::Dim)
        } else {
            title.into()
        },
        if entry.notes.is_empty() {
            Cell::default()
        } else {
            Cell::painted("*", Paint::Dim)
        },
        due_cell(entry, session, today),
        entry.tags.join(",").into(),
        priority,
        entry.estimate.map(in_hours).unwrap_or_default().into(),
        entry.assignee.as_deref().unwrap_or_default().into(),
        if conflicts.is_empty() {
            Cell::default()
        } else {
            Cell::painted(&format!("! {}", conflicts.join(",")), Paint::Red)
        },
    ]
}

/// When it is due; red when that is over.
pub(crate) fn due_cell(entry: &TodoEntry, session: &Session<'_>, today: &str) -> Cell {
    let Some(due) = entry.due else {
        return Cell::default();
    };
    let due = session.due(&due.to_string());
    if !entry.done && due.get(..10).is_some_and(|day| day < today) {
        Cell::painted(&due, Paint::Red)
    } else {
        due.into()
    }
}

/// An entry to test with.
#[cfg(test)]
pub(crate) fn sample(id: &str, title: &str) -> TodoEntry {
    let at = "2026-10-01T12:00:00.000Z";
    serde_json::from_value(serde_json::json!({
        "id": id, "title": title, "done": false, "tags": [], "notes": "", "order": "a",
        "created_at": at, "created_by": "alice@n1", "modified_at": at, "modified_by": "alice@n1",
        "conflicts": [],
    }))
    .unwrap()
}
