//! Everything that crosses the edge of the lists machine, in both directions.

mod row;
mod stats;

pub use row::{ListRow, Remake, Row};
pub use stats::Stats;

use super::ask;
use super::job::{Done, Job};
use super::replication::{Contradiction, Fork};
use crate::cluster::RosterView;
use crate::proof::Proofs;
use crate::time::Wall;
use crate::wire::{Channel, CloseReason, ConnId, Protocol, RequestId, WriteError, WriteId};
use bytes::Bytes;
use crdt::entry::{Author, Differences, Entry, Field};
use crdt::list::{Account, Dispute, MergeError, Standing, Undone};
use crdt::vector::{Sums, VersionVector};
use names::{Actor, ChangeHash, EntryId, ListId, ListName, NodeId, NodeName, Role, Shard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What the machine is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node.
    pub me: NodeId,
    /// The first and the last shard that this machine owns; the daemon's machines share out
    /// all 256.
    pub shards: (Shard, Shard),
    /// Drawn anew at each start, one for all machines: goes into the actors' ids.
    pub salt: [u8; 16],
    /// The run in which the daemon starts.
    pub run: u64,
    /// Signs what this node says of its actors, and judges what others have signed.
    pub proofs: Arc<dyn Proofs>,
    /// The salts that the store has.
    pub salts: Vec<Bytes>,
    /// For all random choices.
    pub seed: [u8; 32],
    /// How many bytes of loaded documents to keep in memory, about.
    pub resident_bytes: usize,
    /// The lists that the store has, with the sums of their version vectors.
    pub known: Vec<(ListId, Sums)>,
    /// Whether connections may speak protocol 1, in which lists are compared by numbers only.
    pub compares_numbers: bool,
    /// Whether changes by actors are taken for which no node has signed.
    pub takes_unsigned: bool,
    /// Those of them that are quarantined.
    pub quarantined: Vec<ListId>,
    /// Those of them whose rows are to be made anew.
    pub remake: Vec<(ListId, Remake)>,
}

/// What happens to the machine.
#[derive(Debug)]
pub enum Input {
    /// A connection to a member stands. A peer may have two for a moment; the newest one is used.
    Connected {
        /// Who is there.
        peer: NodeId,
        /// What it is in the cluster.
        role: Role,
        /// The connection.
        conn: ConnId,
        /// Which version of the protocol it speaks.
        protocol: Protocol,
    },
    /// A message on [`Channel::Lists`].
    Message {
        /// Where it came in.
        conn: ConnId,
        /// Its bytes.
        bytes: Bytes,
    },
    /// The queue to that peer was full: a message that we sent was dropped.
    Overflowed {
        /// On which connection.
        conn: ConnId,
    },
    /// A connection is gone.
    Closed {
        /// The connection.
        conn: ConnId,
    },
    /// The cluster as it is now; only the latest matters.
    Cluster(Arc<RosterView>),
    /// A client asks.
    Request {
        /// To be named in the reply.
        id: RequestId,
        /// Who asks.
        by: Author,
        /// What is wanted.
        command: Command,
    },
    /// A write was committed, or failed. After a failure no write succeeds until `Reopened`.
    Written {
        /// The id of the write, from [`Output::Write`].
        id: WriteId,
        /// How it went.
        result: Result<(), WriteError>,
    },
    /// The store was reopened after a failed commit: what it has now is the truth. Every write that
    /// was put out before this input must have failed, or fail still, unless `known` counts it.
    Reopened {
        /// A new salt, never used before.
        salt: [u8; 16],
        /// The lists of this machine's shards that the store has, with the sums of their version
        /// vectors.
        known: Vec<(ListId, Sums)>,
    },
    /// Changes of a list that were found behind damage of the disk: they are judged as a peer's are.
    Salvaged {
        /// Which list.
        name: ListName,
        /// The raw changes.
        changes: Vec<Bytes>,
    },
    /// A job is done.
    Worked {
        /// Which list it was about.
        list: ListId,
        /// What came of it.
        done: Done,
    },
}

/// What a client can ask of the lists machine. Reads go to the store's view, not here.
#[derive(Clone, Debug)]
pub enum Command {
    /// Change a list.
    Edit(ask::Edit),
    /// Wait until some other member has all that this node has.
    Depart(ask::Depart),
    /// Show a list as it was.
    EntriesAt(ask::EntriesAt),
    /// Show what was written apart in a list.
    Disputes(ask::Disputes),
    /// Tell the changes of a list.
    History(ask::History),
    /// Give the document of a list.
    Saved(ask::Saved),
    /// Tell what a document from outside would change.
    Differences(ask::Differences),
    /// Tell which entries are in a list, or were.
    Standings(ask::Standings),
    /// Tell the last change that somebody has made here.
    LastOf(ask::LastOf),
    /// Tell which lists lag.
    Lagging(ask::Lagging),
    /// Tell which lists are forked.
    Forks(ask::Forks),
    /// Tell which nodes have signed two changes with one number.
    Contradictions(ask::Contradictions),
    /// Make the rows of lists anew.
    Rebuild(ask::Rebuild),
    /// Tell which connected members have a list, and how far.
    Holders(ask::Holders),
    /// Put a list in quarantine.
    Quarantine(ask::Quarantine),
    /// Try to make the document of a list in quarantine.
    Release(ask::Release),
    /// Remove a list in quarantine from this node, to take it from other members.
    Replace(ask::Replace),
    /// Tell how this node's lists stand to those of its peers.
    Comparisons(ask::Comparisons),
    /// Take salts of a backup.
    Learn(ask::Learn),
    /// Take what a backup has of a list.
    Restore(ask::Restore),
}

