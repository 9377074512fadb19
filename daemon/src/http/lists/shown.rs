//! Entries and lists between the forms of the API and those of the node.

use crate::http::problem::Problem;
use crate::http::time::{parse_date, parse_due, parse_past};
use api::lists::{
    EntryField, EntryPatch as PatchBody, EntryPriority, Given, NewEntry as EntryBody,
    ReplicaConfirmations, TodoEntry, TodoList,
};
use api::time::{Due, Millis};
use crdt::entry::{self, Entry, EntryPatch, NewEntry, Place, Priority, rule};
use names::EntryId;
use node::lists::{Confirmations, ListRow};

/// An entry by itself.
pub(crate) fn todo_entry(entry: Entry) -> TodoEntry {
    let conflicts = entry.conflicts.iter();
    TodoEntry {
        list: None,
        id: entry.id.to_string(),
        due: entry.due.map(due),
        done: !entry.is_open(),
        done_at: entry.done_at.map(Millis),
        priority: entry
            .priority
            .map(|priority| EntryPriority::from(priority.as_str())),
        conflicts: conflicts
            .map(|field| EntryField::from(field.as_str()))
            .collect(),
        title: entry.title,
        tags: entry.tags,
        notes: entry.notes,
        assignee: entry.assignee,
        estimate: entry.estimate,
        wait: entry.wait.map(due),
        every: entry.every,
        series: entry.series,
        planned: entry.planned.map(due),
        order: entry.order,
        created_at: Millis(entry.created_at),
        created_by: entry.created_by.0,
        modified_at: Millis(entry.modified_at),
        modified_by: entry.modified_by.0,
        position: None,
        replicas: None,
    }
}

fn due(due: entry::Due) -> Due {
    match due {
        entry::Due::Date(date) => Due::Date(date),
        entry::Due::Instant(ms) => Due::Instant(Millis(ms)),
    }
}

/// An entry with its place in its list.
pub(crate) fn at(entry: TodoEntry, position: u64) -> TodoEntry {
    TodoEntry {
        position: Some(position),
        ..entry
    }
}

/// Checks the fields of an entry; `prefix` says where it stands in the body.
pub(crate) fn new_entry(body: EntryBody, prefix: &str) -> Result<NewEntry, Problem> {
    let named = |field: &str| format!("{prefix}{field}");
    let Some(title) = body.title else {
        return Err(Problem::invalid(format!(
            "{:?} is missing; one line of 1 to 4096 bytes is right",
            named("title")
        )));
    };
    let entry = NewEntry {
        id: body.id.map(|id| parse_id(&named("id"), &id)).transpose()?,
        title,
        due: body
            .due
            .map(|due| parse_due(&named("due"), &due))
            .transpose()?,
        done: body.done.unwrap_or(false),
        done_at: body
            .done_at
            .map(|at| parse_past(&named("done_at"), &at))
            .transpose()?,
        created_at: body
            .created_at
            .map(|at| parse_past(&named("created_at"), &at))
            .transpose()?,
        priority: body
            .priority
            .map(|priority| parse_priority(&named("priority"), priority))
            .transpose()?,
        tags: body.tags.unwrap_or_default(),
        notes: body.notes.unwrap_or_default(),
        assignee: body.assignee,
        estimate: body.estimate,
        wait: body
            .wait
            .map(|wait| parse_due(&named("wait"), &wait))
            .transpose()?,
        every: body.every.map(|rule| rule::written(&rule)),
        series: body
            .series
            .map(|id| parse_id(&named("series"), &id).map(|id| id.to_string()))
            .transpose()?,
        planned: body
            .planned
            .map(|day| parse_date(&named("planned"), &day).map(entry::Due::Date))
            .transpose()?,
        place: parse_place(body.before, body.after)?,
    };
    if entry.done_at.is_some() && !entry.done {
        return Err(Problem::invalid(format!(
            "{:?} is given, but \"done\" is not true",
            named("done_at")
        )));
    }
    entry
        .check()
        .map_err(|error| Problem::invalid(format!("{:?} {}", named(error.field), error.detail)))?;
    Ok(entry)
}

