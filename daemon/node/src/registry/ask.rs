//! What clients can ask of the registry, each question with the kind of its answer. `uid` is always
//! the caller's: 0 may do everything, others what concerns a process of their own.

use super::io::LinkTarget;
use crdt::registry::Reason;
use names::ProcessName;

/// Take back the registration of that name on this node.
#[derive(Clone, Debug)]
pub struct Unregister {
    /// The name.
    pub name: ProcessName,
    /// The caller's.
    pub uid: u32,
}

/// How a process of this node with `reports_exit` has ended, or is about to be seen to have.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its name.
    pub name: ProcessName,
    /// `ExitedWith` or `Killed`.
    pub reason: Reason,
    /// The caller's.
    pub uid: u32,
}

/// Put a registration of this node into a group, or take it out.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: ProcessName,
    /// The group.
    pub group: ProcessName,
    /// In, or out.
    pub join: bool,
    /// The caller's.
    pub uid: u32,
}

/// Signal the process `name` of this node when the other is down for good.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its name.
    pub name: ProcessName,
    /// The other.
    pub other: LinkTarget,
    /// Also when the other's node is merely unreachable.
    pub unreachable: bool,
    /// The caller's.
    pub uid: u32,
}

/// Take all links from `name` to the other back.
#[derive(Clone, Debug)]
pub struct Unlink {
    /// Its name.
    pub name: ProcessName,
    /// The other.
    pub other: LinkTarget,
    /// The caller's.
    pub uid: u32,
}

/// The links of a process of this node.
#[derive(Clone, Debug)]
pub struct Links {
    /// Its name.
    pub name: ProcessName,
}
