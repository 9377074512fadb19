//! Entries and lists as the API writes them.

use crate::api::time::{Millis, ShownDue};
use crdt::entry::{Entry, Field, Priority};
use names::{ChangeHash, EntryId};
use node::lists::{Confirmations, ListRow};
use serde::{Serialize, Serializer};
use std::fmt::Display;
use utoipa::ToSchema;

/// Writes a value as the text that it displays as.
pub(crate) fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// An entry of a to-do list.
#[derive(Serialize, ToSchema)]
#[schema(as = Entry)]
pub(crate) struct ShownEntry<'a> {
    /// The list that it is in; only in answers over several lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    list: Option<&'a str>,
    /// A ULID, unique in its list.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String, pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
    id: EntryId,
    /// What is to do: one line, at most 4 KiB.
    title: &'a str,
    /// A date (`YYYY-MM-DD`), an instant (RFC 3339) or null.
    #[schema(value_type = Option<String>, required = true)]
    due: Option<ShownDue>,
    /// Whether it is done.
    done: bool,
    /// When it was done.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    done_at: Option<Millis>,
    /// How much it matters.
    #[schema(value_type = Option<ShownPriority>, required = true)]
    priority: Option<Priority>,
    /// Sorted; at most 64 of 64 bytes.
    tags: &'a [String],
    /// Free text, at most 64 KiB; empty without.
    notes: &'a str,
    /// Who is to do it.
    #[schema(required = true)]
    assignee: Option<&'a str>,
    /// An opaque sort key: entries are ordered by it, then by id.
    order: &'a str,
    /// When it was added.
    #[schema(value_type = String, format = DateTime)]
    created_at: Millis,
    /// Who added it.
    created_by: &'a str,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    modified_at: Millis,
    /// Who changed it last.
    modified_by: &'a str,
    /// The fields that have more than one concurrent value; `deleted` for deleted by one and edited
    /// by another.
    #[schema(value_type = Vec<ShownField>)]
    conflicts: &'a [Field],
    /// Its place in the list from 0; only in answers that list in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    position: Option<u64>,
    /// What became of waiting for replicas, if the call asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    replicas: Option<ShownReplicas<'a>>,
}

/// How much an entry matters.
#[derive(ToSchema)]
#[schema(as = Priority, rename_all = "lowercase")]
#[expect(
    dead_code,
    reason = "describes crdt's type, which knows nothing of OpenAPI"
)]
pub(crate) enum ShownPriority {
    High,
    Medium,
    Low,
}

/// A field that can be in conflict.
#[derive(ToSchema)]
#[schema(as = Field, rename_all = "lowercase")]
#[expect(
    dead_code,
    reason = "describes crdt's type, which knows nothing of OpenAPI"
)]
pub(crate) enum ShownField {
    Deleted,
    Title,
    Done,
    Due,
    Priority,
    Tags,
    Notes,
    Assignee,
    Order,
}

impl<'a> ShownEntry<'a> {
    pub(crate) fn new(entry: &'a Entry) -> Self {
        Self {
            list: None,
            id: entry.id,
            title: &entry.title,
            due: entry.due.map(ShownDue),
            done: !entry.is_open(),
            done_at: entry.done_at.map(Millis),
            priority: entry.priority,
            tags: &entry.tags,
            notes: &entry.notes,
            assignee: entry.assignee.as_deref(),
            order: &entry.order,
            created_at: Millis(entry.created_at),
            created_by: &entry.created_by.0,
            modified_at: Millis(entry.modified_at),
            modified_by: &entry.modified_by.0,
            conflicts: &entry.conflicts,
            position: None,
            replicas: None,
        }
    }

    /// With its place in the list.
    pub(crate) fn at(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }

    /// With the name of its list.
    pub(crate) fn of(mut self, list: &'a str) -> Self {
        self.list = Some(list);
        self
    }

    /// With what became of waiting for replicas.
    pub(crate) fn with(mut self, replicas: Option<ShownReplicas<'a>>) -> Self {
        self.replicas = replicas;
        self
    }
}

/// What became of waiting until several nodes have a change on disk.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Replicas)]
pub(crate) struct ShownReplicas<'a> {
    /// How many nodes were asked for, this one among them.
    asked: usize,
    /// The names of those that have confirmed.
    confirmed: Vec<&'a str>,
    /// Whether these are enough.
    reached: bool,
}

impl<'a> ShownReplicas<'a> {
    pub(crate) fn new(confirmations: &'a Confirmations) -> Self {
        let confirmed = confirmations
            .confirmed
            .iter()
            .map(|name| name.as_str())
            .collect();
        Self {
            asked: confirmations.asked,
            confirmed,
            reached: confirmations.reached,
        }
    }
}

/// A to-do list.
#[derive(Serialize, ToSchema)]
#[schema(as = List)]
pub(crate) struct ShownList<'a> {
    /// Its name.
    name: &'a str,
    /// How many entries it has.
    total: u64,
    /// How many of them are not done.
    open: u64,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    modified_at: Millis,
    /// The hashes of its newest changes.
    #[serde(serialize_with = "hashes")]
    #[schema(value_type = Vec<String>)]
    heads: &'a [ChangeHash],
}

impl<'a> ShownList<'a> {
    pub(crate) fn new(row: &'a ListRow) -> Self {
        Self {
            name: row.name.as_str(),
            total: row.total,
            open: row.open,
            modified_at: Millis(row.modified_at),
            heads: &row.heads,
        }
    }
}

fn hashes<S: Serializer>(hashes: &&[ChangeHash], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(hashes.iter().map(ToString::to_string))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crdt::entry::{Author, Due};

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
        let shown = serde_json::to_value(ShownEntry::new(&entry).at(3)).unwrap();
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
