//! What runs on a blocking thread: all reading of the store, and whatever takes long in a large
//! document.

mod examining;
mod leaving;
mod looking;
mod merging;

pub use examining::{Examined, examine};
pub use leaving::{Judged, Without};
pub use looking::{Look, Seen};
pub use merging::each_change;

use super::io::ListRow;
use super::own::Own;
use crate::wire::RequestId;
use bytes::Bytes;
use crdt::entry::Entry;
use crdt::list::{
    self, Applied, ApplyError, CheckedChange, Document, LeftOut, LoadError, RawChange,
};
use crdt::vector::{Range, Tip, VersionVector};
use leaving::{leave_out, rulings};
use looking::see;
use merging::merged;
use names::{Actor, ChangeHash, ChangeId, ListId, ListName, NodeId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many earlier changes are looked up for what a peer said of a list. The others stay unknown: they
/// are not confirmed.
const MAX_EARLIER: usize = 4_096;

/// Work that takes too long for the machine's own thread.
#[derive(Debug)]
pub enum Job {
    /// Read the list's rows and make its document.
    Load {
        /// The list's name.
        name: ListName,
        /// The actor that will write to it.
        actor: Actor,
    },
    /// Apply changes to a large document.
    Apply {
        /// The document, which comes back.
        document: Box<Document>,
        /// What to apply.
        changes: Vec<CheckedChange>,
    },
    /// Give Automerge's document the additions that it lacks.
    CatchUp {
        /// The document, which comes back.
        document: Box<Document>,
    },
    /// Make a snapshot of a document that is to leave the memory, and prove that it loads back.
    Save {
        /// The document, which does not come back.
        document: Box<Document>,
    },
    /// Make all rows of a list's view from its raw changes.
    Rebuild {
        /// The actor that will write to the document.
        actor: Actor,
        /// For [`Row::View`](super::Row::View), opaque to the job.
        thorough: bool,
    },
    /// Find what the list is to be without, and make all rows of its view from the changes that stay.
    LeaveOut {
        /// The actor that writes to the document, and the one that will if others write by that, or
        /// what it wrote leaves the list.
        actors: (Actor, Actor),
        /// This node, which says which changes are its own.
        own: Own,
        /// Changes whose numbers others may have here.
        challengers: Vec<RawChange>,
        /// What others leave out.
        told: Vec<LeftOut>,
    },
    /// Read a list's name and version vector, and which changes these are of those before its last
    /// ones.
    Vector {
        /// Which ones; those that are not before an actor's last one are passed over.
        earlier: Vec<ChangeId>,
    },
    /// Read changes of a list.
    Changes {
        /// Which ones.
        ranges: Vec<Range>,
        /// About how many bytes at most; at least one change is read.
        most_bytes: usize,
        /// For the receiver of the answer, opaque to the job.
        to: NodeId,
    },
    /// Load the list and look at it.
    Look {
        /// The list's name.
        name: ListName,
        /// What for.
        look: Look,
        /// For whom, opaque to the job.
        request: RequestId,
    },
}

/// What came of a job, in the order of [`Job`]'s variants.
#[derive(Debug)]
pub enum Done {
    /// The document, or why it cannot be had.
    Loaded(Result<Loaded, JobError>),
    /// The document after applying. On an error it is not fit for use: load it again.
    Applied(Result<(Box<Document>, Applied), ApplyError>),
    /// The document without anything that it lacks. On an error it is not fit for use.
    CaughtUp(Result<Box<Document>, ApplyError>),
    /// What the snapshot covers, and its bytes; `None` if it did not load back equal.
    Saved(Option<(VersionVector, Bytes)>),
    /// The rows, or why they cannot be made.
    Rebuilt(Result<Box<Rebuilt>, JobError>),
    /// What is left out from now on.
    LeftOut(Result<Judged, JobError>),
    /// How far the list has come; `None` for an unknown list.
    Vector(Result<Option<Progress>, SourceError>),
    /// The changes, in an order in which each follows those that it depends on.
    Changes {
        /// As the job named it.
        to: NodeId,
        /// The list's name and the raw changes.
        found: Result<Option<Answer>, SourceError>,
    },
    /// What was seen.
    Looked {
        /// As the job named it.
        request: RequestId,
        /// `None` if the list has no such change.
        found: Result<Option<Seen>, JobError>,
    },
}

/// A document made from the store's rows.
#[derive(Debug)]
pub struct Loaded {
    /// The document.
    pub document: Box<Document>,
    /// How many changes had to be read besides the snapshot.
    pub beyond_snapshot: u64,
}

/// All rows of a list's view, made from its raw changes.
#[derive(Debug)]
pub struct Rebuilt {
    /// The document that they were made from.
    pub document: Box<Document>,
    /// The list's row.
    pub row: ListRow,
    /// All live entries, in order.
    pub entries: Vec<Arc<Entry>>,
    /// As the job said.
    pub thorough: bool,
}

/// How far a list is on the disk.
#[derive(Debug)]
pub struct Progress {
    /// The list's name.
    pub name: ListName,
    /// Its version vector.
    pub vector: VersionVector,
    /// Earlier changes, those that the job asked for.
    pub earlier: Vec<Tip>,
    /// What the list is without, as records.
    pub left_out: Vec<Bytes>,
}

/// Changes read from the store.
#[derive(Debug)]
pub struct Answer {
    /// The list's name.
    pub name: ListName,
    /// Raw changes, dependencies first.
    pub changes: Vec<Bytes>,
    /// Whether these are all that were asked for: nothing was left out for its size.
    pub complete: bool,
}

/// Why a document could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Its rows could not be read; trying again may help.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Its rows do not make a document.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its rows make a document that lacks changes which the store counts among the list's.
    #[error("changes are missing from the store")]
    Gap,
}

