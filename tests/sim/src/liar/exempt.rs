//! What is not demanded in a run with a liar, or not told by it, and why.
//!
//! What the liar owns it may spoil: its own registrations, how it stands itself, lists to which nobody
//! else has written. Beside that the nodes have gaps.
//! Each gap is a constant here that says what is believed and must not be; it is set to `false` when
//! the gap is closed, and the liar then tells these lies, too, and the checks demand what they left
//! out.

use crate::disk::Image;
use crate::world::World;
use names::ListId;
use std::collections::BTreeSet;

/// Up to 1,000 renewals above the proved one, SWIM takes another identity of a node that is connected.
/// The node is down for a moment when that identity does not answer; and as long as somebody says so,
/// a dead one is alive. So neither false suspicions nor late ones are faults in a run with a liar.
pub const GENERATIONS_BY_HEARSAY: bool = true;

/// A change that is refused leaves an empty document in memory, and then its list is not pulled when a
/// comparison finds it elsewhere: which a client's first write to the list mends, since that is
/// pushed. So lists of the liar alone need not be equal.
pub const REFUSED_LISTS_ARE_KNOWN: bool = true;

/// A list is repaired with one peer at a time, of several that have it with the one of the smallest id,
/// and one that does not answer is given up after 5 s, only to be asked first again. So all may take
/// longer to agree while the liar goes on.
pub const SILENT_PEERS_ARE_ASKED_FIRST: bool = true;

/// Version vectors tell no two changes of one number apart. So the liar writes no changes of other
/// nodes' actors, nor two of one number of its own.
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

/// The lists that need not be equal: those to which nobody but the liar has written.
pub fn lists_of_liar(world: &World) -> BTreeSet<ListId> {
    let Some(liar) = world.liar.as_ref().filter(|_| REFUSED_LISTS_ARE_KNOWN) else {
        return BTreeSet::new();
    };
    let (mut all, mut honest) = (BTreeSet::new(), BTreeSet::new());
    for host in world.honest() {
        for (list, actor, _) in host.disk.image.changes.keys() {
            all.insert(*list);
            if !liar.actors.contains(actor) {
                honest.insert(*list);
            }
        }
    }
    &all - &honest
}
