//! An entry of a to-do list as people see it, and what they can do to it.

use names::{ChangeHash, EntryId};
use serde::{Deserialize, Serialize};
use std::fmt;

mod fields;
pub(crate) mod kind;
pub mod limits;
mod row;
pub mod rule;
mod size;

pub use fields::{Entry, EntryPatch, Field, NewEntry};
pub(crate) use fields::{Supply, Visit};
pub(crate) use kind::text;

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
    /// All of them, the highest first.
    pub const ALL: [Self; 3] = [Self::High, Self::Medium, Self::Low];

    /// As it is written in documents and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// Who wrote a change: `alice@node1`. What other replicas hold may be any text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Author(pub String);

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Entry {
    /// Whether it is still to do.
    pub fn is_open(&self) -> bool {
        self.done_at.is_none()
    }
}

/// A place in a list's order, next to an entry that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Directly before that entry.
    Before(EntryId),
    /// Directly after that entry.
    After(EntryId),
}

/// A decision between values of one field of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is deleted, whatever others have edited.
    Delete,
    /// It stays, although others have deleted it.
    Keep,
    /// It has that tag, or has it not; other tags stay as they are.
    Tag {
        /// The tag.
        tag: String,
        /// Whether it has it.
        stays: bool,
    },
    /// It stands before all others.
    First,
    /// That field has the value that the patch sets, and the patch sets nothing else.
    Field(Field, Box<EntryPatch>),
}

impl Decision {
    /// Which field it is about.
    pub fn field(&self) -> Field {
        match self {
            Self::Delete | Self::Keep => Field::Deleted,
            Self::Tag { .. } => Field::Tags,
            Self::First => Field::Order,
            Self::Field(field, _) => *field,
        }
    }
}

/// What a change has added that is lost to its list: to be added again as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Additions {
    /// Who added it, as the change says.
    pub by: Author,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The entries, with their ids, in order.
    pub entries: Vec<NewEntry>,
}

/// What a document that others have edited would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Entries that it adds, with their ids.
    pub additions: Vec<NewEntry>,
    /// Entries that it changes; one that was deleted is in the list again.
    pub patches: Vec<(EntryId, EntryPatch)>,
    /// Entries that it deletes.
    pub deletions: Vec<EntryId>,
    /// Its newest changes, which the change that does it names: what they did is not done again.
    pub heads: Vec<ChangeHash>,
}

/// What is done to each of several entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bulk {
    /// It is changed; a place is that of the first one, after which the others follow in their order.
    Patch {
        /// What is set.
        patch: Box<EntryPatch>,
        /// Tags that are added to those that it has.
        tag: Vec<String>,
        /// Tags that are taken from it.
        untag: Vec<String>,
    },
    /// It is deleted.
    Delete,
}

/// One intention of a client, which becomes one change of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Adds all of these or none.
    Add(Vec<NewEntry>),
    /// Adds those of these that have never been here, by whom and when they were added before.
    AddAgain(Box<Additions>),
    /// Changes one entry.
    Patch(EntryId, Box<EntryPatch>),
    /// Deletes one entry.
    Delete(EntryId),
    /// Changes or deletes several entries: all or none.
    Several(Vec<EntryId>, Bulk),
    /// Settles a field that several have written at the same time.
    Resolve(EntryId, Decision),
    /// Does what a document that others have edited would change: all or nothing.
    Merge(Box<Differences>),
    /// Deletes every entry that this replica knows.
    DeleteAll,
    /// Undoes a change, wherever it was made.
    Undo(ChangeHash),
    /// Undoes a change that undid another one.
    Redo(ChangeHash),
}
