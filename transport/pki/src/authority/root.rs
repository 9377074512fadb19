//! The cluster's own authority as one that signs statements for nodes.

use super::signer::sign;
use super::{AuthorityFacts, KeyPair, PkiError, signing_authority};
use crate::proofs::chain_of;
use rustls::pki_types::CertificateDer;
use std::path::Path;

/// The key in the directory of a cluster's own authority, with its certificate.
pub struct Root {
    key: KeyPair,
    facts: AuthorityFacts,
    der: CertificateDer<'static>,
}

impl Root {
    /// The one in that directory.
    ///
    /// # Errors
    /// Its files cannot be read, or do not belong together.
    pub fn load(dir: &Path) -> Result<Self, PkiError> {
        let (key, facts, der) = signing_authority(dir)?;
        Ok(Self { key, facts, der })
    }

    /// The cluster's id.
    pub fn cluster(&self) -> [u8; 16] {
        self.facts.cluster
    }

    /// Its certificate, by which nodes judge what it signs (see [`Proofs`](crate::Proofs)).
    pub fn chain(&self) -> Vec<u8> {
        chain_of([&self.der])
    }

    /// Signs a message as the cluster's own authority.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PkiError> {
        sign(&self.key, message)
    }
}