/// Checks the fields of a patch.
pub(crate) fn entry_patch(body: PatchBody) -> Result<EntryPatch, Problem> {
    let title = match body.title {
        Some(None) => {
            return Err(Problem::invalid(
                "\"title\" is null, but a title cannot be \
                cleared",
            ));
        }
        Some(title) => title,
        None => None,
    };
    let patch = EntryPatch {
        title,
        due: parse_given(body.due, |due| parse_due("due", &due))?,
        done: body.done.map(Option::unwrap_or_default),
        priority: parse_given(body.priority, |priority| {
            parse_priority("priority", priority)
        })?,
        tags: body.tags.map(Option::unwrap_or_default),
        notes: body.notes.map(Option::unwrap_or_default),
        assignee: body.assignee,
        estimate: body.estimate,
        wait: parse_given(body.wait, |wait| parse_due("wait", &wait))?,
        every: body.every.map(|rule| rule.map(|rule| rule::written(&rule))),
        series: None,
        planned: None,
        place: parse_place(body.before, body.after)?,
    };
    patch
        .check()
        .map_err(|error| Problem::invalid(format!("{:?} {}", error.field, error.detail)))?;
    Ok(patch)
}

fn parse_given<G, T>(
    given: Given<G>,
    parse: impl Fn(G) -> Result<T, Problem>,
) -> Result<Given<T>, Problem> {
    given.map(|value| value.map(&parse).transpose()).transpose()
}

pub(crate) fn parse_id(field: &str, text: &str) -> Result<EntryId, Problem> {
    text.parse()
        .map_err(|error| Problem::invalid(format!("{field:?}: {error}")))
}

fn parse_priority(field: &str, priority: EntryPriority) -> Result<Priority, Problem> {
    match priority {
        EntryPriority::High => Ok(Priority::High),
        EntryPriority::Medium => Ok(Priority::Medium),
        EntryPriority::Low => Ok(Priority::Low),
        EntryPriority::Other(text) => Err(Problem::invalid(format!(
            "{field:?} is {text:?}; it must be high, medium, low or null"
        ))),
    }
}

fn parse_place(before: Option<String>, after: Option<String>) -> Result<Option<Place>, Problem> {
    match (before, after) {
        (None, None) => Ok(None),
        (Some(id), None) => parse_id("before", &id).map(|id| Some(Place::Before(id))),
        (None, Some(id)) => parse_id("after", &id).map(|id| Some(Place::After(id))),
        (Some(_), Some(_)) => Err(Problem::invalid(
            "\"before\" and \"after\" cannot both be given",
        )),
    }
}

/// What became of waiting until several nodes have a change on disk.
pub(crate) fn replicas(confirmations: &Confirmations) -> ReplicaConfirmations {
    let confirmed = confirmations.confirmed.iter();
    ReplicaConfirmations {
        asked: confirmations.asked as u64,
        confirmed: confirmed.map(ToString::to_string).collect(),
        reached: confirmations.reached,
    }
}

/// A list.
pub(crate) fn todo_list(row: &ListRow) -> TodoList {
    TodoList {
        name: row.name.to_string(),
        total: row.total,
        open: row.open,
        modified_at: Millis(row.modified_at),
        heads: row.heads.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crdt::entry::{Author, Due, Field};

    /// An entry to test with.
    pub(crate) fn entry(id: u128) -> Entry {
        Entry {
            title: "Dentist".into(),
            due: Some(Due::Date(jiff::civil::date(2018, 12, 19))),
            priority: Some(Priority::High),
            tags: vec!["health".into()],
            estimate: Some(90),
            order: "a0".into(),
            created_at: 1_545_000_000_000,
            created_by: Author("alice@node1".into()),
            modified_at: 1_545_000_000_001,
            modified_by: Author("bob@node2".into()),
            conflicts: vec![Field::Deleted, Field::Title],
            ..Entry::new(EntryId(id))
        }
    }

    #[test]
    fn an_entry_has_exactly_the_fields_of_the_contract() {
        let entry = entry(1);
        let shown = serde_json::to_value(at(todo_entry(entry), 3)).unwrap();
        let expected = serde_json::json!({
            "id": "00000000000000000000000001", "title": "Dentist", "due": "2018-12-19", "done": false, "done_at": null,
            "priority": "high", "tags": ["health"], "notes": "", "assignee": null, "estimate": 90,
            "wait": null, "every": null, "series": null, "planned": null, "order": "a0",
            "created_at": "2018-12-16T22:40:00.000Z", "created_by": "alice@node1",
            "modified_at": "2018-12-16T22:40:00.001Z", "modified_by": "bob@node2",
            "conflicts": ["deleted", "title"], "position": 3
        });
        assert_eq!(shown, expected);
    }
}
