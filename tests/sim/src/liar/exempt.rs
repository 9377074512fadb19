//! What is not demanded in a run with a liar, or not told by it, and why.
//!
//! What the liar owns it may spoil: its own registrations, how it stands itself, lists to which nobody
//! else has written. Beside that the nodes have gaps. Each is a constant
//! here that says what is believed and must not be; it goes when the gap is closed, and the liar then
//! tells these lies, too, and the checks demand what they left out.

use crate::disk::{Image, hash_of};
use crate::world::World;
use names::{ChangeHash, ListId};

/// A node whose disk was restored from a backup signs nothing that it has made since. Where the liar's
/// change stays in the place of such a one, the node hears of that one alone, and not of what it had
/// written on top of it: that is aside on the others, and nobody writes it anew.
pub const RESTORED_NODES_LOSE_WHAT_WAS_ON_TOP: bool = true;

/// Whether a logged error is Automerge's word on bytes that are refused, as they must be, or says that a
/// list was forked, or mended after that.
pub fn is_about_lies(error: &str) -> bool {
    let parts = [
        "automerge::",
        "replication::forking",
        "replication::contradictions",
        "documents::written",
    ];
    parts.iter().any(|part| error.contains(part))
}

/// Whether the liar has written to a list, or has forked it: what it should say then nobody knows.
pub fn is_written_by_liar(world: &World, image: &Image, list: ListId) -> bool {
    let Some(liar) = &world.liar else {
        return false;
    };
    let is_forked = image.left_out.keys().any(|(of, _)| *of == list);
    let mut changes = image.changes_of(list);
    is_forked || changes.any(|bytes| liar.forged.contains(&hash_of(bytes)))
}

/// Whether an acknowledged change may be aside without having been written anew.
pub fn is_lost_with_a_disk(world: &World, host: usize, hash: ChangeHash) -> bool {
    let list_of = |image: &Image| image.aside.keys().any(|(_, aside)| *aside == hash);
    RESTORED_NODES_LOSE_WHAT_WAS_ON_TOP
        && world.hosts[host].restored
        && world.honest().iter().any(|host| list_of(&host.disk.image))
}
