//! This node as the owner of its actors: which changes are its own, it alone can say.

use crate::proof::{Domain, Proofs};
use crdt::list::{LeftOut, Salt, Word};
use names::{Actor, ChangeHash, ChangeId, ListId, NodeId, SaltHint};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A node with its salts and its key.
#[derive(Clone, Debug)]
pub struct Own {
    /// This node.
    pub me: NodeId,
    /// Its salts, of all its runs that are known, by what their actors begin with.
    pub salts: Arc<BTreeMap<SaltHint, [u8; 16]>>,
    /// All salts that are known, of this node and of others.
    pub known: Arc<BTreeMap<(SaltHint, NodeId), Salt>>,
    /// What the actors begin with that it has drawn since it started.
    pub drawn: Arc<BTreeSet<SaltHint>>,
    /// Its key.
    pub proofs: Arc<dyn Proofs>,
}

impl Own {
    /// The salt of an actor, if it is one of this node's.
    pub fn salt(&self, list: ListId, actor: Actor) -> Option<[u8; 16]> {
        let salt = self.salts.get(&actor.hint()).copied();
        salt.filter(|salt| actor.is_of(list, self.me, *salt))
    }

    /// The node whose actor it is in that list, if that is known.
    pub fn owner(&self, list: ListId, actor: Actor) -> Option<NodeId> {
        self.known_salt(list, actor).map(Salt::owner)
    }

    /// The salt that an actor was derived from, if it is known.
    pub fn known_salt(&self, list: ListId, actor: Actor) -> Option<&Salt> {
        let hint = actor.hint();
        let all = (hint, NodeId([0; 16]))..=(hint, NodeId([0xff; 16]));
        let mut found = self.known.range(all).map(|(_, salt)| salt);
        found.find(|salt| actor.is_of(list, salt.owner(), salt.salt()))
    }

    /// Whether it has drawn the salt of that actor since it started.
    pub fn has_drawn(&self, actor: Actor) -> bool {
        self.drawn.contains(&actor.hint())
    }

    /// Says that a change is this node's own; `None` if its actor is not, or its key cannot sign.
    pub fn word(&self, list: ListId, id: ChangeId, hash: ChangeHash) -> Option<LeftOut> {
        let salt = self.salt(list, id.actor)?;
        let chain = self.proofs.chain();
        let sign = |said: &[u8]| self.proofs.sign(Domain::OwnChange, said);
        let word = Word::write((self.me, &chain), salt, (list, id, hash), sign).ok()?;
        let is_signed = word
            .relayed()
            .proof()
            .is_some_and(|proof| !proof.is_empty());
        LeftOut::of_word(word).ok().filter(|_| is_signed)
    }
}
