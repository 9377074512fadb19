//! JSON: entries as the API answers them, with all fields.
//!
//! Read are a page (`{"items": […]}`), the body of a call that adds (`{"entries": […]}`), an array of
//! entries, and entries one after the other (`.jsonl`). What a daemon says of an entry and nobody can
//! set is not read: who wrote it, when it was changed, its conflicts. Entries stand in the order of the
//! file.

use crate::ids::{self, Ids};
use crate::{Item, Read, line_of};
use api::lists::{EntryPriority, NewEntry};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What a daemon says of an entry, and nobody can set.
const TOLD: [&str; 8] = [
    "list",
    "order",
    "position",
    "created_by",
    "modified_at",
    "modified_by",
    "conflicts",
    "replicas",
];

/// An entry as it is read.
#[derive(Deserialize)]
struct Row {
    id: Option<String>,
    title: Option<String>,
    due: Option<String>,
    done: Option<bool>,
    done_at: Option<String>,
    priority: Option<EntryPriority>,
    tags: Option<Vec<String>>,
    notes: Option<String>,
    assignee: Option<String>,
    estimate: Option<i64>,
    wait: Option<String>,
    every: Option<String>,
    series: Option<String>,
    planned: Option<String>,
    created_at: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, IgnoredAny>,
}

/// A page, or a body.
#[derive(Deserialize)]
struct Several<'a> {
    #[serde(borrow, alias = "entries")]
    items: Option<Vec<&'a RawValue>>,
}

pub(crate) fn read(text: &str) -> Read {
    let (mut read, mut ids) = (Read::default(), Ids::default());
    for (line, entry) in values(text, &mut read) {
        read_entry(&mut read, &mut ids, entry, line);
    }
    read
}

/// The entries of a file, each with its line.
pub(crate) fn values<'a>(text: &'a str, read: &mut Read) -> Vec<(usize, &'a RawValue)> {
    let mut all = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for value in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        match value {
            Ok(value) => {
                for entry in entries(value) {
                    let at = entry.get().as_ptr().addr() - text.as_ptr().addr();
                    let between = text.as_bytes().get(counted..at).unwrap_or_default();
                    line += line_of(between) - 1;
                    counted = at;
                    all.push((line, entry));
                }
            }
            Err(error) => {
                read.refuse(error.line(), format!("it is not JSON: {error}"));
                break;
            }
        }
    }
    all
}

/// The entries of one value of a file.
fn entries(value: &RawValue) -> Vec<&RawValue> {
    let array: Result<Vec<&RawValue>, _> = serde_json::from_str(value.get());
    if let Ok(entries) = array {
        return entries;
    }
    match serde_json::from_str(value.get()) {
        Ok(Several { items: Some(items) }) => items,
        Ok(Several { items: None }) | Err(_) => vec![value],
    }
}

fn read_entry(read: &mut Read, ids: &mut Ids, entry: &RawValue, line: usize) {
    let row: Row = match serde_json::from_str(entry.get()) {
        Ok(row) => row,
        Err(error) => {
            let error = error.to_string();
            let why = without_place(&error);
            return read.refuse(line, format!("it is not an entry: {why}"));
        }
    };
    if row.title.is_none() && row.rest.contains_key("description") && row.rest.contains_key("uuid")
    {
        return read.refuse(
            line,
            "it has no title; it looks like an entry of Taskwarrior: --format taskwarrior reads those",
        );
    }
    for name in row
        .rest
        .keys()
        .filter(|name| !TOLD.contains(&name.as_str()))
    {
        read.pass_over(name);
    }
    let id = match &row.id {
        Some(id) => ids::of_id("json", id),
        None => ids.of_text("json", entry.get()),
    };
    let entry = NewEntry {
        id: Some(id),
        title: row.title,
        due: row.due,
        done: row.done,
        done_at: row.done_at.filter(|_| row.done == Some(true)),
        priority: row.priority,
        tags: row.tags,
        notes: row.notes,
        assignee: row.assignee,
        estimate: row.estimate,
        wait: row.wait,
        every: row.every,
        series: row.series,
        planned: row.planned,
        created_at: row.created_at,
        before: None,
        after: None,
    };
    read.items.push(Item { line, entry });
}

