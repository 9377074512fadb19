//! Entries and lists as the API writes them.

use api::lists::{EntryField, EntryPriority, ReplicaConfirmations, TodoEntry, TodoList};
use api::time::{Due, Millis};
use crdt::entry::{self, Entry};
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
    use crdt::entry::{Author, Due, Field, Priority};
    use names::EntryId;

    /// An entry to test with.
    pub(crate) fn entry(id: u128) -> Entry {
        Entry {
            title: "Dentist".into(),
            due: Some(Due::Date(jiff::civil::date(2018, 12, 19))),
            priority: Some(Priority::High),
            tags: vec!["health".into()],
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
            "priority": "high", "tags": ["health"], "notes": "", "assignee": null, "order": "a0",
            "created_at": "2018-12-16T22:40:00.000Z", "created_by": "alice@node1",
            "modified_at": "2018-12-16T22:40:00.001Z", "modified_by": "bob@node2",
            "conflicts": ["deleted", "title"], "position": 3
        });
        assert_eq!(shown, expected);
    }
}
