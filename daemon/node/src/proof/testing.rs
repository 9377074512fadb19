//! Proofs for tests and the simulator: as cheap as a hash, and sound among nodes that all use this
//! type as it is meant. Whoever has the code can forge them.

use super::{Domain, Marks, Proofs};
use crate::wire::Peer;
use bytes::Bytes;
use crdt::roster::{Mark, mark};
use names::{NodeId, NodeName, Role};
use sha2::{Digest, Sha256};

/// The chain of the cluster's own authority.
pub const AUTHORITY: &[u8] = b"authority";

/// What stands in a chain before the name of the authority that has signed its certificate, where that is
/// one below the cluster's own: no name has it.
const BY: u8 = b'@';

/// What stands before an observer's name: no name begins so.
const OBSERVER: &[u8] = b"~";

/// The chain of an authority of that name below the cluster's own, or that of a node whose certificate
/// such a one has signed.
pub fn below(chain: &[u8], authority: &str) -> Bytes {
    [chain, &[BY], authority.as_bytes()].concat().into()
}

/// The key of the authority of that name, as withdrawals name it.
pub fn key(authority: &str) -> Mark {
    mark(authority.as_bytes())
}

/// What stands before and after the mark of an authority below the cluster's own.
fn split(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = text.splitn(2, |byte| *byte == BY);
    (parts.next().unwrap_or_default(), parts.next())
}

fn read(chain: &[u8]) -> Option<Peer> {
    let (id, name) = chain.split_first_chunk::<16>()?;
    let (name, _) = split(name);
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
        split(chain).0 == AUTHORITY && sign_as_authority(domain, said) == proof
    }

    fn is_of_root(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> bool {
        chain == AUTHORITY && sign_as_authority(domain, said) == proof
    }

    fn issuers<'a>(&self, chain: &'a [u8]) -> Vec<&'a [u8]> {
        let named = chain.get(16..).unwrap_or_default();
        let at = named.iter().position(|byte| *byte == BY);
        at.and_then(|at| named.get(at..)).into_iter().collect()
    }

    fn marks(&self, chain: &[u8]) -> Option<Marks> {
        let is_authority = chain.starts_with(AUTHORITY);
        let (_, by) = split(chain.get(16..).filter(|_| !is_authority).unwrap_or(chain));
        Some(Marks {
            certificate: mark(chain),
            key: mark(by.filter(|_| is_authority).unwrap_or(chain)),
            issuers: by.filter(|_| !is_authority).map(mark).into_iter().collect(),
        })
    }
}

/// A node whose certificate an authority of that name has signed, one below the cluster's own.
#[derive(Clone, Debug)]
pub struct Below(pub Cheap, pub String);

impl Proofs for Below {
    fn chain(&self) -> Bytes {
        below(&self.0.chain(), &self.1)
    }

    fn role(&self, chain: &[u8]) -> Role {
        self.0.role(chain)
    }

    fn sign(&self, domain: Domain, said: &[u8]) -> Bytes {
        self.0.sign(domain, said)
    }

    fn signer(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> Option<Peer> {
        self.0.signer(chain, domain, said, proof)
    }

    fn is_of_authority(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> bool {
        self.0.is_of_authority(chain, domain, said, proof)
    }

    fn is_of_root(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> bool {
        self.0.is_of_root(chain, domain, said, proof)
    }

    fn issuers<'a>(&self, chain: &'a [u8]) -> Vec<&'a [u8]> {
        self.0.issuers(chain)
    }

    fn marks(&self, chain: &[u8]) -> Option<Marks> {
        self.0.marks(chain)
    }
}
