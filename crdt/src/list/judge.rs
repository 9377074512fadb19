//! The one judge of changes: what it lets pass is safe to apply, to save and to send on.
//!
//! Bytes with a valid checksum can make Automerge panic, expand without bounds, or leave a document
//! that no longer loads. So the limits are checked on the encoded form, Automerge decodes behind
//! `catch_unwind`, and its own encoding of what it understood must be the very bytes that came. What
//! only adds entries is judged in the same way without Automerge (`pure`), for a fraction of the time.

use super::apply::ApplyError;
pub use super::chunk::Head;
use super::chunk::{self, ChunkError};
use super::outline::Outline;
use super::pure::Addition;
use super::{MAX_CHANGE_BYTES, MAX_OPERATIONS, genesis, message};
use crate::entry::Author;
use automerge::{ActorId, Change};
use bytes::Bytes;
use names::{Actor, ChangeHash, ChangeId};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The longest message (author) of a change, in bytes.
pub(super) const MAX_AUTHOR_BYTES: usize = 4096;
/// Automerge keeps operation counters in 32 bits.
pub(super) const MAX_COUNTER: u64 = u32::MAX as u64;

/// Why a change was refused. It was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// More bytes than [`MAX_CHANGE_BYTES`].
    #[error("the change has more than {MAX_CHANGE_BYTES} bytes")]
    Bytes,
    /// More operations than [`MAX_OPERATIONS`].
    #[error("the change has more than {MAX_OPERATIONS} operations")]
    Operations,
    /// The bytes are not those that the checksum was made of.
    #[error("the change's checksum is wrong")]
    Checksum,
    /// The bytes are not an uncompressed change.
    #[error("the bytes are not a change: {0}")]
    Malformed(String),
    /// Automerge would write the change differently.
    #[error("the change is not written in the canonical way")]
    NotCanonical,
    /// No Muster document can have such a change.
    #[error("the change {0}")]
    Shape(&'static str),
    /// Automerge panicked on it.
    #[error("the change cannot be decoded")]
    Panicked,
    /// Its operations are not numbered above those that it depends on.
    #[error("the change's operations are numbered from {start_op}, which does not follow {after}")]
    Numbering {
        /// Its first operation.
        start_op: u64,
        /// The last operation of its dependencies.
        after: u64,
    },
    /// Its dependencies are all here, but not its actor's changes before it.
    #[error("the change is its actor's number {seq}, but the one before it is missing")]
    Gap {
        /// Its number.
        seq: u64,
    },
    /// Another change of the same actor and number is here already.
    #[error("another change of the same actor and number is known")]
    Forked,
    /// The list is without it, or without what it depends on.
    #[error("the change is left out of the list, or depends on one that is")]
    LeftOut,
    /// With it alone the document would not be fit for use.
    #[error(transparent)]
    Spoils(ApplyError),
}

impl From<ChunkError> for Fault {
    fn from(error: ChunkError) -> Self {
        match error {
            ChunkError::Bytes => Self::Bytes,
            ChunkError::Operations => Self::Operations,
            ChunkError::Checksum => Self::Checksum,
            ChunkError::Malformed(what) => Self::Malformed(what.to_owned()),
        }
    }
}

/// A change that [`judge`] let pass. Whether it fits a document is for [`super::Document::apply`]
/// to say.
#[derive(Clone, Debug)]
pub struct CheckedChange {
    id: ChangeId,
    hash: ChangeHash,
    deps: Vec<ChangeHash>,
    start_op: u64,
    /// How many operations it has.
    length: usize,
    seconds: i64,
    message: String,
    bytes: Bytes,
    /// As Automerge has it, if the judge has asked that.
    decoded: Option<Change>,
    pub(super) outline: Outline,
}

impl CheckedChange {
    /// Its actor and number.
    pub fn id(&self) -> ChangeId {
        self.id
    }

    /// Its hash.
    pub fn hash(&self) -> ChangeHash {
        self.hash
    }

    /// The changes that it depends on directly.
    pub fn deps(&self) -> &[ChangeHash] {
        &self.deps
    }

    /// The number of its first operation; higher than those of all changes that it depends on.
    pub fn start_op(&self) -> u64 {
        self.start_op
    }

    /// How many operations it has.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The number of its last operation; one less than [`CheckedChange::start_op`] if it has none.
    pub(super) fn max_op(&self) -> u64 {
        let length = u64::try_from(self.length).unwrap_or(u64::MAX);
        self.start_op.saturating_add(length).saturating_sub(1)
    }

    /// The raw change chunk.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Who wrote it, and what it takes back.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Who wrote it, by its message.
    pub fn author(&self) -> Author {
        Author(message::author(&self.message).to_owned())
    }

    /// When it was written: seconds since the epoch.
    pub(super) fn seconds(&self) -> i64 {
        self.seconds
    }

    /// When it was written: milliseconds since the epoch, of whole seconds.
    pub fn at_ms(&self) -> i64 {
        self.seconds.saturating_mul(1000)
    }

