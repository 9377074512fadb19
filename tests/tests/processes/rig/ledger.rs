//! What the clients have asked for, and what they were told.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// A new entry. No other write has this title.
    Add {
        title: String,
    },
    /// A title that no other write has.
    Rename {
        title: String,
    },
    Tick {
        done: bool,
    },
    Move {
        after: String,
    },
    Delete,
    /// The change with that hash is taken back.
    Undo {
        change: String,
    },
    /// The undoing with that hash is taken back.
    Redo {
        change: String,
    },
}

impl Deed {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Add { .. } => "add",
            Self::Rename { .. } => "edit",
            Self::Tick { .. } => "complete",
            Self::Move { .. } => "move",
            Self::Delete => "delete",
            Self::Undo { .. } => "undo",
            Self::Redo { .. } => "redo",
        }
    }
}

/// What became of it, as far as its client knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// There is no answer, or one that does not say: it may have been done.
    Doubtful,
    /// Done, as this change; as none where it changed nothing.
    Acknowledged(Option<String>),
    /// Not done.
    Refused,
}

/// One write.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) list: usize,
    /// The entry; empty where a change is undone or made anew.
    pub(crate) entry: String,
    pub(crate) deed: Deed,
    pub(crate) fate: Fate,
}

impl Write {
    /// The change that it is known to have made.
    pub(crate) fn change(&self) -> Option<&str> {
        match &self.fate {
            Fate::Acknowledged(change) => change.as_deref(),
            Fate::Doubtful | Fate::Refused => None,
        }
    }

    /// Which change it takes back, or makes anew.
    pub(crate) fn taken_back(&self) -> Option<&str> {
        match &self.deed {
            Deed::Undo { change } | Deed::Redo { change } => Some(change),
            Deed::Add { .. }
            | Deed::Rename { .. }
            | Deed::Tick { .. }
            | Deed::Move { .. }
            | Deed::Delete => None,
        }
    }
}

/// All writes, shared by all clients.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    writes: Vec<Write>,
    /// Entries that may be there, by list, for clients to choose from.
    entries: BTreeMap<usize, Vec<String>>,
    /// Changes that may be undone, and undoings that may be taken back, by list.
    changes: BTreeMap<usize, Vec<String>>,
    undoings: BTreeMap<usize, Vec<String>>,
    /// Refusals, by kind and status.
    refused: BTreeMap<(&'static str, u16), usize>,
}

/// What there is to choose from in a list.
#[derive(Clone, Copy)]
pub(crate) enum Choice {
    Entry,
    Change,
    Undoing,
}

impl Ledger {
    /// Notes what is about to be asked; gives its number.
    pub(crate) fn begin(&self, write: Write) -> usize {
        let mut pages = self.0.lock();
        pages.writes.push(write);
        pages.writes.len() - 1
    }

    /// Notes what became of it.
    pub(crate) fn end(&self, number: usize, fate: Fate) {
        let pages = &mut *self.0.lock();
        let Some(write) = pages.writes.get_mut(number) else {
            return;
        };
        write.fate = fate;
        let Fate::Acknowledged(change) = &write.fate else {
            return;
        };
        let (entry, list) = (write.entry.clone(), write.list);
        match &write.deed {
            Deed::Add { .. } => pages.entries.entry(list).or_default().push(entry),
            Deed::Delete => {
                let entries = pages.entries.entry(list).or_default();
                entries.retain(|other| *other != entry);
            }
            Deed::Rename { .. }
            | Deed::Tick { .. }
            | Deed::Move { .. }
            | Deed::Undo { .. }
            | Deed::Redo { .. } => {}
        }
        let changes = match &write.deed {
            Deed::Undo { .. } => &mut pages.undoings,
            Deed::Redo { .. } => return,
            Deed::Add { .. }
            | Deed::Rename { .. }
            | Deed::Tick { .. }
            | Deed::Move { .. }
            | Deed::Delete => &mut pages.changes,
        };
        changes.entry(list).or_default().extend(change.clone());
    }

    /// Counts a refusal.
    pub(crate) fn refused(&self, kind: &'static str, status: u16) {
        *self.0.lock().refused.entry((kind, status)).or_default() += 1;
    }

    /// One of the things that may be there in a list, by a number however large.
    pub(crate) fn pick(&self, list: usize, of: Choice, number: usize) -> Option<String> {
        let pages = self.0.lock();
        let all = match of {
            Choice::Entry => pages.entries.get(&list),
            Choice::Change => pages.changes.get(&list),
            Choice::Undoing => pages.undoings.get(&list),
        };
        let all = all.filter(|all| !all.is_empty())?;
        all.get(number % all.len()).cloned()
    }

    pub(crate) fn writes(&self) -> Vec<Write> {
        self.0.lock().writes.clone()
    }

    /// How often each kind was refused, and with which status.
    pub(crate) fn refusals(&self) -> BTreeMap<(&'static str, u16), usize> {
        self.0.lock().refused.clone()
    }
}
