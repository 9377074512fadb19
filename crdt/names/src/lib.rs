//! Ids, names and handles: what every part of Muster calls nodes, lists, entries and processes, and
//! how people and programs write them.
//!
//! A value of these types is well formed: what a person or a program typed is checked when it is
//! read ([`ListName::new`], `"…".parse::<NodeId>()`), and trusted afterwards. With serde all of them
//! are their text in formats for people (JSON), and ids are their bytes in the others (bincode, on
//! the wire and on disk).
//!
//! No documents and no protocol here, so that programs which only speak of them need neither.

#![warn(missing_docs)]

mod handle;
mod id;
mod name;
mod role;

pub use handle::{Handle, HandleError};
pub use id::{Actor, ChangeHash, ChangeId, EntryId, ListId, NodeId, ParseIdError, SaltHint, Shard};
pub use name::{ListName, NameError, NodeName, ProcessName, is_unprintable, with_unprintable};
pub use role::Role;
