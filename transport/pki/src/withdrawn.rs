//! Authorities below the cluster's own whose keys are withdrawn, and what of theirs stays good.

use crate::certificate;
use crate::proofs::read_chain;
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::collections::{HashMap, HashSet};

/// The first 16 bytes of SHA-256 over something: over the DER of a certificate, or of a key's public key
/// info.
pub type Mark = [u8; 16];

/// The mark of that.
pub fn mark(bytes: &[u8]) -> Mark {
    let hash = digest(&SHA256, bytes);
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// The marks of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// That of the first certificate.
    pub certificate: Mark,
    /// That of the first certificate's key.
    pub key: Mark,
    /// Those of the keys of all further ones.
    pub issuers: Vec<Mark>,
}

/// An authority below the cluster's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intermediate {
    /// The mark of its key.
    pub key: Mark,
    /// For which node it was made.
    pub name: String,
    /// When its certificate expires, in Unix seconds.
    pub not_after: i64,
}

/// The marks of a chain, which is not judged; `None` if it is none.
pub fn marks(chain: &[u8]) -> Option<Marks> {
    let chain = read_chain(chain)?;
    let (first, above) = chain.split_first()?;
    Some(Marks {
        certificate: mark(first),
        key: key_mark(first)?,
        issuers: above.iter().filter_map(|der| key_mark(der)).collect(),
    })
}

/// The authorities below the cluster's own in a chain, which is not judged.
pub fn intermediates(chain: &[u8]) -> Vec<Intermediate> {
    let chain = read_chain(chain).unwrap_or_default();
    let read = |der: &CertificateDer<'_>| {
        let facts = certificate::authority(der).ok()?;
        let name = facts.unit?.strip_prefix("authority ")?.to_owned();
        Some(Intermediate {
            key: mark(&facts.public_key),
            name,
            not_after: facts.not_after,
        })
    };
    chain.iter().filter_map(read).collect()
}

fn key_mark(der: &[u8]) -> Option<Mark> {
    certificate::public_key_info(der).ok().map(|key| mark(&key))
}

/// The keys that are withdrawn, each with the certificates of it that stay good.
#[derive(Clone, Debug, Default)]
pub struct Withdrawn(HashMap<Mark, HashSet<Mark>>);

impl Withdrawn {
    /// That key is withdrawn too.
    pub fn add(&mut self, key: Mark, good: impl IntoIterator<Item = Mark>) {
        self.0.insert(key, good.into_iter().collect());
    }

    /// Whether a certificate was signed with a withdrawn key and is not among those that stay good.
    /// `between` are the certificates that it was shown with.
    pub fn refuses(&self, leaf: &[u8], between: &[CertificateDer<'_>]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let certificate = mark(leaf);
        between.iter().filter_map(|der| key_mark(der)).any(|key| {
            let good = self.0.get(&key);
            good.is_some_and(|good| !good.contains(&certificate))
        })
    }

    /// The same of a certificate in PEM, followed by those above it.
    pub fn refuses_pem(&self, pem: &str) -> bool {
        let chain = CertificateDer::pem_slice_iter(pem.as_bytes());
        let chain: Vec<_> = chain.filter_map(Result::ok).collect();
        let leaf = chain.split_first();
        leaf.is_some_and(|(leaf, between)| self.refuses(leaf, between))
    }

    /// The same of a chain.
    pub fn refuses_chain(&self, chain: &[u8]) -> bool {
        let chain = read_chain(chain).unwrap_or_default();
        let leaf = chain.split_first();
        leaf.is_some_and(|(leaf, between)| self.refuses(leaf, between))
    }
}
