//! What a node has signed with the key of its certificate, for nodes that have no connection with it.
//!
//! A chain is the signer's certificate and those between it and its authority, in order, each as its
//! length (4 bytes, the highest first) and its DER. A proof is the number of TLS's signature scheme
//! (2 bytes, RFC 8446, section 4.2.3) and the signature.
//!
//! A certificate proves what was signed with it also after it has expired: whoever is down for longer
//! than its certificate lasts has still said what it said. So chains are judged as of the moment when
//! the latest certificate in them began.

use crate::certificate::{self, NodeFacts};
use crate::identity::{Identity, provider};
use names::Role;
use parking_lot::{Mutex, RwLock};
use ring::digest::{SHA256, digest};
use rustls::SignatureScheme;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::collections::HashMap;
use std::time::Duration;

/// The schemes with which nodes sign, the preferred one first: those of Ed25519, which this program
/// makes, and of keys that other authorities make.
const SCHEMES: [SignatureScheme; 3] = [
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
];
/// How many bytes say how long a certificate is.
const LENGTH_BYTES: usize = 4;
/// The most certificates of one chain.
const MAX_CERTIFICATES: usize = 4;
/// The most bytes of one chain.
pub const MAX_CHAIN_BYTES: usize = 16 << 10;
/// How many chains are remembered as good.
const MAX_KNOWN: usize = 20_000;

/// Signs with a node's key, and judges what others have signed.
#[derive(Debug)]
pub struct Proofs {
    identity: RwLock<Identity>,
    /// By the hash of its chain. A chain of another node is judged once, until the next reload.
    known: Mutex<HashMap<([u8; 32], By), Owner>>,
}

/// By which authorities a chain is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// Those in force.
    Now,
    /// Those that the cluster has, or had: for what is kept for ever.
    Ever,
}

/// Whose a chain is.
#[derive(Clone, Debug)]
struct Owner {
    facts: NodeFacts,
    key: Vec<u8>,
}

