//! Tests of whole documents: what people rely on when they edit one list on several nodes.

mod anew;
mod concurrency;
mod convergence;
mod deferred;
mod edits;
mod exchange;
mod history;
mod hostile;
mod javascript;
mod merge;
mod pure;
mod recurring;
mod search;
mod several;
mod spoilers;
mod undo;
mod versions;

use super::*;
use crate::entry::{Author, Decision, Edit, Entry, EntryPatch, NewEntry, Place};
use names::{Actor, EntryId, ListName};

/// A replica with a clock and a source of random bits that tests can predict.
struct Replica {
    document: Document,
    changes: Vec<RawChange>,
    number: u8,
    at_ms: i64,
    drawn: u128,
}

impl Replica {
    fn new(number: u8) -> Self {
        let document = Document::new(ListName::new("groceries").unwrap(), Actor([number; 16]));
        Self {
            document,
            changes: Vec::new(),
            number,
            at_ms: 1_790_000_000_123,
            drawn: u128::from(number),
        }
    }

    fn author(&self) -> Author {
        Author(format!("user@node{}", self.number))
    }

    fn try_edit(&mut self, edit: &Edit) -> Result<Edited, EditRefusal> {
        self.at_ms += 1500;
        let (by, drawn) = (self.author(), &mut self.drawn);
        let mut draw = || {
            *drawn = drawn
                .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645)
                .wrapping_add(0x9e37_79b9_7f4a_7c15);
            *drawn >> 40
        };
        let edited = self.document.edit(edit, &by, self.at_ms, &mut draw)?;
        self.changes.extend(edited.change.clone());
        Ok(edited)
    }

    fn edit(&mut self, edit: &Edit) -> Edited {
        self.try_edit(edit).unwrap()
    }

    fn add(&mut self, title: &str) -> EntryId {
        self.edit(&Edit::Add(vec![NewEntry {
            title: title.into(),
            ..NewEntry::default()
        }]))
        .results[0]
    }

    fn patch(&mut self, id: EntryId, patch: EntryPatch) -> Edited {
        self.edit(&Edit::Patch(id, patch.into()))
    }

    fn entry(&self, id: EntryId) -> Entry {
        self.document.entry(id).unwrap()
    }

    fn titles(&self) -> Vec<String> {
        self.document
            .entries()
            .into_iter()
            .map(|entry| entry.title)
            .collect()
    }

    /// Takes in all that `other` has written itself.
    fn pull(&mut self, other: &Self) -> Applied {
        self.document
            .apply(
                other
                    .changes
                    .iter()
                    .map(|change| judge(change.bytes.clone()).unwrap())
                    .collect(),
            )
            .unwrap()
    }

    fn sync(&mut self, other: &mut Self) {
        self.pull(other);
        other.pull(self);
        assert_same(&self.document, &other.document);
    }
}

fn assert_same(a: &Document, b: &Document) {
    assert_eq!(a.entries(), b.entries());
    assert_eq!(
        (a.heads(), a.vector(), a.sums()),
        (b.heads(), b.vector(), b.sums())
    );
    assert_eq!(
        (a.total(), a.open(), a.modified_at(), a.operations()),
        (b.total(), b.open(), b.modified_at(), b.operations())
    );
}

fn two_with(title: &str) -> (Replica, Replica, EntryId) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let id = a.add(title);
    b.pull(&a);
    (a, b, id)
}

fn title(title: &str) -> EntryPatch {
    EntryPatch {
        title: Some(title.into()),
        ..EntryPatch::default()
    }
}

fn tags(tags: &[&str]) -> EntryPatch {
    EntryPatch {
        tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
        ..EntryPatch::default()
    }
}

fn done(done: bool) -> EntryPatch {
    EntryPatch {
        done: Some(done),
        ..EntryPatch::default()
    }
}

fn with_id(id: EntryId, title: &str) -> NewEntry {
    NewEntry {
        id: Some(id),
        title: title.into(),
        ..NewEntry::default()
    }
}
