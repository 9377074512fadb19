//! Finding what a list is to be without, and making it from the changes that stay.

use super::{JobError, ListRow, Source, SourceError, merged};
use bytes::Bytes;
use crdt::entry::Entry;
use crdt::list::{self, Document, LeftOut, MAX_LEFT_OUT, RawChange};
use crdt::vector::VersionVector;
use names::{Actor, ChangeHash, ChangeId, EntryId, ListId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A list without what is left out of it, all rows of its view among it.
#[derive(Debug)]
pub struct Without {
    /// The document of the changes that stay.
    pub document: Box<Document>,
    /// The list's row.
    pub row: ListRow,
    /// All live entries, in order.
    pub entries: Vec<Arc<Entry>>,
    /// The live entries that there were before.
    pub before: BTreeSet<EntryId>,
    /// What is left out from now on.
    pub added: Vec<LeftOut>,
    /// The changes that were in the document and are not any more.
    pub moved: Vec<RawChange>,
}

/// What the list is without, by hashes.
pub(super) fn known_left_out(
    list: ListId,
    source: &dyn Source,
) -> Result<BTreeMap<ChangeHash, LeftOut>, SourceError> {
    let records = source.left_out(list)?.into_iter();
    // One that cannot be read is told again by those who can.
    let read = records.filter_map(|bytes| LeftOut::read(bytes).ok());
    Ok(read.map(|known| (known.goes().hash, known)).collect())
}

pub(super) fn leave_out(
    list: ListId,
    actor: Actor,
    challengers: &[RawChange],
    told: Vec<LeftOut>,
    source: &dyn Source,
) -> Result<Option<Box<Without>>, JobError> {
    let name = source.name(list)?.ok_or(JobError::Gap)?;
    let ranges = source.vector(list)?.missing_in(&VersionVector::default());
    let all = merged(list, &ranges, usize::MAX, source)?.0;
    let changes: Vec<(Vec<ChangeHash>, RawChange)> = all.iter().filter_map(raw).collect();
    let ours: BTreeMap<ChangeId, &RawChange> =
        changes.iter().map(|(_, raw)| (raw.id, raw)).collect();
    let mut out = known_left_out(list, source)?;
    let mut added = Vec::new();
    let found = challengers
        .iter()
        .filter_map(|theirs| LeftOut::of_two(ours.get(&theirs.id)?, theirs));
    for new in found.chain(told) {
        if out.len() < MAX_LEFT_OUT && out.insert(new.goes().hash, new.clone()).is_none() {
            added.push(new);
        }
    }
    if added.is_empty() {
        return Ok(None);
    }
    let (mut stay, mut moved, mut aside) = (Vec::new(), Vec::new(), source.aside(list)?);
    let mut gone: BTreeSet<ChangeHash> = out.keys().copied().collect();
    for (deps, raw) in &changes {
        if gone.contains(&raw.hash) || deps.iter().any(|dep| gone.contains(dep)) {
            gone.insert(raw.hash);
            moved.push(raw.clone());
        } else {
            stay.push(raw.bytes.clone());
        }
    }
    aside.extend(moved.iter().map(|raw| raw.hash));
    // It may be what is to leave that keeps the document from loading.
    let before = Document::load(name.clone(), actor, None, &all);
    let before = before
        .map(|document| document.entries())
        .unwrap_or_default();
    let mut document = Document::load(name, actor, None, &stay)?;
    document.leave_out(out.into_keys());
    document.leave_aside(aside);
    Ok(Some(Box::new(Without {
        row: ListRow::of(&document),
        entries: document.entries().into_iter().map(Arc::new).collect(),
        before: before.iter().map(|entry| entry.id).collect(),
        document: Box::new(document),
        added,
        moved,
    })))
}

/// A stored change, with what it depends on.
fn raw(bytes: &Bytes) -> Option<(Vec<ChangeHash>, RawChange)> {
    let list::Head { deps, id } = list::head_of(bytes)?;
    let (hash, bytes) = (list::hash_of(bytes), bytes.clone());
    Some((deps, RawChange { id, hash, bytes }))
}
