//! The process registry: names and groups of processes on all nodes, found without asking anybody.
//!
//! Part of the cluster machine. [`io`](self) is what crosses the machine's edge for it.

mod directory;
mod io;

pub use directory::{Directory, Found, Holder, ProcessState};
pub use io::{
    Change, Command, Event, EventKind, Input, KeptRow, Lifetime, LinkTarget, LinkView, News, OnConflict, Output, Refusal, Registration,
    Reply, SessionId, Settings, Signal,
};
