//! Proofs for tests and the simulator: as cheap as a hash, and sound among nodes that all use this
//! type as it is meant. Whoever has the code can forge them.

use super::{Domain, Proofs};
use crate::wire::Peer;
use bytes::Bytes;
use names::{NodeId, NodeName, Role};
use sha2::{Digest, Sha256};

/// The chain of the one authority.
pub const AUTHORITY: &[u8] = b"authority";

/// What stands before an observer's name: no name begins so.
const OBSERVER: &[u8] = b"~";

fn read(chain: &[u8]) -> Option<Peer> {
    let (id, name) = chain.split_first_chunk::<16>()?;
    let (name, role) = match name.strip_prefix(OBSERVER) {
        Some(name) => (name, Role::Observer),
        None => (name, Role::Member),
    };
    let name = NodeName::new(str::from_utf8(name).ok()?).ok()?;
    let id = NodeId(*id);
    Some(Peer { id, name, role })
}

/// Signs as the one authority.
pub fn sign_as_authority(domain: Domain, said: &[u8]) -> Bytes {
    let signed = Sha256::digest(domain.message([0xff; 16], said));
    Bytes::copy_from_slice(&signed)
}

/// A node that signs with a key made from its id.
#[derive(Clone, Debug)]
pub struct Cheap(pub Peer);

impl Proofs for Cheap {
    fn chain(&self) -> Bytes {
        let name = self.0.name.as_str().as_bytes();
        let mark: &[u8] = match self.0.role {
            Role::Member => b"",
            Role::Observer => OBSERVER,
        };
        [self.0.id.0.as_slice(), mark, name].concat().into()
    }

    fn role(&self, chain: &[u8]) -> Role {
        read(chain).map_or(Role::Member, |peer| peer.role)
    }

    fn sign(&self, domain: Domain, said: &[u8]) -> Bytes {
        let signed = Sha256::digest(domain.message(self.0.id.0, said));
        Bytes::copy_from_slice(&signed)
    }

    fn signer(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> Option<Peer> {
        let signer = Self(read(chain)?);
        (signer.sign(domain, said) == proof).then_some(signer.0)
    }

    fn is_of_authority(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> bool {
        chain == AUTHORITY && sign_as_authority(domain, said) == proof
    }
}
