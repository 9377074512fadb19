//! Everything that crosses the machine's edge for the process registry, in both directions.

use super::ask;
use super::rows::Rows;
use crate::time::Wall;
use crate::wire::{ConnId, WriteError, WriteId};
use bytes::Bytes;
use crdt::registry::{Entry, Process, Reason};
use names::{Handle, NodeId, NodeName, ProcessName};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What the registry is made with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What the disk kept (see [`Output::Keep`]), in any order.
    pub kept: Rows,
    /// How many processes this node can watch at most: one file descriptor each.
    pub capacity: usize,
    /// How many names the processes of one user may have on this node; root's are not counted.
    pub names_per_uid: usize,
    /// How long after SIGTERM a linked process that still lives gets SIGKILL; zero for never.
    pub kill_after: Duration,
}

/// A row that the disk keeps, of no meaning to anybody but the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRow {
    /// Its key, unique.
    pub key: Bytes,
    /// Its value; `None` to have the row removed.
    pub value: Option<Bytes>,
}

/// One connection of a client to this node, for registrations that end with it; never reused within
/// a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What happens to the registry.
#[derive(Clone, Debug)]
pub enum Input {
    /// A message on [`Channel::Registry`](crate::wire::Channel::Registry).
    Message {
        /// Where it came in.
        conn: ConnId,
        /// Its bytes.
        bytes: Bytes,
    },
    /// Messages of ours on that channel were dropped for want of room.
    Overflowed {
        /// The connection that they were meant for.
        conn: ConnId,
    },
    /// Rows were kept, or the disk failed.
    Kept {
        /// The id of the write, from [`Output::Keep`].
        id: WriteId,
        /// How it went.
        result: Result<(), WriteError>,
    },
    /// A watched process has ended; also the answer to a [`Output::Watch`] of one that is not
    /// there.
    Ended {
        /// The process.
        process: Process,
        /// How, as far as the kernel tells: `ExitedWith`, `Killed` or `Exited`.
        reason: Reason,
        /// Whether it was still there when the watch began.
        was_there: bool,
    },
    /// A process was not signalled: it is not that user's (any more), who could not signal it
    /// either.
    Estranged {
        /// The process, which may well live.
        process: Process,
        /// The user, from [`Output::Signal`].
        uid: u32,
    },
    /// A client's connection has closed.
    SessionEnded {
        /// The connection's session.
        session: SessionId,
    },
}

/// What a registration lives as long as, beside being taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Its process.
    Process,
    /// Its process, and this connection.
    Connection(SessionId),
}

/// What becomes of a process that loses its name to an earlier claim after a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum OnConflict {
    /// It is told, and takes the name back when the winner goes.
    Notify,
    /// It gets SIGTERM (and SIGKILL, as by a link).
    Terminate,
}

/// A wish to be registered. That the caller may speak for the process has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The name.
    pub name: ProcessName,
    /// The process, on this host.
    pub process: Process,
    /// Its user.
    pub uid: u32,
    /// The user's name, if the host has one.
    pub user: Option<String>,
    /// Its executable, where the kernel tells.
    pub exe: Option<String>,
    /// Its groups.
    pub groups: BTreeSet<ProcessName>,
    /// What the registrant says of it.
    pub metadata: BTreeMap<String, String>,
    /// Where it serves: `host:port`.
    pub address: Option<String>,
    /// What it ends with.
    pub lifetime: Lifetime,
    /// What a lost name means.
    pub on_conflict: OnConflict,
    /// Whether somebody will tell how the process ended ([`ask::Report`]) within 250 ms of its
    /// end.
    pub reports_exit: bool,
}

/// What a link is to be bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    /// Whoever holds this name now.
    Name(ProcessName),
    /// This registration, also if it has ended.
    Handle(Handle),
}

/// What a client can ask of the registry.
#[derive(Clone, Debug)]
pub enum Command {
    /// Register a process, or replace its registration under that name.
    Register(Box<Registration>),
    /// Take a registration back.
    Unregister(ask::Unregister),
    /// Tell how a process has ended.
    Report(ask::Report),
    /// Put a registration into a group, or take it out.
    Group(ask::Group),
    /// Make a link.
    Link(ask::Link),
    /// Take links back.
    Unlink(ask::Unlink),
    /// Tell the links of a process.
    Links(ask::Links),
}

impl Command {
    /// The name that it is about.
    pub fn name(&self) -> &ProcessName {
        match self {
            Self::Register(registration) => &registration.name,
            Self::Unregister(ask::Unregister { name, .. })
            | Self::Report(ask::Report { name, .. })
            | Self::Group(ask::Group { name, .. })
            | Self::Link(ask::Link { name, .. })
            | Self::Unlink(ask::Unlink { name, .. })
            | Self::Links(ask::Links { name }) => name,
        }
    }
}

/// What the registry wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Keep these rows so that they outlive this daemon (not the host: no sync is needed); answered
    /// by [`Input::Kept`].
    Keep {
        /// Which write.
        id: WriteId,
        /// The rows.
        rows: Vec<KeptRow>,
    },
    /// Tell when this process ends ([`Input::Ended`]), at once if it is not there; then the watch
    /// is over.
    Watch(Process),
    /// No longer.
    Unwatch(Process),
    /// Signal a watched process, unless its registrant could not: then [`Input::Estranged`].
    Signal {
        /// The process that gets it.
        process: Process,
        /// The user whose process it is registered as.
        uid: u32,
        /// With what.
        signal: Signal,
    },
    /// The directory changed and something happened; before any reply that rests on it.
    News(News),
}

