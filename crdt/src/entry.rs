//! An entry of a to-do list as people see it, and what they can do to it.

use names::EntryId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

pub mod limits;

/// When an entry is due: on a day, wherever one is, or at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Due {
    /// A day of the calendar.
    Date(jiff::civil::Date),
    /// Milliseconds since the Unix epoch.
    Instant(i64),
}

impl Due {
    /// Milliseconds since the epoch to sort by: a day counts as its midnight in UTC.
    pub fn sort_ms(self) -> i64 {
        match self {
            Self::Date(date) => {
                i64::from(
                    date.since(jiff::civil::date(1970, 1, 1))
                        .map_or(0, |span| span.get_days()),
                ) * 86_400_000
            }
            Self::Instant(ms) => ms,
        }
    }
}

/// How much an entry matters; no priority is `None` where one is optional.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Sorts first.
    High,
    /// In between.
    Medium,
    /// Sorts last of those that have one.
    Low,
}

impl Priority {
    /// As it is written in documents and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// The parts of an entry that can be in conflict, in the order in which `conflicts` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// Deleted by one, edited by another at the same time: the entry stays, marked.
    Deleted,
    /// The one line that says what is to do.
    Title,
    /// Done or not, and when.
    Done,
    /// The due date or instant.
    Due,
    /// The priority.
    Priority,
    /// The set of tags.
    Tags,
    /// The free text.
    Notes,
    /// Who is to do it.
    Assignee,
    /// The place among the others.
    Order,
}

impl Field {
    /// As `conflicts` names it in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Title => "title",
            Self::Done => "done",
            Self::Due => "due",
            Self::Priority => "priority",
            Self::Tags => "tags",
            Self::Notes => "notes",
            Self::Assignee => "assignee",
            Self::Order => "order",
        }
    }
}

/// Who wrote a change: `alice@node1`. What other replicas hold may be any text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Author(pub String);

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A live entry: the winning value of each field, and which fields have others beside it.
/// Equal documents give equal entries on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id, unique in its list.
    pub id: EntryId,
    /// What is to do: one line.
    pub title: String,
    /// When it is due.
    pub due: Option<Due>,
    /// When it was done (milliseconds since the epoch); open without.
    pub done_at: Option<i64>,
    /// How much it matters.
    pub priority: Option<Priority>,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// Free text; empty without.
    pub notes: String,
    /// Who is to do it.
    pub assignee: Option<String>,
    /// Sort key: entries are ordered by (order, id).
    pub order: String,
    /// Milliseconds since the epoch, by the clock of the node that made it.
    pub created_at: i64,
    /// The author of the change that made it.
    pub created_by: Author,
    /// Milliseconds since the epoch, of the last change that touched it.
    pub modified_at: i64,
    /// The author of that change.
    pub modified_by: Author,
    /// Fields with more than one concurrent value, sorted.
    pub conflicts: Vec<Field>,
}

impl Entry {
    /// Whether it is still to do.
    pub fn is_open(&self) -> bool {
        self.done_at.is_none()
    }

    /// Changes whenever the entry does, and is equal on all nodes with equal documents: its ETag.
    pub fn tag(&self) -> u64 {
        let Self {
            id,
            title,
            due,
            done_at,
            priority,
            tags,
            notes,
            assignee,
            order,
            created_at,
            created_by,
            modified_at,
            modified_by,
            conflicts,
        } = self;
        let mut hash = Sha256::new();
        // Each field is preceded by its length: what ends one is not what begins the next.
        let mut add = |field: &[u8]| hash.update([&field.len().to_be_bytes(), field].concat());
        let due = due.map_or_else(String::new, |due| match due {
            Due::Date(date) => date.to_string(),
            Due::Instant(ms) => ms.to_string(),
        });
        let done_at = done_at.map_or_else(String::new, |ms| ms.to_string());
        let priority = priority.map_or("", Priority::as_str);
        add(&id.0.to_be_bytes());
        for text in [
            title,
            due.as_str(),
            done_at.as_str(),
            priority,
            notes,
            assignee.as_deref().unwrap_or_default(),
            order,
            &created_by.0,
            &modified_by.0,
        ] {
            add(text.as_bytes());
        }
        [created_at, modified_at]
            .iter()
            .for_each(|ms| add(&ms.to_be_bytes()));
        add(&tags.len().to_be_bytes());
        tags.iter().for_each(|tag| add(tag.as_bytes()));
        conflicts
            .iter()
            .for_each(|field| add(field.as_str().as_bytes()));
        hash.finalize()
            .iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

/// An entry to be added. Its text has been checked against the limits by [`NewEntry::check`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewEntry {
    /// The client's own id, which makes a retry harmless; drawn when absent.
    pub id: Option<EntryId>,
    /// What is to do.
    pub title: String,
    /// When it is due.
    pub due: Option<Due>,
    /// Already done.
    pub done: bool,
    /// How much it matters.
    pub priority: Option<Priority>,
    /// Its tags; order and repetition do not matter.
    pub tags: Vec<String>,
    /// Free text; empty for none.
    pub notes: String,
    /// Who is to do it.
    pub assignee: Option<String>,
    /// Where it goes; at the end when absent.
    pub place: Option<Place>,
}

/// Changes to an entry: `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryPatch {
    /// A new title; cannot be cleared.
    pub title: Option<String>,
    /// A new due date or instant.
    pub due: Option<Option<Due>>,
    /// Tick or untick. Ticking what is ticked keeps the time.
    pub done: Option<bool>,
    /// A new priority.
    pub priority: Option<Option<Priority>>,
    /// The tags it shall have; written as a difference to those it has here.
    pub tags: Option<Vec<String>>,
    /// New notes; empty clears.
    pub notes: Option<String>,
    /// Who is to do it now.
    pub assignee: Option<Option<String>>,
    /// Where to move it.
    pub place: Option<Place>,
}

/// A place in a list's order, next to an entry that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Directly before that entry.
    Before(EntryId),
    /// Directly after that entry.
    After(EntryId),
}

/// One intention of a client, which becomes one change of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Adds all of these or none.
    Add(Vec<NewEntry>),
    /// Changes one entry.
    Patch(EntryId, EntryPatch),
    /// Deletes one entry.
    Delete(EntryId),
    /// Deletes every entry that this replica knows.
    DeleteAll,
}
