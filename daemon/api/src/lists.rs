//! To-do lists and their entries.

mod bulk;
mod check;
mod document;
mod history;

pub use bulk::{BulkChange, ChangedEntries};
pub use check::{CheckedEntries, RefusedEntry};
pub use document::MergedDocument;
pub use history::{
    ChangedEntry, ChangedField, EntryFate, HistoryQuery, ListChange, ListChangePage, NotUndone,
    SkippedField, UndoRequest, UndoResult,
};

use crate::page::Page;
use crate::request::objects;
use crate::time::{Due, Millis};
use crate::words::words;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

words! {
    /// How much an entry matters.
    EntryPriority {
        /// Before all others.
        High = "high",
        /// In between.
        Medium = "medium",
        /// After all others.
        Low = "low",
    }

    /// Which entries.
    EntryStateFilter {
        /// Those that are not done.
        Open = "open",
        /// Those that are done.
        Done = "done",
        /// Both (the default).
        All = "all",
    }

    /// Which entries, by whether they are out of sight until a later day.
    WaitingFilter {
        /// These too (the default).
        Show = "show",
        /// Not these.
        Hide = "hide",
        /// Only these.
        Only = "only",
    }

    /// A field of an entry that can be in conflict.
    EntryField {
        /// Deleted by one, and edited by another.
        Deleted = "deleted",
        /// Its title.
        Title = "title",
        /// Whether it is done.
        Done = "done",
        /// When it is due.
        Due = "due",
        /// How much it matters.
        Priority = "priority",
        /// Its tags.
        Tags = "tags",
        /// Its notes.
        Notes = "notes",
        /// Who is to do it.
        Assignee = "assignee",
        /// How long it will take.
        Estimate = "estimate",
        /// Until when it is out of sight.
        Wait = "wait",
        /// The rule by which it recurs.
        Every = "every",
        /// The series that it belongs to.
        Series = "series",
        /// The day on which its series has it.
        Planned = "planned",
        /// Its place in the list.
        Order = "order",
    }
}

/// An entry of a to-do list.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct TodoEntry {
    /// The list that it is in; only in answers over several lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub list: Option<String>,
    /// A ULID, unique in its list.
    #[schema(pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
    pub id: String,
    /// What needs doing: one line, at most 4 KiB.
    pub title: String,
    /// A date (`YYYY-MM-DD`), an instant (RFC 3339) or null.
    #[schema(value_type = Option<String>, required = true)]
    pub due: Option<Due>,
    /// Whether it is done.
    pub done: bool,
    /// When it was done.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    pub done_at: Option<Millis>,
    /// How much it matters.
    #[schema(required = true)]
    pub priority: Option<EntryPriority>,
    /// Sorted; at most 64 of 64 bytes.
    pub tags: Vec<String>,
    /// Free text, at most 64 KiB; empty without.
    pub notes: String,
    /// Who is to do it.
    #[schema(required = true)]
    pub assignee: Option<String>,
    /// How many minutes it will take.
    #[schema(required = true, minimum = 1, maximum = 525_600)]
    pub estimate: Option<i64>,
    /// The day or the instant until which it is out of sight, if it is open.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = true)]
    pub wait: Option<Due>,
    /// The rule of RFC 5545 by which it recurs: ticking it adds the next one.
    #[serde(default)]
    #[schema(required = true)]
    pub every: Option<String>,
    /// The id of the first entry of its series; null for that one.
    #[serde(default)]
    #[schema(required = true)]
    pub series: Option<String>,
    /// The day on which its series has it, also if it was put off; null for the first one.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date, required = true)]
    pub planned: Option<Due>,
    /// An opaque sort key: entries are ordered by it, then by id.
    pub order: String,
    /// When it was added.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Millis,
    /// Who added it.
    pub created_by: String,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub modified_at: Millis,
    /// Who changed it last.
    pub modified_by: String,
    /// The fields that have more than one concurrent value; `deleted` for deleted by one and edited
    /// by another.
    pub conflicts: Vec<EntryField>,
    /// Its place in the list from 0; only in answers that list in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub position: Option<u64>,
    /// What became of waiting for replicas, if the call asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub replicas: Option<ReplicaConfirmations>,
}

