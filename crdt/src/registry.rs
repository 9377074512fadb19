//! The process registry's data: what a node says of the processes that are registered on it.
//!
//! Each node owns the log of its own processes; nobody else writes it, so two replicas cannot
//! disagree about an entry, only be behind. A [`Log`] numbers its owner's changes; what another
//! replica lacks of it travels as a [`ProvedDelta`], which comes down to what the owner has signed (a
//! [`Head`]), whoever brings it; [`Logs`] are the logs of all nodes. A [`Delta`] is the same without a
//! proof, as the first version of the protocol has it.

mod delta;
mod head;
mod limits;
mod log;
mod logs;
mod proved;
mod statement;
#[cfg(test)]
mod tests;

pub use delta::{Delta, Position, Progress, Record, State};
pub use head::Head;
pub use log::Log;
pub use logs::{Fault, Logs, Merged, Shift};
pub use proved::ProvedDelta;
pub use statement::{About, Statement};

use names::ProcessName;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// An OS process of one host, never mistaken for a later one with its pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Process {
    /// The host's boot id: starts of different boots are not comparable.
    pub boot: [u8; 16],
    /// Its process id.
    pub pid: u32,
    /// When it started, in clock ticks since the boot (field 22 of `/proc/PID/stat`).
    pub start: u64,
}

/// What a registration says of its process to the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its user.
    pub uid: u32,
    /// The user's name, if its host has one.
    pub user: Option<String>,
    /// Its executable, where the kernel tells.
    pub exe: Option<String>,
    /// The groups that it is in.
    pub groups: BTreeSet<ProcessName>,
    /// What its registrant says of it.
    pub metadata: BTreeMap<String, String>,
    /// Where it serves: `host:port`.
    pub address: Option<String>,
    /// When it claimed its name, in milliseconds by its node's hybrid logical clock: the earlier
    /// claim wins, ties go to the smaller node id.
    pub claim: u64,
    /// The same in milliseconds since the epoch, for people.
    pub since_ms: i64,
}

/// Why a registration ended for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The process ended with this exit code.
    ExitedWith(i32),
    /// A signal ended the process.
    Killed(i32),
    /// The process ended; nobody told how.
    Exited,
    /// Somebody took the registration back, or the connection that it was bound to closed.
    Unregistered,
    /// The node left the cluster, or was declared gone for good.
    Left,
    /// It ended while nobody here could hear why, too long ago for the node to remember.
    Unknown,
    /// An authority has shut its node out. No log says this: it follows from the revocation.
    Revoked,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExitedWith(code) => write!(f, "exited code={code}"),
            Self::Killed(signal) => write!(f, "killed signal={signal}"),
            Self::Exited => f.write_str("exited"),
            Self::Unregistered => f.write_str("unregistered"),
            Self::Left => f.write_str("left"),
            Self::Revoked => f.write_str("revoked"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
