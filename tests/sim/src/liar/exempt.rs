//! What is not demanded in a run with a liar, or not told by it, and why.
//!
//! What the liar owns it may spoil: its own registrations, how it stands itself, lists to which nobody
//! else has written. Beside that the nodes have gaps. Each is a constant
//! here that says what is believed and must not be; it goes when the gap is closed, and the liar then
//! tells these lies, too, and the checks demand what they left out.

use crate::disk::Image;
use crate::world::World;
use names::ListId;

/// Up to 1,000 renewals above the proved one, SWIM takes another identity of a node that is connected.
/// The node is down for a moment when that identity does not answer; and as long as somebody says so,
/// a dead one is alive. So neither false suspicions nor late ones are faults in a run with a liar.
pub const GENERATIONS_BY_HEARSAY: bool = true;

/// A list is repaired with one peer at a time, of several that have it with the one of the smallest id,
/// and one that does not answer is given up after 5 s, only to be asked first again. So all may take
/// longer to agree while the liar goes on.
pub const SILENT_PEERS_ARE_ASKED_FIRST: bool = true;

/// An owner's word decides which change stays, and what was written on top of the other one is written
/// anew; but the checks look for acknowledged changes by their hashes, and do not know yet what was written
/// anew in their places. So the liar writes no changes of other nodes' actors, nor two of one number of
/// its own.
pub const FORKS_BY_ANYBODY: bool = true;

/// Whether a logged error is Automerge's word on bytes that are refused, as they must be, or the alarm
/// over another branch of a list, which the liar may say that it has. (An alarm between honest hosts is
/// found by [`World`] itself.)
pub fn is_about_lies(error: &str) -> bool {
    error.contains("automerge::") || error.contains("replication::forking")
}

/// Whether the liar has written to a list: what it should say then nobody knows.
pub fn is_written_by_liar(world: &World, image: &Image, list: ListId) -> bool {
    let actors = world.liar.iter().flat_map(|liar| &liar.actors);
    let mut actors = actors.map(|actor| (list, *actor, 1));
    actors.any(|first| image.changes.contains_key(&first))
}