/// What jobs read: the store, or the simulator's disk. All reads see committed rows only.
pub trait Source {
    /// The name of a list; `None` if it is unknown.
    ///
    /// # Errors
    /// The store cannot be read.
    fn name(&self, list: ListId) -> Result<Option<ListName>, SourceError>;
    /// The version vector of a list; empty if it is unknown.
    ///
    /// # Errors
    /// The store cannot be read.
    fn vector(&self, list: ListId) -> Result<VersionVector, SourceError>;
    /// The latest snapshot of a list and what it covers.
    ///
    /// # Errors
    /// The store cannot be read.
    fn snapshot(&self, list: ListId) -> Result<Option<(VersionVector, Bytes)>, SourceError>;
    /// Raw changes of one actor, in order; fewer than asked for if the store has fewer.
    ///
    /// # Errors
    /// The store cannot be read.
    fn changes(&self, list: ListId, range: Range) -> Result<Vec<Bytes>, SourceError>;
    /// What the list is without: records of [`LeftOut`].
    ///
    /// # Errors
    /// The store cannot be read.
    fn left_out(&self, list: ListId) -> Result<Vec<Bytes>, SourceError>;
    /// How many changes of each of its actors this node has made itself in the list.
    ///
    /// # Errors
    /// The store cannot be read.
    fn made(&self, list: ListId) -> Result<BTreeMap<Actor, u64>, SourceError>;
    /// The changes that were in the list once, and are kept aside.
    ///
    /// # Errors
    /// The store cannot be read.
    fn aside(&self, list: ListId) -> Result<Vec<ChangeHash>, SourceError>;
    /// The same as their bytes.
    ///
    /// # Errors
    /// The store cannot be read.
    fn changes_aside(&self, list: ListId) -> Result<Vec<Bytes>, SourceError>;
}

/// The store cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot be read: {reason}")]
pub struct SourceError {
    /// Why, for people.
    pub reason: String,
    /// Whether what is on the disk is not what was written: then it does not help to try again.
    pub is_damage: bool,
}

impl Job {
    /// Does the work. May block on the store and take seconds for a large list.
    pub fn run(self, list: ListId, source: &dyn Source) -> Done {
        match self {
            Self::Load { name, actor } => Done::Loaded(load(list, &name, actor, source)),
            Self::Apply {
                mut document,
                changes,
            } => Done::Applied(document.apply(changes).map(|applied| (document, applied))),
            Self::CatchUp { mut document } => {
                Done::CaughtUp(document.catch_up().map(|()| document))
            }
            Self::Save { mut document } => {
                let caught_up = document.catch_up();
                Done::Saved(caught_up.ok().and_then(|()| save(&document)))
            }
            Self::Rebuild { actor, thorough } => {
                Done::Rebuilt(rebuild(list, actor, thorough, source).map(Box::new))
            }
            Self::LeaveOut {
                actors,
                own,
                challengers,
                told,
            } => {
                let found = leave_out(list, actors, &own, (&challengers, told), source);
                Done::LeftOut(found)
            }
            Self::Vector { earlier } => Done::Vector(progress(list, &earlier, source)),
            Self::Changes {
                ranges,
                most_bytes,
                to,
            } => Done::Changes {
                to,
                found: read(list, &ranges, most_bytes, source),
            },
            Self::Look {
                name,
                look,
                request,
            } => {
                // The zero actor writes nothing: this document is only read.
                let loaded = load(list, &name, Actor([0; 16]), source);
                let seen = loaded.and_then(|loaded| see(list, &loaded.document, look, source));
                Done::Looked {
                    request,
                    found: seen,
                }
            }
        }
    }
}