/// A page of entries.
pub type TodoEntryPage = Page<TodoEntry>;

/// What became of waiting until several nodes have a change on disk.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ReplicaConfirmations {
    /// How many nodes were asked for, this one among them.
    pub asked: u64,
    /// The names of those that have confirmed.
    pub confirmed: Vec<String>,
    /// Whether these are enough.
    pub reached: bool,
}

/// A to-do list.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct TodoList {
    /// Its name.
    pub name: String,
    /// How many entries it has.
    pub total: u64,
    /// How many of them are not done.
    pub open: u64,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub modified_at: Millis,
    /// The hashes of its newest changes.
    pub heads: Vec<String>,
}

/// Which lists.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListsQuery {
    /// A part of the name, in any case.
    #[serde(rename = "match")]
    pub part: Option<String>,
}

/// Which entries: those that pass all of it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EntriesQuery {
    /// Whether they are done.
    pub state: Option<EntryStateFilter>,
    /// A day (`YYYY-MM-DD`), `none` for entries without one, or `overdue` for what is open and was due
    /// before today. Not together with `due_from` or `due_to`.
    pub due: Option<String>,
    /// The first day, included.
    #[param(format = Date)]
    pub due_from: Option<String>,
    /// The last day, included.
    #[param(format = Date)]
    pub due_to: Option<String>,
    /// A tag that the entry must have; repeated, all of them.
    #[param(explode = true)]
    pub tag: Option<Vec<String>>,
    /// Who is to do it, exactly.
    pub assignee: Option<String>,
    /// The least estimate in minutes, included.
    #[param(minimum = 0)]
    pub estimate_min: Option<u32>,
    /// The greatest estimate in minutes, included; what has none does not pass.
    #[param(minimum = 0)]
    pub estimate_max: Option<u32>,
    /// How much it matters: `high`, `medium`, `low`, or `none` for entries without a priority.
    pub priority: Option<String>,
    /// A part of the title or the notes, in any case.
    pub text: Option<String>,
    /// Whether those are among them that are out of sight until a later day, by this node's clock.
    pub waiting: Option<WaitingFilter>,
    /// The time zone that decides on which day an instant is, and which day is today: its IANA name, or
    /// its rules as POSIX writes them in `TZ` (`CET-1CEST,M3.5.0,M10.5.0/3`); UTC without.
    pub tz: Option<String>,
}

/// A list as it was.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AtQuery {
    /// The hash of a change: the list as it was with that change and all that it builds upon.
    #[param(pattern = "^[0-9a-fA-F]{64}$")]
    pub at: Option<String>,
}

/// How a change is confirmed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WriteQuery {
    /// Wait until so many nodes in all have the change on disk: a number from 1, `majority` or
    /// `all` of the roster.
    pub replicas: Option<String>,
    /// How long to wait: `500ms`, `5s` (the default) or `2m`, at most 5 min.
    pub timeout: Option<String>,
}

/// Which lists are made anew.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RebuildQuery {
    /// Only this list.
    pub list: Option<String>,
}

/// A page of lists.
pub type TodoListPage = Page<TodoList>;

/// An entry to add. All but `title` may be missing or null.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEntry {
    /// The client's own id (a ULID), which makes a retry harmless.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What needs doing: one line, at most 4 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = true, nullable = false)]
    pub title: Option<String>,
    /// A date (`YYYY-MM-DD`) or an instant (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// Already done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<bool>,
    /// When it was done (RFC 3339), of one that is; when it is added without.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub done_at: Option<String>,
    /// How much it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<EntryPriority>,
    /// At most 64 of 64 bytes each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Free text, at most 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Who is to do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// How many minutes it will take.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 525_600)]
    pub estimate: Option<i64>,
    /// Until when it is out of sight: a date or an instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// The rule by which it recurs, by days: `FREQ=WEEKLY;BYDAY=MO,TH` (RFC 5545, without `COUNT`).
    /// Ticking it adds the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500)]
    pub every: Option<String>,
    /// The id of the first entry of its series, of one that was added elsewhere before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// The day on which its series has it, of one that was added elsewhere before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Date)]
    pub planned: Option<String>,
    /// When it was added elsewhere before (RFC 3339); now without.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub created_at: Option<String>,
    /// The id of an entry to be placed before; at the end without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The id of an entry to be placed after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Several entries to add: all or none.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEntries {
    /// 1 to 10,000 entries.
    #[serde(deserialize_with = "objects")]
    #[schema(min_items = 1, max_items = 10_000)]
    pub entries: Vec<NewEntry>,
}

