//! CSV (RFC 4180), for spreadsheets: a line for each entry under a line of names. It is only written.
//!
//! A cell that a spreadsheet would take for a formula begins with an apostrophe, as OWASP advises
//! ("CSV Injection"): titles and notes are anybody's text. That changes the cell, so that this format is
//! not for going back.

use crate::List;
use api::lists::TodoEntry;

/// The names of the columns.
const COLUMNS: [&str; 16] = [
    "id",
    "title",
    "done",
    "done_at",
    "due",
    "priority",
    "tags",
    "assignee",
    "estimate",
    "wait",
    "every",
    "notes",
    "created_at",
    "created_by",
    "modified_at",
    "modified_by",
];
/// What a formula begins with; a tab or a carriage return may stand before it.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

pub(crate) fn write(list: List<'_>) -> String {
    let head = COLUMNS.map(str::to_owned);
    let rows = list.entries.iter().map(cells);
    std::iter::once(head).chain(rows).map(line).collect()
}

fn cells(entry: &TodoEntry) -> [String; 16] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let due = |due: Option<api::time::Due>| due.map(|due| due.to_string()).unwrap_or_default();
    let priority = entry.priority.as_ref().map(|level| level.as_str());
    [
        entry.id.clone(),
        entry.title.clone(),
        entry.done.to_string(),
        entry.done_at.map(|at| at.to_string()).unwrap_or_default(),
        due(entry.due),
        priority.unwrap_or_default().to_owned(),
        entry.tags.join(", "),
        text(&entry.assignee),
        entry
            .estimate
            .map(|minutes| minutes.to_string())
            .unwrap_or_default(),
        due(entry.wait),
        text(&entry.every),
        entry.notes.clone(),
        entry.created_at.to_string(),
        entry.created_by.clone(),
        entry.modified_at.to_string(),
        entry.modified_by.clone(),
    ]
}

fn line(cells: [String; 16]) -> String {
    cells.map(|text| cell(&text)).join(",") + "\r\n"
}

fn cell(text: &str) -> String {
    let guard = if text.starts_with(FORMULA) { "'" } else { "" };
    if guard.is_empty() && !text.contains([',', '"', '\n', '\r']) {
        return text.to_owned();
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_cell_is_never_a_formula_and_never_ends_early() {
        for (text, expected) in [
            ("milk", "milk"),
            ("a, b", "\"a, b\""),
            ("say \"a\"", "\"say \"\"a\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+2", "\"'=1+2\""),
            ("+49 30", "\"'+49 30\""),
            ("-5 degrees", "\"'-5 degrees\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }

    #[test]
    fn the_file_is_as_it_was() {
        testing::golden("list.csv", &write(testing::list(&testing::samples())));
    }
}