/// A snapshot is only a cache: if it is damaged, or does not give what the store's vector names, all
/// changes are read instead.
fn load(
    list: ListId,
    name: &ListName,
    actor: Actor,
    source: &dyn Source,
) -> Result<Loaded, JobError> {
    let vector = source.vector(list)?;
    let snapshot = match source.snapshot(list) {
        Err(error) if error.is_damage => None,
        read => read?,
    };
    if let Some((covers, snapshot)) = snapshot
        && let Ok(loaded) = assemble(
            list,
            name,
            actor,
            &vector,
            Some((&covers, &snapshot)),
            source,
        )
    {
        return Ok(loaded);
    }
    assemble(list, name, actor, &vector, None, source)
}

fn rebuild(
    list: ListId,
    actor: Actor,
    thorough: bool,
    source: &dyn Source,
) -> Result<Rebuilt, JobError> {
    let name = source.name(list)?.ok_or(JobError::Gap)?;
    let vector = source.vector(list)?;
    let Loaded { document, .. } = assemble(list, &name, actor, &vector, None, source)?;
    Ok(Rebuilt {
        row: ListRow::of(&document),
        entries: document.entries().into_iter().map(Arc::new).collect(),
        document,
        thorough,
    })
}

fn assemble(
    list: ListId,
    name: &ListName,
    actor: Actor,
    vector: &VersionVector,
    snapshot: Option<(&VersionVector, &Bytes)>,
    source: &dyn Source,
) -> Result<Loaded, JobError> {
    let covered = snapshot
        .map(|(covers, _)| covers.clone())
        .unwrap_or_default();
    let changes = merged(list, &vector.missing_in(&covered), usize::MAX, source)?.0;
    let mut document = Document::load(
        name.clone(),
        actor,
        snapshot.map(|(_, bytes)| bytes.as_ref()),
        &changes,
    )?;
    document.leave_out(rulings(list, source)?);
    document.leave_aside(source.aside(list)?);
    if document.vector() != vector {
        return Err(JobError::Gap);
    }
    Ok(Loaded {
        document: Box::new(document),
        beyond_snapshot: u64::try_from(changes.len()).unwrap_or(u64::MAX),
    })
}

fn save(document: &Document) -> Option<(VersionVector, Bytes)> {
    let bytes = Bytes::from(document.save());
    let mut again =
        Document::load(document.name().clone(), Actor([0; 16]), Some(&bytes), &[]).ok()?;
    again.leave_out(document.left_out().iter().copied());
    let equal = again.heads() == document.heads() && again.sums() == document.sums();
    equal.then(|| (document.vector().clone(), bytes))
}

fn progress(
    list: ListId,
    earlier: &[ChangeId],
    source: &dyn Source,
) -> Result<Option<Progress>, SourceError> {
    let Some(name) = source.name(list)? else {
        return Ok(None);
    };
    let vector = source.vector(list)?;
    let is_earlier = |id: &&ChangeId| id.seq < vector.seq(id.actor);
    let mut found = Vec::new();
    for id in earlier.iter().filter(is_earlier).take(MAX_EARLIER) {
        let range = Range {
            actor: id.actor,
            from: id.seq,
            to: id.seq,
        };
        let changes = source.changes(list, range)?;
        found.extend(
            changes
                .first()
                .map(|bytes| Tip::of(*id, list::hash_of(bytes))),
        );
    }
    Ok(Some(Progress {
        name,
        vector,
        earlier: found,
        left_out: source.left_out(list)?,
    }))
}

fn read(
    list: ListId,
    ranges: &[Range],
    most_bytes: usize,
    source: &dyn Source,
) -> Result<Option<Answer>, SourceError> {
    let Some(name) = source.name(list)? else {
        return Ok(None);
    };
    let (changes, complete) = merged(list, ranges, most_bytes, source)?;
    Ok(Some(Answer {
        name,
        changes,
        complete,
    }))
}
