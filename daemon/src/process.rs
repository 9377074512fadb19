//! The host's processes and the registry's directory: what the daemon does for the process
//! registry.
//!
//! The cluster machine decides everything; this carries it out.
//!
//! | part | is |
//! | --- | --- |
//! | `host` | what `/proc` tells of a process: its start, its user, its program |
//! | `watch` | a thread that holds a pidfd of each registered process: hears its end, sends it signals |
//! | `exits` | how processes end that are not this one's children, as far as the kernel tells |
//! | `files` | how many processes the limit of open files leaves room for |
//! | `expected` | which processes should be there, and whether they are |
//! | `fallen` | what registrations were that have ended, for those who expect them |
//! | `replica` | the directory that lookups read, and those who watch it |

mod exits;
mod expected;
mod fallen;
mod files;
mod host;
mod replica;
#[cfg(test)]
pub(crate) mod testing;
mod watch;

pub(crate) use expected::{Expected, expected};
pub(crate) use fallen::Fall;
pub(crate) use files::capacity;
pub(crate) use host::{Host, Sighting};
pub(crate) use replica::{First, Replica, Told};
pub(crate) use watch::{Sign, Watcher, WatcherStats};