    /// Whether both say the same, whoever has judged them.
    pub(super) fn says_as(&self, other: &Self) -> bool {
        let numbers = |change: &Self| (change.start_op, change.length, change.seconds);
        (self.id, self.hash, numbers(self)) == (other.id, other.hash, numbers(other))
            && (&self.deps, &self.message) == (&other.deps, &other.message)
            && self.outline == other.outline
    }

    /// As Automerge has it.
    pub(super) fn decoded(&self) -> Result<Cow<'_, Change>, ApplyError> {
        match &self.decoded {
            Some(change) => Ok(Cow::Borrowed(change)),
            None => Change::from_bytes(self.bytes.to_vec())
                .map(Cow::Owned)
                .map_err(|error| ApplyError::Automerge(error.to_string())),
        }
    }
}

/// Judges the bytes of one change: 4 MiB, 100,000 operations, uncompressed, intact, canonical, of
/// the shape of a list. Never panics.
///
/// # Errors
/// The first rule that it breaks.
pub fn judge(bytes: Bytes) -> Result<CheckedChange, Fault> {
    let hash = chunk::check(&bytes)?;
    let Some(addition) = judge_addition(&bytes, hash) else {
        return judge_by_automerge(bytes, hash);
    };
    debug_assert!(judge_by_automerge(bytes, hash).is_ok_and(|change| change.says_as(&addition)));
    Ok(addition)
}

/// A change that adds entries and does nothing else; `None` if it is none, or Automerge has to say.
pub(super) fn judge_addition(bytes: &Bytes, hash: ChangeHash) -> Option<CheckedChange> {
    let addition = Addition::read(bytes)?;
    Some(CheckedChange {
        id: addition.id,
        hash,
        start_op: addition.start_op,
        length: addition.len(),
        seconds: addition.seconds,
        message: addition.message.to_owned(),
        bytes: bytes.clone(),
        decoded: None,
        outline: addition.outline()?,
        deps: addition.deps,
    })
}

/// Judges a change whatever it does.
pub(super) fn judge_by_automerge(bytes: Bytes, hash: ChangeHash) -> Result<CheckedChange, Fault> {
    let start_op = chunk::parse(&bytes)?.start_op;
    let decoded =
        catch_unwind(AssertUnwindSafe(|| decode(&bytes))).unwrap_or(Err(Fault::Panicked))?;
    let (change, outline, id) = decoded;
    if change.start_op().get() != start_op || change.hash().0 != hash.0 {
        return Err(Fault::NotCanonical);
    }
    let deps = change
        .deps()
        .iter()
        .map(|hash| ChangeHash(hash.0))
        .collect();
    Ok(CheckedChange {
        id,
        hash,
        deps,
        start_op,
        length: change.len(),
        seconds: change.timestamp(),
        message: change.message().unwrap_or_default().to_owned(),
        bytes,
        decoded: Some(change),
        outline,
    })
}

/// The number of the first operation of a change chunk, which is never below those of the changes that it
/// depends on; see [`in_order`](super::in_order). Checks little; `None` if the bytes are no change.
pub fn start_op(bytes: &[u8]) -> Option<u64> {
    chunk::start_op(bytes)
}

/// What a change chunk says of itself. Checks little; `None` if the bytes are no change.
pub fn head_of(bytes: &[u8]) -> Option<Head> {
    chunk::head(bytes)
}

/// The hash by which a change chunk is known. Checks nothing.
pub fn hash_of(bytes: &[u8]) -> ChangeHash {
    chunk::hash(bytes)
}

/// All that needs Automerge, which may panic.
fn decode(bytes: &Bytes) -> Result<(Change, Outline, ChangeId), Fault> {
    let change =
        Change::from_bytes(bytes.to_vec()).map_err(|error| Fault::Malformed(error.to_string()))?;
    let id = ChangeId {
        actor: actor(change.actor_id())?,
        seq: change.seq(),
    };
    if id.actor == genesis::ENTRIES.actor {
        return Err(Fault::Shape("claims to be the list's first"));
    }
    if change.deps().is_empty() {
        return Err(Fault::Shape(
            "does not depend on the first change of every list",
        ));
    }
    if change
        .message()
        .is_some_and(|message| message.len() > MAX_AUTHOR_BYTES)
    {
        return Err(Fault::Shape("has too long a message"));
    }
    let length = u64::try_from(change.len()).unwrap_or(u64::MAX);
    if change.start_op().get().saturating_add(length) > MAX_COUNTER
        || change.seq() > MAX_COUNTER
        || change.seq() == 0
    {
        return Err(Fault::Shape("has numbers beyond 32 bits"));
    }
    let expanded = change.decode();
    let mut outline = Outline::of(&expanded, id.actor).map_err(Fault::Shape)?;
    outline.actors = change
        .other_actor_ids()
        .iter()
        .map(actor)
        .collect::<Result<_, _>>()?;
    if Change::from(expanded).raw_bytes() != bytes {
        return Err(Fault::NotCanonical);
    }
    Ok((change, outline, id))
}

fn actor(id: &ActorId) -> Result<Actor, Fault> {
    id.to_bytes().try_into().map(Actor).map_err(|_| {
        Fault::Shape(
            "names an actor that is not of \
        16 bytes",
        )
    })
}
