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
mod list_name;
mod name;
mod role;
mod text;

pub use handle::{Handle, HandleError};
pub use id::{Actor, ChangeHash, ChangeId, EntryId, ListId, NodeId, ParseIdError, SaltHint, Shard};
pub use list_name::ListName;
pub use name::{NameError, NodeName, ProcessName};
pub use role::Role;
pub use text::{is_unprintable, is_visible, with_unprintable};
