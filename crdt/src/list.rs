//! A to-do list: one Automerge document, and what a node needs to know about it besides.
//!
//! ```text
//! root ── entries ── <ULID> ── title, pos, due, …, created, life, tag:<name>
//! ```
//!
//! | key | value |
//! | --- | --- |
//! | `created` | timestamp (ms) |
//! | `life`, `tag:<name>` | integer: even = alive, present; odd = dead, absent |
//! | all others | as the table of fields says (`entry/fields.rs`): a text, a timestamp (ms) or an integer |
//!
//! Fields are plain registers, cleared by writing null. The same id made on two nodes gives two
//! maps at one key, of which Automerge shows one; here an entry is the union of all of them, and a
//! field's values are its values in all of them. `life` and the tags count up: each write takes the
//! smallest number of the right parity above all that it sees, so that no two concurrent intentions
//! are an equal write (which Automerge drops). An entry is alive if any visible value of `life` is
//! even: an edit wins over a concurrent deletion, and the entry says so among its conflicts. An edit
//! of such an entry leaves the odd value where it is: only a decision overwrites both.

mod additions;
mod anew;
mod apply;
mod authorship;
mod blob;
mod chunk;
mod commit;
mod compose;
mod deferred;
mod dispute;
mod document;
mod edit;
mod genesis;
mod history;
mod index;
mod judge;
mod left_out;
mod merge;
mod message;
mod order;
mod outline;
mod past;
mod plain;
mod position;
mod pure;
mod read;
mod recurring;
mod resolve;
mod salt;
mod scan;
mod several;
mod slack;
mod then;
mod undo;
mod word;
mod write;

pub use additions::additions;
pub use anew::Anew;
pub use apply::{Applied, ApplyError};
pub use dispute::{Dispute, Disputed};
pub use document::{Document, LoadError, RawChange, Standing, Touched, heads_tag};
pub use edit::{EditRefusal, Edited};
pub use history::{Account, Difference, Fate, Moment, Told};
pub use judge::{CheckedChange, Fault, Head, hash_of, head_of, judge, start_op};
pub use left_out::{Basis, Joined, LeftOut, MAX_LEFT_OUT, Ruling, Settled};
pub use merge::MergeError;
pub use message::Act;
pub use order::in_order;
pub(crate) use plain::Plain;
pub(crate) use position::{is_same_gap, is_valid as is_position};
pub use salt::Salt;
pub use undo::{Skipped, Undone, Way, Why};
pub use word::Word;

/// The largest change, in bytes. Larger ones are refused here and by every peer.
pub const MAX_CHANGE_BYTES: usize = 4 << 20;
/// The largest saved document from outside, in bytes.
pub const MAX_BLOB_BYTES: usize = 64 << 20;
/// The most operations of one change.
pub const MAX_OPERATIONS: usize = 100_000;

#[cfg(test)]
mod tests;