/// An `If-Match`: the tag that the addressed thing must still have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// [`ListRow::tag`] of the list.
    List(u64),
    /// [`Entry::tag`] of the entry that the edit addresses.
    Entry(u64),
}

/// How many nodes in all, this one among them, shall have a change on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// That many.
    Count(usize),
    /// More than half of the roster.
    Majority,
    /// The whole roster.
    All,
}

/// What the machine wants done, in this order.
#[derive(Debug)]
pub enum Output {
    /// Send a message on [`Channel::Lists`].
    Send {
        /// On which connection.
        conn: ConnId,
        /// The channel, always [`Channel::Lists`].
        channel: Channel,
        /// Its bytes, at most 1 MiB.
        bytes: Bytes,
    },
    /// A peer breaks the protocol: the cluster machine is to cut it off.
    Breach {
        /// The connection.
        conn: ConnId,
        /// What the peer is told.
        reason: CloseReason,
    },
    /// Commit all rows or none, durably, after all writes before it; answered by `Written`.
    Write {
        /// Which write.
        id: WriteId,
        /// What to write.
        rows: Vec<Row>,
    },
    /// Run [`Job::run`] on a thread that may block; answered by `Worked`. One job per list at a
    /// time.
    Work {
        /// Which list it is about.
        list: ListId,
        /// What to do.
        job: Job,
    },
    /// The answer to a request.
    Reply {
        /// The request that it answers.
        id: RequestId,
        /// The answer.
        result: Result<Reply, Refusal>,
    },
    /// A list changed, here or elsewhere, and the change is on this node's disk.
    Changed(Change),
    /// A connected peer was found to have another branch of a list.
    Forked(Fork),
    /// A node was found to have signed two changes with one number as its own.
    Contradicted(Contradiction),
    /// Changes have left a list.
    LeftOut(Left),
    /// What came of comparing the lists with a peer.
    Compared(Compared),
}

/// An entry with fields that were written apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disputed {
    /// As it is shown.
    pub entry: Entry,
    /// The fields, with all values of each.
    pub disputes: Vec<Dispute>,
    /// Whose the actors of the values are, as far as that is known.
    pub owners: BTreeMap<Actor, NodeId>,
}

/// A change of a list, with the node that has made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What it did.
    pub account: Account,
    /// Whose its actor is, if that is known.
    pub owner: Option<NodeId>,
}

/// The answer to a command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To `Edit`.
    Edited(Edited),
    /// To `Depart`: the number of lists that no other member is known to have whole; 0 is
    /// success.
    Unconfirmed(u64),
    /// To `EntriesAt`.
    Entries(Vec<Entry>),
    /// To `Disputes`.
    Disputes(Vec<Disputed>),
    /// To `History`.
    History(Vec<Recorded>),
    /// To `Saved`: the tag of the list, and the document.
    Saved(u64, Bytes),
    /// To `Differences`: the tag of the list, and what would change.
    Differences(u64, Box<Differences>),
    /// To `Standings`: of those that are in the list, or were.
    Standings(Vec<(EntryId, Standing)>),
    /// To `LastOf`.
    LastOf(Option<ChangeHash>),
    /// To `Lagging`: a bounded number for each peer, in no order.
    Lagging(Vec<Lagging>),
    /// To `Forks`: a bounded number, in no order.
    Forks(Vec<Fork>),
    /// To `Contradictions`: a bounded number, in no order.
    Contradictions(Vec<Contradiction>),
    /// To `Rebuild`: of how many lists the rows were made anew.
    Rebuilt(u64),
    /// To `Holders`.
    Holders(Vec<Holder>),
    /// To `Comparisons`: a line for each peer with which lists were compared, in the order of ids.
    Comparisons(Vec<Comparison>),
    /// To `Quarantine`, `Release` and `Replace`: it is done. To `Learn` and `Restore`: it was taken in, and is judged.
    Done,
}

/// How this node's lists stand to those of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Which peer.
    pub peer: NodeId,
    /// How many lists differed when they were compared last.
    pub differing: u64,
    /// How long ago that was.
    pub ago: Duration,
}

/// What a connected member has of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Which member.
    pub peer: NodeId,
    /// How far it has come there; empty if the member does not have the list.
    pub vector: VersionVector,
}

/// What an edit came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The change that it made; `None` when a retry found everything there already.
    pub change: Option<ChangeHash>,
    /// The entries that the edit added or changed, in its order; empty for deletions.
    pub entries: Vec<Arc<Entry>>,
    /// What became of undoing a change, if that was the edit.
    pub undone: Option<Box<Undone>>,
    /// Which nodes have it, if the client asked to wait for replicas.
    pub replicas: Option<Confirmations>,
}

