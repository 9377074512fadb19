//! What runs on a blocking thread: all reading of the store, and whatever takes long in a large document.

use super::io::{Answer, Done, Job, JobError, Loaded, Source, SourceError};
use bytes::Bytes;
use crdt::id::{Actor, ListId};
use crdt::list::{self, Document};
use crdt::name::ListName;
use crdt::vector::{Range, VersionVector};
use std::collections::{BTreeSet, VecDeque};

/// How many changes of an actor are read at once while several actors' changes are merged: a change may have 4 MiB.
const READ_AHEAD: u64 = 16;

impl Job {
    /// Does the work. May block on the store and take seconds for a large list.
    pub fn run(self, list: ListId, source: &dyn Source) -> Done {
        match self {
            Self::Load { name, actor } => Done::Loaded(load(list, &name, actor, source)),
            Self::Apply { mut document, changes } => Done::Applied(document.apply(changes).map(|applied| (document, applied))),
            Self::Save { document } => Done::Saved(save(&document)),
            Self::Vector => Done::Vector(vector(list, source)),
            Self::Changes { ranges, most_bytes, to } => Done::Changes { to, found: read(list, &ranges, most_bytes, source) },
            Self::EntriesAt { name, change, request } => {
                // The zero actor writes nothing: this document is only read.
                let loaded = load(list, &name, Actor([0; 16]), source);
                Done::EntriesAt { request, found: loaded.map(|loaded| loaded.document.entries_at(change)) }
            }
        }
    }
}

/// A snapshot is only a cache: if it does not give what the store's vector names, all changes are read instead.
fn load(list: ListId, name: &ListName, actor: Actor, source: &dyn Source) -> Result<Loaded, JobError> {
    let vector = source.vector(list)?;
    if let Some((covers, snapshot)) = source.snapshot(list)?
        && let Ok(loaded) = assemble(list, name, actor, &vector, Some((&covers, &snapshot)), source)
    {
        return Ok(loaded);
    }
    assemble(list, name, actor, &vector, None, source)
}

fn assemble(
    list: ListId,
    name: &ListName,
    actor: Actor,
    vector: &VersionVector,
    snapshot: Option<(&VersionVector, &Bytes)>,
    source: &dyn Source,
) -> Result<Loaded, JobError> {
    let covered = snapshot.map(|(covers, _)| covers.clone()).unwrap_or_default();
    let changes = merged(list, &vector.missing_in(&covered), usize::MAX, source)?.0;
    let document = Document::load(name.clone(), actor, snapshot.map(|(_, bytes)| bytes.as_ref()), &changes)?;
    if document.vector() != vector {
        return Err(JobError::Gap);
    }
    Ok(Loaded { document: Box::new(document), beyond_snapshot: u64::try_from(changes.len()).unwrap_or(u64::MAX) })
}

fn save(document: &Document) -> Option<(VersionVector, Bytes)> {
    let bytes = Bytes::from(document.save());
    let again = Document::load(document.name().clone(), Actor([0; 16]), Some(&bytes), &[]).ok()?;
    let equal = again.heads() == document.heads() && again.sum() == document.sum();
    equal.then(|| (document.vector().clone(), bytes))
}

fn vector(list: ListId, source: &dyn Source) -> Result<Option<(ListName, VersionVector)>, SourceError> {
    let Some(name) = source.name(list)? else { return Ok(None) };
    Ok(Some((name, source.vector(list)?)))
}

fn read(list: ListId, ranges: &[Range], most_bytes: usize, source: &dyn Source) -> Result<Option<Answer>, SourceError> {
    let Some(name) = source.name(list)? else { return Ok(None) };
    let (changes, complete) = merged(list, ranges, most_bytes, source)?;
    Ok(Some(Answer { name, changes, complete }))
}

/// The changes of several actors, merged by their first operation's number. A change's number is above those of all
/// changes that it depends on, so that each prefix can be applied as it stands. The flag: whether these are all.
fn merged(list: ListId, ranges: &[Range], most_bytes: usize, source: &dyn Source) -> Result<(Vec<Bytes>, bool), SourceError> {
    let mut cursors: Vec<Cursor> = ranges.iter().map(|range| Cursor { left: *range, read: VecDeque::new() }).collect();
    let mut order = BTreeSet::new();
    for (index, cursor) in cursors.iter_mut().enumerate() {
        order.extend(cursor.peek(list, source)?.map(|start| (start, index)));
    }
    let (mut changes, mut bytes) = (Vec::new(), 0usize);
    while let Some((_, index)) = order.pop_first() {
        let Some(cursor) = cursors.get_mut(index) else { break };
        let Some(change) = cursor.read.pop_front() else { break };
        if !changes.is_empty() && bytes.saturating_add(change.len()) > most_bytes {
            return Ok((changes, false));
        }
        bytes = bytes.saturating_add(change.len());
        changes.push(change);
        order.extend(cursor.peek(list, source)?.map(|start| (start, index)));
    }
    Ok((changes, true))
}

/// One actor's changes, read a few at a time.
struct Cursor {
    left: Range,
    read: VecDeque<Bytes>,
}

impl Cursor {
    /// The next change's first operation; one that cannot be parsed sorts last and is left to its receiver to refuse.
    fn peek(&mut self, list: ListId, source: &dyn Source) -> Result<Option<u64>, SourceError> {
        if self.read.is_empty() && self.left.from <= self.left.to {
            let to = self.left.to.min(self.left.from.saturating_add(READ_AHEAD - 1));
            self.read = source.changes(list, Range { to, ..self.left })?.into();
            self.left.from = to.saturating_add(1);
        }
        Ok(self.read.front().map(|bytes| list::start_op(bytes).unwrap_or(u64::MAX)))
    }
}