/// Signals that the registry sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: the process may end in its own way.
    Term,
    /// SIGKILL: the kernel ends the process.
    Kill,
}

/// Changes for replicas of the [`Directory`](super::Directory), and what they mean to those who
/// watch. Both in order, and to be shown together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// What changed.
    pub changes: Vec<Change>,
    /// What happened.
    pub events: Vec<Event>,
}

/// One change of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A registration is there (`entry`), or no longer.
    Holder {
        /// The name that it holds, or wants.
        name: ProcessName,
        /// The node that it is on.
        owner: NodeId,
        /// Its process.
        process: Process,
        /// What it says of itself.
        entry: Option<Arc<Entry>>,
    },
    /// A node's registrations can be reached, or not.
    Node {
        /// The node.
        owner: NodeId,
        /// Its name.
        name: NodeName,
        /// Whether its registrations can be reached now.
        reachable: bool,
    },
}

/// Something that happened to a registration, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, by this node's clock.
    pub at: Wall,
    /// To which.
    pub handle: Handle,
    /// What happened.
    pub kind: EventKind,
}

/// Kinds of events of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It is there.
    Up,
    /// It has ended for good. Exactly once for each end.
    Down(Reason),
    /// Its node is out of sight; it may well live.
    Unreachable,
    /// Its node is in sight again; or it has its name again, after it was lost.
    Back,
    /// Another one claims its name; this one has it.
    Contested {
        /// The other.
        other: Handle,
    },
    /// Another one has its name by an earlier claim.
    Lost {
        /// Who has it.
        to: Handle,
    },
}

/// The answer to a command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To `Register`; `fresh` unless the same process had that name already.
    Registered {
        /// See above.
        fresh: bool,
    },
    /// To all others.
    Done,
    /// To `Links`.
    Links(Vec<LinkView>),
}

/// A link of a process of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkView {
    /// Whose end it waits for.
    pub other: Handle,
    /// Whether it fires also when the other is merely unreachable.
    pub unreachable: bool,
    /// Since when, for people.
    pub since: Wall,
}

/// Why a command was not carried out; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A reachable other has the name.
    #[error("the name is held by {holder}")]
    Held {
        /// The process that has the name.
        holder: Handle,
        /// Since when.
        since: Wall,
    },
    /// Nobody has that name.
    #[error("no process is registered as {0}")]
    Unknown(ProcessName),
    /// The process runs on another node: only there this can be done.
    #[error("{name} runs on {node}: ask there")]
    Elsewhere {
        /// The name.
        name: ProcessName,
        /// The node on which the process runs.
        node: NodeName,
    },
    /// The process belongs to another user.
    #[error("{name} is a process of uid {owner}")]
    NotYours {
        /// The name.
        name: ProcessName,
        /// Whose it is.
        owner: u32,
    },
    /// No node of the cluster bears the name in the handle.
    #[error("no node {0} is known")]
    UnknownNode(NodeName),
    /// As many are registered as may be.
    #[error("{bound}: {have} of at most {limit}")]
    TooMany {
        /// What is bounded.
        bound: Bound,
        /// How many there are.
        have: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Another bound is reached.
    #[error("{what}: at most {limit}")]
    Full {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// How the process ended was already told.
    #[error("how {0} ends was already reported")]
    Reported(ProcessName),
    /// It could not be kept.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// What of registrations is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The names of one process.
    OfProcess {
        /// Its pid.
        pid: u32,
    },
    /// The names of one user's processes.
    OfUser {
        /// The user.
        uid: u32,
    },
    /// The processes of this node.
    Processes,
    /// The names on this node.
    Names,
    /// What the registrations of this node take, in bytes.
    Bytes,
}

impl Bound {
    /// Whether the caller himself has too many, and not the node.
    pub fn is_the_callers(self) -> bool {
        matches!(self, Self::OfProcess { .. } | Self::OfUser { .. })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfProcess { pid } => write!(f, "names of process {pid}"),
            Self::OfUser { uid } => write!(f, "names of processes of uid {uid} on this node"),
            Self::Processes => f.write_str("registered processes on this node"),
            Self::Names => f.write_str("names of processes on this node"),
            Self::Bytes => f.write_str("bytes of registrations on this node"),
        }
    }
}

/// Plain numbers for metrics and for the simulator's checks; counters run from the start of the
/// machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Registrations of this node.
    pub registered: u64,
    /// The processes of this node that are registered, under however many names.
    pub processes: u64,
    /// Names known, of all nodes.
    pub names: u64,
    /// Names that several reachable processes claim.
    pub contested: u64,
    /// Parts of this node's log that were pushed to a peer.
    pub pushes: u64,
    /// Parts of logs that were asked for.
    pub pulls: u64,
    /// Parts of logs that came, and were news.
    pub parts: u64,
    /// Logs that a peer relayed, and that were not what their node has proved.
    pub unproved: u64,
    /// Times that a node was found to have proved two unlike logs for one position.
    pub forked: u64,
    /// Tombstones of all nodes' logs.
    pub tombstones: u64,
    /// Links of processes of this node.
    pub links: u64,
    /// Signals sent because of links and lost names.
    pub signals: u64,
    /// Times that a process of this node lost its name to an earlier claim.
    pub lost: u64,
    /// Writes of rows to be kept that failed.
    pub writes_failed: u64,
}