/// The library counts lines from where the entry begins.
pub(crate) fn without_place(error: &str) -> &str {
    error.split(" at line ").next().unwrap_or(error)
}

/// A page of entries, one a line.
pub(crate) fn write(entries: &[Value]) -> String {
    let lines: Vec<String> = entries.iter().map(Value::to_string).collect();
    format!(
        "{{\"items\": [\n{}\n], \"next\": null}}\n",
        lines.join(",\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::lists::TodoEntry;

    #[test]
    fn entries_are_read_in_each_form_with_the_lines_that_they_stand_on() {
        for text in [
            "[{\"title\":\"a\"},\n {\"title\":\"b\"}]",
            "{\"next\":null,\"items\":[{\"title\":\"a\"},\n{\"title\":\"b\"}]}",
            "{\"entries\":[{\"title\":\"a\"},\n{\"title\":\"b\"}]}",
            "{\"title\":\"a\"}\n{\"title\":\"b\"}\n",
        ] {
            let read = read(text);
            let found: Vec<_> = read
                .items
                .iter()
                .map(|item| (item.line, item.entry.title.as_deref()))
                .collect();
            assert_eq!(found, [(1, Some("a")), (2, Some("b"))], "{text}");
            assert_eq!(read.bad, []);
        }
    }

    #[test]
    fn each_entry_that_is_none_is_told() {
        let read = read(
            "[\n{\"title\":5},\n{\"title\":\"b\",\"colour\":1},\n\"c\",\n{\"description\":\"x\",\"uuid\":\"y\"}]",
        );
        let lines: Vec<usize> = read.bad.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [2, 4, 5]);
        assert!(
            read.bad[0].why.contains("expected a string"),
            "{:?}",
            read.bad
        );
        assert!(read.bad[2].why.contains("taskwarrior"));
        assert_eq!(read.passed_over["colour"], 1);
        assert_eq!(super::read("[{\"title\":\"a\"},\n oops]").bad[0].line, 2);
        assert_eq!(super::read("").items, []);
    }

    #[test]
    fn all_that_can_be_set_comes_back() {
        let text = r#"{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","title":"sweep","due":"2026-03-01","done":true,
            "done_at":"2026-02-01T10:00:00.000Z","priority":"high","tags":["a","b c"],"notes":"x\ny","assignee":"kim",
            "estimate":90,"wait":"2026-02-20","every":"FREQ=WEEKLY","series":"01ARZ3NDEKTSV4RRFFQ69G5FAA",
            "planned":"2026-02-28","order":"a0","created_at":"2026-01-01T00:00:00.000Z","created_by":"a@n1",
            "modified_at":"2026-02-01T10:00:00.000Z","modified_by":"a@n1","conflicts":["title"],"position":0}"#;
        let entry: TodoEntry = serde_json::from_str(text).unwrap();
        let raw = serde_json::to_value(&entry).unwrap();
        let read = read(&write(std::slice::from_ref(&raw)));
        assert!(
            read.bad.is_empty() && read.passed_over.is_empty(),
            "{read:?}"
        );
        let back = serde_json::to_value(&read.items[0].entry).unwrap();
        for (name, value) in back.as_object().unwrap() {
            assert_eq!(*value, raw[name], "{name}");
        }
        let settable = raw
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| !TOLD.contains(&name.as_str()));
        assert_eq!(settable.count(), back.as_object().unwrap().len());
    }

    #[test]
    fn what_has_no_id_gets_one_of_its_text_and_number() {
        let ids = |text| -> Vec<String> {
            let items = read(text).items.into_iter();
            items.filter_map(|item| item.entry.id).collect()
        };
        let twice = ids("[{\"title\":\"a\"},{\"title\":\"a\"}]");
        assert_ne!(twice[0], twice[1]);
        assert_eq!(
            twice,
            ids("[{\"title\":\"b\"},{\"title\":\"a\"},{\"title\":\"a\"}]")[1..]
        );
        assert_eq!(
            ids("[{\"id\":\"7\",\"title\":\"a\"}]"),
            ids("[{\"id\":\"7\",\"title\":\"b\"}]")
        );
    }
}