impl Proofs {
    /// Signs as `identity`.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity: RwLock::new(identity),
            known: Mutex::default(),
        }
    }

    /// Signs with the certificate of that identity from now on, and trusts its authorities.
    pub fn reload(&self, identity: Identity) {
        *self.identity.write() = identity;
        self.known.lock().clear();
    }

    /// The cluster's id.
    pub fn cluster(&self) -> [u8; 16] {
        self.identity.read().cluster()
    }

    /// The chain of this node's certificate.
    pub fn chain(&self) -> Vec<u8> {
        self.identity.read().chain()
    }

    /// Signs a message; `None` if this node's key is of a kind that does not sign such.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let key = self.identity.read().certified_key();
        let signer = key.key.choose_scheme(&SCHEMES)?;
        let signature = signer.sign(message).ok()?;
        let scheme = u16::from(signer.scheme()).to_be_bytes();
        Some([&scheme[..], &signature].concat())
    }

    /// What the node is whose certificate a chain has, which is not judged here; `None` if there is none
    /// of a node.
    pub fn role(chain: &[u8]) -> Option<Role> {
        let certificates = read_chain(chain)?;
        let facts = certificate::node(certificates.first()?).ok()?;
        Some(facts.role)
    }

    /// The certificates above the first one, each with its length, as they stand in a chain; none if it is
    /// no chain.
    pub fn issuers(chain: &[u8]) -> Vec<&[u8]> {
        let certificates = read_chain(chain).unwrap_or_default();
        let (mut rest, mut parts) = (chain, Vec::new());
        for certificate in certificates {
            let (part, after) = rest.split_at(LENGTH_BYTES + certificate.len());
            parts.push(part);
            rest = after;
        }
        parts.into_iter().skip(1).collect()
    }

    /// Whose certificate a chain has; `None` if it does not end at an authority of this cluster. Anybody
    /// may show it: it proves nothing about who does.
    pub fn holder(&self, chain: &[u8]) -> Option<NodeFacts> {
        self.owner(chain, By::Now).map(|owner| owner.facts)
    }

    /// Who has signed a message, as its chain shows; `None` if the chain does not end at such an authority
    /// of this cluster, or the proof is not that certificate's of that message.
    pub fn signer(
        &self,
        (chain, by): (&[u8], By),
        message: &[u8],
        proof: &[u8],
    ) -> Option<NodeFacts> {
        let owner = self.owner(chain, by)?;
        is_signed(&owner.key, message, proof).then_some(owner.facts)
    }

    /// Whether an authority of this cluster has signed a message: one that this node trusts itself, or
    /// one directly below such, with that certificate in `chain`. It may have expired.
    pub fn is_of_authority(&self, chain: &[u8], message: &[u8], proof: &[u8]) -> bool {
        self.is_signed_by_one(chain, message, proof, |der, roots| {
            let is_below = |root: &CertificateDer<'_>| certificate::is_signed_by(der, root);
            roots.contains(der) || roots.iter().any(is_below)
        })
    }

    /// Whether one of the cluster's own authorities has signed a message: one that this node trusts
    /// itself, with its certificate in `chain`.
    pub fn is_of_root(&self, chain: &[u8], message: &[u8], proof: &[u8]) -> bool {
        self.is_signed_by_one(chain, message, proof, |der, roots| roots.contains(der))
    }

    fn is_signed_by_one(
        &self,
        chain: &[u8],
        message: &[u8],
        proof: &[u8],
        is_trusted: impl FnOnce(&CertificateDer<'_>, &[CertificateDer<'_>]) -> bool,
    ) -> bool {
        let Some([der]) = read_chain(chain)
            .as_deref()
            .and_then(|chain| chain.first_chunk().cloned())
        else {
            return false;
        };
        let Ok(facts) = certificate::authority(&der) else {
            return false;
        };
        let identity = self.identity.read();
        facts.cluster == identity.cluster()
            && is_trusted(&der, identity.authorities())
            && certificate::key(&der).is_ok_and(|key| is_signed(&key, message, proof))
    }

    fn owner(&self, chain: &[u8], by: By) -> Option<Owner> {
        let hash: [u8; 32] = digest(&SHA256, chain).as_ref().try_into().ok()?;
        let key = (hash, by);
        if let Some(known) = self.known.lock().get(&key) {
            return Some(known.clone());
        }
        let owner = self.judge(chain, by)?;
        let mut known = self.known.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(key, owner.clone());
        Some(owner)
    }

    fn judge(&self, chain: &[u8], by: By) -> Option<Owner> {
        let certificates = read_chain(chain)?;
        let (leaf, between) = certificates.split_first()?;
        let mut began = 0;
        for der in &certificates {
            began = began.max(certificate::validity(der).ok()?.0);
        }
        let then = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(began).ok()?));
        let identity = self.identity.read();
        let judged = match by {
            By::Now => identity.verify_at(leaf, between, then),
            By::Ever => identity.verify_ever(leaf, between, then),
        };
        judged.ok()?;
        Some(Owner {
            facts: certificate::node(leaf).ok()?,
            key: certificate::key(leaf).ok()?,
        })
    }
}

/// Whether a proof is of that message and by that key.
fn is_signed(key: &[u8], message: &[u8], proof: &[u8]) -> bool {
    let Some((scheme, signature)) = proof.split_first_chunk::<2>() else {
        return false;
    };
    let scheme = SignatureScheme::from(u16::from_be_bytes(*scheme));
    let mapping = provider().signature_verification_algorithms.mapping;
    let known = mapping
        .iter()
        .filter(|(known, _)| *known == scheme && SCHEMES.contains(known));
    let mut algorithms = known.flat_map(|(_, algorithms)| algorithms.iter());
    algorithms.any(|algorithm| algorithm.verify_signature(key, message, signature).is_ok())
}

/// A chain of those certificates, in DER.
pub(crate) fn chain_of<'a>(
    certificates: impl IntoIterator<Item = &'a CertificateDer<'a>>,
) -> Vec<u8> {
    let mut chain = Vec::new();
    for certificate in certificates {
        let length = u32::try_from(certificate.len()).unwrap_or(u32::MAX);
        chain.extend_from_slice(&length.to_be_bytes());
        chain.extend_from_slice(certificate);
    }
    chain
}

pub(crate) fn read_chain(mut chain: &[u8]) -> Option<Vec<CertificateDer<'_>>> {
    if chain.len() > MAX_CHAIN_BYTES {
        return None;
    }
    let mut certificates = Vec::new();
    while let Some((length, rest)) = chain.split_first_chunk::<LENGTH_BYTES>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (der, rest) = rest.split_at_checked(length)?;
        certificates.push(CertificateDer::from(der));
        chain = rest;
    }
    let is_whole = chain.is_empty() && certificates.len() <= MAX_CERTIFICATES;
    is_whole.then_some(certificates)
}