/// A list that has differed from a peer's for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagging {
    /// Which list.
    pub list: ListId,
    /// From whose.
    pub peer: NodeId,
    /// For how long, while one side stood still; as old as the last comparison with that peer.
    pub lag: Duration,
}

/// What became of waiting for replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmations {
    /// How many nodes were wanted in all.
    pub asked: usize,
    /// Those that have it on disk, this node first.
    pub confirmed: Vec<NodeName>,
    /// Whether that is enough.
    pub reached: bool,
}

/// Why a command was not carried out. Unless the variant says otherwise, nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The list has no live entry here.
    #[error("there is no list {0:?}")]
    NoList(String),
    /// The entry is not there, or was deleted.
    #[error("there is no entry {0} in the list")]
    NoEntry(EntryId),
    /// An entry of this id was in the list and was deleted since.
    #[error("the entry {0} was deleted")]
    Deleted(EntryId),
    /// `before` or `after` names an entry that is not there.
    #[error("there is no entry {0} to be placed next to")]
    NoPlace(EntryId),
    /// A document from outside is not merged in.
    #[error(transparent)]
    Unmergeable(MergeError),
    /// The field has one value in that entry.
    #[error("{} of {id} has one value: it is settled", .field.as_str())]
    Settled {
        /// Which entry.
        id: EntryId,
        /// Which field.
        field: Field,
    },
    /// The change undid none, so that there is nothing to be made anew.
    #[error("the change {0} undid nothing")]
    NoUndo(ChangeHash),
    /// The history has no such change.
    #[error("the list has no change {0}")]
    NoChange(ChangeHash),
    /// The thing has changed since the client saw it.
    #[error("it was changed in between")]
    Changed,
    /// Peers would refuse the change: too many bytes or operations.
    #[error("the change is too large: {0}")]
    TooLarge(String),
    /// The roster has fewer nodes.
    #[error("{asked} replicas were asked for, but the roster has {have} nodes")]
    TooManyReplicas {
        /// As asked.
        asked: usize,
        /// The roster's size.
        have: usize,
    },
    /// The list is quarantined.
    #[error(
        "the list is quarantined: its document cannot be loaded; muster quarantine why LIST tells more"
    )]
    Quarantined,
    /// The list is not quarantined.
    #[error("the list {0:?} is not quarantined")]
    NotQuarantined(String),
    /// The list's changes still do not make its document.
    #[error("the list stays in quarantine: {0}")]
    StillDamaged(String),
    /// The list's changes do not make its document, so that its rows cannot be made from them.
    #[error("the rows of the list cannot be made anew: {0}")]
    Damaged(String),
    /// Too much is waiting; try again in a moment.
    #[error("too many requests are waiting")]
    Busy,
    /// The store cannot take writes now; nothing was tried.
    #[error("the store takes no writes now: {0}")]
    Unavailable(WriteError),
    /// The commit failed after it was tried: whether the change is there is unknown. Retry with the
    /// same id.
    #[error("the outcome is unknown: {0}")]
    Unknown(WriteError),
    /// The deadline passed before anything was done.
    #[error("the deadline passed")]
    Timeout,
}

/// A list changed, for watchers and event streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which list.
    pub list: ListId,
    /// Its name.
    pub name: ListName,
    /// When this node committed it.
    pub at: Wall,
    /// Live entries before.
    pub total_before: u64,
    /// The list as it is now.
    pub row: ListRow,
    /// The entries that were touched: as they are now, or `None` when gone, and whether they were
    /// there before.
    pub entries: Vec<(EntryId, Option<Arc<Entry>>, bool)>,
    /// What came from other members; `None` if clients of this node made it.
    pub remote: Option<Remote>,
}

/// Changes of a list that came from other members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// How many.
    pub changes: u64,
    /// How many bytes they take.
    pub bytes: u64,
    /// What of the entries that they touched was written apart; a bounded number of these.
    pub disputes: Vec<(EntryId, Vec<Dispute>)>,
}

/// What came of comparing the lists with a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// With whom.
    pub peer: NodeId,
    /// What was found.
    pub finding: Finding,
}

/// What two nodes find when they compare their lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// All lists from one shard to another are the same.
    Equal(Shard, Shard),
    /// Each side has changes of this list that the other one lacks.
    Diverged(ListName),
    /// The peer lacked changes of a list, and was sent them.
    Sent {
        /// How many.
        changes: u64,
        /// How many bytes they take.
        bytes: u64,
    },
}

/// Changes have left a list, of which another branch stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Which list.
    pub list: ListId,
    /// Its name.
    pub name: ListName,
    /// When this node committed it.
    pub at: Wall,
    /// The changes that have left it.
    pub changes: Vec<Gone>,
}

/// A change that has left its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Which change.
    pub hash: ChangeHash,
    /// Whether clients of this node were told that it is done.
    pub is_own: bool,
    /// Where it is this node's own: the changes by which it was written anew, none if nothing of it was
    /// left to be said.
    pub anew: Vec<ChangeHash>,
}
