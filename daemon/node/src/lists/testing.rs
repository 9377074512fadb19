//! The lists machine's part of what a liar may say.

use super::wire::{Message, decode, encode};
use crate::testing::{Dice, invented, word};
use bytes::Bytes;
use names::Shard;

/// The proofs of node 1 in tests.
#[cfg(test)]
pub(super) fn proofs() -> std::sync::Arc<dyn crate::proof::Proofs> {
    let name = names::NodeName::new("node1").unwrap();
    let id = names::NodeId([1; 16]);
    let role = names::Role::Member;
    let peer = crate::wire::Peer { id, name, role };
    std::sync::Arc::new(crate::proof::testing::Cheap(peer))
}

/// A message about all shards, or about some.
pub(crate) fn invent(dice: &mut dyn Dice) -> Option<Bytes> {
    let message = crate::codec::decode::<Message>(&invented::<Message>(dice)?).ok()?;
    let mut shards = (Shard(0), Shard(255));
    if dice.below(3) == 0 {
        let shard = |dice: &mut dyn Dice| u8::try_from(dice.below(256)).unwrap_or(0);
        let (one, other) = (shard(dice), shard(dice));
        shards = (Shard(one.min(other)), Shard(one.max(other)));
    }
    encode(shards, &message).ok()
}

pub(crate) fn kind(bytes: &[u8]) -> Option<String> {
    decode(bytes).map(|(_, message)| word(&message))
}
