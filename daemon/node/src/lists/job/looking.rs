//! Looking into a list for clients: as it was, what was written apart, who changed what.

use super::{JobError, Source};
use crate::lists::io::Disputed;
use bytes::Bytes;
use crdt::entry::{Author, Differences, Entry};
use crdt::list::{Account, Document, MergeError, Moment, Standing, Way, heads_tag};
use names::{ChangeHash, EntryId, ListId};
use std::collections::BTreeMap;

/// What is looked for in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Its entries as of this change.
    EntriesAt(ChangeHash),
    /// Its entries with fields that were written apart.
    Disputes,
    /// Its changes, or those of one entry.
    History {
        /// Only those that wrote to this entry.
        entry: Option<EntryId>,
        /// Only those that stand before this one.
        before: Option<Moment>,
        /// At most so many.
        most: usize,
    },
    /// All of it, as Automerge saves it.
    Saved,
    /// What a saved document from outside would change.
    Differences(Bytes),
    /// Which of these entries are in it, or were.
    Standings(Vec<EntryId>),
    /// The last change that somebody has made on this node.
    LastOf {
        /// Who.
        by: Author,
        /// What for.
        way: Way,
    },
}

/// What was seen, in the order of [`Look`]'s variants.
#[derive(Debug)]
pub enum Seen {
    /// In the order of the list.
    Entries(Vec<Entry>),
    /// In the order of their ids.
    Disputes(Vec<Disputed>),
    /// The newest first.
    History(Vec<Account>),
    /// The tag of the list, and the document.
    Saved(u64, Bytes),
    /// The tag of the list, and what would change of it.
    Differences(u64, Result<Differences, MergeError>),
    /// Of those that are in the list, or were.
    Standings(Vec<(EntryId, Standing)>),
    /// None if there is none.
    LastOf(Option<ChangeHash>),
}

/// Looks at a document that was made of the source.
pub(super) fn see(
    list: ListId,
    document: &Document,
    look: Look,
    source: &dyn Source,
) -> Result<Option<Seen>, JobError> {
    Ok(match look {
        Look::EntriesAt(change) => document.entries_at(change).map(Seen::Entries),
        Look::History {
            entry,
            before,
            most,
        } => Some(Seen::History(document.history(entry, before, most))),
        Look::Saved => {
            let saved = Bytes::from(document.save());
            Some(Seen::Saved(heads_tag(&document.heads()), saved))
        }
        Look::Differences(saved) => {
            let differences = document.differences(&saved);
            Some(Seen::Differences(heads_tag(&document.heads()), differences))
        }
        Look::Standings(ids) => {
            let standings = ids.into_iter().map(|id| (id, document.standing(id)));
            let known = standings.filter(|(_, standing)| *standing != Standing::Unknown);
            Some(Seen::Standings(known.collect()))
        }
        Look::LastOf { by, way } => {
            let made = source.made(list)?;
            let is_own = |actor| made.contains_key(&actor);
            Some(Seen::LastOf(document.next_of(&by, way, is_own)))
        }
        Look::Disputes => {
            let entries = document.entries().into_iter();
            let disputed = entries.filter(|entry| !entry.conflicts.is_empty());
            let mut all: Vec<Disputed> = disputed
                .map(|entry| Disputed {
                    disputes: document.disputes(entry.id),
                    owners: BTreeMap::new(),
                    entry,
                })
                .collect();
            all.sort_unstable_by_key(|one| one.entry.id);
            Some(Seen::Disputes(all))
        }
    })
}
