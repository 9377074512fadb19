//! Entries as rows of format 1 have them: bincode of a struct, which cannot take another field.

use crdt::entry::{Author, Due, Entry, Field, Priority};
use names::EntryId;
use serde::{Deserialize, Serialize};

/// The fields in the order in which they were first written.
#[derive(Serialize, Deserialize)]
pub(super) struct EntryRow {
    id: EntryId,
    title: String,
    due: Option<Due>,
    done_at: Option<i64>,
    priority: Option<Priority>,
    tags: Vec<String>,
    notes: String,
    assignee: Option<String>,
    order: String,
    created_at: i64,
    created_by: Author,
    modified_at: i64,
    modified_by: Author,
    /// Each by its index in [`FIELDS`].
    conflicts: Vec<u32>,
}

const FIELDS: [Field; 9] = [
    Field::Deleted,
    Field::Title,
    Field::Done,
    Field::Due,
    Field::Priority,
    Field::Tags,
    Field::Notes,
    Field::Assignee,
    Field::Order,
];

impl From<&Entry> for EntryRow {
    fn from(entry: &Entry) -> Self {
        let entry = entry.clone();
        let number = |field| (0..).zip(FIELDS).find(|(_, known)| *known == field);
        let conflicts = entry.conflicts.into_iter().filter_map(number);
        Self {
            id: entry.id,
            title: entry.title,
            due: entry.due,
            done_at: entry.done_at,
            priority: entry.priority,
            tags: entry.tags,
            notes: entry.notes,
            assignee: entry.assignee,
            order: entry.order,
            created_at: entry.created_at,
            created_by: entry.created_by,
            modified_at: entry.modified_at,
            modified_by: entry.modified_by,
            conflicts: conflicts.map(|(number, _)| number).collect(),
        }
    }
}

impl From<EntryRow> for Entry {
    fn from(row: EntryRow) -> Self {
        let field = |number: u32| FIELDS.get(usize::try_from(number).ok()?).copied();
        let mut conflicts: Vec<Field> = row.conflicts.into_iter().filter_map(field).collect();
        conflicts.sort_unstable();
        Self {
            title: row.title,
            due: row.due,
            done_at: row.done_at,
            priority: row.priority,
            tags: row.tags,
            notes: row.notes,
            assignee: row.assignee,
            order: row.order,
            created_at: row.created_at,
            created_by: row.created_by,
            modified_at: row.modified_at,
            modified_by: row.modified_by,
            conflicts,
            ..Self::new(row.id)
        }
    }
}
