//! `muster watch`: a list as it changes.

use crate::cluster::events::told;
use crate::failure::Failure;
use crate::ids;
use crate::lists;
use crate::lists::entry::mark;
use crate::session::Session;
use crate::stream::Stream;
use crate::text::printable;
use api::events::ListStreamEvent;
use api::lists::TodoEntry;
use api::time::Millis;
use client::{ApiPath, ServerEvent};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Prints the list as it is, then a line for each change.
pub(crate) async fn follow(session: &Session<'_>, list: &str) -> Result<(), Failure> {
    let path = ApiPath::new(&["lists", list, "watch"]);
    let mut stream = Stream::open(session, &path).await?;
    // A snapshot may come in several parts; short ids need all of it.
    let mut first: Vec<TodoEntry> = Vec::new();
    let mut known = Known::default();
    loop {
        let event = stream.next().await?;
        let mut data = told(&event)?;
        if session.output.is_json() {
            named(&mut data, &event.event);
            session.output.json(&data)?;
            continue;
        }
        if let Ok(ListStreamEvent::Snapshot(part)) = event.read() {
            first.extend(part.items);
            if part.last {
                let all = std::mem::take(&mut first);
                known = all
                    .iter()
                    .map(|one| (one.id.clone(), one.clone()))
                    .collect();
                session.output.table(&lists::table(&all, &all, session))?;
            }
            continue;
        }
        let now = Millis(jiff::Timestamp::now().as_millisecond());
        let now = session.time(&now.to_string());
        session
            .output
            .happened(&now, &describe(&event, &mut known))?;
    }
}

/// In a file of lines each object must say itself what it is.
pub(crate) fn named(data: &mut Value, event: &str) {
    if let Some(object) = data.as_object_mut() {
        object.entry("event").or_insert_with(|| json!(event));
    }
}

/// The entries as they were last told, by their ids.
type Known = BTreeMap<String, TodoEntry>;

/// What happened, by whom; of a change the fields that differ.
fn describe(event: &ServerEvent, known: &mut Known) -> String {
    let name = printable(&event.event);
    let id = |id: &str| printable(ids::likely(id));
    match event.read() {
        Ok(ListStreamEvent::Added(told) | ListStreamEvent::Changed(told)) => {
            let entry = told.entry;
            let (title, by) = (printable(&entry.title), printable(&entry.modified_by));
            let (short, mark) = (id(&entry.id), mark(entry.done));
            let before = known.insert(entry.id.clone(), entry.clone());
            let fields = before.map(|before| differences(&before, &entry));
            let fields = fields.filter(|fields| !fields.is_empty());
            let fields =
                fields.map_or_else(String::new, |fields| format!(" {}", fields.join(", ")));
            format!("{name} {short}{fields} by {by} {mark} {title}")
        }
        Ok(ListStreamEvent::Removed(removed)) => {
            let title = known
                .remove(&removed.id)
                .map(|entry| printable(&entry.title));
            format!("{name} {} {}", id(&removed.id), title.unwrap_or_default())
                .trim_end()
                .to_owned()
        }
        Ok(
            ListStreamEvent::Snapshot(_) | ListStreamEvent::Deleted(_) | ListStreamEvent::Lagged(_),
        )
        | Err(_) => name,
    }
}

/// The fields that differ, as the API names them.
fn differences(before: &TodoEntry, after: &TodoEntry) -> Vec<&'static str> {
    let all = [
        ("title", before.title != after.title),
        ("done", before.done != after.done),
        ("due", before.due != after.due),
        ("priority", before.priority != after.priority),
        ("tags", before.tags != after.tags),
        ("notes", before.notes != after.notes),
        ("assignee", before.assignee != after.assignee),
        ("estimate", before.estimate != after.estimate),
        ("wait", before.wait != after.wait),
        ("every", before.every != after.every),
        ("order", before.order != after.order),
        ("conflicts", before.conflicts != after.conflicts),
    ];
    let unlike = all.into_iter().filter(|(_, differs)| *differs);
    unlike.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::entry::sample;

    #[test]
    fn changes_read_as_lines() {
        let event = |event: &str, data: Value| ServerEvent {
            event: event.to_owned(),
            data: data.to_string(),
            id: None,
        };
        let entry = TodoEntry {
            done: true,
            ..sample("01J9ZX0000AAAAAAAAAAAAABCD", "milk\n")
        };
        let mut known = Known::default();
        let mut describe = |name: &str, data| describe(&event(name, data), &mut known);
        assert_eq!(
            describe("added", json!({ "entry": entry })),
            "added AAABCD by alice@n1 [x] milk\\u{a}"
        );
        let changed = TodoEntry {
            notes: "of oats".to_owned(),
            done: false,
            modified_by: "anna@alpha".to_owned(),
            ..entry
        };
        assert_eq!(
            describe("changed", json!({ "entry": changed })),
            "changed AAABCD done, notes by anna@alpha [ ] milk\\u{a}"
        );
        let removed = json!({"id": "01J9ZX0000AAAAAAAAAAAAABCD"});
        assert_eq!(
            describe("removed", removed.clone()),
            "removed AAABCD milk\\u{a}"
        );
        assert_eq!(describe("removed", removed), "removed AAABCD");
        assert_eq!(describe("deleted", json!({})), "deleted");
        assert_eq!(describe("merged", json!({"id": 7})), "merged");
    }

    #[test]
    fn an_object_says_which_event_it_is() {
        let mut data = json!({"id": "x"});
        named(&mut data, "removed");
        assert_eq!(data, json!({"id": "x", "event": "removed"}));
    }
}
