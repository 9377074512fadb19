//! The form of a backup: the lists of a node in one file that says of itself whether it is whole.
//!
//! It is written and read from its beginning to its end, a block at a time, and needs nothing but itself. It
//! knows nothing of what is in a change: whoever puts one back into a list judges it.
//!
//! ```text
//! let mut writer = Writer::new(file, &about)?;             // who made it, and when
//! writer.put(Kind::List, name)?;                           // then what belongs to that list
//! writer.put(Kind::Change, bytes)?;
//! writer.finish()?;                                        // the end mark
//!
//! let mut reader = Reader::new(file)?;
//! while let Some(block) = reader.next_block()? { … }       // `None` only after the end mark
//! ```
//!
//! # Version 1
//!
//! Integers are big endian.
//!
//! | bytes | is |
//! | --- | --- |
//! | 8 | `MUSTERBK` |
//! | 4 | the version, 1 |
//! | | blocks, the last of which is the end mark; nothing follows it |
//!
//! | bytes of a block | is |
//! | --- | --- |
//! | 1 | its kind |
//! | 4 | the length of its content, at most 16 MiB |
//! | | its content |
//! | 32 | SHA-256 of the sum before it ‖ kind ‖ length ‖ content |
//!
//! The sum before the first block is SHA-256 of the 12 bytes before it. So no block can be changed, left out,
//! added or moved without that being seen, and a file that was cut off lacks its end mark. (The sums tell
//! accidents. They are no signature: who changes a file on purpose can make them anew.)
//!
//! | kind | content |
//! | --- | --- |
//! | 1 | about the file, the first block: a JSON object, [`About`] |
//! | 2 | a salt of actors, as its node has signed it |
//! | 3 | a list begins: its name, UTF-8 |
//! | 4 | a change of that list: an Automerge change chunk; each stands behind those that it depends on |
//! | 5 | what that list is without: a record of a left-out change |
//! | 6 | a change that has left that list, and is kept aside |
//! | 7 | a row of that list's changes that holds no change: actor (16) ‖ number (8) ‖ what it holds |
//! | 8 | what of that list the disk did not give, in words |
//! | 255 | the end mark: how many lists there were (8), how many changes (8) |
//!
//! A reader passes over kinds that it does not know; a new version says that something else has changed.

#![warn(missing_docs)]

mod draft;
mod read;
mod write;

pub use draft::{Draft, Existing};
pub use read::{ArchiveError, Block, Reader};
pub use write::Writer;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How a backup begins.
const MAGIC: [u8; 8] = *b"MUSTERBK";
/// The version that this program writes, and the newest one that it reads.
const VERSION: u32 = 1;
/// The most that a block holds: four times the largest change that peers take.
pub const MAX_CONTENT_BYTES: usize = 16 << 20;
/// The length of a block's head and sum.
const HEAD_BYTES: usize = 5;
const SUM_BYTES: usize = 32;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// About the file.
    About = 1,
    /// A salt of actors.
    Salt = 2,
    /// The name of the list that begins here.
    List = 3,
    /// A change.
    Change = 4,
    /// What the list is without.
    LeftOut = 5,
    /// A change that has left the list.
    Aside = 6,
    /// A row that holds no change.
    Odd = 7,
    /// What of the list the disk did not give, in words.
    Lacking = 8,
    /// The end mark.
    End = 255,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::About,
        Self::Salt,
        Self::List,
        Self::Change,
        Self::LeftOut,
        Self::Aside,
        Self::Odd,
        Self::Lacking,
        Self::End,
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Who made a backup, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The name of the node.
    pub node: String,
    /// The id of its cluster: 32 hexadecimal digits.
    pub cluster: String,
    /// The instant of which it is, in milliseconds since the epoch.
    pub made_at_ms: i64,
    /// The version of the program.
    pub program: String,
}

/// What a backup has, told by its end mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many lists.
    pub lists: u64,
    /// How many changes of lists, without those that are aside.
    pub changes: u64,
}

impl Totals {
    fn count(&mut self, kind: Kind) {
        match kind {
            Kind::List => self.lists += 1,
            Kind::Change => self.changes += 1,
            Kind::About
            | Kind::Salt
            | Kind::LeftOut
            | Kind::Aside
            | Kind::Odd
            | Kind::Lacking
            | Kind::End => {}
        }
    }

    fn bytes(self) -> [u8; 16] {
        let both = u128::from(self.lists) << 64 | u128::from(self.changes);
        both.to_be_bytes()
    }
}

/// The sum over all that stands before a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sum([u8; SUM_BYTES]);

impl Sum {
    /// The sum before the first block.
    fn first(beginning: &[u8]) -> Self {
        Self(Sha256::digest(beginning).into())
    }

    /// The sum after a block.
    fn after(self, head: [u8; HEAD_BYTES], content: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(self.0)
            .chain_update(head)
            .chain_update(content);
        Self(digest.finalize().into())
    }
}

/// The magic and the version.
fn beginning() -> [u8; 12] {
    let mut bytes = [0; 12];
    let (magic, version) = bytes.split_at_mut(MAGIC.len());
    magic.copy_from_slice(&MAGIC);
    version.copy_from_slice(&VERSION.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests;
