//! What is not demanded in a run with a liar, and why.
//!
//! What the liar owns it may spoil: its own registrations, how it stands itself, lists that it writes
//! to. Beside that there are two gaps, which proofs close that the wire does not carry yet.
//!
//! * [`NODES_BY_HEARSAY`]: a node that nobody has met is a member because somebody says so. It counts
//!   in the verdict, and its log is whatever is said of it.
//! * [`lists_of_liar`]: a change that is refused leaves an empty document in memory, and its list is
//!   then not pulled when a comparison finds it elsewhere. A list that some client has written to is
//!   pushed all the same.
//! * [`ABSENT_BY_HEARSAY`]: a node that cannot speak for itself is what others say of it: that it has
//!   left, what is registered there.

use crate::disk::Image;
use crate::world::World;
use names::ListId;
use std::collections::BTreeSet;

/// Whether a logged error is Automerge's word on bytes that are refused, as they must be.
pub fn is_about_refused_bytes(error: &str) -> bool {
    error.contains("automerge::")
}

/// Whether the liar has written to a list: what it should say then nobody knows.
pub fn is_written_by_liar(world: &World, image: &Image, list: ListId) -> bool {
    let actors = world.liar.iter().flat_map(|liar| &liar.actors);
    let mut actors = actors.map(|actor| (list, *actor, 1));
    actors.any(|first| image.changes.contains_key(&first))
}

/// The lists to which nobody but the liar has written.
pub fn lists_of_liar(world: &World) -> BTreeSet<ListId> {
    let Some(liar) = &world.liar else {
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

/// A member is there because somebody says so.
pub const NODES_BY_HEARSAY: bool = true;
/// What is said of a node that cannot speak for itself is believed.
pub const ABSENT_BY_HEARSAY: bool = true;
