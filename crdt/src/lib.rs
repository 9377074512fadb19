//! Muster's replicated data: what it is, how it changes and how replicas of it merge.
//!
//! Pure: no network, no disk, no clock and no randomness of its own; times and random bytes come in
//! as arguments. A to-do list is one Automerge document ([`list::Document`]); the roster of the
//! cluster's nodes is a map merged by taking the larger pair ([`roster::Roster`]); each node's
//! registered processes are a log that it alone writes ([`registry`]); two replicas find out what
//! they lack by digests and version vectors ([`digest`], [`vector`], [`lthash`]). What lies on disks is in a form
//! that later programs can add to ([`record`]); what goes to third nodes, in its owner's very bytes
//! ([`relayed`]). Ids and names
//! are the crate `names`.
//!
//! ```text
//! let mut document = Document::new(name, actor);
//! let edited = document.edit(&edit, &author, at, &mut draw)?;   // one change, already applied here
//! let checked = judge(edited.change.bytes)?;                    // what a peer does with its bytes
//! let applied = other.apply(vec![checked])?;                    // which entries it touched there
//! ```

#![warn(missing_docs)]

pub mod digest;
pub mod entry;
pub mod list;
pub mod lthash;
pub mod record;
pub mod registry;
pub mod relayed;
pub mod roster;
pub mod vector;
