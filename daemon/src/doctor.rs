//! An examination: what keeps this node from working well with the others, and what to do about it.
//!
//! | part | examines | by whom |
//! | --- | --- | --- |
//! | `host` | configuration, certificates, permissions, disk, limits | the daemon; the command line when no daemon answers |
//! | `peers` | for each member: UDP both ways, path, clock, version, certificate | the daemon |
//! | `absent` | why no daemon answers: the unit, the ports | the command line |

pub(crate) mod absent;
pub(crate) mod disk;
pub(crate) mod expiry;
pub(crate) mod host;
pub(crate) mod peers;

pub(crate) use api::node::{Finding, FindingLevel as Level};

/// This host and its daemon.
pub(crate) const HERE: &str = "here";
