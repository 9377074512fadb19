//! The authors by which a rogue may write to lists: it has signed that they are its own.

use super::Rogue;
use super::wire::Lists;
use anyhow::Context;
use bytes::Bytes;
use crdt::list::Salt;
use names::{Actor, ListId, ListName, NodeId};
use node::proof::Domain;

/// The actors of one salt.
#[derive(Clone, Copy)]
pub(crate) struct Authors {
    node: NodeId,
    salt: [u8; 16],
}

impl Authors {
    /// The actor by which that rogue writes to a list.
    pub(crate) fn of(self, list: &ListName) -> [u8; 16] {
        self.nth(list, 0)
    }

    pub(crate) fn nth(self, list: &ListName, nth: u8) -> [u8; 16] {
        Actor::derive(ListId::of(list), self.node, self.salt, nth).0
    }
}

impl Rogue {
    /// Signs for another salt, and tells all.
    pub(crate) fn sign_authors(&self) -> anyhow::Result<Authors> {
        let (node, salt) = (self.id, rand::random());
        let sign = |said: &[u8]| -> Bytes {
            let message = Domain::Salt.message(self.proofs.cluster(), said);
            self.proofs.sign(&message).unwrap_or_default().into()
        };
        let chain = self.proofs.chain();
        let signed = Salt::write((node, &chain), self.run, salt, sign);
        let signed = signed.ok().context("a salt that can be written")?;
        let told = Lists::Salts(vec![signed.relayed().bytes().clone()]);
        self.say_of_lists(&self.all(), &told)?;
        Ok(Authors { node, salt })
    }
}
