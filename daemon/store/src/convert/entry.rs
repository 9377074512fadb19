//! Entries as rows of format 1 have them: bincode of a struct, which cannot take another field.
//!
//! Such a row has no tag, and says nothing of keys that its maker did not know: the list is made
//! anew from its changes after the conversion.

use crdt::entry::{Author, Due, Entry, Field, Priority};
use names::EntryId;
use serde::Deserialize;

/// The fields in the order in which they were first written.
#[derive(Deserialize)]
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
