//! By what this node proves what it says of its processes, and what others say of theirs.

use crate::proof::{Domain, Proofs};
use bytes::Bytes;
use crdt::registry::Head;
use std::sync::Arc;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    proofs: Arc<dyn Proofs>,
    /// Whether logs of third nodes are taken in the form of protocol 1, which proves nothing.
    pub(super) accept_v1: bool,
}

impl Trust {
    pub(crate) fn new(proofs: Arc<dyn Proofs>, accept_v1: bool) -> Self {
        Self { proofs, accept_v1 }
    }

    /// The certificates by which others judge what is signed now.
    pub(super) fn chain(&self) -> Bytes {
        self.proofs.chain()
    }

    /// Signs a head of this node's own log.
    pub(super) fn sign(&self, said: &[u8]) -> Bytes {
        self.proofs.sign(Domain::LogHead, said)
    }

    /// Whether the owner of the log has signed a head, as far as its certificates are known.
    pub(super) fn is_signed(&self, head: &Head, chain: Option<&Bytes>) -> bool {
        let (Some(chain), Some(proof)) = (chain, head.relayed().proof()) else {
            return false;
        };
        let said = head.relayed().said();
        let signer = self.proofs.signer(chain, Domain::LogHead, said, proof);
        signer.is_some_and(|signer| signer.id == head.owner())
    }
}
