//! The first change of every list: a constant, the same bytes on every node.
//!
//! It makes the map `entries`. If each node made that map itself, two lists of one name begun apart
//! would have two such maps, of which Automerge shows one. For the same reason it must never
//! change; the schema grows by further constant changes.

use super::outline::OpName;
use automerge::{ActorId, ObjId};
use names::{Actor, ChangeHash};

/// The key of the map of entries, in the document's root.
pub(super) const KEY: &str = "entries";
/// The actor of the first change, which writes nothing else.
pub(super) const ACTOR: Actor = Actor([0; 16]);
/// The operation that makes the map of entries.
pub(super) const ENTRIES: OpName = OpName {
    counter: 1,
    actor: ACTOR,
};

/// The change: zero actor, number 1, time 0, no message, no dependencies.
#[rustfmt::skip]
pub(super) const BYTES: &[u8] = &[
    0x85, 0x6f, 0x4a, 0x83, 0xde, 0xeb, 0xea, 0x1d, 0x01, 0x32, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x00,
    0x00, 0x05, 0x15, 0x09, 0x34, 0x01, 0x42, 0x02, 0x56, 0x02, 0x70, 0x02, 0x7f, 0x07, 0x65, 0x6e,
    0x74, 0x72, 0x69, 0x65, 0x73, 0x01, 0x7f, 0x00, 0x7f, 0x00, 0x7f, 0x00,
];
/// Its hash.
#[rustfmt::skip]
pub(super) const HASH: ChangeHash = ChangeHash([
    0xde, 0xeb, 0xea, 0x1d, 0xff, 0x6e, 0x54, 0xb7, 0x84, 0xa9, 0x69, 0xc2, 0x3a, 0x5d, 0xef, 0x8d,
    0xf3, 0xb8, 0xba, 0xf9, 0xbb, 0xac, 0x7d, 0x16, 0x57, 0xca, 0xeb, 0x70, 0x5b, 0x7e, 0x07, 0x39,
]);

/// Automerge's name for the map of entries, which is the same in all documents.
pub(super) fn entries() -> ObjId {
    // The zero actor sorts before all others: its index is 0.
    ObjId::Id(ENTRIES.counter, ActorId::from(ACTOR.0), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use automerge::transaction::{CommitOptions, Transactable};
    use automerge::{Automerge, ObjType, ROOT, ReadDoc};

    #[test]
    fn automerge_makes_the_constant_anew() {
        let mut document = Automerge::new().with_actor(ActorId::from(ACTOR.0));
        let mut transaction = document.transaction();
        transaction.put_object(ROOT, KEY, ObjType::Map).unwrap();
        transaction.commit_with(CommitOptions::default().with_time(0));
        let change = document.get_last_local_change().unwrap();
        assert_eq!(change.raw_bytes(), BYTES, "{:02x?}", change.raw_bytes());
        assert_eq!(change.hash().0, HASH.0, "{:02x?}", change.hash().0);
        assert_eq!(document.get(ROOT, KEY).unwrap().unwrap().1, entries());
    }
}