/// One entry to add, or several.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum NewEntryOrEntries {
    /// Answered with the entry.
    One(Box<NewEntry>),
    /// Answered with `items`.
    Several(NewEntries),
}

/// Entries that were added together.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct AddedEntries {
    /// The entries, in the order of the call.
    pub items: Vec<TodoEntry>,
    /// What became of waiting for replicas, if the call asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub replicas: Option<ReplicaConfirmations>,
}

/// The entry that was added, or several as `items`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum AddedEntryOrEntries {
    /// To one entry.
    One(Box<TodoEntry>),
    /// To several.
    Several(AddedEntries),
}

/// A field's value if the field is there: null stays null.
pub type Given<T> = Option<Option<T>>;

/// An entry with fields that were written apart.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct EntryConflicts {
    /// The entry's id.
    pub id: String,
    /// Its title, as it is shown.
    pub title: String,
    /// For `If-Match` of a decision.
    pub etag: String,
    /// The fields.
    pub fields: Vec<FieldConflict>,
}

/// A page of entries with fields that were written apart.
pub type EntryConflictsPage = Page<EntryConflicts>;

/// A field that was written apart.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct FieldConflict {
    /// Which field.
    pub field: EntryField,
    /// All its values, the one that is shown first. Of `deleted` they are `deleted` and `edited`, of `done`
    /// `done` and `open`, of `tags` `+TAG` and `-TAG`, of `order` `first` and `after ID`; what was cleared
    /// is empty.
    pub values: Vec<FieldValue>,
}

/// One of several values.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct FieldValue {
    /// What was written.
    pub value: String,
    /// Who wrote it, and on which node.
    pub by: String,
    /// When, by the clock of that node.
    #[schema(value_type = String, format = DateTime)]
    pub at: Millis,
}

/// A decision between values of a field.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// The entry's id.
    pub entry: String,
    /// Which field.
    pub field: EntryField,
    /// The value that it shall have, written as the values of a conflict are.
    pub value: String,
}

/// A merge patch (RFC 7396) of an entry: what is missing stays, null clears.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryPatch {
    /// One line, at most 4 KiB; cannot be cleared.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, nullable = false)]
    pub title: Given<String>,
    /// A date, an instant, or null.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub due: Given<String>,
    /// Null is false. Ticking what is ticked keeps the time.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<bool>)]
    pub done: Given<bool>,
    /// How much it matters, or null.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<EntryPriority>)]
    pub priority: Given<EntryPriority>,
    /// All that it shall have; written as a difference to those that it has here, so that others'
    /// additions stay.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<Vec<String>>)]
    pub tags: Given<Vec<String>>,
    /// At most 64 KiB; null clears.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub notes: Given<String>,
    /// Who is to do it, or null.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub assignee: Given<String>,
    /// How many minutes it will take, or null.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 525_600)]
    pub estimate: Given<i64>,
    /// Until when it is out of sight, or null.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub wait: Given<String>,
    /// The rule by which it recurs, or null.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, max_length = 500)]
    pub every: Given<String>,
    /// The id of an entry to be moved before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The id of an entry to be moved after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Tells a field that is null from one that is not there: `Some(None)` and `None`.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Given<T>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The answer to a deletion that waited for replicas.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct DeleteResult {
    /// What became of waiting.
    pub replicas: ReplicaConfirmations,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_not_the_same_as_nothing() {
        let patch = |text| serde_json::from_str::<EntryPatch>(text).unwrap().due;
        assert_eq!(patch("{}"), None);
        assert_eq!(patch(r#"{"due":null}"#), Some(None));
        assert_eq!(patch(r#"{"due":"x"}"#), Some(Some("x".into())));
    }

    #[test]
    fn a_patch_is_written_as_it_was_read() {
        let text = r#"{"due":null,"priority":"low"}"#;
        let patch: EntryPatch = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&patch).unwrap(), text);
    }
}
