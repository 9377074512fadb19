//! Drives the machines of this node: the real world's clocks, threads, sockets and disk, without a
//! decision of its own.

pub(crate) mod cluster;
pub(crate) mod lists;
mod mailbox;
mod proofs;

pub(crate) use cluster::Inbox;
pub(crate) use lists::ListsInbox;
pub(crate) use mailbox::{AskError, answer};
pub(crate) use proofs::{Certified, Identities, withdrawn};
