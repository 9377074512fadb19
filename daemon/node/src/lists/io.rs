//! Everything that crosses the edge of the lists machine, in both directions.

mod stats;

pub use stats::Stats;

use super::ask;
use super::job::{Done, Job};
use super::replication::Fork;
use crate::cluster::RosterView;
use crate::time::Wall;
use crate::wire::{Channel, CloseReason, ConnId, Protocol, RequestId, WriteError, WriteId};
use bytes::Bytes;
use crdt::entry::{Author, Entry};
use crdt::list::{Dispute, Document, LeftOut, RawChange, heads_tag};
use crdt::vector::{Sums, VersionVector};
use names::{ChangeHash, ChangeId, EntryId, ListId, ListName, NodeId, NodeName, Role, Shard};
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
    /// Drawn anew at each start: goes into the actors' ids.
    pub salt: [u8; 16],
    /// For all random choices.
    pub seed: [u8; 32],
    /// How many bytes of loaded documents to keep in memory, about.
    pub resident_bytes: usize,
    /// The lists that the store has, with the sums of their version vectors.
    pub known: Vec<(ListId, Sums)>,
    /// Whether connections may speak protocol 1, in which lists are compared by numbers only.
    pub compares_numbers: bool,
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
    /// Tell which lists lag.
    Lagging(ask::Lagging),
    /// Tell which lists are forked.
    Forks(ask::Forks),
    /// Make the rows of lists anew.
    Rebuild(ask::Rebuild),
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
    /// Close a connection whose peer breaks the protocol.
    Close {
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
    /// Changes have left a list.
    LeftOut(Left),
    /// What came of comparing the lists with a peer.
    Compared(Compared),
}

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
    /// Changes leave the list, and all rows of its view are made anew without them.
    LeaveOut {
        /// Which list.
        list: ListId,
        /// What is known of the list as a whole.
        row: ListRow,
        /// All live entries.
        entries: Vec<Arc<Entry>>,
        /// The changes that stay.
        vector: VersionVector,
        /// What the list is without from now on.
        added: Vec<LeftOut>,
        /// The changes that leave it: they are kept aside.
        moved: Vec<RawChange>,
    },
    /// The list's document cannot be loaded; it takes no more changes. Its rows stay.
    Quarantine {
        /// Which list.
        list: ListId,
        /// Why, for people.
        reason: String,
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
    /// To `Lagging`: a bounded number for each peer, in no order.
    Lagging(Vec<Lagging>),
    /// To `Forks`: a bounded number, in no order.
    Forks(Vec<Fork>),
    /// To `Rebuild`: of how many lists the rows were made anew.
    Rebuilt(u64),
}

/// What an edit came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The change that it made; `None` when a retry found everything there already.
    pub change: Option<ChangeHash>,
    /// The entries that the edit added or changed, in its order; empty for deletions.
    pub entries: Vec<Arc<Entry>>,
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
    #[error("the list is quarantined: its document cannot be loaded")]
    Quarantined,
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
    /// The changes that have left it, and whether clients of this node were told that they are done.
    pub changes: Vec<(ChangeHash, bool)>,
}
