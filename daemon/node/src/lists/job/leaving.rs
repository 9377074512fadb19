//! Finding what a list is to be without, and making it from the changes that stay.

mod judging;

use super::{JobError, ListRow, Source, SourceError};
use crate::lists::own::Own;
use bytes::Bytes;
use crdt::entry::Entry;
use crdt::list::{Anew, Document, LeftOut, RawChange, Ruling, Settled};
use crdt::vector::Tip;
use judging::{Changes, Judging, Split};
use names::{Actor, ChangeHash, EntryId, ListId, ListName, NodeId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What came of looking for what a list is to be without.
#[derive(Debug)]
pub struct Judged {
    /// The list without it; `None` if that is nothing new.
    pub without: Option<Box<Without>>,
    /// Nodes that have said of two changes with one number that they are their own.
    pub contradicted: BTreeSet<NodeId>,
    /// The changes that are here in the places of challengers, and these.
    pub challenged: Vec<(Tip, ChangeHash)>,
}

/// A list without what is left out of it, all rows of its view among it.
#[derive(Debug)]
pub struct Without {
    /// The document of the changes that stay, and of those that were written anew.
    pub document: Box<Document>,
    /// The list's row.
    pub row: ListRow,
    /// All live entries, in order.
    pub entries: Vec<Arc<Entry>>,
    /// The live entries that there were before.
    pub before: BTreeSet<EntryId>,
    /// All that is settled.
    pub settled: Vec<LeftOut>,
    /// What of that this node has found or said itself.
    pub found: Vec<LeftOut>,
    /// The changes that were in the document and are not any more.
    pub moved: Vec<RawChange>,
    /// The changes that were aside and are in the document now.
    pub returned: Vec<RawChange>,
    /// Changes that are left out and have never been here, though this node may have made them.
    pub unseen: Vec<RawChange>,
    /// What this node has written anew of its own among those that moved or are unseen.
    pub anew: Vec<Anew>,
    /// Those that are this node's own.
    pub own: BTreeSet<ChangeHash>,
    /// Whether the document's actor is the next one.
    pub is_next_actor: bool,
}

/// What is settled of a list, to be told to its document.
pub(super) fn rulings(list: ListId, source: &dyn Source) -> Result<Vec<Ruling>, SourceError> {
    let records = source.left_out(list)?;
    // One that cannot be read is told again by those who can.
    let read = records.iter().filter_map(|bytes| Ruling::of_checked(bytes));
    Ok(read.collect())
}

pub(super) fn leave_out(
    list: ListId,
    actors: (Actor, Actor),
    own: &Own,
    (challengers, told): (&[RawChange], Vec<LeftOut>),
    source: &dyn Source,
) -> Result<Judged, JobError> {
    let name = source.name(list)?.ok_or(JobError::Gap)?;
    let changes = Changes::read(list, source)?;
    let known = source.left_out(list)?.into_iter();
    let known = known.filter_map(|bytes| LeftOut::read(bytes).ok());
    let known = Settled::of(known, |actor| own.owner(list, actor));
    let made = source.made(list)?;
    let mut judging = Judging::new((list, own), &changes, known.clone(), made);
    judging.hear(challengers, told);
    let split = judging.split();
    let own_moved = split.moved.iter().filter(|raw| judging.is_own(raw));
    let mut own_lost: BTreeSet<ChangeHash> = own_moved.map(|raw| raw.hash).collect();
    let unseen = judging.lost_unseen(&known);
    let Judging {
        settled,
        found,
        contradicted,
        challenged,
        ..
    } = judging;
    let is_same = settled.iter().eq(known.iter());
    if is_same && split.moved.is_empty() && split.returned.is_empty() {
        return Ok(Judged {
            without: None,
            contradicted,
            challenged,
        });
    }
    // Others write by this actor, too, or its last changes are not there any more.
    let is_new = |one: &LeftOut| known.get(one.ruling().id).is_none();
    let mut new = settled.iter().filter(|one| is_new(one));
    let is_next_actor = new.any(|one| one.ruling().id.actor == actors.0)
        || split.moved.iter().any(|raw| raw.id.actor == actors.0);
    let actor = if is_next_actor { actors.1 } else { actors.0 };
    let all: Vec<Bytes> = changes.here().map(|raw| raw.bytes.clone()).collect();
    let mut lost = vec![(all.clone(), own_lost.clone())];
    lost.extend(
        unseen
            .iter()
            .map(|raw| (changes.with(raw), [raw.hash].into())),
    );
    own_lost.extend(unseen.iter().map(|raw| raw.hash));
    // It may be what is to leave that keeps the document from loading.
    let before = Document::load(name.clone(), actor, None, &all);
    let before = before
        .map(|document| document.entries())
        .unwrap_or_default();
    let (mut document, anew) = write_anew((&name, actor), &split, &lost)?;
    document.leave_out(settled.iter().map(LeftOut::ruling));
    document.leave_aside(split.aside);
    let without = Box::new(Without {
        row: ListRow::of(&document),
        entries: document.entries().into_iter().map(Arc::new).collect(),
        before: before.iter().map(|entry| entry.id).collect(),
        document: Box::new(document),
        settled: settled.iter().cloned().collect(),
        found,
        moved: split.moved,
        returned: split.returned,
        unseen,
        anew,
        own: own_lost,
        is_next_actor,
    });
    Ok(Judged {
        without: Some(without),
        contradicted,
        challenged,
    })
}

/// The document of what stays, with what this node had written in what leaves: each time among the
/// changes that it was written among.
fn write_anew(
    (name, actor): (&ListName, Actor),
    split: &Split,
    lost: &[(Vec<Bytes>, BTreeSet<ChangeHash>)],
) -> Result<(Document, Vec<Anew>), JobError> {
    let load = || Document::load(name.clone(), actor, None, &split.stay);
    let (mut document, mut anew) = (load()?, Vec::new());
    for (all, lost) in lost.iter().filter(|(_, lost)| !lost.is_empty()) {
        match document.write_anew(all, lost) {
            Ok(written) => anew.extend(written),
            Err(error) => {
                let list = document.id();
                tracing::error!(%list, %error, "what has left a list cannot be written anew");
                return Ok((load()?, Vec::new()));
            }
        }
    }
    Ok((document, anew))
}
