//! What a lists machine writes to the store.

use bytes::Bytes;
use crdt::entry::Entry;
use crdt::list::{Document, LeftOut, RawChange, Salt, heads_tag};
use crdt::vector::{Sums, VersionVector};
use names::{ChangeHash, ChangeId, EntryId, ListId, ListName};
use std::sync::Arc;

/// Why all rows of a list's view are made anew from its changes; the more urgent ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remake {
    /// Somebody asked for it.
    Asked,
    /// A row of it is damaged.
    Damaged,
    /// It has keys that the maker of its rows did not know, and this program may.
    UnknownKeys,
    /// Its rows are of an earlier format of the store.
    Converted,
}

impl Remake {
    /// Whether rows may be left that nothing leads to: then they are looked for.
    pub fn leaves_strays(self) -> bool {
        match self {
            Self::Asked | Self::Damaged => true,
            Self::UnknownKeys | Self::Converted => false,
        }
    }

    /// Whether the node is not ready before.
    pub fn is_awaited(self) -> bool {
        match self {
            Self::Damaged | Self::UnknownKeys => true,
            Self::Asked | Self::Converted => false,
        }
    }
}

/// One row of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A change of a document, as its bytes. Never overwritten with other bytes.
    Change {
        /// Of which list.
        list: ListId,
        /// Which change.
        id: ChangeId,
        /// Its hash.
        hash: ChangeHash,
        /// The raw change chunk.
        bytes: Bytes,
    },
    /// An entry of the view; `None` when it is no longer alive.
    Entry {
        /// Of which list.
        list: ListId,
        /// Which entry.
        id: EntryId,
        /// As it is now.
        entry: Option<Arc<Entry>>,
    },
    /// What is known of a list as a whole.
    List {
        /// Which list.
        list: ListId,
        /// As it is now.
        row: ListRow,
    },
    /// All of a list's view, made anew from its changes: it replaces every row of the view that is
    /// there, whatever that says.
    View {
        /// Which list.
        list: ListId,
        /// What is known of the list as a whole.
        row: ListRow,
        /// All live entries.
        entries: Vec<Arc<Entry>>,
        /// Whether to look also for rows that no other row leads to, of all lists; that reads the
        /// whole agenda.
        thorough: bool,
    },
    /// The document in compact form: a cache for loading, never the only copy of anything.
    Snapshot {
        /// Of which list.
        list: ListId,
        /// The changes that it holds.
        covers: VersionVector,
        /// The saved document.
        bytes: Bytes,
    },
    /// Changes leave the list or come back, and all rows of its view are made anew.
    LeaveOut {
        /// Which list.
        list: ListId,
        /// What is known of the list as a whole.
        row: ListRow,
        /// All live entries.
        entries: Vec<Arc<Entry>>,
        /// The changes that the list has then.
        vector: VersionVector,
        /// All that is settled of the list: it replaces what is there.
        settled: Vec<LeftOut>,
        /// The changes that leave it: they are kept aside.
        moved: Vec<RawChange>,
        /// Changes that are left out and were never here: they are kept aside, too.
        unseen: Vec<RawChange>,
        /// Changes that were aside and come back, and new ones.
        added: Vec<RawChange>,
    },
    /// This node has made that change itself, and all by the same actor before it.
    Made {
        /// Of which list.
        list: ListId,
        /// Which change.
        id: ChangeId,
    },
    /// A salt of actors, as its node has signed it.
    Salt(Salt),
    /// The list's document cannot be loaded; it takes no more changes. Its rows stay.
    Quarantine {
        /// Which list.
        list: ListId,
        /// Since when, in milliseconds since the epoch.
        since_ms: i64,
        /// Why, for people.
        reason: String,
    },
    /// The list's document could be made after all: it takes changes again.
    Release {
        /// Which list.
        list: ListId,
    },
    /// Nothing of the list is here any more. Whoever asked for this has put its rows aside.
    Drop {
        /// Which list.
        list: ListId,
    },
}

/// The view's line for one list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRow {
    /// Its name.
    pub name: ListName,
    /// Live entries.
    pub total: u64,
    /// Live entries that are not done.
    pub open: u64,
    /// Milliseconds since the epoch, of the newest change.
    pub modified_at: i64,
    /// The document's heads, sorted.
    pub heads: Vec<ChangeHash>,
    /// The sums of its version vector.
    pub sums: Sums,
    /// Whether it has keys that the row's maker does not know: a newer program shows more.
    pub has_unknown_keys: bool,
}

impl ListRow {
    /// The row of a document as it is.
    pub fn of(document: &Document) -> Self {
        Self {
            name: document.name().clone(),
            total: document.total(),
            open: document.open(),
            modified_at: document.modified_at(),
            heads: document.heads(),
            sums: document.sums(),
            has_unknown_keys: document.has_unknown_keys(),
        }
    }

    /// Changes whenever the list changes: a hash of its heads, its ETag.
    pub fn tag(&self) -> u64 {
        heads_tag(&self.heads)
    }
}
