//! Looking at all that the store has of a list: whether its changes are what they were, and make its document.

use super::{JobError, Rebuilt, Source, SourceError, rebuild};
use bytes::Bytes;
use crdt::list;
use crdt::vector::Range;
use names::{Actor, ChangeId, ListId};

/// How many changes are read at once.
const READ: u64 = 64;
/// So many faults of a list are told in words.
const MAX_FAULTS: usize = 100;

/// What was found in a list's changes.
#[derive(Debug)]
pub struct Examined {
    /// How many changes were read.
    pub changes: u64,
    /// How many bytes they take.
    pub bytes: u64,
    /// What is wrong with some of them, in words: a bounded number.
    pub faults: Vec<String>,
    /// How many faults there are beyond those.
    pub omitted: u64,
    /// The document and its rows, or why they cannot be made.
    pub rebuilt: Result<Box<Rebuilt>, JobError>,
}

/// Reads all changes of a list and makes its document from them. Takes as long, and as much memory, as loading
/// the list does.
///
/// # Errors
/// The store cannot be read, or the row that says which changes there are is damaged.
pub fn examine(list: ListId, source: &dyn Source) -> Result<Examined, SourceError> {
    let mut found = Found::default();
    for tip in source.vector(list)?.iter() {
        let mut from = 1;
        while from <= tip.id.seq {
            let range = Range {
                actor: tip.id.actor,
                from,
                to: tip.id.seq.min(from.saturating_add(READ - 1)),
            };
            match source.changes(list, range) {
                Ok(changes) => found.look_at(range, changes),
                Err(error) if error.is_damage => {
                    found.fault(format!("{} cannot be read: {}", words(range), error.reason));
                }
                Err(error) => return Err(error),
            }
            from = range.to.saturating_add(1);
        }
    }
    let Found {
        changes,
        bytes,
        faults,
        omitted,
    } = found;
    Ok(Examined {
        changes,
        bytes,
        faults,
        omitted,
        // The zero actor writes nothing: this document is only looked at.
        rebuilt: rebuild(list, Actor([0; 16]), false, source).map(Box::new),
    })
}

#[derive(Default)]
struct Found {
    changes: u64,
    bytes: u64,
    faults: Vec<String>,
    omitted: u64,
}

impl Found {
    fn look_at(&mut self, range: Range, changes: Vec<Bytes>) {
        let count = u64::try_from(changes.len()).unwrap_or(u64::MAX);
        let wanted = range.to.saturating_sub(range.from).saturating_add(1);
        if count < wanted {
            let missing = wanted.saturating_sub(count);
            self.fault(format!("of {} {missing} are missing", words(range)));
        }
        self.changes = self.changes.saturating_add(count);
        for (seq, bytes) in (range.from..).zip(changes) {
            self.bytes = self
                .bytes
                .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            let id = ChangeId {
                actor: range.actor,
                seq,
            };
            let is_told = count < wanted;
            match list::judge(bytes) {
                Ok(change) if change.id() == id || is_told => {}
                Ok(_) => self.fault(format!("{} is another change", change_words(id))),
                Err(_) if is_told => {
                    self.fault(format!("one of {} is no change", words(range)));
                }
                Err(fault) => {
                    self.fault(format!("{} is no change: {fault}", change_words(id)));
                }
            }
        }
    }

    fn fault(&mut self, words: String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(words);
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
    }
}

fn change_words(id: ChangeId) -> String {
    format!("change {} of the actor {}", id.seq, id.actor)
}

fn words(range: Range) -> String {
    format!(
        "changes {} to {} of the actor {}",
        range.from, range.to, range.actor
    )
}
